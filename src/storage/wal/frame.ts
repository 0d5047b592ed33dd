// The frame: what one write puts on disk (FORMAT.md). A header of 40 bytes that validates by itself, and a body whose checksum
// is chained to the frame before it, so that no frame can be exchanged for an intact one from elsewhere.
import { crc32 } from '../../lib/checksum.ts'

/** Frames begin on sectors: a torn write of one never damages its predecessor. */
export const SECTOR_BYTES = 512
export const FRAME_HEADER_BYTES = 40

/** "QLOG" as it appears in a hex dump. */
const MAGIC = 0x474f4c51

/** Layout 1. Bit 7 stands for *sealed* (encrypted, with key id and nonce before the body); it and all others are refused. */
const FORMAT = 1
const SEALED_BIT = 0x80

/** The first frame of each segment repeats what recovery needs; all others are writes. */
export type FrameKind = 'segment' | 'write'
const KIND_CODES = { segment: 1, write: 2 } as const

/** 64 random bits, drawn for each use of a segment, as 16 hex digits: frames of an earlier use are not mistaken for new. */
export type Epoch = string

export interface FrameHeader {
  readonly kind: FrameKind
  readonly epoch: Epoch
  /** Counts appends from 1. A segment's first frame bears the number of the write that it precedes. */
  readonly writeNumber: number
  readonly bodyBytes: number
  readonly bodyChecksum: number
}

export const paddedFrameBytes = (bodyBytes: number): number =>
  Math.ceil((FRAME_HEADER_BYTES + bodyBytes) / SECTOR_BYTES) * SECTOR_BYTES

/** The checksum of a body, chained to the frame before: that frame's own body checksum is the seed. */
export const chainedChecksum = (body: Uint8Array, previous: number): number => crc32(body, previous)

/** Puts a header in front of a body that is in place already, and zeros up to the end of the last sector. */
export function sealFrame(
  target: Buffer,
  at: number,
  frame: {
    kind: FrameKind
    epoch: Epoch
    writeNumber: number
    bodyBytes: number
    chain: number
    segmentOffset: number
  },
): number {
  const bodyStart = at + FRAME_HEADER_BYTES
  const bodyEnd = bodyStart + frame.bodyBytes
  const checksum = chainedChecksum(target.subarray(bodyStart, bodyEnd), frame.chain)
  target.writeUInt32LE(MAGIC, at)
  target[at + 4] = FORMAT
  target[at + 5] = KIND_CODES[frame.kind]
  target.writeUInt16LE(0, at + 6)
  target.write(frame.epoch, at + 8, 8, 'hex')
  target.writeUInt32LE(frame.writeNumber % 2 ** 32, at + 16)
  target.writeUInt32LE(Math.floor(frame.writeNumber / 2 ** 32), at + 20)
  target.writeUInt32LE(frame.bodyBytes, at + 24)
  target.writeUInt32LE(checksum, at + 28)
  target.writeUInt32LE(frame.segmentOffset / SECTOR_BYTES, at + 32)
  target.writeUInt32LE(crc32(target.subarray(at, at + 36)), at + 36)
  target.fill(0, bodyEnd, at + paddedFrameBytes(frame.bodyBytes))
  return checksum
}

export type HeaderReading =
  | { readonly kind: 'valid'; readonly header: FrameHeader }
  /** No header of ours: zeros, part of a body, or damaged. */
  | { readonly kind: 'none' }
  /** Intact, but of a layout that this version does not know. */
  | { readonly kind: 'unknown-format'; readonly format: number; readonly epoch: Epoch }

/** Reads the header at `at`, which must also be where it says that it is: a misdirected write is not believed. */
export function readFrameHeader(segment: Buffer, at: number): HeaderReading {
  if (at + FRAME_HEADER_BYTES > segment.length || segment.readUInt32LE(at) !== MAGIC) return { kind: 'none' }
  if (segment.readUInt32LE(at + 36) !== crc32(segment.subarray(at, at + 36))) return { kind: 'none' }
  if (segment.readUInt32LE(at + 32) * SECTOR_BYTES !== at) return { kind: 'none' }
  const format = segment[at + 4]!
  const kind = segment[at + 5] === KIND_CODES.segment ? 'segment' : 'write'
  if (format !== FORMAT || KIND_CODES[kind] !== segment[at + 5] || segment.readUInt16LE(at + 6) !== 0) {
    return { kind: 'unknown-format', format, epoch: segment.toString('hex', at + 8, at + 16) }
  }
  return {
    kind: 'valid',
    header: {
      kind,
      epoch: segment.toString('hex', at + 8, at + 16),
      writeNumber: segment.readUInt32LE(at + 20) * 2 ** 32 + segment.readUInt32LE(at + 16),
      bodyBytes: segment.readUInt32LE(at + 24),
      bodyChecksum: segment.readUInt32LE(at + 28),
    },
  }
}

/** Why a frame with an unknown format is refused. */
export const describeFormat = (format: number): string =>
  (format & SEALED_BIT) === 0
    ? `format ${format}, which this version does not know (it knows ${FORMAT}); use the version that wrote it`
    : 'an encrypted (sealed) format, which this version cannot open; use the version that wrote it'

/** Whether bytes that are no valid header look like a damaged one of this write: its number, or the segment's epoch. */
export function resemblesHeader(segment: Buffer, at: number, expected: { epoch: Epoch; writeNumber: number }): boolean {
  if (at + FRAME_HEADER_BYTES > segment.length) return false
  if (segment.toString('hex', at + 8, at + 16) === expected.epoch) return true
  const number = segment.readUInt32LE(at + 20) * 2 ** 32 + segment.readUInt32LE(at + 16)
  return segment.readUInt32LE(at) === MAGIC && number === expected.writeNumber
}

/** The body of a frame, or undefined when it runs past the end or its chained checksum does not match. */
export function readFrameBody(segment: Buffer, at: number, header: FrameHeader, chain: number): Buffer | undefined {
  const start = at + FRAME_HEADER_BYTES
  if (start + header.bodyBytes > segment.length) return undefined
  const body = segment.subarray(start, start + header.bodyBytes)
  return chainedChecksum(body, chain) === header.bodyChecksum ? body : undefined
}
