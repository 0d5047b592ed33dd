// Problem documents: what every error looks like on the wire, from the one error table (api/errors.ts).
import { ERRORS, QuorateError } from '../api/errors.ts'
import type { ErrorCode, Outcome } from '../api/errors.ts'

/** When to try again, for the codes that are about time: long enough to help, short enough not to be noticed. Milliseconds. */
const RETRY_AFTER_MS: Partial<Record<ErrorCode, number>> = {
  OVERLOADED: 100,
  NO_LEADER: 250,
  NOT_READY: 500,
  TOO_STALE: 250,
  SHUTTING_DOWN: 1_000,
  LEADERSHIP_LOST: 250,
}

export interface Problem {
  readonly status: number
  readonly code: ErrorCode
  /** The document, as JSON. */
  readonly body: string
  readonly retryAfterMs: number | undefined
}

export interface ProblemOptions {
  readonly outcome?: Outcome
  readonly details?: Readonly<Record<string, string | number>>
}

/** `detail` goes to the caller as it is: it says what is wrong and what to do, and holds no stack, path or secret. */
export function problem(code: ErrorCode, detail: string, options: ProblemOptions = {}): Problem {
  const row = ERRORS[code]
  const requested = options.details?.['retryAfterMs']
  const retryAfterMs =
    row.status === 429 || row.status === 503
      ? typeof requested === 'number'
        ? requested
        : (RETRY_AFTER_MS[code] ?? 1_000)
      : undefined
  const document = {
    type: `urn:quorate:problem:${code.toLowerCase().replaceAll('_', '-')}`,
    title: row.title,
    status: row.status,
    detail,
    code,
    outcome: options.outcome ?? row.outcome,
    retryable: row.isRetryable,
    ...options.details,
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
  }
  return { status: row.status, code, body: JSON.stringify(document), retryAfterMs }
}

/** Reads have no effect, whatever went wrong: their outcome is always `not-applied`. */
export function problemOf(error: QuorateError, isRead: boolean): Problem {
  return problem(error.code, error.message, {
    outcome: isRead ? 'not-applied' : error.outcome,
    details: error.details,
  })
}

/** The headers that say when to try again. */
export function retryHeaders(problem: Problem): string[] {
  return problem.retryAfterMs === undefined
    ? []
    : ['Retry-After', String(Math.max(1, Math.ceil(problem.retryAfterMs / 1_000)))]
}

interface ForeignError {
  readonly code?: unknown
  readonly statusCode?: unknown
  readonly validation?: unknown
  readonly message?: unknown
}

/** What an error of Fastify's means here; undefined for one that is nobody's input and therefore a bug. */
export function fromFastify(error: unknown): QuorateError | undefined {
  if (error instanceof QuorateError) return error
  if (typeof error !== 'object' || error === null) return undefined
  const { code, statusCode, validation, message } = error as ForeignError
  if (validation !== undefined) return new QuorateError('BAD_REQUEST', `${String(message)}.`)
  switch (code) {
    case 'FST_ERR_CTP_BODY_TOO_LARGE':
      return new QuorateError('VALUE_TOO_LARGE', 'The request body is too large.')
    case 'FST_ERR_CTP_INVALID_MEDIA_TYPE':
      return new QuorateError('UNSUPPORTED_MEDIA_TYPE', 'This endpoint takes application/json.')
    default:
  }
  return typeof statusCode === 'number' && statusCode >= 400 && statusCode < 500
    ? new QuorateError('BAD_REQUEST', 'The request could not be read to its end.')
    : undefined
}
