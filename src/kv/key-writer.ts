// The keys while an entry is applied: reads and writes of single changes, directly or gathered. What a transaction changes is
// gathered in memory first, where its own later operations see it, and reaches the state as one revision, or not at all.
import type { KeyEntry } from '../api/commands.ts'
import { isInRange } from '../api/ranges.ts'
import { assert, present } from '../lib/assert.ts'
import type { KeyString } from '../lib/bytes.ts'
import { addHash, ZERO_HASH } from '../lib/hash.ts'
import type { Hash64 } from '../lib/hash.ts'
import { digestAfter, recordShare } from './digest.ts'
import { nextSkips } from './skip-list.ts'
import { KEYS_PER_SLICE } from './slices.ts'
import type { Steps } from './slices.ts'
import type { Change, Digest, KeyPointer, KeyRecord, KvMeta, KvState, RangeRead, Revision } from './types.ts'

/** What a put or a delete leaves behind, besides what every change has. */
export interface Content {
  readonly key: KeyString
  /** Undefined for a deletion. */
  readonly value: Uint8Array | undefined
  readonly contentType: string
}

/** A change that is gathered and not yet made. */
interface Pending {
  readonly change: Change
  readonly share: Hash64
  readonly last: KeyPointer | undefined
}

interface Gathered {
  readonly pending: Pending[]
  /** By key, the latest. */
  readonly latest: Map<KeyString, Change>
  readonly put: Set<KeyString>
}

export class KeyWriter {
  /** All changes made, in order. */
  readonly changes: Change[] = []
  readonly #state: KvState
  #revision: Revision
  #digest: Digest
  #liveKeys: number
  #compactRevision: Revision
  #gathered: Gathered | undefined
  /** How many changes share the next revision so far; undefined while each has its own. */
  #together: number | undefined

  constructor(before: KvMeta, state: KvState) {
    this.#state = state
    this.#revision = before.revision
    this.#digest = before.digest
    this.#liveKeys = before.liveKeys
    this.#compactRevision = before.compactRevision
  }

  /** With what is gathered, or changed together: these changes all have this one. */
  get revision(): Revision {
    return this.gatheredCount + (this.#together ?? 0) > 0 ? this.#revision + 1 : this.#revision
  }

  get digest(): Digest {
    return this.#digest
  }

  get liveKeys(): number {
    return this.#liveKeys
  }

  get compactRevision(): Revision {
    return this.#compactRevision
  }

  /** Sets the mark and nothing else: which records are still on disk below it differs from node to node. */
  compact(revision: Revision): void {
    this.#compactRevision = revision
  }

  // -------------------------------------------------------------------------------------------------------------- reading

  /**
   * The key's latest change, as far as history reaches. A tombstone below the compact revision counts as absent whether or
   * not this node has removed it already: else the next record would differ between nodes.
   */
  last(key: KeyString): KeyPointer | undefined {
    const pointer = this.#gathered?.latest.get(key)?.pointer ?? this.#state.pointer(key)
    if (pointer === undefined) return undefined
    return pointer.isTombstone && pointer.at.revision < this.#compactRevision ? undefined : pointer
  }

  /** The pointer of a key that exists. */
  current(key: KeyString): KeyPointer | undefined {
    return living(this.last(key))
  }

  /** The record of a key that exists, which its pointer names. */
  record(key: KeyString, current: KeyPointer): KeyRecord & { value: Uint8Array } {
    const gathered = this.#gathered?.latest.get(key)?.record
    const record = gathered ?? present(this.#state.latestRecord(key), 'the record that a pointer names')
    const { at, value } = record
    assert(value !== undefined, `the record at revision ${at.revision} is a deletion, its pointer is not`)
    assert(at.revision === current.at.revision, `record ${at.revision} where ${current.at.revision} was named`)
    return record as KeyRecord & { value: Uint8Array }
  }

  entry(key: KeyString, current: KeyPointer): KeyEntry {
    const { value, contentType, createRevision, at, version, lease } = this.record(key, current)
    return { key, value, contentType, createRevision, modRevision: at.revision, version, lease }
  }

  /**
   * The keys that exist in a range, in its order, with what is gathered. Complete, or as many as were asked for less those that
   * were deleted since.
   */
  keysOf(read: RangeRead): readonly KeyString[] {
    const fetched = this.#state.keysOf(read)
    const gathered = this.#gathered
    if (gathered === undefined || gathered.pending.length === 0) return fetched
    const keys = new Set(fetched.filter((key) => gathered.latest.get(key)?.pointer.isTombstone !== true))
    // Behind the last key fetched there may be others that were not: what lies there is not known.
    const end = fetched.length >= read.keysMax ? fetched.at(-1) : undefined
    for (const key of gathered.put) {
      const isKnown = end === undefined || (read.reverse ? key >= end : key <= end)
      const isLiving = gathered.latest.get(key)?.pointer.isTombstone === false
      if (isLiving && isKnown && isInRange(read.range, key)) keys.add(key)
    }
    const inOrder = [...keys].sort()
    return read.reverse ? inOrder.reverse() : inOrder
  }

  // -------------------------------------------------------------------------------------------------------------- writing

  /** Writes the next change of a key: in a revision of its own, or as the next one of what is gathered. */
  change(last: KeyPointer | undefined, content: Content, lease: string): void {
    const sub = this.#gathered?.pending.length ?? this.#together ?? 0
    const at = { revision: this.#revision + 1, sub }
    const current = living(last)
    const isTombstone = content.value === undefined
    const createRevision = isTombstone ? 0 : (current?.createRevision ?? at.revision)
    const version = isTombstone ? 0 : (current?.version ?? 0) + 1
    const skips = nextSkips(last)
    // Its parts are written out, here and below: a spread is slow (decisions/callbacks-on-the-hot-path.md).
    const record: KeyRecord = {
      at,
      key: content.key,
      value: content.value,
      contentType: content.contentType,
      createRevision,
      version,
      lease,
      predecessor: last && { revision: last.at.revision, sub: last.at.sub, isTombstone: last.isTombstone },
      skip: skips[0],
    }
    const share = recordShare(record)
    const pointer: KeyPointer = {
      at,
      createRevision,
      version,
      changes: (last?.changes ?? 0) + 1,
      isTombstone,
      skips,
      digest: isTombstone ? ZERO_HASH : share,
    }
    const change: Change = { pointer, record }
    if (this.#gathered !== undefined) return this.#gather(this.#gathered, { change, share, last })
    if (this.#together === undefined) this.#revision += 1
    else this.#together += 1
    this.#make(change, share, last)
  }

  /** From here to `endTogether`, changes share a revision and are made at once: of what cannot be refused any more. */
  beginTogether(): void {
    assert(this.#gathered === undefined && this.#together === undefined, 'changes share a revision already')
    this.#together = 0
  }

  endTogether(): void {
    if (present(this.#together, 'what was changed together') > 0) this.#revision += 1
    this.#together = undefined
  }

  #make(change: Change, share: Hash64, last: KeyPointer | undefined): void {
    this.#digest = digestAfter(this.#digest, change, share, last)
    this.#liveKeys += (change.pointer.isTombstone ? 0 : 1) - (living(last) === undefined ? 0 : 1)
    this.#state.put(change)
    this.changes.push(change)
  }

  // ------------------------------------------------------------------------------------------------------------ gathering

  get gatheredCount(): number {
    return this.#gathered?.pending.length ?? 0
  }

  /** From here to `commit` or `rollback`, changes are gathered. */
  begin(): void {
    assert(this.#gathered === undefined && this.#together === undefined, 'changes are gathered already')
    this.#gathered = { pending: [], latest: new Map(), put: new Set() }
  }

  /** Makes what was gathered, in slices. */
  *commit(): Steps<void> {
    const { pending } = present(this.#gathered, 'what was gathered')
    this.#gathered = undefined
    if (pending.length > 0) this.#revision += 1
    for (const [nth, { change, share, last }] of pending.entries()) {
      if (nth > 0 && nth % KEYS_PER_SLICE === 0) yield 'pause'
      this.#make(change, share, last)
    }
  }

  rollback(): void {
    this.#gathered = undefined
  }

  #gather(gathered: Gathered, pending: Pending): void {
    const { key, value } = pending.change.record
    gathered.pending.push(pending)
    gathered.latest.set(key, pending.change)
    if (value !== undefined) gathered.put.add(key)
  }

  // --------------------------------------------------------------------------------------------------------------- ending

  /** The metadata after the entry; `rows` is what its rows changed the digest by. */
  metaAfter(before: KvMeta, lastToken: number, rows: Hash64): KvMeta {
    const { live, history } = this.#digest
    return {
      term: before.term,
      index: before.index,
      clusterTimeMs: before.clusterTimeMs,
      revision: this.#revision,
      compactRevision: this.#compactRevision,
      clusterVersion: before.clusterVersion,
      digest: { live: addHash(live, rows), history },
      liveKeys: this.#liveKeys,
      lastToken,
    }
  }
}

/** The pointer, if the key exists. */
export function living(pointer: KeyPointer | undefined): KeyPointer | undefined {
  return pointer?.isTombstone === true ? undefined : pointer
}
