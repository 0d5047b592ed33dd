// The exam of the engine port: what every engine must do, LevelDB and the one in memory alike.
import { promises as fs } from 'node:fs'
import { tmpdir } from 'node:os'
import { afterEach, describe, expect, it } from 'vitest'
import { nodeFileSystem } from '../../../src/storage/node-file-system.ts'
import type { Engine, EngineStore, RangeOptions } from '../../../src/storage/state-db/engine.ts'
import { LEVELDB_DEFAULTS, LevelDbStore } from '../../../src/storage/state-db/leveldb-engine.ts'
import { MemoryStore } from '../../../src/storage/state-db/memory-engine.ts'

const directories: string[] = []

afterEach(async () => {
  for (const directory of directories.splice(0)) await fs.rm(directory, { recursive: true, force: true })
})

const STORES: readonly (readonly [string, () => Promise<EngineStore>])[] = [
  [
    'LevelDB',
    async () => {
      const directory = await fs.mkdtemp(`${tmpdir()}/quorate-engine-`)
      directories.push(directory)
      return new LevelDbStore(`${directory}/state`, nodeFileSystem, LEVELDB_DEFAULTS)
    },
  ],
  ['memory', async () => new MemoryStore()],
]

const b = (text: string): Buffer => Buffer.from(text)

async function write(engine: Engine, rows: Readonly<Record<string, string | undefined>>): Promise<void> {
  const batch = engine.batch()
  for (const [key, value] of Object.entries(rows)) {
    if (value === undefined) batch.delete(b(key))
    else batch.put(b(key), b(value))
  }
  await batch.write()
}

async function all(
  engine: Engine,
  gte: string,
  lt: string,
  more: Pick<Partial<RangeOptions>, 'isReverse' | 'snapshot'> = {},
): Promise<string[]> {
  const range = engine.range({ gte: b(gte), lt: b(lt), snapshot: undefined, ...more })
  const rows: string[] = []
  for (;;) {
    const next = await range.next(2)
    if (next.length === 0) break
    for (const [key, value] of next) rows.push(`${key.toString()}=${value.toString()}`)
  }
  await range.close()
  return rows
}

describe.each(STORES)('the engine %s', (_name, makeStore) => {
  it('reads what batches wrote, in order, deletions included', async () => {
    const engine = await (await makeStore()).open(1, 'new')
    await write(engine, { b: '2', a: '1', c: '3', d: '4' })
    await write(engine, { b: undefined, c: '33' })
    expect((await engine.getMany([b('c'), b('b'), b('a')])).map(String)).toEqual(['33', 'undefined', '1'])
    expect(await all(engine, 'a', 'd')).toEqual(['a=1', 'c=33'])
    await engine.close()
  })

  it('walks a range against its order, with the same bounds, also through a snapshot', async () => {
    const engine = await (await makeStore()).open(1, 'new')
    await write(engine, { a: '1', b: '2', c: '3', d: '4', e: '5' })
    expect(await all(engine, 'b', 'e', { isReverse: true })).toEqual(['d=4', 'c=3', 'b=2'])
    expect(await all(engine, 'bb', 'dd', { isReverse: true })).toEqual(['d=4', 'c=3'])
    expect(await all(engine, 'x', 'z', { isReverse: true })).toEqual([])
    expect(await all(engine, 'd', 'b', { isReverse: true })).toEqual([])
    const snapshot = engine.snapshot()
    await write(engine, { c: undefined, cc: '33', d: '44' })
    expect(await all(engine, 'b', 'e', { isReverse: true, snapshot })).toEqual(['d=4', 'c=3', 'b=2'])
    expect(await all(engine, 'b', 'e', { snapshot })).toEqual(['b=2', 'c=3', 'd=4'])
    await snapshot.close()
    expect(await all(engine, 'b', 'e', { isReverse: true })).toEqual(['d=44', 'cc=33', 'b=2'])
    await engine.close()
  })

  it('copies what it is given, and gives what is the caller\u2019s own', async () => {
    const engine = await (await makeStore()).open(1, 'new')
    const scratch = b('one')
    const batch = engine.batch()
    batch.put(b('a'), scratch)
    scratch.fill(0)
    await batch.write()
    const [first] = await engine.getMany([b('a')])
    expect(first?.toString()).toBe('one')
    first?.fill(0)
    expect(String((await engine.getMany([b('a')]))[0])).toBe('one')
    await engine.close()
  })

  it('pins a snapshot: later writes are not seen through it', async () => {
    const engine = await (await makeStore()).open(1, 'new')
    await write(engine, { a: '1', b: '1' })
    const snapshot = engine.snapshot()
    await write(engine, { a: '2', b: undefined, c: '2' })
    expect((await engine.getMany([b('a'), b('b'), b('c')], snapshot)).map(String)).toEqual(['1', '1', 'undefined'])
    const range = engine.range({ gte: b('a'), lt: b('z'), snapshot })
    expect((await range.next(10)).map(([key]) => key.toString())).toEqual(['a', 'b'])
    await range.close()
    await snapshot.close()
    await engine.close()
  })

  it('opens only what is there, makes only what is not, and removes', async () => {
    const store = await makeStore()
    await expect(store.open(1, 'existing')).rejects.toThrow(/cannot be opened|missing/)
    const engine = await store.open(1, 'new')
    await write(engine, { a: '1' })
    await engine.close()
    await store.sync(1)
    expect(await store.list()).toEqual([1])
    expect(await store.isBlank(1)).toBe(false)
    await expect(store.open(1, 'new')).rejects.toThrow(/exists/)
    const again = await store.open(1, 'existing')
    expect(String((await again.getMany([b('a')]))[0])).toBe('1')
    await again.close()
    await store.remove(1)
    await store.remove(1)
    expect(await store.list()).toEqual([])
  })

  it('orders and compares keys as bytes, not as text', async () => {
    const engine = await (await makeStore()).open(1, 'new')
    const keys = [[0], [0, 0], [0x7f], [0x80], [0xc3, 0xa9], [0xff], [0xff, 0]].map((key) => Buffer.from(key))
    const batch = engine.batch()
    for (const key of keys.toReversed()) batch.put(key, key)
    await batch.write()
    const range = engine.range({ gte: Buffer.of(0), lt: Buffer.of(0xff, 0xff), snapshot: undefined })
    expect((await range.next(100)).map(([key]) => key.toString('hex'))).toEqual(keys.map((key) => key.toString('hex')))
    await range.close()
    await engine.close()
  })

  it('N9: tells apart keys whose last character straddles 64 bytes, where text keys return another key\u2019s value', async () => {
    const engine = await (await makeStore()).open(1, 'new')
    const short = 'a'.repeat(64)
    await write(engine, { [short]: 'WRONG', [`${short}\u20ac`]: 'right', a: 'short' })
    const values = []
    for (const key of ['a', `${short}\u20ac`, short]) values.push(String((await engine.getMany([b(key)]))[0]))
    expect(values).toEqual(['short', 'right', 'WRONG'])
    await engine.close()
  })
})
