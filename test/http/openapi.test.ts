// The description of the API: it names every route that exists and nothing else, and what the server answers fits its schemas.
import { Value } from 'typebox/value'
import { describe, expect, expectTypeOf, it } from 'vitest'
import type { Static, TSchema } from 'typebox'
import { ALLOW, ELECTION_ROUTE, KEEP_ALIVE_ROUTE, KEY_ROUTE, LEASE_ROUTE, LOCK_ROUTE } from '../../src/api/routes.ts'
import * as schemas from '../../src/api/schemas.ts'
import type { ClusterStatus, HealthReport, NodeStatus } from '../../src/api/status.ts'
import { openBench } from './harness.ts'

interface Document {
  readonly openapi: string
  readonly info: { readonly version: string }
  readonly paths: Record<string, Record<string, { responses?: Record<string, unknown> }>>
  readonly components: { readonly schemas: Record<string, unknown> }
}

const describeApi = async (): Promise<{ document: Document; text: string }> => {
  const { app } = openBench()
  const answer = await app.server.inject('/v1/openapi.json')
  return { document: answer.json(), text: answer.payload }
}

/** How routes with something of the caller's in their path are described. */
const OUTSIDE: Readonly<Record<string, readonly string[]>> = {
  [KEY_ROUTE]: ['/v1/kv/{key}', '/v1/kv64/{key64}'],
  [LEASE_ROUTE]: ['/v1/leases/{id}'],
  [KEEP_ALIVE_ROUTE]: ['/v1/leases/{id}/keepalive'],
  [LOCK_ROUTE]: ['/v1/locks/{name}'],
  [ELECTION_ROUTE]: ['/v1/elections/{name}'],
}

const METHODS = ['get', 'head', 'put', 'post', 'delete']
const methodsOf = (item: object | undefined): string[] =>
  METHODS.filter((method) => item !== undefined && method in item)

describe('the description', () => {
  it('has each route with each of its methods, and no others', async () => {
    const { document } = await describeApi()
    expect(document.openapi).toBe('3.1.0')
    expect(document.info.version).toBe('0.1.0')
    const described = new Map(Object.entries(document.paths))
    for (const [route, allow] of ALLOW) {
      const methods = allow
        .toLowerCase()
        .split(', ')
        .filter((method) => method !== 'options')
      for (const path of OUTSIDE[route] ?? [route]) {
        expect([path, methodsOf(described.get(path)).sort()]).toEqual([path, methods.sort()])
        described.delete(path)
      }
    }
    expect([...described.keys()]).toEqual([])
  })

  it('describes only what the server routes', async () => {
    const { document } = await describeApi()
    const { app, node } = openBench()
    const lease = '00000000000000ff'
    node.leaseInfos.push({ lease, ttlMs: 9, remainingMs: 1, keys: [] })
    // So that a watch has an end.
    node.compactRevision = 1
    for (const [path, item] of Object.entries(document.paths))
      for (const method of methodsOf(item)) {
        const filled = path.replace('{key}', 'a').replace('{key64}', 'YQ').replace('{name}', 'a').replace('{id}', lease)
        const url = filled === '/v1/watch' ? `${filled}?revision=0` : filled
        await app.server.inject({ method: 'PUT', url: '/v1/kv/a', payload: 'x' })
        const answer = await app.server.inject({ method: method as 'get', url })
        expect([path, method, answer.statusCode]).not.toContain(405)
        expect([path, method, answer.statusCode]).not.toContain(404)
        expect(Object.keys(item[method]!.responses!)).toContain(String(answer.statusCode))
      }
  })

  it('refers only to schemas that it holds', async () => {
    const { document, text } = await describeApi()
    const names = [...text.matchAll(/"\$ref":"#\/components\/schemas\/(\w+)"/g)].map((match) => match[1]!)
    expect(names.length).toBeGreaterThan(10)
    for (const name of names) expect(document.components.schemas).toHaveProperty(name)
  })
})

const fits = (schema: TSchema, document: unknown): void => expect([...Value.Errors(schema, document)]).toEqual([])

describe('a schema', () => {
  it('fits what the server answers', async () => {
    const { app } = openBench()
    const ask = async (method: 'GET' | 'PUT' | 'DELETE', url: string, payload?: string): Promise<unknown> =>
      (await app.server.inject({ method, url, ...(payload === undefined ? {} : { payload }) })).json()
    fits(schemas.PutAnswer, await ask('PUT', '/v1/kv/a?prev', 'x'))
    fits(schemas.PutAnswer, await ask('PUT', '/v1/kv/a?prev', 'y'))
    fits(schemas.DeleteAnswer, await ask('DELETE', '/v1/kv/a?prev'))
    fits(schemas.DeleteAnswer, await ask('DELETE', '/v1/kv/a'))
    fits(schemas.Problem, await ask('GET', '/v1/kv/a'))
    fits(schemas.Problem, await ask('PUT', '/v1/kv/a?cas=7'))
    fits(schemas.StatusAnswer, await ask('GET', '/v1/status'))
    fits(schemas.ClusterAnswer, await ask('GET', '/v1/cluster'))
    fits(schemas.HealthAnswer, await ask('GET', '/readyz?verbose'))
    fits(schemas.VersionAnswer, await ask('GET', '/version'))
    fits(schemas.RootAnswer, await ask('GET', '/'))
  })

  it('fits the answers of ranges, leases, locks and elections', async () => {
    const { app, node } = openBench()
    const lease = '00000000000000ff'
    const ask = async (method: 'GET' | 'POST' | 'DELETE', url: string, payload?: string): Promise<unknown> =>
      (await app.server.inject({ method, url, ...(payload === undefined ? {} : { payload }) })).json()
    fits(schemas.AddAnswer, await ask('POST', '/v1/kv/a/b?add=-1'))
    await app.server.inject({ method: 'PUT', url: `/v1/kv/b?lease=${lease}`, payload: 'x' })
    node.leaseInfos.push({ lease, ttlMs: 9, remainingMs: 1, keys: ['b'] })
    for (const query of ['', '?limit=1', '?countOnly', '?keysOnly', '?separator=/'])
      fits(schemas.EntryPage, await ask('GET', `/v1/kv${query}`))
    fits(schemas.LeasesAnswer, await ask('GET', '/v1/leases'))
    fits(schemas.LeaseInfoAnswer, await ask('GET', `/v1/leases/${lease}`))
    const place = { token: 3, lease, owner: 'me', value: Buffer.from('v') }
    for (const kind of ['lock', 'election']) node.locks.set(`${kind}/a`, { holder: place, queue: [place] })
    for (const name of ['a', '%ff']) {
      fits(schemas.LockInfoAnswer, await ask('GET', `/v1/locks/${name}`))
      fits(schemas.ElectionInfoAnswer, await ask('GET', `/v1/elections/${name}`))
    }
    node.script = () => ({ kind: 'lock', revision: 3, token: 3, lease, isHeld: true })
    fits(schemas.LockAnswer, await ask('POST', '/v1/locks/a', '{"ttl":1}'))
    node.script = () => ({ kind: 'unlocked', revision: 3, wasHeld: true })
    fits(schemas.UnlockAnswer, await ask('DELETE', '/v1/locks/a?token=3'))
    node.script = () => ({ kind: 'lease', revision: 3, lease, ttlMs: 9 })
    fits(schemas.LeaseAnswer, await ask('POST', '/v1/leases', '{"ttl":1}'))
    fits(schemas.KeepAliveAnswer, await ask('POST', `/v1/leases/${lease}/keepalive`))
    node.script = () => ({ kind: 'lease-revoked', revision: 3, count: 1 })
    fits(schemas.RevokeAnswer, await ask('DELETE', `/v1/leases/${lease}`))
    node.script = () => ({ kind: 'txn', revision: 3, succeeded: true, results: [] })
    fits(schemas.TxnAnswer, await ask('POST', '/v1/txn', '{}'))
    node.script = () => undefined
    fits(schemas.CompactAnswer, await ask('POST', '/v1/compact', '{"revision":1}'))
    fits(schemas.DigestAnswer, await ask('GET', '/v1/digest'))
  })

  it('is the type of the same name', () => {
    expectTypeOf<NodeStatus>().toExtend<Static<typeof schemas.StatusAnswer>>()
    expectTypeOf<Static<typeof schemas.StatusAnswer>>().toExtend<NodeStatus>()
    expectTypeOf<Static<typeof schemas.ClusterAnswer>>().toExtend<ClusterStatus>()
    expectTypeOf<Static<typeof schemas.HealthAnswer>>().toExtend<HealthReport>()
  })
})
