// The pointer file: which of the numbered states is the current one, and whether the log's marker for it is still to be written.
// One line of JSON and a line with its checksum; replaced as a whole (write a temporary file, sync it, rename, sync the directory).
import { crc32 } from '../../lib/checksum.ts'
import type { ConfState, SnapshotMeta } from '../../raft/types.ts'
import { readWholeFile } from '../file-system.ts'
import type { FileSystem } from '../file-system.ts'
import { StateCorruptionError, StateDirectoryError } from './errors.ts'

const POINTER_FORMAT = 2

export interface StatePointer {
  readonly state: number
  /** The state was swapped in, and the log does not say so yet. */
  readonly pendingMarker: SnapshotMeta | undefined
}

export class PointerFile {
  readonly #fileSystem: FileSystem
  readonly #directory: string

  constructor(fileSystem: FileSystem, directory: string) {
    this.#fileSystem = fileSystem
    this.#directory = directory
  }

  get path(): string {
    return `${this.#directory}/pointer`
  }

  async read(): Promise<StatePointer | undefined> {
    const bytes = await readWholeFile(this.#fileSystem, this.path)
    return bytes === undefined ? undefined : parse(this.path, bytes.toString('utf8'))
  }

  /** Durable when it resolves; before that, the file says either the one or the other. */
  async write(pointer: StatePointer): Promise<void> {
    const temporary = `${this.path}.new`
    if ((await this.#fileSystem.stat(temporary)) !== undefined) await this.#fileSystem.remove(temporary)
    const handle = await this.#fileSystem.open(temporary, { mode: 'create', isDurable: false })
    try {
      await handle.write(Buffer.from(print(pointer), 'utf8'), 0)
      await handle.sync()
    } finally {
      await handle.close()
    }
    await this.#fileSystem.rename(temporary, this.path)
    await this.#fileSystem.syncDirectory(this.#directory)
  }
}

function print({ state, pendingMarker }: StatePointer): string {
  const line = JSON.stringify({ format: POINTER_FORMAT, state, pendingMarker: pendingMarker ?? null })
  return `${line}\n${checksum(line)}\n`
}

function parse(path: string, text: string): StatePointer {
  const [line = '', sum, rest] = text.split('\n')
  if (rest !== '' || sum !== checksum(line)) throw new StateCorruptionError(path, 'its checksum does not hold')
  // The checksum holds, so this is what a release of this program wrote.
  const content = JSON.parse(line) as { format: number; state: number; pendingMarker: SnapshotMeta | null }
  if (content.format !== POINTER_FORMAT) {
    throw new StateDirectoryError(
      content.format > POINTER_FORMAT ? 'NEWER_FORMAT' : 'OLDER_FORMAT',
      `${path} has format ${content.format}; this release reads format ${POINTER_FORMAT}. Use the release that wrote it.`,
    )
  }
  const { state, pendingMarker } = content
  if (!Number.isSafeInteger(state) || state < 1) throw new StateCorruptionError(path, `it names the state ${state}`)
  if (pendingMarker !== null && !isSnapshotMeta(pendingMarker)) {
    throw new StateCorruptionError(path, 'its note about the pending marker is malformed')
  }
  return { state, pendingMarker: pendingMarker ?? undefined }
}

const checksum = (line: string): string => crc32(Buffer.from(line, 'utf8')).toString(16).padStart(8, '0')

const isCount = (count: unknown): boolean => Number.isSafeInteger(count) && (count as number) >= 0

function isSnapshotMeta(value: SnapshotMeta): boolean {
  return isCount(value.term) && isCount(value.index) && isConfState(value.confState)
}

function isConfState(value: ConfState | undefined): boolean {
  if (typeof value !== 'object' || typeof value.autoLeave !== 'boolean') return false
  const lists = [value.voters, value.votersOutgoing, value.learners, value.learnersNext]
  return lists.every((list) => Array.isArray(list) && list.every((id) => /^[0-9a-f]{16}$/.test(String(id))))
}
