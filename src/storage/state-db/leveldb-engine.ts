// The engine on LevelDB, and the folder of numbered states. Keys and values are always byte arrays: with text keys the
// synchronous read of this binding returns another key's value when a multi-byte character straddles its buffer (measured).
import { promises as fs } from 'node:fs'
import type { ClassicLevel } from 'classic-level'
import { Level } from 'level'
import { FileSystemError } from '../errors.ts'
import type { FileSystem } from '../file-system.ts'
import type {
  Engine,
  EngineBatch,
  EngineRange,
  EngineRow,
  EngineSnapshot,
  EngineStore,
  RangeOptions,
} from './engine.ts'
import { StateCorruptionError, StateDirectoryError } from './errors.ts'
import { SplitEngine } from './split-engine.ts'

const KiB = 1024
const MiB = 1024 * KiB

export interface LevelDbOptions {
  /** LevelDB's own tables in memory, for records and for the rest, and their logs; two of each may exist at a time. */
  readonly recordsBufferSize: number
  readonly restBufferSize: number
  /** Blocks that were read. Ours (cache.ts) holds single keys; this one is for records that lie side by side and are listed. */
  readonly cacheSize: number
  /** Of each it keeps the index and the filter in memory; or all of it that is looked at, where it maps files. */
  readonly maxOpenFiles: number
  readonly maxFileSize: number
  readonly blockSize: number
}

export const LEVELDB_DEFAULTS: LevelDbOptions = {
  recordsBufferSize: 8 * MiB,
  restBufferSize: 16 * MiB,
  cacheSize: 1 * MiB,
  maxOpenFiles: 1000,
  maxFileSize: 2 * MiB,
  blockSize: 4 * KiB,
}

/** The least that LevelDB accepts: how many files may be open where it maps them. */
export const MAPPED_FILES_MAX = 64

/** What one call of a range may hold in memory. */
const RANGE_BYTES = 256 * KiB

type Database = ClassicLevel<Buffer, Buffer>

class LevelDbBatch implements EngineBatch {
  readonly #batch: ReturnType<Database['batch']>

  constructor(db: Database) {
    this.#batch = db.batch()
  }

  put(key: Uint8Array, value: Uint8Array): void {
    this.#batch.put(key as Buffer, value as Buffer)
  }

  delete(key: Uint8Array): void {
    this.#batch.del(key as Buffer)
  }

  async write(): Promise<void> {
    if (this.#batch.length === 0) await this.#batch.close()
    else await this.#batch.write({ sync: true })
  }
}

class LevelDbRange implements EngineRange {
  readonly #iterator: ReturnType<Database['iterator']>

  constructor(db: Database, options: RangeOptions) {
    const { gte, lt } = options
    const snapshot = (options.snapshot as LevelDbSnapshot | undefined)?.inner
    this.#iterator = db.iterator({
      gte,
      lt,
      highWaterMarkBytes: RANGE_BYTES,
      fillCache: false,
      reverse: options.isReverse ?? false,
      ...(snapshot === undefined ? {} : { snapshot }),
    })
  }

  async next(rowsMax: number): Promise<readonly EngineRow[]> {
    return (await this.#iterator.nextv(rowsMax)) as EngineRow[]
  }

  async close(): Promise<void> {
    await this.#iterator.close()
  }
}

class LevelDbSnapshot implements EngineSnapshot {
  readonly inner: ReturnType<Database['snapshot']>

  constructor(db: Database) {
    this.inner = db.snapshot()
  }

  async close(): Promise<void> {
    await this.inner.close()
  }
}

class LevelDbEngine implements Engine {
  readonly #db: Database

  constructor(db: Database) {
    this.#db = db
  }

  async getMany(keys: readonly Buffer[], snapshot?: EngineSnapshot): Promise<readonly (Buffer | undefined)[]> {
    const inner = (snapshot as LevelDbSnapshot | undefined)?.inner
    return await this.#db.getMany([...keys], inner === undefined ? {} : { snapshot: inner })
  }

  batch(): EngineBatch {
    return new LevelDbBatch(this.#db)
  }

  range(options: RangeOptions): EngineRange {
    return new LevelDbRange(this.#db, options)
  }

  snapshot(): EngineSnapshot {
    return new LevelDbSnapshot(this.#db)
  }

  async approximateSize(): Promise<number> {
    return await this.#db.approximateSize(Buffer.of(0), Buffer.of(255))
  }

  async close(): Promise<void> {
    await this.#db.close()
  }
}

/** States in the folders `1`, `2`, ... of a directory: a database, and in its folder `records` another one. */
export class LevelDbStore implements EngineStore {
  readonly #directory: string
  readonly #fileSystem: FileSystem
  readonly #options: LevelDbOptions

  constructor(directory: string, fileSystem: FileSystem, options: LevelDbOptions) {
    this.#directory = directory
    this.#fileSystem = fileSystem
    this.#options = options
  }

  describe(number: number): string {
    return `${this.#directory}/${number}`
  }

  async list(): Promise<readonly number[]> {
    if ((await this.#fileSystem.stat(this.#directory)) === undefined) return []
    const names = await this.#fileSystem.readDirectory(this.#directory)
    return names
      .filter((name) => /^[1-9][0-9]{0,14}$/.test(name))
      .map(Number)
      .sort((a, b) => a - b)
  }

  /** The database of records is made first. */
  async isBlank(number: number): Promise<boolean> {
    return (await this.#fileSystem.stat(`${this.describe(number)}/CURRENT`)) === undefined
  }

  async open(number: number, mode: 'existing' | 'new'): Promise<Engine> {
    const where = this.describe(number)
    const { recordsBufferSize, restBufferSize } = this.#options
    if (mode === 'new') {
      await this.#fileSystem.makeDirectory(this.#directory)
      await this.#fileSystem.makeDirectory(where)
    }
    const records = await this.#openDatabase(recordsOf(where), mode, recordsBufferSize)
    try {
      return new SplitEngine(records, await this.#openDatabase(where, mode, restBufferSize))
    } catch (error) {
      await records.close()
      throw error
    }
  }

  async #openDatabase(where: string, mode: 'existing' | 'new', writeBufferSize: number): Promise<Engine> {
    // The type of `level` hides what its object can do; it is the class of `classic-level`.
    const db = new Level<Buffer, Buffer>(where, {
      keyEncoding: 'buffer',
      valueEncoding: 'buffer',
    }) as unknown as Database
    try {
      await db.open({
        ...this.#options,
        writeBufferSize,
        // Small values gain little from it, and it costs more CPU than anything else here.
        compression: false,
        createIfMissing: mode === 'new',
        errorIfExists: mode === 'new',
      })
    } catch (error) {
      throw openError(where, error)
    }
    return new LevelDbEngine(db)
  }

  async sync(number: number): Promise<void> {
    const where = this.describe(number)
    for (const directory of [recordsOf(where), where, this.#directory]) await this.#fileSystem.syncDirectory(directory)
  }

  async remove(number: number): Promise<void> {
    try {
      await fs.rm(this.describe(number), { recursive: true, force: true })
    } catch (error) {
      throw new FileSystemError((error as NodeJS.ErrnoException).code ?? 'EIO', 'remove', this.describe(number), error)
    }
    await this.#fileSystem.syncDirectory(this.#directory)
  }
}

const recordsOf = (where: string): string => `${where}/records`

function openError(where: string, error: unknown): Error {
  const cause = error instanceof Error ? (error.cause ?? error) : error
  const { code, message } = cause as { code?: string; message?: string }
  if (code === 'LEVEL_LOCKED') {
    return new StateDirectoryError('LOCKED', `the state in ${where} is in use by another process`, error)
  }
  if (code === 'LEVEL_CORRUPTION') return new StateCorruptionError(where, message ?? 'LevelDB cannot open it', error)
  return new StateDirectoryError('INCOMPLETE', `the state in ${where} cannot be opened: ${message ?? code}`, error)
}
