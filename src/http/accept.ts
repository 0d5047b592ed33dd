// Which of the media types that a route can answer with the caller wants: the first one that Accept names. Weights are not
// looked at; who lists a type that streams asks for it on purpose.

export const NDJSON = 'application/x-ndjson'
export const EVENT_STREAM = 'text/event-stream'

/** The first of `types` that the header names, or undefined. */
export function preferredType<T extends string>(accept: string | undefined, types: readonly T[]): T | undefined {
  if (accept === undefined) return undefined
  for (const part of accept.split(',')) {
    const name = part.split(';', 1)[0]!.trim().toLowerCase()
    const type = types.find((candidate) => candidate === name)
    if (type !== undefined) return type
  }
  return undefined
}
