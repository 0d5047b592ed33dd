// The write-behind table: what was committed and is not yet known to be on disk, in generations. A generation gathers whole
// entries; cut off, it becomes one batch; two exist at most, the one being written and the one gathering.
//
// A generation that is on disk is forgotten, unless a read began before it got there: that read may bring an older value
// from the disk, and must find out that it did (551 of 2,000 unguarded reads returned an overwritten value, measured).
import { assert } from '../../lib/assert.ts'
import type { KeyString } from '../../lib/bytes.ts'
import type { KeyRecord, KvMeta, Revision, RevisionId } from '../../kv/types.ts'
import type { DigestCheckpoint } from './meta-codec.ts'
import { EncodedChanges } from './encoded-changes.ts'
import type { ChangesPart } from './encoded-changes.ts'
import { EMPTY_OVERLAY, overlayWith } from './overlay.ts'
import type { Overlay } from './overlay.ts'
import { RowChanges } from './rows.ts'
import type { RowChange } from './rows.ts'
import { ABSENT } from './slot.ts'
import type { Slot } from './slot.ts'

/** What a removal of history costs in the table and in the batch. */
const REMOVAL_BYTES = 32
/** In place of a change: the key's pointer goes, because history needs its tombstone no more. */
const REMOVED = -1
/** Of the last generation's: one that becomes a little larger need not double its memory. */
const EXPECTED_GROWTH = 1.25
const EXPECTED_BYTES_MIN = 4_096
const EXPECTED_BYTES_MAX = 8 * 1024 * 1024

export class Generation {
  readonly number: number
  /** Every change, in order. */
  readonly changes: EncodedChanges
  readonly rows = new RowChanges()
  /** Records that history no longer needs. Nothing on disk leads to them any more. */
  readonly unneeded: UnneededRecords
  /** After the last entry gathered; undefined when it holds none. */
  meta: KvMeta | undefined
  checkpoints: readonly DigestCheckpoint[] | undefined
  /** For the next generation to remove, once this one is on disk: what leads to them goes with this one. */
  readonly unneededNext = nothingUnneeded()
  /** The latest change of each key: overwrites collapse here. */
  readonly #latest = new Map<KeyString, number>()
  /** Of the first `#frozenCount` changes. */
  #overlay: Overlay = EMPTY_OVERLAY
  #frozenCount = 0

  /** `bytesExpected` is about how large its changes will be, as far as one can tell. */
  constructor(number: number, bytesExpected: number, unneeded: UnneededRecords) {
    this.number = number
    this.unneeded = unneeded
    const expected = Math.ceil(bytesExpected * EXPECTED_GROWTH)
    this.changes = new EncodedChanges(Math.min(Math.max(expected, EXPECTED_BYTES_MIN), EXPECTED_BYTES_MAX))
  }

  get sizeBytes(): number {
    const removals = removalsOf(this.unneeded) + removalsOf(this.unneededNext)
    return this.changes.sizeBytes + this.rows.sizeBytes + removals * REMOVAL_BYTES
  }

  get isEmpty(): boolean {
    return this.meta === undefined && this.unneeded.progress === undefined && this.unneededNext.progress === undefined
  }

  slot(key: KeyString): Slot | undefined {
    const change = this.#latest.get(key)
    if (change === undefined) return undefined
    return change === REMOVED ? ABSENT : this.changes.slot(change)
  }

  isLatest(change: number): boolean {
    return this.#latest.get(this.changes.key(change)) === change
  }

  /** Keys that lose their pointers. */
  removedKeys(): readonly KeyString[] {
    if (this.unneededNext.records.length === 0) return []
    return [...this.#latest].filter(([, change]) => change === REMOVED).map(([key]) => key)
  }

  /** Adds one entry. */
  add({ changes, rows }: EntryChanges, meta: KvMeta): void {
    const first = this.changes.count
    this.changes.append(changes)
    for (let change = 0; change < changes.count; change++) this.#latest.set(changes.key(change), first + change)
    for (const row of rows) this.rows.add(row)
    this.meta = meta
  }

  remove({ records, keys, purgedLists, progress }: HistoryRemoval): void {
    // Only a tombstone that is on disk already is ever taken out, so none of this generation.
    for (const key of keys) this.#latest.set(key, REMOVED)
    for (const at of records) this.unneededNext.records.push(at)
    for (const last of purgedLists) this.unneededNext.purgedLists.push(last)
    this.unneededNext.progress = progress
  }

  /** What was gathered so far in the order of its keys. Made anew only when something came. */
  freeze(): Overlay {
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
  readonly changes: EncodedChanges
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
  #gathering = new Generation(1, 0, nothingUnneeded())
  #writing: Generation | undefined
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

  find(key: KeyString): Slot | undefined {
    return this.#gathering.slot(key) ?? this.#writing?.slot(key)
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
    this.#gathering = new Generation(generation.number + 1, generation.changes.encodedBytes, generation.unneededNext)
    return generation
  }

  /** The batch is on disk. */
  written(): void {
    const generation = this.#writing
    assert(generation !== undefined, 'no generation is being written')
    this.#writing = undefined
    if (this.#oldestMark() <= generation.number) this.#retained.push(generation)
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
    this.#retained = this.#retained.filter((generation) => generation.number >= oldest)
  }

  /** What was committed to the key since the mark (or was not yet on disk then): newer than what the disk said. */
  findSince(mark: number, key: KeyString): Slot | undefined {
    const live = this.find(key)
    if (live !== undefined) return live
    for (let at = this.#retained.length - 1; at >= 0; at--) {
      const generation = this.#retained[at]!
      if (generation.number < mark) return undefined
      const slot = generation.slot(key)
      if (slot !== undefined) return slot
    }
    return undefined
  }

  /** What is not known to be on disk. */
  #newestFirst(): Generation[] {
    return this.#writing === undefined ? [this.#gathering] : [this.#gathering, this.#writing]
  }

  #oldestMark(): number {
    let oldest = Infinity
    for (const mark of this.#marks.keys()) oldest = Math.min(oldest, mark)
    return oldest
  }
}
