// Records lie in a database of their own, so a batch has two parts, and a crash may come between them.
import { describe, expect, it } from 'vitest'
import type { EngineBatch } from '../../../src/storage/state-db/engine.ts'
import { isRecordKey, pointerKey, recordKey } from '../../../src/storage/state-db/keys.ts'
import { MemoryStore } from '../../../src/storage/state-db/memory-engine.ts'
import type { ScheduleWork } from '../../../src/storage/state-db/memory-engine.ts'
import { VirtualClock } from '../../support/virtual-clock.ts'
import { Writer, memoryHome, realClock, textOf, transfer, until } from './support.ts'
import type { MemoryHome } from './support.ts'

const bytes = (text: string): Buffer => Buffer.from(text)

/** A disk whose writes stop for good after so many. */
class HaltingDisk {
  writes = 0
  writesMax = Infinity

  readonly schedule: ScheduleWork = async (kind, work) => {
    await Promise.resolve()
    if (kind === 'write' && ++this.writes > this.writesMax) return await new Promise<never>(() => {})
    return work()
  }
}

function stored(home: MemoryHome, isWanted: (key: Buffer) => boolean): Buffer[] {
  const keys: Buffer[] = []
  home.store.damage(1, (key, value) => {
    if (isWanted(key)) keys.push(key)
    return value
  })
  return keys
}

const recordAt = (revision: number): Buffer => recordKey({ revision, sub: 0 })

describe('a state in two databases', () => {
  it('finds what is asked for in both, in the order in which it was asked for, also at an earlier moment', async () => {
    const engine = await new MemoryStore().open(1, 'new')
    const write = async (fill: (batch: EngineBatch) => void): Promise<void> => {
      const batch = engine.batch()
      fill(batch)
      await batch.write()
    }
    await write((batch) => {
      batch.put(recordAt(2), bytes('record'))
      batch.put(pointerKey('a'), bytes('pointer'))
    })
    const pinned = engine.snapshot()
    await write((batch) => {
      batch.delete(recordAt(2))
      batch.put(pointerKey('b'), bytes('another'))
    })
    const keys = [pointerKey('b'), recordAt(2), pointerKey('a'), recordAt(3)]
    const texts = async (from?: typeof pinned): Promise<unknown> =>
      (await engine.getMany(keys, from)).map((value) => value?.toString())
    expect(await texts()).toEqual(['another', undefined, 'pointer', undefined])
    expect(await texts(pinned)).toEqual([undefined, 'record', 'pointer', undefined])
    await pinned.close()
  })

  it('is, after a crash between the parts of a batch, what it was before that batch, and holds nothing of it', async () => {
    const disk = new HaltingDisk()
    const home = await memoryHome(disk.schedule)
    const { current: store } = await home.open()
    const writer = new Writer(store)
    await writer.entry([['a', bytes('1')]])
    await store.drain()
    disk.writesMax = disk.writes + 1
    await writer.txn([
      ['a', bytes('2')],
      ['b', bytes('2')],
      ['c', bytes('2')],
    ])
    void store.drain()
    await until(async () => disk.writes === disk.writesMax + 1)
    expect(stored(home, isRecordKey)).toHaveLength(4)
    const crashed = (await home.crash()) as MemoryHome
    const { current: again } = await crashed.open()
    expect(stored(crashed, isRecordKey)).toEqual([recordAt(2)])
    expect(again.meta).toMatchObject({ index: store.meta.index - 1, revision: 2 })
    expect(textOf(await again.get('a'))).toBe('1')
    // Another entry in the place of the one that was cut short: smaller, so that something of that one would be left.
    await new Writer(again).txn([['b', bytes('3')]])
    await again.drain()
    const page = await again.changesFrom(2, { recordsMax: 10, bytesMax: 1_000 })
    expect(page?.records.map(({ key, at }) => [key, at.revision, at.sub])).toEqual([
      ['a', 2, 0],
      ['b', 3, 0],
    ])
    await again.close()
  })

  it('is streamed without the records of the batch that is half on disk', async () => {
    const disk = new HaltingDisk()
    const home = await memoryHome(disk.schedule)
    const { current: store } = await home.open()
    const writer = new Writer(store)
    await writer.entry([['a', bytes('1')]])
    await store.drain()
    disk.writesMax = disk.writes + 1
    await writer.entry([['a', bytes('2')]])
    void store.drain()
    await until(async () => disk.writes === disk.writesMax + 1)
    const target = await (await memoryHome()).open()
    const installed = await target.install(await transfer(store, target))
    expect(installed.meta.revision).toBe(2)
    expect(textOf(await installed.get('a'))).toBe('1')
    await target.finishInstall()
    await installed.close()
  })

  it('removes a record only when nothing on disk leads to it, wherever a crash comes, and forgets none', async () => {
    for (let writes = 0; ; writes++) {
      const disk = new HaltingDisk()
      const home = await memoryHome(disk.schedule)
      const { current: store } = await home.open()
      const writer = new Writer(store)
      await writer.entry([['gone', bytes('1')]])
      await writer.entry([['gone', undefined]])
      await writer.entry([['kept', bytes('1')]])
      await writer.entry([['kept', bytes('2')]])
      await store.drain()
      const start = disk.writes
      disk.writesMax = start + writes
      writer.compact(store.meta.revision + 1)
      const isSettled = (of: MemoryHome): boolean => stored(of, isRecordKey).length === 1
      await until(async () => disk.writes > disk.writesMax || isSettled(home))
      const crashed = (await home.crash()) as MemoryHome
      const { current: again } = await crashed.open()
      expect((await again.get('gone'))?.value).toBeUndefined()
      expect(textOf(await again.get('kept'))).toBe('2')
      if (again.meta.compactRevision === 0) new Writer(again).compact(again.meta.revision + 1)
      await until(async () => isSettled(crashed))
      expect(stored(crashed, isRecordKey)).toEqual([recordAt(5)])
      await again.close()
      if (disk.writes <= disk.writesMax) return
    }
  })

  it('starts no batch once it is closed, though removals waited for the one before', async () => {
    const time = new VirtualClock()
    const clock = { ...realClock, now: () => time.now(), after: (ms: number, then: () => void) => time.after(ms, then) }
    const home = await memoryHome()
    const { current: store } = await home.open({ clock, batchDelayMs: 1_000_000 })
    const failures: Error[] = []
    store.onFailure((error) => failures.push(error))
    const writer = new Writer(store)
    await writer.entry([['kept', bytes('1')]])
    await writer.entry([['kept', bytes('2')]])
    await store.drain()
    writer.compact(store.meta.revision + 1)
    const { tableBytes } = store.stats()
    await until(() => {
      time.advance(1)
      return store.stats().tableBytes > tableBytes
    })
    await store.close()
    expect(stored(home, isRecordKey)).toEqual([recordAt(2), recordAt(3)])
    expect(time.timerCount).toBe(0)
    expect(failures).toEqual([])
    const { current: again } = await home.open()
    await until(() => stored(home, isRecordKey).length === 1)
    expect(textOf(await again.get('kept'))).toBe('2')
    await again.close()
  })
})
