// The state that all parts of the core share, and nothing that only one role needs. The parts (election, replication, ...)
// are modules of functions over it; `RaftNode` is the face it shows to the driver.
import type { RaftConfig, RaftInit } from './config.ts'
import { RaftLog } from './log.ts'
import { isLearner, isVoter } from './quorum.ts'
import { Outbox } from './ready.ts'
import type { FollowerRole, RoleState } from './roles.ts'
import type { ConfState, LogIndex, NodeId, Role, SnapshotMeta, Standing, Term, WriteId } from './types.ts'

/** The write that the driver has and has not acknowledged. */
export interface OutstandingWrite {
  readonly id: WriteId
  /** The version of term and vote that it makes durable. */
  readonly voteVersion: number
  readonly snapshot: SnapshotMeta | undefined
  readonly hasEntries: boolean
  /** How long it has taken so far. */
  ticks: number
}

export function newFollower(leaderId: NodeId | undefined): FollowerRole {
  return {
    kind: 'follower',
    leaderId,
    matchedIndex: 0,
    reportedLastIndex: undefined,
    pendingAck: undefined,
    isGrantPending: false,
    reads: new Set(),
    snapshotRequestTicks: 0,
    haste: undefined,
  }
}

export class Core {
  readonly config: RaftConfig
  readonly id: NodeId
  readonly log: RaftLog
  readonly out = new Outbox()

  role: RoleState = newFollower(undefined)
  term: Term
  votedFor: NodeId | undefined
  /** Counts changes of term or vote; what is durable of them is `durableVoteVersion`. */
  voteVersion = 0
  durableVoteVersion = 0

  confState: ConfState
  standing: Standing

  /** Ticks since the leader was heard, a vote granted or an election begun. */
  electionTicks = 0
  /** Drawn anew for each election, in [n, 2n). */
  electionTimeout: number

  write: OutstandingWrite | undefined
  lastWriteId: WriteId = 0
  recordedCommitIndex: LogIndex
  /** Verified on disk and accepted; its swap waits for the write before, or is under way. */
  pendingSnapshot: SnapshotMeta | undefined
  isSpaceLow = false

  constructor(config: RaftConfig, init: RaftInit) {
    this.config = config
    this.id = config.id
    this.log = new RaftLog(init.base, init.entries, init.appliedIndex)
    this.term = init.hardState.term
    this.votedFor = init.hardState.votedFor
    this.recordedCommitIndex = init.hardState.commitIndex
    this.confState = init.confState
    this.standing = init.standing
    this.electionTimeout = this.drawElectionTimeout()
  }

  get leaderId(): NodeId | undefined {
    if (this.role.kind === 'leader') return this.id
    return this.role.kind === 'follower' ? this.role.leaderId : undefined
  }

  get roleName(): Role {
    return this.role.kind === 'follower' && isLearner(this.confState, this.id) ? 'learner' : this.role.kind
  }

  get isVoter(): boolean {
    return isVoter(this.confState, this.id)
  }

  /** Term and vote survive a crash. */
  get isVoteDurable(): boolean {
    return this.durableVoteVersion === this.voteVersion
  }

  drawElectionTimeout(): number {
    const ticks = this.config.electionTimeoutTicks
    return ticks + this.config.prng.below(ticks)
  }

  /** Restarts the wait for a leader. */
  restartElectionTimer(): void {
    this.electionTicks = 0
    this.electionTimeout = this.drawElectionTimeout()
  }
}
