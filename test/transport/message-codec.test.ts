// Raft messages on the wire: each type survives with its extremes, and a header with any field wrong is refused.
import { readFile } from 'node:fs/promises'
import * as fc from 'fast-check'
import { Packr } from 'msgpackr'
import { describe, expect, test } from 'vitest'
import { DecodeError } from '../../src/lib/bytes.ts'
import type { Message } from '../../src/raft/index.ts'
import { FRAME, FrameReader, MAGIC } from '../../src/transport/frame.ts'
import type { Frame, OutgoingFrame } from '../../src/transport/frame.ts'
import { decodeMessage, encodeMessage } from '../../src/transport/message-codec.ts'
import type { WireMessage } from '../../src/transport/message-codec.ts'

const packr = new Packr({ useRecords: false })
const MAX = Number.MAX_SAFE_INTEGER
const BOOT_MAX = 2 ** 48 - 1
const from = '0000000000000001'
const to = 'ffffffffffffffff'

/** Through the frame format, as a socket would deliver it. */
function received(frame: OutgoingFrame): Frame {
  const frames: Frame[] = []
  new FrameReader(64 * 2 ** 20).push(Buffer.concat([MAGIC, ...frame.chunks]), (one) => frames.push(one) > 0)
  expect(frames).toHaveLength(1)
  return frames[0]!
}

const roundTrip = (message: WireMessage): Message => decodeMessage(received(encodeMessage(message)))

const EXAMPLES: readonly WireMessage[] = [0, 1, 2 ** 32 - 1, 2 ** 32, MAX - 3, MAX].flatMap((n): WireMessage[] => {
  const envelope = { from, to, term: n }
  const id = { term: n, index: n }
  const boot = Math.min(n, BOOT_MAX)
  const numbers = { commitIndex: n, readRound: n, lastIndex: n }
  return [
    { type: 'append-entries', ...envelope, prev: id, entries: [], ...numbers },
    {
      type: 'append-entries-response',
      ...envelope,
      readRound: n,
      isSpaceLow: true,
      result: { kind: 'accepted', matchIndex: n },
    },
    {
      type: 'append-entries-response',
      ...envelope,
      readRound: n,
      isSpaceLow: false,
      result: { kind: 'rejected', index: n, hint: id },
    },
    { type: 'heartbeat', ...envelope, ...numbers },
    { type: 'heartbeat-response', ...envelope, readRound: n, isSpaceLow: true },
    { type: 'request-pre-vote', ...envelope, last: id },
    { type: 'request-pre-vote-response', ...envelope, isGranted: true },
    { type: 'request-vote', ...envelope, last: id, isTransfer: true },
    { type: 'request-vote-response', ...envelope, isGranted: false },
    { type: 'request-snapshot', ...envelope },
    { type: 'timeout-now', ...envelope },
    { type: 'read-index', ...envelope, id: n, boot },
    { type: 'read-index-response', ...envelope, id: n, boot, index: n },
  ]
})

const append: WireMessage = {
  type: 'append-entries',
  from,
  to,
  term: 7,
  prev: { term: 6, index: 41 },
  entries: [
    { term: 6, index: 42, kind: 'normal', data: Buffer.from('first') },
    { term: 7, index: 43, kind: 'no-op', data: Buffer.alloc(0) },
    { term: 7, index: 44, kind: 'configuration', data: Buffer.alloc(10_000, 7) },
    { term: 7, index: 45, kind: 'normal', data: Buffer.from([0, 255]) },
  ],
  commitIndex: 40,
  readRound: 9,
  lastIndex: 50,
}

describe('round trips', () => {
  test('N12: every message survives, with the smallest and the largest numbers', () => {
    for (const message of EXAMPLES) expect(roundTrip(message)).toEqual(message)
  })

  test('entries of all kinds and sizes survive', () => {
    expect(roundTrip(append)).toEqual(append)
  })

  test('the worked example of FORMAT.md is what is sent', async () => {
    const page = await readFile(new URL('../../src/transport/FORMAT.md', import.meta.url), 'utf8')
    const example = /```\n([^`]*)```/.exec(page)?.[1] ?? ''
    const bytes = example.split('\n').flatMap(
      (line) =>
        line
          .match(/^(?:[0-9a-f]{2} ?)+/)?.[0]
          .trim()
          .split(' ') ?? [],
    )
    const message: WireMessage = {
      ...append,
      from: '0000000000000001',
      to: '0000000000000002',
      term: 3,
      prev: { term: 2, index: 9 },
      commitIndex: 9,
      readRound: 4,
      lastIndex: 11,
      entries: [
        { term: 3, index: 10, kind: 'no-op', data: Buffer.alloc(0) },
        { term: 3, index: 11, kind: 'normal', data: Buffer.from('hi') },
      ],
    }
    expect(Buffer.concat(encodeMessage(message).chunks).toString('hex')).toBe(bytes.join(''))
  })

  test('L15: random entries survive byte for byte', () => {
    const entries = fc.array(
      fc.tuple(fc.constantFrom('normal', 'no-op', 'configuration'), fc.uint8Array({ maxLength: 9_000 })),
      {
        maxLength: 20,
      },
    )
    fc.assert(
      fc.property(entries, fc.nat(), (list, index) => {
        const message: WireMessage = {
          ...append,
          prev: { term: 1, index },
          entries: list.map(([kind, data], at) => ({ term: 2, index: index + 1 + at, kind, data: Buffer.from(data) })),
        }
        expect(roundTrip(message)).toEqual(message)
      }),
      { numRuns: 100 },
    )
  })

  test('the data of large entries is not copied when it is sent to several followers', () => {
    const data = Buffer.alloc(50_000)
    const message: WireMessage = { ...append, entries: [{ term: 7, index: 42, kind: 'normal', data }] }
    for (const peer of ['000000000000000a', '000000000000000b'])
      expect(encodeMessage({ ...message, to: peer }).chunks).toContain(data)
  })

  test('N9: a received entry keeps no more memory alive than its own frame', () => {
    const small: WireMessage = {
      ...append,
      entries: [{ term: 7, index: 42, kind: 'normal', data: Buffer.from('tiny') }],
    }
    const frames: Frame[] = []
    const stream = Buffer.concat([MAGIC, ...encodeMessage(small).chunks, ...encodeMessage(append).chunks])
    const reader = new FrameReader(2 ** 20)
    // The second frame comes in two reads.
    for (const piece of [stream.subarray(0, 200), stream.subarray(200)])
      reader.push(piece, (frame) => {
        const message = decodeMessage(frame)
        if (message.type === 'append-entries')
          for (const { data } of message.entries) expect(data.buffer.byteLength).toBeLessThan(11_000)
        return frames.push(frame) > 0
      })
    expect(frames).toHaveLength(2)
    expect(frames[0]!.body.buffer.byteLength).toBe(4)
  })
})

// ---------------------------------------------------------------------------------------------------- malformed headers

/** Good fields of each type, by position. */
const GOOD: Readonly<Record<string, readonly [number, readonly unknown[]]>> = {
  append: [FRAME.appendEntries, [from, to, 7, 6, 41, 40, 9, 50, [7, 0, 5]]],
  accepted: [FRAME.appendEntriesResponse, [from, to, 7, 9, false, true, 41]],
  rejected: [FRAME.appendEntriesResponse, [from, to, 7, 9, false, false, 41, 6, 40]],
  heartbeat: [FRAME.heartbeat, [from, to, 7, 40, 9, 50]],
  heartbeatResponse: [FRAME.heartbeatResponse, [from, to, 7, 9, false]],
  preVote: [FRAME.requestPreVote, [from, to, 7, 6, 41]],
  preVoteResponse: [FRAME.requestPreVoteResponse, [from, to, 7, true]],
  vote: [FRAME.requestVote, [from, to, 7, 6, 41, false]],
  voteResponse: [FRAME.requestVoteResponse, [from, to, 7, true]],
  requestSnapshot: [FRAME.requestSnapshot, [from, to, 7]],
  timeoutNow: [FRAME.timeoutNow, [from, to, 7]],
  readIndex: [FRAME.readIndex, [from, to, 7, 3, 4]],
  readIndexResponse: [FRAME.readIndexResponse, [from, to, 7, 3, 4, 5]],
}

const bodyOf = (name: string): Buffer => Buffer.from(name === 'append' ? 'hello' : '')

const decode = (type: number, fields: unknown, body: Uint8Array): Message =>
  decodeMessage({ type, header: packr.pack(fields), body })

const BAD_NUMBERS: readonly unknown[] = [
  -1,
  0.5,
  NaN,
  Infinity,
  2 ** 53,
  2n ** 63n,
  '7',
  true,
  null,
  undefined,
  [7],
  { a: 1 },
  Buffer.of(7),
]
const BAD_BOOLEANS: readonly unknown[] = [0, 1, 'true', null, undefined, [], {}]
const BAD_IDS: readonly unknown[] = [
  1,
  '1',
  '000000000000000G',
  '00000000000000001',
  'ABCDEF0123456789',
  null,
  undefined,
  Buffer.alloc(16),
  ['0000000000000001'],
]
const BAD_TABLES: readonly unknown[] = [
  null,
  5,
  'x',
  {},
  [7],
  [7, 0],
  [7, 3, 5],
  [7, 0, 6],
  [7, 0, 4],
  [7, 0, -5],
  [-1, 0, 5],
  [7.5, 0, 5],
  ['7', 0, 5],
  [7, 0, 5, 7, 0, 1],
  [2 ** 53, 0, 5],
]

function badValues(good: unknown): readonly unknown[] {
  if (typeof good === 'number') return BAD_NUMBERS
  if (typeof good === 'boolean') return BAD_BOOLEANS
  return typeof good === 'string' ? BAD_IDS : BAD_TABLES
}

describe.each(Object.entries(GOOD))('a malformed %s', (name, [type, good]) => {
  test('the good one is accepted', () => {
    expect(decode(type, good, bodyOf(name))).toMatchObject({ from, to, term: 7 })
  })

  test.each(good.map((value, at) => [at, value] as const))('N12: field %i is checked', (at, value) => {
    for (const bad of badValues(value))
      expect(() => decode(type, good.with(at, bad), bodyOf(name)), String(bad)).toThrow(DecodeError)
  })

  test('a field too few or too many is refused', () => {
    expect(() => decode(type, good.slice(0, -1), bodyOf(name))).toThrow(DecodeError)
    expect(() => decode(type, [...good, 1], bodyOf(name))).toThrow(DecodeError)
  })

  test('bytes after the header that nothing accounts for are refused', () => {
    expect(() => decode(type, good, Buffer.concat([bodyOf(name), Buffer.of(0)]))).toThrow(DecodeError)
  })
})

describe('what is no message', () => {
  test.each([[null], [7], ['text'], [{ from }], [new Map([['from', from]])], [new Date(0)], [[]], [[[from, to, 7]]]])(
    'the header %j is refused',
    (header) => {
      expect(() => decode(FRAME.timeoutNow, header, Buffer.alloc(0))).toThrow(DecodeError)
    },
  )

  test('install-snapshot and unknown types are refused', () => {
    for (const type of [0x18, 0x00, 0x1d, 0x30, 0xff])
      expect(() => decode(type, [from, to, 7], Buffer.alloc(0))).toThrow('no Raft message')
  })

  test('an index above 2^53 - 1 is refused', () => {
    const header = [from, to, 7, 6, MAX, 40, 9, 50, [7, 0, 5]]
    expect(() => decode(FRAME.appendEntries, header, Buffer.from('hello'))).toThrow('above 2^53')
  })

  test('minus zero is zero', () => {
    const message = decode(FRAME.heartbeat, [from, to, 7, -0, 9, 50], Buffer.alloc(0))
    expect(Object.is((message as { commitIndex: number }).commitIndex, 0)).toBe(true)
  })

  test('a header that defines a record does not change how the next one is read', () => {
    const evil = new Packr({ useRecords: true }).pack([
      { a: 1, b: 2 },
      { a: 3, b: 4 },
    ])
    const frame = { type: FRAME.heartbeat, header: evil, body: Buffer.alloc(0) }
    expect(() => decodeMessage(frame)).toThrow(DecodeError)
    // 0x40 names the record that was just defined, if anything remembers it.
    expect(decode(FRAME.heartbeat, [from, to, 0x40, 0x41, 0x42, 0x43], Buffer.alloc(0))).toMatchObject({
      term: 0x40,
      lastIndex: 0x43,
    })
  })

  test('random headers are refused or decoded, never anything else', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 255 }),
        fc.uint8Array({ maxLength: 80 }),
        fc.uint8Array(),
        (type, header, body) => {
          try {
            decodeMessage({ type, header, body })
          } catch (error) {
            expect(error).toBeInstanceOf(DecodeError)
          }
        },
      ),
      { numRuns: 3_000 },
    )
  })
})
