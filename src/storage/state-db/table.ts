// The write-behind table: what was committed and is not yet known to be on disk, in generations. A generation gathers whole
// entries; cut off, it becomes one batch; two exist at most, the one being written and the one gathering.
//
// A generation that is on disk is forgotten, unless a read began before it got there: that read may bring an older value
// from the disk, and must find out that it did (551 of 2,000 unguarded reads returned an overwritten value, measured).
import { assert } from '../../lib/assert.ts'
import type { KeyString } from '../../lib/bytes.ts'
import type { KeyRecord, KvMeta, Revision, RevisionId } from '../../kv/types.ts'
import type { DigestCheckpoint } from './meta-codec.ts'
import { EMPTY_OVERLAY, findRecord, lowerBoundOfRecords, overlayWith } from './overlay.ts'
import type { Overlay } from './overlay.ts'
import { RowChanges } from './rows.ts'
import { ABSENT, recordBytes, slotBytes } from './slot.ts'
import type { Slot } from './slot.ts'

/** What a removal of history costs in the table and in the batch. */
const REMOVAL_BYTES = 32
// A row is kept by the state machine as well; this is what it costs here.
const ROW_BYTES = 160

export class Generation {
  readonly number: number
  /** The latest of each key: overwrites collapse here. An absent one removes the pointer. */
  readonly slots = new Map<KeyString, Slot>()
  /** Every change, in order. */
  readonly records: KeyRecord[] = []
  readonly rows = new RowChanges()
  /** Records that history no longer needs. */
  readonly removals: RevisionId[] = []
  /** After the last entry gathered; undefined when it holds none. */
  meta: KvMeta | undefined
  checkpoints: readonly DigestCheckpoint[] | undefined
  historyProgress: RevisionId | undefined
  sizeBytes = 0

  constructor(number: number) {
    this.number = number
  }

  /** Whether keys may be among the slots that lose their pointers. */
  get hasRemovals(): boolean {
    return this.removals.length > 0
  }

  get isEmpty(): boolean {
    return this.meta === undefined && this.historyProgress === undefined
  }

  #frozen: FrozenGeneration = { overlay: EMPTY_OVERLAY, records: [] }

  /** What was gathered so far, for those who hold it while more comes. Made anew only when something did. */
  freeze(): FrozenGeneration {
    const frozen = this.#frozen
    const from = frozen.records.length
    if (from === this.records.length) return frozen
    const changed = new Map<KeyString, Slot>()
    for (let at = from; at < this.records.length; at++) {
      const { key } = this.records[at]!
      const slot = this.slots.get(key)
      // Only a tombstone that is on disk already is ever taken out, so none of this generation.
      assert(slot?.pointer !== undefined, 'a key was changed by a generation that does not hold it')
      changed.set(key, slot)
    }
    this.#frozen = { overlay: overlayWith(frozen.overlay, changed), records: this.records.slice() }
    return this.#frozen
  }
}

interface FrozenGeneration {
  readonly overlay: Overlay
  /** Every change, in order. */
  readonly records: readonly KeyRecord[]
}

/** The table at one moment, in parts. */
export interface FrozenTable {
  /** Newest first. */
  readonly layers: readonly Overlay[]
  /** All changes that are not known to be on disk, newest part first. */
  readonly records: readonly (readonly KeyRecord[])[]
}

/** What one entry leaves behind. */
export interface EntryChanges {
  readonly slots: ReadonlyMap<KeyString, Slot>
  /** All its changes, in order. */
  readonly records: readonly KeyRecord[]
  readonly rows: RowChanges
}

export class Table {
  #gathering = new Generation(1)
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
    return this.#gathering.slots.get(key) ?? this.#writing?.slots.get(key)
  }

  /** Everything that is not known to be on disk, as it is now. */
  freeze(): FrozenTable {
    const parts = [this.#gathering.freeze()]
    if (this.#writing !== undefined) parts.push(this.#writing.freeze())
    const filled = parts.filter((part) => part.records.length > 0)
    return { layers: filled.map((part) => part.overlay), records: filled.map((part) => part.records) }
  }

  /** One change, if it is not known to be on disk. */
  recordAt(at: RevisionId): KeyRecord | undefined {
    return findRecord(this.#gathering.records, at) ?? findRecord(this.#writing?.records ?? [], at)
  }

  /** All changes of revision `from` and later that are not known to be on disk, in order. */
  recordsFrom(from: Revision): readonly KeyRecord[] {
    const start = { revision: from, sub: 0 }
    const parts = [this.#writing?.records ?? [], this.#gathering.records]
    return parts.flatMap((records) => records.slice(lowerBoundOfRecords(records, start)))
  }

  /** Adds one entry. */
  commit({ slots, records, rows }: EntryChanges, meta: KvMeta): void {
    const generation = this.#gathering
    for (const [key, change] of rows.latest) {
      generation.rows.add(key, change)
      generation.sizeBytes += ROW_BYTES + key.length + (change.value?.length ?? 0)
    }
    for (const [key, slot] of slots) {
      generation.slots.set(key, slot)
      generation.sizeBytes += slotBytes(key, slot)
    }
    for (const record of records) generation.records.push(record)
    if (records.length > slots.size) {
      // The overwritten changes of this entry are in no slot, but in the batch.
      for (const record of records) {
        if (slots.get(record.key)?.record !== record) generation.sizeBytes += recordBytes(record)
      }
    }
    generation.meta = meta
  }

  /** Adds removals of history: local, so they belong to no entry. `keys` lose their pointers. */
  remove(records: readonly RevisionId[], keys: readonly KeyString[], progress: RevisionId): void {
    const generation = this.#gathering
    for (const at of records) generation.removals.push(at)
    for (const key of keys) generation.slots.set(key, ABSENT)
    generation.historyProgress = progress
    generation.sizeBytes += (records.length + keys.length) * REMOVAL_BYTES
  }

  /** Closes the gathering generation, which becomes the batch to be written. */
  cut(): Generation {
    assert(this.#writing === undefined, 'a second generation was cut while one is being written')
    const generation = this.#gathering
    this.#writing = generation
    this.#gathering = new Generation(generation.number + 1)
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
      const slot = generation.slots.get(key)
      if (slot !== undefined) return slot
    }
    return undefined
  }

  #oldestMark(): number {
    let oldest = Infinity
    for (const mark of this.#marks.keys()) oldest = Math.min(oldest, mark)
    return oldest
  }
}
