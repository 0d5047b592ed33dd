// Idempotency-Key over HTTP: what the node is told of a repeat, and how a repeat is answered.
import { describe, expect, it } from 'vitest'
import type { InjectOptions } from 'fastify'
import type { CommandResult, Once } from '../../src/api/commands.ts'
import { expectInjectedProblem, openBench } from './harness.ts'
import type { Bench } from './harness.ts'

const LEASE = '00000000000000ff'

async function onceOf(bench: Bench, request: InjectOptions, key = 'k-1'): Promise<Once | undefined> {
  await bench.app.server.inject({ ...request, headers: { ...request.headers, 'idempotency-key': key } })
  const { writes, acquisitions } = bench.node
  const command = writes.at(-1)?.command ?? acquisitions.at(-1)!.command
  return 'once' in command ? command.once : undefined
}

const put: InjectOptions = { method: 'PUT', url: '/v1/kv/a', payload: 'x' }

describe('Idempotency-Key', () => {
  it.each([
    put,
    { method: 'DELETE', url: '/v1/kv/a' },
    { method: 'DELETE', url: '/v1/kv?prefix=a' },
    { method: 'POST', url: '/v1/kv/a?add=1' },
    { method: 'POST', url: '/v1/txn', payload: '{}' },
    { method: 'POST', url: '/v1/leases', payload: '{"ttl":1}' },
    { method: 'POST', url: `/v1/leases/${LEASE}/keepalive` },
    { method: 'DELETE', url: `/v1/leases/${LEASE}` },
    { method: 'DELETE', url: '/v1/locks/a?token=1' },
    { method: 'POST', url: '/v1/elections/a?token=1', payload: '{"value":"x"}' },
    { method: 'POST', url: '/v1/compact', payload: '{"revision":1}' },
  ] as InjectOptions[])('goes with %o', async (request) => {
    const once = await onceOf(openBench(), request)
    expect(once).toEqual({ kind: 'key', key: 'k-1', fingerprint: expect.stringMatching(/^[0-9a-f]{16}$/) as string })
  })

  it('goes with a lock, too', async () => {
    const bench = openBench()
    bench.node.script = () => ({ kind: 'lock', revision: 1, token: 1, lease: LEASE, isHeld: true })
    const once = await onceOf(bench, { method: 'POST', url: '/v1/locks/a', payload: '{"ttl":1}' })
    expect(once).toMatchObject({ key: 'k-1' })
  })

  it('stands for one request: its fingerprint tells method, target, condition, type and body apart', async () => {
    const others: InjectOptions[] = [
      { method: 'DELETE', url: '/v1/kv/a' },
      { ...put, url: '/v1/kv/b' },
      { ...put, url: '/v1/kv/a?cas=1' },
      { ...put, payload: 'y' },
      { ...put, headers: { 'if-match': '*' } },
      { ...put, headers: { 'if-none-match': '*' } },
      { ...put, headers: { 'content-type': 'text/plain' } },
    ]
    const prints = new Set<string>()
    for (const request of [put, ...others]) {
      const once = await onceOf(openBench(), request)
      if (once?.kind === 'key') prints.add(once.fingerprint)
    }
    expect(prints.size).toBe(others.length + 1)
    const again = await onceOf(openBench(), {
      ...put,
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
    })
    expect(again).toEqual(await onceOf(openBench(), put))
  })

  it.each([
    [{ kind: 'put', revision: 5, isCreated: true, previous: undefined }, 201, ''],
    [{ kind: 'put', revision: 5, isCreated: false, previous: undefined }, 200, ''],
    [{ kind: 'precondition-failed', revision: 7, currentRevision: 5 }, 412, 'PRECONDITION_FAILED'],
    [{ kind: 'refused', revision: 7, reason: 'lease-not-found' }, 404, 'LEASE_NOT_FOUND'],
  ] as [CommandResult, number, string][])('repeated gets the first answer %j', async (result, status, code) => {
    const bench = openBench()
    bench.node.script = () => ({ kind: 'replayed', revision: 9, result })
    const answer = await bench.app.server.inject({ ...put, headers: { 'idempotency-key': 'k' } })
    expect([answer.statusCode, answer.headers['quorate-replayed']]).toEqual([status, 'true'])
    if (code === '') expect(answer.headers['etag']).toBe('"5"')
    else expectInjectedProblem(answer, status, code)
    bench.node.script = () => undefined
    expect((await bench.app.server.inject(put)).headers).not.toHaveProperty('quorate-replayed')
  })

  it.each([
    ['idempotency-mismatch', 422, 'IDEMPOTENCY_MISMATCH'],
    ['too-many-idempotency-keys', 429, 'OVERLOADED'],
  ] as const)('that the node refuses as %s', async (reason, status, code) => {
    const bench = openBench()
    bench.node.script = () => ({ kind: 'refused', revision: 3, reason })
    const answer = await bench.app.server.inject({ ...put, headers: { 'idempotency-key': 'k' } })
    expectInjectedProblem(answer, status, code)
  })

  it('is 1 to 128 visible characters, given once', async () => {
    const bench = openBench()
    for (const key of ['', 'a b', 'a, b', 'ü', 'a'.repeat(129)])
      for (const request of [put, { method: 'POST', url: '/v1/txn', payload: '{}' } as const]) {
        const answer = await bench.app.server.inject({ ...request, headers: { 'idempotency-key': key } })
        expectInjectedProblem(answer, 400, 'BAD_REQUEST')
      }
    expect(bench.node.writes).toEqual([])
    expect(await onceOf(bench, put, 'a'.repeat(128))).toMatchObject({ key: 'a'.repeat(128) })
  })

  it('is refused where it would mean nothing, and no matter on reads', async () => {
    const bench = openBench()
    const headers = { 'idempotency-key': 'k' }
    const type = { 'content-type': 'application/vnd.quorate.batch' }
    const batch = { method: 'POST', url: '/v1/batch', headers: { ...headers, ...type }, payload: '\x01' } as const
    expectInjectedProblem(await bench.app.server.inject(batch), 400, 'BAD_REQUEST')
    const transfer = { method: 'POST', url: '/v1/leader/transfer', headers } as const
    expectInjectedProblem(await bench.app.server.inject(transfer), 400, 'BAD_REQUEST')
    expect((await bench.app.server.inject({ url: '/v1/kv', headers })).statusCode).toBe(200)
  })
})
