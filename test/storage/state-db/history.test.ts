// The second half of compaction: what is removed, what must stay, and that the disk stays bounded.
import { afterEach, describe, expect, it } from 'vitest'
import { Prng } from '../../../src/lib/prng.ts'
import type { StateStore } from '../../../src/node/ports.ts'
import { restMs } from '../../../src/storage/state-db/history.ts'
import { purgeListsFrom } from '../../../src/storage/state-db/keys.ts'
import { HOMES, Writer, countRows, memoryHome, textOf, transfer, until } from './support.ts'
import type { Home } from './support.ts'

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

/** Waits until the walk has come to the compact revision and what it removed is on disk. */
async function settled(store: StateStore, records: number): Promise<void> {
  let found = -1
  await until(async () => {
    await store.drain()
    found = (await countRows(store)).records
    return found <= records
  })
  expect(found).toBe(records)
}

describe.each(HOMES)('removal of history over %s', (_name, makeHome) => {
  it('keeps the disk bounded: after heavy overwriting about one record a live key is left', async () => {
    const home = await fresh(makeHome)
    const { current: store } = await home.open({ batchBytes: 20_000, batchDelayMs: 1 })
    const writer = new Writer(store)
    const prng = new Prng('overwrite')
    for (let entry = 0; entry < 300; entry++) {
      await writer.entry(Array.from({ length: 20 }, () => [`key-${prng.below(50)}`, bytes(`v${entry}`)]))
      if (entry % 10 === 9) writer.compact(store.meta.revision)
    }
    expect(store.meta.revision).toBe(6_001)
    // The record at the compact revision is looked at by the next walk, so its predecessor may still be there.
    writer.compact(store.meta.revision)
    await settled(store, 51)
    for (let key = 0; key < 50; key++) expect(await store.get(`key-${key}`)).toBeDefined()
    await store.close()
  })

  it('removes a tombstone below the compact revision with its pointer, and keeps one at or above it', async () => {
    const home = await fresh(makeHome)
    const { current: store } = await home.open({ batchDelayMs: 1 })
    const writer = new Writer(store)
    await writer.entry([['old', bytes('1')]])
    await writer.entry([['old', undefined]])
    await writer.entry([['at', bytes('1')]])
    await writer.entry([['at', undefined]])
    expect(store.meta.revision).toBe(5)
    writer.compact(5)
    await settled(store, 2)
    expect(await countRows(store)).toMatchObject({ pointers: 1, records: 2 })
    await store.close()
    const { current: again } = await home.open()
    expect(await again.get('old')).toBeUndefined()
    expect((await again.get('at'))?.version).toBe(0)
    await again.close()
  })

  it('decides against the table: a key written again before the removal keeps its pointer', async () => {
    const home = await fresh(makeHome)
    const { current: store } = await home.open({ batchDelayMs: 1 })
    const writer = new Writer(store)
    await writer.entry([['a', bytes('1')]])
    await writer.entry([['a', undefined]])
    await writer.entry([['b', bytes('1')]])
    await store.drain()
    writer.compact(4)
    // In the table only, when the walk meets the tombstone on disk.
    writer.entryNow([['a', bytes('2')]])
    await settled(store, 2)
    expect(textOf(await store.get('a'))).toBe('2')
    await store.close()
    const { current: again } = await home.open()
    expect(textOf(await again.get('a'))).toBe('2')
    expect((await again.get('a'))?.predecessor).toBeUndefined()
    await again.close()
  })

  it('removes a part of what one batch left, and the rest when history is compacted further', async () => {
    const home = await fresh(makeHome)
    const { current: store } = await home.open({ batchDelayMs: 1_000 })
    const writer = new Writer(store)
    for (let entry = 0; entry < 300; entry++) await writer.entry([['a', bytes('v')]])
    await writer.txn(Array.from({ length: 300 }, (_, n) => [`key-${n % 200}`, bytes(`${n}`)]))
    // Revisions 2 to 301 are of one key, 302 is the transaction; all came in one batch.
    await store.drain()
    writer.compact(150)
    await settled(store, 600 - 147)
    for (const revision of [150, 301]) {
      expect(await store.recordAt({ revision, sub: 0 })).toMatchObject({ key: 'a', value: bytes('v') })
    }
    writer.compact(302)
    await settled(store, 301)
    await writer.entry([['b', bytes('v')]])
    await store.drain()
    writer.compact(303)
    await settled(store, 202)
    await store.close()
    const { current: again } = await home.open()
    for (let key = 0; key < 200; key++) {
      expect(textOf(await again.get(`key-${key}`))).toBe(`${key < 100 ? key + 200 : key}`)
    }
    await again.close()
  })

  it('removes the history of a state that came by stream', async () => {
    const home = await fresh(makeHome)
    const { current: source } = await (await fresh(makeHome)).open({ batchDelayMs: 1 })
    const target = await home.open({ batchDelayMs: 1 })
    const writer = new Writer(source)
    for (let entry = 0; entry < 1_000; entry++) await writer.entry([[`key-${entry % 5}`, bytes('v')]])
    await writer.entry([['key-0', undefined]])
    await writer.entry([['last', bytes('v')]])
    await source.drain()
    const store = await target.install(await transfer(source, target))
    await target.finishInstall()
    await source.close()
    new Writer(store).compact(store.meta.revision)
    await settled(store, 5)
    expect(await countRows(store)).toMatchObject({ pointers: 5 })
    await store.close()
  })

  it('goes on after a restart where a crash stopped it', async () => {
    const home = await fresh(makeHome)
    const { current: store } = await home.open({ batchDelayMs: 1 })
    const writer = new Writer(store)
    for (let entry = 0; entry < 3_000; entry++) await writer.entry([[`key-${entry % 3}`, bytes('v')]])
    writer.compact(store.meta.revision)
    await store.drain()
    const after = await home.crash()
    await store.close()
    const { current: again } = await after.open({ batchDelayMs: 1 })
    expect(again.meta.compactRevision).toBe(3_001)
    await settled(again, 4)
    await again.close()
  })

  it('rests for longer than it works, but goes faster than history grows', () => {
    for (const [changes, tookMs] of [0, 1, 30, 512].flatMap((changes) =>
      [1, 5, 20, 100].map((ms) => [changes, ms] as const),
    )) {
      expect(restMs(changes, tookMs, 0)).toBe(4 * tookMs)
      for (const changesPerMs of [0.01, 1, 7, 20, 100]) {
        const rest = restMs(changes, tookMs, changesPerMs)
        expect(rest).toBeLessThanOrEqual(4 * tookMs)
        expect(rest).toBeGreaterThanOrEqual(1)
        // Where a slice alone takes longer than changes need to outrun it, it does what it can.
        if (rest > 1) expect(changes / (tookMs + rest)).toBeGreaterThan(changesPerMs)
      }
    }
  })

  it('refuses to remove what the store is not compacted to', async () => {
    const home = await fresh(makeHome)
    const { current: store } = await home.open()
    expect(() => store.removeHistory(1)).toThrow(/compacted to 0 only/)
    await store.close()
  })
})

it('lets go of the lists that it has gone through', async () => {
  const home = await memoryHome()
  const { current: store } = await home.open({ batchDelayMs: 1 })
  const writer = new Writer(store)
  const lists = async (): Promise<number> => {
    const engine = await home.store.open(1, 'existing')
    const range = engine.range({ ...purgeListsFrom({ revision: 0, sub: 0 }), snapshot: undefined })
    const rows = await range.next(10_000)
    await range.close()
    return rows.length
  }
  for (let entry = 0; entry < 2_000; entry++) await writer.entry([[`key-${entry % 3}`, bytes('v')]])
  await store.drain()
  writer.compact(store.meta.revision)
  await settled(store, 4)
  await store.close()
  expect(await lists()).toBe(1)
})
