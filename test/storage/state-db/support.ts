// Helpers of the state database's tests: a small writer of changes in the manner of the state machine, stores over both
// engines, and a real clock. The state machine itself is another layer's and is not used here.
import { cpSync, promises as fs, readdirSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { assert, present } from '../../../src/lib/assert.ts'
import { Hasher64, ZERO_HASH, addHash, subtractHash } from '../../../src/lib/hash.ts'
import type { Hash64 } from '../../../src/lib/hash.ts'
import { nextSkips } from '../../../src/kv/skip-list.ts'
import type { Change, KeyPointer, KeyRecord, KvMeta, RevisionId } from '../../../src/kv/types.ts'
import type { Clock, ClusterConfiguration, Logger, StateStorage, StateStore } from '../../../src/node/ports.ts'
import { SimulatedFileSystem } from '../../../src/storage/simulated-file-system.ts'
import { MemoryStore, openStateStorage } from '../../../src/storage/state-db/index.ts'
import type { OpenStateOptions, ScheduleWork } from '../../../src/storage/state-db/index.ts'
import { FRAME_KIND, FrameReader, decodeTrailer } from '../../../src/storage/state-db/snapshot-format.ts'
import type { SnapshotTrailer } from '../../../src/storage/state-db/snapshot-format.ts'

export const realClock: Clock = {
  now: () => performance.now(),
  after(delayMs, callback) {
    const timer = setTimeout(callback, delayMs)
    return { cancel: () => clearTimeout(timer) }
  },
  soon: (callback) => void setImmediate(callback),
}

export const quiet: Logger = { debug() {}, info() {}, warn() {}, error() {} }

const NODE_A = '00000000000000aa'
const NODE_B = '00000000000000bb'

export const CONFIGURATION: ClusterConfiguration = {
  confState: { voters: [NODE_A, NODE_B], votersOutgoing: [], learners: [], learnersNext: [], autoLeave: false },
  members: [
    { id: NODE_A, name: 'n1', peer: '127.0.0.1:7701' },
    { id: NODE_B, name: 'n2', peer: '[::1]:7711' },
  ],
}

export const INITIAL_META: KvMeta = {
  term: 0,
  index: 0,
  clusterTimeMs: 0,
  revision: 1,
  compactRevision: 0,
  clusterVersion: 1,
  digest: { live: ZERO_HASH, history: ZERO_HASH },
  liveKeys: 0,
  lastToken: 0,
}

export function recordDigest(record: KeyRecord): Hash64 {
  const hasher = new Hasher64(7).latin1(record.key).bytes(record.value ?? Buffer.alloc(0))
  return hasher.number(record.createRevision).number(record.at.revision).number(record.version).finish()
}

export const rowDigest = (key: string, value: Uint8Array): Hash64 => new Hasher64(8).latin1(key).bytes(value).finish()

/** What an entry does: a value writes, undefined deletes. */
export type Write = readonly [key: string, value: Uint8Array | undefined]

/** Writes entries as the state machine would, through pointers fetched from the store. */
export class Writer {
  readonly #store: StateStore
  #staged: KvMeta | undefined

  constructor(store: StateStore) {
    this.#store = store
  }

  /** Applies one entry. A deletion of what is not there changes nothing. */
  async entry(writes: readonly Write[]): Promise<KvMeta> {
    const keys = writes.map(([key]) => key)
    await this.#store.prefetch({ pointers: keys, records: [], ranges: [] })
    return this.entryNow(writes)
  }

  /** The same where the keys are known to be in memory. */
  entryNow(writes: readonly Write[], compactRevision = this.#store.meta.compactRevision): KvMeta {
    const pointers = writes.map(([key]) => key)
    assert(this.#store.prefetch({ pointers, records: [], ranges: [] }) === undefined, 'a key is not in memory')
    let meta = { ...this.#store.meta, compactRevision }
    meta = { ...meta, index: meta.index + 1, term: Math.max(meta.term, 1) }
    for (const [key, value] of writes) meta = this.#change(meta, key, value)
    this.#store.commitEntry(meta)
    return meta
  }

  /** One entry that writes all in one revision, as a transaction does. */
  async txn(writes: readonly Write[]): Promise<KvMeta> {
    await this.#store.prefetch({ pointers: writes.map(([key]) => key), records: [], ranges: [] })
    const before = this.#store.meta
    let meta: KvMeta = { ...before, index: before.index + 1, term: Math.max(before.term, 1) }
    let sub = 0
    for (const [key, value] of writes) {
      const after = this.#change(meta, key, value, { revision: before.revision + 1, sub })
      if (after !== meta) sub++
      meta = after
    }
    this.#store.commitEntry(meta)
    return meta
  }

  /** One entry that writes or removes rows. */
  rows(
    rows: readonly (readonly [key: string, before: Uint8Array | undefined, after: Uint8Array | undefined])[],
  ): KvMeta {
    const { meta } = this.#store
    let { live } = meta.digest
    for (const [key, before, after] of rows) {
      if (before !== undefined) live = subtractHash(live, rowDigest(key, before))
      if (after !== undefined) live = addHash(live, rowDigest(key, after))
      this.#store.putRow({ key, notedAt: -1 }, after, before === undefined)
    }
    const next = { ...meta, index: meta.index + 1, digest: { ...meta.digest, live } }
    this.#store.commitEntry(next)
    return next
  }

  #change(
    meta: KvMeta,
    key: string,
    value: Uint8Array | undefined,
    at: RevisionId = { revision: meta.revision + 1, sub: 0 },
  ): KvMeta {
    const found = this.#store.pointer(key)
    const isForgotten = found?.isTombstone === true && found.at.revision < meta.compactRevision
    const before = isForgotten ? undefined : found
    const isLive = before !== undefined && !before.isTombstone
    if (value === undefined && !isLive) return meta
    const { revision } = at
    const change = changeOf(at, key, value, before)
    this.#store.put(change)
    let live = addHash(meta.digest.live, change.pointer.digest)
    if (isLive) live = subtractHash(live, before.digest)
    const digest = { live, history: addHash(meta.digest.history, recordDigest(change.record)) }
    const liveKeys = meta.liveKeys - (isLive ? 1 : 0) + (value === undefined ? 0 : 1)
    return { ...meta, revision, digest, liveKeys }
  }

  /** Writes as a part of an entry that {@link commit} ends. */
  async stage(writes: readonly Write[]): Promise<void> {
    await this.#store.prefetch({ pointers: writes.map(([key]) => key), records: [], ranges: [] })
    let meta = this.#staged ?? this.#store.meta
    for (const [key, value] of writes) meta = this.#change(meta, key, value)
    this.#staged = meta
  }

  commit(): KvMeta {
    const meta = { ...(this.#staged ?? this.#store.meta), index: this.#store.meta.index + 1 }
    this.#staged = undefined
    this.#store.commitEntry(meta)
    return meta
  }

  /** Compacts, as a command would, and starts removing history. */
  compact(revision: number): KvMeta {
    const meta = this.entryNow([], revision)
    this.#store.removeHistory(revision)
    return meta
  }
}

function changeOf(at: RevisionId, key: string, value: Uint8Array | undefined, before: KeyPointer | undefined): Change {
  const isNew = before === undefined || before.isTombstone
  const isTombstone = value === undefined
  const version = isTombstone ? 0 : isNew ? 1 : before.version + 1
  const createRevision = isNew ? at.revision : before.createRevision
  const predecessor = before === undefined ? undefined : { ...before.at, isTombstone: before.isTombstone }
  const skips = nextSkips(before)
  const record: KeyRecord = {
    at,
    key,
    value,
    createRevision,
    version,
    predecessor,
    contentType: at.revision % 3 === 0 ? 'text/plain; charset=utf-8' : '',
    lease: '',
    skip: skips[0],
  }
  const digest = isTombstone ? ZERO_HASH : recordDigest(record)
  const changes = (before?.changes ?? 0) + 1
  return { record, pointer: { at, createRevision, version, changes, isTombstone, skips, digest } }
}

/** One place for states, and how to get at it again after a crash. */
export interface Home {
  readonly name: string
  open(options?: Partial<OpenStateOptions>): Promise<StateStorage>
  /** What is on disk now, as a place of its own: as after a kill. */
  crash(): Promise<Home>
  dispose(): Promise<void>
}

const baseOptions = (directory: string, options: Partial<OpenStateOptions>): OpenStateOptions => ({
  directory,
  recordDigest,
  rowDigest,
  clock: realClock,
  logger: quiet,
  batchDelayMs: 5,
  initial: { configuration: CONFIGURATION, meta: INITIAL_META },
  ...options,
})

export async function levelHome(): Promise<Home & { readonly directory: string }> {
  const root = await fs.mkdtemp(`${tmpdir()}/quorate-state-`)
  await fs.mkdir(`${root}/0`)
  return levelHomeIn(root, `${root}/0`)
}

const levelHomeIn = (root: string, directory: string): Home & { readonly directory: string } => ({
  name: 'LevelDB',
  directory,
  open: async (options = {}) => await openStateStorage(baseOptions(directory, options)),
  async crash() {
    const copy = `${directory}-copy`
    await copyDirectory(directory, copy)
    return levelHomeIn(root, copy)
  },
  dispose: async () => await fs.rm(root, { recursive: true, force: true }),
})

const isWanted = (source: string): boolean => !source.endsWith('/LOCK')

/**
 * A copy of a database in use, as a crash would leave it: in one breath, so that no further part of a batch starts meanwhile, and taken again
 * when files came, went or were listed anew, because LevelDB tidies up in the background. A log that grew is fine: the copy has a torn
 * end. LOCK is another process's. Records are copied last, because a batch brings them first: so none is missing to what refers to it.
 */
async function copyDirectory(from: string, to: string): Promise<void> {
  for (;;) {
    const before = fingerprint(from)
    try {
      cpSync(from, to, { recursive: true, filter: (source) => isWanted(source) && !source.endsWith('/records') })
      for (const name of readdirSync(`${from}/state`)) {
        const records = `state/${name}/records`
        cpSync(`${from}/${records}`, `${to}/${records}`, { recursive: true, filter: isWanted })
      }
      if (fingerprint(from) === before) return
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
    }
    rmSync(to, { recursive: true, force: true })
    await new Promise((resolve) => setImmediate(resolve))
  }
}

function fingerprint(directory: string): string {
  const names = readdirSync(directory, { recursive: true, encoding: 'utf8' }).sort()
  const manifests = names.filter((name) => name.includes('MANIFEST'))
  return JSON.stringify([names, manifests.map((name) => statSync(`${directory}/${name}`).size)])
}

export interface MemoryHome extends Home {
  readonly store: MemoryStore
  readonly fileSystem: SimulatedFileSystem
}

export async function memoryHome(schedule?: ScheduleWork): Promise<MemoryHome> {
  const fileSystem = new SimulatedFileSystem()
  await fileSystem.makeDirectory('/0')
  await fileSystem.syncDirectory('/')
  return memoryHomeIn(fileSystem, new MemoryStore(schedule === undefined ? {} : { schedule }))
}

const memoryHomeIn = (fileSystem: SimulatedFileSystem, store: MemoryStore): MemoryHome => ({
  name: 'memory',
  store,
  fileSystem,
  open: async (more = {}) => await openStateStorage(baseOptions('/0', { fileSystem, store, ...more })),
  crash: async () => memoryHomeIn(fileSystem.crash({ keep: 'none' }), new MemoryStore({ from: store })),
  dispose: async () => {},
})

export const HOMES: readonly (readonly [string, () => Promise<Home>])[] = [
  ['LevelDB', levelHome],
  ['memory', memoryHome],
]

/** Moves a state from one storage into another, through the stream. */
export async function transfer(from: StateStore, to: StateStorage, change: (chunks: Buffer[]) => Buffer[] = (x) => x) {
  const snapshot = await from.openSnapshot()
  const chunks: Buffer[] = []
  try {
    for await (const chunk of snapshot.chunks()) chunks.push(Buffer.from(chunk))
  } finally {
    await snapshot.close()
  }
  const receiver = await to.receive()
  try {
    for (const chunk of change(chunks)) await receiver.write(chunk)
  } catch (error) {
    await receiver.abort()
    throw error
  }
  return await receiver.finish()
}

/** Resolves when `holds` does; looks again after each turn of the event loop. */
export async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await holds())) await new Promise((resolve) => setImmediate(resolve))
}

/** Until the store knows which keys are on disk: what is not there is in memory then. */
export async function censusOver(store: StateStore): Promise<void> {
  let asked = 0
  await until(() => !(store.get(`never/${asked++}`) instanceof Promise))
}

export const textOf = (record: KeyRecord | undefined): string | undefined =>
  record?.value === undefined ? undefined : Buffer.from(present(record.value, 'a value')).toString()

/** How many rows a state holds, as its stream tells. */
export async function countRows(store: StateStore): Promise<SnapshotTrailer> {
  const snapshot = await store.openSnapshot()
  const frames = new FrameReader()
  let trailer: SnapshotTrailer | undefined
  try {
    for await (const chunk of snapshot.chunks()) {
      for (const frame of frames.push(chunk)) {
        if (frame.kind === FRAME_KIND.trailer) trailer = decodeTrailer(frame.payload)
      }
    }
  } finally {
    await snapshot.close()
  }
  return present(trailer, 'a trailer')
}
