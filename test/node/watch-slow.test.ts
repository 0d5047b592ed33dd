// Watches whose readers are slow, or whose state is replaced under them: nothing is lost in silence, and nothing is kept for them.
import { beforeEach, describe, expect, it } from 'vitest'
import { rangeOfKey, rangeOfPrefix } from '../../src/api/ranges.ts'
import { LIMITS } from '../../src/node/limits.ts'
import { FakeHistory } from './fake-history.ts'
import { WatchBench } from './watch-bench.ts'

describe('a slow reader', () => {
  let bench: WatchBench
  beforeEach(() => {
    bench = new WatchBench()
  })

  it('W4: gets what it has missed when it can take more, once and in order', async () => {
    const reader = await bench.started()
    reader.isBusy = true
    for (let at = 1; at <= 5; at++) bench.change(['a', `${at}`])
    expect(reader.heard.slice(1)).toEqual(['2: a=1'])
    reader.handle.resume()
    expect(reader.heard.slice(1)).toEqual(['2: a=1', '3: a=2'])
    reader.resume()
    expect(reader.heard.slice(3)).toEqual(['4: a=3', '5: a=4', '6: a=5'])
    bench.change(['a', '6'])
    expect(reader.heard.at(-1)).toBe('7: a=6')
    expect(bench.state.historyReads).toBe(0)
  })

  it('W4: reads again from the state what is too old for the window', async () => {
    const reader = await bench.started({ range: rangeOfKey('a') })
    reader.isBusy = true
    bench.change(['a', '1'])
    for (let at = 0; at < LIMITS.watchWindowRevisionsMax + 10; at++) bench.change(['b', 'x'])
    bench.change(['a', '2'])
    bench.change(['a', '3'])
    for (let at = 0; at < LIMITS.watchWindowRevisionsMax + 10; at++) bench.change(['b', 'x'])
    reader.resume()
    for (let turn = 0; turn < 5; turn++) await bench.clock.drain()
    expect(reader.heard.slice(1).map((line) => line.split(': ')[1])).toEqual(['a=1', 'a=2', 'a=3'])
    expect(bench.state.historyReads).toBeGreaterThan(0)
  })

  it('W4: is cut off with the revision to resume from once too much waits', async () => {
    const reader = await bench.started({ range: rangeOfPrefix('a') })
    reader.isBusy = true
    bench.change(['a', '1'])
    const half = 'x'.repeat(LIMITS.watcherLagBytesMax / 2)
    bench.change(['b', half], ['b2', half])
    bench.change(['a', half])
    expect(reader.heard.at(-1)).toBe('2: a=1')
    bench.change(['a2', half])
    expect(reader.heard.at(-1)).toBe('lagging 4')
    expect(bench.hub.watcherCount).toBe(0)
    const again = await bench.started({ range: rangeOfPrefix('a'), fromRevision: 4 })
    expect(again.heard.slice(1).map((line) => line.slice(0, 4))).toEqual(['4: a', '5: a'])
  })

  it('that has missed nothing outlives a compaction', async () => {
    const reader = await bench.started({ range: rangeOfKey('a') })
    reader.isBusy = true
    bench.change(['a', '1'])
    for (let at = 0; at < 5_000; at++) bench.change(['b', 'x'])
    bench.hub.onApplied(bench.state.compact(5_000))
    reader.resume()
    bench.change(['a', '2'])
    expect(reader.heard.slice(1)).toEqual(['2: a=1', '5003: a=2'])
  })

  it('W5: that needs what is compacted hears so, and is never silently skipped', async () => {
    const reader = await bench.started({ range: rangeOfKey('a') })
    reader.isBusy = true
    bench.change(['a', '1'])
    bench.change(['a'])
    for (let at = 0; at < 5_000; at++) bench.change(['b', 'x'])
    bench.hub.onApplied(bench.state.compact(5_000))
    expect(reader.heard.slice(1)).toEqual(['2: a=1', 'compacted 5000'])
  })
})

describe('when another state takes the place of the node’s own', () => {
  it('W2: a watch goes on with exactly what it had not seen', async () => {
    const bench = new WatchBench()
    const live = await bench.started()
    const paused = await bench.started()
    paused.isBusy = true
    bench.change(['a', '1'])
    const next = new FakeHistory()
    next.change(['a', '1'])
    for (let at = 2; at < 6; at++) next.change(['a', `${at}`])
    bench.state = next
    bench.hub.onInstalled()
    await bench.clock.drain()
    paused.resume()
    await bench.clock.drain()
    bench.change(['a', '6'])
    const expected = ['progress 1', '2: a=1', '3: a=2', '4: a=3', '5: a=4', '6: a=5', '7: a=6']
    expect([live.heard, paused.heard]).toEqual([expected, expected])
  })

  it('W2: a watch whose events were compacted there ends and says so', async () => {
    const bench = new WatchBench()
    const reader = await bench.started()
    bench.change(['a', '1'])
    const next = new FakeHistory()
    for (let at = 1; at < 10; at++) next.change(['a', `${at}`])
    next.compact(8)
    bench.state = next
    bench.hub.onInstalled()
    await bench.clock.drain()
    expect(reader.heard).toEqual(['progress 1', '2: a=1', 'compacted 8'])
  })

  it('what was being read from the old one is read from the new one', async () => {
    const bench = new WatchBench()
    for (let at = 1; at < 5; at++) bench.change(['a', `${at}`])
    const reader = bench.watch({ fromRevision: 2, wantsPrevious: true })
    bench.clock.settle()
    const old = bench.state
    old.failure = new Error('closed')
    const next = new FakeHistory()
    for (let at = 1; at < 6; at++) next.change(['a', `${at}`])
    bench.state = next
    bench.hub.onInstalled()
    for (let turn = 0; turn < 3; turn++) await bench.clock.drain()
    expect(reader.heard.slice(1).map((line) => Number(line.split(':')[0]))).toEqual([2, 3, 4, 5, 6])
    expect(bench.failures).toEqual([])
  })
})
