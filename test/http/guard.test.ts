// Who may call: a web page must not reach a store on its visitor's machine. And what happens while a node shuts down.
import { describe, expect, it } from 'vitest'
import { eventually, expectInjectedProblem, expectProblem, listenBench, openBench } from './harness.ts'

const get = (host: string, headers: Record<string, string> = {}) => ({ url: '/version', headers: { host, ...headers } })

describe('on a loopback listener, Host', () => {
  it('is localhost, an IP literal or a name of the node', async () => {
    const { app } = openBench({ allowedHosts: ['Store.example'] })
    const good = [
      'localhost',
      'LOCALHOST:7700',
      '127.0.0.1:7700',
      '10.1.2.3',
      '[::1]:7700',
      '[::1]',
      'store.example:80',
    ]
    for (const host of good) expect((await app.server.inject(get(host))).statusCode).toBe(200)
    for (const host of [
      'evil.example',
      'evil.example:7700',
      'localhost.evil.example',
      '127.0.0.1.evil.example',
      '0x7f.1',
    ])
      expectInjectedProblem(await app.server.inject(get(host)), 403, 'FORBIDDEN')
  })

  it('is refused when malformed', async () => {
    const { app } = openBench()
    for (const host of [
      'a b',
      'localhost:x',
      'localhost:',
      'localhost:123456',
      'a@localhost',
      'localhost, localhost',
      '[::1',
    ])
      expectInjectedProblem(await app.server.inject(get(host)), 400, 'MALFORMED_HTTP')
  })

  it('is checked for each route, also for those that do not exist', async () => {
    const { app, node } = openBench()
    const headers = { host: 'evil.example' }
    for (const url of ['/', '/v1/kv/a', '/v1/status', '/livez', '/nothing'])
      for (const method of ['GET', 'PUT', 'OPTIONS'] as const)
        expectInjectedProblem(await app.server.inject({ method, url, headers }), 403, 'FORBIDDEN')
    expect(node.writes).toEqual([])
  })
})

describe('elsewhere, Host', () => {
  it('may be any name', async () => {
    const { app } = openBench({ isLoopback: false })
    expect((await app.server.inject(get('kv.internal:7700'))).statusCode).toBe(200)
  })
})

describe('Origin', () => {
  it('is the node’s own, or the request is refused', async () => {
    const { app, node } = openBench({ allowedHosts: ['store.example'] })
    for (const host of ['localhost:7700', '127.0.0.1:7700', '[::1]:7700', 'store.example'])
      expect((await app.server.inject(get(host, { origin: `http://${host}` }))).statusCode).toBe(200)
    const bad = [
      'http://evil.example',
      'null',
      '',
      'http://localhost:3000',
      'https://localhost:7700',
      'http://localhost',
    ]
    for (const origin of [...bad, 'http://localhost:7700/', 'http://localhost:7700, http://localhost:7700'])
      for (const method of ['GET', 'PUT', 'OPTIONS'] as const) {
        const headers = { host: 'localhost:7700', origin }
        expectInjectedProblem(await app.server.inject({ method, url: '/v1/kv/a', headers }), 403, 'FORBIDDEN')
      }
    expect(node.writes).toEqual([])
  })

  it('that merely equals a foreign Host is refused, on any listener', async () => {
    const { app } = openBench({ isLoopback: false })
    const answer = await app.server.inject(get('evil.example', { origin: 'http://evil.example' }))
    expectInjectedProblem(answer, 403, 'FORBIDDEN')
  })
})

describe('a server that drains', () => {
  it('refuses new requests, finishes those under way and closes their connections', async () => {
    const { app, node, connect, port } = await listenBench()
    node.isHolding = true
    const underway = await connect()
    underway.send(`PUT /v1/kv/a HTTP/1.1\r\nHost: localhost:${port}\r\nContent-Length: 1\r\n\r\nx`)
    const uploading = await connect()
    uploading.send(`PUT /v1/kv/b HTTP/1.1\r\nHost: localhost:${port}\r\nContent-Length: 2\r\n\r\nx`)
    const idle = await connect()
    idle.send(`GET /version HTTP/1.1\r\nHost: localhost:${port}\r\n\r\n`)
    await idle.answer()
    await eventually(() => node.held).toBe(1)

    app.drain()
    idle.send(`GET /v1/kv/a HTTP/1.1\r\nHost: localhost:${port}\r\n\r\n`)
    const refused = await idle.answer()
    const document = expectProblem(refused, 503, 'SHUTTING_DOWN')
    expect(document).toMatchObject({ outcome: 'not-applied', retryable: true, retryAfterMs: 1_000 })
    expect(refused.headers.get('retry-after')).toBe('1')
    expect(refused.headers.get('connection')).toBe('close')
    await idle.closed()

    uploading.send('y')
    await eventually(() => node.held).toBe(2)
    node.release()
    for (const connection of [underway, uploading]) {
      const answer = await connection.answer()
      expect([answer.status, answer.headers.get('connection')]).toEqual([201, 'close'])
      await connection.closed()
    }
  })

  it('still answers the health checks, and is not ready', async () => {
    const { app } = openBench()
    app.drain()
    expect((await app.server.inject('/livez')).statusCode).toBe(200)
    const ready = await app.server.inject('/readyz')
    expect([ready.statusCode, ready.json()]).toEqual([503, { ok: false, checks: { http: 'shutting down' } }])
    expectInjectedProblem(await app.server.inject('/v1/status'), 503, 'SHUTTING_DOWN')
    expectInjectedProblem(await app.server.inject('/nothing'), 503, 'SHUTTING_DOWN')
  })

  it('answers what is under way while it closes, and then is gone', async () => {
    const { app, node, connect, port } = await listenBench()
    node.isHolding = true
    const underway = await connect()
    underway.send(`GET /v1/kv/a HTTP/1.1\r\nHost: localhost:${port}\r\n\r\n`)
    await eventually(() => node.held).toBe(1)
    app.drain()
    const closed = app.server.close()
    node.release()
    expectProblem(await underway.answer(), 404, 'KEY_NOT_FOUND')
    await closed
    await expect(connect()).rejects.toThrow('ECONNREFUSED')
  })
})
