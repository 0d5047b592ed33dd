// Frames: how a stream of bytes between two nodes falls into messages. FORMAT.md has the layout and a worked example.
// The reader trusts nothing: a length is checked before a byte of it is stored, and whatever is wrong is a DecodeError.
import { asBuffer, DecodeError } from '../lib/bytes.ts'

/** Both ends send these before their first frame: a browser or a stray client is told apart at once. */
export const MAGIC: Uint8Array = Buffer.from('QPL\n', 'latin1')

/** The byte that says what a frame is. Never reused for another meaning. */
export const FRAME = {
  hello: 0x01,
  challenge: 0x02,
  proof: 0x03,
  verdict: 0x04,
  ready: 0x05,
  refusal: 0x06,
  alive: 0x07,

  appendEntries: 0x10,
  appendEntriesResponse: 0x11,
  heartbeat: 0x12,
  heartbeatResponse: 0x13,
  requestPreVote: 0x14,
  requestPreVoteResponse: 0x15,
  requestVote: 0x16,
  requestVoteResponse: 0x17,
  // 0x18 is kept free for install-snapshot, which never travels.
  requestSnapshot: 0x19,
  timeoutNow: 0x1a,
  readIndex: 0x1b,
  readIndexResponse: 0x1c,

  forward: 0x30,
  forwardAnswer: 0x31,
  control: 0x32,
  controlAnswer: 0x33,

  snapshotBegin: 0x40,
  snapshotChunk: 0x41,
  snapshotEnd: 0x42,
  snapshotAbort: 0x43,
  snapshotDone: 0x44,
} as const

export type FrameType = number

/** A frame as it arrived. */
export interface Frame {
  readonly type: FrameType
  /** Valid during the callback only: it may be a view of what the socket read. */
  readonly header: Uint8Array
  /** Memory of its own: keeping it, or a part of it, keeps at most this frame alive. */
  readonly body: Uint8Array
}

/** A frame on its way out. `isStarted` turns true when its first byte may have reached a socket. */
export interface OutgoingFrame {
  readonly chunks: readonly Uint8Array[]
  readonly bytes: number
  isStarted: boolean
}

const PREFIX_BYTES = 12
const LENGTH_BYTES = 4
const REST_OF_PREFIX = PREFIX_BYTES - LENGTH_BYTES
/** Smaller pieces are copied together; larger ones travel by reference, shared by the frames to all followers. */
const COPY_BYTES_MAX = 4_096

export function encodeFrame(type: FrameType, header: Uint8Array, body: readonly Uint8Array[] = []): OutgoingFrame {
  let bytes = PREFIX_BYTES + header.length
  for (const piece of body) bytes += piece.length
  const prefix = Buffer.alloc(PREFIX_BYTES)
  prefix.writeUInt32LE(bytes - LENGTH_BYTES, 0)
  prefix[4] = type
  prefix.writeUInt32LE(header.length, 8)
  return { chunks: coalesce([prefix, header, ...body]), bytes, isStarted: false }
}

function coalesce(pieces: readonly Uint8Array[]): Uint8Array[] {
  const chunks: Uint8Array[] = []
  let run: Uint8Array[] = []
  const endRun = (): void => {
    if (run.length > 0) chunks.push(Buffer.concat(run))
    run = []
  }
  for (const piece of pieces) {
    if (piece.length <= COPY_BYTES_MAX) {
      run.push(piece)
    } else {
      endRun()
      chunks.push(piece)
    }
  }
  endRun()
  return chunks
}

/** Cuts what arrives into frames. Once it has thrown it is of no further use: the connection must be closed. */
export class FrameReader {
  #bytesMax: number
  #isMagicRead = false
  /** Bytes of the magic or of a prefix that came in pieces. */
  #head: Buffer = Buffer.alloc(0)
  /** A frame that spans several reads, its first `#filled` bytes there. */
  #partial: Buffer | undefined
  #filled = 0

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax
  }

  /** From the next frame on. */
  setBytesMax(bytesMax: number): void {
    this.#bytesMax = bytesMax
  }

  /** Calls back for each frame that `chunk` completes, in order; stops as soon as the callback returns false. */
  push(chunk: Uint8Array, onFrame: (frame: Frame) => boolean): void {
    let rest = asBuffer(chunk)
    if (this.#partial !== undefined) {
      rest = this.#fill(this.#partial, rest)
      if (this.#filled < this.#partial.length) return
      const whole = this.#partial
      this.#partial = undefined
      if (!onFrame(parseWhole(whole))) return
    }
    if (this.#head.length > 0) {
      rest = Buffer.concat([this.#head, rest])
      this.#head = Buffer.alloc(0)
    }
    if (!this.#isMagicRead) {
      checkMagic(rest)
      if (rest.length < MAGIC.length) return this.#keepHead(rest)
      this.#isMagicRead = true
      rest = rest.subarray(MAGIC.length)
    }
    this.#frames(rest, onFrame)
  }

  #frames(bytes: Buffer, onFrame: (frame: Frame) => boolean): void {
    let rest = bytes
    while (rest.length >= PREFIX_BYTES) {
      const length = checkPrefix(rest, this.#bytesMax)
      const end = LENGTH_BYTES + length
      if (rest.length < end) {
        // Memory of its own, of exactly this frame, not from the shared pool: entries stay in it for long.
        this.#partial = Buffer.allocUnsafeSlow(end)
        this.#filled = 0
        this.#fill(this.#partial, rest)
        return
      }
      const isToGoOn = onFrame(parseWithin(rest.subarray(0, end)))
      rest = rest.subarray(end)
      if (!isToGoOn) return
    }
    this.#keepHead(rest)
  }

  #fill(partial: Buffer, bytes: Buffer): Buffer {
    const taken = Math.min(bytes.length, partial.length - this.#filled)
    partial.set(bytes.subarray(0, taken), this.#filled)
    this.#filled += taken
    return bytes.subarray(taken)
  }

  /** A copy, so that a few bytes do not keep the socket's whole read alive. */
  #keepHead(bytes: Buffer): void {
    this.#head = Buffer.from(bytes)
  }
}

function checkMagic(bytes: Buffer): void {
  const length = Math.min(bytes.length, MAGIC.length)
  if (!bytes.subarray(0, length).equals(MAGIC.subarray(0, length)))
    throw new DecodeError('this is not the peer protocol of Quorate (the first four bytes differ)')
}

/** Returns the length: the number of bytes after the length field. */
function checkPrefix(bytes: Buffer, bytesMax: number): number {
  const length = bytes.readUInt32LE(0)
  if (length < REST_OF_PREFIX) throw new DecodeError(`a frame of ${length} bytes is too short`)
  if (length > bytesMax) throw new DecodeError(`a frame of ${length} bytes is above the limit of ${bytesMax}`)
  const flags = bytes[5]!
  if (flags !== 0) throw new DecodeError(`a frame has unknown flags 0x${flags.toString(16)}`)
  const group = bytes.readUInt16LE(6)
  if (group !== 0) throw new DecodeError(`a frame is for group ${group}; there is only group 0`)
  const headerLength = bytes.readUInt32LE(8)
  if (headerLength > length - REST_OF_PREFIX)
    throw new DecodeError(`a header of ${headerLength} bytes does not fit into a frame of ${length}`)
  return length
}

const headerEnd = (frame: Buffer): number => PREFIX_BYTES + frame.readUInt32LE(8)

const NO_BYTES = Buffer.alloc(0)

/** Of a frame in memory of its own. */
function parseWhole(frame: Buffer): Frame {
  const end = headerEnd(frame)
  return { type: frame[4]!, header: frame.subarray(PREFIX_BYTES, end), body: frame.subarray(end) }
}

/** Of a frame inside a larger read: its body is copied out. */
function parseWithin(frame: Buffer): Frame {
  const end = headerEnd(frame)
  const body = end === frame.length ? NO_BYTES : copyOf(frame.subarray(end))
  return { type: frame[4]!, header: frame.subarray(PREFIX_BYTES, end), body }
}

function copyOf(bytes: Buffer): Buffer {
  const copy = Buffer.allocUnsafeSlow(bytes.length)
  copy.set(bytes)
  return copy
}
