// Reading and writing bytes: bounds, canonical numbers, keys that order as their bytes, strict base64url.
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  asBuffer,
  ByteReader,
  ByteWriter,
  DecodeError,
  equalBytes,
  fromBase64url,
  keyFromBytes,
  keyToBytes,
  varintLength,
} from '../../src/lib/bytes.ts'

describe('a key string', () => {
  test('holds any bytes, one code unit each', () => {
    const all = Uint8Array.from({ length: 256 }, (_, byte) => byte)
    const key = keyFromBytes(all)
    expect(key).toHaveLength(256)
    expect(new Uint8Array(keyToBytes(key))).toEqual(all)
  })

  test('A5: orders as its bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 4 }), fc.uint8Array({ maxLength: 4 }), (a, b) => {
        const [left, right] = [keyFromBytes(a), keyFromBytes(b)]
        expect(left < right ? -1 : Number(left > right)).toBe(Buffer.compare(a, b))
      }),
    )
  })
})

test('a Buffer over the same memory sees its changes', () => {
  const bytes = new Uint8Array([1, 2, 3, 4]).subarray(1, 3)
  const buffer = asBuffer(bytes)
  bytes[0] = 9
  expect([...buffer]).toEqual([9, 3])
  expect(asBuffer(buffer)).toBe(buffer)
})

test('bytes are equal by content and length', () => {
  expect(equalBytes(Buffer.of(1, 2), new Uint8Array([1, 2]))).toBe(true)
  expect(equalBytes(Buffer.of(1, 2), Buffer.of(1, 2, 0))).toBe(false)
})

describe('base64url', () => {
  test('round-trips any bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array(), (bytes) => {
        const text = Buffer.from(bytes).toString('base64url')
        expect(new Uint8Array(fromBase64url(text)!)).toEqual(bytes)
      }),
    )
  })

  test.each([
    ['padding', 'YQ=='],
    ['the characters of plain base64', '-_8+'],
    ['white space', 'YW Jj'],
    ['non-zero trailing bits', 'YR'],
    ['a single character', 'Y'],
    ['a character outside of ASCII', 'YWé'],
  ])('with %s is refused', (_what, text) => {
    expect(fromBase64url(text)).toBeUndefined()
  })
})

describe('a written number', () => {
  const edges = [0, 1, 127, 128, 16_383, 16_384, 2 ** 31 - 1, 2 ** 31, 2 ** 32 - 1, 2 ** 32, 2 ** 49, 2 ** 53 - 1]

  test.each(edges)('%d reads back, as a varint and as 8 bytes', (value) => {
    const bytes = new ByteWriter(1).varint(value).uint64(value).finish()
    const reader = new ByteReader(bytes)
    expect(reader.varint()).toBe(value)
    expect(reader.offset).toBe(varintLength(value))
    expect(reader.uint64()).toBe(value)
    reader.end()
  })

  test('takes the shortest form, and no other is read', () => {
    expect([...new ByteWriter().varint(300).finish()]).toEqual([0xac, 0x02])
    for (const longer of [
      [0x80, 0x00],
      [0xac, 0x82, 0x00],
      [0xff, 0x80, 0x80, 0x00],
    ])
      expect(() => new ByteReader(Buffer.from(longer)).varint(), longer.join()).toThrow(/shortest form/)
  })

  test('A6: above 2^53 - 1 is refused', () => {
    expect(() => new ByteReader(Buffer.from('80808080808080 10'.replace(' ', ''), 'hex')).varint()).toThrow(DecodeError)
    expect(() => new ByteReader(Buffer.alloc(20, 0xff)).varint()).toThrow(DecodeError)
    expect(() => new ByteReader(Buffer.from('0000000000002000', 'hex')).uint64()).toThrow(/above 2\^53/)
    expect(() => new ByteReader(Buffer.alloc(8, 0xff)).uint64()).toThrow(/above 2\^53/)
  })

  test('of one or four bytes keeps all bits', () => {
    const reader = new ByteReader(new ByteWriter().uint8(255).uint32(0xfedcba98).finish())
    expect(reader.uint8()).toBe(255)
    expect(reader.uint32()).toBe(0xfedcba98)
  })
})

describe('a reader', () => {
  const steps: [string, (reader: ByteReader) => unknown][] = [
    ['uint8', (reader) => reader.uint8()],
    ['uint32', (reader) => reader.uint32()],
    ['uint64', (reader) => reader.uint64()],
    ['varint', (reader) => reader.varint()],
    ['bytes', (reader) => reader.bytes(3)],
    ['latin1', (reader) => reader.latin1(3)],
  ]

  test.each(steps)('refuses to take %s past the end', (_name, step) => {
    expect(() => step(new ByteReader(Buffer.alloc(0)))).toThrow(DecodeError)
    expect(() => step(new ByteReader(Buffer.alloc(20, 0x80), 9, 9))).toThrow(DecodeError)
  })

  test('stays within the part it was given', () => {
    const reader = new ByteReader(Buffer.from('abcdef'), 2, 4)
    expect(reader.remaining).toBe(2)
    expect(reader.latin1(2)).toBe('cd')
    reader.end()
    expect(() => reader.uint8()).toThrow(/cut short: 1 bytes wanted at offset 4, 0 left/)
  })

  test('gives bytes as a view', () => {
    const bytes = Buffer.from('abc')
    const view = new ByteReader(bytes).bytes(2)
    bytes[0] = 0x7a
    expect(view.toString()).toBe('zb')
  })

  test('refuses bytes behind the end of the format', () => {
    expect(() => new ByteReader(Buffer.from('ab')).end()).toThrow('2 bytes too many')
  })

  test('is not moved by a refused step', () => {
    const reader = new ByteReader(Buffer.from('ab'))
    expect(() => reader.uint32()).toThrow(DecodeError)
    expect(reader.latin1(2)).toBe('ab')
  })
})

describe('a writer', () => {
  type Write = { name: 'uint8' | 'uint32' | 'uint64' | 'varint' | 'bytes' | 'latin1'; value: number; text: Uint8Array }
  const write: fc.Arbitrary<Write> = fc.record({
    name: fc.constantFrom('uint8', 'uint32', 'uint64', 'varint', 'bytes', 'latin1'),
    value: fc.maxSafeNat(),
    text: fc.uint8Array({ maxLength: 40 }),
  })

  test('gives back what was written, however often it had to grow', () => {
    fc.assert(
      fc.property(fc.array(write, { maxLength: 40 }), (writes) => {
        const writer = new ByteWriter(1)
        for (const { name, value, text } of writes) {
          if (name === 'uint8') writer.uint8(value % 256)
          else if (name === 'uint32') writer.uint32(value % 2 ** 32)
          else if (name === 'bytes') writer.bytes(text)
          else if (name === 'latin1') writer.latin1(keyFromBytes(text))
          else writer[name](value)
        }
        const { length } = writer
        const reader = new ByteReader(writer.finish())
        expect(reader.remaining).toBe(length)
        for (const { name, value, text } of writes) {
          if (name === 'uint8') expect(reader.uint8()).toBe(value % 256)
          else if (name === 'uint32') expect(reader.uint32()).toBe(value % 2 ** 32)
          else if (name === 'bytes') expect(new Uint8Array(reader.bytes(text.length))).toEqual(text)
          else if (name === 'latin1') expect(reader.latin1(text.length)).toBe(keyFromBytes(text))
          else expect(reader[name]()).toBe(value)
        }
        reader.end()
      }),
    )
  })

  test.each(['uint8', 'uint32', 'uint64', 'varint'] as const)('that grows within %s loses nothing', (name) => {
    const bytes = new ByteWriter(1).uint8(7)[name](200).finish()
    expect(new ByteReader(bytes, 1)[name]()).toBe(200)
    expect(bytes[0]).toBe(7)
  })
})
