// The state database: what the composition root and the simulator use of it. README.md tells how it works.
import type { KvMeta } from '../../kv/types.ts'
import type { Clock, ClusterConfiguration, Logger, StateStorage } from '../../node/ports.ts'
import type { FileSystem } from '../file-system.ts'
import { nodeFileSystem } from '../node-file-system.ts'
import type { EngineStore } from './engine.ts'
import { LEVELDB_DEFAULTS, LevelDbStore, MAPPED_FILES_MAX } from './leveldb-engine.ts'
import type { LevelDbOptions } from './leveldb-engine.ts'
import type { RowDigest } from './rows.ts'
import type { RecordDigest } from './snapshot-receiver.ts'
import type { StateDbLimits } from './state-db.ts'
import { openStateDirectory } from './state-storage.ts'
import { keepFilesUnmapped } from './unmapped-files.ts'

export { MemoryStore } from './memory-engine.ts'
export type { ScheduleWork } from './memory-engine.ts'
export { SnapshotStreamError, StateCorruptionError, StateDirectoryError } from './errors.ts'

const MiB = 1024 * 1024

const STATE_DEFAULTS: StateDbLimits = {
  cacheBytesMax: 32 * MiB,
  tableBytesMax: 32 * MiB,
  batchBytes: 4 * MiB,
  batchDelayMs: 300,
}

export interface OpenStateOptions extends Partial<StateDbLimits> {
  /** `groups/0` of a data directory; must exist. Gets the file `pointer` and the folder `state`. */
  readonly directory: string
  /** What a new store starts from; not looked at when there is a state. */
  readonly initial: { readonly configuration: ClusterConfiguration; readonly meta: KvMeta }
  /** A live record's share of the digest, as the state machine defines it: received states are checked with it. */
  readonly recordDigest: RecordDigest
  /** A row's share of it, likewise. */
  readonly rowDigest: RowDigest
  readonly clock: Clock
  readonly logger: Logger
  readonly leveldb?: Partial<LevelDbOptions>
  /** For the pointer file; the operating system's unless given. */
  readonly fileSystem?: FileSystem
  /** The databases; LevelDB under `directory` unless given. The simulator gives a {@link MemoryStore}. */
  readonly store?: EngineStore
}

/**
 * Has LevelDB read the files of states that are opened from here on, instead of mapping them. Where that cannot be had, it is
 * to have few files open. Makes and removes the folder `maps` of the directory.
 */
export async function prepareLevelDb(directory: string, logger: Logger): Promise<Partial<LevelDbOptions>> {
  try {
    await keepFilesUnmapped(`${directory}/maps`)
    return {}
  } catch (error) {
    logger.warn(
      { error: String(error) },
      'LevelDB maps its files into memory: with many keys this node takes more memory, and its reads from disk more time',
    )
    return { maxOpenFiles: MAPPED_FILES_MAX }
  }
}

/** Opens the current state, or makes the first one; removes what earlier crashes left behind. */
export async function openStateStorage(options: OpenStateOptions): Promise<StateStorage> {
  const { directory, initial, recordDigest, rowDigest, clock, logger, fileSystem = nodeFileSystem } = options
  const leveldb = { ...LEVELDB_DEFAULTS, ...options.leveldb }
  const store = options.store ?? new LevelDbStore(`${directory}/state`, fileSystem, leveldb)
  const limits: StateDbLimits = {
    cacheBytesMax: options.cacheBytesMax ?? STATE_DEFAULTS.cacheBytesMax,
    tableBytesMax: options.tableBytesMax ?? STATE_DEFAULTS.tableBytesMax,
    batchBytes: options.batchBytes ?? STATE_DEFAULTS.batchBytes,
    batchDelayMs: options.batchDelayMs ?? STATE_DEFAULTS.batchDelayMs,
  }
  return await openStateDirectory({
    directory,
    fileSystem,
    store,
    initial,
    recordDigest,
    rowDigest,
    clock,
    logger,
    limits,
  })
}
