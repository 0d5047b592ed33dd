// The nouns of the key-value state machine (etcd's data model): revisions, pointers, records, and what apply reads and writes.
// Keys are `KeyString`s here: one code unit a byte, ordered as bytes.
import type { CommandResult, ExpireCommand, KeyRange, LeaseId, LockKind, SessionId } from '../api/commands.ts'
import type { KeyString } from '../lib/bytes.ts'
import type { Hash64 } from '../lib/hash.ts'

/** The global counter of changes. A new store is at 1; the first write makes 2. */
export type Revision = number

/** Names one change: all changes of a transaction share a revision and are numbered by `sub` from 0. */
export interface RevisionId {
  readonly revision: Revision
  readonly sub: number
}

/** What the state remembers of a key's latest change (keyspace `k`): enough to write the next one without reading a value. */
export interface KeyPointer {
  /** The latest change. */
  readonly at: RevisionId
  readonly createRevision: Revision
  /** Changes since the key was created, 1 for a created key; 0 for a tombstone. */
  readonly version: number
  /** All changes of the key ever, deletes included, since its history began. It numbers the skip list. */
  readonly changes: number
  readonly isTombstone: boolean
  /** Where change numbers `v & (v - 1)`, and so on down, are: newest first, without the latest change itself. */
  readonly skips: readonly RevisionId[]
  /** The live record's share of the digest, so that an overwrite can take it off without reading the value; zero for a tombstone. */
  readonly digest: Hash64
}

/** One change, whole (keyspace `z`). A deletion has no value. */
export interface KeyRecord {
  readonly at: RevisionId
  readonly key: KeyString
  readonly value: Uint8Array | undefined
  /** The media type as sent; '' stands for application/octet-stream. */
  readonly contentType: string
  readonly createRevision: Revision
  readonly version: number
  /** The lease that the key dies with; '' for none. */
  readonly lease: string
  readonly predecessor: (RevisionId & { readonly isTombstone: boolean }) | undefined
  /** The key's (v & (v - 1))-th change, v being this change's number. */
  readonly skip: RevisionId | undefined
}

export interface Change {
  readonly pointer: KeyPointer
  readonly record: KeyRecord
}

/** The two sums of the digest (design, "Digest"): what lives now, and all history ever added. */
export interface Digest {
  readonly live: Hash64
  readonly history: Hash64
}

/** The replicated part of the metadata (keyspace `m`): changed by apply alone, equal on all nodes at one index. */
export interface KvMeta {
  readonly term: number
  readonly index: number
  readonly clusterTimeMs: number
  readonly revision: Revision
  /** Reads and watches are allowed from here upward; 0 = nothing was compacted. */
  readonly compactRevision: Revision
  readonly clusterVersion: number
  readonly digest: Digest
  /** Keys that exist. */
  readonly liveKeys: number
  /** The last fencing token given out: tokens grow over all locks and for ever. */
  readonly lastToken: number
}

/**
 * A row of what the state machine keeps besides keys: leases (`l`), sessions and idempotency keys (`s`), locks and elections
 * (`q`). The first code unit names the keyspace, and all are one byte each. The store does not look inside.
 */
export type RowKey = string

/** A row, as its owner names it to the state: by the same object as long as there is one, where it may be gone again soon. */
export interface StateRow {
  readonly key: RowKey
  /** Where the state noted the row's last change. Begins at -1, and is the state's alone. */
  notedAt: number
}

/** A range that apply will look at: the keys that exist in it, and with `wantsRecords` their latest records. */
export interface RangeRead {
  readonly range: KeyRange
  readonly reverse: boolean
  /** As many as are looked at, from the low end or, with `reverse`, from the high one. */
  readonly keysMax: number
  readonly wantsRecords: boolean
}

/** What apply reads and writes: the state store's synchronous face. Whatever `reads()` asked for has been fetched before. */
export interface KvState {
  /** The pointer, or undefined when the key was never there (or its tombstone has been removed). Throws when not fetched. */
  pointer(key: KeyString): KeyPointer | undefined
  /** The record of the key's latest change. Throws when not fetched. */
  latestRecord(key: KeyString): KeyRecord | undefined
  /**
   * The keys that existed when `read` was fetched, in the order asked for; at most `keysMax`. Their pointers (and records, if
   * wanted) have been fetched too. Throws when `read`, this very object, was not fetched.
   */
  keysOf(read: RangeRead): readonly KeyString[]
  put(change: Change): void
  /**
   * Writes a row, or removes it. `isNew` says that there was none before: one that soon goes again need never reach the disk. The value
   * is the state's from here on.
   */
  putRow(row: StateRow, value: Uint8Array | undefined, isNew: boolean): void
}

/** What commands touch, for the applier to fetch before they are applied. */
export interface ReadSet {
  readonly pointers: readonly KeyString[]
  readonly records: readonly KeyString[]
  readonly ranges: readonly RangeRead[]
}

/** What must be before an execution goes on: something is fetched, or others get their turn. */
export type Wanted = ReadSet | 'pause'

/** Names the entry that is being applied. */
export interface AppliedId {
  readonly term: number
  readonly index: number
}

/** The holder of a lock or an election, or the value that it proclaims, is another one now. */
export interface LockChange {
  readonly kind: LockKind
  readonly name: KeyString
}

/** What one entry did. */
export interface Applied {
  /** For each group, for each of its commands. */
  readonly results: readonly (readonly CommandResult[])[]
  /** All changes in the order they were made: what watchers see, and what history grows by. */
  readonly changes: readonly Change[]
  /** Each lock at most once. */
  readonly lockChanges: readonly LockChange[]
  readonly meta: KvMeta
}

/** The application of one entry, in steps: fetch what `next` asks for, then `execute`, until `next` asks for nothing. */
export interface Execution {
  /** What the next commands read, or that they are long and others should get their turn; undefined when all were executed. */
  next(): Wanted | undefined
  /** What `next` asked for was done. */
  execute(): void
  finish(): Applied
}

export interface LeaseState {
  readonly lease: LeaseId
  readonly ttlMs: number
  /** Cluster time. */
  readonly expiresAtMs: number
  readonly keyCount: number
  /** In byte order. Sorted each time they are asked for: there may be tens of thousands. */
  readonly keys: readonly KeyString[]
}

/** A place in the queue of a lock; the first one holds it. */
export interface LockPlaceState {
  readonly token: number
  readonly lease: LeaseId
  readonly owner: string
  readonly value: Uint8Array
}

/** What the state machine keeps beside keys, for the node to look at. It changes with each entry. */
export interface SideState {
  lease(id: LeaseId): LeaseState | undefined
  /** By id, those behind `after`, at most `max`; all of them without. */
  leases(after?: LeaseId, max?: number): readonly LeaseState[]
  /** `queue` are those who wait, first come first. */
  lock(
    kind: LockKind,
    name: KeyString,
  ): { readonly holder: LockPlaceState | undefined; readonly queue: readonly LockPlaceState[] }
  session(id: SessionId): { readonly expiresAtMs: number } | undefined
  /** The earliest cluster time at which a lease or session is due. */
  readonly nextExpiryMs: number | undefined
  /** What is due at that cluster time, as far as one command may name it; undefined when nothing is. */
  due(clusterTimeMs: number): ExpireCommand | undefined
}
