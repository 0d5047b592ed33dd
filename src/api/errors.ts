// The error table: every code that a caller can meet, with its status, its outcome and whether a repeat may succeed.
// One table for the server, the client, the CLI and the documentation; HTTP_API fixes its rows.

/** `not-applied`: certainly had and will have no effect. `unknown`: may or may not take effect, now or later. */
export type Outcome = 'not-applied' | 'unknown'

interface ErrorRow {
  readonly status: number
  /** Of a write; reads are always `not-applied`. */
  readonly outcome: Outcome
  /** The same request may succeed later, perhaps on another node. */
  readonly isRetryable: boolean
  readonly title: string
}

const refused = (status: number, title: string): ErrorRow => ({
  status,
  outcome: 'not-applied',
  isRetryable: false,
  title,
})
const later = (status: number, title: string, outcome: Outcome = 'not-applied'): ErrorRow => ({
  status,
  outcome,
  isRetryable: true,
  title,
})

export const ERRORS = {
  BAD_REQUEST: refused(400, 'The request does not make sense'),
  KEY_REQUIRED: refused(400, 'A key is required'),
  KEY_TOO_LONG: refused(400, 'The key is too long'),
  BAD_PARAMETER: refused(400, 'A parameter is not valid'),
  RANGE_TOO_LARGE: refused(400, 'One command may not touch so many keys'),
  MALFORMED_HTTP: refused(400, 'This is not well-formed HTTP'),
  FORBIDDEN: refused(403, 'Not allowed'),
  KEY_NOT_FOUND: refused(404, 'There is no such key'),
  LEASE_NOT_FOUND: refused(404, 'There is no such lease'),
  MEMBER_NOT_FOUND: refused(404, 'There is no such member'),
  NOT_FOUND: refused(404, 'There is nothing here'),
  METHOD_NOT_ALLOWED: refused(405, 'The method is not allowed here'),
  REQUEST_TIMEOUT: refused(408, 'The request took too long to arrive'),
  CONFLICT: refused(409, 'In conflict with what is under way'),
  LEASE_FULL: refused(409, 'The lease holds too many keys'),
  NOT_A_NUMBER: refused(409, 'The value is not a number to add to'),
  COMPACTED: refused(410, 'That revision has been compacted'),
  // Whether the write was applied by an earlier request can no longer be told.
  SESSION_EXPIRED: { status: 410, outcome: 'unknown', isRetryable: false, title: 'The session is gone' },
  PRECONDITION_FAILED: refused(412, 'The condition does not hold'),
  VALUE_TOO_LARGE: refused(413, 'The value is too large'),
  UNSUPPORTED_MEDIA_TYPE: refused(415, 'The media type or encoding is not supported'),
  EXPECTATION_FAILED: refused(417, 'The expectation cannot be met'),
  IDEMPOTENCY_MISMATCH: refused(422, 'The key was used for another request'),
  LOCKED: refused(423, 'Others hold the lock'),
  OVERLOADED: later(429, 'Too much is in flight'),
  HEADERS_TOO_LARGE: refused(431, 'The headers are too large'),
  INTERNAL: { status: 500, outcome: 'unknown', isRetryable: false, title: 'Something went wrong inside' },
  NO_LEADER: later(503, 'There is no leader'),
  NOT_READY: later(503, 'This node is not ready'),
  TOO_STALE: later(503, 'This node is too far behind'),
  SHUTTING_DOWN: later(503, 'This node is shutting down'),
  LEADERSHIP_LOST: later(503, 'The leader changed before the outcome was known', 'unknown'),
  TIMEOUT: later(504, 'Not done in time', 'unknown'),
  NO_SPACE: refused(507, 'Disk space is low'),
} as const satisfies Record<string, ErrorRow>

export type ErrorCode = keyof typeof ERRORS

export interface ErrorOptions {
  /** Overrides the table: `SHUTTING_DOWN` once proposed is `unknown`, any read is `not-applied`. */
  readonly outcome?: Outcome
  /** Further members of the problem document, such as `currentRevision`. */
  readonly details?: Readonly<Record<string, string | number>>
  readonly cause?: unknown
}

/** An error that a caller may see: everything in it is safe to send. The message says what is wrong and what to do. */
export class QuorateError extends Error {
  override readonly name = 'QuorateError'
  readonly code: ErrorCode
  readonly status: number
  readonly outcome: Outcome
  readonly isRetryable: boolean
  readonly details: Readonly<Record<string, string | number>>

  constructor(code: ErrorCode, message: string, options: ErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    const row: ErrorRow = ERRORS[code]
    this.code = code
    this.status = row.status
    this.outcome = options.outcome ?? row.outcome
    this.isRetryable = row.isRetryable
    this.details = options.details ?? {}
  }

  /** `urn:quorate:problem:key-not-found` for `KEY_NOT_FOUND`. */
  get type(): string {
    return `urn:quorate:problem:${this.code.toLowerCase().replaceAll('_', '-')}`
  }
}
