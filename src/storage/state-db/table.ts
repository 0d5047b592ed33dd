// The write-behind table: what was committed and is not yet known to be on disk, in generations. A generation gathers whole
// entries; cut off, it becomes one batch; two exist at most, the one being written and the one gathering.
//
// A generation that is on disk is forgotten, unless a read began before it got there: that read may bring an older value
// from the disk, and must find out that it did (551 of 2,000 unguarded reads returned an overwritten value, measured).
import { assert } from '../../lib/assert.ts'
import type { KeyString } from '../../lib/bytes.ts'
import type { Change, KeyRecord, KvMeta, Revision, RevisionId } from '../../kv/types.ts'
import type { DigestCheckpoint } from './meta-codec.ts'
import { EncodedChanges } from './encoded-changes.ts'
import type { ChangesPart } from './encoded-changes.ts'
import { isRevisionBefore } from './keys.ts'
import { EMPTY_OVERLAY, overlayWith } from './overlay.ts'
import type { Overlay } from './overlay.ts'
import { RowChanges } from './rows.ts'
import type { RowChange } from './rows.ts'
import { ABSENT, isSameChange } from './slot.ts'
import type { Slot } from './slot.ts'

/** What a removal of history costs in the table and in the batch. */
const REMOVAL_BYTES = 32
/** A generation may have the memory of one that was so many times as large. */
const SPARE_FACTOR_MAX = 4
/** What a key costs in the map that finds it. Measured, rounded up. */
const FOUND_KEY_BYTES = 120

export class Generation {
  readonly number: number
  /** Every change, in order. */
  readonly changes: EncodedChanges
  /** Somebody was given the changes themselves, and not copies, and may look at them for as long as he likes. */
  isShared = false
  readonly rows = new RowChanges()
  /** Records that history no longer needs. Nothing on disk leads to them any more. */
  readonly unneeded: UnneededRecords
  /** After the last entry gathered; undefined when it holds none. */
  meta: KvMeta | undefined
  checkpoints: readonly DigestCheckpoint[] | undefined
  /** For the next generation to remove, once this one is on disk: what leads to them goes with this one. */
  readonly unneededNext = nothingUnneeded()
  /** Changes that a later one of the generation overwrote. */
  readonly #overwritten = new Set<number>()
  /** Keys whose pointers go, because history needs their tombstones no more. */
  readonly #removed = new Set<KeyString>()
  /** The latest change of each key, of the first `#foundCount` changes: made when somebody asks, for the cache mostly knows. */
  readonly #latest = new Map<KeyString, number>()
  #foundCount = 0
  /** Of the first `#frozenCount` changes. */
  #overlay: Overlay = EMPTY_OVERLAY
  #frozenCount = 0

  /** `changes` are empty. */
  constructor(number: number, unneeded: UnneededRecords, changes: EncodedChanges) {
    this.number = number
    this.unneeded = unneeded
    this.changes = changes
  }

  get sizeBytes(): number {
    const removals = removalsOf(this.unneeded) + removalsOf(this.unneededNext)
    return this.changes.sizeBytes + this.#latest.size * FOUND_KEY_BYTES + this.rows.sizeBytes + removals * REMOVAL_BYTES
  }

  get isEmpty(): boolean {
    return this.meta === undefined && this.unneeded.progress === undefined && this.unneededNext.progress === undefined
  }

  slot(key: KeyString): Slot | undefined {
    const change = this.#latestOf(key)
    if (change === undefined) return this.#removed.has(key) ? ABSENT : undefined
    this.isShared = true
    return this.changes.slot(change)
  }

  /** No later change of the generation overwrote it. */
  isLatest(change: number): boolean {
    return !this.#overwritten.has(change)
  }

  /** Keys that lose their pointers. */
  removedKeys(): readonly KeyString[] {
    // Only a tombstone that is on disk already is ever taken out, so a change of this generation came after that.
    return [...this.#removed].filter((key) => this.#latestOf(key) === undefined)
  }

  /** Adds one entry. */
  add({ changes, encoded, rows }: EntryChanges, meta: KvMeta): void {
    this.changes.append(encoded)
    for (const { record } of changes) this.#overwrite(record.predecessor)
    for (const row of rows) this.rows.add(row)
    this.meta = meta
  }

  #overwrite(at: RevisionId | undefined): void {
    if (at === undefined || isRevisionBefore(at, this.changes.at(0))) return
    const change = this.changes.lowerBound(at)
    assert(isSameChange(this.changes.at(change), at), 'a change overwrote one that was never made')
    this.#overwritten.add(change)
  }

  #latestOf(key: KeyString): number | undefined {
    const { changes } = this
    for (; this.#foundCount < changes.count; this.#foundCount++)
      this.#latest.set(changes.key(this.#foundCount), this.#foundCount)
    return this.#latest.get(key)
  }

  remove({ records, keys, purgedLists, progress }: HistoryRemoval): void {
    for (const key of keys) this.#removed.add(key)
    for (const at of records) this.unneededNext.records.push(at)
    for (const last of purgedLists) this.unneededNext.purgedLists.push(last)
    this.unneededNext.progress = progress
  }

  /** What was gathered so far in the order of its keys. Made anew only when something came. */
  freeze(): Overlay {
    this.isShared = true
    const { changes } = this
    const changed = new Map<KeyString, Slot>()
    for (; this.#frozenCount < changes.count; this.#frozenCount++)
      changed.set(changes.key(this.#frozenCount), changes.slot(this.#frozenCount))
    this.#overlay = overlayWith(this.#overlay, changed)
    return this.#overlay
  }
}

/** What history no longer needs, but for the pointers that led there. */
interface UnneededRecords {
  readonly records: RevisionId[]
  /** Each by its last change. */
  readonly purgedLists: RevisionId[]
  /** The first change that was not looked at yet; undefined when nothing was looked at. */
  progress: RevisionId | undefined
}

const nothingUnneeded = (): UnneededRecords => ({ records: [], purgedLists: [], progress: undefined })

const removalsOf = ({ records, purgedLists }: UnneededRecords): number => records.length + purgedLists.length

/** The table at one moment, in parts. */
export interface FrozenTable {
  /** Newest first. */
  readonly layers: readonly Overlay[]
  /** All changes that are not known to be on disk, newest part first. There may be later ones among them by now. */
  readonly changes: readonly EncodedChanges[]
}

/** What one entry leaves behind. */
export interface EntryChanges {
  /** In order. */
  readonly changes: readonly Change[]
  /** The same ones. */
  readonly encoded: EncodedChanges
  /** In order. */
  readonly rows: readonly RowChange[]
}

/** What history no longer needs. Local, so it belongs to no entry. */
export interface HistoryRemoval {
  readonly records: readonly RevisionId[]
  /** Keys that lose their pointers. */
  readonly keys: readonly KeyString[]
  /** Each by its last change. */
  readonly purgedLists: readonly RevisionId[]
  /** The first change that was not looked at yet. */
  readonly progress: RevisionId
}

export class Table {
  #gathering = new Generation(1, nothingUnneeded(), new EncodedChanges())
  #writing: Generation | undefined
  /** Nobody looks at them any more: for the next generation, which spares the garbage collector megabytes beside the heap. */
  #spare: EncodedChanges | undefined
  /** On disk, but younger than the start of a read that is still under way. Oldest first. */
  #retained: Generation[] = []
  /** Reads under way, counted by the oldest generation that was not on disk when they began. */
  readonly #marks = new Map<number, number>()

  get gathering(): Generation {
    return this.#gathering
  }

  get writing(): Generation | undefined {
    return this.#writing
  }

  get sizeBytes(): number {
    let size = this.#gathering.sizeBytes + (this.#writing?.sizeBytes ?? 0)
    for (const generation of this.#retained) size += generation.sizeBytes
    return size
  }

  /**
   * What is not known to be on disk of the key; with a mark what was committed since then, too (or was not yet on disk then): newer
   * than what the disk said.
   */
  find(key: KeyString, since = Infinity): Slot | undefined {
    const live = this.#gathering.slot(key) ?? this.#writing?.slot(key)
    if (live !== undefined) return live
    for (let at = this.#retained.length - 1; at >= 0; at--) {
      const generation = this.#retained[at]!
      if (generation.number < since) return undefined
      const slot = generation.slot(key)
      if (slot !== undefined) return slot
    }
    return undefined
  }

  /** Everything that is not known to be on disk, as it is now. */
  freeze(): FrozenTable {
    const parts = this.#newestFirst().filter(({ changes }) => changes.count > 0)
    return { layers: parts.map((part) => part.freeze()), changes: parts.map(({ changes }) => changes) }
  }

  /** One change, if it is not known to be on disk. */
  recordAt(at: RevisionId): KeyRecord | undefined {
    return this.#gathering.changes.find(at) ?? this.#writing?.changes.find(at)
  }

  /** All changes of revision `from` and later that are not known to be on disk, in order. */
  recordsFrom(from: Revision): readonly ChangesPart[] {
    const start = { revision: from, sub: 0 }
    const parts = this.#newestFirst().reverse()
    for (const part of parts) part.isShared = true
    return parts.map(({ changes }) => ({ changes, from: changes.lowerBound(start), to: changes.count }))
  }

  /** Adds one entry. */
  commit(entry: EntryChanges, meta: KvMeta): void {
    this.#gathering.add(entry, meta)
  }

  remove(removal: HistoryRemoval): void {
    this.#gathering.remove(removal)
  }

  /** Closes the gathering generation, which becomes the batch to be written. */
  cut(): Generation {
    assert(this.#writing === undefined, 'a second generation was cut while one is being written')
    const generation = this.#gathering
    this.#writing = generation
    this.#gathering = new Generation(
      generation.number + 1,
      generation.unneededNext,
      this.#changesLike(generation.changes),
    )
    return generation
  }

  /** The batch is on disk. */
  written(): void {
    const generation = this.#writing
    assert(generation !== undefined, 'no generation is being written')
    this.#writing = undefined
    if (this.#oldestMark() <= generation.number) this.#retained.push(generation)
    else this.#forget(generation)
  }

  /** A read of the disk begins: from here on every commit is remembered until {@link release}. */
  mark(): number {
    const mark = (this.#writing ?? this.#gathering).number
    this.#marks.set(mark, (this.#marks.get(mark) ?? 0) + 1)
    return mark
  }

  release(mark: number): void {
    const count = this.#marks.get(mark)
    assert(count !== undefined, `the mark ${mark} was released twice`)
    if (count > 1) this.#marks.set(mark, count - 1)
    else this.#marks.delete(mark)
    if (this.#retained.length === 0) return
    const oldest = this.#oldestMark()
    while (this.#retained.length > 0 && this.#retained[0]!.number < oldest) this.#forget(this.#retained.shift()!)
  }

  /** What is not known to be on disk. */
  #newestFirst(): Generation[] {
    return this.#writing === undefined ? [this.#gathering] : [this.#gathering, this.#writing]
  }

  #forget(generation: Generation): void {
    if (!generation.isShared) this.#spare = generation.changes
  }

  /** Empty, for about as many. */
  #changesLike(before: EncodedChanges): EncodedChanges {
    const spare = this.#spare
    if (spare === undefined) return new EncodedChanges(before)
    this.#spare = undefined
    spare.clear(SPARE_FACTOR_MAX * before.encodedBytes)
    return spare
  }

  #oldestMark(): number {
    let oldest = Infinity
    for (const mark of this.#marks.keys()) oldest = Math.min(oldest, mark)
    return oldest
  }
}
