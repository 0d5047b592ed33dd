// The port to the ordered map of bytes under the state database, as narrow as we can live with. LevelDB implements it
// (leveldb-engine.ts), and a map in memory for tests and the simulator (memory-engine.ts).

/** The bytes given are copied by the call. */
export interface EngineBatch {
  put(key: Uint8Array, value: Uint8Array): void
  delete(key: Uint8Array): void
  /**
   * Resolves when durable. What it does to records is so before the rest, each of the two atomic: after a crash the first may be there
   * without the second. One write at a time: engines do not order concurrent ones. The batch is used up.
   */
  write(): Promise<void>
}

/** A pinned view: later writes are not seen through it. */
export interface EngineSnapshot {
  close(): Promise<void>
}

export type EngineRow = readonly [key: Buffer, value: Buffer]

/** A walk in byte order, or against it, through records or through the rest. One `next` at a time. */
export interface EngineRange {
  /** Up to `rowsMax` more rows, fewer where they are large; empty at the end. */
  next(rowsMax: number): Promise<readonly EngineRow[]>
  close(): Promise<void>
}

export interface RangeOptions {
  readonly gte: Buffer
  readonly lt: Buffer
  /** Without one: a state no older than the call, which may move on between two calls of `next`. */
  readonly snapshot: EngineSnapshot | undefined
  /** From the high end down. */
  readonly isReverse?: boolean
}

export interface Engine {
  /**
   * In the order of the keys; undefined where there is none. Records are of one moment, and the rest of one. What is returned belongs
   * to the caller.
   */
  getMany(keys: readonly Buffer[], snapshot?: EngineSnapshot): Promise<readonly (Buffer | undefined)[]>
  batch(): EngineBatch
  range(options: RangeOptions): EngineRange
  snapshot(): EngineSnapshot
  /** Bytes on disk, roughly and cheaply. */
  approximateSize(): Promise<number>
  /** Nothing may be outstanding. */
  close(): Promise<void>
}

/** Numbered databases side by side: the current one, and one that is being received. */
export interface EngineStore {
  /** For messages: where database `number` is. */
  describe(number: number): string
  /** The numbers of the databases that are there, whole or not, ascending. */
  list(): Promise<readonly number[]>
  /** Nothing was ever written to it: its making was cut short. */
  isBlank(number: number): Promise<boolean>
  /** `existing` refuses a missing one, `new` one that is there. */
  open(number: number, mode: 'existing' | 'new'): Promise<Engine>
  /** Makes the names of a closed, complete database durable. */
  sync(number: number): Promise<void>
  /** Removes it whole. Fine when it is not there. */
  remove(number: number): Promise<void>
}
