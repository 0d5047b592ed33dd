// The second copy of term and vote (design: "Term and vote are kept twice"): a file with two slots, written in turn, so that a
// torn write leaves the other one. It never holds the commit index. A vote forgotten could be given twice (§3.4).
import { crc32 } from '../../lib/checksum.ts'
import type { NodeId, Term } from '../../raft/index.ts'
import { CorruptionError, DataDirectoryError } from '../errors.ts'
import { createZeroFilled, directoryOf, readWholeFile } from '../file-system.ts'
import type { FileHandle, FileSystem } from '../file-system.ts'

/** "QVOT" as it appears in a hex dump. */
const MAGIC = 0x544f5651
const FORMAT = 1
const SLOT_BYTES = 48
/** A page apart, so that one bad page cannot take both. */
const SLOT_DISTANCE = 4096
const FILE_BYTES = 2 * SLOT_DISTANCE
const SECTOR_BYTES = 512

export interface Vote {
  readonly term: Term
  readonly votedFor: NodeId | undefined
}

interface Slot extends Vote {
  readonly sequence: number
}

type SlotReading = Slot | 'blank' | 'damaged'

export class VoteFile {
  readonly #handle: FileHandle
  #sequence: number
  /** What the file says, or undefined when no slot is intact. */
  readonly recovered: Vote | undefined
  /** No slot was ever written: the file is new. */
  readonly isBlank: boolean

  private constructor(handle: FileHandle, slots: readonly SlotReading[]) {
    const intact = slots.filter((slot): slot is Slot => typeof slot === 'object')
    this.#handle = handle
    this.#sequence = Math.max(0, ...intact.map((slot) => slot.sequence))
    this.recovered = intact.length === 0 ? undefined : intact.reduce((a, b) => laterVote(handle.path, a, b))
    this.isBlank = slots.every((slot) => slot === 'blank')
  }

  /** Opens the file, creating it when there is none. */
  static async open(fileSystem: FileSystem, path: string): Promise<VoteFile> {
    let bytes = await readWholeFile(fileSystem, path)
    if (bytes === undefined) {
      await createZeroFilled(fileSystem, path, FILE_BYTES)
      await fileSystem.syncDirectory(directoryOf(path))
      bytes = Buffer.alloc(FILE_BYTES)
    }
    const slots = [readSlot(path, bytes, 0), readSlot(path, bytes, 1)]
    return new VoteFile(await fileSystem.open(path, { mode: 'update', isDurable: true }), slots)
  }

  /** Resolves when durable. */
  async write(vote: Vote): Promise<void> {
    this.#sequence++
    const bytes = Buffer.alloc(SECTOR_BYTES)
    writeSlot(bytes, { ...vote, sequence: this.#sequence })
    await this.#handle.write(bytes, (this.#sequence % 2) * SLOT_DISTANCE)
  }

  close(): Promise<void> {
    return this.#handle.close()
  }
}

/** The higher term; at equal terms the one that names a vote; two different votes in one term cannot both be true. */
export function laterVote<T extends Vote>(file: string, a: T, b: T): T {
  if (a.term !== b.term) return a.term > b.term ? a : b
  if (a.votedFor === undefined) return b
  if (b.votedFor !== undefined && a.votedFor !== b.votedFor) {
    throw new CorruptionError(
      { file, offset: 0 },
      `two different votes are on record in term ${a.term}, ${a.votedFor} and ${b.votedFor}`,
    )
  }
  return a
}

function writeSlot(bytes: Buffer, slot: Slot): void {
  bytes.writeUInt32LE(MAGIC, 0)
  bytes[4] = FORMAT
  bytes[5] = slot.votedFor === undefined ? 0 : 1
  bytes.writeBigUInt64LE(BigInt(slot.sequence), 8)
  bytes.writeBigUInt64LE(BigInt(slot.term), 16)
  if (slot.votedFor !== undefined) bytes.write(slot.votedFor, 24, 8, 'hex')
  bytes.writeUInt32LE(crc32(bytes.subarray(0, SLOT_BYTES - 4)), SLOT_BYTES - 4)
}

function readSlot(path: string, file: Buffer, position: number): SlotReading {
  const bytes = file.subarray(position * SLOT_DISTANCE, position * SLOT_DISTANCE + SLOT_BYTES)
  if (bytes.every((byte) => byte === 0)) return 'blank'
  if (bytes.length < SLOT_BYTES || bytes.readUInt32LE(0) !== MAGIC) return 'damaged'
  if (bytes.readUInt32LE(SLOT_BYTES - 4) !== crc32(bytes.subarray(0, SLOT_BYTES - 4))) return 'damaged'
  if (bytes[4] !== FORMAT) {
    throw new DataDirectoryError('NEWER_FORMAT', `${path} is in format ${bytes[4]}; this version knows only ${FORMAT}`)
  }
  const sequence = Number(bytes.readBigUInt64LE(8))
  if (sequence % 2 !== position || bytes[5]! > 1) return 'damaged'
  return {
    sequence,
    term: Number(bytes.readBigUInt64LE(16)),
    votedFor: bytes[5] === 1 ? bytes.toString('hex', 24, 32) : undefined,
  }
}
