// The envelope of every value in the database: a format byte, the payload, and a CRC-32 over key, format byte and payload.
// LevelDB returns a value with a flipped bit without an error (measured), so each read checks. With the key in the checksum, a
// value that turns up under another key is found out as well.
//
// The format byte: the low seven bits are the version, 1; the high bit is reserved for sealed (encrypted) values, whose key id
// and nonce would follow it. Anything else is refused.
import { ByteReader, ByteWriter, DecodeError } from '../../lib/bytes.ts'
import { crc32 } from '../../lib/checksum.ts'

export const VALUE_FORMAT = 1
const CHECKSUM_BYTES = 4
const ENVELOPE_BYTES = 1 + CHECKSUM_BYTES

/** Keys and their stored values, one pair after another in one piece of memory that grows. */
export class StoredPairs {
  readonly #writer: ByteWriter
  #keyAt = 0
  #valueAt = 0

  constructor(capacity = 4_096) {
    this.#writer = new ByteWriter(capacity)
  }

  /** The next pair's key follows. */
  begin(): ByteWriter {
    this.#keyAt = this.#writer.length
    return this.#writer
  }

  /** The key is written; the payload follows. */
  beginValue(): ByteWriter {
    this.#valueAt = this.#writer.length
    return this.#writer.uint8(VALUE_FORMAT)
  }

  /** The pair is complete. */
  seal(): void {
    this.#writer.uint32(crc32(this.#writer.slice(this.#keyAt)))
  }

  /** Adds copies of all the others; returns where they begin. */
  append(others: StoredPairs): number {
    const start = this.#writer.length
    this.#writer.bytes(others.#writer.finish())
    return start
  }

  /** Begins anew, in the same memory. */
  clear(): void {
    this.#writer.reset()
  }

  /** Of all pairs. */
  get length(): number {
    return this.#writer.length
  }

  /** Where the value of the latest pair begins. */
  get valueAt(): number {
    return this.#valueAt
  }

  /** The memory itself, which is more than what was written. What grows moves to another one; this one stays as it is. */
  get bytes(): Buffer {
    return this.#writer.memory
  }

  /** Of the latest pair, as a view. */
  get key(): Buffer {
    return this.#writer.slice(this.#keyAt, this.#valueAt)
  }

  /** Of the latest pair, as a view. */
  get value(): Buffer {
    return this.#writer.slice(this.#valueAt)
  }
}

/** Begins a value in a writer that was reset; the payload follows, then {@link sealValue}. */
export const beginValue = (writer: ByteWriter): ByteWriter => writer.uint8(VALUE_FORMAT)

/** Ends the value: the stored bytes, as a view of the writer's memory. */
export function sealValue(writer: ByteWriter, key: Uint8Array): Buffer {
  writer.uint32(crc32(writer.finish(), crc32(key)))
  return writer.finish()
}

/** A reader of the payload, once format and checksum hold. Throws {@link DecodeError} otherwise. */
export function openValue(key: Uint8Array, stored: Buffer): ByteReader {
  if (stored.length < ENVELOPE_BYTES) throw new DecodeError(`a stored value of ${stored.length} bytes is cut short`)
  const end = stored.length - CHECKSUM_BYTES
  const expected = stored.readUInt32LE(end)
  const found = crc32(stored.subarray(0, end), crc32(key))
  if (found !== expected) {
    throw new DecodeError(`a stored value fails its checksum (${found.toString(16)}, not ${expected.toString(16)})`)
  }
  if (stored[0] !== VALUE_FORMAT) throw new DecodeError(`a stored value has the unknown format ${stored[0]}`)
  return payloadOf(stored, 0, stored.length)
}

/** The payload of a value that lies between two places and was checked before. */
export const payloadOf = (bytes: Buffer, start: number, end: number): ByteReader =>
  new ByteReader(bytes, start + 1, end - CHECKSUM_BYTES)

/** The payload of a value that was checked before, as a view. */
export const payloadIn = (stored: Uint8Array): Uint8Array => stored.subarray(1, stored.length - CHECKSUM_BYTES)
