// The frame format: whatever way a stream is cut into pieces the same frames come out, and nonsense is refused early.
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { DecodeError } from '../../src/lib/bytes.ts'
import { encodeFrame, FrameReader, MAGIC } from '../../src/transport/frame.ts'

const BYTES_MAX = 100_000

interface Copy {
  readonly type: number
  readonly header: string
  readonly body: string
}

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')

function read(pieces: readonly Uint8Array[], bytesMax = BYTES_MAX): Copy[] {
  const frames: Copy[] = []
  const reader = new FrameReader(bytesMax)
  for (const piece of pieces)
    reader.push(piece, ({ type, header, body }) => frames.push({ type, header: hex(header), body: hex(body) }) > 0)
  return frames
}

/** A prefix as FORMAT.md has it. */
function prefix(fields: { length: number; type?: number; flags?: number; group?: number; header?: number }): Buffer {
  const bytes = Buffer.alloc(12)
  bytes.writeUInt32LE(fields.length, 0)
  bytes[4] = fields.type ?? 0x12
  bytes[5] = fields.flags ?? 0
  bytes.writeUInt16LE(fields.group ?? 0, 6)
  bytes.writeUInt32LE(fields.header ?? 0, 8)
  return bytes
}

describe('reading', () => {
  test('the same frames come out however the stream is cut', () => {
    const part = fc.tuple(
      fc.integer({ min: 0, max: 255 }),
      fc.uint8Array({ maxLength: 30 }),
      fc.uint8Array({ maxLength: 6_000 }),
    )
    const frames = fc.array(part, { maxLength: 8 })
    const cuts = fc.array(fc.integer({ min: 1, max: 700 }), { minLength: 1, maxLength: 50 })
    fc.assert(
      fc.property(frames, cuts, (list, sizes) => {
        const chunks = list.flatMap(([type, header, body]) => encodeFrame(type, header, [body]).chunks)
        const stream = Buffer.concat([MAGIC, ...chunks])
        const pieces: Buffer[] = []
        for (let start = 0, at = 0; start < stream.length; at++) {
          const size = sizes[at % sizes.length]!
          pieces.push(stream.subarray(start, start + size))
          start += size
        }
        expect(read(pieces)).toEqual(read([stream]))
        expect(read(pieces)).toHaveLength(list.length)
      }),
      { numRuns: 200 },
    )
  })

  test('byte by byte', () => {
    const stream = Buffer.concat([MAGIC, ...encodeFrame(0x12, Buffer.from('header'), [Buffer.from('body')]).chunks])
    expect(read([...stream].map((byte) => Buffer.of(byte)))).toEqual(read([stream]))
  })

  test('stops where it is told to', () => {
    const stream = Buffer.concat([
      MAGIC,
      ...encodeFrame(1, Buffer.alloc(0)).chunks,
      ...encodeFrame(2, Buffer.alloc(0)).chunks,
    ])
    const types: number[] = []
    new FrameReader(BYTES_MAX).push(stream, ({ type }) => {
      types.push(type)
      return false
    })
    expect(types).toEqual([1])
  })

  test('a frame of exactly the limit is read, and a limit may be raised later', () => {
    const frame = encodeFrame(1, Buffer.alloc(0), [Buffer.alloc(92)])
    expect(read([MAGIC, ...frame.chunks], 100)).toHaveLength(1)
    expect(() => read([MAGIC, ...frame.chunks], 99)).toThrow('above the limit of 99')
    const reader = new FrameReader(99)
    reader.push(MAGIC, () => true)
    reader.setBytesMax(100)
    let count = 0
    reader.push(Buffer.concat(frame.chunks), () => ++count > 0)
    expect(count).toBe(1)
  })
})

describe('refusing', () => {
  test.each([
    ['another protocol', [Buffer.from('GET / HTTP/1.1\r\n')], 'not the peer protocol'],
    ['one wrong byte of the magic', [Buffer.from('QX')], 'not the peer protocol'],
    ['a frame that is too short', [MAGIC, prefix({ length: 7 })], 'too short'],
    ['a frame that is too long', [MAGIC, prefix({ length: BYTES_MAX + 1 })], 'above the limit'],
    ['the longest length there is', [MAGIC, prefix({ length: 0xffffffff })], 'above the limit'],
    ['unknown flags', [MAGIC, prefix({ length: 8, flags: 1 })], 'unknown flags'],
    ['another group', [MAGIC, prefix({ length: 8, group: 1 })], 'group 1'],
    ['a header longer than its frame', [MAGIC, prefix({ length: 8, header: 1 })], 'does not fit'],
    ['a header of four gibibytes', [MAGIC, prefix({ length: 8, header: 0xffffffff })], 'does not fit'],
  ])('%s is refused', (_what, pieces, message) => {
    expect(() => read(pieces)).toThrow(DecodeError)
    expect(() => read(pieces)).toThrow(message)
  })

  test('random bytes are refused or wait for more, never anything else', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 300 })), fc.boolean(), (pieces, hasMagic) => {
        try {
          read(hasMagic ? [MAGIC, ...pieces] : pieces)
        } catch (error) {
          expect(error).toBeInstanceOf(DecodeError)
        }
      }),
      { numRuns: 2_000 },
    )
  })
})
