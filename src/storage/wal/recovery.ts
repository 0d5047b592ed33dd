// Reads the log back: which files are live segments, every frame in them, and where the log ends. The one question that
// matters is whether a bad frame is the torn end of the last write, which nobody was told about, or damage to something
// acknowledged. A later write can only have begun after an earlier one was durable, so a bad frame with a later one anywhere
// behind it is damage.
import { DecodeError } from '../../lib/bytes.ts'
import type { HardState } from '../../raft/index.ts'
import { asError, CorruptionError, DataDirectoryError } from '../errors.ts'
import type { FileHandle, FileSystem } from '../file-system.ts'
import {
  describeFormat,
  paddedFrameBytes,
  readFrameBody,
  readFrameHeader,
  resemblesHeader,
  SECTOR_BYTES,
} from './frame.ts'
import type { Epoch, FrameHeader } from './frame.ts'
import { LogPositions } from './log-positions.ts'
import type { FrameLocation } from './log-positions.ts'
import { readRecords, readSegmentStart } from './records.ts'
import type { LogRecord, SegmentStart } from './records.ts'
import type { Segment } from './segment-files.ts'

/** What was cut off because no write can have followed it. */
export interface TornTail {
  readonly file: string
  readonly offset: number
  readonly writeNumber: number
}

export interface RecoveredFiles {
  /** In order; the last one is written next. Empty when there is no log yet. */
  readonly segments: Segment[]
  readonly spares: { readonly path: string; readonly sizeBytes: number }[]
  readonly positions: LogPositions
  readonly hardState: HardState
  readonly lastWriteNumber: number
  /** The body checksum of the last frame. */
  readonly chain: number
  readonly tornTail: TornTail | undefined
}

/** A file whose first frame is an intact start of a segment. */
interface Candidate {
  readonly path: string
  readonly sizeBytes: number
  readonly header: FrameHeader
  readonly start: SegmentStart
}

export const INITIAL_HARD_STATE: HardState = { term: 0, votedFor: undefined, commitIndex: 0 }

/** A segment's start takes one sector for any usual configuration; this is ample for the largest. */
const START_BYTES_MAX = 64 * 1024

export async function recoverSegments(fileSystem: FileSystem, directory: string): Promise<RecoveredFiles> {
  const replay = new Replay(fileSystem)
  try {
    return await replay.run(directory)
  } catch (error) {
    await replay.abandon()
    throw error
  }
}

class Replay {
  readonly #fileSystem: FileSystem
  readonly #positions = new LogPositions()
  readonly #segments: Segment[] = []
  readonly #handles: FileHandle[] = []
  #hardState = INITIAL_HARD_STATE
  #writeNumber = 0
  #chain = 0
  #tornTail: TornTail | undefined
  #memory: Buffer = Buffer.alloc(0)

  constructor(fileSystem: FileSystem) {
    this.#fileSystem = fileSystem
  }

  async run(directory: string): Promise<RecoveredFiles> {
    const paths = (await this.#fileSystem.readDirectory(directory)).map((name) => `${directory}/${name}`)
    const candidates: Candidate[] = []
    for (const path of paths) {
      const candidate = await this.#examine(path)
      if (candidate !== undefined) candidates.push(candidate)
    }
    const live = liveCandidates(candidates)
    for (const [at, candidate] of live.entries()) await this.#replaySegment(candidate, live[at + 1])
    const others = paths.filter((path) => !live.some((candidate) => candidate.path === path))
    await this.#examineOthers(others)
    const missing = this.#positions.missing()
    if (missing !== undefined) {
      throw new CorruptionError(
        { file: this.#segments[0]!.path, offset: 0 },
        `the entries ${missing.first} to ${missing.last} were in an earlier segment, which is gone or damaged`,
      )
    }
    if (this.#tornTail !== undefined) await this.#cut(this.#tornTail)
    return {
      segments: this.#segments,
      spares: await this.#makeSpares(others),
      positions: this.#positions,
      hardState: this.#hardState,
      lastWriteNumber: this.#writeNumber,
      chain: this.#chain,
      tornTail: this.#tornTail,
    }
  }

  async abandon(): Promise<void> {
    for (const handle of this.#handles) await handle.close()
  }

  /** Looks at a file's first frame. Anything but an intact start of a segment is not one: a spare, or a start torn or lost. */
  async #examine(path: string): Promise<Candidate | undefined> {
    const handle = await this.#fileSystem.open(path, { mode: 'read', isDurable: false })
    try {
      const sizeBytes = await handle.sizeBytes()
      const beginning = Buffer.alloc(Math.min(sizeBytes, START_BYTES_MAX))
      await handle.read(beginning, 0)
      const reading = readFrameHeader(beginning, 0)
      if (reading.kind === 'unknown-format') throw unknownFormat(path, 0, reading.format)
      if (reading.kind === 'none' || reading.header.kind !== 'segment') return undefined
      const body = readFrameBody(beginning, 0, reading.header, 0)
      if (body === undefined) return undefined
      return { path, sizeBytes, header: reading.header, start: decoded(path, 0, () => readSegmentStart(body)) }
    } finally {
      await handle.close()
    }
  }

  async #replaySegment(candidate: Candidate, next: Candidate | undefined): Promise<void> {
    const { path, header, start } = candidate
    if (this.#segments.length === 0) {
      this.#positions.begin(start.marker, start.last)
      this.#writeNumber = header.writeNumber - 1
    }
    this.#hardState = start.hardState
    this.#chain = header.bodyChecksum
    const handle = await this.#fileSystem.open(path, { mode: 'update', isDurable: true })
    this.#handles.push(handle)
    const segment: Segment = {
      path,
      handle,
      sizeBytes: candidate.sizeBytes,
      sequence: start.sequence,
      epoch: header.epoch,
      nextEpoch: start.nextEpoch,
      usedBytes: paddedFrameBytes(header.bodyBytes),
      readers: 0,
    }
    this.#segments.push(segment)
    const content = this.#bufferOf(candidate.sizeBytes)
    await handle.read(content, 0)
    while (this.#replayFrame(segment, content));
    this.#checkEnd(segment, content, next)
  }

  /** Takes in the frame at the segment's end, or finds that there is none. */
  #replayFrame(segment: Segment, content: Buffer): boolean {
    const offset = segment.usedBytes
    const reading = readFrameHeader(content, offset)
    if (reading.kind === 'unknown-format' && reading.epoch === segment.epoch) {
      throw unknownFormat(segment.path, offset, reading.format)
    }
    if (reading.kind !== 'valid' || reading.header.epoch !== segment.epoch) return false
    const { header } = reading
    if (header.kind !== 'write' || header.writeNumber !== this.#writeNumber + 1) return false
    const body = readFrameBody(content, offset, header, this.#chain)
    if (body === undefined) return false
    const { bodyBytes, bodyChecksum } = header
    const frame: FrameLocation = { segment, offset, bodyBytes, bodyChecksum, chain: this.#chain }
    decoded(segment.path, offset, () => {
      for (const record of readRecords(body)) this.#replayRecord(record, frame)
    })
    this.#chain = header.bodyChecksum
    this.#writeNumber = header.writeNumber
    segment.usedBytes = offset + paddedFrameBytes(header.bodyBytes)
    return true
  }

  #replayRecord(record: LogRecord, frame: FrameLocation): void {
    switch (record.kind) {
      case 'hard-state':
        this.#hardState = record.hardState
        return
      case 'entries':
        return this.#positions.append(record.entries, frame)
      case 'compaction':
        return this.#positions.compactTo(record.marker)
      case 'restart':
        return this.#positions.restart(record.marker, record.keepsSuffix)
    }
  }

  /** No frame could be read at the segment's end. Was one there that mattered? */
  #checkEnd(segment: Segment, content: Buffer, next: Candidate | undefined): void {
    const expected = this.#writeNumber + 1
    const highest = highestWrite(content, segment.usedBytes, segment.epoch)
    if (highest > expected) throw damagedWrite(segment, expected, `write ${highest} follows in the same file`)
    if (next === undefined) {
      if (resemblesHeader(content, segment.usedBytes, { epoch: segment.epoch, writeNumber: expected })) {
        this.#tornTail = { file: segment.path, offset: segment.usedBytes, writeNumber: expected }
      }
      return
    }
    if (next.header.epoch !== segment.nextEpoch) {
      throw new CorruptionError({ file: next.path, offset: 0 }, `it does not belong behind ${segment.path}`)
    }
    if (next.header.writeNumber !== expected || next.start.chain !== this.#chain) {
      throw damagedWrite(segment, expected, `${next.path} goes on after write ${next.header.writeNumber - 1}`)
    }
  }

  /** A segment may have been begun whose start is lost: the announced epoch tells its frames from those of earlier uses. */
  async #examineOthers(paths: readonly string[]): Promise<void> {
    const last = this.#segments.at(-1)
    if (last === undefined) return
    const expected = this.#writeNumber + 1
    for (const path of paths) {
      const highest = await this.#highestWriteIn(path, last.nextEpoch)
      if (highest > expected) {
        throw new CorruptionError(
          { file: path, offset: 0 },
          `the start of the segment is bad although it was durable: write ${highest} follows it`,
        )
      }
      if (highest === expected) this.#tornTail = { file: path, offset: 0, writeNumber: expected }
    }
  }

  async #highestWriteIn(path: string, epoch: Epoch): Promise<number> {
    const handle = await this.#fileSystem.open(path, { mode: 'read', isDurable: false })
    try {
      const content = this.#bufferOf(await handle.sizeBytes())
      await handle.read(content, 0)
      return highestWrite(content, 0, epoch)
    } finally {
      await handle.close()
    }
  }

  /** One file's content at a time, all in the same memory: nothing that is kept points into it. */
  #bufferOf(bytes: number): Buffer {
    if (this.#memory.length < bytes) this.#memory = Buffer.allocUnsafeSlow(bytes)
    return this.#memory.subarray(0, bytes)
  }

  /** Removes what is left of a write that was never acknowledged, so that nothing can ever complete it by accident. */
  async #cut(tail: TornTail): Promise<void> {
    const handle = await this.#fileSystem.open(tail.file, { mode: 'update', isDurable: true })
    try {
      await handle.write(Buffer.alloc(SECTOR_BYTES), tail.offset)
    } finally {
      await handle.close()
    }
  }

  /** Files that are no live segment are used again; the first sector is zeroed where it could still be taken for a start. */
  async #makeSpares(paths: readonly string[]): Promise<{ path: string; sizeBytes: number }[]> {
    const spares: { path: string; sizeBytes: number }[] = []
    for (const path of paths) {
      const handle = await this.#fileSystem.open(path, { mode: 'update', isDurable: true })
      try {
        const sector = Buffer.alloc(SECTOR_BYTES)
        await handle.read(sector, 0)
        const isBlank = sector.every((byte) => byte === 0)
        if (!isBlank) await handle.write(Buffer.alloc(SECTOR_BYTES), 0)
        spares.push({ path, sizeBytes: await handle.sizeBytes() })
      } finally {
        await handle.close()
      }
    }
    return spares
  }
}

/** The unbroken run of segments that ends with the newest. Whether it reaches far enough back, the replay finds out. */
function liveCandidates(candidates: readonly Candidate[]): Candidate[] {
  const sorted = [...candidates].sort((a, b) => a.start.sequence - b.start.sequence)
  let begin = Math.max(0, sorted.length - 1)
  for (; begin > 0; begin--) {
    const [before, after] = [sorted[begin - 1]!, sorted[begin]!]
    if (before.start.sequence === after.start.sequence) {
      throw new CorruptionError(
        { file: after.path, offset: 0 },
        `it and ${before.path} both say that they are segment ${after.start.sequence}`,
      )
    }
    if (before.start.sequence !== after.start.sequence - 1) break
  }
  return sorted.slice(begin)
}

/** The highest number of an intact frame of this epoch, at any sector from `from` on; 0 for none. */
function highestWrite(content: Buffer, from: number, epoch: Epoch): number {
  let highest = 0
  for (let at = from; at < content.length; at += SECTOR_BYTES) {
    const reading = readFrameHeader(content, at)
    if (reading.kind !== 'valid' || reading.header.epoch !== epoch) continue
    highest = Math.max(highest, reading.header.writeNumber)
  }
  return highest
}

const damagedWrite = (segment: Segment, writeNumber: number, evidence: string): CorruptionError =>
  new CorruptionError(
    { file: segment.path, offset: segment.usedBytes },
    `write ${writeNumber} is missing or bad although it was durable: ${evidence}`,
  )

const unknownFormat = (path: string, offset: number, format: number): DataDirectoryError =>
  new DataDirectoryError('NEWER_FORMAT', `${path} has at offset ${offset} a frame in ${describeFormat(format)}`)

/** Bytes with a right checksum that make no sense were written wrongly, or by somebody else: not to be trusted either. */
function decoded<T>(file: string, offset: number, decode: () => T): T {
  try {
    return decode()
  } catch (error) {
    const { message } = asError(error)
    const what =
      error instanceof DecodeError ? 'its content cannot be read' : 'its content does not fit the log before it'
    throw new CorruptionError({ file, offset }, `${what} (${message})`)
  }
}
