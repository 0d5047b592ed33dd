// The rows beside the keys: they live and die with the entry that wrote them, move with the state, and are not believed blindly.
import { afterEach, describe, expect, it } from 'vitest'
import { RowChanges } from '../../../src/storage/state-db/rows.ts'
import type { StateRow } from '../../../src/kv/types.ts'
import type { RowChange } from '../../../src/storage/state-db/rows.ts'
import { rowKeyBytes } from '../../../src/storage/state-db/keys.ts'
import { HOMES, Writer, countRows, memoryHome, transfer, until } from './support.ts'
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

const shown = (rows: ReadonlyMap<string, Uint8Array>): Record<string, string> =>
  Object.fromEntries([...rows].map(([key, value]) => [key, Buffer.from(value).toString()]))

describe.each(HOMES)('the rows over %s', (_name, makeHome) => {
  it('are there again after a restart, the latest of each, whatever their bytes', async () => {
    const home = await fresh(makeHome)
    const { current: store } = await home.open()
    expect([...store.takeRows()]).toEqual([])
    const writer = new Writer(store)
    writer.rows([
      ['l\0\xff', undefined, bytes('lease')],
      ['s', undefined, bytes('')],
      ['q\x80', undefined, bytes('old')],
      ['lgone', undefined, bytes('x')],
    ])
    await store.drain()
    writer.rows([
      ['q\x80', bytes('old'), bytes('older')],
      ['lgone', bytes('x'), undefined],
      ['sbrief', undefined, bytes('y')],
    ])
    writer.rows([
      ['q\x80', bytes('older'), bytes('new')],
      ['sbrief', bytes('y'), undefined],
    ])
    await store.close()
    const { current: again } = await home.open()
    const rows = again.takeRows()
    expect(shown(rows)).toEqual({ 'l\0\xff': 'lease', 'q\x80': 'new', s: '' })
    expect([...rows.keys()]).toEqual(['l\0\xff', 'q\x80', 's'])
    expect(() => again.takeRows()).toThrow(/taken once already/)
    expect(() => again.putRow({ key: 'kkey', notedAt: -1 }, bytes('x'), true)).toThrow(/keyspaces of rows/)
    await again.close()
  })

  it('A1: survive a crash with the entry that wrote them, or not at all', async () => {
    const home = await fresh(makeHome)
    const { current: store } = await home.open({ batchBytes: 1_000, batchDelayMs: 0 })
    const writer = new Writer(store)
    let before: Buffer | undefined
    for (let entry = 1; entry <= 60; entry++) {
      const after = bytes(`${entry}`)
      writer.rows([
        ['lcount', before, after],
        [`s${entry}`, undefined, Buffer.alloc(60)],
      ])
      before = after
      if (entry % 7 === 0) await new Promise((resolve) => setImmediate(resolve))
    }
    await until(() => store.persisted.index >= 20)
    const { current: after } = await (await home.crash()).open()
    const rows = after.takeRows()
    expect(rows.size).toBe(after.meta.index + 1)
    expect(shown(rows)['lcount']).toBe(`${after.meta.index}`)
    await after.close()
    await store.close()
  })

  it('move with the state, counted and checked against its digest', async () => {
    const source = await (await fresh(makeHome)).open()
    const target = await (await fresh(makeHome)).open()
    const writer = new Writer(source.current)
    await writer.entry([['a', bytes('1')]])
    writer.rows(Array.from({ length: 600 }, (_, n) => [`l${n}`, undefined, Buffer.alloc(2_000, n)]))
    writer.rows([
      ['q\xff', undefined, bytes('lock')],
      ['s\0', undefined, bytes('session')],
    ])
    await source.current.drain()
    expect(await countRows(source.current)).toMatchObject({ pointers: 1, records: 1, rows: 602 })
    const installed = await target.install(await transfer(source.current, target))
    await target.finishInstall()
    expect(installed.meta).toEqual(source.current.meta)
    const rows = installed.takeRows()
    expect(rows.size).toBe(602)
    expect(Buffer.from(rows.get('l77')!)).toEqual(Buffer.alloc(2_000, 77))
    expect(Buffer.from(rows.get('s\0')!).toString()).toBe('session')
    await installed.close()
    await source.current.close()
  })
})

const rowOf = (key: string): StateRow => ({ key, notedAt: -1 })

const change = (row: StateRow, value: string | undefined, isNew: boolean): RowChange => ({
  row,
  value: value === undefined ? value : bytes(value),
  isNew,
})

const shownChanges = (changes: RowChanges): (string | undefined)[][] =>
  [...changes.all()].map(({ row, value }) => [row.key, value && Buffer.from(value).toString()])

describe('changes of rows, taken together', () => {
  it('leave nothing of a row that came and went', () => {
    const changes = new RowChanges()
    const [brief, other] = [rowOf('s1'), rowOf('s2')]
    changes.add(change(brief, 'a', true))
    changes.add(change(other, 'x', true))
    changes.add(change(brief, 'b', false))
    changes.add(change(brief, undefined, false))
    expect(shownChanges(changes)).toEqual([['s2', 'x']])
    changes.add(change(other, undefined, false))
    expect(shownChanges(changes)).toEqual([])
    expect(changes.sizeBytes).toBe(0)
    changes.add(change(brief, 'c', true))
    expect(shownChanges(changes)).toEqual([['s1', 'c']])
  })

  it('remove a row that was there before, also when it came back meanwhile', () => {
    const changes = new RowChanges()
    const row = rowOf('s1')
    changes.add(change(row, undefined, false))
    changes.add(change(row, 'a', true))
    expect(shownChanges(changes)).toEqual([['s1', 'a']])
    changes.add(change(row, undefined, false))
    expect(shownChanges(changes)).toEqual([['s1', undefined]])
  })

  it('remove a row that an earlier batch wrote', () => {
    const row = rowOf('s1')
    new RowChanges().add(change(row, 'a', true))
    const later = new RowChanges()
    later.add(change(rowOf('s2'), 'x', true))
    later.add(change(row, undefined, false))
    expect(shownChanges(later)).toEqual([
      ['s2', 'x'],
      ['s1', undefined],
    ])
  })

  it('end as the last change of a key says, whatever objects name it', () => {
    const changes = new RowChanges()
    const [first, second] = [rowOf('s1'), rowOf('s1')]
    changes.add(change(first, 'a', true))
    changes.add(change(second, undefined, false))
    changes.add(change(first, 'b', true))
    expect(shownChanges(changes).at(-1)).toEqual(['s1', 'b'])
    changes.add(change(second, undefined, false))
    expect(shownChanges(changes).at(-1)).toEqual(['s1', undefined])
  })
})

describe('D5: damaged rows', () => {
  it('are refused at opening, at each byte', async () => {
    const home = await memoryHome()
    const { current: store } = await home.open()
    new Writer(store).rows([['lrow', undefined, bytes('value')]])
    await store.close()
    for (let at = 0; at < 'value'.length + 5; at++) {
      const damaged = (await home.crash()) as typeof home
      damaged.store.damage(1, (key, value) => {
        if (key.equals(rowKeyBytes('lrow'))) value[at]! ^= 4
        return value
      })
      await expect(damaged.open()).rejects.toThrow(/damaged: key 6c726f77/)
    }
  })

  it('are refused by a receiver when one is missing or not what the digest says', async () => {
    for (const rows of [[['lrow', bytes('value'), undefined]], [['lrow', undefined, bytes('other')]]] as const) {
      const { current: store } = await (await memoryHome()).open()
      const writer = new Writer(store)
      writer.rows([['lrow', undefined, bytes('value')]])
      for (const [key, , after] of rows) store.putRow({ key, notedAt: -1 }, after, false)
      // As if the state machine had not noticed.
      store.commitEntry({ ...store.meta, index: store.meta.index + 1 })
      await store.drain()
      const target = await (await memoryHome()).open()
      await expect(transfer(store, target)).rejects.toThrow(/records and rows add up to/)
      await store.close()
    }
  })
})
