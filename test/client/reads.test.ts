// Reads of one turn in one request: each has its own answer, and none waits for what it would not wait for alone.
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { QuorateError } from '../../src/api/errors.ts'
import { WIRE_LIMITS } from '../../src/api/limits.ts'
import { Deadlines } from '../../src/client/deadlines.ts'
import { Gate } from '../../src/client/gate.ts'
import { Prng } from '../../src/lib/prng.ts'
import { VirtualClock } from '../support/virtual-clock.ts'
import { readsOf } from '../support/batch-answers.ts'
import { ModelCluster } from './model-cluster.ts'
import type { Fate } from './model-cluster.ts'

let cluster: ModelCluster
beforeEach(async () => {
  cluster = await ModelCluster.start()
})
afterEach(() => cluster[Symbol.asyncDispose]())

const keys = (count: number): string[] => Array.from({ length: count }, (_, at) => `k${at}`)

/** The next reads of a key are answered with this, one after the other. */
function failing(key: string, ...errors: QuorateError[]): void {
  const { node } = cluster
  const read = node.read.bind(node)
  node.read = (asked, options, done) => {
    const error = asked === key ? errors.shift() : undefined
    if (error === undefined) read(asked, options, done)
    else done(error)
  }
}

describe('the reads of one turn', () => {
  test('share one request, and each has its own answer', async () => {
    await using client = cluster.client()
    for (const key of keys(20)) await client.put(key, `value of ${key}`)
    const before = cluster.requests.length
    const entries = await Promise.all([...keys(20), 'gone'].map((key) => client.get(key)))
    expect(cluster.requests).toHaveLength(before + 1)
    expect(entries.map((entry) => entry?.text())).toEqual([...keys(20).map((key) => `value of ${key}`), undefined])
    expect(entries[3]).toMatchObject({ key: 'k3', version: 1, contentType: 'application/octet-stream' })
  })

  test('of many under random faults, each is answered with its own value', async () => {
    const seed = `reads ${Date.now()}`
    const prng = new Prng(seed)
    await using client = cluster.client({ timeoutMs: 20_000, readFrom: 'any' }, { seed })
    for (const key of keys(20)) await client.put(key, key)
    const fates: readonly [Fate, ...Fate[]] = ['answered', 'answered', 'lost answer', 'lost request', 'not sent']
    cluster.fate = () => prng.pick(fates)
    for (let round = 0; round < 10; round++) {
      const entries = await Promise.all(keys(20).map((key) => client.get(key)))
      expect(
        entries.map((entry) => entry?.text()),
        seed,
      ).toEqual(keys(20))
    }
  })

  test('do not fail with one of them, which is repeated alone if that helps', async () => {
    await using client = cluster.client()
    await client.put('k0', 'v')
    failing('k1', new QuorateError('NOT_READY', 'not yet'))
    const before = cluster.requests.length
    const again = await Promise.all(keys(3).map((key) => client.get(key)))
    expect(again.map((entry) => entry?.text())).toEqual(['v', undefined, undefined])
    const asked = cluster.requests.slice(before).map(({ body }) => readsOf(body).length)
    expect(asked).toEqual([3, 1])
    failing('k1', new QuorateError('INTERNAL', 'broken'))
    const [fine, failed] = await Promise.allSettled([client.get('k0'), client.get('k1')])
    expect(fine).toMatchObject({ status: 'fulfilled' })
    expect(failed).toMatchObject({ reason: { code: 'INTERNAL', outcome: 'not-applied', attempts: 1 } })
  })

  test('come in several answers where their values have no room in one', async () => {
    await using client = cluster.client()
    for (const key of keys(5)) await client.put(key, Buffer.alloc(WIRE_LIMITS.valueBytesMax, key))
    const before = cluster.batches
    const entries = await Promise.all(keys(5).map((key) => client.get(key)))
    for (const [at, key] of keys(5).entries()) expect(entries[at]!.text().startsWith(key)).toBe(true)
    expect(cluster.batches - before).toBe(3)
  })

  test('are apart where one would wait for what another would not', async () => {
    await using client = cluster.client({ timeoutMs: 300 })
    await client.put('k', 'v')
    cluster.requests.length = 0
    const { lastRevision } = client
    await Promise.allSettled([
      client.get('k'),
      client.get('k', { minRevision: lastRevision }),
      client.get('k', { consistency: 'stale' }),
      client.get('k', { maxStaleMs: 100 }),
      client.get('k', { consistency: 'stale', minRevision: lastRevision }),
      client.get('k', { minRevision: lastRevision + 1 }),
      client.get('k', { timeoutMs: 7_000 }),
    ])
    // The one that awaits what nobody has told of asks again and again, and holds up nobody.
    const asked = cluster.requests.slice(0, 5).map(({ body }) => readsOf(body).length)
    expect(asked).toEqual([2, 2, 1, 1, 1])
  })

  test('end one by one: by their signal, by their time, by the end of the client', async () => {
    const client = cluster.client()
    await client.put('k', 'v')
    cluster.node.isHolding = true
    const controller = new AbortController()
    const [given, closed, late] = [
      client.get('k', { signal: controller.signal }),
      client.get('k'),
      client.get('k', { timeoutMs: 30 }),
    ].map((call) => call.catch((error: unknown) => error))
    await expect(late).resolves.toMatchObject({ code: 'TIMEOUT', outcome: 'not-applied', retryable: true })
    controller.abort(new Error('enough'))
    await expect(given).resolves.toMatchObject({
      code: 'ABORTED',
      outcome: 'not-applied',
      cause: { message: 'enough' },
    })
    await client.close()
    await expect(closed).resolves.toMatchObject({ code: 'CLOSED', outcome: 'not-applied' })
  })
})

test('a call counts against the limit until its caller is told, and no longer', async () => {
  await using client = cluster.client({ inflightMax: 1 })
  for (let call = 0; call < 5; call++) {
    await client.put('k', String(call))
    expect((await client.get('k'))!.text()).toBe(String(call))
  }
  const [first, second] = await Promise.allSettled([client.get('k'), client.get('k')])
  expect(first.status).toBe('fulfilled')
  expect(second).toMatchObject({ reason: { code: 'OVERLOADED', outcome: 'not-applied' } })
})

describe('the gate', () => {
  test('lets two in at once, one more after a while, and never more than its bound', () => {
    const clock = new VirtualClock()
    let opened = 0
    const gate = new Gate(clock, 3, () => opened++)
    expect([gate.enter(), gate.enter(), gate.enter()]).toEqual([true, true, false])
    clock.advance(20)
    expect(opened).toBe(1)
    expect([gate.enter(), gate.enter()]).toEqual([true, false])
    clock.advance(1_000)
    expect([opened, gate.enter()]).toEqual([1, false])
    gate.leave()
    expect([opened, gate.enter()]).toEqual([2, true])
    for (let request = 0; request < 3; request++) gate.leave()
    expect(gate.isIdle).toBe(true)
  })
})

describe('deadlines', () => {
  test('are told once each, in time, whoever else came and went', () => {
    const clock = new VirtualClock()
    const told: number[] = []
    const deadlines = new Deadlines<{ deadlineMs: number; place: number; late(): void }>(clock)
    const wait = (deadlineMs: number) => {
      const waiting = {
        deadlineMs: clock.now() + deadlineMs,
        place: -1,
        late: () => {
          told.push(deadlineMs)
          deadlines.delete(waiting)
        },
      }
      deadlines.add(waiting)
      return waiting
    }
    const first = wait(50)
    for (const deadlineMs of [100, 30, 70]) wait(deadlineMs)
    deadlines.delete(first)
    clock.advance(29)
    expect(told).toEqual([])
    clock.advance(1)
    expect(told).toEqual([30])
    clock.advance(70)
    expect(told).toEqual([30, 70, 100])
    expect(deadlines.size).toBe(0)
    wait(10)
    clock.advance(10)
    expect(told).toEqual([30, 70, 100, 10])
  })
})
