// Views: the state at one moment and at the revisions before it, while writes, batches and compaction go on.
import { afterEach, describe, expect, it } from 'vitest'
import type { KeyRange } from '../../../src/api/commands.ts'
import { ALL_KEYS, isInRange, rangeOfPrefix } from '../../../src/api/ranges.ts'
import { Prng } from '../../../src/lib/prng.ts'
import type { ListItem, ListQuery, StateStorage, StateStore, StateView } from '../../../src/node/ports.ts'
import { HOMES, Writer, memoryHome, textOf, until } from './support.ts'
import type { Home, Write } from './support.ts'

const SEED = process.env['SEED'] ?? '20240607'
const homes: Home[] = []

afterEach(async () => {
  for (const home of homes.splice(0)) await home.dispose()
})

async function fresh<T extends Home>(makeHome: () => Promise<T>): Promise<T> {
  const home = await makeHome()
  homes.push(home)
  return home
}

const bytes = (text: string): Buffer => Buffer.from(text)

const query = (view: StateView, more: Partial<ListQuery> = {}): ListQuery => ({
  range: ALL_KEYS,
  revision: view.revision,
  reverse: false,
  itemsMax: 1_000,
  bytesMax: 1_000_000,
  separator: undefined,
  ...more,
})

const shown = (items: readonly ListItem[]): string[] =>
  items.map((item) => (item.kind === 'prefix' ? `${item.prefix}*` : `${item.record.key}=${textOf(item.record)}`))

const keysOf = (items: readonly ListItem[]): string[] =>
  items.map((item) => (item.kind === 'record' ? item.record.key : item.prefix))

/** All pages, one after another. */
async function listAll(view: StateView, asked: ListQuery): Promise<string[]> {
  const all: string[] = []
  let range: KeyRange | undefined = asked.range
  while (range !== undefined) {
    const page = await view.list({ ...asked, range })
    expect(page.items.length).toBeLessThanOrEqual(asked.itemsMax)
    if (all.length > 0) expect(page.items.length).toBeGreaterThan(0)
    all.push(...shown(page.items))
    range = page.rest
  }
  return all
}

function listNaively(state: ReadonlyMap<string, string>, { range, reverse, separator }: ListQuery): string[] {
  const all: string[] = []
  for (const key of [...state.keys()].sort((a, b) => (a < b ? -1 : 1))) {
    if (!isInRange(range, key)) continue
    const at = separator === undefined ? -1 : key.indexOf(separator.text, separator.offset)
    const item = at === -1 ? `${key}=${state.get(key)}` : `${key.slice(0, at + separator!.text.length)}*`
    if (all.at(-1) !== item) all.push(item)
  }
  return reverse ? all.toReversed() : all
}

/** Keys that meet the bounds of bytes: zeros, 0xff, one the prefix of another, folders. */
function someKey(prng: Prng): string {
  const parts = ['a', 'b', '\0', '\xff', '/', '\xff\xff', 'a/', '__proto__'] as const
  return Array.from({ length: 1 + prng.below(4) }, () => prng.pick(parts)).join('')
}

function someQuery(prng: Prng, view: StateView): ListQuery {
  const range: KeyRange = prng.chance(1, 3)
    ? rangeOfPrefix(someKey(prng))
    : { from: prng.chance(1, 3) ? '' : someKey(prng), to: prng.chance(1, 3) ? undefined : someKey(prng) }
  const isPast = prng.chance(1, 2)
  return {
    range,
    revision: isPast ? prng.between(view.compactRevision, view.revision) : view.revision,
    reverse: prng.chance(1, 2),
    itemsMax: prng.pick([1, 2, 7, 100]),
    bytesMax: prng.pick([1, 50, 100_000]),
    separator: prng.chance(1, 2) ? { text: prng.pick(['/', 'a', '\xff']), offset: prng.below(3) } : undefined,
  }
}

interface Open {
  readonly view: StateView
  readonly store: StateStore
}

describe.each(HOMES)('a view over %s', (_name, makeHome) => {
  it(`agrees with a naive model under writes, batches, compactions and restarts (SEED=${SEED})`, async () => {
    const prng = new Prng(`${SEED}/view/${_name}`)
    const home = await fresh(makeHome)
    const options = { cacheBytesMax: 30_000, batchBytes: 4_000, batchDelayMs: 1 }
    let storage: StateStorage = await home.open(options)
    // The state at each revision.
    const past: ReadonlyMap<string, string>[] = [new Map(), new Map()]
    let views: Open[] = []
    const check = async ({ view }: Open): Promise<void> => {
      const asked = someQuery(prng, view)
      const state = past[asked.revision]!
      const expected = listNaively(state, asked)
      expect(await listAll(view, asked), JSON.stringify(asked)).toEqual(expected)
      const inRange = [...state.keys()].filter((key) => isInRange(asked.range, key))
      expect(await view.count(asked.range, asked.revision)).toBe(inRange.length)
      const key = someKey(prng)
      expect(textOf(await view.get(key, asked.revision)), `${key} at ${asked.revision}`).toBe(state.get(key))
    }
    for (let step = 0; step < 300; step++) {
      const store = storage.current
      const roll = prng.below(100)
      if (roll < 55) {
        const writes: Write[] = Array.from({ length: 1 + prng.below(5) }, () => [
          someKey(prng),
          prng.chance(1, 3) ? undefined : bytes(`v${prng.uint32()}`),
        ])
        if (prng.chance(1, 3)) await new Writer(store).txn(writes)
        else for (const write of writes) note(past, await new Writer(store).entry([write]), write)
        note(past, store.meta, ...writes)
      } else if (roll < 70) {
        views.push({ view: store.openView(), store })
        if (views.length > 4) await views.shift()!.view.close()
      } else if (roll < 92) {
        if (views.length > 0) await check(views[prng.below(views.length)]!)
      } else if (roll < 96) {
        new Writer(store).compact(Math.max(store.meta.compactRevision, store.meta.revision - prng.below(40)))
      } else if (roll < 99) {
        await store.drain()
      } else {
        for (const { view } of views) await view.close()
        views = []
        await store.close()
        storage = await home.open(options)
      }
    }
    for (const open of views) for (let again = 0; again < 10; again++) await check(open)
    await storage.current.close()
  })

  it('stays as it was while 10,000 overwrites, deletions and compactions go on', async () => {
    const home = await fresh(makeHome)
    const { current: store } = await home.open({ batchBytes: 50_000, batchDelayMs: 1 })
    const writer = new Writer(store)
    for (let key = 0; key < 50; key++) await writer.entry([[`key-${key}`, bytes(`first-${key}`)]])
    const first = store.meta.revision
    await store.drain()
    for (let key = 0; key < 50; key += 2) await writer.entry([[`key-${key}`, bytes(`second-${key}`)]])
    const view = store.openView()
    const before = await listAll(view, query(view))
    const beforeThat = await listAll(view, query(view, { revision: first }))
    for (let round = 0; round < 200; round++) {
      await writer.entry(Array.from({ length: 50 }, (_, key) => [`key-${key}`, bytes(`round-${round}`)]))
      await writer.entry([[`key-${round % 50}`, undefined]])
      if (round % 20 === 19) writer.compact(store.meta.revision)
      if (round % 50 === 49) await store.drain()
    }
    expect(view.revision).toBe(76)
    expect(await listAll(view, query(view, { itemsMax: 7 }))).toEqual(before)
    expect(await listAll(view, query(view, { itemsMax: 7, revision: first }))).toEqual(beforeThat)
    expect(await listAll(view, query(view, { reverse: true }))).toEqual(before.toReversed())
    expect(textOf(await view.get('key-3', first))).toBe('first-3')
    expect(textOf(await view.get('key-4', first))).toBe('first-4')
    expect(textOf(await view.get('key-4', view.revision))).toBe('second-4')
    expect(await view.count(ALL_KEYS, first)).toBe(50)
    await view.close()
    await store.close()
  })

  it('shows a key that was deleted, compacted and written anew after it was opened, all before the next batch', async () => {
    const home = await fresh(makeHome)
    const { current: store } = await home.open({ batchDelayMs: 3_600_000 })
    const writer = new Writer(store)
    await writer.entry([['on-disk', bytes('1')]])
    await store.drain()
    await writer.entry([['in-table', bytes('1')]])
    const view = store.openView()
    await writer.entry([['in-table', undefined]])
    await writer.entry([['on-disk', undefined]])
    await writer.entry([['other', bytes('1')]])
    writer.compact(store.meta.revision)
    for (const key of ['in-table', 'on-disk']) {
      await writer.entry([[key, bytes('2')]])
      expect((await store.get(key))?.predecessor).toBeUndefined()
    }
    expect(await listAll(view, query(view))).toEqual(['in-table=1', 'on-disk=1'])
    expect(await listAll(view, query(view, { revision: 2 }))).toEqual(['on-disk=1'])
    expect(textOf(await view.get('in-table', 3))).toBe('1')
    await view.close()
    await store.close()
  })

  it('orders keys as bytes, in both directions, and pages through those at the bounds', async () => {
    const home = await fresh(makeHome)
    const { current: store } = await home.open()
    const keys = ['\0', '\0\0', '\x7f', '\x80', '\xff', '\xff\0', '\xff'.repeat(4_096), 'a', 'a\0', 'a\xff']
    for (const key of keys) await new Writer(store).entry([[key, bytes('v')]])
    await store.drain()
    await new Writer(store).entry([['a\0\0', bytes('v')]])
    const sorted = [...keys, 'a\0\0'].sort((a, b) => (a < b ? -1 : 1)).map((key) => `${key}=v`)
    const view = store.openView()
    for (const itemsMax of [1, 3, 100]) {
      expect(await listAll(view, query(view, { itemsMax }))).toEqual(sorted)
      expect(await listAll(view, query(view, { itemsMax, reverse: true }))).toEqual(sorted.toReversed())
    }
    expect(await listAll(view, query(view, { range: rangeOfPrefix('\xff') }))).toHaveLength(3)
    expect(await listAll(view, query(view, { range: { from: 'b', to: 'a' } }))).toEqual([])
    expect(await view.count({ from: 'a', to: 'a' }, view.revision)).toBe(0)
    await view.close()
    await store.close()
  })

  it('bounds a page in items and in bytes, and gives one item however large', async () => {
    const home = await fresh(makeHome)
    const { current: store } = await home.open()
    const writer = new Writer(store)
    for (const key of ['a', 'b', 'c']) await writer.entry([[key, Buffer.alloc(600_000, key)]])
    await store.drain()
    await writer.entry([['d', Buffer.alloc(10)]])
    const view = store.openView()
    const page = await view.list(query(view, { bytesMax: 1_300_000 }))
    expect(keysOf(page.items)).toEqual(['a', 'b'])
    expect(page.rest).toEqual({ from: 'c', to: undefined })
    const small = await view.list(query(view, { bytesMax: 1, reverse: true }))
    expect(keysOf(small.items)).toEqual(['d'])
    expect(small.rest).toEqual({ from: '', to: 'c\0' })
    const last = await view.list(query(view, { range: { from: 'c', to: undefined }, itemsMax: 2 }))
    expect(keysOf(last.items)).toEqual(['c', 'd'])
    expect(last.rest).toBeUndefined()
    await view.close()
    await store.close()
  })

  it('cannot be asked for revisions that it does not hold, nor after it was closed', async () => {
    const home = await fresh(makeHome)
    const { current: store } = await home.open()
    const writer = new Writer(store)
    for (let entry = 0; entry < 5; entry++) await writer.entry([['a', bytes(`${entry}`)]])
    writer.compact(4)
    const view = store.openView()
    expect([view.compactRevision, view.revision]).toEqual([4, 6])
    await expect(view.get('a', 3)).rejects.toThrow(/revision 3 is asked of a view of the revisions 4 to 6/)
    await expect(view.count(ALL_KEYS, 7)).rejects.toThrow(/revision 7/)
    await expect(view.list(query(view, { revision: 1 }))).rejects.toThrow(/revision 1/)
    expect(textOf(await view.get('a', 4))).toBe('2')
    await view.close()
    await view.close()
    await expect(view.get('a', 4)).rejects.toThrow(/closed/)
    expect(textOf(await store.get('a'))).toBe('4')
    await store.close()
  })

  it('N7: ends its walks when it or the store is closed, without harm to the store', async () => {
    const home = await fresh(makeHome)
    const { current: store } = await home.open()
    const writer = new Writer(store)
    for (let from = 0; from < 3_000; from += 500) {
      await writer.entry(Array.from({ length: 500 }, (_, n) => [`key-${from + n}`, bytes('v')]))
    }
    await store.drain()
    const view = store.openView()
    const counted = view.count({ from: 'k', to: undefined }, view.revision)
    const closed = view.close()
    await expect(counted).rejects.toThrow(/closed/)
    await closed
    expect(textOf(await store.get('key-7'))).toBe('v')
    const other = store.openView()
    const listed = other.list(query(other, { itemsMax: 3_000 }))
    const closing = store.close()
    await expect(listed).rejects.toThrow(/closed/)
    await closing
    expect(() => store.openView()).toThrow(/closed/)
    const { current: again } = await home.open()
    expect(again.meta.liveKeys).toBe(3_000)
    await again.close()
  })
})

/** Takes the state of the latest revision over, with the writes in it. */
function note(past: ReadonlyMap<string, string>[], meta: { readonly revision: number }, ...writes: Write[]): void {
  if (past.length > meta.revision) return
  const state = new Map(past.at(-1))
  for (const [key, value] of writes) {
    if (value === undefined) state.delete(key)
    else state.set(key, value.toString())
  }
  past.push(state)
  expect(past.length).toBe(meta.revision + 1)
}

/** A home that counts the reads of its disk. */
async function countingHome(): Promise<{ readonly home: Home; reads: number }> {
  const counted = { home: undefined as unknown as Home, reads: 0 }
  counted.home = await memoryHome(async (kind, work) => {
    await Promise.resolve()
    if (kind === 'read') counted.reads++
    return work()
  })
  return counted
}

describe('a listing', () => {
  it('leaps over what it rolled up, in both directions, on disk and in the table', async () => {
    const counted = await countingHome()
    const { current: store } = await counted.home.open({ cacheBytesMax: 1_000, tableBytesMax: 100_000_000 })
    const writer = new Writer(store)
    const folder = async (name: string, keys: number): Promise<void> => {
      await writer.entry(Array.from({ length: keys }, (_, n) => [`${name}/${String(n).padStart(6, '0')}`, bytes('v')]))
    }
    for (const name of ['a', 'b', 'c']) await folder(name, 5_000)
    await writer.entry([['d', bytes('v')]])
    await store.drain()
    const pinned = store.openView()
    await folder('b', 5_000)
    await folder('bb', 5_000)
    const view = store.openView()
    const separator = { text: '/', offset: 0 }
    for (const reverse of [false, true]) {
      counted.reads = 0
      const expected = ['a/*', 'b/*', 'bb/*', 'c/*', 'd=v']
      const asked = query(view, { separator, reverse })
      expect(await listAll(view, asked)).toEqual(reverse ? expected.toReversed() : expected)
      expect(counted.reads).toBeLessThan(30)
      expect(await listAll(pinned, query(pinned, { separator, reverse, itemsMax: 1 }))).toHaveLength(4)
    }
    expect(await view.list(query(view, { separator, itemsMax: 2 }))).toMatchObject({
      rest: { from: 'bb/', to: undefined },
    })
    await store.close()
  })

  it('lets others have their turn, also where everything is in the table', async () => {
    const { current: store } = await (
      await memoryHome()
    ).open({ batchDelayMs: 3_600_000, batchBytes: 1e9, tableBytesMax: 1e9 })
    const writer = new Writer(store)
    await writer.entry(Array.from({ length: 20_000 }, (_, n) => [`key-${n}`, bytes('v')]))
    const view = store.openView()
    let turns = 0
    let isOver = false
    const turn = (): void => {
      turns++
      if (!isOver) setImmediate(turn)
    }
    turn()
    expect(await view.count({ from: 'k', to: undefined }, view.revision)).toBe(20_000)
    isOver = true
    expect(turns).toBeGreaterThan(20_000 / 512 - 1)
    await store.close()
  })

  it('D5: of a damaged record stops the store', async () => {
    const home = await memoryHome()
    const first = await home.open()
    for (const key of ['a', 'b', 'c']) await new Writer(first.current).entry([[key, bytes(`value of ${key}`)]])
    await first.current.close()
    home.store.damage(1, (key, value) => {
      if (key.toString('latin1', 0, 1) === 'z' && value.includes('value of b')) value[value.length - 6]! ^= 1
      return value
    })
    const { current: store } = await home.open()
    const failures: Error[] = []
    store.onFailure((error) => failures.push(error))
    const view = store.openView()
    await expect(view.list(query(view))).rejects.toThrow(/damaged: key 7a/)
    await until(() => failures.length > 0)
    await expect(view.get('a', 2)).rejects.toThrow(/earlier failure/)
    await view.close()
    await store.close()
  })
})
