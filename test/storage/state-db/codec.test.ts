// The stored bytes of pointers, records and metadata: what is written is what is read, and nothing else is accepted.
import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { ByteReader, ByteWriter, DecodeError } from '../../../src/lib/bytes.ts'
import type { KeyPointer, KeyRecord, RevisionId } from '../../../src/kv/types.ts'
import type { EngineBatch } from '../../../src/storage/state-db/engine.ts'
import {
  isRevisionBefore,
  pointerKey,
  purgeListKey,
  recordKey,
  revisionOf,
  userKeyOf,
} from '../../../src/storage/state-db/keys.ts'
import { readConfiguration, readMeta, writeConfiguration, writeMeta } from '../../../src/storage/state-db/meta-codec.ts'
import { PurgeListWriter, readPurgeList } from '../../../src/storage/state-db/purge-list.ts'
import type { PurgeItem } from '../../../src/storage/state-db/purge-list.ts'
import {
  decodePointer,
  decodeRecord,
  encodePointer,
  encodeRecord,
  readPurgeItem,
} from '../../../src/storage/state-db/record-codec.ts'
import { StoredPairs, openValue } from '../../../src/storage/state-db/stored-value.ts'
import { CONFIGURATION, INITIAL_META } from './support.ts'

const count = fc.oneof(fc.nat({ max: 300 }), fc.maxSafeNat())
const sub = fc.nat({ max: 0xffffffff })
const revisionId = fc.record({ revision: count, sub })
const word = fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 })
const hash = fc.record({ hi: word, lo: word })
const key = fc.uint8Array({ minLength: 1, maxLength: 40 }).map((bytes) => Buffer.from(bytes).toString('latin1'))

const pointer: fc.Arbitrary<KeyPointer> = fc.record({
  at: revisionId,
  createRevision: count,
  version: count,
  changes: count,
  isTombstone: fc.boolean(),
  skips: fc.array(revisionId, { maxLength: 20 }),
  digest: hash,
})

const record: fc.Arbitrary<KeyRecord> = fc.record({
  at: revisionId,
  key,
  value: fc.option(
    fc.uint8Array({ maxLength: 100 }).map((bytes) => Buffer.from(bytes)),
    { nil: undefined },
  ),
  contentType: fc.oneof(fc.constant(''), fc.string({ unit: 'grapheme' })),
  createRevision: count,
  version: count,
  lease: fc.oneof(fc.constant(''), fc.constant('00000000000000ab')),
  predecessor: fc.option(fc.record({ revision: count, sub, isTombstone: fc.boolean() }), { nil: undefined }),
  skip: fc.option(revisionId, { nil: undefined }),
})

const id = (revision: number): RevisionId => ({ revision, sub: 0 })

/** How far a change is from the one before, which change it replaced, counted back, and whether it is a tombstone. */
const step = fc.record({
  revisions: fc.oneof(fc.nat({ max: 2 }), fc.nat({ max: 2 ** 40 })),
  back: fc.nat({ max: 500 }),
  tombstoneOf: fc.option(key, { nil: undefined }),
})

function itemsOf(steps: readonly { revisions: number; back: number; tombstoneOf: string | undefined }[]): PurgeItem[] {
  const items: PurgeItem[] = []
  let at: RevisionId = { revision: 1, sub: 0 }
  for (const { revisions, back, tombstoneOf } of steps) {
    at = revisions === 0 ? { revision: at.revision, sub: at.sub + 1 } : id(at.revision + revisions)
    items.push({ at, replaced: items[items.length - 1 - back]?.at, tombstoneOf })
  }
  return items
}

/** Reads these bytes as a list. */
const list =
  (...bytes: number[]): (() => readonly PurgeItem[]) =>
  () =>
    readPurgeList(new ByteReader(Buffer.from(bytes)))

const row = new StoredPairs()

function storedPointer(name: string, value: KeyPointer): Buffer {
  encodePointer(row, name, value)
  expect(row.key).toEqual(pointerKey(name))
  return row.value
}

function storedRecord(value: KeyRecord): Buffer {
  encodeRecord(row, value)
  expect(row.key).toEqual(recordKey(value.at))
  return row.value
}

describe('stored bytes', () => {
  it('give back every pointer and every record', () => {
    fc.assert(
      fc.property(key, pointer, (name, value) => {
        const stored = storedPointer(name, value)
        expect(decodePointer(pointerKey(name), stored)).toEqual(value)
      }),
    )
    fc.assert(
      fc.property(record, (value) => {
        const stored = storedRecord(value)
        expect(decodeRecord(recordKey(value.at), stored)).toEqual(value)
      }),
    )
  })

  it('tell the removal of history what it needs to know of a record', () => {
    fc.assert(
      fc.property(record, (value) => {
        const read = (): PurgeItem => readPurgeItem(openValue(recordKey(value.at), storedRecord(value)), value.at)
        const { predecessor } = value
        const replaced = predecessor === undefined || predecessor.isTombstone ? undefined : predecessor
        if (replaced !== undefined && !isRevisionBefore(replaced, value.at)) {
          expect(read).toThrow(/a predecessor that is not before it/)
          return
        }
        expect(read()).toEqual({
          at: value.at,
          replaced: replaced && { revision: replaced.revision, sub: replaced.sub },
          tombstoneOf: value.value === undefined ? value.key : undefined,
        })
      }),
    )
  })

  it('give back the items of purge lists, each list under its last change', () => {
    fc.assert(
      fc.property(fc.array(step, { minLength: 1, maxLength: 400 }), (steps) => {
        const items = itemsOf(steps)
        const rows: (readonly [Buffer, Buffer])[] = []
        const batch: EngineBatch = {
          put: (at, stored) => void rows.push([Buffer.from(at), Buffer.from(stored)]),
          delete: () => expect.fail('lists are only written'),
          write: () => expect.fail('the batch is written by others'),
        }
        const writer = new PurgeListWriter()
        for (const item of items) writer.add(item, batch)
        writer.finish(batch)
        const lists = rows.map(([at, stored]) => readPurgeList(openValue(at, stored)))
        expect(lists.flat()).toEqual(items)
        expect(rows.map(([at]) => at)).toEqual(lists.map((list) => purgeListKey(list.at(-1)!.at)))
      }),
    )
  })

  it('are refused as a purge list when they are out of order, or name what cannot be', () => {
    expect(list(1, 9, 0, 2, 0)()).toEqual([{ at: id(9), replaced: id(7), tombstoneOf: undefined }])
    expect(list()).toThrow(/cut short/)
    expect(list(4, 9, 0)).toThrow(/unknown flags 4/)
    expect(list(0, 9, 1, 0, 0, 1)).toThrow(/out of order/)
    expect(list(1, 9, 0, 0, 0)).toThrow(/not before its own/)
    expect(list(1, 9, 0, 9, 0)).toThrow(/not before its own/)
    expect(list(1, 9, 0, 12, 0)).toThrow(/not before its own/)
    expect(list(2, 9, 0, 3, 0x61)).toThrow(/cut short/)
  })

  it('are refused when cut, changed, or read under another key', () => {
    fc.assert(
      fc.property(record, fc.nat(), fc.integer({ min: 1, max: 255 }), (value, at, change) => {
        const at13 = recordKey(value.at)
        const stored = Buffer.from(storedRecord(value))
        expect(() => decodeRecord(at13, stored.subarray(0, at % stored.length))).toThrow(DecodeError)
        const other = Buffer.from(at13)
        other[1 + (at % 12)]! ^= change
        expect(() => decodeRecord(other, stored)).toThrow(DecodeError)
        stored[at % stored.length]! ^= change
        expect(() => decodeRecord(at13, stored)).toThrow(DecodeError)
      }),
    )
  })

  it('are those of the example in FORMAT.md', () => {
    const example: KeyPointer = {
      at: { revision: 2, sub: 0 },
      createRevision: 2,
      version: 1,
      changes: 1,
      isTombstone: false,
      skips: [],
      digest: { hi: 1, lo: 2 },
    }
    const stored = storedPointer('a', example)
    expect(pointerKey('a').toString('hex')).toBe('6b61')
    expect(stored.subarray(0, -4).toString('hex')).toBe('01000200020101010000000200000000')
  })

  it('give back metadata and configuration', () => {
    const meta = { ...INITIAL_META, index: 2 ** 40, revision: 2 ** 52, compactRevision: 9, liveKeys: 1 }
    const bytes = new ByteWriter()
    writeMeta(bytes, meta)
    writeConfiguration(bytes, CONFIGURATION)
    const reader = new ByteReader(bytes.finish())
    expect(readMeta(reader)).toEqual(meta)
    expect(readConfiguration(reader)).toEqual(CONFIGURATION)
    reader.end()
  })

  it('A5: sort keys as users do: bytes for keys, numbers for revisions', () => {
    fc.assert(
      fc.property(revisionId, revisionId, (a, b) => {
        const order = Math.sign(a.revision - b.revision) || Math.sign(a.sub - b.sub)
        expect(Buffer.compare(recordKey(a), recordKey(b))).toBe(order)
        expect(revisionOf(recordKey(a))).toEqual(a)
      }),
    )
    fc.assert(
      fc.property(key, key, (a, b) => {
        expect(Buffer.compare(pointerKey(a), pointerKey(b))).toBe(a < b ? -1 : a > b ? 1 : 0)
        expect(userKeyOf(pointerKey(a))).toBe(a)
      }),
    )
  })
})
