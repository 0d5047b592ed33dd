// The consensus core's face: inputs change it, `takeReady` says what must be done, acknowledgements report what was done.
// It dispatches; the rules are in the modules beside it. No clock, dice, disk, network or callback: the same inputs in the
// same order give the same outputs, always (README.md).
import { unreachable } from '../lib/assert.ts'
import { handleAppendEntriesResponse, handleHeartbeatResponse, handleRequestSnapshot } from './acknowledgements.ts'
import type { RaftConfig, RaftInit } from './config.ts'
import { assertConfig, assertInit } from './config.ts'
import { Core } from './core.ts'
import { nextWrite, persisted, settle } from './durability.ts'
import {
  handleRequestPreVote,
  handleRequestPreVoteResponse,
  handleRequestVote,
  handleRequestVoteResponse,
  handleTimeoutNow,
  tickElection,
} from './election.ts'
import { handleAppendEntries, handleHeartbeat, handleInstallSnapshot, tickSnapshotRequest } from './following.ts'
import { reportGone } from './haste.ts'
import { Invariants } from './invariants.ts'
import type { Message } from './messages.ts'
import { hasQuorum } from './quorum.ts'
import { handleReadIndex, handleReadIndexResponse, readIndex } from './reads.ts'
import type {
  PeerStatus,
  ProposeOutcome,
  RaftStatus,
  ReadIndexOutcome,
  Ready,
  StepOutcome,
  TransferOutcome,
} from './ready.ts'
import { dropped } from './ready.ts'
import { flush, loaded, propose, reportSnapshot, reportUnreachable, tickLeader } from './replication.ts'
import { reconcileTerm } from './terms.ts'
import { transferLeadership } from './transfer.ts'
import type {
  ConfState,
  EntryId,
  LogIndex,
  LogSlice,
  NodeId,
  ReadId,
  Role,
  RoleChange,
  Standing,
  Term,
  WriteId,
} from './types.ts'

export type { RaftConfig, RaftInit } from './config.ts'
export type {
  DropReason,
  PeerStatus,
  ProposeOutcome,
  RaftStatus,
  ReadIndexOutcome,
  Ready,
  StepOutcome,
  TransferOutcome,
} from './ready.ts'

export class RaftNode {
  readonly #core: Core
  readonly #invariants: Invariants
  #reported: RoleChange

  constructor(config: RaftConfig, init: RaftInit) {
    assertConfig(config)
    assertInit(init)
    this.#core = new Core(config, init)
    this.#invariants = new Invariants(this.#core)
    this.#reported = this.#roleNow()
    this.#invariants.check(this.#core)
  }

  // ------------------------------------------------------------------------------------------------------------- inputs

  /** Time passes. However late it comes, a tick counts once. */
  tick(): void {
    const core = this.#core
    if (core.write !== undefined) core.write.ticks++
    if (core.role.kind === 'leader') {
      tickLeader(core, core.role)
    } else {
      tickElection(core)
      tickSnapshotRequest(core)
    }
    this.#finish()
  }

  /** A message from a peer. It is input: nonsense is dropped with a reason, and never thrown about. */
  step(message: Message): StepOutcome {
    const outcome = this.#receive(message)
    this.#finish()
    return outcome
  }

  /** Appends to the leader's log; committed when it comes out of `committed` with this id. It may be lost until then. */
  propose(data: Uint8Array): ProposeOutcome {
    const outcome = propose(this.#core, data)
    this.#finish()
    return outcome
  }

  /** Asks for an index at which a read that begins now is linearizable: `confirmedReads` or `abortedReads` will answer. */
  readIndex(id: ReadId): ReadIndexOutcome {
    const outcome = readIndex(this.#core, id)
    this.#finish()
    return outcome
  }

  /** Hands leadership to a voter; undefined = the one that has most of the log. */
  transferLeadership(to: NodeId | undefined): TransferOutcome {
    const outcome = transferLeadership(this.#core, to)
    this.#finish()
    return outcome
  }

  /** Messages to the peer were lost, or its connection was made anew. */
  reportUnreachable(peer: NodeId): void {
    reportUnreachable(this.#core, peer)
    this.#finish()
  }

  /**
   * The connection to the peer broke, and its process is evidently gone. Says whether that is news: the peer leads, as far as this
   * node knows. It may be wrong: an election more is all that can come of it.
   */
  reportGone(peer: NodeId): boolean {
    const isNews = reportGone(this.#core, peer)
    this.#finish()
    return isNews
  }

  /** The answer to one of `snapshotsWanted`. */
  reportSnapshot(peer: NodeId, outcome: 'installed' | 'failed'): void {
    reportSnapshot(this.#core, peer, outcome)
    this.#finish()
  }

  /** Free space on this node's disk is below the reserve, or is not any more. */
  reportSpaceLow(isLow: boolean): void {
    this.#core.isSpaceLow = isLow
  }

  // ------------------------------------------------------------------------------------------------- output and answers

  /** What must be done now; undefined when nothing. Call until it is. */
  takeReady(): Ready | undefined {
    const core = this.#core
    if (core.role.kind === 'leader') flush(core, core.role)
    const write = nextWrite(core)
    const mayApply = core.standing !== 'stateless' && core.pendingSnapshot === undefined
    const committed = mayApply ? core.log.takeCommitted() : undefined
    return core.out.take(write, committed, this.#takeRoleChange())
  }

  /** The write with this id survives a crash. */
  persisted(id: WriteId): void {
    persisted(this.#core, id)
    this.#finish()
  }

  /** The answer to one of `loads`; undefined when those entries are compacted. */
  loaded(peer: NodeId, slice: LogSlice | undefined): void {
    loaded(this.#core, peer, slice)
    this.#finish()
  }

  /** The state machine has executed everything up to `index`. */
  applied(index: LogIndex): void {
    this.#core.log.appliedTo(index, this.#core.config.memoryLogBytesMax)
    this.#finish()
  }

  // -------------------------------------------------------------------------------------------------------------- views

  get id(): NodeId {
    return this.#core.id
  }

  get term(): Term {
    return this.#core.term
  }

  get role(): Role {
    return this.#core.roleName
  }

  get isLeader(): boolean {
    return this.#core.role.kind === 'leader'
  }

  get leaderId(): NodeId | undefined {
    return this.#core.leaderId
  }

  get votedFor(): NodeId | undefined {
    return this.#core.votedFor
  }

  get commitIndex(): LogIndex {
    return this.#core.log.commitIndex
  }

  get persistedIndex(): LogIndex {
    return this.#core.log.persistedIndex
  }

  get appliedIndex(): LogIndex {
    return this.#core.log.appliedIndex
  }

  get lastIndex(): LogIndex {
    return this.#core.log.lastIndex
  }

  get lastEntryId(): EntryId {
    return this.#core.log.last
  }

  /** Bytes of the log in memory. */
  get memoryLogBytes(): number {
    return this.#core.log.bytes
  }

  get confState(): ConfState {
    return this.#core.confState
  }

  get standing(): Standing {
    return this.#core.standing
  }

  get isTransferring(): boolean {
    return this.#core.role.kind === 'leader' && this.#core.role.transfer !== undefined
  }

  /** On a leader: a quorum of voters, itself included, has disk space to spare. Elsewhere: this node has. */
  get hasQuorumSpace(): boolean {
    const core = this.#core
    const { role } = core
    if (role.kind !== 'leader') return !core.isSpaceLow
    return hasQuorum(core.confState, (id) =>
      id === core.id ? !core.isSpaceLow : role.peers.get(id)?.isSpaceLow === false,
    )
  }

  /** Undefined when unknown: beyond the log, compacted, or no longer in memory. */
  termAt(index: LogIndex): Term | undefined {
    return this.#core.log.termAt(index)
  }

  status(): RaftStatus {
    const { log, role } = this.#core
    return {
      id: this.id,
      term: this.term,
      role: this.role,
      leaderId: this.leaderId,
      votedFor: this.votedFor,
      standing: this.standing,
      commitIndex: log.commitIndex,
      persistedIndex: log.persistedIndex,
      appliedIndex: log.appliedIndex,
      lastIndex: log.lastIndex,
      isTransferring: this.isTransferring,
      peers:
        role.kind === 'leader'
          ? [...role.peers].map(([id, progress]): PeerStatus => ({
              id,
              kind: progress.state.kind,
              matchIndex: progress.matchIndex,
              nextIndex: progress.nextIndex,
              isActive: progress.isActive,
              isSpaceLow: progress.isSpaceLow,
            }))
          : [],
    }
  }

  // ----------------------------------------------------------------------------------------------------------- internals

  /** After every input: pays what has become payable, and checks that the world still makes sense. */
  #finish(): void {
    settle(this.#core)
    this.#invariants.check(this.#core)
  }

  #receive(message: Message): StepOutcome {
    const core = this.#core
    if (message.to !== core.id || message.from === core.id) return dropped('misaddressed')
    const refusal = reconcileTerm(core, message)
    return refusal ?? dispatch(core, message)
  }

  #roleNow(): RoleChange {
    return { role: this.role, term: this.term, leaderId: this.leaderId }
  }

  #takeRoleChange(): RoleChange | undefined {
    const { role, term, leaderId } = this.#reported
    if (role === this.role && term === this.term && leaderId === this.leaderId) return undefined
    this.#reported = this.#roleNow()
    return this.#reported
  }
}

function dispatch(core: Core, message: Message): StepOutcome {
  switch (message.type) {
    case 'append-entries':
      return handleAppendEntries(core, message)
    case 'append-entries-response':
      return handleAppendEntriesResponse(core, message)
    case 'heartbeat':
      return handleHeartbeat(core, message)
    case 'heartbeat-response':
      return handleHeartbeatResponse(core, message)
    case 'request-pre-vote':
      return handleRequestPreVote(core, message)
    case 'request-pre-vote-response':
      return handleRequestPreVoteResponse(core, message)
    case 'request-vote':
      return handleRequestVote(core, message)
    case 'request-vote-response':
      return handleRequestVoteResponse(core, message)
    case 'install-snapshot':
      return handleInstallSnapshot(core, message)
    case 'request-snapshot':
      return handleRequestSnapshot(core, message)
    case 'timeout-now':
      return handleTimeoutNow(core, message)
    case 'read-index':
      return handleReadIndex(core, message)
    case 'read-index-response':
      return handleReadIndexResponse(core, message)
    default:
      return unreachable(message)
  }
}
