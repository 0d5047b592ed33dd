// What a refusal of the state machine is called by callers: reason, code, and what to do about it.
import { ERRORS } from '../api/errors.ts'
import type { ErrorCode, Outcome } from '../api/errors.ts'
import type { RefusalReason } from '../api/commands.ts'
import { ClientError } from './client-error.ts'

const REFUSALS: Readonly<Record<RefusalReason, readonly [code: ErrorCode, message: string]>> = {
  'not-a-number': ['NOT_A_NUMBER', 'the value is not a decimal 64-bit integer, or would not be one any more'],
  'lease-not-found': ['LEASE_NOT_FOUND', 'there is no such lease: it was revoked, or it expired'],
  'lease-exists': ['CONFLICT', 'a lease of this id exists already'],
  'lease-full': ['LEASE_FULL', 'the lease holds as many keys as a lease can'],
  'too-many-leases': ['OVERLOADED', 'the store holds as many leases as it can'],
  'range-too-large': ['RANGE_TOO_LARGE', 'that is more keys than one command may touch; delete the range in parts'],
  fenced: ['PRECONDITION_FAILED', 'the lock is no longer held with this token'],
  'token-not-found': ['NOT_FOUND', 'this token is not in the queue of that lock any more'],
  locked: ['LOCKED', 'others hold the lock'],
  'queue-full': ['OVERLOADED', 'as many wait for the lock as its queue can hold'],
  'session-gone': [
    'SESSION_EXPIRED',
    'the session expired; whether the write was applied before cannot be told any more',
  ],
  'sequence-forgotten': [
    'SESSION_EXPIRED',
    'the session has forgotten this write, and cannot tell whether it was applied',
  ],
  'too-many-sessions': ['OVERLOADED', 'the store holds as many sessions as it can'],
  'too-many-sequences': ['OVERLOADED', 'the session remembers as many results as it can'],
  'too-many-idempotency-keys': ['OVERLOADED', 'the store remembers as many idempotency keys as it can'],
  'idempotency-mismatch': ['IDEMPOTENCY_MISMATCH', 'the key was used for another request'],
  'result-too-large': ['BAD_REQUEST', 'the result is larger than what is remembered for a repeat; read less in it'],
  compacted: ['COMPACTED', 'that revision has been compacted already'],
  'future-revision': ['BAD_PARAMETER', 'the store has not reached that revision'],
  held: ['CONFLICT', 'the place holds the lock by now'],
}

/** Whether asking again may succeed: the state machine refused for want of room. */
export const isPassing = (reason: RefusalReason): boolean => ERRORS[REFUSALS[reason][0]].isRetryable

export function refusalError(name: string, reason: RefusalReason, attempts: number): ClientError {
  const [code, message] = REFUSALS[reason]
  const outcome: Outcome = ERRORS[code].outcome
  return new ClientError(code, `${name} was refused: ${message}`, {
    outcome,
    retryable: ERRORS[code].isRetryable,
    status: ERRORS[code].status,
    details: { reason },
    attempts,
  })
}

export function preconditionError(name: string, currentRevision: number, attempts: number): ClientError {
  const found = currentRevision === 0 ? 'the key does not exist' : `the key is at revision ${currentRevision}`
  return new ClientError('PRECONDITION_FAILED', `${name} failed: the condition does not hold: ${found}`, {
    outcome: 'not-applied',
    retryable: false,
    status: ERRORS.PRECONDITION_FAILED.status,
    details: { currentRevision },
    attempts,
  })
}
