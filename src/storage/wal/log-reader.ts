// Reads entries back from the log on disk, for a peer that is slower than our memory is long, and for the tail at a start.
// Every frame is verified again: what has changed under us since it was written is never handed out.
import { DecodeError } from '../../lib/bytes.ts'
import type { Entry, LogIndex, LogSlice } from '../../raft/index.ts'
import { CorruptionError } from '../errors.ts'
import { chainedChecksum, FRAME_HEADER_BYTES } from './frame.ts'
import type { Extent, FrameLocation, LogPositions } from './log-positions.ts'
import { readRecords } from './records.ts'

export interface ReadRange {
  readonly first: LogIndex
  readonly last: LogIndex
  readonly bytesMax: number
}

/**
 * What the log holds of [first, last], as far as `bytesMax` reaches, at least one entry. Undefined when `first` is not above
 * the marker, or beyond the end. Positions are those at the time of the call: `pin` keeps their segments from being recycled.
 */
export async function readEntries(positions: LogPositions, range: ReadRange): Promise<LogSlice | undefined> {
  const prevIndex = range.first - 1
  const prevTerm = positions.termAt(prevIndex)
  if (prevTerm === undefined) return undefined
  const extents = positions.overlapping(range.first, Math.min(range.last, positions.last.index))
  const entries: Entry[] = []
  let bytes = 0
  const unpin = pin(extents)
  try {
    for (const extent of extents) {
      for (const entry of await readExtent(extent)) {
        if (entry.index < range.first || entry.index > range.last) continue
        bytes += entry.data.length
        if (entries.length > 0 && bytes > range.bytesMax) return { prev: { term: prevTerm, index: prevIndex }, entries }
        entries.push(entry)
      }
    }
  } finally {
    unpin()
  }
  return { prev: { term: prevTerm, index: prevIndex }, entries }
}

function pin(extents: readonly Extent[]): () => void {
  const segments = extents.map((extent) => extent.frame!.segment)
  for (const segment of segments) segment.readers++
  return () => {
    for (const segment of segments) segment.readers--
  }
}

async function readExtent(extent: Extent): Promise<readonly Entry[]> {
  const frame = extent.frame!
  const body = await readBody(frame)
  for (const record of readRecordsOf(frame, body)) {
    if (record.kind === 'entries') {
      return record.entries.filter(({ index }) => index >= extent.first && index <= extent.last)
    }
  }
  throw new CorruptionError({ file: frame.segment.path, offset: frame.offset }, 'the entries are not where they were')
}

/** A frame's body in memory of its own: entries are views of it, and live as long as somebody holds them. */
async function readBody(frame: FrameLocation): Promise<Buffer> {
  const body = Buffer.allocUnsafeSlow(frame.bodyBytes)
  const count = await frame.segment.handle.read(body, frame.offset + FRAME_HEADER_BYTES)
  if (count !== body.length || chainedChecksum(body, frame.chain) !== frame.bodyChecksum) {
    throw new CorruptionError(
      { file: frame.segment.path, offset: frame.offset },
      'a frame has changed since it was durable',
    )
  }
  return body
}

function readRecordsOf(frame: FrameLocation, body: Buffer): ReturnType<typeof readRecords> {
  try {
    return readRecords(body)
  } catch (error) {
    if (!(error instanceof DecodeError)) throw error
    throw new CorruptionError({ file: frame.segment.path, offset: frame.offset }, error.message)
  }
}

/**
 * The entries to keep in memory at a start: all from `keepFrom` on, and as many before as fit into `bytesMax`. Frames are
 * taken whole.
 */
export async function readTail(
  positions: LogPositions,
  options: { keepFrom: LogIndex; bytesMax: number },
): Promise<LogSlice> {
  let first = positions.last.index + 1
  let bytes = 0
  for (const extent of [...positions.extents].reverse()) {
    bytes += extent.frame!.bodyBytes
    if (bytes > options.bytesMax && extent.last < options.keepFrom) break
    first = bytes > options.bytesMax ? Math.max(extent.first, Math.min(first, options.keepFrom)) : extent.first
  }
  if (first > positions.last.index) return { prev: positions.last, entries: [] }
  const tail = await readEntries(positions, { first, last: positions.last.index, bytesMax: Infinity })
  return tail ?? { prev: positions.last, entries: [] }
}
