// Bytes: the in-memory spelling of keys, strict text encodings, and a bounds-checked reader and writer for our formats.
// Numbers are little-endian unless a name says otherwise; varints are LEB128 in their shortest form, at most 2^53 - 1.

/** A key as a string of one code unit a byte (latin1), so that `<` orders keys as their bytes and a Map can hold them. */
export type KeyString = string

export const keyFromBytes = (bytes: Uint8Array): KeyString => asBuffer(bytes).toString('latin1')
export const keyToBytes = (key: KeyString): Buffer => Buffer.from(key, 'latin1')

/** The same memory as a Buffer; nothing is copied. */
export function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

export const EMPTY_BYTES: Uint8Array = new Uint8Array(0)

export const equalBytes = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0

/** The bytes of canonical base64url, or undefined for padding, foreign characters or non-zero trailing bits. */
export function fromBase64url(text: string): Buffer | undefined {
  const bytes = Buffer.from(text, 'base64url')
  return bytes.toString('base64url') === text ? bytes : undefined
}

/** What a peer, a disk or a caller sent does not follow the format. Input, not a bug: callers refuse it and say so. */
export class DecodeError extends Error {
  override readonly name = 'DecodeError'
}

/** Reads a format front to back; every step checks its bounds and throws {@link DecodeError} past them. */
export class ByteReader {
  readonly #bytes: Buffer
  #at: number
  readonly #end: number

  constructor(bytes: Uint8Array, start = 0, end: number = bytes.length) {
    this.#bytes = asBuffer(bytes)
    this.#at = start
    this.#end = end
  }

  get offset(): number {
    return this.#at
  }

  get remaining(): number {
    return this.#end - this.#at
  }

  uint8(): number {
    return this.#bytes[this.#take(1)]!
  }

  uint32(): number {
    return this.#bytes.readUInt32LE(this.#take(4))
  }

  int32(): number {
    return this.#bytes.readInt32LE(this.#take(4))
  }

  /** An unsigned integer of 8 bytes that must be a safe one. */
  uint64(): number {
    const at = this.#take(8)
    return safe(this.#bytes.readUInt32LE(at + 4) * 2 ** 32 + this.#bytes.readUInt32LE(at))
  }

  varint(): number {
    let value = 0
    for (let scale = 1; ; scale *= 128) {
      const byte = this.uint8()
      value = safe(value + (byte & 0x7f) * scale)
      if (byte < 0x80) {
        if (byte === 0 && scale > 1)
          throw new DecodeError(`a number at offset ${this.#at - 1} is not in its shortest form`)
        return value
      }
      if (scale >= 2 ** 49) throw new DecodeError(`a number at offset ${this.#at - 1} is too long`)
    }
  }

  /** The next `length` bytes, as a view of the same memory. */
  bytes(length: number): Buffer {
    const at = this.#take(length)
    return this.#bytes.subarray(at, at + length)
  }

  skip(length: number): void {
    this.#take(length)
  }

  /** The next `length` bytes, one code unit each. */
  latin1(length: number): string {
    const at = this.#take(length)
    return this.#bytes.toString('latin1', at, at + length)
  }

  end(): void {
    if (this.remaining !== 0) throw new DecodeError(`${this.remaining} bytes too many`)
  }

  #take(length: number): number {
    const at = this.#at
    if (length > this.#end - at)
      throw new DecodeError(`cut short: ${length} bytes wanted at offset ${at}, ${this.remaining} left`)
    this.#at = at + length
    return at
  }
}

function safe(value: number): number {
  if (!Number.isSafeInteger(value)) throw new DecodeError('a number is above 2^53 - 1')
  return value
}

/** Up to this length a loop over a string takes less time than the call of a native function. */
const LOOPED_MAX = 32

/** Writes a format front to back into a buffer that grows. */
export class ByteWriter {
  #bytes: Buffer
  #length = 0

  constructor(capacity = 256) {
    this.#bytes = Buffer.allocUnsafe(capacity)
  }

  get length(): number {
    return this.#length
  }

  uint8(value: number): this {
    const at = this.#grow(1)
    this.#bytes[at] = value
    return this
  }

  uint32(value: number): this {
    const at = this.#grow(4)
    this.#bytes.writeUInt32LE(value, at)
    return this
  }

  int32(value: number): this {
    const at = this.#grow(4)
    this.#bytes.writeInt32LE(value, at)
    return this
  }

  /** Most significant byte first: such numbers order as bytes. */
  uint32BE(value: number): this {
    const at = this.#grow(4)
    this.#bytes.writeUInt32BE(value, at)
    return this
  }

  uint64(value: number): this {
    const at = this.#grow(8)
    this.#bytes.writeUInt32LE(value % 2 ** 32, at)
    this.#bytes.writeUInt32LE(Math.floor(value / 2 ** 32), at + 4)
    return this
  }

  varint(value: number): this {
    let rest = value
    while (rest >= 0x80) {
      this.uint8((rest % 128) | 0x80)
      rest = Math.floor(rest / 128)
    }
    return this.uint8(rest)
  }

  bytes(value: Uint8Array): this {
    const at = this.#grow(value.length)
    this.#bytes.set(value, at)
    return this
  }

  latin1(value: string): this {
    const { length } = value
    const at = this.#grow(length)
    if (length > LOOPED_MAX) this.#bytes.write(value, at, 'latin1')
    else for (let nth = 0; nth < length; nth++) this.#bytes[at + nth] = value.charCodeAt(nth)
    return this
  }

  /** What was written, as a view; the writer is used up and must not be written to again. */
  finish(): Buffer {
    return this.#length === this.#bytes.length ? this.#bytes : this.#bytes.subarray(0, this.#length)
  }

  /** What it writes to, for those who know where they wrote. It writes elsewhere once it has grown. */
  get memory(): Buffer {
    return this.#bytes
  }

  /** A part of what was written, as a view. */
  slice(from: number, to: number = this.#length): Buffer {
    return this.#bytes.subarray(from, to)
  }

  /** Starts over in the same memory: views that `finish` gave out are overwritten. For callers that have copied them. */
  reset(): this {
    this.#length = 0
    return this
  }

  /** Makes room and says where. May replace the buffer, so it comes before any use of it in the same expression. */
  #grow(length: number): number {
    const at = this.#length
    this.#length = at + length
    if (this.#length > this.#bytes.length) {
      const larger = Buffer.allocUnsafe(Math.max(this.#length, this.#bytes.length * 2))
      larger.set(this.#bytes.subarray(0, at))
      this.#bytes = larger
    }
    return at
  }
}

/** How many bytes {@link ByteWriter.varint} takes for a value. */
export function varintLength(value: number): number {
  let length = 1
  for (let rest = value; rest >= 128; rest = Math.floor(rest / 128)) length++
  return length
}
