// The queue of what expires: in order whatever is done to it, and no larger than what lives.
import { describe, expect, test } from 'vitest'
import { ExpiryQueue } from '../../src/kv/expiry-queue.ts'
import type { Expiring } from '../../src/kv/expiry-queue.ts'
import { Prng } from '../../src/lib/prng.ts'

const item = (id: number, expiresAtMs: number): Expiring => ({
  id: id.toString(16).padStart(16, '0'),
  expiresAtMs,
  isGone: false,
  queuedAtMs: undefined,
})

function dueOf(queue: ExpiryQueue<Expiring>, nowMs: number): Expiring[] {
  const due: Expiring[] = []
  queue.due(nowMs, (found) => due.push(found) > 0)
  return due
}

describe('the queue of what expires', () => {
  test('keeps no more than a few places of what ended long before its time', () => {
    const queue = new ExpiryQueue<Expiring>()
    const living = Array.from({ length: 100 }, (_, id) => item(id, 1_000_000 + id))
    for (const each of living) queue.track(each)
    for (let id = 0; id < 50_000; id++) {
      const brief = item(1_000 + id, 10_000_000 + id)
      queue.track(brief)
      brief.isGone = true
    }
    expect(queue.size).toBeLessThan(2_000)
    expect(dueOf(queue, 2_000_000)).toEqual(living)
  })

  test('what is shortened and lengthened again and again has no more than a few places', () => {
    const queue = new ExpiryQueue<Expiring>()
    const one = item(1, 10_000_000)
    queue.track(one)
    for (let round = 0; round < 5_000; round++) {
      one.expiresAtMs = 1_000 + 2 * round
      queue.track(one)
      one.expiresAtMs = 10_000_000 + round
      queue.track(one)
      expect(queue.nextMs).toBe(10_000_000 + round)
    }
    expect(queue.size).toBeLessThan(2_000)
    expect(dueOf(queue, 20_000_000)[0]).toBe(one)
  })

  test('what is back after it was gone is due as before', () => {
    const queue = new ExpiryQueue<Expiring>()
    const one = item(0, 500)
    queue.track(one)
    one.isGone = true
    for (let id = 1; id <= 5_000; id++) queue.track(item(id, 1_000 + id))
    one.isGone = false
    queue.track(one)
    expect(queue.nextMs).toBe(500)
    expect(dueOf(queue, 500)).toEqual([one])
  })

  test('finds what is due, as a list that is looked through does', () => {
    const seed = Math.floor(Math.random() * 2 ** 32)
    const prng = new Prng(seed)
    const queue = new ExpiryQueue<Expiring>()
    const all: Expiring[] = []
    for (let step = 0; step < 20_000; step++) {
      const fresh = item(step, prng.below(5_000))
      const known = all[prng.below(all.length + 1)]
      if (known === undefined || prng.below(4) === 0) {
        all.push(fresh)
        queue.track(fresh)
      } else if (prng.below(2) === 0) known.isGone = true
      else {
        known.isGone = false
        known.expiresAtMs = prng.below(5_000)
        queue.track(known)
      }
      if (step % 500 !== 0) continue
      const nowMs = prng.below(5_000)
      const expected = all.filter((each) => !each.isGone && each.expiresAtMs <= nowMs).map(({ id }) => id)
      const found = new Set(dueOf(queue, nowMs).map(({ id }) => id))
      expect([...found].sort(), `seed ${seed}`).toEqual(expected.sort())
    }
  })
})
