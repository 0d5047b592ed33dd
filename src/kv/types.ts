// The nouns of the key-value state machine (etcd's data model): revisions, pointers, records, and what apply reads and writes.
// Keys are `KeyString`s here: one code unit a byte, ordered as bytes.
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

/** One change, whole (keyspace `r`). A deletion has no value. */
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
}

/** What apply reads and writes: the state store's synchronous face. Whatever `reads()` asked for has been fetched before. */
export interface KvState {
  /** The pointer, or undefined when the key was never there (or its tombstone has been removed). Throws when not fetched. */
  pointer(key: KeyString): KeyPointer | undefined
  /** The record of the key's latest change. Throws when not fetched. */
  latestRecord(key: KeyString): KeyRecord | undefined
  put(change: Change): void
}

/** What a command touches, for the applier to fetch before apply: pointers, and latest records where values are needed. */
export interface ReadSet {
  readonly pointers: readonly KeyString[]
  readonly records: readonly KeyString[]
}
