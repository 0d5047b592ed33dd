// Watches over a state in memory: order, wholeness, and where they begin and end.
import { beforeEach, describe, expect, it } from 'vitest'
import { QuorateError } from '../../src/api/errors.ts'
import { ALL_KEYS, rangeOfKey, rangeOfPrefix } from '../../src/api/ranges.ts'
import { LIMITS } from '../../src/node/limits.ts'
import type { Reader } from '../support/watch-reader.ts'
import { WatchBench } from './watch-bench.ts'

describe('a watch', () => {
  let bench: WatchBench
  beforeEach(() => {
    bench = new WatchBench()
  })

  it('from now takes one read index first, and shows what comes after it', async () => {
    bench.change(['a', '1'])
    const reader = bench.watch()
    expect(bench.confirmed).toBe(0)
    await bench.clock.drain()
    expect(bench.confirmed).toBe(1)
    bench.change(['a', '2'])
    bench.change(['b'])
    expect(reader.heard).toEqual(['progress 2', '3: a=2', '4: b gone'])
  })

  it('W1: shows each revision whole, once and in order', async () => {
    const reader = await bench.started({ range: rangeOfPrefix('a/') })
    bench.change(['a/1', 'x'], ['b/1', 'x'], ['a/2', 'y'])
    bench.change(['b/2', 'x'])
    bench.change(['a/1'], ['a/1', 'z'])
    expect(reader.heard).toEqual(['progress 1', '2: a/1=x a/2=y', '4: a/1 gone a/1=z'])
  })

  it('shares one array of events among all that ask for the same', async () => {
    const everything = [await bench.started(), await bench.started()]
    const some = [
      await bench.started({ range: rangeOfPrefix('a') }),
      await bench.started({ range: rangeOfPrefix('a') }),
    ]
    bench.change(['a', '1'])
    bench.change(['a', '2'], ['b', '2'])
    expect(everything[0]!.arrays[0]).toBe(everything[1]!.arrays[0])
    expect(everything[0]!.arrays[0]).toBe(some[0]!.arrays[0])
    expect(some[0]!.arrays[1]).toBe(some[1]!.arrays[1])
    expect(some[0]!.arrays[1]!.length).toBe(1)
  })

  it('finds those that watch a key, a prefix of it, or a range around it, and nobody else', async () => {
    const ranges = [
      rangeOfKey('ab'),
      rangeOfPrefix('ab'),
      rangeOfPrefix('a'),
      ALL_KEYS,
      { from: 'aa', to: 'ac' },
      rangeOfKey('a'),
      rangeOfPrefix('abc'),
      { from: 'ac', to: 'b' },
    ]
    const readers = []
    for (const range of ranges) readers.push(await bench.started({ range }))
    bench.change(['ab', '1'])
    expect(readers.map(({ heard }) => heard.length - 1)).toEqual([1, 1, 1, 1, 1, 0, 0, 0])
    for (const reader of readers) reader.handle.cancel()
    bench.change(['ab', '2'])
    expect(readers.map(({ heard }) => heard.length - 1)).toEqual([1, 1, 1, 1, 1, 0, 0, 0])
    expect(bench.hub.watcherCount).toBe(0)
  })

  it('of puts or of deletes alone leaves the others out', async () => {
    const puts = await bench.started({ only: 'put' })
    const deletes = await bench.started({ only: 'delete' })
    bench.change(['a', '1'], ['b'])
    bench.change(['a'])
    expect(puts.heard).toEqual(['progress 1', '2: a=1'])
    expect(deletes.heard).toEqual(['progress 1', '2: b gone', '3: a gone'])
  })

  it('W3: from the past shows exactly what there was, however many pages that takes', async () => {
    for (let at = 0; at < 2_500; at++) bench.change([`k${at % 3}`, `${at}`])
    const reader = await bench.started({ fromRevision: 101, range: rangeOfKey('k1') })
    await bench.clock.drain()
    await bench.clock.drain()
    bench.change(['k1', 'last'])
    const revisions = reader.heard.slice(1).map((line) => Number(line.split(':')[0]))
    const expected = [...bench.state.records].filter(({ at, key }) => at.revision >= 101 && key === 'k1')
    expect(revisions).toEqual(expected.map(({ at }) => at.revision))
    expect(reader.heard[0]).toBe('progress 100')
    expect(bench.state.historyReads).toBeGreaterThan(1)
    expect(bench.confirmed).toBe(0)
  })

  it('W3: from revision 0 or 1 shows all history there is', async () => {
    bench.change(['a', '1'])
    const zero = await bench.started({ fromRevision: 0 })
    const one = await bench.started({ fromRevision: 1 })
    expect([zero.heard, one.heard]).toEqual([
      ['progress 0', '2: a=1'],
      ['progress 0', '2: a=1'],
    ])
  })

  it('W3: from the future waits for it, and shows nothing older', async () => {
    const reader = await bench.started({ fromRevision: 4 })
    bench.change(['a', '1'])
    bench.change(['a', '2'])
    bench.advance(6_000)
    bench.change(['a', '3'])
    expect(reader.heard).toEqual(['progress 3', 'progress 3', '4: a=3'])
  })

  it('W3: from a compacted revision ends at once', async () => {
    for (let at = 0; at < 5; at++) bench.change(['a', `${at}`])
    bench.hub.onApplied(bench.state.compact(4))
    expect((await bench.started({ fromRevision: 3 })).heard).toEqual(['compacted 4'])
    expect((await bench.started({ fromRevision: 4 })).heard).toEqual(['progress 3', '4: a=2', '5: a=3', '6: a=4'])
    expect(bench.hub.watcherCount).toBe(1)
  })

  it('with the entries there are shows them, then a sync, then what came meanwhile', async () => {
    for (let at = 0; at < 2_500; at++) bench.change([`k${String(at).padStart(4, '0')}`, 'v'])
    const reader = bench.watch({ wantsInitial: true })
    bench.clock.settle()
    bench.change(['k0000', 'new'])
    await bench.clock.drain()
    const initial = reader.heard.filter((line) => line.startsWith('initial'))
    expect(initial.map((line) => line.split(',').length)).toEqual([1_000, 1_000, 500])
    expect(reader.heard.slice(3)).toEqual(['sync 2501', '2502: k0000=new'])
    expect(bench.state.openViews).toBe(0)
  })

  it('whose initial entries are not taken holds nothing meanwhile, and goes on at the same revision', async () => {
    for (let at = 0; at < 1_500; at++) bench.change([`k${String(at).padStart(4, '0')}`, 'v'])
    const reader = bench.watch({ wantsInitial: true })
    reader.isBusy = true
    await bench.clock.drain()
    expect([reader.heard.length, bench.state.openViews]).toEqual([1, 0])
    bench.change(['k1400'])
    reader.resume()
    await bench.clock.drain()
    expect(reader.heard[1]).toContain('k1400')
    expect(reader.heard.slice(2)).toEqual(['sync 1501', '1502: k1400 gone'])
  })

  it('whose initial entries are compacted away meanwhile ends and says so', async () => {
    for (let at = 0; at < 1_500; at++) bench.change([`k${String(at).padStart(4, '0')}`, 'v'])
    const reader = bench.watch({ wantsInitial: true })
    reader.isBusy = true
    await bench.clock.drain()
    bench.change(['x', 'y'])
    bench.hub.onApplied(bench.state.compact(1_502))
    reader.resume()
    await bench.clock.drain()
    expect(reader.heard.slice(1)).toEqual(['compacted 1502'])
    expect([bench.state.openViews, bench.failures.length]).toEqual([0, 0])
  })

  it('that asks for previous values gets them, in order with the rest', async () => {
    const reader = await bench.started({ wantsPrevious: true })
    const other = await bench.started({ wantsPrevious: true, range: rangeOfKey('a') })
    bench.change(['a', '1'])
    bench.change(['a', '2'], ['b', '1'])
    bench.change(['a'])
    bench.change(['a', '3'])
    await bench.clock.drain()
    expect(reader.heard.slice(1)).toEqual(['2: a=1', '3: a=2 (was 1) b=1', '4: a gone (was 2)', '5: a=3'])
    expect(other.heard.slice(1)).toEqual(['2: a=1', '3: a=2 (was 1)', '4: a gone (was 2)', '5: a=3'])
  })

  it('leaves out previous values that together are too large', async () => {
    const big = new Uint8Array(1024 * 1024)
    const keys = Array.from({ length: 20 }, (_, at) => `k${at}`)
    for (const key of keys) bench.change([key, big])
    const reader = await bench.started({ wantsPrevious: true })
    bench.change(...keys.map((key) => [key] as const))
    await bench.clock.drain()
    const shown = reader.arrays[0]!.filter(({ previous }) => previous !== undefined)
    expect([reader.arrays[0]!.length, shown.length]).toEqual([20, 16])
  })

  it('is told how far it is when it is idle, and only then', async () => {
    const reader = await bench.started({ range: rangeOfKey('a') })
    bench.change(['b', '1'])
    bench.advance(4_000)
    bench.change(['a', '1'])
    bench.advance(4_000)
    expect(reader.heard).toEqual(['progress 1', '3: a=1'])
    bench.change(['b', '2'])
    bench.advance(2_000)
    expect(reader.heard.slice(2)).toEqual(['progress 4'])
  })

  it('hears nothing after it was cancelled, whatever it was doing', async () => {
    const early = bench.watch()
    early.handle.cancel()
    const listing = bench.watch({ wantsInitial: true })
    bench.clock.settle()
    listing.handle.cancel()
    await bench.clock.drain()
    bench.change(['a', '1'])
    expect([early.heard, listing.heard, bench.hub.watcherCount, bench.state.openViews]).toEqual([[], [], 0, 0])
  })

  it('that cannot be confirmed fails with the reason', async () => {
    bench.refusal = new QuorateError('NO_LEADER', 'none')
    expect((await bench.started()).heard).toEqual(['failed NO_LEADER'])
    bench.canServe = false
    expect((await bench.started({ fromRevision: 1 })).heard).toEqual(['failed NOT_READY'])
  })

  it('is refused when there are too many', async () => {
    for (let at = 0; at < LIMITS.watchersMax; at++) bench.watch()
    const reader = bench.watch()
    expect(reader.heard).toEqual([])
    await bench.clock.drain()
    expect(reader.heard).toEqual(['failed OVERLOADED'])
  })

  it('whose state cannot be read stops the node', async () => {
    bench.change(['a', '1'])
    bench.state.failure = new Error('checksum')
    const reader = await bench.started({ fromRevision: 1 })
    expect(reader.heard.at(-1)).toBe('failed INTERNAL')
    expect(bench.failures.length).toBe(1)
  })

  it('W6: ends with the revision to go on from when the node stops', async () => {
    const reader = await bench.started()
    bench.change(['a', '1'])
    bench.change(['a', '2'])
    bench.hub.close()
    expect(reader.heard.slice(-3)).toEqual(['3: a=2', 'progress 3', 'failed SHUTTING_DOWN'])
    expect((await bench.started()).heard).toEqual(['failed SHUTTING_DOWN'])
  })

  it('costs one array a revision where a thousand look at one prefix', async () => {
    const readers: Reader[] = []
    for (let at = 0; at < 1_000; at++) readers.push(bench.watch({ range: rangeOfPrefix('a/') }))
    for (let at = 0; at < 1_000; at++) bench.watch({ range: rangeOfKey(`b/${at}`) })
    await bench.clock.drain()
    for (let at = 0; at < 20; at++) bench.change([`a/${at}`, 'v'])
    const arrays = new Set(readers.flatMap((reader) => reader.arrays))
    expect([arrays.size, readers.every(({ arrays }) => arrays.length === 20)]).toEqual([20, true])
  })
})
