// The retention policy: history is proposed for compaction by age, count and bytes, whichever leaves least, and never too early.
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { DEFAULT_RETENTION, initialMeta, Retention } from '../../src/kv/index.ts'
import type { Change, KvMeta, RetentionLimits } from '../../src/kv/index.ts'

const NEVER = 2 ** 50
const unlimited: RetentionLimits = { ageMs: NEVER, revisions: NEVER, bytes: NEVER }

/** A store that is written to, one change an entry. */
class Store {
  meta: KvMeta = initialMeta()
  readonly retention: Retention

  constructor(limits: Partial<RetentionLimits>) {
    this.retention = new Retention({ ...unlimited, ...limits }, this.meta)
  }

  write(times: number, { everyMs = 0, valueBytes = 0 }: { everyMs?: number; valueBytes?: number } = {}): void {
    for (let n = 0; n < times; n++) {
      const { revision, clusterTimeMs } = this.meta
      this.meta = { ...this.meta, revision: revision + 1, clusterTimeMs: clusterTimeMs + everyMs }
      this.retention.observe(this.meta, [changeOf(valueBytes)])
    }
  }

  wait(ms: number): void {
    this.meta = { ...this.meta, clusterTimeMs: this.meta.clusterTimeMs + ms }
    this.retention.observe(this.meta, [])
  }

  compact(): void {
    const target = this.retention.compactTarget()
    if (target === undefined) return
    this.meta = { ...this.meta, compactRevision: target }
    this.retention.observe(this.meta, [])
  }
}

function changeOf(valueBytes: number): Change {
  const record = { key: 'k', value: Buffer.alloc(valueBytes), contentType: '' }
  return { record } as unknown as Change
}

describe('retention', () => {
  test('keeps an hour, a million revisions or 512 MiB unless told otherwise', () => {
    expect(DEFAULT_RETENTION).toEqual({ ageMs: 3_600_000, revisions: 1_000_000, bytes: 536_870_912 })
  })

  test('proposes nothing while all limits are far', () => {
    const store = new Store({ ageMs: 1000, revisions: 100, bytes: 100_000 })
    store.write(50, { everyMs: 1 })
    expect(store.retention.compactTarget()).toBeUndefined()
  })

  test('by age keeps what was current within the age', () => {
    const store = new Store({ ageMs: 1000 })
    store.write(10, { everyMs: 50 })
    const { revision } = store.meta
    store.wait(999)
    expect(store.retention.compactTarget()).toBeLessThan(revision)
    store.wait(1)
    expect(store.retention.compactTarget()).toBe(revision)
  })

  test('by count keeps that many revisions, and little more', () => {
    const store = new Store({ revisions: 1_000 })
    store.write(5_000)
    const kept = store.meta.revision - store.retention.compactTarget()!
    expect(kept).toBeGreaterThanOrEqual(1_000)
    expect(kept).toBeLessThanOrEqual(1_008)
  })

  test('by bytes keeps that many, and little more', () => {
    const store = new Store({ bytes: 1_000_000 })
    store.write(5_000, { valueBytes: 1_000 })
    const kept = (store.meta.revision - store.retention.compactTarget()!) * 1_065
    expect(kept).toBeGreaterThanOrEqual(1_000_000)
    expect(kept).toBeLessThanOrEqual(1_010_000)
  })

  test('goes by the limit that leaves least', () => {
    const store = new Store({ ageMs: 10_000, revisions: 100, bytes: NEVER })
    store.write(1_000, { everyMs: 10 })
    expect(store.meta.revision - store.retention.compactTarget()!).toBeLessThanOrEqual(101)
  })

  test('proposes again only when more has passed', () => {
    const store = new Store({ revisions: 100 })
    store.write(200)
    store.compact()
    expect(store.meta.compactRevision).toBeGreaterThan(1)
    expect(store.retention.compactTarget()).toBeUndefined()
    store.write(10)
    expect(store.retention.compactTarget()).toBe(store.meta.compactRevision + 10)
  })

  test('starts from what a restarted node finds', () => {
    const meta = { ...initialMeta(), revision: 5_000, compactRevision: 4_000, clusterTimeMs: 77 }
    const retention = new Retention({ ...unlimited, ageMs: 1_000 }, meta)
    retention.observe({ ...meta, clusterTimeMs: 1_076 }, [])
    expect(retention.compactTarget()).toBeUndefined()
    retention.observe({ ...meta, clusterTimeMs: 1_077 }, [])
    expect(retention.compactTarget()).toBe(5_000)
  })

  test('never proposes more than it may, and never keeps more samples than its bound', () => {
    const step = fc.record({
      times: fc.nat(400),
      everyMs: fc.nat(20),
      valueBytes: fc.nat(2_000),
      isCompacted: fc.boolean(),
    })
    fc.assert(
      fc.property(fc.array(step, { maxLength: 20 }), (steps) => {
        const limits = { ageMs: 3_000, revisions: 700, bytes: 300_000 }
        const store = new Store(limits)
        for (const { times, everyMs, valueBytes, isCompacted } of steps) {
          store.write(times, { everyMs, valueBytes })
          const target = store.retention.compactTarget()
          if (target !== undefined) {
            expect(target).toBeGreaterThan(store.meta.compactRevision)
            expect(target).toBeLessThanOrEqual(store.meta.revision)
          }
          expect(store.retention.sampleCount).toBeLessThanOrEqual(3 * 257 + 1)
          if (isCompacted) store.compact()
        }
        // With the proposals carried out, no more than the count and its granularity stays.
        store.compact()
        expect(store.meta.revision - store.meta.compactRevision).toBeLessThanOrEqual(limits.revisions + 4)
      }),
    )
  })
})
