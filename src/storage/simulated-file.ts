// One file of the simulated disk: what processes see, what is durable, and the writes in between, which a crash may keep in
// part. Sectors of 512 bytes are written whole or not at all; beyond that, nothing is promised.
import type { Survival } from './simulated-file-system.ts'

const SECTOR_BYTES = 512

interface UnsyncedChange {
  readonly number: number
  readonly position: number
  /** Undefined for a change of length to `position`. */
  readonly bytes: Uint8Array | undefined
}

export class SimulatedFile {
  #content: Buffer
  #durable: Buffer
  #unsynced: UnsyncedChange[] = []
  #changes = 0

  constructor(content: Buffer = Buffer.alloc(0)) {
    this.#content = content
    this.#durable = Buffer.from(content)
  }

  get content(): Buffer {
    return this.#content
  }

  get lastWriteNumber(): number {
    return this.#changes
  }

  clone(): SimulatedFile {
    return new SimulatedFile(Buffer.from(this.#content))
  }

  read(target: Uint8Array, position: number): number {
    return this.#content.copy(target, 0, position, Math.min(this.#content.length, position + target.length))
  }

  /** Visible at once, durable later. Returns the number of the change. */
  write(bytes: Uint8Array, position: number): number {
    const change = { number: ++this.#changes, position, bytes: Uint8Array.from(bytes) }
    this.#unsynced.push(change)
    this.#content = applied(this.#content, change)
    return change.number
  }

  truncate(sizeBytes: number): void {
    const change = { number: ++this.#changes, position: sizeBytes, bytes: undefined }
    this.#unsynced.push(change)
    this.#content = applied(this.#content, change)
  }

  flipBit(byte: number, bit: number): void {
    for (const copy of new Set([this.#content, this.#durable])) if (byte < copy.length) copy[byte]! ^= 1 << bit
  }

  /** One durable write has completed; others may still be outstanding. */
  syncWrite(number: number): void {
    const change = this.#unsynced.find((candidate) => candidate.number === number)
    if (change === undefined) return
    this.#durable = applied(this.#durable, change)
    this.#unsynced = this.#unsynced.filter((candidate) => candidate !== change)
  }

  /** Everything up to a change is durable. */
  syncUpTo(number: number): void {
    for (const change of this.#unsynced) {
      if (change.number <= number) this.#durable = applied(this.#durable, change)
    }
    this.#unsynced = this.#unsynced.filter((change) => change.number > number)
  }

  /** What a crash leaves of it. `hadLastWrite`: the disk's latest write went here, and is the one that `torn` tears. */
  survivor(survival: Survival, hadLastWrite: boolean): SimulatedFile {
    let content: Buffer = Buffer.from(this.#durable)
    const last = this.#unsynced.at(-1)
    for (const change of this.#unsynced) {
      switch (survival.keep) {
        case 'none':
          break
        case 'all':
          content = applied(content, change)
          break
        case 'random':
          for (const piece of sectors(change)) if (survival.prng.chance(1, 2)) content = applied(content, piece)
          break
        case 'torn': {
          const isTorn = hadLastWrite && change === last && change.bytes !== undefined
          const bytes = isTorn ? change.bytes.subarray(0, survival.bytesOfLastWrite) : change.bytes
          content = applied(content, { ...change, bytes })
          break
        }
      }
    }
    return new SimulatedFile(content)
  }
}

/** The content after the change; the same buffer when the length stays. */
function applied(content: Buffer, change: UnsyncedChange): Buffer {
  if (change.bytes === undefined) return resized(content, change.position)
  const end = change.position + change.bytes.length
  const target = end > content.length ? resized(content, end) : content
  target.set(change.bytes, change.position)
  return target
}

function resized(content: Buffer, length: number): Buffer {
  const target = Buffer.alloc(length)
  content.copy(target, 0, 0, Math.min(content.length, length))
  return target
}

/** The change cut at the boundaries of sectors. */
function sectors(change: UnsyncedChange): UnsyncedChange[] {
  const { bytes, position } = change
  if (bytes === undefined || bytes.length === 0) return [change]
  const pieces: UnsyncedChange[] = []
  for (let at = 0; at < bytes.length;) {
    const length = Math.min(SECTOR_BYTES - ((position + at) % SECTOR_BYTES), bytes.length - at)
    pieces.push({ number: change.number, position: position + at, bytes: bytes.subarray(at, at + length) })
    at += length
  }
  return pieces
}
