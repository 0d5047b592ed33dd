// What apply reads of ranges: the keys that exist as the entry has left them so far, wherever they are.
import { afterEach, describe, expect, it } from 'vitest'
import { ALL_KEYS, isInRange, rangeOfKey } from '../../../src/api/ranges.ts'
import { Prng } from '../../../src/lib/prng.ts'
import type { RangeRead } from '../../../src/kv/types.ts'
import { HOMES, Writer, textOf } from './support.ts'
import type { Home, Write } from './support.ts'

const SEED = process.env['SEED'] ?? '20240607'
const homes: Home[] = []

afterEach(async () => {
  for (const home of homes.splice(0)) await home.dispose()
})

async function fresh(makeHome: () => Promise<Home>): Promise<Home> {
  const home = await makeHome()
  homes.push(home)
  return home
}

const bytes = (text: string): Buffer => Buffer.from(text)

const all: RangeRead = { range: ALL_KEYS, reverse: false, keysMax: 1_000, wantsRecords: false }

const wanted = (...ranges: RangeRead[]) => ({ pointers: [], records: [], ranges })

describe.each(HOMES)('a range that apply reads over %s', (_name, makeHome) => {
  it(`holds what exists on disk, in the table and in the entry itself (SEED=${SEED})`, async () => {
    const prng = new Prng(`${SEED}/range/${_name}`)
    const home = await fresh(makeHome)
    const { current: store } = await home.open({ cacheBytesMax: 5_000, batchBytes: 5_000, batchDelayMs: 1 })
    const state = new Map<string, string>()
    const keyOf = (): string => prng.pick(['a', 'b', '\xff', '\0']) + String.fromCharCode(prng.below(40))
    for (let entry = 0; entry < 120; entry++) {
      const writer = new Writer(store)
      // Two or three sub-batches, each of which sees what the ones before it wrote.
      const parts = 1 + prng.below(3)
      const check = async (): Promise<void> => {
        const read: RangeRead = {
          range: prng.chance(1, 6)
            ? rangeOfKey(keyOf())
            : { from: keyOf(), to: prng.chance(1, 3) ? undefined : keyOf() },
          reverse: prng.chance(1, 2),
          keysMax: prng.pick([0, 1, 5, 1_000]),
          wantsRecords: prng.chance(1, 2),
        }
        await store.prefetch(wanted(read))
        const sorted = [...state.keys()].filter((key) => isInRange(read.range, key)).sort((a, b) => (a < b ? -1 : 1))
        const expected = (read.reverse ? sorted.toReversed() : sorted).slice(0, read.keysMax)
        expect(store.keysOf(read)).toEqual(expected)
        for (const key of expected) {
          expect(store.pointer(key)?.isTombstone).toBe(false)
          if (read.wantsRecords) expect(textOf(store.latestRecord(key))).toBe(state.get(key))
        }
      }
      const writes: Write[] = []
      for (let part = 0; part < parts; part++) {
        await check()
        const write: Write = [keyOf(), prng.chance(1, 3) ? undefined : bytes(`v${prng.uint32()}`)]
        await writer.stage([write])
        writes.push(write)
        if (write[1] === undefined) state.delete(write[0])
        else state.set(write[0], write[1].toString())
      }
      await check()
      writer.commit()
      if (prng.chance(1, 10)) writer.compact(store.meta.revision)
    }
    await store.close()
  })

  it('is fetched only where a walk is needed, and is known by the very object that was asked for', async () => {
    const home = await fresh(makeHome)
    const { current: store } = await home.open()
    await new Writer(store).entry([['a', bytes('1')]])
    const one: RangeRead = { ...all, range: rangeOfKey('a'), wantsRecords: true }
    expect(store.prefetch(wanted(one))).toBeUndefined()
    expect(store.keysOf(one)).toEqual(['a'])
    expect(() => store.keysOf({ ...one })).toThrow(/not fetched/)
    expect(store.prefetch(wanted(all))).toBeInstanceOf(Promise)
    await store.prefetch(wanted(all))
    expect(store.keysOf(all)).toEqual(['a'])
    new Writer(store).commit()
    expect(() => store.keysOf(all)).toThrow(/not fetched/)
    await store.close()
  })

  it('keeps everything that it fetched until the commit, however small the cache', async () => {
    const home = await fresh(makeHome)
    const { current: store } = await home.open({ cacheBytesMax: 1_000 })
    const writer = new Writer(store)
    await writer.entry(Array.from({ length: 2_000 }, (_, n) => [`key-${n}`, bytes(`value-${n}`)]))
    await store.drain()
    const read: RangeRead = { ...all, keysMax: 50_000, wantsRecords: true }
    await store.prefetch(wanted(read))
    await store.prefetch({ pointers: ['other'], records: ['key-1'], ranges: [] })
    expect(store.keysOf(read)).toHaveLength(2_000)
    for (const key of store.keysOf(read)) expect(textOf(store.latestRecord(key))).toBe(key.replace('key', 'value'))
    await store.close()
  })
})
