// Locks and elections over HTTP: queueing, giving up, looking, releasing, proclaiming and observing.
import { describe, expect, it } from 'vitest'
import type { CommandResult } from '../../src/api/commands.ts'
import { QuorateError } from '../../src/api/errors.ts'
import type { LockPlace } from '../../src/node/facade.ts'
import { eventually, expectInjectedProblem, listenBench, openBench } from './harness.ts'
import type { Bench } from './harness.ts'

const LEASE = '00000000000000ff'
const held: CommandResult = { kind: 'lock', revision: 3, token: 1_234, lease: LEASE, isHeld: true }

const place = (token: number, owner = '', value = ''): LockPlace => ({
  token,
  lease: LEASE,
  owner,
  value: Buffer.from(value),
})

const post = (bench: Bench, url: string, document: object) =>
  bench.app.server.inject({ method: 'POST', url, payload: JSON.stringify(document) })

describe('a lock', () => {
  it('is queued for, and answered with its fencing token', async () => {
    const bench = openBench({ newLeaseId: () => LEASE })
    bench.node.script = () => held
    const answer = await post(bench, '/v1/locks/jobs/42%ff?timeout=1s', { ttl: '15s', wait: '10s', owner: 'me' })
    expect([answer.statusCode, answer.json()]).toEqual([200, { token: 1_234, lease: LEASE }])
    const { command, timeoutMs } = bench.node.acquisitions[0]!
    expect([command, timeoutMs]).toEqual([
      {
        op: 'lock',
        kind: 'lock',
        name: 'jobs/42\xff',
        lease: LEASE,
        ttlMs: 15_000,
        waitMs: 10_000,
        owner: 'me',
        value: new Uint8Array(0),
      },
      1_000,
    ])
    await post(bench, '/v1/locks/a', { ttl: 15 })
    expect(bench.node.acquisitions[1]!.command).toMatchObject({ waitMs: 0, owner: '' })
  })

  it('is 423 when others hold it all the while', async () => {
    const bench = openBench()
    const refused = { kind: 'refused', revision: 3, reason: 'locked' } as const
    for (const result of [refused, { ...held, isHeld: false }]) {
      bench.node.script = () => result
      const answer = await post(bench, '/v1/locks/a', { ttl: 1, wait: 1 })
      expect(expectInjectedProblem(answer, 423, 'LOCKED').outcome).toBe('not-applied')
    }
    bench.node.script = () => ({ kind: 'refused', revision: 3, reason: 'queue-full' })
    expectInjectedProblem(await post(bench, '/v1/locks/a', { ttl: 1 }), 429, 'OVERLOADED')
    bench.node.failure = new QuorateError('TIMEOUT', 'For a test.')
    expect(expectInjectedProblem(await post(bench, '/v1/locks/a', { ttl: 1 }), 504, 'TIMEOUT').outcome).toBe('unknown')
  })

  it('is given up when the client goes away', async () => {
    const bench = await listenBench()
    const connection = await bench.connect()
    const body = '{"ttl":"15s","wait":"10s"}'
    const head = `POST /v1/locks/a HTTP/1.1\r\nHost: localhost:${bench.port}\r\nContent-Length: ${body.length}\r\n\r\n`
    connection.send(head + body)
    await eventually(() => bench.node.acquisitions.length).toBe(1)
    connection.close()
    await eventually(() => bench.node.acquisitions[0]!.isAbandoned).toBe(true)
  })

  it('shows its holder and its queue', async () => {
    const bench = openBench()
    const url = '/v1/locks/a%ff'
    expect((await bench.app.server.inject(url)).json()).toEqual({ name64: 'Yf8', holder: null, queue: [] })
    bench.node.locks.set('lock/a\xff', { holder: place(3, 'me'), queue: [place(5, 'you')] })
    expect((await bench.app.server.inject(url)).json()).toEqual({
      name64: 'Yf8',
      holder: { token: 3, lease: LEASE, owner: 'me' },
      queue: [{ token: 5, lease: LEASE, owner: 'you' }],
    })
  })

  it('is released with its token, or not at all', async () => {
    const bench = openBench()
    bench.node.script = () => ({ kind: 'unlocked', revision: 9, wasHeld: true })
    const answer = await bench.app.server.inject({ method: 'DELETE', url: '/v1/locks/a?token=1234' })
    expect([answer.statusCode, answer.json()]).toEqual([200, { wasHeld: true, revision: 9 }])
    expect(bench.node.writes[0]!.command).toEqual({ op: 'unlock', kind: 'lock', name: 'a', token: 1_234 })
    for (const query of ['', '?token', '?token=0', '?token=x', '?token=1&x'])
      expectInjectedProblem(
        await bench.app.server.inject({ method: 'DELETE', url: `/v1/locks/a${query}` }),
        400,
        'BAD_PARAMETER',
      )
    bench.node.script = () => ({ kind: 'refused', revision: 9, reason: 'token-not-found' })
    const gone = await bench.app.server.inject({ method: 'DELETE', url: '/v1/locks/a?token=9' })
    expectInjectedProblem(gone, 404, 'NOT_FOUND')
  })

  it('refuses what makes no sense', async () => {
    const bench = openBench()
    for (const document of [
      {},
      { ttl: 0 },
      { ttl: 1, wait: '25h' },
      { ttl: 1, owner: 'x'.repeat(257) },
      { ttl: 1, value: '' },
    ])
      expectInjectedProblem(await post(bench, '/v1/locks/a', document), 400, 'BAD_REQUEST')
    for (const name of ['', '%zz', 'a'.repeat(1_025)])
      for (const kind of ['locks', 'elections'])
        expectInjectedProblem(await post(bench, `/v1/${kind}/${name}`, { ttl: 1 }), 400, 'BAD_REQUEST')
    expect(bench.node.acquisitions).toEqual([])
  })
})

describe('an election', () => {
  it('is campaigned in with a value, and proclaimed anew', async () => {
    const bench = openBench()
    bench.node.script = (command) => (command.op === 'proclaim' ? { kind: 'proclaimed', revision: 4 } : held)
    const won = await post(bench, '/v1/elections/a', { ttl: '15s', value: 'http://me', wait: '1m' })
    expect([won.statusCode, won.json()]).toEqual([200, { token: 1_234, lease: LEASE }])
    const campaign = { kind: 'election', name: 'a', value: Buffer.from('http://me'), waitMs: 60_000 }
    expect(bench.node.acquisitions[0]!.command).toMatchObject(campaign)
    const proclaimed = await post(bench, '/v1/elections/a?token=1234', { value64: '_w' })
    expect([proclaimed.statusCode, proclaimed.json()]).toEqual([200, { revision: 4 }])
    const command = { op: 'proclaim', name: 'a', token: 1_234, value: Buffer.from([0xff]) }
    expect(bench.node.writes[0]!.command).toEqual(command)
    expectInjectedProblem(await post(bench, '/v1/elections/a?token=1', { value: 'x', ttl: 1 }), 400, 'BAD_REQUEST')
    expectInjectedProblem(await post(bench, '/v1/elections/a?token=1', {}), 400, 'BAD_REQUEST')
    expectInjectedProblem(
      await post(bench, '/v1/elections/a', { ttl: 1, value: 'x'.repeat(4_097) }),
      400,
      'BAD_REQUEST',
    )
  })

  it('names its leader, and is resigned from', async () => {
    const bench = openBench()
    const url = '/v1/elections/a'
    expect((await bench.app.server.inject(url)).json()).toEqual({ name: 'a', leader: null, candidates: 0 })
    bench.node.locks.set('election/a', { holder: place(3, 'me', 'v'), queue: [place(5)] })
    const leader = { token: 3, lease: LEASE, owner: 'me', value: 'v' }
    expect((await bench.app.server.inject(`${url}?watch=false`)).json()).toEqual({ name: 'a', leader, candidates: 2 })
    bench.node.script = () => ({ kind: 'unlocked', revision: 9, wasHeld: false })
    const resigned = await bench.app.server.inject({ method: 'DELETE', url: `${url}?token=5` })
    expect(resigned.json()).toEqual({ wasHeld: false, revision: 9 })
    expect(bench.node.writes[0]!.command).toMatchObject({ op: 'unlock', kind: 'election', token: 5 })
  })

  it('is observed: each leader as it comes, in both formats, until the end of either side', async () => {
    const bench = await listenBench()
    const observe = async (accept: string) => {
      const connection = await bench.connect()
      connection.send(
        `GET /v1/elections/a?watch HTTP/1.1\r\nHost: localhost:${bench.port}\r\nAccept: ${accept}\r\n\r\n`,
      )
      expect((await connection.head()).status).toBe(200)
      return connection
    }
    const events = await observe('*/*')
    const lines = await observe('application/x-ndjson')
    for (const observation of bench.node.observations) observation.onHolder(place(3, 'me', 'v'), 7)
    const none = '{"leader":null,"revision":1}'
    const some = `{"leader":{"token":3,"lease":"${LEASE}","owner":"me","value":"v"},"revision":7}`
    expect(await events.streamed('"v"')).toBe(`event: leader\ndata: ${none}\n\nevent: leader\ndata: ${some}\n\n`)
    expect(await lines.streamed('"v"')).toContain(`\n{"event":"leader",${some.slice(1)}\n`)
    events.close()
    await eventually(() => bench.node.observations[0]!.isCancelled).toBe(true)
    bench.app.drain()
    await lines.streamEnd()
    expect(bench.node.observations[1]!.isCancelled).toBe(true)
    // Behind a read index: another node may have told of a later leader already.
    expect(bench.node.inspections).toMatchObject([{ consistency: 'linearizable' }, { consistency: 'linearizable' }])
    const lonely = openBench()
    lonely.node.failure = new QuorateError('NO_LEADER', 'For a test.')
    expectInjectedProblem(await lonely.app.server.inject('/v1/elections/a?watch'), 503, 'NO_LEADER')
    expect(lonely.node.observations).toEqual([])
    const full = openBench()
    full.node.observe = () => {
      throw new QuorateError('OVERLOADED', 'For a test.')
    }
    expectInjectedProblem(await full.app.server.inject('/v1/elections/a?watch'), 429, 'OVERLOADED')
  })
})
