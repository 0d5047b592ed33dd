// The cache: it forgets what it likes, but what it says is what was last put into it, and what it takes is bounded.
import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { KeyPointer, KeyRecord } from '../../../src/kv/types.ts'
import { Cache } from '../../../src/storage/state-db/cache.ts'
import { KeyFilter } from '../../../src/storage/state-db/key-filter.ts'
import { encodePointer, encodeRecord } from '../../../src/storage/state-db/record-codec.ts'
import type { Slot } from '../../../src/storage/state-db/slot.ts'
import { payloadIn, StoredPairs } from '../../../src/storage/state-db/stored-value.ts'

const row = new StoredPairs()

/** Without a filter's help, which is not complete. */
const cacheOf = (bytesMax: number): Cache => new Cache(bytesMax, new KeyFilter(64))

function pointerOf(revision: number): KeyPointer {
  const at = { revision, sub: 0 }
  return { at, createRevision: 2, version: 1, changes: 1, isTombstone: false, skips: [], digest: { hi: -1, lo: 1 } }
}

function recordOf(key: string, revision: number, value: Buffer): KeyRecord {
  const { at, createRevision, version } = pointerOf(revision)
  const rest = { contentType: '', lease: '', predecessor: undefined, skip: undefined }
  return { at, key, value, createRevision, version, ...rest }
}

function pointerPayload(key: string, revision: number): Uint8Array {
  encodePointer(row, key, pointerOf(revision))
  return payloadIn(Buffer.from(row.value))
}

function storedRecord(key: string, revision: number, value: Buffer): Buffer {
  encodeRecord(row, recordOf(key, revision, value))
  return Buffer.from(row.value)
}

function put(cache: Cache, key: string, revision: number, value: Buffer): void {
  cache.set(key, pointerPayload(key, revision), storedRecord(key, revision, value))
}

/** As often as it takes where there is not room for all. */
function attachOften(cache: Cache, key: string, revision: number, value: Buffer): void {
  for (let times = 0; times < 16; times++) cache.attach(key, { revision, sub: 0 }, storedRecord(key, revision, value))
}

const text = (slot: Slot | undefined): string | undefined =>
  slot?.record?.value && Buffer.from(slot.record.value).toString()

const operation = fc.record({
  key: fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'x'.repeat(300)),
  kind: fc.constantFrom('put', 'put', 'pointer', 'absent', 'attach', 'get', 'get', 'look'),
  length: fc.oneof(fc.nat({ max: 300 }), fc.nat({ max: 3_000 })),
})

describe('the cache', () => {
  it('never says anything but what was put into it last, in its bound', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 20_000 }), fc.array(operation, { maxLength: 300 }), (bytesMax, steps) => {
        const filter = new KeyFilter(64)
        filter.complete()
        const cache = new Cache(bytesMax, filter)
        const latest = new Map<string, { revision: number; value: Buffer | undefined }>()
        for (const [step, { key, kind, length }] of steps.entries()) {
          const revision = step + 2
          const value = Buffer.alloc(length, step)
          const known = latest.get(key)
          if (kind === 'put') {
            put(cache, key, revision, value)
            latest.set(key, { revision, value })
          } else if (kind === 'pointer') {
            cache.set(key, pointerPayload(key, revision))
            latest.set(key, { revision, value })
          } else if (kind === 'absent') {
            cache.set(key)
            latest.delete(key)
          } else if (kind === 'attach' && known?.value !== undefined) {
            cache.attach(key, { revision: known.revision, sub: 0 }, storedRecord(key, known.revision, known.value))
          } else {
            const slot = cache.get(key, kind === 'get')
            if (slot === undefined) continue
            expect(slot.pointer).toEqual(known && pointerOf(known.revision))
            if (slot.record !== undefined) expect(slot.record).toEqual(recordOf(key, known!.revision, known!.value!))
            if (kind === 'look') expect(slot.record).toBeUndefined()
          }
          expect(cache.sizeBytes).toBeLessThanOrEqual(Math.max(bytesMax, 16))
        }
      }),
      { numRuns: 500 },
    )
  })

  it('gives out copies: what was read stays what it was when the ring has gone round', () => {
    const cache = cacheOf(10_000)
    put(cache, 'a', 2, Buffer.from('first'))
    const read = cache.get('a', true)
    for (let nth = 0; nth < 500; nth++) put(cache, `key-${nth}`, nth + 3, Buffer.alloc(50, 'z'))
    expect(text(read)).toBe('first')
  })

  it('keeps what is used, and lets go what is not', () => {
    const cache = cacheOf(40_000)
    for (let nth = 0; nth < 2_000; nth++) {
      put(cache, `key-${nth}`, nth + 2, Buffer.alloc(50))
      if (nth === 0) put(cache, 'hot', 9, Buffer.from('hot'))
      expect(text(cache.get('hot', true))).toBe('hot')
    }
    expect(cache.get('key-0', false)).toBeUndefined()
    expect(cache.get('key-1999', false)).toBeDefined()
  })

  it('writes a key that is put again where it was: one hot key pushes nothing else out', () => {
    const cache = cacheOf(8_000)
    put(cache, 'quiet', 2, Buffer.from('still here'))
    for (let nth = 0; nth < 5_000; nth++) put(cache, 'hot', nth + 3, Buffer.alloc(100))
    expect(text(cache.get('quiet', true))).toBe('still here')
  })

  it('keeps the pointer alone of a record that is too large, and forgets what it knew of a key that is', () => {
    const cache = cacheOf(8_000)
    put(cache, 'a', 2, Buffer.from('small'))
    put(cache, 'a', 3, Buffer.alloc(5_000))
    expect(cache.get('a', true)).toEqual({ pointer: pointerOf(3), record: undefined })
    const long = 'k'.repeat(4_000)
    cache.set(long, pointerPayload(long, 4))
    expect(cache.get(long, true)).toBeUndefined()
  })

  it('gives up records before pointers when there is not room for all, but for those that are read', () => {
    const cache = cacheOf(100_000)
    const keys = Array.from({ length: 1_000 }, (_, nth) => `key-${nth}`)
    put(cache, 'read', 2, Buffer.alloc(200, 'r'))
    for (const [nth, key] of keys.entries()) {
      put(cache, key, nth + 3, Buffer.alloc(200))
      expect(text(cache.get('read', true))).toBe('r'.repeat(200))
    }
    const slots = keys.map((key) => cache.get(key, true))
    // With their records no more than a third of them would have had room.
    expect(slots.filter((slot) => slot !== undefined)).toHaveLength(1_000)
    expect(slots.filter((slot) => slot?.record !== undefined).length).toBeLessThan(300)
  })

  it('has room for the pointers of 19,000 keys of 16 bytes in a mebibyte, also when each was looked up before it was there', () => {
    const cache = cacheOf(1024 * 1024)
    const keys = Array.from({ length: 19_000 }, (_, nth) => `key/${String(nth).padStart(12, '0')}`)
    for (const [nth, key] of keys.entries()) {
      cache.set(key)
      put(cache, key, 1_000_000 + nth, Buffer.alloc(128))
    }
    expect(keys.filter((key) => cache.get(key, false) === undefined)).toEqual([])
  })

  it('keeps the pointers of most keys while records all over them are read', () => {
    const cache = cacheOf(1024 * 1024)
    const keys = Array.from({ length: 19_000 }, (_, nth) => `key/${String(nth).padStart(12, '0')}`)
    for (const [nth, key] of keys.entries()) put(cache, key, nth + 2, Buffer.alloc(128))
    for (const [nth, key] of keys.entries())
      cache.attach(key, { revision: nth + 2, sub: 0 }, storedRecord(key, nth + 2, Buffer.alloc(128)))
    // With each of these records a third of the keys would have had room.
    expect(keys.filter((key) => cache.get(key, false) !== undefined).length).toBeGreaterThan(14_000)
  })

  it('keeps both of a key that is put again while its record is read', () => {
    const cache = cacheOf(20_000)
    for (let nth = 0; nth < 1_000; nth++) put(cache, `key-${nth}`, nth + 2, Buffer.alloc(100))
    cache.set('a', pointerPayload('a', 2_000))
    put(cache, 'a', 2_001, Buffer.from('not asked for'))
    expect(cache.get('a', true)?.record).toBeUndefined()
    attachOften(cache, 'a', 2_001, Buffer.from('now it is'))
    put(cache, 'a', 2_002, Buffer.from('and the next'))
    expect(text(cache.get('a', true))).toBe('and the next')
  })

  it('attaches a record to the pointer that names it, and to no other', () => {
    const cache = cacheOf(8_000)
    cache.set('a', pointerPayload('a', 5))
    cache.attach('a', { revision: 4, sub: 0 }, storedRecord('a', 4, Buffer.from('older')))
    expect(cache.get('a', true)?.record).toBeUndefined()
    cache.attach('a', { revision: 5, sub: 0 }, storedRecord('a', 5, Buffer.from('right')))
    expect(text(cache.get('a', true))).toBe('right')
  })
})
