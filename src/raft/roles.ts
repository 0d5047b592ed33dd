// What a node is (§3.3, §9.6), as tagged variants: what only a leader knows lives in the leader, and is gone with it.
// A new role is a new object, so nothing of an earlier term can leak into a later one.
import type { LeaderReads } from './reads.ts'
import type { Progress } from './progress.ts'
import type { LogIndex, NodeId, ReadId } from './types.ts'

/** The one acknowledgement that waits for the disk: a later one says all that an earlier one did. */
export interface PendingAck {
  matchIndex: LogIndex
  readRound: number
  /** What was acknowledged or could have been when it was raised: only more than that is worth a message. */
  sentIndex: LogIndex
}

/**
 * The process of the leader is gone: campaigns come soon, and need not wait for the timeout. A few only; then the timeout is waited
 * for as ever.
 */
export interface Haste {
  /** Until the next attempt. */
  ticks: number
  attemptsLeft: number
}

/** Follower and learner alike: which of the two is a matter of the configuration. */
export interface FollowerRole {
  readonly kind: 'follower'
  leaderId: NodeId | undefined
  /** Up to here the log is known to equal the leader's. */
  matchedIndex: LogIndex
  /** The first last index that this leader reported: what a node that lost entries must hold to have them all again. */
  reportedLastIndex: LogIndex | undefined
  pendingAck: PendingAck | undefined
  /** The vote of this term was asked for, and its grant waits for the disk. */
  isGrantPending: boolean
  /** Read requests sent to the leader and not answered. */
  readonly reads: Set<ReadId>
  /** A node without state: ticks until it asks for a snapshot again. */
  snapshotRequestTicks: number
  /** There is evidence that the leader's process is gone, and nothing has been heard of it since. */
  haste: Haste | undefined
}

export interface PreCandidateRole {
  readonly kind: 'pre-candidate'
  readonly votes: Map<NodeId, boolean>
  /** Its timeout has not passed: it asks because its leader is gone, and may ask again soon. */
  readonly haste: Haste | undefined
}

export interface CandidateRole {
  readonly kind: 'candidate'
  readonly votes: Map<NodeId, boolean>
  readonly isTransfer: boolean
  /** Term, own vote and log are durable, and the requests have left. */
  isRequested: boolean
}

export interface Transfer {
  readonly to: NodeId
  elapsedTicks: number
  isSent: boolean
}

export interface LeaderRole {
  readonly kind: 'leader'
  /** All members but this node, in the order of their ids. */
  readonly peers: ReadonlyMap<NodeId, Progress>
  /** The no-op of this term: only from it on does counting copies commit anything (§3.6.2). */
  readonly termStartIndex: LogIndex
  readonly reads: LeaderReads
  transfer: Transfer | undefined
  heartbeatTicks: number
  isHeartbeatDue: boolean
  quorumCheckTicks: number
  /** The disk stalls, and leadership was offered to a peer. */
  isHandingOver: boolean
}

export type RoleState = FollowerRole | PreCandidateRole | CandidateRole | LeaderRole
