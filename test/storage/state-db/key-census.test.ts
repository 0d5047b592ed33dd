// After opening, the filter learns which keys are on disk: no key is ever hidden, and what is not there costs no read any more.
import { describe, expect, it } from 'vitest'
import { HOMES, Writer, censusOver, memoryHome, textOf } from './support.ts'
import type { Write } from './support.ts'

const KEYS = 2_000
const bytes = (text: string): Buffer => Buffer.from(text)
const writes = (prefix: string): Write[] =>
  Array.from({ length: KEYS }, (_, nth) => [`${prefix}/${nth}`, bytes(`${nth}`)])

describe.each(HOMES)('the census of keys (%s)', (_name, makeHome) => {
  it('hides no key that is on disk or comes to it, while it is taken and afterwards', async () => {
    const home = await makeHome()
    // So small a cache that most is read from disk.
    const options = { cacheBytesMax: 40_000, batchDelayMs: 0 }
    const first = await home.open(options)
    await new Writer(first.current).entry(writes('old'))
    await first.current.close()

    const { current: store } = await home.open(options)
    const writer = new Writer(store)
    await writer.entry(writes('new'))
    await store.drain()
    const expectAll = async (): Promise<void> => {
      for (const [key, value] of [...writes('old'), ...writes('new')])
        expect([key, textOf(await store.get(key))]).toEqual([key, value!.toString()])
    }
    await expectAll()
    await censusOver(store)
    await expectAll()
    // Each is an overwrite: a key that was hidden would be created anew.
    await writer.entry(writes('old'))
    expect(store.meta.liveKeys).toBe(2 * KEYS)
    await store.close()
    await home.dispose()
  })

  it('is left off when the state is closed', async () => {
    const home = await makeHome()
    const first = await home.open()
    await new Writer(first.current).entry(writes('old'))
    await first.current.close()
    for (let turns = 0; turns < 8; turns++) {
      const { current: store } = await home.open()
      for (let turn = 0; turn < turns; turn++) await new Promise((resolve) => setImmediate(resolve))
      await store.close()
    }
    const { current: store } = await home.open()
    await censusOver(store)
    expect(textOf(await store.get('old/7'))).toBe('7')
    await store.close()
    await home.dispose()
  })
})

describe('a key that is not there', () => {
  it('costs no read of the disk, whether it is read or written', async () => {
    let reads = 0
    const home = await memoryHome(async (kind, work) => {
      await Promise.resolve()
      if (kind === 'read') reads++
      return work()
    })
    const { current: store } = await home.open({ batchDelayMs: 0 })
    await censusOver(store)
    reads = 0
    new Writer(store).entryNow(writes('new'))
    await store.drain()
    expect(await store.get('elsewhere')).toBeUndefined()
    expect(reads).toBe(0)
    await store.close()
  })
})
