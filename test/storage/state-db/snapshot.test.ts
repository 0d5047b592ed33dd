// A state on its way to another node: nothing is added, nothing is lost, and nothing damaged is believed.
import { afterEach, describe, expect, it } from 'vitest'
import { Prng } from '../../../src/lib/prng.ts'
import type { StateStorage } from '../../../src/node/ports.ts'
import { VirtualClock } from '../../support/virtual-clock.ts'
import { HOMES, Writer, memoryHome, textOf, transfer } from './support.ts'
import type { Home } from './support.ts'

const SEED = process.env['SEED'] ?? '7'
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

describe.each(HOMES)('a streamed state over %s', (_name, makeHome) => {
  it('arrives whole: 20,000 keys with their history, tombstones, metadata and configuration', async () => {
    const source = await (await fresh(makeHome)).open()
    const target = await (await fresh(makeHome)).open()
    const writer = new Writer(source.current)
    for (let key = 0; key < 20_000; key += 500) {
      await writer.entry(Array.from({ length: 500 }, (_, n) => [`key-${key + n}`, bytes(`value-${key + n}`)]))
    }
    await writer.entry([
      ['key-7', bytes('again')],
      ['key-8', undefined],
      ['large', Buffer.alloc(1_048_576, 3)],
    ])
    await source.current.drain()
    const received = await transfer(source.current, target)
    const { index, term } = source.current.meta
    expect(received.meta).toEqual({ index, term, confState: source.current.configuration.confState })
    const installed = await target.install(received)
    await target.finishInstall()
    expect(target.current).toBe(installed)
    expect(installed.meta).toEqual(source.current.meta)
    expect(installed.configuration).toEqual(source.current.configuration)
    for (const key of [0, 1, 9_999, 19_999]) expect(textOf(await installed.get(`key-${key}`))).toBe(`value-${key}`)
    expect(await installed.get('key-7')).toEqual(await source.current.get('key-7'))
    expect(await installed.get('key-8')).toEqual(await source.current.get('key-8'))
    expect((await installed.get('large'))?.value?.length).toBe(1_048_576)
    await new Writer(installed).entry([['key-7', bytes('and on')]])
    await installed.close()
    await source.current.close()
  })

  it('S6: shows nothing that was committed after it was pinned, however slowly it is read', async () => {
    const source = await (await fresh(makeHome)).open({ batchDelayMs: 0 })
    const target = await (await fresh(makeHome)).open()
    const store = source.current
    const writer = new Writer(store)
    for (let key = 0; key < 2_000; key++) await writer.entry([[`key-${key}`, bytes('before')]])
    await store.drain()
    const snapshot = await store.openSnapshot()
    expect(snapshot.meta.index).toBe(2_000)
    const receiver = await target.receive()
    for await (const chunk of snapshot.chunks()) {
      await receiver.write(chunk)
      await writer.entry([
        ['key-1999', bytes('after')],
        [`zz-${store.meta.index}`, bytes('after')],
      ])
      writer.compact(store.meta.revision)
      await store.drain()
    }
    await snapshot.close()
    const installed = await target.install(await receiver.finish())
    expect(installed.meta.index).toBe(2_000)
    expect(textOf(await installed.get('key-1999'))).toBe('before')
    expect(await installed.get('zz-2000')).toBeUndefined()
    await target.finishInstall()
    await installed.close()
    await store.close()
  })

  it('ends its streams when it is closed, and says so to those who read them', async () => {
    const source = await (await fresh(makeHome)).open()
    await new Writer(source.current).entry([['a', bytes('1')]])
    await source.current.drain()
    const snapshot = await source.current.openSnapshot()
    const chunks = snapshot.chunks()[Symbol.asyncIterator]()
    await chunks.next()
    await source.current.close()
    await expect(chunks.next()).rejects.toThrow(/closed/)
    await snapshot.close()
  })
})

describe('the sender', () => {
  it('rests for twice as long as a piece took, but never for long where the disk hangs', async () => {
    const clock = new VirtualClock()
    let readMs = 0
    const home = await memoryHome(async (kind, work) => {
      await Promise.resolve()
      if (kind === 'read') clock.stall(readMs)
      return work()
    })
    const { current: store } = await home.open({ clock })
    const running = async <T>(promise: Promise<T>): Promise<T> => {
      await clock.drain()
      return await promise
    }
    await running(new Writer(store).entry([['key', bytes('value')]]))
    await running(store.drain())
    const snapshot = await running(store.openSnapshot())
    const chunks = snapshot.chunks()[Symbol.asyncIterator]()
    const comesAfter = async (restMs: number): Promise<void> => {
      let hasCome = false
      void chunks.next().then(() => (hasCome = true))
      await clock.drain()
      clock.advance(restMs - 1)
      await clock.drain()
      expect(hasCome).toBe(false)
      clock.advance(1)
      await clock.drain()
      expect(hasCome).toBe(true)
    }
    await running(chunks.next())
    readMs = 40
    await running(chunks.next())
    readMs = 30_000
    await comesAfter(80)
    await comesAfter(1_000)
    await snapshot.close()
  })
})

async function smallSource(): Promise<StateStorage> {
  const source = await (await memoryHome()).open()
  const writer = new Writer(source.current)
  for (let key = 0; key < 12; key++) await writer.entry([[`key-${key}`, Buffer.alloc(40, key)]])
  await writer.entry([['key-3', undefined]])
  await source.current.drain()
  return source
}

describe('a receiver', () => {
  it('takes the stream in pieces of any size', async () => {
    const source = await smallSource()
    const target = await (await memoryHome()).open()
    const received = await transfer(source.current, target, (chunks) => {
      const all = Buffer.concat(chunks)
      return Array.from({ length: Math.ceil(all.length / 7) }, (_, nth) => all.subarray(nth * 7, nth * 7 + 7))
    })
    expect((await target.install(received)).meta).toEqual(source.current.meta)
  })

  it('D5: refuses a stream with a flipped bit, whichever', async () => {
    const source = await smallSource()
    const home = await memoryHome()
    const target = await home.open()
    let size = 0
    await (
      await transfer(source.current, target, (chunks) => {
        size = Buffer.concat(chunks).length
        return chunks
      })
    ).discard()
    const prng = new Prng(`${SEED}/flip`)
    for (let at = 0; at < size; at++) {
      const flip = (chunks: Buffer[]): Buffer[] => {
        const all = Buffer.concat(chunks)
        all[at]! ^= 1 << prng.below(8)
        return [all]
      }
      await expect(transfer(source.current, target, flip), `byte ${at} of ${size}, SEED=${SEED}`).rejects.toThrow()
    }
    expect(await home.store.list()).toEqual([1])
  })

  it('S8: refuses lost, repeated, reordered and missing chunks, and two streams mixed', async () => {
    const source = await smallSource()
    const home = await memoryHome()
    const target = await home.open()
    const refused: ((chunks: Buffer[]) => Buffer[])[] = [
      (chunks) => chunks.toSpliced(1, 1),
      (chunks) => [chunks[0]!, chunks[1]!, ...chunks.slice(1)],
      (chunks) => [chunks[0]!, chunks[2]!, chunks[1]!, ...chunks.slice(3)],
      (chunks) => chunks.slice(0, -1),
      (chunks) => chunks.slice(1),
      (chunks) => [...chunks, chunks.at(-1)!],
      (chunks) => [...chunks, ...chunks],
      (chunks) => [Buffer.concat(chunks).subarray(0, -1)],
      () => [],
    ]
    for (const change of refused) await expect(transfer(source.current, target, change)).rejects.toThrow(/stream|frame/)
    expect(await home.store.list()).toEqual([1])
  })

  it('refuses a state whose records do not add up to the digest of the replicated metadata', async () => {
    const home = await memoryHome()
    const source = await home.open()
    await new Writer(source.current).entry([['a', bytes('1')]])
    const { meta } = source.current
    source.current.commitEntry({ ...meta, index: meta.index + 1, liveKeys: 2 })
    await source.current.drain()
    const target = await (await memoryHome()).open()
    await expect(transfer(source.current, target)).rejects.toThrow(/2 keys .* add up to 1 keys/)
  })

  it('takes at most two streams at a time', async () => {
    const home = await memoryHome()
    const target = await home.open()
    const first = await target.receive()
    await target.receive()
    await expect(target.receive()).rejects.toThrow(/already/)
    await first.abort()
    await target.receive()
  })
})
