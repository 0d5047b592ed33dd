// What callers may ask for.
import { WIRE_LIMITS } from '../api/limits.ts'
import type { Key } from './key-path.ts'

export interface CallOptions {
  /** For the whole call, all attempts and pauses included. Default: the client's. Milliseconds, 1 to 60,000. */
  readonly timeoutMs?: number | undefined
  /** Gives the call up. A write that was under way then has an unknown outcome. */
  readonly signal?: AbortSignal | undefined
}

/** How fresh a read must be. */
export interface ReadOptions extends CallOptions {
  /**
   * `linearizable` (default) sees every write that was acknowledged before the call. `stale` is answered from one node's
   * memory and may lag behind.
   */
  readonly consistency?: 'linearizable' | 'stale' | undefined
  /** Implies `stale`, but not staler than this. Milliseconds. */
  readonly maxStaleMs?: number | undefined
  /** Wait until the node has applied this revision: with `client.lastRevision`, read your own writes from any node. */
  readonly minRevision?: number | undefined
}

export interface GetOptions extends ReadOptions {
  /** The key as it was at this revision of the store. COMPACTED when that is no longer known. */
  readonly revision?: number | undefined
}

/** Which keys: all that begin with a prefix, or those from one key up to and without another. None of them: all keys. */
export interface RangeOptions {
  readonly prefix?: Key | undefined
  readonly from?: Key | undefined
  readonly to?: Key | undefined
}

export interface CountOptions extends ReadOptions, RangeOptions {
  readonly revision?: number | undefined
}

export interface PageOptions extends CountOptions {
  /** Entries and rolled up prefixes on the page, at most. Default 100, at most 1,000. */
  readonly limit?: number | undefined
  /** Of the page before, called with the same other options: the listing goes on at the revision it began with. */
  readonly cursor?: string | undefined
  readonly reverse?: boolean | undefined
  /** Entries without their values. */
  readonly keysOnly?: boolean | undefined
  /** Rolls up keys below the first separator behind the prefix, as folders are. */
  readonly separator?: string | undefined
}

export interface ListOptions extends Omit<PageOptions, 'limit' | 'cursor' | 'separator'> {
  /** Entries of the whole listing, at most. Default: all. `timeoutMs` is for each page. */
  readonly limit?: number | undefined
  /** Entries asked for at once. Default 100, at most 1,000. */
  readonly pageSize?: number | undefined
}

export interface DeleteRangeOptions extends CallOptions, RangeOptions {
  readonly fence?: FenceOption | undefined
}

/** At most one of them. */
export interface WriteConditions {
  /** Only if the key's revision is this one; 0 means that it does not exist. */
  readonly ifRevision?: number | undefined
  /** Only if the key does not exist. */
  readonly ifAbsent?: boolean | undefined
  /** Only if the key exists. */
  readonly ifExists?: boolean | undefined
}

/** A lock that must still be held: a `Lock`, or its name and token from elsewhere. */
export interface FenceOption {
  readonly name: Key
  readonly token: number
}

/** How long a key lives. At most one of them; without, until it is deleted. */
export interface Lifetime {
  /** The key is deleted after this time. Milliseconds. */
  readonly ttlMs?: number | undefined
  /** The key is deleted with this lease: a `Lease`, or its id. */
  readonly lease?: string | { readonly id: string } | undefined
}

export interface PutOptions extends CallOptions, WriteConditions, Lifetime {
  /** Only while this lock is held. */
  readonly fence?: FenceOption | undefined
  /** Stored with the value and returned with it. At most 255 bytes. Default: application/octet-stream. */
  readonly contentType?: string | undefined
  /** Answer with the entry that was replaced. */
  readonly prev?: boolean | undefined
}

export type PutJsonOptions = Omit<PutOptions, 'contentType'>

export interface DeleteOptions extends CallOptions, Omit<WriteConditions, 'ifAbsent'> {
  /** Answer with the entry that was deleted. */
  readonly prev?: boolean | undefined
  /** Only while this lock is held. */
  readonly fence?: FenceOption | undefined
}

export interface AddOptions extends CallOptions, WriteConditions {
  /** Only while this lock is held. */
  readonly fence?: FenceOption | undefined
}

export interface ClientOptions {
  /** One or more base addresses, such as `http://127.0.0.1:7700`; a string may hold several, separated by commas. */
  readonly endpoints: string | readonly string[]
  /** Of each call unless it says otherwise. Default 5,000. Milliseconds, 1 to 60,000. */
  readonly timeoutMs?: number | undefined
  /** Reads go to the `leader` (default), or are spread over `any` nodes. Linearizable either way. */
  readonly readFrom?: 'leader' | 'any' | undefined
  /**
   * Also contact the addresses that the cluster advertises. Default false: from outside a container network they may not
   * resolve, or lead somewhere else.
   */
  readonly followAdvertised?: boolean | undefined
  /**
   * Writes are numbered in a session, so that they are repeated through crashes and changes of the leader and applied once. Default true.
   * Without, a write whose answer was lost is never repeated, and its outcome `unknown`.
   */
  readonly sessions?: boolean | undefined
  /** Calls in flight at once; past it a call is refused with OVERLOADED before anything is sent. Default 10,000. */
  readonly inflightMax?: number | undefined
}

export const DEFAULTS = {
  timeoutMs: WIRE_LIMITS.timeoutMsDefault,
  readFrom: 'leader',
  followAdvertised: false,
  sessions: true,
  /** Bounds the memory of a caller that never waits. */
  inflightMax: 10_000,
} as const
