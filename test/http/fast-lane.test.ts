// The fast lane: that nobody can tell by an answer which way it came, and that a connection changes ways without a byte lost.
import { describe, expect, it } from 'vitest'
import { BATCH_MEDIA_TYPE, encodeBatchRequest } from '../../src/api/batch-codec.ts'
import type { BatchItem } from '../../src/api/batch-codec.ts'
import { NO_CONDITION } from '../../src/api/commands.ts'
import { QuorateError } from '../../src/api/errors.ts'
import { RawConnection } from '../support/raw-http.ts'
import { eventually, listenBench } from './harness.ts'
import type { SocketBench } from './harness.ts'

const HOST = 'Host: localhost\r\n'
/** A header that means nothing, and that the lane does not know. */
const STRANGE = 'X-Strange: 1\r\n'

const get = (key: string, headers = HOST): string => `GET /v1/kv/${key} HTTP/1.1\r\n${headers}\r\n`
const put = (key: string, value: string, headers = HOST): string =>
  `PUT /v1/kv/${key} HTTP/1.1\r\n${headers}Content-Length: ${value.length}\r\n\r\n${value}`

/** Bytes as a string, one each. */
const batchOf = (...items: BatchItem[]): string => Buffer.from(encodeBatchRequest(items)).toString('latin1')
const batchPut: BatchItem = {
  op: 'put',
  key: 'a',
  value: Buffer.from([0, 127, 128, 255]),
  contentType: '',
  condition: NO_CONDITION,
  wantsPrevious: true,
}
const batchRead: BatchItem = {
  op: 'read',
  key: 'a',
  consistency: 'linearizable',
  maxStaleMs: undefined,
  minRevision: undefined,
}
const BATCH = batchOf(batchPut, batchRead)
const batch = (body: string, query = '', headers = HOST, type: string = BATCH_MEDIA_TYPE): string =>
  `POST /v1/batch${query} HTTP/1.1\r\n${headers}Content-Type: ${type}\r\nContent-Length: ${body.length}\r\n\r\n${body}`

interface LaneBench extends SocketBench {
  /** Requests that went through Node's server. */
  readonly byNode: () => number
}

async function laneBench(options: Parameters<typeof listenBench>[0] = {}): Promise<LaneBench> {
  const bench = await listenBench(options)
  let count = 0
  bench.app.server.server.on('request', () => count++)
  return { ...bench, byNode: () => count }
}

describe('an answer on the fast lane', () => {
  it.each([
    ['of a PUT that creates', [put('a', 'x')]],
    ['of a PUT that replaces', [put('a', 'x'), put('a', 'y')]],
    ['of an empty value', [put('a', ''), get('a')]],
    ['of a value with a type', [put('a', '{}', `${HOST}Content-Type: application/json\r\n`), get('a')]],
    [
      'of a form, which curl says of anything',
      [put('a', 'x', `${HOST}Content-Type: application/x-www-form-urlencoded\r\n`), get('a')],
    ],
    ['of a value that is too large for one write', [put('a', 'v'.repeat(40_000)), get('a')]],
    ['of a GET of nothing', [get('nothing')]],
    ['of a DELETE', [put('a', 'x'), `DELETE /v1/kv/a HTTP/1.1\r\n${HOST}\r\n`]],
    ['of a DELETE of nothing', [`DELETE /v1/kv/a HTTP/1.1\r\n${HOST}\r\n`]],
    ['of a key of slashes and dots', [put('../a//b/.', 'x'), get('../a//b/.')]],
    ['of a key that is too long', [get('k'.repeat(4_097))]],
    ['of a batch', [batch(BATCH), batch(BATCH, '?timeout=4750ms'), get('a')]],
    ['of a batch without a body', [batch('')]],
    ['of a batch that cannot be read', [batch('nonsense')]],
    ['of a batch that has no time', [batch(BATCH, '?timeout=0ms')]],
    ['of a batch that has too much time', [batch(BATCH, '?timeout=9999999ms')]],
    ['of a batch that asks for too many values', [batch(batchOf(...Array.from({ length: 1_000 }, () => batchPut)))]],
  ])('%s is the same as on Node’s way', async (_what, requests) => {
    const lane = await laneBench()
    const node = await laneBench()
    const onLane = await lane.connect()
    const onNode = await node.connect()
    for (const request of requests) {
      onLane.send(request)
      onNode.send(request.replace(HOST, HOST + STRANGE))
      const [found, expected] = [await onLane.answer(), await onNode.answer()]
      const headers = (answer: typeof found): string[] =>
        [...answer.headers].filter(([name]) => name !== 'date').map(([name, value]) => `${name}: ${value}`)
      expect([found.status, headers(found), found.body]).toEqual([expected.status, headers(expected), expected.body])
      expect(found.headers.get('date')).toMatch(/GMT$/)
    }
    expect([lane.byNode(), node.byNode()]).toEqual([0, requests.length])
  })

  it('is the problem document of whatever the node says', async () => {
    const { connect, node, byNode } = await laneBench()
    const connection = await connect()
    node.failure = new QuorateError('NO_LEADER', 'Nobody leads.')
    for (const request of [get('a'), put('a', 'x')]) {
      connection.send(request)
      const answer = await connection.answer()
      expect([answer.status, answer.headers.get('retry-after')]).toEqual([503, '1'])
      expect(JSON.parse(answer.body.toString())).toMatchObject({ code: 'NO_LEADER', outcome: 'not-applied' })
    }
    expect(byNode()).toBe(0)
  })
})

describe('what goes to Node’s server', () => {
  it.each([
    ['a query', 'GET /v1/kv/a?prev HTTP/1.1\r\nHost: localhost\r\n\r\n', 400],
    ['an escape', 'GET /v1/kv/%61 HTTP/1.1\r\nHost: localhost\r\n\r\n', 404],
    ['a condition', put('a', 'x', `${HOST}If-Match: *\r\n`), 412],
    ['another origin', get('a', `${HOST}Origin: http://evil.example\r\n`), 403],
    ['another host', get('a', 'Host: evil.example\r\n'), 403],
    ['no host', get('a', ''), 400],
    ['two hosts', get('a', HOST + HOST), 400],
    ['two lengths', `PUT /v1/kv/a HTTP/1.1\r\n${HOST}Content-Length: 1\r\nContent-Length: 2\r\n\r\nx`, 400],
    ['a length that is no number', `PUT /v1/kv/a HTTP/1.1\r\n${HOST}Content-Length: +1\r\n\r\nx`, 400],
    ['a length and chunks', put('a', 'x', `${HOST}Transfer-Encoding: chunked\r\n`), 400],
    ['a folded header', get('a', `${HOST}Accept: a\r\n b\r\n`), 400],
    ['a bare line feed', 'GET /v1/kv/a HTTP/1.1\nHost: localhost\r\n\r\n', 400],
    ['a header without a name', get('a', `${HOST}: x\r\n`), 400],
    ['a space before the colon', get('a', 'Host : localhost\r\n'), 400],
    ['a content encoding', put('a', 'x', `${HOST}Content-Encoding: gzip\r\n`), 415],
    ['an idempotency key', put('a', 'x', `${HOST}Idempotency-Key: 1\r\n`), 201],
    ['another method', `OPTIONS /v1/kv/a HTTP/1.1\r\n${HOST}\r\n`, 204],
    ['a batch of another type', batch(BATCH, '', HOST, 'application/json'), 415],
    ['a batch with a condition', batch(BATCH, '', `${HOST}If-Match: *\r\n`), 400],
    ['a batch with another query', batch(BATCH, '?wait=1s'), 400],
    ['a batch without a length', `POST /v1/batch HTTP/1.1\r\n${HOST}Content-Type: ${BATCH_MEDIA_TYPE}\r\n\r\n`, 400],
    ['a batch that is asked for', `GET /v1/batch HTTP/1.1\r\n${HOST}\r\n`, 405],
    ['another path', `GET /v1/status HTTP/1.1\r\n${HOST}\r\n`, 200],
  ])('is %s', async (_what, request, status) => {
    const { connect, byNode } = await laneBench()
    const connection = await connect()
    // After a request on the lane, so that its connection changes ways.
    connection.send(get('nothing'))
    expect((await connection.answer()).status).toBe(404)
    expect(byNode()).toBe(0)
    connection.send(request)
    expect((await connection.answer()).status).toBe(status)
  })

  it('is a body that comes later than its head, and everything after it on that connection', async () => {
    const { connect, node, byNode } = await laneBench()
    const connection = await connect()
    const request = put('a', 'value')
    connection.send(request.slice(0, -3))
    await eventually(byNode).toBe(1)
    connection.send(request.slice(-3))
    expect((await connection.answer()).status).toBe(201)
    connection.send(get('a'))
    expect((await connection.answer()).body.toString()).toBe('value')
    expect(byNode()).toBe(2)
    expect(node.entries.size).toBe(1)
  })

  it('is a head that comes in pieces, wherever it is cut', async () => {
    const { connect } = await laneBench()
    const request = get('nothing')
    for (let at = 1; at < request.length; at += 7) {
      const connection = await connect()
      connection.send(request.slice(0, at))
      await new Promise((resolve) => setImmediate(resolve))
      connection.send(request.slice(at))
      expect((await connection.answer()).status).toBe(404)
      connection.close()
    }
  })
})

describe('a connection on the fast lane', () => {
  it('answers in order what was sent while a request was under way', async () => {
    const { connect, node } = await laneBench()
    const connection = await connect()
    node.isHolding = true
    connection.send(put('a', 'x'))
    await eventually(() => node.held).toBe(1)
    connection.send(`${get('a')}${put('a', 'y')}`)
    node.release()
    expect((await connection.answer()).status).toBe(201)
    expect((await connection.answer()).headers.get('content-length')).toBe('1')
    expect((await connection.answer()).status).toBe(200)
    expect(Buffer.from(node.entries.get('a')!.value).toString()).toBe('y')
  })

  it('gives the answer that a client waits for who has said that it will say nothing more', async () => {
    const { connect, node } = await laneBench()
    const connection = await connect()
    node.isHolding = true
    connection.send(put('a', 'x'))
    await eventually(() => node.held).toBe(1)
    connection.socket.end()
    node.release()
    expect((await connection.answer()).status).toBe(201)
    await connection.closed()
  })

  it('whose client went away leaves the server as it was', async () => {
    const { connect, node } = await laneBench()
    const gone = await connect()
    node.isHolding = true
    gone.send(put('a', 'x'))
    await eventually(() => node.held).toBe(1)
    gone.close()
    await new Promise((resolve) => gone.socket.once('close', resolve))
    node.release()
    const connection = await connect()
    connection.send(get('a'))
    expect((await connection.answer()).body.toString()).toBe('x')
  })

  it('does not answer a second request before its client has read the first answer', async () => {
    const { connect, byNode } = await laneBench()
    const connection = await connect()
    const value = 'v'.repeat(1_000_000)
    connection.send(put('a', value))
    expect((await connection.answer()).status).toBe(201)
    connection.socket.pause()
    for (let count = 0; count < 20; count++) connection.send(get('a'))
    connection.socket.resume()
    for (let count = 0; count < 20; count++) expect((await connection.answer()).body.length).toBe(value.length)
    expect(byNode()).toBeGreaterThan(0)
  })

  it('is refused what is new while the server shuts down, and closes', async () => {
    const { connect, app } = await laneBench()
    const connection = await connect()
    connection.send(get('a'))
    await connection.answer()
    app.drain()
    connection.send(get('a'))
    const answer = await connection.answer()
    expect([answer.status, answer.headers.get('connection')]).toEqual([503, 'close'])
    await connection.closed()
  })

  it('does not keep the server from closing: idle ones end at once, others with their answer', async () => {
    const { connect, app, node } = await laneBench()
    const idle = await connect()
    idle.send(get('a'))
    await idle.answer()
    const busy = await connect()
    node.isHolding = true
    busy.send(put('a', 'x'))
    await eventually(() => node.held).toBe(1)
    const closing = app.server.close()
    await idle.closed()
    node.release()
    expect((await busy.answer()).headers.get('connection')).toBe('close')
    await busy.closed()
    await closing
  })

  it('is not used where the log has a line for each request', async () => {
    const { connect, logged } = await laneBench({ level: 'debug' } as object)
    const connection = await connect()
    connection.send(get('a'))
    await connection.answer()
    await eventually(() => logged.length).toBe(1)
  })

  it('stands for no more than the server allows', async () => {
    const { app, port } = await laneBench()
    app.server.server.maxConnections = 1
    const first = await RawConnection.open(port)
    first.send(get('a'))
    await first.answer()
    const second = await RawConnection.open(port)
    await second.closed()
    first.close()
  })
})
