// The pages about the node and its cluster, and the hand-over of leadership.
import { describe, expect, it } from 'vitest'
import { QuorateError } from '../../src/api/errors.ts'
import { expectInjectedProblem, openBench } from './harness.ts'

const PAGES = ['/', '/version', '/v1/status', '/v1/cluster', '/v1/openapi.json', '/livez', '/readyz']

describe('a page', () => {
  it('is JSON with the headers of every answer, by GET and HEAD, and takes no unknown parameter', async () => {
    const { app } = openBench()
    for (const url of PAGES) {
      for (const method of ['GET', 'HEAD'] as const) {
        const answer = await app.server.inject({ method, url })
        expect(answer.statusCode).toBe(200)
        expect(answer.headers).toMatchObject({
          'content-type': 'application/json',
          'cache-control': 'no-store',
          'quorate-revision': '1',
          'quorate-term': '3',
          'quorate-node': 'n1',
          'quorate-leader': 'n1',
        })
        if (method === 'GET') expect(answer.json()).toBeTypeOf('object')
        else expect(answer.payload).toBe('')
      }
      expectInjectedProblem(await app.server.inject({ url: `${url}?nonsense` }), 400, 'BAD_PARAMETER')
    }
  })

  it('of the root names links that work', async () => {
    const { app } = openBench()
    const root: { name: string; version: string; links: Record<string, string> } = (await app.server.inject('/')).json()
    expect(root).toMatchObject({ name: 'quorate', version: '0.1.0' })
    for (const link of Object.values(root.links)) expect((await app.server.inject(link)).statusCode).toBe(200)
  })

  it('of the version names release, Node.js and API', async () => {
    const { app } = openBench()
    expect((await app.server.inject('/version')).json()).toEqual({ version: '0.1.0', node: 'v20.0.0', api: 1 })
  })

  it('of the status and the cluster is what the node says', async () => {
    const { app, node } = openBench()
    expect((await app.server.inject('/v1/status')).json()).toEqual(node.status())
    expect((await app.server.inject('/v1/cluster')).json()).toEqual(await node.cluster())
    node.failure = new QuorateError('NO_LEADER', 'There is no leader to ask.')
    expectInjectedProblem(await app.server.inject('/v1/cluster'), 503, 'NO_LEADER')
  })
})

describe('the health checks', () => {
  it('are 503 with what fails when the node is not ready, and live all the same', async () => {
    const { app, node } = openBench()
    node.isReady = false
    const ready = await app.server.inject('/readyz')
    expect([ready.statusCode, ready.headers['retry-after']]).toEqual([503, '1'])
    expect(ready.json()).toEqual({ ok: false, checks: { leader: 'there is no leader' } })
    expect((await app.server.inject('/livez')).statusCode).toBe(200)
  })

  it('name all checks when asked to', async () => {
    const { app } = openBench()
    expect((await app.server.inject('/readyz')).json()).toEqual({ ok: true, checks: {} })
    const verbose = await app.server.inject('/readyz?verbose')
    expect(verbose.json()).toEqual({ ok: true, checks: { leader: 'ok', disk: 'ok', http: 'ok' } })
    expect((await app.server.inject('/livez?verbose=true')).json()).toEqual({ ok: true, checks: { loop: 'ok' } })
  })
})

describe('a leadership transfer', () => {
  const url = '/v1/leader/transfer'

  it('takes a name, or nothing in any form', async () => {
    const { app, node } = openBench()
    const types = ['application/json', 'application/json; charset=utf-8', 'application/x-www-form-urlencoded']
    for (const type of types) {
      const answer = await app.server.inject({
        method: 'POST',
        url,
        headers: { 'content-type': type },
        payload: '{"to":"n2"}',
      })
      expect([answer.statusCode, answer.payload]).toEqual([204, ''])
      expect(answer.headers).toMatchObject({ 'quorate-leader': 'n2', 'cache-control': 'no-store' })
    }
    expect((await app.server.inject({ method: 'POST', url })).statusCode).toBe(204)
    expect((await app.server.inject({ method: 'POST', url, payload: '{}' })).statusCode).toBe(204)
    const empty = { method: 'POST', url, headers: { 'content-type': 'application/json' } } as const
    expect((await app.server.inject(empty)).statusCode).toBe(204)
    expect(node.transfers).toEqual(['n2', 'n2', 'n2', undefined, undefined, undefined])
  })

  it('H13: refuses every other body', async () => {
    const { app, node } = openBench()
    const post = (payload: string, type = 'application/json') =>
      app.server.inject({ method: 'POST', url, headers: { 'content-type': type }, payload })
    const bad = ['[]', 'null', '1', '"n2"', '{"to":1}', '{"to":null}', '{"to":""}', '{"to":"a b"}', '{"To":"n2"}']
    const worse = [
      '{"to":"n2","x":1}',
      '{"__proto__":{"to":"n2"}}',
      '{"constructor":{}}',
      '{"to":"n2","to":"n3"}',
      '{',
      '\ufeff{}',
    ]
    for (const payload of [...bad, ...worse]) expectInjectedProblem(await post(payload), 400, 'BAD_REQUEST')
    expectInjectedProblem(await post('['.repeat(60_000)), 400, 'BAD_REQUEST')
    expectInjectedProblem(await post(`{"to":"${'a'.repeat(70_000)}"}`), 413, 'VALUE_TOO_LARGE')
    for (const type of ['text/plain', 'foo', 'application/jsonx', 'application/vnd.x+json'])
      expectInjectedProblem(await post('{}', type), 415, 'UNSUPPORTED_MEDIA_TYPE')
    expectInjectedProblem(await app.server.inject({ method: 'POST', url: `${url}?to=n2` }), 400, 'BAD_PARAMETER')
    const keyed = { method: 'POST', url, headers: { 'idempotency-key': 'k' } } as const
    expectInjectedProblem(await app.server.inject(keyed), 400, 'BAD_REQUEST')
    expect(node.transfers).toEqual([])
  })

  it('to a member that is not there is MEMBER_NOT_FOUND', async () => {
    const { app } = openBench()
    const answer = await app.server.inject({ method: 'POST', url, payload: '{"to":"n9"}' })
    expectInjectedProblem(answer, 404, 'MEMBER_NOT_FOUND')
  })
})
