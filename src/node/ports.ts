// The ports: what the driver needs from the world, as small interfaces that it owns. Disks, networks, clocks and loggers
// implement them at the edges; the simulator and the tests implement them in memory. Nothing here knows how.
import type { KeyString } from '../lib/bytes.ts'
import type { KeyRange } from '../api/commands.ts'
import type { Change, KeyRecord, KvMeta, KvState, ReadSet, Revision, RevisionId, RowKey } from '../kv/types.ts'
import type {
  Boot,
  ConfState,
  Entry,
  EntryId,
  HardState,
  LogIndex,
  LogSlice,
  Message,
  NodeId,
  SnapshotMeta,
  Term,
} from '../raft/index.ts'

// ---------------------------------------------------------------------------------------------------- time and chance

export interface Timer {
  cancel(): void
}

export interface Clock {
  /** Monotonic milliseconds from an arbitrary start; fractions allowed. Never the wall clock. */
  now(): number
  /** Calls back once, no earlier than `delayMs` from now. */
  after(delayMs: number, callback: () => void): Timer
  /** Calls back after the input of this turn of the event loop was read, before waiting for more. */
  soon(callback: () => void): void
}

// ------------------------------------------------------------------------------------------------------------- logging

type LogFields = Readonly<Record<string, unknown>>

export interface Logger {
  debug(fields: LogFields, message: string): void
  info(fields: LogFields, message: string): void
  warn(fields: LogFields, message: string): void
  error(fields: LogFields, message: string): void
}

// ----------------------------------------------------------------------------------------------------- the log on disk

/** What one append makes durable, atomically: all of it survives a crash, or none. */
export interface LogWrite {
  readonly hardState: HardState | undefined
  /** Contiguous. A first index at or below the last one supersedes the suffix from there on. */
  readonly entries: readonly Entry[]
  /**
   * The log restarts from this state. Entries above it are kept if the log holds exactly (index, term) of the snapshot,
   * and dropped otherwise.
   */
  readonly snapshot: SnapshotMeta | undefined
}

export interface RecoveredLog {
  readonly hardState: HardState
  /** The latest snapshot marker, or undefined in a log that was never compacted. */
  readonly marker: SnapshotMeta | undefined
  /** `prev` and the entries to be kept in memory: at least all above the index asked for at opening. */
  readonly tail: LogSlice
}

/** The replicated log on disk. Any failure is final: the promise rejects, the process stops, nothing is retried. */
export interface RaftStorage {
  readonly recovered: RecoveredLog
  /** What was recovered has been taken: it may be large, and need not be kept. */
  releaseRecovered(): void
  /** Resolves when durable. At most one append is outstanding; a second call before that is a bug and throws. */
  append(write: LogWrite): Promise<void>
  /** Entries [first, last] as far as `bytesMax` reaches, at least one; undefined when `first - 1` or later is compacted. */
  read(range: { first: LogIndex; last: LogIndex; bytesMax: number }): Promise<LogSlice | undefined>
  /**
   * Entries up to `marker.index` are no longer needed. The marker becomes durable with the next append; only after that
   * is space reused. Never above an index that the state has made durable.
   */
  compactTo(marker: SnapshotMeta): void
  /** The lowest index that `read` can give (last index + 1 when empty). */
  readonly firstIndex: LogIndex
  /** Bytes of the live log on disk, preallocated space not counted. */
  readonly sizeBytes: number
  close(): Promise<void>
}

// --------------------------------------------------------------------------------------------------- the state on disk

/** A member as the replicated configuration knows it. */
export interface MemberInfo {
  readonly id: NodeId
  /** Matches [A-Za-z0-9._-]{1,64}. */
  readonly name: string
  /** host:port of the peer port. */
  readonly peer: string
}

/** The replicated configuration: who counts, and how to find them. */
export interface ClusterConfiguration {
  readonly confState: ConfState
  readonly members: readonly MemberInfo[]
}

/** What a read found: the record of the latest change (maybe a tombstone), or that there is none. */
export type Found = KeyRecord | undefined

/**
 * The state machine's state. LevelDB *is* the state; what apply wrote since the last completed batch is in a table in
 * memory. Reads see the table first. Any failure of the disk is final and reported through `onFailure`.
 */
export interface StateStore extends KvState {
  readonly configuration: ClusterConfiguration
  /** After the last committed entry. */
  readonly meta: KvMeta
  /** The rows beside the keys as they were when the state was opened. The caller keeps them from then on; call it once. */
  takeRows(): ReadonlyMap<RowKey, Uint8Array>
  /**
   * Fetches what the next commands of an entry will ask for, on top of what its earlier ones did; undefined when all of it is
   * in memory already. What was fetched stays until the entry's commit.
   */
  prefetch(wanted: ReadSet): Promise<void> | undefined
  put(change: Change): void
  /** Ends an entry: what was put since the last call belongs to it, and only now may become durable. */
  commitEntry(meta: KvMeta): void
  /** Undefined when there is room; else resolves when the table has drained enough to go on applying. */
  room(): Promise<void> | undefined
  /** The latest record as of the last committed entry. Answers at once when it is in memory. */
  get(key: KeyString): Found | Promise<Found>
  /** Pins the state as of the last committed entry: for listings and the past. Close it, or space is never reclaimed. */
  openView(): StateView
  /**
   * The changes of revision `from` and later as of the last committed entry, whole revisions in order; `undefined` when `from`
   * is below the compact revision. Recent ones are still in memory.
   */
  changesFrom(from: Revision, bounds: { recordsMax: number; bytesMax: number }): Promise<HistoryPage | undefined>
  /** One record of the past, for the previous value of an event; undefined when it was compacted. */
  recordAt(at: RevisionId): Promise<KeyRecord | undefined>
  /** What a completed, synced batch names: everything at or below survives a crash. */
  readonly persisted: EntryId
  /** Called after each completed batch. */
  onPersisted(callback: (persisted: EntryId) => void): void
  onFailure(callback: (error: Error) => void): void
  /** Starts removing history below the compact revision in the background, throttled (design: compaction's second half). */
  removeHistory(compactRevision: Revision): void
  /** Pins the state as of a completed batch. Close it, or space is never reclaimed. */
  openSnapshot(): Promise<StateSnapshot>
  /** Resolves when everything committed so far is durable. */
  drain(): Promise<void>
  stats(): { readonly dbBytes: number; readonly tableBytes: number; readonly cacheBytes: number }
  close(): Promise<void>
}

export interface HistoryPage {
  readonly records: readonly KeyRecord[]
  /** All changes up to this revision are in `records` or came before `from`. */
  readonly through: Revision
}

/** `prefix`: all keys that begin with it, rolled up. */
export type ListItem =
  | { readonly kind: 'record'; readonly record: KeyRecord }
  | { readonly kind: 'prefix'; readonly prefix: KeyString }

export interface ListQuery {
  readonly range: KeyRange
  /** At most the view's, at least its compact revision. */
  readonly revision: Revision
  readonly reverse: boolean
  readonly itemsMax: number
  /** Of keys and values; at least one item comes, however large. */
  readonly bytesMax: number
  /** Rolls keys up below the first occurrence of `text` after the first `offset` bytes of the key. */
  readonly separator: { readonly text: KeyString; readonly offset: number } | undefined
}

export interface ListPage {
  readonly items: readonly ListItem[]
  /** The part of the range that is still to be listed, if any. It may turn out to be empty. */
  readonly rest: KeyRange | undefined
}

/** The state at one revision, and at those before it that are not compacted, while writes go on. */
export interface StateView {
  readonly revision: Revision
  readonly compactRevision: Revision
  /** The record that was current at that revision (never a tombstone), or undefined. */
  get(key: KeyString, revision: Revision): Promise<KeyRecord | undefined>
  list(query: ListQuery): Promise<ListPage>
  count(range: KeyRange, revision: Revision): Promise<number>
  close(): Promise<void>
}

/** A pinned state, to be streamed to a follower. Chunks carry their own checksums; the transport does not look inside. */
export interface StateSnapshot {
  readonly meta: SnapshotMeta
  chunks(): AsyncIterable<Uint8Array>
  close(): Promise<void>
}

/** Where a streamed state arrives: a fresh directory that nothing points at yet. */
export interface SnapshotReceiver {
  write(chunk: Uint8Array): Promise<void>
  /** Verifies count, checksums and digest and makes the directory durable. Rejects with the reason otherwise. */
  finish(): Promise<ReceivedSnapshot>
  abort(): Promise<void>
}

export interface ReceivedSnapshot {
  readonly meta: SnapshotMeta
  discard(): Promise<void>
}

/** The directory of states: which one is current, and the swap to a received one. */
export interface StateStorage {
  /** The state that the pointer names. Exists from `initialise` on. */
  readonly current: StateStore
  /** A crash fell between swapping the state and writing the log's marker for exactly this meta. */
  readonly pendingMarker: SnapshotMeta | undefined
  receive(): Promise<SnapshotReceiver>
  /** Opens the received state, renames the pointer (saying *marker pending*), syncs the directory. The old store stays open. */
  install(received: ReceivedSnapshot): Promise<StateStore>
  /** The log's marker is durable: clears the note, closes and removes the old state. */
  finishInstall(): Promise<void>
}

// ------------------------------------------------------------------------------------------------------------ the peers

/** What a handshake told about a peer's process. */
export interface PeerHello {
  readonly id: NodeId
  readonly name: string
  readonly boot: Boot
  /** 32 hex digits, random, drawn once when the data directory was initialised. */
  readonly incarnation: string
  /** The advertised base URL of its HTTP port, or ''. */
  readonly url: string
  /** The release, such as 0.1.0. */
  readonly version: string
}

export type PeerRefusal = 'cluster-id' | 'not-a-member' | 'secret' | 'protocol-version' | 'incarnation' | 'wrong-node'

export type ForwardAnswer =
  /** The leader put the group into this entry. It may still lose it. */
  | { readonly kind: 'proposed'; readonly id: EntryId }
  /** The leader says that nothing was proposed. `code` is a code of the error table. */
  | { readonly kind: 'not-proposed'; readonly code: string; readonly detail: string }
  /** Not one byte reached a socket: certain, and safe to send elsewhere. */
  | { readonly kind: 'unsent' }
  /** Some of it may have arrived; the link broke before an answer. */
  | { readonly kind: 'lost' }

/** Rare questions between nodes, as JSON: small, validated by the handler. */
export type ControlKind = 'register' | 'cluster' | 'transfer'

export interface PeerHandlers {
  /** May this peer talk to us? Called in each handshake, both ways, after secret and membership were checked. */
  admit(peer: PeerHello): PeerRefusal | undefined
  /** A peer refuses us, and says why. */
  onRefused(peer: NodeId, refusal: PeerRefusal, detail: string): void
  onMessage(message: Message): void
  /** `commands` is the body of one group (design, section 4). Answer exactly once. */
  onForward(from: PeerHello, number: number, commands: Uint8Array, answer: (answer: ForwardAnswer) => void): void
  onControl(from: PeerHello, kind: ControlKind, body: unknown): Promise<unknown>
  /** A state streams in from the leader of `term`. Resolves when it is installed or found needless, rejects otherwise. */
  onSnapshot(from: PeerHello, term: Term, chunks: AsyncIterable<Uint8Array>): Promise<void>
  /** The connection for Raft messages came up or went down. */
  onConnection(peer: NodeId, isUp: boolean): void
  /**
   * After that connection went down, at most once: the peer's process is evidently gone, for its machine refuses to connect.
   * Evidence, not certainty: whoever acts on it must be right also when the peer lives.
   */
  onGone(peer: NodeId): void
}

/** The connections to all other members. Frames and queues are bounded; a full queue drops Raft messages and counts them. */
export interface PeerTransport {
  start(handlers: PeerHandlers): Promise<void>
  /** Best effort, in order for each peer while a connection lasts. */
  send(messages: readonly Message[]): void
  forward(to: NodeId, number: number, commands: Uint8Array, done: (answer: ForwardAnswer) => void): void
  /** Rejects with a plain Error when unreachable, refused or late. */
  control(to: NodeId, kind: ControlKind, body: unknown, timeoutMs: number): Promise<unknown>
  /** Resolves when the peer has installed the state or needs it no more. */
  sendSnapshot(to: NodeId, term: Term, snapshot: StateSnapshot): Promise<void>
  /** The peer's latest hello, while connected. */
  hello(peer: NodeId): PeerHello | undefined
  /** Counters by name, for metrics and logs. */
  stats(): Readonly<Record<string, number>>
  close(): Promise<void>
}

// ---------------------------------------------------------------------------------------------------- local small files

/** Which incarnation of each founding member this node has vouched for (design, "Incarnations"). Synced before it answers. */
export interface IncarnationRegistry {
  readonly own: string
  /** A majority of the others has registered ours, durably noted. */
  readonly isRegistered: boolean
  markRegistered(): Promise<void>
  get(member: NodeId): string | undefined
  /** Resolves when durable. */
  record(member: NodeId, incarnation: string): Promise<void>
}

/**
 * The durable note that this node's log has lost acknowledged entries and has not caught up since: a crash in between must not
 * make it forget that it may not vote.
 */
export interface AmnesiaNote {
  readonly isSet: boolean
  set(): Promise<void>
  clear(): Promise<void>
}

/** Free space on the data directory's file system. */
export interface DiskSpace {
  freeBytes(): Promise<number>
}
