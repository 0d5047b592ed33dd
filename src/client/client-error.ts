// The one error class of the client: what went wrong, what became of the write, and whether a repeat may succeed.
import type { ErrorCode, Outcome } from '../api/errors.ts'

/** What only a client can know. The other codes are the server's, from the error table of the HTTP interface. */
const CLIENT_CODES = {
  /** No endpoint could be reached: nothing was sent. */
  UNAVAILABLE: true,
  /** The connection ended after the request was sent and before its answer was complete. */
  CONNECTION_LOST: true,
  /** The answer is not one that a node gives: a proxy, another service, or a newer release. */
  UNEXPECTED_ANSWER: false,
  /** The caller's signal fired. */
  ABORTED: false,
  /** The client was closed. */
  CLOSED: false,
} as const satisfies Record<string, boolean>

export type ClientErrorCode = ErrorCode | keyof typeof CLIENT_CODES

export interface ClientErrorFacts {
  readonly outcome: Outcome
  readonly retryable: boolean
  readonly status?: number | undefined
  readonly details?: Readonly<Record<string, unknown>> | undefined
  readonly attempts?: number | undefined
  readonly cause?: unknown
}

/**
 * Why a call failed. `outcome` is the first thing to look at after a failed write: `not-applied` means that it certainly
 * had and will have no effect; `unknown` means that it may take effect, now or later: read before you repeat it.
 */
export class ClientError extends Error {
  override readonly name = 'ClientError'
  readonly code: ClientErrorCode
  /** The worst over all attempts of the call. Reads are always `not-applied`. */
  readonly outcome: Outcome
  /** The same call may succeed later. Says nothing about whether repeating it is safe: that is `outcome`'s business. */
  readonly retryable: boolean
  /** The HTTP status, where a node answered. */
  readonly status: number | undefined
  /** Further members of the answer, such as `currentRevision` with PRECONDITION_FAILED. */
  readonly details: Readonly<Record<string, unknown>>
  /** How many requests left, or tried to. 0 when the call was refused before the first. */
  readonly attempts: number

  constructor(code: ClientErrorCode, message: string, facts: ClientErrorFacts) {
    super(message, facts.cause === undefined ? undefined : { cause: facts.cause })
    this.code = code
    this.outcome = facts.outcome
    this.retryable = facts.retryable
    this.status = facts.status
    this.details = facts.details ?? {}
    this.attempts = facts.attempts ?? 0
  }
}

/** Whether a later repeat may succeed, for the codes that only a client gives. */
export const isRetryableHere = (code: keyof typeof CLIENT_CODES): boolean => CLIENT_CODES[code]

/** A call that makes no sense is refused before anything is sent. */
export const refusal = (code: ErrorCode, message: string): ClientError =>
  new ClientError(code, message, { outcome: 'not-applied', retryable: false })
