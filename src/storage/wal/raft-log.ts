// The replicated log on disk (README.md, FORMAT.md): one append is one frame is one durable write. It keeps the promises of
// the RaftStorage port; any failure is final, because nobody can say what is on the disk after one.
import { assert, present } from '../../lib/assert.ts'
import type { Logger, LogWrite, RaftStorage, RecoveredLog } from '../../node/ports.ts'
import type { HardState, LogIndex, LogSlice, SnapshotMeta } from '../../raft/index.ts'
import { asError, LogFailedError } from '../errors.ts'
import { FRAME_HEADER_BYTES, paddedFrameBytes, sealFrame } from './frame.ts'
import type { Epoch } from './frame.ts'
import { readEntries } from './log-reader.ts'
import type { ReadRange } from './log-reader.ts'
import type { FrameLocation, LogPositions } from './log-positions.ts'
import { checkCompaction, planWrite } from './plan-write.ts'
import { recordBytesMax, RecordWriter, segmentStartBytesMax } from './records.ts'
import type { LogRecord } from './records.ts'
import type { ReadyFile, Segment, SegmentFiles } from './segment-files.ts'
import type { VoteFile } from './vote-file.ts'

/** Larger buffers are not kept for the next append. */
const KEPT_BUFFER_BYTES_MAX = 4 * 1024 * 1024

export interface RaftLogParts {
  readonly positions: LogPositions
  /** Empty in a new log; else the last one is written next. */
  readonly segments: Segment[]
  readonly files: SegmentFiles
  readonly voteFile: VoteFile
  readonly hardState: HardState
  readonly lastWriteNumber: number
  readonly chain: number
  readonly logger: Logger
  readonly newEpoch: () => Epoch
}

/** One frame to be written, perhaps behind the start of a new segment in the same write. */
interface Placement {
  readonly segment: Segment
  readonly isNew: boolean
  /** Where in the file the write begins. */
  readonly position: number
}

export class RaftLog implements RaftStorage {
  #recovered: RecoveredLog | undefined
  readonly #positions: LogPositions
  readonly #segments: Segment[]
  readonly #files: SegmentFiles
  readonly #voteFile: VoteFile
  readonly #logger: Logger
  readonly #newEpoch: () => Epoch
  #hardState: HardState
  #writeNumber: number
  #chain: number
  #buffer = Buffer.alloc(64 * 1024)
  /** Asked for, and durable with the next append. */
  #compaction: SnapshotMeta | undefined
  #outstanding: Promise<void> | undefined
  #reads = 0
  #readsDone: (() => void) | undefined
  #failure: LogFailedError | undefined
  #isClosed = false

  constructor(parts: RaftLogParts) {
    this.#positions = parts.positions
    this.#segments = parts.segments
    this.#files = parts.files
    this.#voteFile = parts.voteFile
    this.#hardState = parts.hardState
    this.#writeNumber = parts.lastWriteNumber
    this.#chain = parts.chain
    this.#logger = parts.logger
    this.#newEpoch = parts.newEpoch
  }

  get recovered(): RecoveredLog {
    return present(this.#recovered, 'what was recovered')
  }

  set recovered(recovered: RecoveredLog) {
    this.#recovered = recovered
  }

  releaseRecovered(): void {
    this.#recovered = undefined
  }

  get firstIndex(): LogIndex {
    return (this.#compaction ?? this.#positions.base).index + 1
  }

  get sizeBytes(): number {
    let bytes = 0
    for (const segment of this.#segments) bytes += segment.usedBytes
    return bytes
  }

  append(write: LogWrite): Promise<void> {
    assert(!this.#isClosed, 'append to a closed log')
    assert(this.#outstanding === undefined, 'append while another one is outstanding')
    if (this.#failure !== undefined) return Promise.reject(this.#failure)
    const records = planWrite(this.#positions, write, this.#compaction)
    if (records.length === 0) return Promise.resolve()
    this.#compaction = undefined
    this.#outstanding = this.#persist(records)
    return this.#outstanding
  }

  async read(range: ReadRange): Promise<LogSlice | undefined> {
    assert(!this.#isClosed, 'read from a closed log')
    if (this.#failure !== undefined) throw this.#failure
    if (range.first < this.firstIndex) return undefined
    this.#reads++
    try {
      return await readEntries(this.#positions, range)
    } catch (error) {
      throw this.fail(asError(error))
    } finally {
      this.#reads--
      this.#readsDone?.()
    }
  }

  compactTo(marker: SnapshotMeta): void {
    assert(!this.#isClosed, 'compaction of a closed log')
    if (this.#failure !== undefined) return
    const compaction = checkCompaction(this.#positions, marker)
    if (compaction !== undefined && compaction.index >= this.firstIndex) this.#compaction = compaction
  }

  /** Remembers the first failure, which every later call repeats. */
  fail(error: Error): LogFailedError {
    if (this.#failure === undefined) {
      this.#failure = error instanceof LogFailedError ? error : new LogFailedError(error)
      this.#logger.error({ error: error.message }, 'the log on disk has failed')
    }
    return this.#failure
  }

  /** So that the first switch need not wait either. */
  prepareNextSegment(): void {
    this.#files.prepareNext(this.#segments.at(-1)!.sequence + 1)
  }

  async close(): Promise<void> {
    if (this.#isClosed) return
    this.#isClosed = true
    await this.#outstanding?.catch(() => {}) // Whoever appended has learned of it.
    if (this.#reads > 0) {
      await new Promise<void>((resolve) => {
        this.#readsDone = () => {
          if (this.#reads === 0) resolve()
        }
      })
    }
    await this.#files.close()
    await this.#voteFile.close()
    for (const segment of this.#segments) await segment.handle.close()
  }

  async #persist(records: readonly LogRecord[]): Promise<void> {
    try {
      await this.#write(records)
      this.#recycle()
    } catch (error) {
      throw this.fail(asError(error))
    } finally {
      this.#outstanding = undefined
    }
  }

  /** One frame, one durable write; then the vote file if term or vote changed; only then does the append resolve. */
  async #write(records: readonly LogRecord[]): Promise<void> {
    let bodyBytesMax = 0
    for (const record of records) bodyBytesMax += recordBytesMax(record)
    const { segment, isNew, position } = await this.#place(paddedFrameBytes(bodyBytesMax))

    const target = this.#bufferOf(paddedFrameBytes(bodyBytesMax) + (isNew ? this.#startBytesMax() : 0))
    const startBytes = isNew ? this.#encodeStart(target, segment) : 0
    const writer = new RecordWriter(target, startBytes + FRAME_HEADER_BYTES)
    for (const record of records) writer.record(record)
    const bodyBytes = writer.offset - startBytes - FRAME_HEADER_BYTES
    const writeNumber = this.#writeNumber + 1
    const chain = isNew ? target.readUInt32LE(28) : this.#chain
    const offset = position + startBytes
    const frame = { kind: 'write' as const, epoch: segment.epoch, writeNumber, bodyBytes, chain, segmentOffset: offset }
    const bodyChecksum = sealFrame(target, startBytes, frame)
    const endBytes = startBytes + paddedFrameBytes(bodyBytes)
    await segment.handle.write(target.subarray(0, endBytes), position)

    if (isNew) this.#segments.push(segment)
    segment.usedBytes = position + endBytes
    this.#writeNumber = writeNumber
    this.#chain = bodyChecksum
    await this.#take(records, { segment, offset, bodyBytes, bodyChecksum, chain })
    if (isNew) this.#files.prepareNext(segment.sequence + 1)
  }

  /** The records are durable: they are the log now. */
  async #take(records: readonly LogRecord[], frame: FrameLocation): Promise<void> {
    for (const record of records) {
      switch (record.kind) {
        case 'hard-state': {
          const before = this.#hardState
          this.#hardState = record.hardState
          if (before.term === record.hardState.term && before.votedFor === record.hardState.votedFor) break
          await this.#voteFile.write(record.hardState)
          break
        }
        case 'entries':
          this.#positions.append(record.entries, frame)
          break
        case 'compaction':
          this.#positions.compactTo(record.marker)
          break
        case 'restart':
          this.#positions.restart(record.marker, record.keepsSuffix)
          this.#compaction = undefined // Asked for meanwhile, of the log before.
          break
      }
    }
  }

  /** The segment that takes a frame: the current one, or the next when there is not enough room. */
  async #place(frameBytes: number): Promise<Placement> {
    const current = this.#segments.at(-1)
    if (current !== undefined && current.usedBytes + frameBytes <= current.sizeBytes) {
      return { segment: current, isNew: false, position: current.usedBytes }
    }
    const sequence = (current?.sequence ?? 0) + 1
    const file: ReadyFile = await this.#files.take(sequence, frameBytes + this.#startBytesMax())
    const epoch = current?.nextEpoch ?? this.#newEpoch()
    const segment: Segment = { ...file, sequence, epoch, nextEpoch: this.#newEpoch(), usedBytes: 0, readers: 0 }
    return { segment, isNew: true, position: 0 }
  }

  #startBytesMax(): number {
    return paddedFrameBytes(segmentStartBytesMax(this.#positions.marker))
  }

  /** The first frame of a segment; returns its length on disk. It bears the number of the write that goes with it. */
  #encodeStart(target: Buffer, segment: Segment): number {
    const writer = new RecordWriter(target, FRAME_HEADER_BYTES)
    writer.segmentStart({
      sequence: segment.sequence,
      nextEpoch: segment.nextEpoch,
      chain: this.#chain,
      hardState: this.#hardState,
      marker: this.#positions.marker,
      last: this.#positions.last,
    })
    const bodyBytes = writer.offset - FRAME_HEADER_BYTES
    const { epoch } = segment
    const writeNumber = this.#writeNumber + 1
    sealFrame(target, 0, { kind: 'segment', epoch, writeNumber, bodyBytes, chain: 0, segmentOffset: 0 })
    return paddedFrameBytes(bodyBytes)
  }

  #bufferOf(bytes: number): Buffer {
    if (bytes <= this.#buffer.length) return this.#buffer
    const buffer = Buffer.alloc(Math.ceil(bytes / (64 * 1024)) * 64 * 1024)
    if (buffer.length <= KEPT_BUFFER_BYTES_MAX) this.#buffer = buffer
    return buffer
  }

  /** Oldest first: segments none of whose entries are needed, and that nobody reads. The durable marker lies behind them. */
  #recycle(): void {
    const needed = this.#positions.extents[0]?.frame?.segment ?? this.#segments.at(-1)
    while (this.#segments[0] !== needed && this.#segments[0]!.readers === 0) {
      this.#files.recycle(this.#segments.shift()!)
    }
  }
}
