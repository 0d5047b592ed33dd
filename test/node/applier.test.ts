// The applier alone, over a store that answers when the test says so: order, pauses, and what becomes of a pause when the
// entry under way cannot be applied.
import { describe, expect, it } from 'vitest'
import { encodeCommand, encodeEntry } from '../../src/api/command-codec.ts'
import { NO_CONDITION } from '../../src/api/commands.ts'
import { ByteWriter } from '../../src/lib/bytes.ts'
import { type Deferred, deferred } from '../../src/lib/deferred.ts'
import { initialMeta } from '../../src/kv/index.ts'
import type { KeyPointer, KvMeta } from '../../src/kv/types.ts'
import { Applier } from '../../src/node/applier.ts'
import type { StateStore } from '../../src/node/ports.ts'
import type { Entry } from '../../src/raft/index.ts'
import { VirtualClock } from '../support/virtual-clock.ts'

/** A store in which every key is absent; it can make apply wait for it. */
class WaitingStore {
  meta: KvMeta = initialMeta()
  fetching: Deferred<void> | undefined
  full: Deferred<void> | undefined
  clock: VirtualClock | undefined
  readonly pointer = (): KeyPointer | undefined => undefined
  readonly put = (): void => {}
  readonly latestRecord = (): undefined => undefined
  readonly prefetch = (): Promise<void> | undefined => this.fetching?.promise
  readonly takeRows = (): ReadonlyMap<string, Uint8Array> => new Map()
  readonly room = (): Promise<void> | undefined => this.full?.promise

  commitEntry(meta: KvMeta): void {
    this.meta = meta
    this.clock?.advance(1)
  }
}

function put(index: number): Entry {
  const body = new ByteWriter()
  const value = Buffer.from('v')
  encodeCommand(body, {
    op: 'put',
    key: `k${index}`,
    value,
    contentType: '',
    condition: NO_CONDITION,
    wantsPrevious: false,
  })
  const groups = [{ tag: { member: '0000000000000001', boot: 1, number: index }, body: body.finish() }]
  return { term: 1, index, kind: 'normal', data: encodeEntry({ clusterTimeMs: 0, groups }) }
}

const entries = (first: number, last: number): Entry[] =>
  Array.from({ length: last - first + 1 }, (_, at) => put(first + at))

class Bench {
  readonly clock = new VirtualClock()
  readonly store = new WaitingStore()
  readonly applied: number[] = []
  readonly failures: unknown[] = []
  readonly applier: Applier

  constructor() {
    this.applier = new Applier(this.clock, this.store as unknown as StateStore, {
      onApplied: ({ id }) => this.applied.push(id.index),
      onProgress: () => {},
      fail: (error) => this.failures.push(error),
    })
  }
}

describe('the applier', () => {
  it('applies in order, and at once where nothing must be waited for', () => {
    const bench = new Bench()
    bench.applier.enqueue(entries(1, 3))
    expect(bench.applied).toEqual([1, 2, 3])
    expect(bench.applier.backlog).toBe(0)
  })

  it('gives others a turn when it has applied for a while, and pauses between two entries', async () => {
    const bench = new Bench()
    bench.store.clock = bench.clock
    bench.applier.enqueue(entries(1, 20))
    expect(bench.applied).toEqual([1, 2, 3, 4, 5, 6, 7, 8])
    const paused = bench.applier.pause()
    bench.clock.settle()
    await paused
    expect(bench.applied.length).toBe(8)
  })

  it('waits for what an entry needs, and pauses only after that entry', async () => {
    const bench = new Bench()
    const fetching = deferred<void>()
    bench.store.fetching = fetching
    bench.applier.enqueue(entries(1, 3))
    const paused = bench.applier.pause()
    expect(bench.applied).toEqual([])
    bench.store.fetching = undefined
    fetching.resolve()
    await paused
    expect(bench.applied).toEqual([1])
  })

  it('pauses while the table is full, before the entry that has no room', async () => {
    const bench = new Bench()
    const full = deferred<void>()
    bench.store.full = full
    bench.applier.enqueue(entries(1, 1))
    const paused = bench.applier.pause()
    bench.store.full = undefined
    full.resolve()
    await paused
    expect(bench.applied).toEqual([])
  })

  it('ends a pause with the reason when the entry under way cannot be applied', async () => {
    const bench = new Bench()
    const fetching = deferred<void>()
    bench.store.fetching = fetching
    bench.applier.enqueue(entries(1, 3))
    const paused = bench.applier.pause()
    fetching.reject(new Error('EIO'))
    await expect(paused).rejects.toThrow('EIO')
    expect(bench.failures.length).toBe(1)
  })

  it('ends a pause when it is stopped meanwhile, and applies nothing more', async () => {
    const bench = new Bench()
    const fetching = deferred<void>()
    bench.store.fetching = fetching
    bench.applier.enqueue(entries(1, 3))
    const paused = bench.applier.pause()
    bench.applier.stop()
    fetching.resolve()
    await paused
    expect(bench.applied).toEqual([])
  })

  it('shows what is beside the keys between two entries only, and never after it was stopped in the middle of one', async () => {
    const bench = new Bench()
    const seen: (readonly [appliedIndex: number, isWhole: boolean])[] = []
    const look = (): void => bench.applier.betweenEntries((isWhole) => seen.push([bench.applier.appliedIndex, isWhole]))
    look()
    const fetching = deferred<void>()
    bench.store.fetching = fetching
    bench.applier.enqueue(entries(1, 1))
    look()
    expect(seen).toEqual([[0, true]])
    bench.store.fetching = undefined
    fetching.resolve()
    await bench.applier.pause()
    expect(seen.slice(1)).toEqual([[1, true]])
    bench.store.fetching = deferred<void>()
    bench.applier.resume(bench.store as unknown as StateStore)
    bench.applier.enqueue(entries(2, 2))
    look()
    bench.applier.stop()
    look()
    expect(seen.slice(2)).toEqual([
      [1, false],
      [1, false],
    ])
  })

  it('keeps its place over many entries while the queue never runs empty', () => {
    const bench = new Bench()
    bench.store.clock = bench.clock
    bench.applier.enqueue(entries(1, 3_000))
    bench.applier.enqueue(entries(3_001, 4_000))
    expect(bench.applier.backlog).toBe(3_992)
    bench.clock.settle()
    expect(bench.applied).toEqual(Array.from({ length: 4_000 }, (_, at) => at + 1))
    expect(bench.applier.backlog).toBe(0)
  })

  it('refuses an entry that does not follow the last one', () => {
    const bench = new Bench()
    bench.applier.enqueue([put(2)])
    expect(String(bench.failures[0])).toContain('skipped or repeated')
  })

  it('forgets its queue with the state it was for', async () => {
    const bench = new Bench()
    const fetching = deferred<void>()
    bench.store.fetching = fetching
    bench.applier.enqueue(entries(1, 3))
    const paused = bench.applier.pause()
    bench.store.fetching = undefined
    fetching.resolve()
    await paused
    const next = new WaitingStore()
    next.meta = { ...initialMeta(), index: 10, term: 1 }
    bench.applier.resume(next as unknown as StateStore)
    expect(bench.applier.appliedIndex).toBe(10)
    bench.applier.enqueue(entries(11, 12))
    expect(bench.applied).toEqual([1, 11, 12])
  })
})
