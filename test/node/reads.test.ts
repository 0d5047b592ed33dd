// The read path alone: which reads share a round, when they are served, and what a caller hears when they cannot be.
import { beforeEach, describe, expect, it } from 'vitest'
import { QuorateError } from '../../src/api/errors.ts'
import type { KeyRecord } from '../../src/kv/types.ts'
import type { ReadAnswer, ReadOptions } from '../../src/node/facade.ts'
import { LIMITS } from '../../src/node/limits.ts'
import type { Found } from '../../src/node/ports.ts'
import { Reads } from '../../src/node/reads.ts'
import { Turn } from '../../src/node/turn.ts'
import { VirtualClock } from '../support/virtual-clock.ts'

interface Outcome {
  readonly heard: (ReadAnswer | QuorateError)[]
}

class Bench {
  readonly clock = new VirtualClock()
  readonly asked: number[] = []
  hasLeader = true
  appliedIndex = 0
  revision = 1
  canServe = true
  staleness: number | undefined
  found: Found | Promise<Found>
  readonly failures: unknown[] = []
  readonly reads: Reads

  constructor() {
    // oxlint-disable-next-line no-this-alias -- getters of the port read this bench
    const bench = this
    const turn = new Turn(
      this.clock,
      () => this.reads.flush(),
      () => {},
    )
    this.reads = new Reads(this.clock, {
      requestReadIndex: (id) => {
        if (bench.hasLeader) bench.asked.push(id)
        return bench.hasLeader
      },
      requestTurn: () => turn.request(),
      get appliedIndex() {
        return bench.appliedIndex
      },
      get revision() {
        return bench.revision
      },
      get canServe() {
        return bench.canServe
      },
      stalenessMs: () => bench.staleness,
      get: () => bench.found,
      fail: (error) => bench.failures.push(error),
    })
  }

  read(options: Partial<ReadOptions> = {}): Outcome {
    const outcome: Outcome = { heard: [] }
    const all = {
      consistency: 'linearizable',
      maxStaleMs: undefined,
      minRevision: undefined,
      timeoutMs: 5_000,
      ...options,
    } as const
    this.reads.read('k', all, (answer) => outcome.heard.push(answer))
    return outcome
  }

  probe(): void {
    this.reads.probe()
    this.clock.settle()
  }

  apply(index: number, revision = index): void {
    this.appliedIndex = index
    this.revision = revision
    this.reads.onApplied()
  }

  advance(ms: number): void {
    for (let passed = 0; passed < ms; passed += 50) {
      this.clock.advance(50)
      this.reads.sweep()
      this.clock.settle()
    }
  }
}

const record = (revision: number): KeyRecord => ({
  at: { revision, sub: 0 },
  key: 'k',
  value: new Uint8Array([revision]),
  contentType: '',
  createRevision: revision,
  version: 1,
  lease: '',
  predecessor: undefined,
  skip: undefined,
})

const codeOf = (outcome: Outcome): string | undefined => {
  const [heard] = outcome.heard
  return heard instanceof QuorateError ? `${heard.code} ${heard.outcome}` : undefined
}

describe('the read path', () => {
  let bench: Bench
  beforeEach(() => {
    bench = new Bench()
  })

  it('answers NOT_READY at once where there is no usable state, whatever the consistency', () => {
    bench.canServe = false
    expect(codeOf(bench.read())).toBe('NOT_READY not-applied')
    expect(codeOf(bench.read({ consistency: 'stale' }))).toBe('NOT_READY not-applied')
    expect(bench.asked).toEqual([])
  })

  it('learns how fresh the state is from rounds that were confirmed while apply stood still', () => {
    for (let probe = 0; probe < 500; probe++) {
      bench.probe()
      bench.reads.onConfirmed([{ id: bench.asked.at(-1)!, index: 5 + probe }])
      bench.advance(50)
    }
    expect(bench.reads.freshAtMs).toBe(undefined)
    bench.apply(5)
    expect(bench.reads.freshAtMs).toBe(0)
    bench.apply(1_000)
    // The oldest are remembered, the rest was dropped: the next probe tells the same.
    expect(bench.reads.freshAtMs).toBeLessThan(4_000)
    bench.probe()
    bench.reads.onConfirmed([{ id: bench.asked.at(-1)!, index: 600 }])
    expect(bench.reads.freshAtMs).toBe(25_000)
  })

  it('counts a read until it is answered', () => {
    const read = bench.read()
    expect(bench.reads.waitingCount).toBe(1)
    bench.advance(5_000)
    expect(codeOf(read)).toBe('TIMEOUT not-applied')
    expect(bench.reads.waitingCount).toBe(0)
  })

  it('all reads of a turn share one read index', () => {
    const outcomes = [bench.read(), bench.read(), bench.read()]
    bench.clock.settle()
    expect(bench.asked).toEqual([1])
    bench.reads.onConfirmed([{ id: 1, index: 0 }])
    expect(outcomes.map(({ heard }) => heard.length)).toEqual([1, 1, 1])
  })

  it('a read of the next turn does not join the round that has left', () => {
    bench.read()
    bench.clock.settle()
    const late = bench.read()
    bench.reads.onConfirmed([{ id: 1, index: 0 }])
    expect(late.heard).toEqual([])
    bench.clock.settle()
    expect(bench.asked).toEqual([1, 2])
  })

  it('R5: a confirmed read waits until its index is applied', () => {
    const outcome = bench.read()
    bench.clock.settle()
    bench.reads.onConfirmed([{ id: 1, index: 7 }])
    bench.apply(6)
    expect(outcome.heard).toEqual([])
    bench.found = record(7)
    bench.apply(7)
    expect(outcome.heard).toMatchObject([{ entry: { modRevision: 7 }, revision: 7 }])
  })

  it('R10: an aborted round sends exactly its own reads into the next', () => {
    const first = bench.read()
    bench.clock.settle()
    const other = bench.read()
    bench.clock.settle()
    bench.reads.onAborted([1])
    bench.reads.onConfirmed([{ id: 2, index: 0 }])
    expect([first.heard.length, other.heard.length]).toEqual([0, 1])
    bench.clock.settle()
    bench.reads.onConfirmed([{ id: 3, index: 0 }])
    expect(first.heard.length).toBe(1)
  })

  it('R4: the answer to a question that was given up is ignored', () => {
    const outcome = bench.read()
    bench.clock.settle()
    bench.reads.onAborted([1])
    bench.reads.onConfirmed([{ id: 1, index: 0 }])
    expect(outcome.heard).toEqual([])
  })

  it('asks again when an answer is overdue', () => {
    bench.read()
    bench.clock.settle()
    bench.advance(600)
    expect(bench.asked).toEqual([1, 2])
  })

  it('without a leader a read is held, then refused', () => {
    bench.hasLeader = false
    const outcome = bench.read()
    bench.advance(1_900)
    expect(outcome.heard).toEqual([])
    bench.advance(200)
    expect(codeOf(outcome)).toBe('NO_LEADER not-applied')
  })

  it('R9: past its time a read fails, and never falls back to a weaker one', () => {
    const outcome = bench.read({ timeoutMs: 1_000 })
    bench.clock.settle()
    bench.advance(1_050)
    expect(codeOf(outcome)).toBe('TIMEOUT not-applied')
    bench.reads.onConfirmed([{ id: 1, index: 0 }])
    expect(outcome.heard.length).toBe(1)
  })

  it('a stale read answers at once and says how stale it may be', () => {
    bench.staleness = 12
    expect(bench.read({ consistency: 'stale' }).heard).toEqual([{ entry: undefined, revision: 1, stalenessMs: 12 }])
    expect(bench.asked).toEqual([])
  })

  it('a bound on staleness is kept, and an unknown staleness is too much', () => {
    expect(codeOf(bench.read({ consistency: 'stale', maxStaleMs: 10 }))).toBe('TOO_STALE not-applied')
    bench.staleness = 11
    expect(codeOf(bench.read({ consistency: 'stale', maxStaleMs: 10 }))).toBe('TOO_STALE not-applied')
    bench.staleness = 10
    expect(bench.read({ consistency: 'stale', maxStaleMs: 10 }).heard).toMatchObject([{ stalenessMs: 10 }])
  })

  it('a read that names a revision waits for it', () => {
    const outcome = bench.read({ consistency: 'stale', minRevision: 5 })
    expect(outcome.heard).toEqual([])
    bench.apply(4, 5)
    expect(outcome.heard).toMatchObject([{ revision: 5 }])
  })

  it('a linearizable read that names a later revision waits for that as well', () => {
    const outcome = bench.read({ minRevision: 5 })
    bench.clock.settle()
    bench.reads.onConfirmed([{ id: 1, index: 0 }])
    expect(outcome.heard).toEqual([])
    bench.apply(3, 5)
    expect(outcome.heard.length).toBe(1)
  })

  it('the revision of an answer is never below that of the entry in it', async () => {
    bench.found = Promise.resolve(record(9))
    const outcome = bench.read({ consistency: 'stale' })
    await bench.clock.drain()
    expect(outcome.heard).toMatchObject([{ revision: 9, entry: { modRevision: 9 } }])
  })

  it('a tombstone is nothing', () => {
    bench.found = { ...record(3), value: undefined }
    expect(bench.read({ consistency: 'stale' }).heard).toMatchObject([{ entry: undefined }])
  })

  it('a node without state serves nothing', () => {
    bench.canServe = false
    expect(codeOf(bench.read({ consistency: 'stale' }))).toBe('NOT_READY not-applied')
  })

  it('a state that cannot be read stops the node', async () => {
    bench.found = Promise.reject(new Error('checksum'))
    const outcome = bench.read({ consistency: 'stale' })
    await bench.clock.drain()
    expect(codeOf(outcome)).toBe('INTERNAL not-applied')
    expect(bench.failures.length).toBe(1)
  })

  it('a probe tells as of when the state was current', () => {
    bench.advance(100)
    bench.probe()
    bench.advance(50)
    bench.reads.onConfirmed([{ id: 1, index: 4 }])
    expect(bench.reads.freshAtMs).toBe(undefined)
    bench.apply(4)
    expect(bench.reads.freshAtMs).toBe(100)
  })

  it('waiting reads are bounded', () => {
    for (let count = 0; count < LIMITS.waitingReadsMax; count++) bench.read()
    expect(codeOf(bench.read())).toBe('OVERLOADED not-applied')
  })
})
