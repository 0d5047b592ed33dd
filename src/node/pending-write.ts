// One client's write on its way through the node, and the batch it travels in. Resolved exactly once, whatever happens.
import { QuorateError } from '../api/errors.ts'
import type { ClientCommand, CommandResult } from '../api/commands.ts'
import type { Placed } from '../lib/transient.ts'
import type { EntryId } from '../raft/index.ts'
import { LIMITS } from './limits.ts'

export type WriteCallback = (outcome: CommandResult | QuorateError) => void

export interface PendingWrite extends Placed {
  readonly command: ClientCommand
  /** Encoded, in bytes. */
  readonly sizeBytes: number
  readonly timeoutMs: number
  /** Answer by then, in clock milliseconds. */
  readonly deadlineMs: number
  /** While it waits for a leader: give up by then. */
  heldUntilMs: number
  /** It has left the queue towards a log: from here on silence means *unknown*. */
  isProposed: boolean
  isDone: boolean
  readonly done: WriteCallback
}

/** The writes of one turn that travel as one group of one entry, named by its number within this boot. */
export interface Submission {
  readonly number: number
  readonly writes: readonly PendingWrite[]
  /** Where the leader put it, once that is known. */
  id: EntryId | undefined
  /** It went into an entry of this node's own. */
  readonly isProposedHere: boolean
  /** The link broke before the leader answered, or this leader was deposed: past this moment its writes are answered as unknown. */
  giveUpAtMs: number
}

/** How long a write may wait for a leader: an election is a pause, not a storm of errors. */
export const holdMs = (timeoutMs: number): number => Math.min(LIMITS.leaderWaitMsMax, timeoutMs / 2)

export const noLeader = (): QuorateError =>
  new QuorateError(
    'NO_LEADER',
    'This node knows no leader: a majority of the members is unreachable or an election is under way. Retry.',
  )

export const leadershipLost = (): QuorateError =>
  new QuorateError(
    'LEADERSHIP_LOST',
    'The leader changed after the write was proposed; it may or may not take effect. Read the key to find out.',
  )

/** The answer to a write whose time is up; the truth depends on whether it ever left the queue. */
export function writeTimedOut(write: PendingWrite): QuorateError {
  return write.isProposed
    ? new QuorateError(
        'TIMEOUT',
        `No outcome within ${write.timeoutMs} ms; the write may or may not take effect. Read the key to find out.`,
      )
    : new QuorateError('TIMEOUT', `The write could not be proposed within ${write.timeoutMs} ms and has no effect.`, {
        outcome: 'not-applied',
      })
}
