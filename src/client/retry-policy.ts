// What to do after a failed attempt: a table, operation x failure. A write is repeated only when it certainly was not applied, or
// when it can be applied only once.
import { ERRORS } from '../api/errors.ts'
import type { ErrorCode, Outcome } from '../api/errors.ts'
import type { Prng } from '../lib/prng.ts'
import type { TransportFailure } from './transport.ts'

/**
 * `read` changes nothing, so it may be repeated whatever happened. `write` and `admin` change something: a second put can
 * undo what somebody else wrote in between, a second transfer moves leadership twice. `repeatable` changes something once, however
 * often it arrives: in a session, or because its repeat has no further effect.
 */
export type OperationKind = 'read' | 'write' | 'admin' | 'repeatable'

/**
 * How an attempt can fail: on the way, in time, by an answer that cannot be read, by a code of the error table, or by one
 * that this release does not know.
 */
export type FailureKind = TransportFailure | 'timeout' | 'unknown-code' | ErrorCode

/**
 * `elsewhere`: at once on an endpoint that this call has not tried; when it has tried them all, after a pause.
 * `later`: after a pause. `fail`: tell the caller.
 */
export type Decision = 'elsewhere' | 'later' | 'fail'

/** What may be repeated at all is decided like a read. */
type Row = readonly [repeatable: Decision, write: Decision, admin: Decision]

const FAIL: Row = ['fail', 'fail', 'fail']

/** What the answer's outcome cannot overrule; `decide` overrules it for changes whose outcome is unknown. */
const RETRY_TABLE: Readonly<Record<FailureKind, Row>> = {
  // On the way. After `broken` and `timeout` a change may have been applied, and nobody can tell.
  'not-sent': ['elsewhere', 'elsewhere', 'elsewhere'],
  broken: ['elsewhere', 'fail', 'fail'],
  unreadable: ['elsewhere', 'fail', 'fail'],
  timeout: ['elsewhere', 'fail', 'fail'],

  // The node cannot serve this now; another may. A node without a leader may be cut off alone.
  NO_LEADER: ['elsewhere', 'elsewhere', 'elsewhere'],
  NOT_READY: ['elsewhere', 'elsewhere', 'elsewhere'],
  SHUTTING_DOWN: ['elsewhere', 'elsewhere', 'elsewhere'],
  TOO_STALE: ['elsewhere', 'elsewhere', 'elsewhere'],
  TIMEOUT: ['elsewhere', 'elsewhere', 'elsewhere'],

  // All nodes lead to the same leader: going elsewhere would only add to its load.
  OVERLOADED: ['later', 'later', 'later'],
  LEADERSHIP_LOST: ['later', 'later', 'later'],

  // The answer will not change by asking again, or this release cannot tell.
  'unknown-code': FAIL,
  BAD_REQUEST: FAIL,
  KEY_REQUIRED: FAIL,
  KEY_TOO_LONG: FAIL,
  BAD_PARAMETER: FAIL,
  RANGE_TOO_LARGE: FAIL,
  MALFORMED_HTTP: FAIL,
  FORBIDDEN: FAIL,
  KEY_NOT_FOUND: FAIL,
  LEASE_NOT_FOUND: FAIL,
  MEMBER_NOT_FOUND: FAIL,
  NOT_FOUND: FAIL,
  METHOD_NOT_ALLOWED: FAIL,
  REQUEST_TIMEOUT: FAIL,
  CONFLICT: FAIL,
  LEASE_FULL: FAIL,
  NOT_A_NUMBER: FAIL,
  COMPACTED: FAIL,
  SESSION_EXPIRED: FAIL,
  PRECONDITION_FAILED: FAIL,
  VALUE_TOO_LARGE: FAIL,
  UNSUPPORTED_MEDIA_TYPE: FAIL,
  EXPECTATION_FAILED: FAIL,
  IDEMPOTENCY_MISMATCH: FAIL,
  LOCKED: FAIL,
  HEADERS_TOO_LARGE: FAIL,
  INTERNAL: FAIL,
  NO_SPACE: FAIL,
}

const COLUMN: Readonly<Record<OperationKind, 0 | 1 | 2>> = { read: 0, repeatable: 0, write: 1, admin: 2 }

export function decide(operation: OperationKind, failure: FailureKind, outcome: Outcome): Decision {
  // Above all rows: SHUTTING_DOWN, TIMEOUT and LEADERSHIP_LOST come with either outcome, and the node knows which.
  if (outcome === 'unknown' && (operation === 'write' || operation === 'admin')) return 'fail'
  return RETRY_TABLE[failure][COLUMN[operation]]
}

export const isErrorCode = (code: string): code is ErrorCode => Object.hasOwn(ERRORS, code)

const DOWN: ReadonlySet<FailureKind> = new Set<FailureKind>([
  'not-sent',
  'broken',
  'unreadable',
  'timeout',
  'NOT_READY',
  'SHUTTING_DOWN',
])

/** After these the endpoint itself is in trouble, and other calls should prefer another for a moment. */
export const isEndpointDown = (failure: FailureKind): boolean => DOWN.has(failure)

export const PAUSE = {
  /** The first pause is about one round trip of a healthy cluster. Milliseconds. */
  msMin: 20,
  /** A dead cluster costs each caller about one request a second. Milliseconds. */
  msMax: 1_000,
} as const

/** The pause before the next attempt: doubled each time, the upper half drawn by lot, never less than the node asked for. */
export function pauseMs(pausesBefore: number, retryAfterMs: number, prng: Prng): number {
  const ceiling = Math.min(PAUSE.msMax, PAUSE.msMin * 2 ** Math.min(pausesBefore, 16))
  const drawn = prng.between(Math.ceil(ceiling / 2), ceiling)
  // What a node asks for is spread upwards too: all its callers were given the same number.
  return retryAfterMs > 0 ? Math.max(drawn, retryAfterMs + prng.below(Math.ceil(retryAfterMs / 4) + 1)) : drawn
}
