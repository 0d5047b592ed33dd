// What a node offers to its edges (HTTP today): commands in, answers out, errors from the table. No promises on the hot path.
import type {
  ClientCommand,
  CommandResult,
  KeyEntry,
  KeyRange,
  LeaseId,
  LockCommand,
  LockKind,
} from '../api/commands.ts'
import type { QuorateError } from '../api/errors.ts'
import type { ClusterStatus, HealthReport, NodeStatus } from '../api/status.ts'
import type { KeyString } from '../lib/bytes.ts'

export interface ReadOptions {
  readonly consistency: 'linearizable' | 'stale'
  /** Only with `stale`: older than this is TOO_STALE. Milliseconds. */
  readonly maxStaleMs: number | undefined
  /** Wait until this node has applied that revision. */
  readonly minRevision: number | undefined
  readonly timeoutMs: number
}

/** What every read says of the state it was answered from. */
export interface Freshness {
  /** Of the state that was read. */
  readonly revision: number
  /** With `stale`: how far behind the answer may be; undefined when unknown. Whole milliseconds. */
  readonly stalenessMs: number | undefined
}

export interface ReadAnswer extends Freshness {
  readonly entry: KeyEntry | undefined
}

export interface ListRequest {
  readonly range: KeyRange
  /** Items at most; 0 with `countOnly`. */
  readonly limit: number
  readonly reverse: boolean
  readonly countOnly: boolean
  /** Rolls keys up below the first `text` after the first `offset` bytes of a key. */
  readonly separator: { readonly text: KeyString; readonly offset: number } | undefined
  /** Of the past: COMPACTED when it is no longer there, BAD_PARAMETER when it is not yet. */
  readonly revision: number | undefined
}

export type ListedItem =
  | { readonly kind: 'entry'; readonly entry: KeyEntry }
  | { readonly kind: 'prefix'; readonly prefix: KeyString }

export interface ListAnswer extends Freshness {
  /** The revision that the items are of: the one asked for, else `revision`. */
  readonly listedRevision: number
  readonly items: readonly ListedItem[]
  /** Of the items, or with `countOnly` of the whole range. */
  readonly count: number
  /** What is left of the range, if anything. */
  readonly rest: KeyRange | undefined
}

/** All entries of a range at one revision. `next` gives a page of bounded size, undefined at the end; `close` at any time, once. */
export interface EntryStream extends Freshness {
  readonly listedRevision: number
  next(): Promise<readonly ListedItem[] | undefined>
  close(): Promise<void>
}

/** One change as watchers see it. `entry` of a deletion has an empty value and version 0. */
export interface WatchEvent {
  readonly kind: 'put' | 'delete'
  readonly entry: KeyEntry
  /** Only where it was asked for, and undefined too when there was none or it was compacted. */
  readonly previous: KeyEntry | undefined
}

export interface WatchRequest {
  readonly range: KeyRange
  /** Starts with the events of this revision; undefined: from now (after one read index). */
  readonly fromRevision: number | undefined
  /** First the current entries, then `onSync`, then what comes after; not together with `fromRevision`. */
  readonly wantsInitial: boolean
  readonly wantsPrevious: boolean
  readonly only: 'put' | 'delete' | undefined
  readonly timeoutMs: number
}

/**
 * Where a watch delivers, in order. Each of the first four returns false when nothing more should come until the handle's
 * `resume`. After the last three, and after `cancel`, nothing more comes.
 */
export interface WatchSink {
  onInitial(items: readonly KeyEntry[]): boolean
  /** The initial entries were all; events follow from `revision` + 1. */
  onSync(revision: number): boolean
  /** All events of one revision that the watch asks for. The same array for all watchers without filter. */
  onEvents(revision: number, events: readonly WatchEvent[]): boolean
  /** Everything up to this revision was delivered: at the beginning of the watch, and now and then when idle. */
  onProgress(revision: number): boolean
  onCompacted(compactRevision: number): void
  /** Too slow; resume from this revision. */
  onLagging(revision: number): void
  onFailure(error: QuorateError): void
}

export interface WatchHandle {
  resume(): void
  cancel(): void
}

interface LeaseTimes {
  readonly lease: LeaseId
  readonly ttlMs: number
  /** Until it expires if nothing keeps it alive, as far as this node knows; never below 0. */
  readonly remainingMs: number
}

export interface LeaseInfo extends LeaseTimes {
  readonly keys: readonly KeyString[]
}

/** What is said of a lease among many: all of their keys together could be a million. */
export interface LeaseSummary extends LeaseTimes {
  readonly keyCount: number
}

export interface LockPlace {
  readonly token: number
  readonly lease: LeaseId
  readonly owner: string
  readonly value: Uint8Array
}

export interface LockInfo {
  readonly holder: LockPlace | undefined
  readonly queue: readonly LockPlace[]
}

/** Answers about leases and locks, of this node's state. */
export interface SideFacts {
  /** By id, those behind `after` ('' is before all), at most `max`. */
  leases(after: LeaseId, max: number): readonly LeaseSummary[]
  lease(id: LeaseId): LeaseInfo | undefined
  lock(kind: LockKind, name: KeyString): LockInfo
}

/** The revision and leader that every answer names. */
export interface Vitals {
  readonly name: string
  readonly revision: number
  readonly term: number
  readonly leaderName: string | undefined
}

type Done<T> = (outcome: T | QuorateError) => void

export interface NodeFacade {
  vitals(): Vitals
  /** Calls back exactly once; a refusal by the state machine is a result, not an error. */
  write(command: ClientCommand, timeoutMs: number, done: Done<CommandResult>): void
  /** Calls back exactly once, maybe before it returns. */
  read(key: KeyString, options: ReadOptions, done: Done<ReadAnswer>): void
  /** The key as it was at a revision that is not compacted. */
  readPast(key: KeyString, revision: number, options: ReadOptions, done: Done<ReadAnswer>): void
  list(request: ListRequest, options: ReadOptions, done: Done<ListAnswer>): void
  stream(request: ListRequest, options: ReadOptions, done: Done<EntryStream>): void
  /** Looks at leases and locks once the read is confirmed. `look` runs at once and must not wait. */
  inspect<T>(options: ReadOptions, look: (facts: SideFacts) => T, done: Done<Freshness & { readonly found: T }>): void
  /** How long the lease lasts, as far as this node knows; undefined when it is gone. Milliseconds. */
  leaseTtlMs(lease: LeaseId): number | undefined
  watch(request: WatchRequest, sink: WatchSink): WatchHandle
  /** Queues for a lock and waits until it is held, or `waitMs` are over: then it has left the queue, and `locked` is the result. */
  acquire(command: LockCommand, timeoutMs: number, done: Done<CommandResult>): { abandon(): void }
  /**
   * Calls back whenever the lock's holder changes or what it proclaims, with undefined for nobody; and once at the beginning,
   * though not before this returns. Throws OVERLOADED.
   */
  observe(
    kind: LockKind,
    name: KeyString,
    onHolder: (holder: LockPlace | undefined, revision: number) => void,
  ): {
    cancel(): void
  }
  /** The digest of the live state and the applied index it belongs to. */
  digest(): {
    readonly digest: string
    readonly appliedIndex: number
    readonly revision: number
    readonly version: number
  }
  status(): NodeStatus
  /** Asked of the leader; nulls where there is none. Rejects with a QuorateError. */
  cluster(): Promise<ClusterStatus>
  /** Hands leadership to the named member, or to the most up to date one. Rejects with a QuorateError. */
  transferLeadership(to: string | undefined): Promise<void>
  liveness(): HealthReport
  readiness(): HealthReport
}
