// Two databases as one: the records of changes in one of their own, all else in the other. Records arrive in the order of their keys,
// so a database of nothing else writes each to a deep level at once and hardly ever again (decisions/two-databases.md).
//
// A batch is not atomic any more, but ordered: what it does to records is durable before the rest. So after a crash there may be
// records that nothing refers to yet, and never a reference without its record.
import type { Engine, EngineBatch, EngineRange, EngineSnapshot, RangeOptions } from './engine.ts'
import { isRecordKey } from './keys.ts'

class SplitBatch implements EngineBatch {
  readonly #records: EngineBatch
  readonly #rest: EngineBatch

  constructor(records: EngineBatch, rest: EngineBatch) {
    this.#records = records
    this.#rest = rest
  }

  put(key: Uint8Array, value: Uint8Array): void {
    this.#of(key).put(key, value)
  }

  delete(key: Uint8Array): void {
    this.#of(key).delete(key)
  }

  async write(): Promise<void> {
    await this.#records.write()
    await this.#rest.write()
  }

  #of(key: Uint8Array): EngineBatch {
    return isRecordKey(key) ? this.#records : this.#rest
  }
}

class SplitSnapshot implements EngineSnapshot {
  readonly records: EngineSnapshot
  readonly rest: EngineSnapshot

  /** Taken in one breath, and a batch starts its second part in a later one: so the records of all that `rest` holds are there. */
  constructor(records: Engine, rest: Engine) {
    this.records = records.snapshot()
    this.rest = rest.snapshot()
  }

  async close(): Promise<void> {
    await this.records.close()
    await this.rest.close()
  }
}

export class SplitEngine implements Engine {
  readonly #records: Engine
  readonly #rest: Engine

  constructor(records: Engine, rest: Engine) {
    this.#records = records
    this.#rest = rest
  }

  async getMany(keys: readonly Buffer[], snapshot?: EngineSnapshot): Promise<readonly (Buffer | undefined)[]> {
    const pinned = snapshot as SplitSnapshot | undefined
    const ofRecords = keys.filter(isRecordKey)
    if (ofRecords.length === keys.length) return await this.#records.getMany(keys, pinned?.records)
    if (ofRecords.length === 0) return await this.#rest.getMany(keys, pinned?.rest)
    // One after the other: a call holds one thread of the pool at a time.
    const rest = await this.#rest.getMany(
      keys.filter((key) => !isRecordKey(key)),
      pinned?.rest,
    )
    const records = await this.#records.getMany(ofRecords, pinned?.records)
    let nextOfRest = 0
    let nextOfRecords = 0
    return keys.map((key) => (isRecordKey(key) ? records[nextOfRecords++] : rest[nextOfRest++]))
  }

  batch(): EngineBatch {
    return new SplitBatch(this.#records.batch(), this.#rest.batch())
  }

  /** Within one of the two. */
  range(options: RangeOptions): EngineRange {
    const pinned = options.snapshot as SplitSnapshot | undefined
    return isRecordKey(options.gte)
      ? this.#records.range({ ...options, snapshot: pinned?.records })
      : this.#rest.range({ ...options, snapshot: pinned?.rest })
  }

  snapshot(): EngineSnapshot {
    return new SplitSnapshot(this.#records, this.#rest)
  }

  async approximateSize(): Promise<number> {
    return (await this.#records.approximateSize()) + (await this.#rest.approximateSize())
  }

  async close(): Promise<void> {
    await this.#records.close()
    await this.#rest.close()
  }
}
