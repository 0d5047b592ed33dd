// The store as the applier and the readers see it, over both engines: what is visible when, what survives what.
import { afterEach, describe, expect, it } from 'vitest'
import { Prng } from '../../../src/lib/prng.ts'
import type { StateStorage } from '../../../src/node/ports.ts'
import type { StateDb } from '../../../src/storage/state-db/state-db.ts'
import { HOMES, Writer, textOf, until } from './support.ts'
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

/** Odd keys: bytes above ASCII, and names that objects treat specially. */
const keyOf = (n: number): string => (n % 7 === 0 ? `k\u00ff${n}` : `__proto__${n}`)

describe.each(HOMES)('the state store over %s', (_name, makeHome) => {
  it('shows an entry at its commit, not before', async () => {
    const home = await fresh(makeHome)
    const { current: store } = await home.open()
    const writer = new Writer(store)
    await writer.entry([['a', bytes('1')]])
    await store.prefetch({ pointers: [], records: ['a'], ranges: [] })
    const before = store.latestRecord('a')
    store.put({
      pointer: { ...store.pointer('a')!, at: { revision: 3, sub: 0 } },
      record: { ...before!, at: { revision: 3, sub: 0 }, value: bytes('2') },
    })
    expect(textOf(await store.get('a'))).toBe('1')
    expect(textOf(store.latestRecord('a'))).toBe('2')
    store.commitEntry({ ...store.meta, index: 2, revision: 3 })
    expect(textOf(await store.get('a'))).toBe('2')
    await store.close()
  })

  it('answers at once what is in memory, once asked for what is on disk', async () => {
    const home = await fresh(makeHome)
    const first = await home.open()
    await new Writer(first.current).entry([
      ['b', bytes('2')],
      ['c', bytes('3')],
    ])
    await first.current.close()
    const { current: store } = await home.open()
    await new Writer(store).entry([['a', bytes('1')]])
    expect(store.get('a')).not.toBeInstanceOf(Promise)
    expect(store.get('b')).toBeInstanceOf(Promise)
    expect(textOf(await store.get('b'))).toBe('2')
    expect(store.get('b')).not.toBeInstanceOf(Promise)
    expect(store.prefetch({ pointers: ['a', 'b'], records: ['a'], ranges: [] })).toBeUndefined()
    expect(store.prefetch({ pointers: ['c'], records: [], ranges: [] })).toBeInstanceOf(Promise)
    expect(() => store.pointer('d')).toThrow(/not fetched/)
    await store.close()
  })

  it('N9: keeps its own copy of values, and hands out records that later entries do not change', async () => {
    const home = await fresh(makeHome)
    const { current: store } = await home.open()
    const entry = bytes('xxxxvaluexxxx')
    await new Writer(store).entry([['a', entry.subarray(4, 9)]])
    entry.fill(0)
    const record = await store.get('a')
    expect(textOf(record)).toBe('value')
    await new Writer(store).entry([['a', bytes('other')]])
    await store.drain()
    expect(textOf(record)).toBe('value')
    await store.close()
  })

  it('A1: names in one batch with the changes the last entry that they belong to', async () => {
    const home = await fresh(makeHome)
    // Small batches, so that many of them are under way while entries go on.
    const { current: store } = await home.open({ batchBytes: 2_000, batchDelayMs: 0 })
    const writer = new Writer(store)
    for (let entry = 1; entry <= 60; entry++) {
      const value = bytes(String(entry).padEnd(60, '.'))
      await writer.entry([
        ['a', value],
        [`key-${entry}`, value],
        ['z', value],
      ])
    }
    await until(() => store.persisted.index >= 20)
    const { current: after } = await (await home.crash()).open()
    const { index } = after.meta
    expect(index).toBeGreaterThanOrEqual(20)
    for (const key of ['a', `key-${index}`, 'z']) {
      expect(textOf(await after.get(key))?.replaceAll('.', '')).toBe(String(index))
    }
    expect(await after.get(`key-${index + 1}`)).toBeUndefined()
    await after.close()
    await store.close()
  })

  it('says what is durable after each completed batch, and drains on demand', async () => {
    const home = await fresh(makeHome)
    const { current: store } = await home.open({ batchDelayMs: 3_600_000 })
    const named: number[] = []
    store.onPersisted(({ index }) => named.push(index))
    expect(store.persisted).toEqual({ term: 0, index: 0 })
    const writer = new Writer(store)
    await writer.entry([['a', bytes('1')]])
    await writer.entry([])
    expect(named).toEqual([])
    await store.drain()
    expect(named).toEqual([2])
    expect(store.persisted).toEqual({ term: 1, index: 2 })
    await store.drain()
    expect(named).toEqual([2])
    await store.close()
  })

  it('makes applying wait while the table is full, and lets it go on after a batch', async () => {
    const home = await fresh(makeHome)
    const { current: store } = await home.open({ tableBytesMax: 10_000, batchBytes: 5_000, batchDelayMs: 0 })
    const writer = new Writer(store)
    expect(store.room()).toBeUndefined()
    await writer.entry([['big', Buffer.alloc(20_000)]])
    const room = store.room()
    expect(room).toBeInstanceOf(Promise)
    await room
    expect(store.room()).toBeUndefined()
    expect(store.stats().tableBytes).toBeLessThan(10_000)
    await store.close()
  })

  it('keeps the last 16 digests at every 1,024th index, also over a restart', async () => {
    const home = await fresh(makeHome)
    const storage = await home.open()
    const writer = new Writer(storage.current)
    for (let entry = 1; entry <= 1_024 * 18; entry++) writer.entryNow([])
    const expected = Array.from({ length: 16 }, (_, nth) => (nth + 3) * 1_024)
    expect((storage.current as StateDb).checkpoints.map(({ index }) => index)).toEqual(expected)
    await storage.current.close()
    const again = await home.open()
    expect((again.current as StateDb).checkpoints.map(({ index }) => index)).toEqual(expected)
    await again.current.close()
  })

  it('stays within the bound of its cache, and reads what it let go from disk', async () => {
    const home = await fresh(makeHome)
    const { current: store } = await home.open({ cacheBytesMax: 20_000 })
    const writer = new Writer(store)
    for (let key = 0; key < 200; key++) await writer.entry([[`key-${key}`, bytes(`value-${key}`)]])
    await store.drain()
    for (let key = 0; key < 200; key++) {
      expect(textOf(await store.get(`key-${key}`))).toBe(`value-${key}`)
      expect(store.stats().cacheBytes).toBeLessThanOrEqual(20_000)
    }
    await store.prefetch({ pointers: [], records: Array.from({ length: 200 }, (_, key) => `key-${key}`), ranges: [] })
    for (let key = 0; key < 200; key++) expect(textOf(store.latestRecord(`key-${key}`))).toBe(`value-${key}`)
    await store.close()
  })

  it('keeps a record that one step of an entry fetched when a later step asks for the pointer alone', async () => {
    const home = await fresh(makeHome)
    const { current: store } = await home.open({ cacheBytesMax: 0 })
    await new Writer(store).entry([
      ['a', bytes('1')],
      ['b', bytes('2')],
    ])
    await store.drain()
    await store.prefetch({ pointers: ['a'], records: ['a'], ranges: [] })
    await store.prefetch({ pointers: ['a', 'b'], records: [], ranges: [] })
    expect(textOf(store.latestRecord('a'))).toBe('1')
    expect(() => store.latestRecord('b')).toThrow(/record that was not fetched/)
    await store.close()
  })

  it('N7: lets calls under way end before it closes, and refuses later ones', async () => {
    const home = await fresh(makeHome)
    const storage = await home.open()
    await new Writer(storage.current).entry([['a', bytes('1')]])
    await storage.current.close()
    const { current: store } = await home.open()
    const reads = [store.get('a'), store.get('b'), store.prefetch({ pointers: ['c'], records: [], ranges: [] })]
    const closed = store.close()
    expect(textOf(await (reads[0] as ReturnType<typeof store.get>))).toBe('1')
    await Promise.all([...reads, closed])
    await expect(store.get('d')).rejects.toThrow(/closed/)
  })

  it(`agrees with a naive model over writes, reads, reopenings, crashes and compactions (SEED=${SEED})`, async () => {
    const prng = new Prng(`${SEED}/${_name}`)
    let home = await fresh(makeHome)
    let storage: StateStorage = await home.open({ cacheBytesMax: 30_000, batchBytes: 3_000 })
    // The state after each entry, so that a crash can be compared with the entry it fell back to.
    const states = [new Map<string, string>()]
    for (let step = 0; step < 400; step++) {
      const store = storage.current
      const roll = prng.below(100)
      if (roll < 70) {
        const writes = Array.from({ length: prng.below(7) }, () => {
          const value = prng.chance(1, 4) ? undefined : `v${prng.uint32()}`.padEnd(prng.below(200), 'x')
          return [keyOf(prng.below(60)), value] as const
        })
        await new Writer(store).entry(
          writes.map(([key, value]) => [key, value === undefined ? undefined : bytes(value)]),
        )
        const next = new Map(states.at(-1))
        for (const [key, value] of writes)
          if (value === undefined) next.delete(key)
          else next.set(key, value)
        states.push(next)
      } else if (roll < 90) {
        const key = keyOf(prng.below(60))
        expect(textOf(await store.get(key)), `key ${key} at step ${step}`).toBe(states.at(-1)!.get(key))
      } else if (roll < 94) {
        new Writer(store).compact(Math.max(store.meta.compactRevision, store.meta.revision - prng.below(30)))
        states.push(states.at(-1)!)
      } else if (roll < 97) {
        await store.close()
        storage = await home.open({ cacheBytesMax: 30_000, batchBytes: 3_000 })
        expect(storage.current.meta.index).toBe(states.length - 1)
      } else {
        const survivor = await home.crash()
        await storage.current.close()
        home = survivor
        storage = await home.open({ cacheBytesMax: 30_000, batchBytes: 3_000 })
        states.length = storage.current.meta.index + 1
        await checkAll(storage, states.at(-1)!)
      }
    }
    await checkAll(storage, states.at(-1)!)
    expect(storage.current.meta.liveKeys).toBe(states.at(-1)!.size)
    await storage.current.close()
  })
})

async function checkAll(storage: StateStorage, state: Map<string, string>): Promise<void> {
  for (let n = 0; n < 60; n++) expect(textOf(await storage.current.get(keyOf(n)))).toBe(state.get(keyOf(n)))
}
