// What the tests of the storage share: entries, markers, loggers, and a log's whole content in one comparable value.
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'

import { Prng } from '../../src/lib/prng.ts'
import type { Logger, LogWrite, RaftStorage } from '../../src/node/ports.ts'
import type { ConfState, Entry, HardState, LogIndex, SnapshotMeta, Term } from '../../src/raft/index.ts'
import type { FileSystem } from '../../src/storage/file-system.ts'
import type { Identity } from '../../src/storage/identity-file.ts'
import type { SimulatedFileSystem } from '../../src/storage/simulated-file-system.ts'
import { openRaftLog } from '../../src/storage/wal/index.ts'

export const silent: Logger = { debug() {}, info() {}, warn() {}, error() {} }

export const NODE_A = '00000000000000aa'
export const NODE_B = 'bbbbbbbbbbbbbbbb'

export const confState: ConfState = {
  voters: [NODE_A, NODE_B],
  votersOutgoing: [],
  learners: ['cccccccccccccccc'],
  learnersNext: [],
  autoLeave: false,
}

export const marker = (index: LogIndex, term: Term): SnapshotMeta => ({ index, term, confState })

/** Entries whose data tell index, term and a salt, so that no two different entries look alike. */
export function entries(
  first: LogIndex,
  last: LogIndex,
  term: Term,
  options: { bytes?: number; salt?: string } = {},
): Entry[] {
  const made: Entry[] = []
  for (let index = first; index <= last; index++) {
    const text = `${index}/${term}/${options.salt ?? ''}`
    const data = Buffer.alloc(Math.max(options.bytes ?? 0, text.length), `${text} `)
    made.push({ index, term, kind: index % 7 === 0 ? 'no-op' : index % 5 === 0 ? 'configuration' : 'normal', data })
  }
  return made
}

export const write = (parts: Partial<LogWrite>): LogWrite => ({
  hardState: undefined,
  entries: [],
  snapshot: undefined,
  ...parts,
})

export const hardState = (term: Term, votedFor?: string, commitIndex = 0): HardState => ({
  term,
  votedFor,
  commitIndex,
})

/** Everything that a log holds, by its own account. */
export interface Content {
  readonly hardState: HardState
  readonly marker: SnapshotMeta | undefined
  readonly first: LogIndex
  readonly entries: readonly string[]
}

export const describeEntry = ({ index, term, kind, data }: Entry): string =>
  `${index} ${term} ${kind} ${Buffer.from(data).toString('hex')}`

/** What a log that was just opened holds. It reads the entries back from the disk, and compares them with the tail. */
export async function contentOf(log: RaftStorage): Promise<Content> {
  const { hardState, marker, tail } = log.recovered
  const slice = await log.read({ first: log.firstIndex, last: Number.MAX_SAFE_INTEGER, bytesMax: Infinity })
  if (slice === undefined) throw new Error('the log does not hold what it says that it holds')
  const texts = slice.entries.map(describeEntry)
  const kept = tail.entries.map(describeEntry)
  if (kept.length > 0 && kept.join() !== texts.slice(-kept.length).join()) throw new Error('tail and log differ')
  return { hardState, marker, first: log.firstIndex, entries: texts }
}

export const DISK_PATHS = { directory: '/log', votePath: '/vote' }

export interface OpenDiskOptions {
  readonly keepFrom?: LogIndex
  readonly segmentBytes?: number
  readonly memoryBytesMax?: number
  readonly logger?: Logger
  readonly seed?: string
  readonly at?: { readonly directory: string; readonly votePath: string }
}

/** Counts the logs opened, so that each draws other epochs, and the same ones in each run. */
let opened = 0

export function openOn(fileSystem: FileSystem, options: OpenDiskOptions = {}): Promise<RaftStorage> {
  const prng = new Prng(options.seed ?? `epochs-${++opened}`)
  return openRaftLog({
    fileSystem,
    ...(options.at ?? DISK_PATHS),
    keepFrom: options.keepFrom ?? 1,
    memoryBytesMax: options.memoryBytesMax ?? 1024 * 1024,
    segmentBytes: options.segmentBytes ?? 16 * 1024,
    logger: options.logger ?? silent,
    random: (bytes) => Uint8Array.from({ length: bytes }, () => prng.below(256)),
  })
}

/** A directory of this machine, removed by `remove`. */
export function temporaryDirectory(): { readonly path: string; remove(): void } {
  const made = fs.mkdtempSync(path.join(os.tmpdir(), 'quorate-storage-'))
  return { path: made, remove: () => fs.rmSync(made, { recursive: true, force: true }) }
}

/** Opens, lets `use` look, closes. */
export async function withLog<T>(
  fileSystem: SimulatedFileSystem,
  use: (log: RaftStorage) => Promise<T>,
  options: OpenDiskOptions = {},
): Promise<T> {
  const log = await openOn(fileSystem, options)
  try {
    return await use(log)
  } finally {
    await log.close()
  }
}

const members = [
  { id: NODE_A, name: 'n1', peer: '127.0.0.1:7701' },
  { id: NODE_B, name: 'n2', peer: '127.0.0.1:7711' },
]

/** Who the data directory of the tests belongs to. */
export const identity: Identity = {
  clusterId: '1111111111111111',
  nodeId: NODE_A,
  name: 'n1',
  formatVersion: 1,
  founders: members,
  members,
}
