// The nouns of the consensus core: terms, entries, configurations, what is persisted. Data only; see README.md for the tour.
// Everything is readonly and plain: a value that left the core is never changed behind the reader's back.

/** A logical period with at most one leader (§3.3). From 1; 0 = before the first election. */
export type Term = number

/** A position in the log, from 1; 0 = before the first entry (§3.5). */
export type LogIndex = number

/** A server: a uint64 as 16 lower-case hex digits. Forever the same server, never reused. Sorts as its number. */
export type NodeId = string

/** A random number of 48 bits drawn at each process start. It tells the life of a process from its earlier ones. */
export type Boot = number

/** Names an entry uniquely: no two different entries have both in common (Log Matching, §3.5). */
export interface EntryId {
  readonly term: Term
  readonly index: LogIndex
}

export type EntryKind = 'normal' | 'no-op' | 'configuration'

export interface Entry extends EntryId {
  readonly kind: EntryKind
  /** Opaque to the core. Never changed after it was proposed or received. */
  readonly data: Uint8Array
}

/** The entry before the first one: what an empty log of a new cluster starts from. */
export const ORIGIN: EntryId = { term: 0, index: 0 }

/** Contiguous entries and the entry just before them. `entries[0].index === prev.index + 1`. */
export interface LogSlice {
  readonly prev: EntryId
  readonly entries: readonly Entry[]
}

/** What must survive a restart (§3.8). The commit index is a hint there, never a claim: it may lag. */
export interface HardState {
  readonly term: Term
  readonly votedFor: NodeId | undefined
  readonly commitIndex: LogIndex
}

/** Who counts. `votersOutgoing` is non-empty only while a joint change is under way (§4.3). All lists are sorted. */
export interface ConfState {
  readonly voters: readonly NodeId[]
  readonly votersOutgoing: readonly NodeId[]
  readonly learners: readonly NodeId[]
  readonly learnersNext: readonly NodeId[]
  readonly autoLeave: boolean
}

/** Names a state of the state machine: after which entry, and the configuration in force there (§5.1). */
export interface SnapshotMeta extends EntryId {
  readonly confState: ConfState
}

export type Role = 'follower' | 'pre-candidate' | 'candidate' | 'leader' | 'learner'

/**
 * What this node may do, decided at recovery (design: "Recovery", "the log's witness").
 * - `full`: everything.
 * - `amnesiac`: the log has lost acknowledged entries. It answers appends truthfully, but grants no vote or pre-vote and
 *   does not campaign until it holds the last index that a leader of its term or later reported to this boot.
 * - `stateless`: there is no usable state. It acknowledges and votes, but does not campaign, and asks the leader for a
 *   snapshot (`request-snapshot`) until one is installed.
 */
export type Standing = 'full' | 'amnesiac' | 'stateless'

export type WriteId = number
export type ReadId = number

/**
 * One durable append to the log. At most one is outstanding. The messages that depend on it stay inside the core: after
 * `persisted(id)` they are in the next Ready. Its entries are bounded like those of one append message.
 */
export interface Write {
  readonly id: WriteId
  /** Present when term or vote changed, or the commit index is worth recording along. */
  readonly hardState: HardState | undefined
  /** May start at or below the log's last index: the record then supersedes the suffix from its first index on. */
  readonly entries: readonly Entry[]
  /** Swap the state for the verified one with this meta, received beforehand; the log restarts from it (§5). */
  readonly snapshot: SnapshotMeta | undefined
  /** False when only the commit index changed: it may ride along with a later write. */
  readonly mustSync: boolean
}

/** A linearizable read may be served once `appliedIndex >= index` (§6.4). */
export interface ConfirmedRead {
  readonly id: ReadId
  readonly index: LogIndex
}

/** Entries below the ones in memory, wanted from the log on disk for a slow peer. Answer with `loaded()`. */
export interface Load {
  readonly peer: NodeId
  readonly first: LogIndex
  readonly last: LogIndex
  readonly bytesMax: number
}

export interface RoleChange {
  readonly role: Role
  readonly term: Term
  readonly leaderId: NodeId | undefined
}
