// The error table over HTTP: each code arrives as a problem document that tells the truth about what happened.
import { describe, expect, it } from 'vitest'
import { ERRORS, QuorateError } from '../../src/api/errors.ts'
import type { ErrorCode } from '../../src/api/errors.ts'
import { assert } from '../../src/lib/assert.ts'
import { expectInjectedProblem, openBench } from './harness.ts'

const codes = Object.keys(ERRORS) as ErrorCode[]

describe('an error of the node', () => {
  it('has the status, the outcome and the members of its code, on writes', async () => {
    const { app, node } = openBench()
    for (const code of codes) {
      node.failure = new QuorateError(code, 'For a test.', { details: { compactRevision: 7 } })
      const answer = await app.server.inject({ method: 'PUT', url: '/v1/kv/a', payload: 'x' })
      const row = ERRORS[code]
      const document = expectInjectedProblem(answer, row.status, code)
      expect(document).toMatchObject({ detail: 'For a test.', outcome: row.outcome, compactRevision: 7 })
      expect(document.retryable).toBe(row.isRetryable)
      const saysWhen = row.status === 429 || row.status === 503
      expect('retryAfterMs' in document).toBe(saysWhen)
      if (saysWhen) expect(answer.headers['retry-after']).toMatch(/^[1-9]\d*$/)
      else expect(answer.headers).not.toHaveProperty('retry-after')
    }
  })

  it('H8: is not-applied on reads, whatever the code', async () => {
    const { app, node } = openBench()
    for (const code of codes) {
      node.failure = new QuorateError(code, 'For a test.', { outcome: 'unknown' })
      const answer = await app.server.inject({ url: '/v1/kv/a' })
      expect(expectInjectedProblem(answer, ERRORS[code].status, code).outcome).toBe('not-applied')
    }
  })

  it('keeps the outcome that the node knows better than the table', async () => {
    const { app, node } = openBench()
    node.failure = new QuorateError('SHUTTING_DOWN', 'Already proposed.', { outcome: 'unknown' })
    const answer = await app.server.inject({ method: 'DELETE', url: '/v1/kv/a' })
    expect(expectInjectedProblem(answer, 503, 'SHUTTING_DOWN').outcome).toBe('unknown')
  })

  it('may say itself when to try again', async () => {
    const { app, node } = openBench()
    node.failure = new QuorateError('OVERLOADED', 'Wait.', { details: { retryAfterMs: 2_500 } })
    const answer = await app.server.inject({ method: 'PUT', url: '/v1/kv/a' })
    expect(expectInjectedProblem(answer, 429, 'OVERLOADED')['retryAfterMs']).toBe(2_500)
    expect(answer.headers['retry-after']).toBe('3')
  })

  it('H15: that nobody foresaw is INTERNAL, logged, and tells the caller nothing', async () => {
    const { app, node, logged } = openBench()
    node.read = () => {
      throw new Error('secret at /src/somewhere.ts')
    }
    node.write = (_command, _timeoutMs, done) => done(undefined as never)
    const read = await app.server.inject({ url: '/v1/kv/a' })
    expect(expectInjectedProblem(read, 500, 'INTERNAL').outcome).toBe('not-applied')
    expect(read.payload).not.toContain('secret')
    const write = await app.server.inject({ method: 'PUT', url: '/v1/kv/a' })
    expect(expectInjectedProblem(write, 500, 'INTERNAL').outcome).toBe('unknown')
    expect(logged.filter((line) => line['msg'] === 'a request failed')).toHaveLength(2)
  })

  it('that is a broken claim of the node about itself is not kept within the request', async () => {
    const broken: Error[] = []
    const { app, node } = openBench({ onBrokenClaim: (error) => broken.push(error) })
    node.read = () => assert(false, 'one is two')
    node.write = () => assert(false, 'two is three')
    expectInjectedProblem(await app.server.inject({ url: '/v1/kv/a' }), 500, 'INTERNAL')
    const write = await app.server.inject({ method: 'PUT', url: '/v1/kv/a' })
    expect(expectInjectedProblem(write, 500, 'INTERNAL').outcome).toBe('unknown')
    expect(broken.map((error) => error.message)).toEqual(['one is two', 'two is three'])
  })

  it('is answered without a leader named when there is none', async () => {
    const { app, node } = openBench()
    node.leaderName = undefined
    node.failure = new QuorateError('NO_LEADER', 'There is no leader.')
    const answer = await app.server.inject({ url: '/v1/kv/a' })
    expect(answer.headers).not.toHaveProperty('quorate-leader')
    expect(answer.headers['quorate-term']).toBe('3')
  })
})

describe('the router', () => {
  it('answers unknown paths as problems, whatever the method and the body', async () => {
    const { app } = openBench()
    for (const url of ['/x', '/v1', '/v1/kv2', '/v1/status/', '/v1/txn/', '/_', '/%zz', '/%ff'])
      for (const method of ['GET', 'PUT', 'POST', 'DELETE', 'PATCH', 'OPTIONS'] as const) {
        const headers = { 'content-type': 'foo' }
        const payload = method === 'GET' ? {} : { payload: '{', headers }
        expectInjectedProblem(await app.server.inject({ method, url, ...payload }), 404, 'NOT_FOUND')
      }
  })

  it('answers wrong methods with 405 and Allow, and OPTIONS with 204', async () => {
    const { app, node } = openBench()
    const cases = [
      ['/v1/kv/a', 'GET, HEAD, PUT, POST, DELETE, OPTIONS', ['PATCH']],
      ['/v1/kv?prefix=a', 'GET, HEAD, DELETE, OPTIONS', ['PUT', 'POST']],
      ['/v1/txn', 'POST, OPTIONS', ['GET', 'PUT']],
      ['/v1/watch', 'GET, OPTIONS', ['HEAD', 'POST']],
      ['/v1/leases/00000000000000ff', 'GET, HEAD, DELETE, OPTIONS', ['POST', 'PUT']],
      ['/v1/leases/00000000000000ff/keepalive', 'POST, OPTIONS', ['GET']],
      ['/v1/locks/a/b', 'GET, HEAD, POST, DELETE, OPTIONS', ['PUT']],
      ['/v1/status', 'GET, HEAD, OPTIONS', ['POST', 'PUT', 'DELETE']],
      ['/v1/leader/transfer', 'POST, OPTIONS', ['GET', 'HEAD', 'PUT', 'DELETE']],
      ['/', 'GET, HEAD, OPTIONS', ['POST']],
    ] as const
    for (const [url, allow, methods] of cases) {
      for (const method of methods) {
        const answer = await app.server.inject({ method, url })
        expect([answer.statusCode, answer.headers['allow']]).toEqual([405, allow])
        if (method !== 'HEAD') expectInjectedProblem(answer, 405, 'METHOD_NOT_ALLOWED')
      }
      const options = await app.server.inject({ method: 'OPTIONS', url })
      expect([options.statusCode, options.headers['allow'], options.payload]).toEqual([204, allow, ''])
      expect(options.headers['quorate-node']).toBe('n1')
    }
    expect(node.writes).toEqual([])
  })
})

describe('the log', () => {
  it('H15: has a line for each request at debug, its target still encoded, and none at info', async () => {
    for (const level of ['info', 'debug']) {
      const { app, logged } = openBench({ level })
      await app.server.inject({ method: 'PUT', url: '/v1/kv/a%0d%0ab', payload: 'secret' })
      const line = { msg: 'request', method: 'PUT', target: '/v1/kv/a%0d%0ab', status: 201 }
      expect(logged).toEqual(level === 'info' ? [] : [expect.objectContaining(line)])
      expect(JSON.stringify(logged)).not.toContain('secret')
    }
  })
})
