// The entry that is being applied: what it reads and what it writes. Apply is synchronous, so what it reads is fetched before and
// stays here until the commit, because the cache might let it go; what it writes is seen by the entry's later commands at once,
// and by everyone else at its commit.
import { singleKeyOf } from '../../api/ranges.ts'
import { assert } from '../../lib/assert.ts'
import type { KeyString } from '../../lib/bytes.ts'
import type { Change, KeyPointer, KeyRecord, KvMeta, RangeRead, ReadSet, StateRow } from '../../kv/types.ts'
import type { Cache } from './cache.ts'
import { EncodedChanges } from './encoded-changes.ts'
import type { KeyReader } from './key-reader.ts'
import { isRevisionBefore, isRowKey } from './keys.ts'
import { EMPTY_OVERLAY, overlayWith } from './overlay.ts'
import type { Overlay } from './overlay.ts'
import type { PinnedState } from './pinned-state.ts'
import { isWhole } from './slot.ts'
import type { Slot } from './slot.ts'
import type { RowChange } from './rows.ts'
import type { EntryChanges, Table } from './table.ts'

/** What is kept of the memory that an entry took, for the next one. */
const KEPT_BYTES_MAX = 2 * 1024 * 1024
/** Keys of a range that are looked at between two turns of others. */
const KEYS_PER_TURN = 512

export interface StagingOptions {
  readonly table: Table
  readonly cache: Cache
  readonly keys: KeyReader
  /** Pins what was committed so far, with what is staged on top. */
  readonly pin: (staged: Overlay) => PinnedState
  readonly onReadEnded: () => void
}

export class Staging implements EntryChanges {
  readonly #options: StagingOptions
  changes: Change[] = []
  readonly encoded = new EncodedChanges()
  rows: RowChange[] = []
  /** What its commands see: what was fetched, or what the entry has left since, which is always whole. */
  #slots = new Map<KeyString, Slot>()
  #ranges = new Map<RangeRead, readonly KeyString[]>()

  constructor(options: StagingOptions) {
    this.#options = options
  }

  pointer(key: KeyString): KeyPointer | undefined {
    return this.#fetched(key).pointer
  }

  latestRecord(key: KeyString): KeyRecord | undefined {
    const slot = this.#fetched(key)
    assert(isWhole(slot), 'apply asked for a record that was not fetched')
    return slot.record
  }

  keysOf(read: RangeRead): readonly KeyString[] {
    const keys = this.#ranges.get(read)
    assert(keys !== undefined, 'apply asked for a range that was not fetched')
    return keys
  }

  put(change: Change): void {
    const { pointer } = change
    const { at } = change.record
    // Every put comes through here: messages are made only for claims that are broken.
    if (pointer.at.revision !== at.revision || pointer.at.sub !== at.sub)
      assert(false, `a pointer at revision ${pointer.at.revision} came with a record of revision ${at.revision}`)
    const last = this.changes.at(-1)?.record.at
    if (last !== undefined && !isRevisionBefore(last, at))
      assert(false, `change ${at.revision}/${at.sub} came after change ${last.revision}/${last.sub}`)
    this.#slots.set(change.record.key, change)
    this.changes.push(change)
    this.encoded.add(change)
  }

  putRow(row: StateRow, value: Uint8Array | undefined, isNew: boolean): void {
    assert(isRowKey(row.key), 'a row outside the keyspaces of rows')
    this.rows.push({ row, value, isNew })
  }

  /** What the entry left goes into the table, and the cache learns of it. */
  commit(meta: KvMeta): void {
    const { table, cache } = this.#options
    const { changes, encoded } = this
    table.commit(this, meta)
    for (const [nth, { record }] of changes.entries())
      cache.set(record.key, encoded.pointerPayload(nth), encoded.storedRecord(nth))
    this.#slots = new Map()
    this.changes = []
    encoded.clear(KEPT_BYTES_MAX)
    this.rows = []
    this.#ranges = new Map()
  }

  /** Everything wanted is in memory, and stays there. */
  isKnown({ pointers, records, ranges }: ReadSet): boolean {
    return (
      pointers.every((key) => this.#hold(key, this.#inMemory(key))) &&
      records.every((key) => this.#hold(key, this.#wholeInMemory(key))) &&
      ranges.every((read) => this.#settleSingle(read))
    )
  }

  async fetch({ pointers, records, ranges }: ReadSet): Promise<void> {
    const { table, keys, onReadEnded } = this.#options
    const mark = table.mark()
    try {
      // Both ask in the same breath, so one call fetches all missing pointers; a second one the records.
      const [slots, whole] = await Promise.all([keys.slots(pointers), keys.whole(records)])
      for (const [index, key] of pointers.entries()) this.#pin(mark, key, slots[index]!)
      for (const [index, key] of records.entries()) this.#pin(mark, key, whole[index]!)
    } finally {
      table.release(mark)
      onReadEnded()
    }
    for (const read of ranges) if (!this.#settleSingle(read)) await this.#fetchRange(read)
  }

  /** A range of one key needs no walk when the key is in memory. */
  #settleSingle(read: RangeRead): boolean {
    const key = singleKeyOf(read.range)
    if (key === undefined) return false
    const slot = read.wantsRecords ? this.#wholeInMemory(key) : this.#inMemory(key)
    if (slot === undefined) return false
    this.#hold(key, slot)
    const isListed = read.keysMax > 0 && isLive(slot)
    this.#ranges.set(read, isListed ? [key] : [])
    return true
  }

  /** The entry waits for this, so nothing is staged or committed meanwhile. */
  async #fetchRange(read: RangeRead): Promise<void> {
    const state = this.#options.pin(overlayWith(EMPTY_OVERLAY, this.#changed()))
    try {
      const found = await this.#walk(state, read)
      if (read.wantsRecords) await this.#attachRecords(state, found)
      for (const [key, slot] of found) this.#slots.set(key, slot)
      this.#ranges.set(read, [...found.keys()])
    } finally {
      await state.close()
    }
  }

  async #walk(state: PinnedState, { range, reverse, keysMax }: RangeRead): Promise<Map<KeyString, Slot>> {
    const found = new Map<KeyString, Slot>()
    const scan = state.scan(range, reverse)
    try {
      while (found.size < keysMax) {
        const keys = await scan.next(Math.min(KEYS_PER_TURN, keysMax - found.size))
        if (keys.length === 0) break
        for (const { key, slot } of keys) if (isLive(slot)) found.set(key, this.#wholeInMemory(key) ?? slot)
      }
    } finally {
      await scan.close()
    }
    return found
  }

  async #attachRecords(state: PinnedState, found: Map<KeyString, Slot>): Promise<void> {
    const lacking = [...found].filter(([, slot]) => !isWhole(slot))
    const places = lacking.map(([key, slot]) => ({ key, at: slot.pointer!.at, record: undefined }))
    const records = await state.records(places)
    for (const [nth, [key, { pointer }]] of lacking.entries()) found.set(key, { pointer, record: records[nth] })
  }

  /** What the entry has changed so far. */
  #changed(): Map<KeyString, Slot> {
    const changed = new Map<KeyString, Slot>()
    for (const { record } of this.changes) changed.set(record.key, this.#fetched(record.key))
    return changed
  }

  /** What is in memory now may be gone when apply asks: a batch that is written leaves the table, and pushes others out of the cache. */
  #hold(key: KeyString, slot: Slot | undefined): boolean {
    if (slot === undefined) return false
    this.#slots.set(key, slot)
    return true
  }

  /** What is whole stays, even when a later step asks for the pointer alone: nothing is committed in between. */
  #pin(mark: number, key: KeyString, slot: Slot): void {
    const held = this.#slots.get(key)
    if (held === undefined || !isWhole(held)) this.#slots.set(key, this.#options.table.find(key, mark) ?? slot)
  }

  /** What this entry left, or what was fetched for it: nothing newer can have been committed since. */
  #inMemory(key: KeyString): Slot | undefined {
    return this.#slots.get(key) ?? this.#options.keys.known(key, false)
  }

  #wholeInMemory(key: KeyString): Slot | undefined {
    const held = this.#slots.get(key)
    const slot = held !== undefined && isWhole(held) ? held : this.#options.keys.known(key, true)
    return slot !== undefined && isWhole(slot) ? slot : undefined
  }

  #fetched(key: KeyString): Slot {
    const slot = this.#slots.get(key)
    assert(slot !== undefined, 'apply asked for a key that was not fetched')
    return slot
  }
}

const isLive = ({ pointer }: Slot): boolean => pointer !== undefined && !pointer.isTombstone
