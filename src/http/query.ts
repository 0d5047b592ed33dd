// Query parameters, strictly: what is unknown, repeated or not in its exact form is refused. A misspelt condition that is
// ignored would be an unconditional write.
import { QuorateError } from '../api/errors.ts'
import { WIRE_LIMITS } from '../api/limits.ts'

/** QueryParameters by name; null for a bare one. */
export type QueryParameters = ReadonlyMap<string, string | null>

const NO_PARAMETERS: QueryParameters = new Map()

const refuse = (detail: string): QuorateError => new QuorateError('BAD_PARAMETER', detail)

/** Throws BAD_PARAMETER for a parameter that is not in `known`. */
export function parseQuery(query: string | undefined, known: readonly string[]): QueryParameters {
  if (query === undefined || query === '') return NO_PARAMETERS
  const parameters = new Map<string, string | null>()
  for (const part of query.split('&')) {
    if (part === '') continue
    const equals = part.indexOf('=')
    const name = decode(equals === -1 ? part : part.slice(0, equals))
    if (!known.includes(name)) {
      const choices = known.length === 0 ? 'there are none here' : `known here: ${known.join(', ')}`
      throw refuse(`The parameter ${JSON.stringify(name.slice(0, 64))} is not known (${choices}).`)
    }
    if (parameters.has(name)) throw refuse(`The parameter ${name} is given more than once.`)
    parameters.set(name, equals === -1 ? null : decode(part.slice(equals + 1)))
  }
  return parameters
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text.replaceAll('+', ' '))
  } catch {
    throw refuse('The query is not well-formed: a % must be followed by two hexadecimal digits, and all be UTF-8.')
  }
}

/** Bare or `=true` is on, `=false` is off. */
export function flag(parameters: QueryParameters, name: string): boolean {
  const text = parameters.get(name)
  if (text === undefined || text === 'false') return false
  if (text === null || text === 'true') return true
  throw refuse(`The parameter ${name} is a flag: give it bare, or as =true or =false.`)
}

/** Decimal digits only, at most 15: what is larger than 2^53 would be another number. */
export function integer(parameters: QueryParameters, name: string): number | undefined {
  const text = parameters.get(name)
  if (text === undefined) return undefined
  if (text === null || !/^\d{1,15}$/.test(text))
    throw refuse(`The parameter ${name} must be 1 to 15 decimal digits and nothing else.`)
  return Number(text)
}

const UNIT_MS: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 }

/** A whole number with a unit, or of seconds. Milliseconds. */
export function duration(parameters: QueryParameters, name: string): number | undefined {
  const text = parameters.get(name)
  if (text === undefined) return undefined
  const match = /^(\d{1,15})(ms|s|m|h|d)?$/.exec(text ?? '')
  const durationMs = match === null ? Number.NaN : Number(match[1]) * UNIT_MS[match[2] ?? 's']!
  if (!Number.isSafeInteger(durationMs))
    throw refuse(`The parameter ${name} must be a duration such as 500ms, 2s or 1m, or whole seconds.`)
  return durationMs
}

export function timeoutMs(parameters: QueryParameters): number {
  const timeout = duration(parameters, 'timeout')
  if (timeout === undefined) return WIRE_LIMITS.timeoutMsDefault
  if (timeout < 1 || timeout > WIRE_LIMITS.timeoutMsMax)
    throw refuse(`The parameter timeout must be from 1ms to ${WIRE_LIMITS.timeoutMsMax / 1_000}s.`)
  return timeout
}

/** One of a few words. */
export function choice<T extends string>(
  parameters: QueryParameters,
  name: string,
  choices: readonly T[],
): T | undefined {
  const text = parameters.get(name)
  if (text === undefined) return undefined
  const chosen = choices.find((candidate) => candidate === text)
  if (chosen === undefined) throw refuse(`The parameter ${name} must be one of: ${choices.join(', ')}.`)
  return chosen
}
