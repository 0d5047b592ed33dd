// Changes read by their revision: whole revisions, in order, wherever they are; and what compaction leaves of them.
import { afterEach, describe, expect, it } from 'vitest'
import { Prng } from '../../../src/lib/prng.ts'
import type { KeyRecord } from '../../../src/kv/types.ts'
import type { StateStore } from '../../../src/node/ports.ts'
import { HOMES, Writer, countRows, memoryHome, textOf, until } from './support.ts'
import type { Home } from './support.ts'

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
const LARGE = { recordsMax: 100_000, bytesMax: 100_000_000 }

const shown = (records: readonly KeyRecord[]): string[] =>
  records.map((record) => `${record.at.revision}/${record.at.sub} ${record.key}=${textOf(record)}`)

/** All pages, one after another. */
async function readAll(store: StateStore, from: number, bounds: typeof LARGE): Promise<string[]> {
  const all: string[] = []
  const { revision } = store.meta
  for (let next = from; next <= revision;) {
    const page = (await store.changesFrom(next, bounds))!
    expect(page.through).toBeGreaterThanOrEqual(next)
    const revisions = new Set(page.records.map((record) => record.at.revision))
    if (revisions.size > 1) {
      expect(page.records.length).toBeLessThanOrEqual(bounds.recordsMax)
      const size = page.records.reduce((sum, { key, value }) => sum + key.length + (value?.length ?? 0), 0)
      expect(size).toBeLessThanOrEqual(bounds.bytesMax)
    }
    all.push(...shown(page.records))
    next = page.through + 1
  }
  return all
}

describe.each(HOMES)('the changes over %s', (_name, makeHome) => {
  it(`come whole and in order from any revision, from disk and table alike (SEED=${SEED})`, async () => {
    const prng = new Prng(`${SEED}/changes/${_name}`)
    const home = await fresh(makeHome)
    const { current: store } = await home.open({ batchBytes: 3_000, batchDelayMs: 1 })
    const writer = new Writer(store)
    const expected: { revision: number; text: string }[] = []
    for (let entry = 0; entry < 150; entry++) {
      const before = store.meta.revision
      const keys = Array.from({ length: prng.below(6) }, (_, n) => `key-${entry}-${n}`)
      const value = 'x'.repeat(prng.below(50))
      if (prng.chance(1, 2)) {
        await writer.txn(keys.map((key) => [key, bytes(value)]))
        expected.push(...keys.map((key, n) => ({ revision: before + 1, text: `${before + 1}/${n} ${key}=${value}` })))
      } else {
        await writer.entry(keys.map((key) => [key, bytes(value)]))
        const at = (n: number): number => before + 1 + n
        expected.push(...keys.map((key, n) => ({ revision: at(n), text: `${at(n)}/0 ${key}=${value}` })))
      }
      if (prng.chance(1, 5)) {
        const from = prng.between(1, store.meta.revision)
        const bounds = { recordsMax: prng.pick([1, 3, 40, 1_000]), bytesMax: prng.pick([1, 100, 5_000]) }
        const wanted = expected.filter(({ revision }) => revision >= from).map(({ text }) => text)
        expect(await readAll(store, from, bounds), `from ${from}, ${JSON.stringify(bounds)}`).toEqual(wanted)
      }
    }
    const { revision } = store.meta
    expect(await store.changesFrom(revision + 5, LARGE)).toEqual({ records: [], through: revision })
    await store.close()
  })

  it('are refused below the compact revision, and complete from it on', async () => {
    const home = await fresh(makeHome)
    const { current: store } = await home.open({ batchDelayMs: 1 })
    const writer = new Writer(store)
    for (let entry = 0; entry < 20; entry++) await writer.entry([['a', bytes(`${entry}`)]])
    writer.compact(10)
    await until(async () => {
      await store.drain()
      return (await countRows(store)).records <= 13
    })
    expect(await store.changesFrom(9, LARGE)).toBeUndefined()
    expect((await store.changesFrom(10, LARGE))!.records.map((record) => record.at.revision)).toEqual(
      Array.from({ length: 12 }, (_, n) => n + 10),
    )
    expect(textOf(await store.recordAt({ revision: 10, sub: 0 }))).toBe('8')
    expect(await store.recordAt({ revision: 3, sub: 0 })).toBeUndefined()
    await store.close()
  })

  it('can be read one at a time, from the table and from disk', async () => {
    const home = await fresh(makeHome)
    const { current: store } = await home.open({ batchDelayMs: 3_600_000 })
    await new Writer(store).entry([['a', bytes('1')]])
    expect(textOf(await store.recordAt({ revision: 2, sub: 0 }))).toBe('1')
    await store.drain()
    await new Writer(store).entry([['a', bytes('2')]])
    expect(textOf(await store.recordAt({ revision: 2, sub: 0 }))).toBe('1')
    expect(textOf(await store.recordAt({ revision: 3, sub: 0 }))).toBe('2')
    await store.close()
  })
})

describe('a revision of many more changes than a page has', () => {
  it('is read many at a time', async () => {
    let reads = 0
    const home = await memoryHome(async (kind, work) => {
      if (kind === 'read') reads++
      await Promise.resolve()
      return work()
    })
    const { current: store } = await home.open()
    const writer = new Writer(store)
    await writer.txn(Array.from({ length: 3_000 }, (_, n) => [`k${n}`, bytes('x')]))
    await writer.entry([['a', bytes('y')]])
    await store.drain()
    reads = 0
    const page = (await store.changesFrom(2, { recordsMax: 10, bytesMax: 1_000 }))!
    expect([page.records.length, page.through]).toEqual([3_000, 2])
    expect(reads).toBeLessThan(30)
    await store.close()
  })
})

describe('changes that are compacted while they are read', () => {
  it('are refused rather than given with a hole', async () => {
    let whileReading: (() => void) | undefined
    const home = await memoryHome(async (kind, work) => {
      await Promise.resolve()
      if (kind === 'read') whileReading?.()
      return work()
    })
    const { current: store } = await home.open()
    const writer = new Writer(store)
    for (let entry = 0; entry < 20; entry++) await writer.entry([['a', bytes(`${entry}`)]])
    await store.drain()
    whileReading = () => {
      whileReading = undefined
      writer.compact(15)
    }
    expect(await store.changesFrom(5, LARGE)).toBeUndefined()
    expect((await store.changesFrom(15, LARGE))!.records).toHaveLength(7)
    await store.close()
  })
})
