// The HTTP edge over a whole node in memory: what only the two together can show, from request to state machine and back.
// `then` is a member of the API's transactions.
/* oxlint-disable unicorn/no-thenable */
import { expect, it, onTestFinished } from 'vitest'
import type { InjectOptions, LightMyRequestResponse } from 'fastify'
import pino from 'pino'
import { buildApp } from '../../src/http/app.ts'
import { present } from '../../src/lib/assert.ts'
import { MemoryCluster } from '../support/memory-cluster.ts'

type Ask = (
  method: 'GET' | 'PUT' | 'POST' | 'DELETE',
  url: string,
  more?: InjectOptions,
) => Promise<LightMyRequestResponse>

async function openStore(): Promise<{ ask: Ask; cluster: MemoryCluster }> {
  const cluster = await MemoryCluster.started(1)
  const node = present(cluster.nodes.get('n1'), 'the only node runs')
  const log = pino({ level: 'silent' })
  const { server } = buildApp({
    node,
    log,
    versions: { release: '0.1.0', node: 'v20' },
    isLoopback: true,
    allowedHosts: [],
  })
  onTestFinished(() => server.close())
  await server.ready()
  const ask: Ask = (method, url, more = {}) => cluster.settled(server.inject({ method, url, ...more }))
  return { ask, cluster }
}

it('lists, counts, pages and deletes ranges, and shows the past', async () => {
  const { ask } = await openStore()
  for (const key of ['a/1', 'a/2', 'a/3', 'b']) await ask('PUT', `/v1/kv/${key}`, { payload: key })
  const first = (await ask('GET', '/v1/kv?prefix=a/&limit=2')).json<{ cursor: string }>()
  expect(first).toMatchObject({ revision: 5, count: 2, more: true, entries: [{ key: 'a/1' }, { key: 'a/2' }] })
  expect((await ask('DELETE', '/v1/kv?prefix=a/')).json()).toEqual({ deleted: 3, revision: 6 })
  const second = (await ask('GET', `/v1/kv?prefix=a/&limit=2&cursor=${first.cursor}`)).json<object>()
  expect(second).toMatchObject({ revision: 5, count: 1, more: false, entries: [{ key: 'a/3', value: 'a/3' }] })
  expect((await ask('GET', '/v1/kv?countOnly')).json()).toEqual({ revision: 6, count: 1, more: false })
  expect((await ask('GET', '/v1/kv/a/1?revision=5')).payload).toBe('a/1')
  expect((await ask('GET', '/v1/kv/a/1')).statusCode).toBe(404)
  expect((await ask('POST', '/v1/compact', { payload: '{"revision":6}' })).json()).toEqual({ compactRevision: 6 })
  expect((await ask('GET', '/v1/kv/a/1?revision=5')).json()).toMatchObject({ code: 'COMPACTED', compactRevision: 6 })
  const lines = await ask('GET', '/v1/kv', { headers: { accept: 'application/x-ndjson' } })
  expect(lines.payload).toBe('{"key":"b","value":"b","createRevision":5,"modRevision":5,"version":1}\n')
  expect((await ask('GET', '/v1/digest')).json()).toMatchObject({ revision: 6 })
})

it('runs the transaction of the API page', async () => {
  const { ask } = await openStore()
  await ask('PUT', '/v1/kv/b', { payload: 'x' })
  const document = {
    if: [
      { key: 'a', version: 0 },
      { key: 'b', value: 'x' },
    ],
    then: [
      { put: { key: 'a', value: '1', ttl: '30s' } },
      { add: { key: 'n', by: 1 } },
      { delete: { prefix: 'old/' } },
      { get: { key: 'b' } },
    ],
    else: [{ get: { key: 'a' } }],
  }
  const post = () => ask('POST', '/v1/txn', { payload: JSON.stringify(document) })
  expect((await post()).json()).toMatchObject({
    succeeded: true,
    revision: 3,
    results: [
      { put: { created: true } },
      { add: { value: '1' } },
      { delete: { deleted: 0 } },
      { get: { count: 1, more: false, entries: [{ key: 'b', value: 'x' }] } },
    ],
  })
  const read = await ask('GET', '/v1/kv/a')
  expect(read.headers['quorate-lease']).toMatch(/^[0-7][0-9a-f]{15}$/)
  expect(Number(read.headers['quorate-ttl-ms'])).toBeGreaterThan(20_000)
  expect((await post()).json()).toMatchObject({ succeeded: false, results: [{ get: { entries: [{ key: 'a' }] } }] })
})

it('applies a repeat with the same Idempotency-Key once, and refuses another request with it', async () => {
  const { ask } = await openStore()
  const headers = { 'idempotency-key': 'k' }
  const first = await ask('POST', '/v1/kv/n?add=5', { headers })
  expect([first.json(), first.headers['quorate-replayed']]).toEqual([{ value: '5', revision: 2 }, undefined])
  const again = await ask('POST', '/v1/kv/n?add=5', { headers })
  expect([again.json(), again.headers['quorate-replayed']]).toEqual([{ value: '5', revision: 2 }, 'true'])
  expect((await ask('POST', '/v1/kv/n?add=6', { headers })).json()).toMatchObject({ code: 'IDEMPOTENCY_MISMATCH' })
  expect((await ask('GET', '/v1/kv/n')).payload).toBe('5')
})

it('keeps leases, locks and fences', async () => {
  const { ask } = await openStore()
  const { id } = (await ask('POST', '/v1/leases', { payload: '{"ttl":"30s"}' })).json<{ id: string }>()
  await ask('PUT', `/v1/kv/a?lease=${id}`, { payload: 'x' })
  expect((await ask('GET', `/v1/leases/${id}`)).json()).toMatchObject({ id, ttlMs: 30_000, keyCount: 1, keys: ['a'] })
  expect((await ask('POST', `/v1/leases/${id}/keepalive`)).json()).toEqual({ ttlMs: 30_000 })
  expect((await ask('DELETE', `/v1/leases/${id}`)).json()).toEqual({ deleted: 1, revision: 3 })
  expect((await ask('GET', '/v1/kv/a')).statusCode).toBe(404)
  expect((await ask('POST', `/v1/leases/${id}/keepalive`)).json()).toMatchObject({ code: 'LEASE_NOT_FOUND' })

  const lock = () => ask('POST', '/v1/locks/jobs/42', { payload: '{"ttl":"15s","owner":"me"}' })
  const { token } = (await lock()).json<{ token: number }>()
  expect((await lock()).statusCode).toBe(423)
  expect((await ask('GET', '/v1/locks/jobs/42')).json()).toMatchObject({ holder: { token, owner: 'me' }, queue: [] })
  const write = () => ask('PUT', `/v1/kv/a?fence=jobs/42:${token}`, { payload: 'x' })
  expect((await write()).statusCode).toBe(201)
  expect((await ask('DELETE', `/v1/locks/jobs/42?token=${token}`)).json()).toMatchObject({ wasHeld: true })
  expect((await write()).statusCode).toBe(412)
  expect((await ask('DELETE', `/v1/locks/jobs/42?token=${token}`)).statusCode).toBe(404)
  expect((await lock()).json<{ token: number }>().token).toBeGreaterThan(token)
})
