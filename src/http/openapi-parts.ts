// The parts that descriptions of routes are made of: references, parameters that several routes take, and refusals.
import { ERRORS } from '../api/errors.ts'
import { WIRE_LIMITS } from '../api/limits.ts'
import type * as schemas from '../api/schemas.ts'

export type Json = Readonly<Record<string, unknown>>

export const ref = (name: keyof typeof schemas): Json => ({ $ref: `#/components/schemas/${name}` })
export const json = (schema: Json): Json => ({ 'application/json': { schema } })
export const bytes: Json = {
  '*/*': { schema: { type: 'string', format: 'binary', maxLength: WIRE_LIMITS.valueBytesMax } },
}
export const text = (mediaType: string): Json => ({ [mediaType]: { schema: { type: 'string' } } })

export const query = (name: string, description: string, schema: Json): Json => ({
  name,
  in: 'query',
  description,
  schema,
})
export const header = (name: string, description: string): Json => ({
  name,
  in: 'header',
  description,
  schema: { type: 'string' },
})
export const inPath = (name: string, description: string): Json => ({
  name,
  in: 'path',
  required: true,
  description,
  schema: { type: 'string', minLength: 1 },
})
export const required = (parameter: Json): Json => ({ ...parameter, required: true })

export const digits: Json = { type: 'string', pattern: '^[0-9]{1,15}$' }
export const durations: Json = { type: 'string', pattern: '^[0-9]{1,15}(ms|s|m|h|d)?$', examples: ['500ms', '2s'] }
export const flags: Json = { type: 'string', enum: ['', 'true', 'false'] }
const anyText: Json = { type: 'string' }
const base64url: Json = { type: 'string', pattern: '^[A-Za-z0-9_-]*$' }

export const timeout = query('timeout', 'How long to wait, at most 60s', { ...durations, default: '5s' })

/** How fresh a read must be. */
export const freshness: readonly Json[] = [
  query('consistency', 'linearizable: the latest state. stale: this node’s, maybe behind', {
    type: 'string',
    enum: ['linearizable', 'stale'],
    default: 'linearizable',
  }),
  query('maxStale', 'Implies stale; what is older than this is refused with 503 TOO_STALE', durations),
  query('minRevision', 'Wait until this node has applied this revision', digits),
  timeout,
]

export const past = query('revision', 'As it was at this revision; 410 once that is compacted', digits)

/** A range: a prefix, or from and to. */
export const rangeParameters: readonly Json[] = [
  query('prefix', 'Keys that begin with this; empty: all', anyText),
  query('prefix64', 'The same as base64url', base64url),
  query('from', 'Keys from this one on', anyText),
  query('from64', 'The same as base64url', base64url),
  query('to', 'Keys below this one', anyText),
  query('to64', 'The same as base64url', base64url),
]

export const conditions: readonly Json[] = [
  header('If-Match', 'One entity tag, which must be current, or *: the key must exist'),
  header('If-None-Match', '*: the key must not exist'),
  query('cas', 'The modRevision that must be current; 0: the key must not exist', digits),
]

export const idempotencyKey = header(
  'Idempotency-Key',
  `1 to ${WIRE_LIMITS.idempotencyKeyBytesMax} visible characters: a repeat with the same one gets the first answer, and Quorate-Replayed`,
)
export const fenced = query('fence', 'name:token: only while this token holds the lock of that name', anyText)
export const tokenParameter = query('token', 'The token that was given out', digits)

export const problems = (...statuses: number[]): Record<string, Json> =>
  Object.fromEntries(
    statuses.map((status) => [
      String(status),
      {
        description: Object.entries(ERRORS)
          .filter(([, row]) => row.status === status)
          .map(([code, row]) => `${code}: ${row.title}`)
          .join('. '),
        content: { 'application/problem+json': { schema: ref('Problem') } },
      },
    ]),
  )

export const ok = (description: string, content?: Json): Json =>
  content === undefined ? { description } : { description, content }

/** What every read may be refused with, and every write. */
export const READ_PROBLEMS = [400, 403, 429, 500, 503, 504]
export const WRITE_PROBLEMS = [400, 403, 410, 422, 429, 500, 503, 504, 507]
/** And a body that comes with it. */
export const BODY_PROBLEMS = [408, 413, 415]
