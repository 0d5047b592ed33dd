// Refusals by the state machine as HTTP answers: one row for each reason, and the one for a condition that does not hold.
import type { RefusalReason } from '../api/commands.ts'
import type { ErrorCode } from '../api/errors.ts'
import type { Answering, Edge, FlatHeaders } from './edge.ts'
import { problem } from './problems.ts'
import type { Problem } from './problems.ts'

interface RefusalRow {
  readonly code: ErrorCode
  readonly detail: string
}

const row = (code: ErrorCode, detail: string): RefusalRow => ({ code, detail })

export const REFUSALS: Readonly<Record<RefusalReason, RefusalRow>> = {
  'not-a-number': row('NOT_A_NUMBER', 'The value is not a decimal 64-bit integer, or the sum would not be one.'),
  'lease-not-found': row('LEASE_NOT_FOUND', 'The lease does not exist: it expired, was revoked, or never was.'),
  'lease-exists': row('CONFLICT', 'There is a lease with this id already.'),
  'lease-full': row('LEASE_FULL', 'The lease holds as many keys as it can; take another one.'),
  'too-many-leases': row(
    'OVERLOADED',
    'There are as many leases as there can be; some must expire or be revoked first.',
  ),
  'range-too-large': row('RANGE_TOO_LARGE', 'The command touches more keys than one may; split the range.'),
  fenced: row('PRECONDITION_FAILED', 'The token of the fence does not hold its lock any more.'),
  'token-not-found': row('NOT_FOUND', 'No place in the queue has this token: it was released, or its lease expired.'),
  locked: row('LOCKED', 'Others are first in the queue, and their turn did not end in the time given.'),
  'queue-full': row('OVERLOADED', 'As many wait for this lock as can.'),
  'session-gone': row(
    'SESSION_EXPIRED',
    'The session is unknown or expired: what became of earlier writes cannot be told.',
  ),
  'sequence-forgotten': row('SESSION_EXPIRED', 'The result of this sequence was acknowledged and forgotten.'),
  'too-many-sessions': row(
    'OVERLOADED',
    'There are as many sessions as there can be; some must expire or be closed first.',
  ),
  'too-many-sequences': row('OVERLOADED', 'The session has too many results that are not acknowledged.'),
  'too-many-idempotency-keys': row('OVERLOADED', 'As many idempotency keys are remembered as can be; try again later.'),
  'idempotency-mismatch': row('IDEMPOTENCY_MISMATCH', 'This Idempotency-Key was used for another request.'),
  'result-too-large': row(
    'BAD_REQUEST',
    'The result would be larger than what is remembered for a repeat; ask for less.',
  ),
  compacted: row('COMPACTED', 'That revision has been compacted already.'),
  'future-revision': row('BAD_PARAMETER', 'That revision is in the future.'),
  held: row('CONFLICT', 'The place holds the lock by now; it was to be given up only while it waited.'),
}

export function refusal(reason: RefusalReason, details?: Readonly<Record<string, number>>): Problem {
  const { code, detail } = REFUSALS[reason]
  return problem(code, detail, details === undefined ? {} : { details })
}

/** Of a refused compaction, the revision is the compact revision that is in force, not the store's. */
export function answerRefusal(
  edge: Edge,
  reply: Answering,
  { reason, revision }: { readonly reason: RefusalReason; readonly revision: number },
  extra: FlatHeaders,
): void {
  if (reason === 'compacted') edge.problem(reply, refusal(reason, { compactRevision: revision }), undefined, extra)
  else edge.problem(reply, refusal(reason), Math.max(revision, edge.node.vitals().revision), extra)
}

/** A condition that did not hold, with the modRevision that did; 0 when the key is absent. */
export function refusePrecondition(
  edge: Edge,
  reply: Answering,
  currentRevision: number,
  revision: number,
  extra: FlatHeaders = [],
): void {
  const detail =
    currentRevision === 0 ? 'The key does not exist.' : `The current revision of the key is ${currentRevision}.`
  edge.problem(reply, problem('PRECONDITION_FAILED', detail, { details: { currentRevision } }), revision, extra)
}
