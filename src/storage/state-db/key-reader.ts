// Reads keys: from the table, then the cache, then the disk. A read of the disk remembers where the table stood when it began;
// what it brings fills the cache, and is believed at all, only if nothing committed since wrote that key.
import type { KeyString } from '../../lib/bytes.ts'
import type { KeyPointer, KeyRecord } from '../../kv/types.ts'
import type { Cache } from './cache.ts'
import { checkRecord, damagedAt, decodeStored } from './decode-stored.ts'
import { pointerKey, recordKey } from './keys.ts'
import type { PointReader } from './point-reader.ts'
import { decodePointer, decodeRecord } from './record-codec.ts'
import { isWhole } from './slot.ts'
import type { Slot } from './slot.ts'
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

  /** What memory knows of the last committed state of the key. */
  known(key: KeyString): Slot | undefined {
    return this.#options.table.find(key) ?? this.#options.cache.get(key)
  }

  /** At least the pointers, as of some time between call and answer. */
  async slots(keys: readonly KeyString[]): Promise<readonly Slot[]> {
    const slots = keys.map((key) => this.known(key))
    const missing = keys.filter((_key, index) => slots[index] === undefined)
    if (missing.length === 0) return slots as readonly Slot[]
    const loaded = await this.#load(missing)
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
    const slots = [...(await this.slots(keys))]
    for (;;) {
      const lacking = [...slots.keys()].filter((index) => !isWhole(slots[index]!))
      if (lacking.length === 0) return slots
      const names = lacking.map((index) => keys[index]!)
      const records = await this.#records(lacking.map((index) => slots[index]!.pointer!))
      for (const [nth, index] of lacking.entries()) {
        const record = records[nth]
        if (record === undefined) slots[index] = await this.#movedOn(names[nth]!, slots[index]!.pointer!)
        else slots[index] = this.#attach(names[nth]!, slots[index]!.pointer!, record)
      }
    }
  }

  decodeRecord(key: Buffer, stored: Buffer): KeyRecord {
    return decodeStored(this.#options.where, key, stored, decodeRecord)
  }

  async #load(keys: readonly KeyString[]): Promise<readonly Slot[]> {
    const { points, table, cache, where } = this.#options
    const mark = table.mark()
    try {
      const engineKeys = keys.map(pointerKey)
      const stored = await points.getMany(engineKeys)
      return keys.map((key, index) => {
        const newer = table.findSince(mark, key) ?? cache.get(key)
        if (newer !== undefined) return newer
        const found = stored[index]
        const pointer = found === undefined ? undefined : decodeStored(where, engineKeys[index]!, found, decodePointer)
        const slot: Slot = { pointer, record: undefined }
        cache.set(key, slot)
        return slot
      })
    } finally {
      table.release(mark)
      this.#options.onReadEnded()
    }
  }

  async #records(pointers: readonly KeyPointer[]): Promise<readonly (KeyRecord | undefined)[]> {
    const keys = pointers.map((pointer) => recordKey(pointer.at))
    const stored = await this.#options.points.getMany(keys)
    return keys.map((key, index) => {
      const found = stored[index]
      return found === undefined ? undefined : decodeStored(this.#options.where, key, found, decodeRecord)
    })
  }

  #attach(key: KeyString, pointer: KeyPointer, record: KeyRecord): Slot {
    checkRecord(this.#options.where, key, pointer.at, record)
    const slot: Slot = { pointer, record }
    const { cache } = this.#options
    const cached = cache.get(key)
    if (cached?.pointer !== undefined && !isWhole(cached) && isSameChange(cached.pointer, pointer)) cache.set(key, slot)
    return slot
  }

  /** The record is gone: history was removed in between, so the key must have a newer change (or none) by now. */
  async #movedOn(key: KeyString, pointer: KeyPointer): Promise<Slot> {
    const [again] = await this.#load([key])
    if (again?.pointer !== undefined && isSameChange(again.pointer, pointer)) {
      throw damagedAt(this.#options.where, recordKey(pointer.at), 'the record of the latest change of a key is missing')
    }
    return again!
  }
}

const isSameChange = (a: KeyPointer, b: KeyPointer): boolean => a.at.revision === b.at.revision && a.at.sub === b.at.sub
