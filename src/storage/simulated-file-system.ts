// A disk in memory, deterministic, that treats us as badly as a real one may: what was not synced can vanish at a crash,
// sector by sector and name by name; operations can fail; bits can flip. Tests and the simulator run the real log on it.
//
// Each operation is counted. Its effect on what a process sees is immediate; its durability comes with its completion. When
// the injected `stop` says so, an operation takes effect but never completes, and every later one rejects: the power is off.
import type { Prng } from '../lib/prng.ts'
import { FileSystemError } from './errors.ts'
import { directoryOf } from './file-system.ts'
import type { FileHandle, FileSystem, OpenOptions } from './file-system.ts'
import { SimulatedFile } from './simulated-file.ts'

export type FileOperationKind =
  | 'open'
  | 'read'
  | 'write'
  | 'durable-write'
  | 'sync'
  | 'truncate'
  | 'list'
  | 'rename'
  | 'remove'
  | 'sync-directory'

export interface FileOperation {
  readonly kind: FileOperationKind
  readonly path: string
  /** Counts all operations of this disk from 1. */
  readonly number: number
}

export type Fault =
  /** Nothing happens, and the operation fails. For `sync` and durable writes the data stays unsynced: outcome unknown. */
  | { readonly kind: 'error'; readonly code: string }
  /** Only the first bytes are written. */
  | { readonly kind: 'short'; readonly bytes: number }
  /** The power goes off in the middle of it. */
  | { readonly kind: 'power-off' }

export interface SimulatedDiskOptions {
  /** Decides on the fate of each operation. */
  readonly fault?: (operation: FileOperation) => Fault | undefined
  /** Awaited before an operation completes; the simulator resolves it on its ticks. */
  readonly delay?: (operation: FileOperation) => Promise<void>
  /** ENOSPC past it. */
  readonly capacityBytes?: number
}

/** What survives of the unsynced part: all, nothing, a random subset, or all but a torn end of the last write. */
export type Survival =
  | { readonly keep: 'all' }
  | { readonly keep: 'none' }
  | { readonly keep: 'random'; readonly prng: Prng }
  | { readonly keep: 'torn'; readonly bytesOfLastWrite: number }

type Node = SimulatedFile | 'directory'
interface NameChange {
  readonly directory: string
  readonly removed: string | undefined
  readonly added: { readonly path: string; readonly node: Node } | undefined
}

export class SimulatedFileSystem implements FileSystem {
  readonly #names: Map<string, Node>
  readonly #durableNames: Map<string, Node>
  #unsyncedNames: NameChange[] = []
  #options: SimulatedDiskOptions
  #isOff = false
  #lastWrite: SimulatedFile | undefined
  readonly #counts = new Map<FileOperationKind, number>()
  #operations = 0

  constructor(options: SimulatedDiskOptions = {}, names: ReadonlyMap<string, Node> = new Map()) {
    this.#options = options
    this.#names = new Map(names)
    this.#durableNames = new Map(names)
  }

  // ------------------------------------------------------------------------------------------------- for the experimenter

  /** How many operations of that kind began, or of all kinds. */
  count(kind?: FileOperationKind): number {
    return kind === undefined ? this.#operations : (this.#counts.get(kind) ?? 0)
  }

  /** Replaces faults, delays and capacity from now on. */
  configure(options: SimulatedDiskOptions): void {
    this.#options = options
  }

  /** The power goes off now: every later operation rejects. */
  powerOff(): void {
    this.#isOff = true
  }

  /** The disk as the next process finds it. This one is of no use afterwards. */
  crash(survival: Survival, options: SimulatedDiskOptions = {}): SimulatedFileSystem {
    this.#isOff = true
    const names = new Map(this.#durableNames)
    for (const change of this.#unsyncedNames) {
      if (survival.keep === 'none' || (survival.keep === 'random' && survival.prng.chance(1, 2))) continue
      if (change.removed !== undefined) names.delete(change.removed)
      if (change.added !== undefined) names.set(change.added.path, change.added.node)
    }
    const survivors = new Map<SimulatedFile, SimulatedFile>()
    for (const [path, node] of [...names].sort(([a], [b]) => (a < b ? -1 : 1))) {
      if (node === 'directory') continue
      const survivor = survivors.get(node) ?? node.survivor(survival, node === this.#lastWrite)
      survivors.set(node, survivor)
      names.set(path, survivor)
    }
    return new SimulatedFileSystem(options, names)
  }

  /** An independent copy of what is visible now, as if everything had been synced. */
  clone(options: SimulatedDiskOptions = {}): SimulatedFileSystem {
    const names = new Map<string, Node>()
    for (const [path, node] of this.#names) names.set(path, node === 'directory' ? node : node.clone())
    return new SimulatedFileSystem(options, names)
  }

  /** Flips one bit on the medium, behind everybody's back. */
  flipBit(path: string, byte: number, bit: number): void {
    this.#file(path, 'flip').flipBit(byte, bit)
  }

  /** A copy of the visible content of a file. */
  content(path: string): Buffer {
    return Buffer.from(this.#file(path, 'look at').content)
  }

  /** Puts a file there, durable at once, whatever was there before. */
  plant(path: string, content: Uint8Array): void {
    const file = new SimulatedFile(Buffer.from(content))
    this.#names.set(path, file)
    this.#durableNames.set(path, file)
  }

  paths(): string[] {
    return [...this.#names.keys()].sort()
  }

  // ------------------------------------------------------------------------------------------------------------- the port

  async open(path: string, options: OpenOptions): Promise<FileHandle> {
    await this.#operate('open', path, () => {
      if (options.mode === 'create') {
        if (this.#names.has(path)) throw new FileSystemError('EEXIST', 'open', path)
        this.#add(path, new SimulatedFile())
      } else {
        this.#file(path, 'open')
      }
    })
    const file = this.#file(path, 'open')
    return new SimulatedFileHandle(path, file, options, (kind, effect, complete) => {
      if (kind === 'write' || kind === 'durable-write') this.#lastWrite = file
      return this.#operate(kind, path, effect, complete)
    })
  }

  async stat(path: string): Promise<{ isDirectory: boolean; sizeBytes: number } | undefined> {
    let node: Node | undefined
    await this.#operate('list', path, () => (node = this.#names.get(path)))
    if (node === undefined) return undefined
    return { isDirectory: node === 'directory', sizeBytes: node === 'directory' ? 0 : node.content.length }
  }

  async readDirectory(path: string): Promise<readonly string[]> {
    let names: string[] = []
    await this.#operate('list', path, () => {
      this.#directory(path, 'list')
      names = [...this.#names.keys()]
        .filter((name) => directoryOf(name) === path)
        .map((name) => name.slice(path.length + 1))
    })
    return names.sort()
  }

  makeDirectory(path: string): Promise<void> {
    return this.#operate('open', path, () => {
      if (this.#names.get(path) !== 'directory') this.#add(path, 'directory')
    })
  }

  rename(from: string, to: string): Promise<void> {
    return this.#operate('rename', from, () => {
      const node = this.#file(from, 'rename')
      this.#names.delete(from)
      this.#names.set(to, node)
      this.#unsyncedNames.push({ directory: directoryOf(to), removed: from, added: { path: to, node } })
    })
  }

  remove(path: string): Promise<void> {
    return this.#operate('remove', path, () => {
      this.#file(path, 'remove')
      this.#names.delete(path)
      this.#unsyncedNames.push({ directory: directoryOf(path), removed: path, added: undefined })
    })
  }

  syncDirectory(path: string): Promise<void> {
    let covered: NameChange[] = []
    return this.#operate(
      'sync-directory',
      path,
      () => {
        this.#directory(path, 'sync')
        covered = this.#unsyncedNames.filter((change) => change.directory === path)
      },
      () => {
        for (const change of covered) {
          if (change.removed !== undefined) this.#durableNames.delete(change.removed)
          if (change.added !== undefined) this.#durableNames.set(change.added.path, change.added.node)
        }
        this.#unsyncedNames = this.#unsyncedNames.filter((change) => !covered.includes(change))
      },
    )
  }

  async freeBytes(path: string): Promise<number> {
    await this.#operate('list', path, () => {})
    return this.#freeBytes()
  }

  // ------------------------------------------------------------------------------------------------------------ internals

  /** One operation: faults, the effect that processes see, the delay, then what its completion makes durable. */
  async #operate(
    kind: FileOperationKind,
    path: string,
    effect: Effect,
    complete: () => void = () => {},
  ): Promise<void> {
    if (this.#isOff) throw new FileSystemError('POWER_OFF', kind, path)
    const operation = { kind, path, number: ++this.#operations }
    this.#counts.set(kind, (this.#counts.get(kind) ?? 0) + 1)
    const fault = this.#options.fault?.(operation)
    if (fault?.kind === 'error') throw new FileSystemError(fault.code, kind, path)
    effect({ bytesMax: fault?.kind === 'short' ? fault.bytes : Infinity, freeBytes: this.#freeBytes() })
    if (fault?.kind === 'power-off') this.#isOff = true
    await this.#options.delay?.(operation)
    if (this.#isOff) throw new FileSystemError('POWER_OFF', kind, path)
    if (fault?.kind === 'short') throw new FileSystemError('SHORT_WRITE', kind, path)
    complete()
  }

  #add(path: string, node: Node): void {
    this.#directory(directoryOf(path), 'create')
    this.#names.set(path, node)
    this.#unsyncedNames.push({ directory: directoryOf(path), removed: undefined, added: { path, node } })
  }

  #file(path: string, operation: string): SimulatedFile {
    const node = this.#names.get(path)
    if (node === 'directory') throw new FileSystemError('EISDIR', operation, path)
    if (node === undefined) throw new FileSystemError('ENOENT', operation, path)
    return node
  }

  /** The root is always there. */
  #directory(path: string, operation: string): void {
    if (path === '/' || this.#names.get(path) === 'directory') return
    throw new FileSystemError(this.#names.has(path) ? 'ENOTDIR' : 'ENOENT', operation, path)
  }

  #freeBytes(): number {
    if (this.#options.capacityBytes === undefined) return Number.MAX_SAFE_INTEGER
    let used = 0
    for (const node of this.#names.values()) if (node !== 'directory') used += node.content.length
    return Math.max(0, this.#options.capacityBytes - used)
  }
}

type Effect = (limits: { readonly bytesMax: number; readonly freeBytes: number }) => void
type Operate = (kind: FileOperationKind, effect: Effect, complete?: () => void) => Promise<void>

/** Holds on to the file itself: as in POSIX, a renamed or removed file stays open. */
class SimulatedFileHandle implements FileHandle {
  readonly path: string
  readonly #file: SimulatedFile
  readonly #options: OpenOptions
  readonly #operate: Operate
  #isClosed = false

  constructor(path: string, file: SimulatedFile, options: OpenOptions, operate: Operate) {
    this.path = path
    this.#file = file
    this.#options = options
    this.#operate = operate
  }

  async read(target: Uint8Array, position: number): Promise<number> {
    let count = 0
    await this.#checked('read', () => {
      count = this.#file.read(target, position)
    })
    return count
  }

  async write(bytes: Uint8Array, position: number): Promise<void> {
    if (this.#options.mode === 'read') throw new FileSystemError('EBADF', 'write', this.path)
    let number = 0
    await this.#checked(
      this.#options.isDurable ? 'durable-write' : 'write',
      ({ bytesMax, freeBytes }) => {
        const growth = position + bytes.length - this.#file.content.length
        if (growth > freeBytes) throw new FileSystemError('ENOSPC', 'write', this.path)
        number = this.#file.write(bytes.subarray(0, Math.min(bytes.length, bytesMax)), position)
      },
      () => {
        if (this.#options.isDurable) this.#file.syncWrite(number)
      },
    )
  }

  sync(): Promise<void> {
    let upTo = 0
    return this.#checked(
      'sync',
      () => {
        upTo = this.#file.lastWriteNumber
      },
      () => this.#file.syncUpTo(upTo),
    )
  }

  truncate(sizeBytes: number): Promise<void> {
    return this.#checked('truncate', () => this.#file.truncate(sizeBytes))
  }

  sizeBytes(): Promise<number> {
    return Promise.resolve(this.#file.content.length)
  }

  close(): Promise<void> {
    this.#isClosed = true
    return Promise.resolve()
  }

  async #checked(kind: FileOperationKind, effect: Effect, complete?: () => void): Promise<void> {
    if (this.#isClosed) throw new FileSystemError('EBADF', kind, this.path)
    await this.#operate(kind, effect, complete)
  }
}
