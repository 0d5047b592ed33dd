// Opens the log: recovers the segments, compares the two copies of term and vote, and makes them agree again.
import { assert } from '../../lib/assert.ts'
import type { Logger, RaftStorage } from '../../node/ports.ts'
import type { HardState, LogIndex } from '../../raft/index.ts'
import { CorruptionError } from '../errors.ts'
import { directoryOf } from '../file-system.ts'
import type { FileSystem } from '../file-system.ts'
import { readTail } from './log-reader.ts'
import { RaftLog } from './raft-log.ts'
import { recoverSegments } from './recovery.ts'
import type { RecoveredFiles } from './recovery.ts'
import { SegmentFiles, SPARES_MAX } from './segment-files.ts'
import { laterVote, VoteFile } from './vote-file.ts'

export interface RaftLogOptions {
  readonly fileSystem: FileSystem
  /** The folder of the segments, such as groups/0/log. Its parent exists. */
  readonly directory: string
  /** The file with the second copy of term and vote, such as groups/0/vote. */
  readonly votePath: string
  /** Entries from here on are in `recovered.tail`. */
  readonly keepFrom: LogIndex
  /** How many bytes of older entries may be in it besides. */
  readonly memoryBytesMax: number
  /** 16 MiB unless told. A write that does not fit into one gets a larger segment of its own. */
  readonly segmentBytes?: number
  readonly logger: Logger
  /** Random bytes for the epochs of segments. */
  readonly random: (bytes: number) => Uint8Array
}

const SEGMENT_BYTES = 16 * 1024 * 1024
/** Smaller ones would be all starts and no entries. */
const SEGMENT_BYTES_MIN = 8 * 1024

export async function openRaftLog(options: RaftLogOptions): Promise<RaftStorage> {
  const { fileSystem, directory, logger } = options
  const segmentBytes = options.segmentBytes ?? SEGMENT_BYTES
  assert(segmentBytes >= SEGMENT_BYTES_MIN, `segments of ${segmentBytes} bytes are too small`)
  assert(segmentBytes % 4096 === 0, `segments of ${segmentBytes} bytes are not whole pages`)
  if ((await fileSystem.stat(directory)) === undefined) {
    await fileSystem.makeDirectory(directory)
    await fileSystem.syncDirectory(directoryOf(directory))
  }
  const files = await recoverSegments(fileSystem, directory)
  if (files.tornTail !== undefined) logger.warn({ ...files.tornTail }, 'cut the torn end of the last write off the log')
  const open: { close(): Promise<void> }[] = files.segments.map(({ handle }) => handle)
  try {
    const voteFile = await VoteFile.open(fileSystem, options.votePath)
    open.push(voteFile)
    return await assemble(options, segmentBytes, files, voteFile)
  } catch (error) {
    for (const handle of open) await handle.close()
    throw error
  }
}

async function assemble(
  options: RaftLogOptions,
  segmentBytes: number,
  files: RecoveredFiles,
  voteFile: VoteFile,
): Promise<RaftStorage> {
  const { fileSystem, directory, logger, keepFrom } = options
  const hardState = reconcile(files, voteFile, options)
  const isUsable = (spare: { sizeBytes: number }): boolean => spare.sizeBytes === segmentBytes
  const spares = files.spares.filter(isUsable).slice(0, SPARES_MAX + 1) // One of them was made ready.
  for (const { path } of files.spares.filter((spare) => !spares.includes(spare))) await fileSystem.remove(path)
  const log: RaftLog = new RaftLog({
    positions: files.positions,
    segments: files.segments,
    files: new SegmentFiles({
      fileSystem,
      directory,
      segmentBytes,
      spares,
      namesTaken: [...files.segments, ...spares].map(({ path }) => path),
      onFailure: (error) => void log.fail(error),
    }),
    voteFile,
    hardState: files.hardState,
    lastWriteNumber: files.lastWriteNumber,
    chain: files.chain,
    logger,
    newEpoch: () => Buffer.from(options.random(8)).toString('hex'),
  })
  const tail = await readTail(files.positions, { keepFrom, bytesMax: options.memoryBytesMax })
  log.recovered = { hardState, marker: files.positions.marker, tail }
  await heal({ log, files, voteFile, hardState })
  return log
}

/** Term and vote from both copies; the commit index from the log alone, never beyond its end. */
function reconcile(files: RecoveredFiles, voteFile: VoteFile, options: RaftLogOptions): HardState {
  const { directory, votePath, logger } = options
  const inLog = files.hardState
  const commitIndex = Math.min(inLog.commitIndex, files.positions.last.index)
  const inFile = voteFile.recovered
  if (inFile === undefined) {
    if (inLog.term > 0 && files.tornTail !== undefined) {
      throw new CorruptionError(
        { file: votePath, offset: 0 },
        'neither of its slots is intact, and the last write of the log is not either: a vote may be forgotten',
      )
    }
    if (inLog.term > 0) logger.warn({ file: votePath }, 'the vote file was damaged; the log has term and vote as well')
    return { ...inLog, commitIndex }
  }
  if (files.segments.length === 0 && inFile.term > 0) {
    throw new CorruptionError(
      { file: directory, offset: 0 },
      `the log is gone, although a vote in term ${inFile.term} is on record`,
    )
  }
  const { term, votedFor } = laterVote(votePath, { term: inLog.term, votedFor: inLog.votedFor }, inFile)
  return { term, votedFor, commitIndex }
}

/** After a crash between the two, or damage to one, both copies are made to say the same; a new log gets its first frame. */
async function heal(opened: {
  log: RaftLog
  files: RecoveredFiles
  voteFile: VoteFile
  hardState: HardState
}): Promise<void> {
  const { log, files, voteFile, hardState } = opened
  const { term, votedFor } = hardState
  const { recovered } = voteFile
  if (recovered === undefined || recovered.term !== term || recovered.votedFor !== votedFor)
    await voteFile.write(hardState)
  const inLog = files.hardState
  const isSame = inLog.term === term && inLog.votedFor === votedFor
  if (!isSame || files.segments.length === 0) await log.append({ hardState, entries: [], snapshot: undefined })
  log.prepareNextSegment()
}
