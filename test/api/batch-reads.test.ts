// Reads in a batch as bytes, and their answers: one encoding for each, and a DecodeError for everything else.
import { readFileSync } from 'node:fs'
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  decodeBatchRequest,
  decodeBatchResponse,
  encodeBatchRequest,
  encodeBatchResponse,
} from '../../src/api/batch-codec.ts'
import type { BatchAnswer, BatchItem } from '../../src/api/batch-codec.ts'
import { decodeCommands } from '../../src/api/command-codec.ts'
import { DecodeError } from '../../src/lib/bytes.ts'

const hex = (text: string): Buffer => Buffer.from(text.replaceAll(/\s/g, ''), 'hex')
const asked = { consistency: 'linearizable', maxStaleMs: undefined, minRevision: undefined } as const
const READS: readonly BatchItem[] = [
  { op: 'read', key: 'a', ...asked },
  { op: 'read', key: 'b', consistency: 'stale', maxStaleMs: 500, minRevision: 17 },
]
const entry = { value: Buffer.from('hi'), contentType: '', createRevision: 7, modRevision: 17, version: 3, lease: '' }
const ANSWERS: readonly BatchAnswer[] = [
  { kind: 'read', revision: 17, stalenessMs: undefined, entry, ttlMs: undefined },
  { kind: 'read', revision: 17, stalenessMs: 5, entry: undefined, ttlMs: undefined },
]
const MORE: readonly BatchAnswer[] = [
  ...ANSWERS,
  {
    kind: 'read',
    revision: 20,
    stalenessMs: 0,
    entry: { ...entry, contentType: 'text/plain', lease: '7fffffffffffffff' },
    ttlMs: 30_000,
  },
  { kind: 'left-out' },
  { kind: 'error', code: 'TOO_STALE', outcome: 'not-applied', retryAfterMs: 100, detail: 'behind' },
]

const mutated = (good: Buffer): fc.Arbitrary<Uint8Array> =>
  fc.oneof(
    fc.uint8Array({ maxLength: 24 }).map((bytes) => Buffer.concat([Buffer.of(1), bytes])),
    fc.tuple(fc.nat({ max: 200 }), fc.nat({ max: 255 })).map(([at, byte]) => {
      const bytes = Buffer.from(good)
      bytes[at % bytes.length] = byte
      return bytes
    }),
  )

const expectCanonical = <T>(bytes: Uint8Array, decode: (bytes: Uint8Array) => T, encode: (it: T) => Buffer): void => {
  let decoded: T
  try {
    decoded = decode(bytes)
  } catch (error) {
    expect(error).toBeInstanceOf(DecodeError)
    return
  }
  expect(encode(decoded).equals(bytes)).toBe(true)
}

describe('reads in a batch', () => {
  test('are laid out as FORMAT.md shows', () => {
    const page = readFileSync(new URL('../../src/api/FORMAT.md', import.meta.url), 'utf8')
    const blocks = [...page.matchAll(/```hex batch\n([\s\S]*?)```/g)].map(([, block = '']) =>
      hex(block.replaceAll(/ {2,}.*$/gm, '')),
    )
    expect(blocks).toEqual([encodeBatchRequest(READS), encodeBatchResponse(ANSWERS)])
  })

  test('come back as they were, among commands', () => {
    const items: BatchItem[] = [...READS, { op: 'lease-keep-alive', lease: '0000000000000001' }, READS[0]!]
    expect(decodeBatchRequest(encodeBatchRequest(items))).toEqual(items)
    expect(decodeBatchResponse(encodeBatchResponse(MORE))).toEqual(MORE)
  })

  test('A6: whatever decodes encodes to the same bytes', () => {
    const requests = fc.property(mutated(encodeBatchRequest(READS)), (bytes) =>
      expectCanonical(bytes, decodeBatchRequest, encodeBatchRequest),
    )
    const responses = fc.property(mutated(encodeBatchResponse(MORE)), (bytes) =>
      expectCanonical(bytes, decodeBatchResponse, encodeBatchResponse),
    )
    fc.assert(requests, { numRuns: 2_000 })
    fc.assert(responses, { numRuns: 2_000 })
  })

  test.each([
    ['a flag that means nothing', '01 12 08 01 61', /unknown flags 0x8/],
    ['staleness that is allowed to a linearizable one', '01 12 02 01 61 05', /linearizable read that may be stale/],
    ['an empty key', '01 12 00 00', /empty key/],
    ['a key cut short', '01 12 00 02 61', /cut short/],
    ['a key that is too long', `01 12 00 81 20 ${'61'.repeat(4_097)}`, /key of 4097 bytes/],
    ['a number that is not in its shortest form', '01 12 04 01 61 81 00', /shortest form/],
    ['one item more than allowed', `01 ${'12 00 01 61'.repeat(1_001)}`, /more than 1000 commands and reads/],
  ])('are refused with %s', (_what, bytes, message) => {
    expect(() => decodeBatchRequest(hex(bytes))).toThrow(message)
    expect(() => decodeBatchRequest(hex(bytes))).toThrow(DecodeError)
  })

  test.each([
    ['an unknown kind', '01 04', /unknown kind of answer 4/],
    ['an unknown flag', '01 02 08 11', /unknown flags 0x8/],
    ['a time to live without an entry', '01 02 04 11 05', /time to live of what has no lease/],
    ['a time to live without a lease', '01 02 05 11 00 00 07 11 03 0000000000000000 05', /no lease/],
    ['an entry cut short', '01 02 01 11 05 68', /cut short/],
    ['a result that is longer than it says', '01 00 01 07 00 05', /bytes of a result are missing/],
    ['a result that is shorter than it says', '01 00 04 07 00 05 00', /1 bytes too many/],
  ])('have no answers with %s', (_what, bytes, message) => {
    expect(() => decodeBatchResponse(hex(bytes))).toThrow(message)
    expect(() => decodeBatchResponse(hex(bytes))).toThrow(DecodeError)
  })

  test('have no place among the commands of the log', () => {
    expect(() => decodeCommands(encodeBatchRequest(READS).subarray(1))).toThrow(DecodeError)
  })
})
