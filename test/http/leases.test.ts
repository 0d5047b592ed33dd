// Leases over HTTP, keys that die with one, counters, and fences.
import { describe, expect, it } from 'vitest'
import type { CommandResult } from '../../src/api/commands.ts'
import { expectInjectedProblem, openBench } from './harness.ts'
import type { Bench } from './harness.ts'

const LEASE = '00000000000000ff'

const post = (bench: Bench, url: string, document?: object) =>
  bench.app.server.inject({
    method: 'POST',
    url,
    ...(document === undefined ? {} : { payload: JSON.stringify(document) }),
  })

const scripted = (result: CommandResult): Bench => {
  const bench = openBench()
  bench.node.script = () => result
  return bench
}

describe('a lease', () => {
  it('is granted for a time, with an id of its own or the caller’s', async () => {
    const bench = openBench()
    bench.node.script = (command) =>
      command.op === 'lease-grant'
        ? { kind: 'lease', revision: 1, lease: command.lease, ttlMs: command.ttlMs }
        : undefined
    const granted = await post(bench, '/v1/leases', { ttl: '30s' })
    expect([granted.statusCode, granted.json()]).toEqual([
      201,
      { id: expect.stringMatching(/^[0-7][0-9a-f]{15}$/) as string, ttlMs: 30_000 },
    ])
    expect((await post(bench, '/v1/leases', { ttl: 5, id: LEASE })).json()).toEqual({ id: LEASE, ttlMs: 5_000 })
    for (const document of [{}, { ttl: 0 }, { ttl: '3651d' }, { ttl: '30x' }, { ttl: 1, id: 'FF' }, { ttl: 1, x: 1 }])
      expectInjectedProblem(await post(bench, '/v1/leases', document), 400, 'BAD_REQUEST')
    const taken = scripted({ kind: 'refused', revision: 1, reason: 'lease-exists' })
    expectInjectedProblem(await post(taken, '/v1/leases', { ttl: 1, id: LEASE }), 409, 'CONFLICT')
    const full = scripted({ kind: 'refused', revision: 1, reason: 'too-many-leases' })
    const answer = expectInjectedProblem(await post(full, '/v1/leases', { ttl: 1 }), 429, 'OVERLOADED')
    expect(answer).toMatchObject({ outcome: 'not-applied', retryAfterMs: 100 })
  })

  it('is kept alive, or gone', async () => {
    const bench = scripted({ kind: 'lease', revision: 1, lease: LEASE, ttlMs: 30_000 })
    const alive = await post(bench, `/v1/leases/${LEASE}/keepalive`)
    expect([alive.statusCode, alive.json()]).toEqual([200, { ttlMs: 30_000 }])
    expect(bench.node.writes[0]!.command).toEqual({ op: 'lease-keep-alive', lease: LEASE })
    const gone = scripted({ kind: 'refused', revision: 1, reason: 'lease-not-found' })
    expectInjectedProblem(await post(gone, `/v1/leases/${LEASE}/keepalive`), 404, 'LEASE_NOT_FOUND')
  })

  it('is revoked with its keys, in one revision', async () => {
    const bench = scripted({ kind: 'lease-revoked', revision: 8, count: 3 })
    const answer = await bench.app.server.inject({ method: 'DELETE', url: `/v1/leases/${LEASE}` })
    expect([answer.statusCode, answer.json()]).toEqual([200, { deleted: 3, revision: 8 }])
  })

  it('can be looked at, alone or with all others', async () => {
    const bench = openBench()
    bench.node.leaseInfos.push({ lease: LEASE, ttlMs: 30_000, remainingMs: 900, keys: ['a', '\xff'] })
    const seen = { id: LEASE, ttlMs: 30_000, remainingMs: 900, keyCount: 2 }
    const one = await bench.app.server.inject(`/v1/leases/${LEASE}?consistency=stale`)
    expect(one.json()).toEqual({ ...seen, keys: ['a'], keys64: ['_w'] })
    expect(one.headers).toMatchObject({ 'quorate-staleness-ms': '0', 'cache-control': 'no-store' })
    expect(bench.node.inspections.at(-1)).toMatchObject({ consistency: 'stale' })
    expect((await bench.app.server.inject('/v1/leases')).json()).toEqual({ leases: [seen], more: false })
    expectInjectedProblem(await bench.app.server.inject('/v1/leases/00000000000000fe'), 404, 'LEASE_NOT_FOUND')
    const ids = ['x', 'ff', '00000000000000FF', '0000000000000000', '8000000000000000', '']
    for (const id of ids) expectInjectedProblem(await bench.app.server.inject(`/v1/leases/${id}`), 400, 'BAD_REQUEST')
  })
})

describe('the list of leases', () => {
  it('has all of them', async () => {
    const bench = openBench()
    for (let at = 1; at <= 1_500; at++) {
      const lease = at.toString(16).padStart(16, '0')
      bench.node.leaseInfos.push({ lease, ttlMs: 1_000, remainingMs: 900, keys: [] })
    }
    const { leases, more } = (await bench.app.server.inject('/v1/leases')).json<{ leases: unknown[]; more: boolean }>()
    expect([leases.length, more]).toEqual([1_500, false])
  })

  it('comes in pages where a limit is given, by id', async () => {
    const bench = openBench()
    const ids = [1, 2, 3].map((at) => at.toString(16).padStart(16, '0'))
    for (const lease of ids) bench.node.leaseInfos.push({ lease, ttlMs: 1_000, remainingMs: 900, keys: [] })
    const page = async (query: string) => {
      const answer = (await bench.app.server.inject(`/v1/leases?${query}`)).json<{
        leases: { id: string }[]
        more: boolean
        cursor?: string
      }>()
      return { ids: answer.leases.map(({ id }) => id), more: answer.more, cursor: answer.cursor }
    }
    const first = await page('limit=2')
    expect(first).toEqual({ ids: ids.slice(0, 2), more: true, cursor: ids[1] })
    expect(await page(`limit=2&cursor=${first.cursor}`)).toEqual({ ids: ids.slice(2), more: false, cursor: undefined })
    expect((await page('limit=3')).more).toBe(false)
    for (const wrong of ['limit=0', 'limit=1001', 'cursor=x', 'cursor', 'after=1'])
      expectInjectedProblem(await bench.app.server.inject(`/v1/leases?${wrong}`), 400, 'BAD_PARAMETER')
  })
})

const put = (bench: Bench, query: string) =>
  bench.app.server.inject({ method: 'PUT', url: `/v1/kv/a?${query}`, payload: 'x' })

describe('a key with an end', () => {
  it.each([
    ['ttl=30s', { ttlMs: 30_000 }],
    ['ttl=500ms', { ttlMs: 500 }],
    ['ttl=2', { ttlMs: 2_000 }],
    ['ttl=3m', { ttlMs: 180_000 }],
    ['ttl=1h', { ttlMs: 3_600_000 }],
    ['ttl=1d', { ttlMs: 86_400_000 }],
    [`lease=${LEASE}`, { lease: LEASE }],
    ['fence=jobs/42:7', { fence: { lock: 'jobs/42', token: 7 } }],
    ['fence=a:b:7&ttl=1s', { fence: { lock: 'a:b', token: 7 }, ttlMs: 1_000 }],
    ['fence=%C3%BC:7', { fence: { lock: '\xc3\xbc', token: 7 } }],
  ])('is put with ?%s', async (query, expected) => {
    const bench = openBench()
    expect((await put(bench, query)).statusCode).toBe(201)
    const {
      op: _,
      key: __,
      value: ___,
      contentType: ____,
      condition: _____,
      wantsPrevious: ______,
      ...rest
    } = bench.node.writes[0]!.command as unknown as Record<string, unknown>
    expect(rest).toEqual(expected)
  })

  it('names its lease and what is left, in headers and in JSON', async () => {
    const bench = openBench()
    await put(bench, `lease=${LEASE}`)
    bench.node.leaseInfos.push({ lease: LEASE, ttlMs: 30_000, remainingMs: 900, keys: ['a'] })
    const lasting = { 'quorate-lease': LEASE, 'quorate-ttl-ms': '900' }
    expect((await bench.app.server.inject('/v1/kv/a')).headers).toMatchObject(lasting)
    const known = { url: '/v1/kv/a', headers: { 'if-none-match': '"2"' } }
    expect((await bench.app.server.inject(known)).headers).toMatchObject(lasting)
    const past = await bench.app.server.inject('/v1/kv/a?revision=2')
    expect(past.headers['quorate-lease']).toBe(LEASE)
    expect(past.headers).not.toHaveProperty('quorate-ttl-ms')
  })

  it.each([
    ['fenced', 412, 'PRECONDITION_FAILED'],
    ['lease-not-found', 404, 'LEASE_NOT_FOUND'],
    ['lease-full', 409, 'LEASE_FULL'],
  ] as const)('is refused as %s', async (reason, status, code) => {
    const bench = scripted({ kind: 'refused', revision: 1, reason })
    expectInjectedProblem(await put(bench, 'fence=a:7'), status, code)
  })
})

describe('a counter', () => {
  it('is added to, from 0 when absent', async () => {
    const bench = openBench()
    const first = await post(bench, '/v1/kv/n?add=42')
    expect([first.statusCode, first.json(), first.headers['quorate-revision']]).toEqual([
      200,
      { value: '42', revision: 2 },
      '2',
    ])
    expect((await post(bench, '/v1/kv/n?add=-50')).json()).toEqual({ value: '-8', revision: 3 })
    expect((await bench.app.server.inject('/v1/kv/n')).payload).toBe('-8')
    expect((await post(bench, '/v1/kv/n?add=9223372036854775807&cas=3')).json()).toMatchObject({
      value: '9223372036854775799',
    })
    expectInjectedProblem(await post(bench, '/v1/kv/n?add=1&cas=3'), 412, 'PRECONDITION_FAILED')
  })

  it('takes an int64 and nothing else', async () => {
    const bench = openBench()
    const bad = [
      '',
      '?add',
      '?add=',
      '?add=x',
      '?add=1.5',
      '?add=%2B1',
      '?add=9223372036854775808',
      '?add=1&add=1',
      '?add=1&ttl=1s',
      '?add=1&prev',
    ]
    for (const query of bad) expectInjectedProblem(await post(bench, `/v1/kv/n${query}`), 400, 'BAD_PARAMETER')
    expect(bench.node.writes).toEqual([])
    const text = scripted({ kind: 'refused', revision: 1, reason: 'not-a-number' })
    expect(expectInjectedProblem(await post(text, '/v1/kv/n?add=1'), 409, 'NOT_A_NUMBER').outcome).toBe('not-applied')
  })
})

describe('a key in the past', () => {
  it('is as it was then, until that is compacted', async () => {
    const bench = openBench()
    for (const payload of ['one', 'two']) await bench.app.server.inject({ method: 'PUT', url: '/v1/kv/a', payload })
    const then = await bench.app.server.inject('/v1/kv/a?revision=2')
    expect([then.payload, then.headers['etag'], then.headers['quorate-revision']]).toEqual(['one', '"2"', '3'])
    expectInjectedProblem(await bench.app.server.inject('/v1/kv/a?revision=1'), 404, 'KEY_NOT_FOUND')
    expectInjectedProblem(await bench.app.server.inject('/v1/kv/a?revision=4'), 400, 'BAD_PARAMETER')
    bench.node.compactRevision = 3
    const gone = await bench.app.server.inject('/v1/kv/a?revision=2')
    expect(expectInjectedProblem(gone, 410, 'COMPACTED')).toMatchObject({ compactRevision: 3 })
  })
})
