// The envelope of every value in the database: a format byte, the payload, and a CRC-32 over key, format byte and payload.
// LevelDB returns a value with a flipped bit without an error (measured), so each read checks. With the key in the checksum, a
// value that turns up under another key is found out as well.
//
// The format byte: the low seven bits are the version, 1; the high bit is reserved for sealed (encrypted) values, whose key id
// and nonce would follow it. Anything else is refused.
import { ByteReader, DecodeError } from '../../lib/bytes.ts'
import type { ByteWriter } from '../../lib/bytes.ts'
import { crc32 } from '../../lib/checksum.ts'

export const VALUE_FORMAT = 1
const ENVELOPE_BYTES = 5

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
  const end = stored.length - 4
  const expected = stored.readUInt32LE(end)
  const found = crc32(stored.subarray(0, end), crc32(key))
  if (found !== expected) {
    throw new DecodeError(`a stored value fails its checksum (${found.toString(16)}, not ${expected.toString(16)})`)
  }
  if (stored[0] !== VALUE_FORMAT) throw new DecodeError(`a stored value has the unknown format ${stored[0]}`)
  return new ByteReader(stored, 1, end)
}
