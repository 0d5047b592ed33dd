// Listings and the past over a state in memory: at one revision, in pages, within bounds, also when the state is replaced.
import { beforeEach, describe, expect, it } from 'vitest'
import { QuorateError } from '../../src/api/errors.ts'
import { ALL_KEYS, rangeOfPrefix } from '../../src/api/ranges.ts'
import type { EntryStream, Freshness, ListAnswer, ListRequest, ReadAnswer, ReadOptions } from '../../src/node/facade.ts'
import { LIMITS } from '../../src/node/limits.ts'
import { Listings } from '../../src/node/listings.ts'
import { VirtualClock } from '../support/virtual-clock.ts'
import { FakeHistory } from './fake-history.ts'

const OPTIONS: ReadOptions = {
  consistency: 'linearizable',
  maxStaleMs: undefined,
  minRevision: undefined,
  timeoutMs: 5_000,
}
const EVERYTHING: ListRequest = {
  range: ALL_KEYS,
  limit: 100,
  reverse: false,
  countOnly: false,
  separator: undefined,
  revision: undefined,
}

class Bench {
  readonly clock = new VirtualClock()
  state = new FakeHistory()
  refusal: QuorateError | undefined
  isHolding = false
  readonly held: (() => void)[] = []
  readonly failures: unknown[] = []
  readonly listings: Listings

  constructor() {
    // oxlint-disable-next-line no-this-alias -- getters of the port read this bench
    const bench = this
    this.listings = new Listings(this.clock, {
      get store() {
        return bench.state.store
      },
      confirm: (_options, done) => {
        const answer = (): void => {
          const freshness: Freshness = { revision: this.state.meta.revision, stalenessMs: undefined }
          done(this.refusal ?? freshness)
        }
        if (this.isHolding) this.held.push(answer)
        else answer()
      },
      fail: (error) => this.failures.push(error),
    })
  }

  async list(request: Partial<ListRequest> = {}): Promise<ListAnswer | QuorateError> {
    const heard: (ListAnswer | QuorateError)[] = []
    this.listings.list({ ...EVERYTHING, ...request }, OPTIONS, (answer) => heard.push(answer))
    await this.clock.drain()
    expect(heard.length).toBe(1)
    return heard[0]!
  }

  async past(key: string, revision: number): Promise<ReadAnswer | QuorateError> {
    const heard: (ReadAnswer | QuorateError)[] = []
    this.listings.readPast(key, revision, OPTIONS, (answer) => heard.push(answer))
    await this.clock.drain()
    return heard[0]!
  }

  stream(request: Partial<ListRequest> = {}): EntryStream {
    let stream: EntryStream | undefined
    this.listings.stream({ ...EVERYTHING, ...request }, OPTIONS, (answer) => {
      if (answer instanceof QuorateError) throw answer
      stream = answer
    })
    return stream!
  }
}

const keysOf = (answer: Pick<ListAnswer, 'items'>): string[] =>
  answer.items.map((item) => (item.kind === 'entry' ? item.entry.key : item.prefix))

describe('a listing', () => {
  let bench: Bench
  beforeEach(() => {
    bench = new Bench()
    for (const key of ['a/1', 'a/2', 'b/1']) bench.state.change([key, `of ${key}`])
  })

  it('shows a range, and pins nothing when it is done', async () => {
    const answer = await bench.list({ range: rangeOfPrefix('a/') })
    expect(answer).toMatchObject({ revision: 4, listedRevision: 4, count: 2, rest: undefined })
    expect(keysOf(answer as ListAnswer)).toEqual(['a/1', 'a/2'])
    expect(bench.state.openViews).toBe(0)
  })

  it('in pages stays at one revision while keys come and go', async () => {
    const first = (await bench.list({ limit: 2 })) as ListAnswer
    bench.state.change(['a/2'], ['a/3', 'new'], ['b/1', 'new'])
    const second = (await bench.list({ range: first.rest!, revision: first.listedRevision })) as ListAnswer
    expect(keysOf(first)).toEqual(['a/1', 'a/2'])
    expect(second).toMatchObject({ revision: 5, listedRevision: 4, items: [{ entry: { key: 'b/1', modRevision: 4 } }] })
  })

  it('of an empty range is empty', async () => {
    expect(await bench.list({ range: { from: 'b', to: 'a' } })).toMatchObject({ count: 0, items: [], rest: undefined })
    expect(await bench.list({ range: { from: 'b', to: 'b' }, countOnly: true })).toMatchObject({ count: 0 })
  })

  it('that only counts counts the whole range', async () => {
    expect(await bench.list({ countOnly: true, limit: 0 })).toMatchObject({ count: 3, items: [] })
    bench.state.change(['a/1'])
    expect(await bench.list({ countOnly: true, limit: 0, revision: 4 })).toMatchObject({ count: 3, revision: 5 })
  })

  it('of the future is refused, of what was compacted as well', async () => {
    expect(await bench.list({ revision: 5 })).toMatchObject({ code: 'BAD_PARAMETER' })
    bench.state.change(['a/1', 'x'])
    bench.state.compact(5)
    expect(await bench.list({ revision: 4 })).toMatchObject({ code: 'COMPACTED', details: { compactRevision: 5 } })
    expect(bench.state.openViews).toBe(0)
  })

  it('that is not done in time is answered, and lets go when it ends', async () => {
    const heard: unknown[] = []
    bench.listings.list(EVERYTHING, OPTIONS, (answer) => heard.push(answer))
    bench.clock.advance(5_000)
    bench.listings.sweep()
    expect(heard).toMatchObject([{ code: 'TIMEOUT', outcome: 'not-applied' }])
    await bench.clock.drain()
    expect([heard.length, bench.state.openViews]).toEqual([1, 0])
  })

  it('that cannot be confirmed hears why', async () => {
    bench.refusal = new QuorateError('NO_LEADER', 'none')
    expect(await bench.list()).toBe(bench.refusal)
  })

  it('whose state is replaced in the middle is read from the new one, at the same revision', async () => {
    bench.state.failure = new Error('closed')
    const answer = bench.list()
    const next = new FakeHistory()
    for (const key of ['a/1', 'a/2', 'b/1', 'c/1']) next.change([key, `of ${key}`])
    bench.state = next
    expect(keysOf((await answer) as ListAnswer)).toEqual(['a/1', 'a/2', 'b/1'])
    expect([bench.failures, next.openViews]).toEqual([[], 0])
  })

  it('of the present, whose state is replaced by one without that revision, shows that one’s present', async () => {
    bench.state.failure = new Error('closed')
    const answer = bench.list()
    const next = new FakeHistory()
    for (const key of ['a/1', 'a/2', 'b/1', 'c/1', 'd/1']) next.change([key, `of ${key}`])
    next.meta = { ...next.meta, compactRevision: next.meta.revision }
    bench.state = next
    const listed = (await answer) as ListAnswer
    expect(keysOf(listed)).toEqual(['a/1', 'a/2', 'b/1', 'c/1', 'd/1'])
    expect([listed.listedRevision, listed.revision]).toEqual([next.meta.revision, next.meta.revision])
    expect([bench.failures, next.openViews]).toEqual([[], 0])
  })

  it('of a state that cannot be read stops the node', async () => {
    bench.state.failure = new Error('checksum')
    expect(await bench.list()).toMatchObject({ code: 'INTERNAL', outcome: 'not-applied' })
    expect(bench.failures.length).toBe(1)
  })
})

describe('a key in the past', () => {
  it('is what it was then', async () => {
    const bench = new Bench()
    bench.state.change(['k', '1'])
    bench.state.change(['k'])
    bench.state.change(['k', '2'])
    const values = []
    for (let revision = 1; revision <= 4; revision++) {
      const answer = (await bench.past('k', revision)) as ReadAnswer
      values.push(answer.entry && Buffer.from(answer.entry.value).toString())
      expect(answer.revision).toBe(4)
    }
    expect(values).toEqual([undefined, '1', undefined, '2'])
    expect(await bench.past('k', 5)).toMatchObject({ code: 'BAD_PARAMETER' })
  })
})

describe('a stream of entries', () => {
  it('shows everything at one revision, in pages none of which is empty', async () => {
    const bench = new Bench()
    for (let at = 0; at < 2_300; at++) bench.state.change([`k${String(at).padStart(4, '0')}`, 'v'])
    const stream = bench.stream()
    bench.state.change(['k0000'], ['zzz', 'v'])
    const sizes = []
    for (let page = await stream.next(); page !== undefined; page = await stream.next()) sizes.push(page.length)
    const pageMax = LIMITS.streamPageItemsMax
    expect(sizes.slice(0, -1)).toEqual(sizes.slice(1).map(() => pageMax))
    expect([sizes.reduce((sum, size) => sum + size), stream.listedRevision]).toEqual([2_300, 2_301])
    await stream.close()
    await stream.close()
    expect(bench.state.openViews).toBe(0)
  })

  it('is refused when too many are open, until one is closed', async () => {
    const bench = new Bench()
    const streams = Array.from({ length: LIMITS.openListingsMax }, () => bench.stream())
    expect(() => bench.stream()).toThrow('Too many')
    expect(await bench.list()).toMatchObject({ code: 'OVERLOADED' })
    await streams[0]!.close()
    await bench.stream().close()
  })

  it('ends where it is when the node stops', async () => {
    const bench = new Bench()
    bench.state.change(['a', '1'])
    const stream = bench.stream()
    await bench.listings.close()
    await expect(stream.next()).rejects.toMatchObject({ code: 'SHUTTING_DOWN' })
    expect(bench.state.openViews).toBe(0)
    expect(await bench.list()).toMatchObject({ code: 'SHUTTING_DOWN' })
  })
})
