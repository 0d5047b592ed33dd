// Results and batches as bytes: one encoding for each, and a DecodeError for everything else.
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  BATCH_FORMAT_VERSION,
  decodeBatchRequest,
  decodeBatchResponse,
  encodeBatchRequest,
  encodeBatchResponse,
} from '../../src/api/batch-codec.ts'
import type { BatchAnswer } from '../../src/api/batch-codec.ts'
import { NO_CONDITION } from '../../src/api/commands.ts'
import type { ClientCommand, CommandResult, KeyEntry, TxnOperationResult } from '../../src/api/commands.ts'
import { decodeResult, encodeResult } from '../../src/api/result-codec.ts'
import { DecodeError } from '../../src/lib/bytes.ts'

const hex = (text: string): Buffer => Buffer.from(text.replaceAll(' ', ''), 'hex')
const entry: KeyEntry = {
  key: '\xff\0',
  value: Buffer.from('value'),
  contentType: 'text/plain',
  createRevision: 2,
  modRevision: Number.MAX_SAFE_INTEGER,
  version: 3,
  lease: '7fffffffffffffff',
}
const inner: TxnOperationResult[] = [
  { kind: 'put', revision: 5, isCreated: false, previous: entry },
  { kind: 'deleted', revision: 5, count: 2, previous: undefined },
  { kind: 'added', revision: 5, value: -(2n ** 63n) },
  { kind: 'range', revision: 5, entries: [entry, { ...entry, lease: '', contentType: '' }], count: 2, isMore: true },
]
const RESULTS: CommandResult[] = [
  { kind: 'put', revision: 5, isCreated: true, previous: undefined },
  { kind: 'put', revision: 5, isCreated: false, previous: entry },
  { kind: 'deleted', revision: 5, count: 1, previous: entry },
  { kind: 'added', revision: 5, value: 2n ** 63n - 1n },
  {
    kind: 'txn',
    revision: 5,
    succeeded: true,
    results: [...inner, { kind: 'txn', revision: 5, succeeded: false, results: inner }],
  },
  { kind: 'precondition-failed', revision: 5, currentRevision: 0 },
  { kind: 'refused', revision: 5, reason: 'not-a-number' },
  { kind: 'refused', revision: 5, reason: 'future-revision' },
  { kind: 'compacted', revision: 5 },
  { kind: 'lease', revision: 5, lease: '0000000000000001', ttlMs: 30_000 },
  { kind: 'lease-revoked', revision: 5, count: 7 },
  { kind: 'lock', revision: 5, token: 9, lease: '0000000000000001', isHeld: true },
  { kind: 'lock', revision: 5, token: 9, lease: '0000000000000001', isHeld: false },
  { kind: 'unlocked', revision: 5, wasHeld: true },
  { kind: 'proclaimed', revision: 5 },
  { kind: 'session', revision: 5, session: 'ffffffffffffffff', ttlMs: 1 },
  { kind: 'session-closed', revision: 5 },
  { kind: 'expired', revision: 5, count: 3 },
  { kind: 'replayed', revision: 9, result: { kind: 'precondition-failed', revision: 5, currentRevision: 4 } },
]

describe('a result', () => {
  test.each(RESULTS.map((result) => [result.kind, result] as const))(
    'of kind %s comes back as it was',
    (_kind, result) => {
      expect(decodeResult(encodeResult(result))).toEqual(result)
    },
  )

  test('A6: has one encoding: whatever decodes encodes to the same bytes', () => {
    const bytes = fc.oneof(
      fc.uint8Array({ maxLength: 20 }),
      fc.tuple(fc.constantFrom(...RESULTS), fc.nat({ max: 200 }), fc.nat({ max: 255 })).map(([result, at, byte]) => {
        const bytes = Buffer.from(encodeResult(result))
        bytes[at % bytes.length] = byte
        return bytes
      }),
    )
    fc.assert(
      fc.property(bytes, (bytes) => {
        let result: CommandResult
        try {
          result = decodeResult(bytes)
        } catch (error) {
          expect(error).toBeInstanceOf(DecodeError)
          return
        }
        expect(encodeResult(result).equals(Buffer.from(bytes))).toBe(true)
      }),
      { numRuns: 2000 },
    )
  })

  test.each([
    ['nothing', '', /cut short/],
    ['an unknown kind', '11 00 05', /unknown kind of result/],
    ['an unknown flag', '01 01 05 00', /unknown flags 0x1/],
    ['an unknown reason', '06 00 05 14', /unknown reason/],
    ['something behind it', '07 00 05 00', /1 bytes too many/],
    ['a range by itself', '03 00 05 00 00', /not the result of a command/],
    ['a repeat of a repeat', '10 00 05 10 00 05 07 00 05', /cannot be repeated/],
    ['a lease in a transaction’s', '04 00 05 01 08 00 05 0000000000000001 01', /has no place/],
    ['endless nesting', '04 00 05 01'.repeat(80), /nested deeper/],
  ])('is refused with %s', (_what, bytes, message) => {
    expect(() => decodeResult(hex(bytes))).toThrow(message)
    expect(() => decodeResult(hex(bytes))).toThrow(DecodeError)
  })
})

describe('a batch', () => {
  const put: ClientCommand = {
    op: 'put',
    key: 'k',
    value: Buffer.from('v'),
    contentType: '',
    condition: NO_CONDITION,
    wantsPrevious: false,
    once: { kind: 'session', session: '00000000000000a1', sequence: 2, acknowledgedBelow: 1 },
  }

  test('carries commands and answers in order', () => {
    const commands: ClientCommand[] = [put, { op: 'lease-keep-alive', lease: '0000000000000001' }]
    expect(decodeBatchRequest(encodeBatchRequest(commands))).toEqual(commands)
    const answers: BatchAnswer[] = [
      ...RESULTS.map((result) => ({ kind: 'result' as const, result })),
      { kind: 'error', code: 'OVERLOADED', outcome: 'not-applied', retryAfterMs: 250, detail: 'später' },
      { kind: 'error', code: 'TIMEOUT', outcome: 'unknown', detail: '' },
    ]
    expect(decodeBatchResponse(encodeBatchResponse(answers))).toEqual(answers)
  })

  test.each([
    ['nothing at all', Buffer.alloc(0), /cut short/],
    ['another version', Buffer.of(2), /format version 2/],
    ['no command', Buffer.of(BATCH_FORMAT_VERSION), /without a command/],
    ['a command cut short', encodeBatchRequest([put]).subarray(0, -1), /cut short/],
    [
      'too many commands',
      encodeBatchRequest(Array.from({ length: 1001 }, () => put)),
      /a batch of more than 1000 commands/,
    ],
    [
      'an idempotency key, whose scope only the server may say',
      encodeBatchRequest([{ ...put, once: { kind: 'key', key: 'other/x', fingerprint: '00000000000000f1' } }]),
      /by session, not by idempotency key/,
    ],
  ])('is refused with %s', (_what, bytes, message) => {
    expect(() => decodeBatchRequest(bytes)).toThrow(message)
    expect(() => decodeBatchRequest(bytes)).toThrow(DecodeError)
  })

  test.each(['constructor', '__proto__', 'NOPE'])('N13: of answers is refused with the code %s', (code) => {
    const bytes = Buffer.concat([Buffer.of(1, 1, 0, code.length), Buffer.from(code), Buffer.of(0)])
    expect(() => decodeBatchResponse(bytes)).toThrow(`an unknown error code: ${code}`)
  })
})
