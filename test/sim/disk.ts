// A node's disk in the simulated world: the files of the log, and the store under the state. Both take their time by events of the
// world, fail as the dice say, and keep of what was not synced what a crash leaves.
import { createIncarnations } from '../../src/storage/incarnation-registry.ts'
import { Prng } from '../../src/lib/prng.ts'
import { SimulatedFileSystem } from '../../src/storage/simulated-file-system.ts'
import type { Fault, FileOperation, SimulatedDiskOptions, Survival } from '../../src/storage/simulated-file-system.ts'
import { MemoryStore } from '../../src/storage/state-db/index.ts'
import { readFrameHeader } from '../../src/storage/wal/frame.ts'
import type { Host } from './host.ts'
import { drawMs } from './links.ts'
import type { Situations } from './situations.ts'
import type { Swarm } from './swarm.ts'
import type { World } from './world.ts'

export interface DiskParts {
  readonly world: World
  readonly prng: Prng
  readonly settings: Swarm['disk']
  readonly situations: Situations
}

/** What kind of end a process meets: the machine's memory survives a kill, and is lost with the power. */
export type CrashKind = 'kill' | 'power'

const SYNCS = new Set(['sync', 'durable-write', 'sync-directory'])
const READS = new Set(['read', 'list', 'open'])

export class Disk {
  files = new SimulatedFileSystem()
  store = new MemoryStore()
  /** Free bytes as the operating system tells them. */
  freeBytes = 1e12
  /** Growing a file fails. */
  isFull = false
  /** How much slower than usual. */
  slowness = 1
  /** Nothing fails or tarries any more. */
  isQuiet = false
  /** A fault was injected into the life that runs now: it may fail. */
  hasFailed = false
  /** Bits were flipped: it may refuse to start from now on. */
  isDamaged = false
  /** How many more writes and syncs until the power fails in the middle of one, and whom that strikes. */
  #doom: { writes: number; readonly strike: () => void } | undefined
  readonly #parts: DiskParts
  readonly #prng: Prng
  #stateWrites: (() => void)[] = []

  constructor(parts: DiskParts) {
    this.#parts = parts
    this.#prng = parts.prng
  }

  /** As an operator would have prepared it: an empty directory with an incarnation of its own, all durable. */
  async prepare(): Promise<void> {
    this.files = new SimulatedFileSystem()
    this.store = new MemoryStore()
    await this.files.makeDirectory('/0')
    await createIncarnations(this.files, '/incarnations', (bytes) => randomBytes(this.#prng, bytes))
    await this.files.syncDirectory('/')
    this.isDamaged = false
  }

  /** A process starts on it. */
  attach(host: Host): void {
    this.hasFailed = false
    this.files.configure(this.#options(host))
    this.store = new MemoryStore({ from: this.store, schedule: (kind, work) => this.#stateWork(host, kind, work) })
  }

  /** The process is gone; the disk is as the next one will find it. */
  crash(kind: CrashKind): void {
    const { situations } = this.#parts
    this.#doom = undefined
    if (this.#stateWrites.length > 0) situations.met('crash-during-batch')
    // A write of the state is atomic; one under way may have got there all the same.
    for (const work of this.#stateWrites) if (kind === 'kill' || this.#prng.chance(1, 2)) work()
    this.#stateWrites = []
    this.files = this.files.crash(kind === 'kill' ? { keep: 'all' } : this.#survival())
    this.store = new MemoryStore({ from: this.store })
  }

  /** The power will fail in the middle of one of the next writes or syncs, wherever that falls. */
  doom(writes: number, strike: () => void): void {
    if (!this.isQuiet) this.#doom ??= { writes, strike }
  }

  /** Flips one bit of a frame in the log that is not the last: whether that one was torn or rotted nobody can tell. */
  flipBit(): boolean {
    const frames = this.files
      .paths()
      .filter((path) => path.startsWith('/0/log/'))
      .flatMap((path) => framesOf(path, this.files.content(path)))
    const lastWrite = Math.max(0, ...frames.map(({ writeNumber }) => writeNumber))
    const candidates = frames.filter(({ writeNumber }) => writeNumber < lastWrite)
    const [first, ...rest] = candidates
    if (first === undefined) return false
    const { path, at, bytes } = this.#prng.pick([first, ...rest])
    this.files.flipBit(path, at + this.#prng.below(bytes), this.#prng.below(8))
    this.isDamaged = true
    this.#parts.situations.met('bit-flip')
    return true
  }

  #survival(): Survival {
    switch (this.#prng.below(4)) {
      case 0:
        return { keep: 'all' }
      case 1:
        return { keep: 'torn', bytesOfLastWrite: 512 * this.#prng.below(8) }
      case 2:
        return { keep: 'none' }
      default:
        return { keep: 'random', prng: this.#prng.fork('survival') }
    }
  }

  #options(host: Host): SimulatedDiskOptions {
    return {
      fault: (operation) => this.#fault(operation),
      delay: (operation) => this.#wait(host, READS.has(operation.kind) ? 'read' : 'write'),
    }
  }

  #fault({ kind }: FileOperation): Fault | undefined {
    const { settings, situations } = this.#parts
    if (this.isQuiet) return undefined
    if (this.isFull && kind === 'write') {
      this.hasFailed = true
      situations.met('disk-full')
      return { kind: 'error', code: 'ENOSPC' }
    }
    if (settings.errorPer10000 === 0 || !(SYNCS.has(kind) || kind === 'write')) return undefined
    if (!this.#prng.chance(settings.errorPer10000, 10_000)) return undefined
    this.hasFailed = true
    if (kind !== 'sync' && kind !== 'sync-directory' && this.#prng.chance(1, 3)) {
      situations.met('short-write')
      return { kind: 'short', bytes: this.#prng.below(512) }
    }
    situations.met('sync-error')
    return { kind: 'error', code: 'EIO' }
  }

  /** A batch of the state fails as a whole. */
  #stateFault(): void {
    const { settings, situations } = this.#parts
    if (this.isQuiet) return
    const isBroken = settings.errorPer10000 > 0 && this.#prng.chance(settings.errorPer10000, 10_000)
    if (!this.isFull && !isBroken) return
    this.hasFailed = true
    situations.met(this.isFull ? 'disk-full' : 'sync-error')
    throw Object.assign(new Error('a batch of the state failed'), { code: this.isFull ? 'ENOSPC' : 'EIO' })
  }

  #delayMs(kind: 'read' | 'write'): number {
    const { writeMsMin, writeMsMean, readMsMax } = this.#parts.settings
    if (this.isQuiet) return kind === 'read' ? 0 : 0.2
    const delayMs =
      kind === 'read' ? (readMsMax * this.#prng.below(256)) / 256 : drawMs(this.#prng, writeMsMin, writeMsMean)
    return delayMs * this.slowness
  }

  /** Never resolves for a process that has died. */
  #wait(host: Host, kind: 'read' | 'write'): Promise<void> {
    const delayMs = this.#delayMs(kind)
    if (kind === 'write' && this.#doom !== undefined && --this.#doom.writes <= 0) {
      const { strike } = this.#doom
      this.#doom = undefined
      this.#parts.world.after(0, () => host.input(strike))
    }
    if (delayMs === 0) return Promise.resolve()
    return new Promise((resolve) => void this.#parts.world.after(delayMs, () => host.input(resolve)))
  }

  async #stateWork<T>(host: Host, kind: 'read' | 'write', work: () => T): Promise<T> {
    if (kind === 'read') {
      await this.#wait(host, kind)
      return work()
    }
    this.#stateFault()
    const pending = (): void => void work()
    this.#stateWrites.push(pending)
    await this.#wait(host, kind)
    this.#stateWrites.splice(this.#stateWrites.indexOf(pending), 1)
    return work()
  }
}

interface FramePlace {
  readonly path: string
  readonly at: number
  readonly bytes: number
  readonly writeNumber: number
}

function framesOf(path: string, content: Buffer): FramePlace[] {
  const frames: FramePlace[] = []
  for (let at = 0; at + 512 <= content.length; at += 512) {
    const reading = readFrameHeader(content, at)
    if (reading.kind !== 'valid') continue
    const { bodyBytes, writeNumber } = reading.header
    frames.push({ path, at, bytes: 40 + bodyBytes, writeNumber })
  }
  return frames
}

export function randomBytes(prng: Prng, count: number): Uint8Array {
  return Uint8Array.from({ length: count }, () => prng.below(256))
}
