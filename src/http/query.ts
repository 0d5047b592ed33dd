// Query parameters, strictly: what is unknown, repeated or not in its exact form is refused. A misspelt condition that is
// ignored would be an unconditional write.
import { QuorateError } from '../api/errors.ts'
import type { Fence } from '../api/commands.ts'
import { WIRE_LIMITS } from '../api/limits.ts'
import { fromBase64url, keyFromBytes } from '../lib/bytes.ts'
import type { KeyString } from '../lib/bytes.ts'

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
  const durationMs = durationOf(text ?? '')
  if (durationMs === undefined)
    throw refuse(`The parameter ${name} must be a duration such as 500ms, 2s or 1m, or whole seconds.`)
  return durationMs
}

/** Milliseconds, or undefined for what is not a duration. */
export function durationOf(text: string): number | undefined {
  const match = /^(\d{1,15})(ms|s|m|h|d)?$/.exec(text)
  if (match === null) return undefined
  const durationMs = Number(match[1]) * UNIT_MS[match[2] ?? 's']!
  return Number.isSafeInteger(durationMs) ? durationMs : undefined
}

/** A time to live: from 1ms to what is allowed at most. */
export function timeToLive(parameters: QueryParameters): number | undefined {
  const ttlMs = duration(parameters, 'ttl')
  if (ttlMs !== undefined && (ttlMs < 1 || ttlMs > WIRE_LIMITS.ttlMsMax))
    throw refuse(`The parameter ttl must be from 1ms to ${WIRE_LIMITS.ttlMsMax / UNIT_MS['d']!}d.`)
  return ttlMs
}

/** Entries of one page. */
export function limitOf(parameters: QueryParameters, whenAbsent: number): number {
  const limit = integer(parameters, 'limit') ?? whenAbsent
  if (limit < 1 || limit > WIRE_LIMITS.pageEntriesMax)
    throw refuse(`The parameter limit must be from 1 to ${WIRE_LIMITS.pageEntriesMax}.`)
  return limit
}

/** How long to wait for something to happen; 0 is a look. */
export function waitMs(parameters: QueryParameters): number | undefined {
  const wait = duration(parameters, 'wait')
  if (wait !== undefined && wait > WIRE_LIMITS.waitMsMax)
    throw refuse(`The parameter wait must be at most ${WIRE_LIMITS.waitMsMax / UNIT_MS['h']!}h.`)
  return wait
}

/** Bytes that are given as text, or as base64url under the name with 64 behind it; not empty. One code unit a byte. */
export function bytesParameter(parameters: QueryParameters, name: string, bytesMax: number): KeyString | undefined {
  const text = parameters.get(name)
  const text64 = parameters.get(`${name}64`)
  if (text === undefined && text64 === undefined) return undefined
  if (text !== undefined && text64 !== undefined) throw refuse(`Give ${name} or ${name}64, not both.`)
  const bytes = text64 === undefined ? Buffer.from(text ?? '') : fromBase64url(text64 ?? '')
  if (bytes === undefined) throw refuse(`The parameter ${name}64 must be canonical base64url without padding.`)
  if (bytes.length > bytesMax)
    throw new QuorateError(
      'KEY_TOO_LONG',
      `The parameter ${name} has ${bytes.length} bytes; at most ${bytesMax} are allowed.`,
    )
  return keyFromBytes(bytes)
}

/** `<lock name>:<token>`; the name may hold colons. */
export function fence(parameters: QueryParameters): Fence | undefined {
  const text = parameters.get('fence')
  if (text === undefined) return undefined
  const match = /^(.+):([1-9]\d{0,14})$/s.exec(text ?? '')
  const lock = Buffer.from(match?.[1] ?? '')
  if (match === null || lock.length > WIRE_LIMITS.lockNameBytesMax)
    throw refuse('The parameter fence must be the name of a lock, a colon and the token that holds it.')
  return { lock: keyFromBytes(lock), token: Number(match[2]) }
}

/** A fencing token, which must be given. */
export function token(parameters: QueryParameters): number {
  const value = integer(parameters, 'token')
  if (value === undefined || value === 0) throw refuse('The parameter token must be the token that was given out.')
  return value
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
