// Deadlines, pauses, abort and closing, in simulated time: what ends a call, when, and what it then says.
import { describe, expect, test } from 'vitest'
import { Client, ClientError, TransportError } from '../../src/client/index.ts'
import type { ClientClock } from '../../src/client/index.ts'
import { Prng } from '../../src/lib/prng.ts'
import { FakeTransport, healthyNode, neverAnswers, problemAnswer } from '../support/fake-transport.ts'
import type { FakeEndpoint } from '../support/fake-transport.ts'
import { VirtualClock } from '../support/virtual-clock.ts'

const A = 'http://a:1'
const B = 'http://b:1'
const cluster = { leader: 'a', term: 1 }

function setUp(endpoints: Readonly<Record<string, FakeEndpoint>>, urls: readonly string[] = Object.keys(endpoints)) {
  const clock = new VirtualClock()
  const transport = new FakeTransport(endpoints)
  const client = new Client({ sessions: false, endpoints: urls }, { transport, clock, prng: new Prng('call tests') })
  return { clock, transport, client }
}

/** Lets time pass until the call is settled; gives what it rejected with and how long it took. */
async function failureOf(clock: VirtualClock, call: Promise<unknown>): Promise<{ error: ClientError; tookMs: number }> {
  const startedMs = clock.now()
  const settled: unknown[] = []
  call.then(
    (value) => settled.push({ value }),
    (error: unknown) => settled.push(error),
  )
  await clock.drain()
  while (settled.length === 0) {
    clock.advance(1)
    await clock.drain()
  }
  expect(settled[0]).toBeInstanceOf(ClientError)
  return { error: settled[0] as ClientError, tookMs: clock.now() - startedMs }
}

describe('the deadline', () => {
  test('H8: a write without an answer ends at the deadline, unknown, after one attempt', async () => {
    const { clock, client, transport } = setUp({ [A]: neverAnswers, [B]: neverAnswers })
    const { error, tookMs } = await failureOf(clock, client.put('k', 'v', { timeoutMs: 3_000 }))
    expect(error).toMatchObject({ code: 'TIMEOUT', outcome: 'unknown', retryable: true, attempts: 1 })
    expect(error.message).toMatch(/may or may not have been applied/)
    expect(tookMs).toBeCloseTo(3_000, -1)
    expect(transport.requests).toHaveLength(1)
  })

  test('a read does not spend all its time on one silent node', async () => {
    const { clock, client, transport } = setUp({ [A]: neverAnswers, [B]: healthyNode('b', cluster) })
    // Whichever comes first by lot, a few reads meet the silent one.
    for (let read = 0; read < 5; read++) {
      const answer = client.get('k', { timeoutMs: 3_000 })
      await clock.drain()
      clock.advance(1_000)
      await clock.drain()
      expect((await answer)?.text()).toBe('hello')
    }
    expect(transport.requests.some(({ endpoint }) => endpoint === A)).toBe(true)
  })

  test('reads that nobody answers end at the deadline as a timeout that changed nothing', async () => {
    const { clock, client } = setUp({ [A]: neverAnswers, [B]: neverAnswers })
    const { error, tookMs } = await failureOf(clock, client.get('k', { timeoutMs: 6_000 }))
    expect(error).toMatchObject({ code: 'TIMEOUT', outcome: 'not-applied', attempts: 3 })
    expect(tookMs).toBeCloseTo(6_000, -1)
  })

  test('every attempt tells the node a time shorter than its own', async () => {
    const { client, transport } = setUp({ [A]: healthyNode('a', cluster) })
    await client.put('k', 'v', { timeoutMs: 2_000 })
    await client.put('k', 'v', { timeoutMs: 10 })
    await client.put('k', 'v', { timeoutMs: 1 })
    const told = transport.requests.map(({ path }) => Number(/timeout=(\d+)ms/.exec(path)?.[1]))
    expect(told).toEqual([1_800, 9, 1])
  })

  test('a pause that would outlast the deadline is not begun: the caller learns the reason at once', async () => {
    const { clock, client } = setUp({ [A]: problemAnswer('OVERLOADED', 429, { retryAfterMs: 60_000 }) })
    const { error, tookMs } = await failureOf(clock, client.put('k', 'v'))
    expect(error).toMatchObject({
      code: 'OVERLOADED',
      outcome: 'not-applied',
      retryable: true,
      status: 429,
      attempts: 1,
    })
    expect(tookMs).toBe(0)
  })

  test('the reason is told, not the deadline, when attempts kept failing', async () => {
    const { clock, client } = setUp({ [A]: problemAnswer('NO_LEADER', 503, { retryAfterMs: 100 }) })
    const { error, tookMs } = await failureOf(clock, client.put('k', 'v', { timeoutMs: 1_000 }))
    expect(error).toMatchObject({ code: 'NO_LEADER', outcome: 'not-applied' })
    expect(error.attempts).toBeGreaterThan(3)
    expect(error.attempts).toBeLessThan(11)
    expect(tookMs).toBeLessThanOrEqual(1_000)
  })

  test('the reason is told when the deadline ends an attempt that had sent nothing yet', async () => {
    let attempts = 0
    const refusesOnce: FakeEndpoint = ({ cancellation }) => {
      if (attempts++ === 0) throw new TransportError('not-sent', `${A} refuses connections`)
      return new Promise((_resolve, reject) => {
        cancellation.onCancel = () => reject(new TransportError('not-sent', 'given up'))
      })
    }
    const { clock, client } = setUp({ [A]: refusesOnce })
    const { error } = await failureOf(clock, client.put('k', 'v', { timeoutMs: 1_000 }))
    expect(error).toMatchObject({ code: 'UNAVAILABLE', outcome: 'not-applied', attempts: 2 })
    expect(error.message).toMatch(/refuses connections/)
  })

  test('a dead cluster costs a caller few attempts', async () => {
    const { clock, client, transport } = setUp({}, [A, B])
    await failureOf(clock, client.get('k', { timeoutMs: 60_000 }))
    expect(transport.requests.length).toBeLessThan(150)
  })
})

describe('giving up', () => {
  test('an aborted signal stops a call before anything is sent', async () => {
    const { clock, client, transport } = setUp({ [A]: healthyNode('a', cluster) })
    const reason = new Error('not any more')
    const { error } = await failureOf(clock, client.put('k', 'v', { signal: AbortSignal.abort(reason) }))
    expect(error).toMatchObject({ code: 'ABORTED', outcome: 'not-applied', attempts: 0, cause: reason })
    expect(transport.requests).toHaveLength(0)
  })

  test('H8: a write that is aborted under way is unknown, a read is not', async () => {
    const { clock, client } = setUp({ [A]: neverAnswers })
    for (const [call, outcome] of [
      [(signal: AbortSignal) => client.put('k', 'v', { signal }), 'unknown'],
      [(signal: AbortSignal) => client.get('k', { signal }), 'not-applied'],
    ] as const) {
      const controller = new AbortController()
      clock.after(5, () => controller.abort())
      const { error, tookMs } = await failureOf(clock, call(controller.signal))
      expect(error).toMatchObject({ code: 'ABORTED', outcome, attempts: 1 })
      expect(tookMs).toBe(5)
    }
  })

  test('an abort during a pause ends the call at once, not applied', async () => {
    const { clock, client } = setUp({ [A]: problemAnswer('NO_LEADER', 503, { retryAfterMs: 2_000 }) })
    const controller = new AbortController()
    clock.after(50, () => controller.abort())
    const { error, tookMs } = await failureOf(clock, client.put('k', 'v', { signal: controller.signal }))
    expect(error).toMatchObject({ code: 'ABORTED', outcome: 'not-applied', attempts: 1 })
    expect(tookMs).toBe(50)
  })

  test('closing ends the calls in flight and refuses new ones', async () => {
    const { clock, client, transport } = setUp({ [A]: neverAnswers })
    const write = client.put('k', 'v')
    await clock.drain()
    await client.close()
    await expect(write).rejects.toMatchObject({ code: 'CLOSED', outcome: 'unknown' })
    await expect(client.get('k')).rejects.toMatchObject({ code: 'CLOSED', outcome: 'not-applied', attempts: 0 })
    expect(transport.isClosed).toBe(true)
    await client.close()
  })

  test('await using closes the client', async () => {
    const transport = new FakeTransport({ [A]: healthyNode('a', cluster) })
    {
      await using client = new Client({ sessions: false, endpoints: A }, { transport })
      await client.put('k', 'v')
    }
    expect(transport.isClosed).toBe(true)
  })

  test('a call leaves no timer and no listener behind', async () => {
    let open = 0
    const clock: ClientClock = {
      now: () => 0,
      after: () => (open++, { cancel: () => open-- }),
    }
    const client = new Client(
      { endpoints: A, sessions: false },
      { transport: new FakeTransport({ [A]: healthyNode('a', cluster) }), clock },
    )
    const controller = new AbortController()
    const added: string[] = []
    const removed: string[] = []
    const { signal } = controller
    const add = signal.addEventListener.bind(signal)
    const remove = signal.removeEventListener.bind(signal)
    signal.addEventListener = (...args: Parameters<typeof add>) => (added.push(args[0]), add(...args))
    signal.removeEventListener = (...args: Parameters<typeof remove>) => (removed.push(args[0]), remove(...args))
    await client.put('k', 'v', { signal })
    expect(removed).toEqual(added)
    expect(open).toBe(0)
  })

  test('calls beyond the limit are refused before anything is sent', async () => {
    const transport = new FakeTransport({ [A]: neverAnswers })
    const client = new Client(
      { sessions: false, endpoints: A, inflightMax: 2 },
      { transport, clock: new VirtualClock() },
    )
    const calls = [client.get('1'), client.get('2')].map((call) => call.catch((error: unknown) => error))
    await expect(client.put('3', 'v')).rejects.toMatchObject({
      code: 'OVERLOADED',
      outcome: 'not-applied',
      attempts: 0,
    })
    await client.close()
    await Promise.all(calls)
  })
})

/** What a client with seed 7 asks of a cluster in trouble. */
async function trace(): Promise<string[]> {
  const clock = new VirtualClock()
  const transport = new FakeTransport({ [A]: problemAnswer('NO_LEADER', 503, {}), [B]: neverAnswers })
  const client = new Client(
    { sessions: false, endpoints: [A, B, 'http://c:1'] },
    { transport, clock, prng: new Prng(7) },
  )
  await failureOf(clock, client.get('k', { timeoutMs: 4_000 }))
  await failureOf(clock, client.put('k', 'v', { timeoutMs: 4_000 }))
  return transport.requests.map(({ endpoint, path }) => `${endpoint} ${path}`)
}

test('the same seed and the same world make the same requests', async () => {
  expect(await trace()).toEqual(await trace())
})

test('many calls may share one signal', async () => {
  const { clock, client } = setUp({ [A]: neverAnswers })
  const controller = new AbortController()
  const warnings: Error[] = []
  const onWarning = (warning: Error): void => void warnings.push(warning)
  process.on('warning', onWarning)
  const calls = Array.from({ length: 30 }, (_, at) => client.get(`k${at}`, { signal: controller.signal }))
  const codes = Promise.all(calls.map((call) => call.catch((error: unknown) => (error as ClientError).code)))
  await clock.drain()
  controller.abort()
  expect(new Set(await codes)).toEqual(new Set(['ABORTED']))
  await clock.drain()
  process.off('warning', onWarning)
  expect(warnings).toEqual([])
})
