// The files under the log: fixed in size, filled with zeros once, used again and again. The next one is made ready in the
// background before it is needed; at most a handful of spares is kept. A file's name says nothing: recovery reads its first
// frame, so a spare's first sector is zeroed, durably, before it may be written over.
import { asError } from '../errors.ts'
import { createZeroFilled } from '../file-system.ts'
import type { FileHandle, FileSystem } from '../file-system.ts'
import { SECTOR_BYTES } from './frame.ts'
import type { Epoch } from './frame.ts'

/** A segment in use. */
export interface Segment {
  readonly path: string
  readonly handle: FileHandle
  readonly sizeBytes: number
  readonly sequence: number
  readonly epoch: Epoch
  /** Of the segment to follow. */
  readonly nextEpoch: Epoch
  /** Where the next frame goes. */
  usedBytes: number
  /** Reads under way; a segment is not recycled beneath them. */
  readers: number
}

/** A file that holds no segment yet. */
export interface ReadyFile {
  readonly path: string
  readonly handle: FileHandle
  readonly sizeBytes: number
}

interface SpareFile {
  readonly path: string
  readonly sizeBytes: number
}

/** More would only hold disk space; fewer would zero-fill where a rename does. */
export const SPARES_MAX = 4

export class SegmentFiles {
  readonly #fileSystem: FileSystem
  readonly #directory: string
  readonly #segmentBytes: number
  readonly #onFailure: (error: Error) => void
  readonly #spares: SpareFile[]
  readonly #namesTaken: Set<string>
  #next: Promise<ReadyFile> | undefined
  /** Background work, one after another. After a failure nothing more is begun. */
  #work: Promise<void> = Promise.resolve()
  #hasFailed = false

  constructor(options: {
    fileSystem: FileSystem
    directory: string
    segmentBytes: number
    spares: readonly SpareFile[]
    namesTaken: Iterable<string>
    /** Background work failed; called at most once. Whoever waits for the next file learns it as well. */
    onFailure: (error: Error) => void
  }) {
    this.#fileSystem = options.fileSystem
    this.#directory = options.directory
    this.#segmentBytes = options.segmentBytes
    this.#onFailure = options.onFailure
    this.#spares = [...options.spares]
    this.#namesTaken = new Set(options.namesTaken)
  }

  /** Begins to make the next file ready, unless that is under way. */
  prepareNext(sequence: number): void {
    if (this.#next !== undefined) return
    this.#next = this.#enqueue(() => this.#prepare(sequence))
    this.#next.catch(() => {}) // Reported through onFailure, and to whoever takes the file.
  }

  /** A file with room for `bytes`, its name durable. A write larger than a segment gets a file of its own size. */
  async take(sequence: number, bytes: number): Promise<ReadyFile> {
    if (bytes > this.#segmentBytes) return this.#enqueue(() => this.#create(this.#freeName(sequence), bytes))
    this.prepareNext(sequence)
    const ready = await this.#next!
    this.#next = undefined
    return ready
  }

  /** The segment's entries are no longer needed, and that is durable. Its file becomes a spare, or goes. */
  recycle(segment: Segment): void {
    const recycled = this.#enqueue(async () => {
      const isSpare = segment.sizeBytes === this.#segmentBytes && this.#spares.length < SPARES_MAX
      if (isSpare) await segment.handle.write(Buffer.alloc(SECTOR_BYTES), 0)
      await segment.handle.close()
      if (isSpare) {
        this.#spares.push({ path: segment.path, sizeBytes: segment.sizeBytes })
      } else {
        await this.#fileSystem.remove(segment.path)
        this.#namesTaken.delete(segment.path)
      }
    })
    recycled.catch(() => {}) // Reported through onFailure.
  }

  /** Waits for background work and lets go of the file made ready. */
  async close(): Promise<void> {
    await this.#work
    const ready = await this.#next?.catch(() => undefined)
    await ready?.handle.close()
  }

  async #prepare(sequence: number): Promise<ReadyFile> {
    const spare = this.#spares.pop()
    if (spare === undefined) return this.#create(this.#freeName(sequence), this.#segmentBytes)
    const path = this.#freeName(sequence, spare.path)
    if (path !== spare.path) {
      await this.#fileSystem.rename(spare.path, path)
      this.#namesTaken.delete(spare.path)
    }
    return this.#openReady(path)
  }

  async #create(path: string, sizeBytes: number): Promise<ReadyFile> {
    await createZeroFilled(this.#fileSystem, path, sizeBytes)
    return this.#openReady(path)
  }

  async #openReady(path: string): Promise<ReadyFile> {
    await this.#fileSystem.syncDirectory(this.#directory)
    const handle = await this.#fileSystem.open(path, { mode: 'update', isDurable: true })
    return { path, handle, sizeBytes: await handle.sizeBytes() }
  }

  /** A name that tells people the order. Names can be taken after an oversized segment or a crash; then a letter is added. */
  #freeName(sequence: number, own?: string): string {
    const stem = `${this.#directory}/${sequence.toString(16).padStart(16, '0')}`
    let path = `${stem}.log`
    for (let extra = 1; this.#namesTaken.has(path) && path !== own; extra++) path = `${stem}-${extra}.log`
    this.#namesTaken.add(path)
    return path
  }

  #enqueue<T>(task: () => Promise<T>): Promise<T> {
    const result = this.#work.then(() => {
      if (this.#hasFailed) throw new Error('an earlier operation on the segments has failed')
      return task()
    })
    this.#work = this.#settled(result)
    return result
  }

  /** When the task has ended, one way or the other. The first failure is reported, and ends all background work. */
  async #settled(task: Promise<unknown>): Promise<void> {
    try {
      await task
    } catch (error) {
      if (this.#hasFailed) return
      this.#hasFailed = true
      this.#onFailure(asError(error))
    }
  }
}
