// What the core hands to its driver: the Ready, the answers of its inputs, and its status. Types, and the outbox where the
// parts of the next Ready gather.
import type { Message } from './messages.ts'
import type {
  ConfirmedRead,
  Entry,
  EntryId,
  Load,
  LogIndex,
  NodeId,
  ReadId,
  Role,
  RoleChange,
  Standing,
  Term,
  Write,
} from './types.ts'

/** All that must be done now. Messages may leave at once, in parallel with the write: those that depend on it come later. */
export interface Ready {
  readonly messages: readonly Message[]
  /** At most one is outstanding: absent until `persisted`. */
  readonly write: Write | undefined
  /** Apply in order. Only entries that this node itself has made durable. */
  readonly committed: readonly Entry[]
  readonly confirmedReads: readonly ConfirmedRead[]
  /** The leader these reads asked is gone: ask again, or give up. */
  readonly abortedReads: readonly ReadId[]
  readonly loads: readonly Load[]
  /** Stream a state to these, then `reportSnapshot`. */
  readonly snapshotsWanted: readonly NodeId[]
  readonly roleChange: RoleChange | undefined
}

/** Why a message had no effect. Each is counted by the driver; none is an error of this node. */
export type DropReason =
  /** For another node, or from ourselves. */
  | 'misaddressed'
  | 'stale-term'
  /** Numbers that make no sense together: entries out of order, an index beyond our log. */
  | 'malformed'
  /** A vote or pre-vote asked while the leader is alive (§4.2.3). */
  | 'leader-alive'
  /** Nothing that this role waits for, or waits for any more. */
  | 'unexpected'
  | 'not-a-member'
  /** A second leader in one term, or other entries where ours are committed: the sender breaks the rules. */
  | 'contradiction'
  /** Applying has fallen too far behind to take more entries, or too many reads wait. */
  | 'overloaded'
  /** Asked to campaign, but may not: no voter, no usable state or log, or a stalled disk. */
  | 'not-promotable'
  /** The state at hand, or the log, already covers the snapshot. The received state can go. */
  | 'snapshot-needless'
  | 'snapshot-pending'
  /** Older than what memory holds of the log; a newer one will do. */
  | 'snapshot-too-old'
  /** Meant for an earlier life of this process. */
  | 'stale-boot'

export type StepOutcome = { readonly kind: 'accepted' } | { readonly kind: 'dropped'; readonly reason: DropReason }

export type ProposeOutcome =
  | { readonly kind: 'accepted'; readonly id: EntryId }
  | { readonly kind: 'dropped'; readonly reason: 'not-leader' | 'transferring' | 'overloaded' }

export type ReadIndexOutcome =
  | { readonly kind: 'accepted' }
  | { readonly kind: 'dropped'; readonly reason: 'no-leader' | 'stateless' | 'not-member' }

export type TransferOutcome =
  | { readonly kind: 'accepted'; readonly to: NodeId }
  | {
      readonly kind: 'dropped'
      /** `transferring`: to someone else already. `no-target`: no other voter is active. */
      readonly reason: 'not-leader' | 'not-voter' | 'self' | 'transferring' | 'no-target'
    }

export interface PeerStatus {
  readonly id: NodeId
  readonly kind: 'probe' | 'replicate' | 'snapshot'
  readonly matchIndex: LogIndex
  readonly nextIndex: LogIndex
  /** Heard from since the last check of the quorum (§6.2). */
  readonly isActive: boolean
  readonly isSpaceLow: boolean
}

export interface RaftStatus {
  readonly id: NodeId
  readonly term: Term
  readonly role: Role
  readonly leaderId: NodeId | undefined
  readonly votedFor: NodeId | undefined
  readonly standing: Standing
  readonly commitIndex: LogIndex
  readonly persistedIndex: LogIndex
  readonly appliedIndex: LogIndex
  readonly lastIndex: LogIndex
  readonly isTransferring: boolean
  /** The leader's view of the others, sorted by id; empty elsewhere. */
  readonly peers: readonly PeerStatus[]
}

export const ACCEPTED: StepOutcome = { kind: 'accepted' }

export const dropped = (reason: DropReason): StepOutcome => ({ kind: 'dropped', reason })

const NONE: readonly never[] = []

/** Gathers what inputs caused, until the driver takes it. */
export class Outbox {
  #messages: Message[] = []
  #confirmedReads: ConfirmedRead[] = []
  #abortedReads: ReadId[] = []
  #loads: Load[] = []
  #snapshotsWanted: NodeId[] = []

  send(message: Message): void {
    this.#messages.push(message)
  }

  confirmRead(id: ReadId, index: LogIndex): void {
    this.#confirmedReads.push({ id, index })
  }

  abortRead(id: ReadId): void {
    this.#abortedReads.push(id)
  }

  load(load: Load): void {
    this.#loads.push(load)
  }

  wantSnapshot(peer: NodeId): void {
    this.#snapshotsWanted.push(peer)
  }

  /** Everything gathered, and what the log has to say; undefined when there is nothing to do. */
  take(
    write: Write | undefined,
    committed: readonly Entry[] | undefined,
    roleChange: RoleChange | undefined,
  ): Ready | undefined {
    const isIdle =
      this.#messages.length === 0 &&
      write === undefined &&
      committed === undefined &&
      roleChange === undefined &&
      this.#confirmedReads.length === 0 &&
      this.#abortedReads.length === 0 &&
      this.#loads.length === 0 &&
      this.#snapshotsWanted.length === 0
    if (isIdle) return undefined
    const ready: Ready = {
      messages: this.#messages,
      write,
      committed: committed ?? NONE,
      confirmedReads: this.#confirmedReads,
      abortedReads: this.#abortedReads,
      loads: this.#loads,
      snapshotsWanted: this.#snapshotsWanted,
      roleChange,
    }
    this.#messages = []
    this.#confirmedReads = []
    this.#abortedReads = []
    this.#loads = []
    this.#snapshotsWanted = []
    return ready
  }
}
