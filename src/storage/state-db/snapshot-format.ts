// The stream of a state: frames of
//
//   length (4, of what follows)  format (1)  kind (1)  number (4, from 0)  payload  CRC-32 (4, of all before it)
//
// header:  magic, stream version, applied metadata, configuration
// rows:    key length, value length, key, value as stored, and so on: keyspaces k, z, l, q, s, m, each in byte order
// trailer: how many there were in k, in z, in l, q and s together, and in m; and the live digest again
//
// The format byte is 1; its high bit is reserved for sealed frames. The number finds lost, repeated and reordered frames.
// A reader takes the stream in pieces of any size.
import { ByteReader, ByteWriter, DecodeError } from '../../lib/bytes.ts'
import { crc32 } from '../../lib/checksum.ts'
import { equalHash } from '../../lib/hash.ts'
import type { Hash64 } from '../../lib/hash.ts'
import type { KvMeta } from '../../kv/types.ts'
import type { ClusterConfiguration } from '../../node/ports.ts'
import { SnapshotStreamError } from './errors.ts'
import { KEYSPACE } from './keys.ts'
import { readConfiguration, readMeta, writeConfiguration, writeMeta } from './meta-codec.ts'

export const FRAME_KIND = { header: 0, rows: 1, trailer: 2 } as const
export type FrameKind = (typeof FRAME_KIND)[keyof typeof FRAME_KIND]

/** Rows are gathered to this size before they leave. */
export const FRAME_BYTES = 256 * 1024
/** One row of the largest record fits, on top of a nearly full frame. */
export const FRAME_BYTES_MAX = 4 * 1024 * 1024

const MAGIC = 'QRTSTATE'
const STREAM_VERSION = 3
const FRAME_FORMAT = 1
const LENGTH_BYTES = 4
const OVERHEAD_BYTES = 10

/** In the order in which they are sent, each with what it counts as. */
export const STREAMED_KEYSPACES = [
  [KEYSPACE.pointers, 'pointers'],
  [KEYSPACE.records, 'records'],
  [KEYSPACE.leases, 'rows'],
  [KEYSPACE.locks, 'rows'],
  [KEYSPACE.sessions, 'rows'],
  [KEYSPACE.meta, 'metas'],
] as const

export interface SnapshotHeader {
  readonly meta: KvMeta
  readonly configuration: ClusterConfiguration
}

export interface SnapshotTrailer {
  readonly pointers: number
  readonly records: number
  readonly rows: number
  readonly metas: number
  readonly live: Hash64
}

export interface Frame {
  readonly kind: FrameKind
  readonly payload: ByteReader
}

export function encodeFrame(kind: FrameKind, number: number, payload: Uint8Array): Buffer {
  const writer = new ByteWriter(payload.length + LENGTH_BYTES + OVERHEAD_BYTES)
  writer
    .uint32(payload.length + OVERHEAD_BYTES)
    .uint8(FRAME_FORMAT)
    .uint8(kind)
    .uint32(number)
    .bytes(payload)
  return writer.uint32(crc32(writer.finish())).finish()
}

/** Cuts a stream into frames and checks each. */
export class FrameReader {
  #pending: Buffer = Buffer.alloc(0)
  #number = 0

  /** The stream is over: nothing may be left. */
  end(): void {
    if (this.#pending.length > 0) throw new SnapshotStreamError(`the stream ends within frame ${this.#number}`)
  }

  /** The frames that `chunk` completes. They are views of it, or of memory of their own. */
  *push(chunk: Uint8Array): Generator<Frame> {
    const pending = this.#pending.length === 0 ? Buffer.from(chunk) : Buffer.concat([this.#pending, chunk])
    let at = 0
    while (pending.length - at >= LENGTH_BYTES) {
      const length = pending.readUInt32LE(at)
      if (length > FRAME_BYTES_MAX || length < OVERHEAD_BYTES) {
        throw new SnapshotStreamError(`frame ${this.#number} claims ${length} bytes`)
      }
      const end = at + LENGTH_BYTES + length
      if (end > pending.length) break
      yield this.#frame(pending.subarray(at, end))
      at = end
    }
    this.#pending = pending.subarray(at)
  }

  #frame(bytes: Buffer): Frame {
    const end = bytes.length - 4
    const number = this.#number++
    if (crc32(bytes.subarray(0, end)) !== bytes.readUInt32LE(end)) {
      throw new SnapshotStreamError(`frame ${number} fails its checksum`)
    }
    const reader = new ByteReader(bytes, LENGTH_BYTES, end)
    const format = reader.uint8()
    if (format !== FRAME_FORMAT) throw new SnapshotStreamError(`frame ${number} has the unknown format ${format}`)
    const kind = reader.uint8()
    if (kind > FRAME_KIND.trailer) throw new SnapshotStreamError(`frame ${number} is of the unknown kind ${kind}`)
    const claimed = reader.uint32()
    if (claimed !== number) throw new SnapshotStreamError(`frame ${claimed} arrived where frame ${number} belongs`)
    return { kind: kind as FrameKind, payload: reader }
  }
}

export function encodeHeader(header: SnapshotHeader): Buffer {
  const writer = new ByteWriter().latin1(MAGIC).varint(STREAM_VERSION)
  writeMeta(writer, header.meta)
  writeConfiguration(writer, header.configuration)
  return writer.finish()
}

export function decodeHeader(payload: ByteReader): SnapshotHeader {
  if (payload.latin1(MAGIC.length) !== MAGIC) throw new DecodeError('this is not a stream of a state')
  const version = payload.varint()
  if (version !== STREAM_VERSION) {
    throw new DecodeError(`the stream has version ${version}; this release reads version ${STREAM_VERSION}`)
  }
  const header = { meta: readMeta(payload), configuration: readConfiguration(payload) }
  payload.end()
  return header
}

export function encodeTrailer(trailer: SnapshotTrailer): Buffer {
  const { pointers, records, rows, metas, live } = trailer
  const writer = new ByteWriter().varint(pointers).varint(records).varint(rows).varint(metas)
  return writer.int32(live.hi).int32(live.lo).finish()
}

export function decodeTrailer(payload: ByteReader): SnapshotTrailer {
  const trailer = {
    pointers: payload.varint(),
    records: payload.varint(),
    rows: payload.varint(),
    metas: payload.varint(),
    live: { hi: payload.int32(), lo: payload.int32() },
  }
  payload.end()
  return trailer
}

/** What differs, or undefined. */
export function compareTrailers(sent: SnapshotTrailer, received: SnapshotTrailer): string | undefined {
  for (const count of ['pointers', 'records', 'rows', 'metas'] as const) {
    if (sent[count] !== received[count]) return `${received[count]} ${count} arrived where ${sent[count]} were sent`
  }
  return equalHash(sent.live, received.live) ? undefined : 'the trailer names another digest than the header'
}
