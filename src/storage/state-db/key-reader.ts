// Reads keys: from the cache, then the table, then the disk. A read of the disk remembers where the table stood when it began;
// what it brings fills the cache, and is believed at all, only if nothing committed since wrote that key.
import type { KeyString } from '../../lib/bytes.ts'
import type { KeyPointer, KeyRecord } from '../../kv/types.ts'
import type { Cache } from './cache.ts'
import { checkRecord, damagedAt, decodeStored } from './decode-stored.ts'
import { pointerKey, recordKey } from './keys.ts'
import type { PointReader } from './point-reader.ts'
import { decodePointer, decodeRecord } from './record-codec.ts'
import { isSameChange, isWhole } from './slot.ts'
import type { Slot } from './slot.ts'
import { payloadIn } from './stored-value.ts'
import type { Table } from './table.ts'

export interface KeyReaderOptions {
  readonly points: PointReader
  readonly table: Table
  readonly cache: Cache
  /** For messages: where this state is. */
  readonly where: string
  /** A read ended: generations kept for its sake may be gone. */
  readonly onReadEnded: () => void
}

export class KeyReader {
  readonly #options: KeyReaderOptions

  constructor(options: KeyReaderOptions) {
    this.#options = options
  }

  /** What memory knows of the last committed state of the key; with a mark of the table it knows what was committed since then. */
  known(key: KeyString, wantsRecord: boolean, mark?: number): Slot | undefined {
    const { table, cache } = this.#options
    const cached = cache.get(key, wantsRecord)
    if (cached === undefined) return table.find(key, mark)
    if (!wantsRecord || isWhole(cached)) return cached
    // The cache keeps few records once it is full. Those that are not on disk yet are in the table.
    return { pointer: cached.pointer, record: table.recordAt(cached.pointer!.at) }
  }

  /** At least the pointers, as of some time between call and answer. */
  async slots(keys: readonly KeyString[], wantsRecords = false): Promise<readonly Slot[]> {
    const slots = keys.map((key) => this.known(key, wantsRecords))
    const missing = keys.filter((_key, index) => slots[index] === undefined)
    if (missing.length === 0) return slots as readonly Slot[]
    const loaded = await this.#load(missing, wantsRecords)
    let next = 0
    return slots.map((slot) => slot ?? loaded[next++]!)
  }

  async pointers(keys: readonly KeyString[]): Promise<readonly (KeyPointer | undefined)[]> {
    if (keys.length === 0) return []
    return (await this.slots(keys)).map((slot) => slot.pointer)
  }

  /** Pointers and latest records. */
  async whole(keys: readonly KeyString[]): Promise<readonly Slot[]> {
    if (keys.length === 0) return []
    const slots = [...(await this.slots(keys, true))]
    for (;;) {
      const lacking = [...slots.keys()].filter((index) => !isWhole(slots[index]!))
      if (lacking.length === 0) return slots
      const names = lacking.map((index) => keys[index]!)
      const places = lacking.map((index) => recordKey(slots[index]!.pointer!.at))
      const stored = await this.#options.points.getMany(places)
      for (const [nth, index] of lacking.entries()) {
        const found = stored[nth]
        const pointer = slots[index]!.pointer!
        if (found === undefined) slots[index] = await this.#movedOn(names[nth]!, pointer)
        else slots[index] = this.#attach(names[nth]!, pointer, this.decodeRecord(places[nth]!, found), found)
      }
    }
  }

  decodeRecord(key: Buffer, stored: Buffer): KeyRecord {
    return decodeStored(this.#options.where, key, stored, decodeRecord)
  }

  async #load(keys: readonly KeyString[], wantsRecords: boolean): Promise<readonly Slot[]> {
    const { points, table, cache, where } = this.#options
    const mark = table.mark()
    try {
      const engineKeys = keys.map(pointerKey)
      const stored = await points.getMany(engineKeys)
      return keys.map((key, index) => {
        const newer = this.known(key, wantsRecords, mark)
        if (newer !== undefined) return newer
        const found = stored[index]
        const pointer = found === undefined ? undefined : decodeStored(where, engineKeys[index]!, found, decodePointer)
        cache.set(key, found && payloadIn(found))
        return { pointer, record: undefined }
      })
    } finally {
      table.release(mark)
      this.#options.onReadEnded()
    }
  }

  #attach(key: KeyString, pointer: KeyPointer, record: KeyRecord, stored: Buffer): Slot {
    checkRecord(this.#options.where, key, pointer.at, record)
    this.#options.cache.attach(key, pointer.at, stored)
    return { pointer, record }
  }

  /** The record is gone: history was removed in between, so the key must have a newer change (or none) by now. */
  async #movedOn(key: KeyString, pointer: KeyPointer): Promise<Slot> {
    const [again] = await this.#load([key], true)
    if (again?.pointer !== undefined && isSameChange(again.pointer.at, pointer.at)) {
      throw damagedAt(this.#options.where, recordKey(pointer.at), 'the record of the latest change of a key is missing')
    }
    return again!
  }
}
