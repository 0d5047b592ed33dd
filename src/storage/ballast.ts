// A file that only takes up space, to be given up when the disk is full: LevelDB cannot even open on a full disk, and a node
// that cannot start cannot serve reads or delete anything. It comes back by itself when there is room again.
import type { DiskSpace, Logger } from '../node/ports.ts'
import { asError } from './errors.ts'
import { createZeroFilled } from './file-system.ts'
import type { FileSystem } from './file-system.ts'

/** Below this at a start, the disk counts as full: the next segment of the log and a few tables would not fit. */
const FULL_BELOW_BYTES = 32 * 1024 * 1024

/** The ballast is made only where it leaves several times its size free, so that it never causes what it is there for. */
const ROOM_FACTOR = 4

export interface Ballast {
  readonly sizeBytes: number
  isThere(): Promise<boolean>
  /** Makes the file unless it is there or there is too little room. A failure is logged; nothing depends on it. */
  ensure(): Promise<void>
  /** Gives the space back. Says whether there was any to give. */
  release(): Promise<boolean>
}

export class BallastFile implements Ballast, DiskSpace {
  readonly sizeBytes: number
  readonly #fileSystem: FileSystem
  readonly #directory: string
  readonly #logger: Logger
  #making: Promise<void> | undefined
  #isClosed = false

  constructor(options: { fileSystem: FileSystem; directory: string; sizeBytes: number; logger: Logger }) {
    this.#fileSystem = options.fileSystem
    this.#directory = options.directory
    this.#logger = options.logger
    this.sizeBytes = options.sizeBytes
  }

  get #path(): string {
    return `${this.#directory}/ballast`
  }

  /** Whoever watches the free space also notices that it has returned. */
  async freeBytes(): Promise<number> {
    const free = await this.#fileSystem.freeBytes(this.#directory)
    if (this.#hasRoom(free)) void this.ensure()
    return free
  }

  async isThere(): Promise<boolean> {
    return (await this.#fileSystem.stat(this.#path)) !== undefined
  }

  ensure(): Promise<void> {
    if (this.#isClosed || this.sizeBytes === 0) return Promise.resolve()
    this.#making ??= this.#make()
    return this.#making
  }

  async release(): Promise<boolean> {
    await this.#making
    const isThere = await this.isThere()
    if (isThere) await this.#fileSystem.remove(this.#path)
    return isThere
  }

  /** At a start: gives the space back if the disk is full. */
  async releaseIfFull(): Promise<boolean> {
    const free = await this.#fileSystem.freeBytes(this.#directory)
    if (free >= FULL_BELOW_BYTES || !(await this.release())) return false
    this.#logger.warn({ freeBytes: free, ballastBytes: this.sizeBytes }, 'the disk is full: gave up the ballast file')
    return true
  }

  async close(): Promise<void> {
    this.#isClosed = true
    await this.#making
  }

  #hasRoom(freeBytes: number): boolean {
    return freeBytes >= ROOM_FACTOR * this.sizeBytes
  }

  async #make(): Promise<void> {
    const temporary = `${this.#path}.tmp`
    try {
      if (await this.isThere()) return
      if (!this.#hasRoom(await this.#fileSystem.freeBytes(this.#directory))) return
      if ((await this.#fileSystem.stat(temporary)) !== undefined) await this.#fileSystem.remove(temporary)
      await createZeroFilled(this.#fileSystem, temporary, this.sizeBytes)
      await this.#fileSystem.rename(temporary, this.#path)
    } catch (error) {
      this.#logger.warn({ error: asError(error).message }, 'the ballast file could not be made')
    } finally {
      this.#making = undefined
    }
  }
}
