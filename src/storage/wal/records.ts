// What is inside a frame's body (FORMAT.md): the records of one write, in the order in which they take effect, and the state
// that a segment's first frame repeats. Reading validates every byte; entries' data are views of the frame.
import { unreachable } from '../../lib/assert.ts'
import { DecodeError, ByteReader, varintLength } from '../../lib/bytes.ts'
import type { ConfState, Entry, EntryId, EntryKind, HardState, NodeId, SnapshotMeta } from '../../raft/index.ts'
import type { Epoch } from './frame.ts'

export type LogRecord =
  | { readonly kind: 'hard-state'; readonly hardState: HardState }
  | { readonly kind: 'entries'; readonly entries: readonly Entry[] }
  /** Entries up to the marker are no longer needed. */
  | { readonly kind: 'compaction'; readonly marker: SnapshotMeta }
  /** The log restarts from the marker; whether entries above it were kept was decided when it was written. */
  | { readonly kind: 'restart'; readonly marker: SnapshotMeta; readonly keepsSuffix: boolean }

/** What each segment's first frame says: enough to go on from, whatever happened to the segments before. */
export interface SegmentStart {
  readonly sequence: number
  /** The epoch of the segment that will follow. Frames that bear it show that the segment existed, even if its start is lost. */
  readonly nextEpoch: Epoch
  /** The body checksum of the last frame before this segment; 0 for the first one. */
  readonly chain: number
  readonly hardState: HardState
  readonly marker: SnapshotMeta | undefined
  /** The log's last entry, or the marker, or the origin. */
  readonly last: EntryId
}

const TAGS = { 'hard-state': 1, entries: 2, compaction: 3, restart: 4 } as const
const ENTRY_KINDS: readonly EntryKind[] = ['normal', 'no-op', 'configuration']

/** Writes into memory that was measured beforehand: one copy of each entry's data, and no growing. */
export class RecordWriter {
  readonly #target: Buffer
  #at: number

  constructor(target: Buffer, at: number) {
    this.#target = target
    this.#at = at
  }

  get offset(): number {
    return this.#at
  }

  record(record: LogRecord): void {
    this.#byte(TAGS[record.kind])
    switch (record.kind) {
      case 'hard-state':
        return this.#hardState(record.hardState)
      case 'entries':
        return this.#entries(record.entries)
      case 'compaction':
        return this.#marker(record.marker)
      case 'restart':
        this.#byte(record.keepsSuffix ? 1 : 0)
        return this.#marker(record.marker)
    }
  }

  segmentStart(start: SegmentStart): void {
    this.#varint(start.sequence)
    this.#hex(start.nextEpoch)
    this.#at = this.#target.writeUInt32LE(start.chain, this.#at)
    this.#hardState(start.hardState)
    this.#byte(start.marker === undefined ? 0 : 1)
    if (start.marker !== undefined) this.#marker(start.marker)
    this.#varint(start.last.term)
    this.#varint(start.last.index)
  }

  #hardState(hardState: HardState): void {
    this.#varint(hardState.term)
    this.#byte(hardState.votedFor === undefined ? 0 : 1)
    if (hardState.votedFor !== undefined) this.#hex(hardState.votedFor)
    this.#varint(hardState.commitIndex)
  }

  /** Contiguous: only the first index is written. */
  #entries(entries: readonly Entry[]): void {
    this.#varint(entries[0]!.index)
    this.#varint(entries.length)
    for (const entry of entries) {
      this.#varint(entry.term)
      this.#byte(ENTRY_KINDS.indexOf(entry.kind))
      this.#varint(entry.data.length)
      this.#target.set(entry.data, this.#at)
      this.#at += entry.data.length
    }
  }

  #marker(marker: SnapshotMeta): void {
    this.#varint(marker.term)
    this.#varint(marker.index)
    const { voters, votersOutgoing, learners, learnersNext, autoLeave } = marker.confState
    for (const ids of [voters, votersOutgoing, learners, learnersNext]) {
      this.#varint(ids.length)
      for (const id of ids) this.#hex(id)
    }
    this.#byte(autoLeave ? 1 : 0)
  }

  #byte(value: number): void {
    this.#target[this.#at++] = value
  }

  /** A node's id or an epoch: 16 hex digits. */
  #hex(id: string): void {
    this.#at += this.#target.write(id, this.#at, 8, 'hex')
  }

  #varint(value: number): void {
    let rest = value
    while (rest >= 0x80) {
      this.#target[this.#at++] = (rest % 128) | 0x80
      rest = Math.floor(rest / 128)
    }
    this.#target[this.#at++] = rest
  }
}

const HARD_STATE_BYTES_MAX = 8 + 1 + 8 + 8

/** An upper bound of what {@link RecordWriter.record} writes; exact for entries, where it matters. */
export function recordBytesMax(record: LogRecord): number {
  switch (record.kind) {
    case 'hard-state':
      return 1 + HARD_STATE_BYTES_MAX
    case 'entries': {
      let bytes = 1 + 8 + 8
      for (const { term, data } of record.entries) {
        bytes += varintLength(term) + 1 + varintLength(data.length) + data.length
      }
      return bytes
    }
    case 'compaction':
      return 1 + markerBytesMax(record.marker)
    case 'restart':
      return 2 + markerBytesMax(record.marker)
    default:
      return unreachable(record)
  }
}

export const segmentStartBytesMax = (marker: SnapshotMeta | undefined): number =>
  8 + 8 + 4 + HARD_STATE_BYTES_MAX + 1 + (marker === undefined ? 0 : markerBytesMax(marker)) + 16

function markerBytesMax({ confState }: SnapshotMeta): number {
  const { voters, votersOutgoing, learners, learnersNext } = confState
  return 16 + 4 * 8 + 1 + 8 * (voters.length + votersOutgoing.length + learners.length + learnersNext.length)
}

/** All records of a write. Throws {@link DecodeError} for anything that the writer would not have written. */
export function readRecords(body: Uint8Array): LogRecord[] {
  const reader = new ByteReader(body)
  const records: LogRecord[] = []
  while (reader.remaining > 0) records.push(readRecord(reader))
  return records
}

function readRecord(reader: ByteReader): LogRecord {
  const tag = reader.uint8()
  switch (tag) {
    case TAGS['hard-state']:
      return { kind: 'hard-state', hardState: readHardState(reader) }
    case TAGS.entries:
      return { kind: 'entries', entries: readEntries(reader) }
    case TAGS.compaction:
      return { kind: 'compaction', marker: readMarker(reader) }
    case TAGS.restart: {
      const keepsSuffix = readFlag(reader)
      return { kind: 'restart', keepsSuffix, marker: readMarker(reader) }
    }
    default:
      throw new DecodeError(`an unknown record with tag ${tag}`)
  }
}

export function readSegmentStart(body: Uint8Array): SegmentStart {
  const reader = new ByteReader(body)
  const start = {
    sequence: reader.varint(),
    nextEpoch: reader.bytes(8).toString('hex'),
    chain: reader.uint32(),
    hardState: readHardState(reader),
    marker: readFlag(reader) ? readMarker(reader) : undefined,
    last: { term: reader.varint(), index: reader.varint() },
  }
  reader.end()
  return start
}

function readHardState(reader: ByteReader): HardState {
  const term = reader.varint()
  const votedFor = readFlag(reader) ? reader.bytes(8).toString('hex') : undefined
  return { term, votedFor, commitIndex: reader.varint() }
}

function readEntries(reader: ByteReader): Entry[] {
  const first = reader.varint()
  const count = reader.varint()
  if (first < 1 || count < 1) throw new DecodeError(`${count} entries from index ${first}`)
  const entries: Entry[] = []
  for (let index = first; index < first + count; index++) {
    const term = reader.varint()
    const kind = ENTRY_KINDS[reader.uint8()]
    if (kind === undefined) throw new DecodeError(`entry ${index} is of an unknown kind`)
    entries.push({ index, term, kind, data: reader.bytes(reader.varint()) })
  }
  return entries
}

function readMarker(reader: ByteReader): SnapshotMeta {
  const term = reader.varint()
  const index = reader.varint()
  const confState: ConfState = {
    voters: readIds(reader),
    votersOutgoing: readIds(reader),
    learners: readIds(reader),
    learnersNext: readIds(reader),
    autoLeave: readFlag(reader),
  }
  return { term, index, confState }
}

function readIds(reader: ByteReader): NodeId[] {
  const count = reader.varint()
  const ids: NodeId[] = []
  for (let i = 0; i < count; i++) ids.push(reader.bytes(8).toString('hex'))
  return ids
}

function readFlag(reader: ByteReader): boolean {
  const flag = reader.uint8()
  if (flag > 1) throw new DecodeError(`a flag has the value ${flag}`)
  return flag === 1
}
