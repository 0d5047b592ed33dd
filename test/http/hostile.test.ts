// Over real sockets: every byte in keys and values, sizes at the limits, what the HTTP parser refuses, and clients that mean
// harm or are merely slow. Whatever it is, the answer is a problem document, and the node never saw the request.
import { randomBytes } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { eventually, expectProblem, listenBench } from './harness.ts'

const MiB = 1_048_576

describe('over a socket, a key', () => {
  it('H1: of any byte is stored and read back as that byte', async () => {
    const { node, connect, port } = await listenBench()
    const connection = await connect()
    for (let byte = 0; byte < 256; byte++) {
      const target = `/v1/kv/k%${byte.toString(16).padStart(2, '0')}`
      connection.send(`PUT ${target} HTTP/1.1\r\nHost: localhost:${port}\r\nContent-Length: 1\r\n\r\n`)
      connection.sendBytes(Uint8Array.of(byte))
      expect((await connection.answer()).status).toBe(201)
      connection.send(`GET ${target} HTTP/1.1\r\nHost: localhost:${port}\r\n\r\n`)
      expect([...(await connection.answer()).body]).toEqual([byte])
    }
    expect([...node.entries.keys()]).toEqual(Array.from({ length: 256 }, (_, byte) => `k${String.fromCharCode(byte)}`))
  })

  it('H1: arrives as sent: dots, slashes, characters that URLs do not have', async () => {
    const { node, ask } = await listenBench()
    for (const key of ['.', '..', '../..', 'a//b', 'a/', '/', 'a+b', 'x/../y', '"<>\\^`{|}', "!$&'()*,;=:@[]"]) {
      expect((await ask(`PUT /v1/kv/${key}`)).status).toBe(201)
      expect([...node.entries.keys()].at(-1)).toBe(key)
    }
    expect((await ask('PUT /v1/kv/%2e%2e/%2F')).status).toBe(201)
    expect(node.entries.has('..//')).toBe(true)
    // Node's parser takes no raw byte above 0x7f in a target.
    expectProblem(await ask('PUT /v1/kv/\xff'), 400, 'MALFORMED_HTTP')
  })

  it('H1: with a raw # is refused, in the path and behind it', async () => {
    const { ask, node } = await listenBench()
    for (const target of ['/v1/kv/a#b', '/v1/kv/a?cas=1#b', '/v1/kv/#'])
      expectProblem(await ask(`PUT ${target}`), 400, 'BAD_REQUEST')
    expect(node.writes).toEqual([])
  })

  it('H1: of 4,096 encoded bytes fits, and one more is too long', async () => {
    const { ask } = await listenBench()
    expect((await ask(`PUT /v1/kv/${'%ff'.repeat(4_096)}`)).status).toBe(201)
    expectProblem(await ask(`PUT /v1/kv/${'%ff'.repeat(4_097)}`), 400, 'KEY_TOO_LONG')
  })

  it('H2: with a malformed escape is refused for each method', async () => {
    const { ask } = await listenBench()
    for (const method of ['GET', 'PUT', 'DELETE', 'POST', 'OPTIONS'])
      for (const key of ['%zz', '%', '%f']) expectProblem(await ask(`${method} /v1/kv/${key}`), 400, 'BAD_REQUEST')
  })

  it('H4: is found in a target of absolute form, whose authority counts as Host', async () => {
    const { ask, node } = await listenBench()
    expect((await ask('PUT http://localhost:1/v1/kv/a%00')).status).toBe(201)
    expect(node.entries.has('a\0')).toBe(true)
    expectProblem(await ask('GET http://evil.example/v1/kv/a'), 403, 'FORBIDDEN')
  })
})

describe('over a socket, a value', () => {
  it('H7: of 0, 1 MiB − 1 and 1 MiB of any bytes comes back the same', async () => {
    const { connect, port } = await listenBench()
    const connection = await connect()
    for (const size of [0, 1, 16_384, 16_385, 65_536, MiB - 1, MiB]) {
      const value = randomBytes(size)
      connection.send(`PUT /v1/kv/a HTTP/1.1\r\nHost: localhost:${port}\r\nContent-Length: ${size}\r\n\r\n`)
      connection.sendBytes(value)
      expect([200, 201]).toContain((await connection.answer()).status)
      connection.send(`GET /v1/kv/a HTTP/1.1\r\nHost: localhost:${port}\r\n\r\n`)
      const read = await connection.answer()
      expect(read.body.equals(value)).toBe(true)
      connection.send(`HEAD /v1/kv/a HTTP/1.1\r\nHost: localhost:${port}\r\n\r\n`)
      expect((await connection.answer({ isHead: true })).headers.get('content-length')).toBe(String(size))
    }
  })

  it('H6: of 1 MiB + 1 is refused before any of it is sent', async () => {
    const { connect, port, node } = await listenBench()
    const connection = await connect()
    connection.send(`PUT /v1/kv/a HTTP/1.1\r\nHost: localhost:${port}\r\nContent-Length: ${MiB + 1}\r\n\r\n`)
    expectProblem(await connection.answer(), 413, 'VALUE_TOO_LARGE')
    // The connection survives: the body is thrown away as it comes.
    connection.sendBytes(Buffer.alloc(MiB + 1))
    connection.send(`GET /livez HTTP/1.1\r\nHost: localhost:${port}\r\n\r\n`)
    expect((await connection.answer()).status).toBe(200)
    expect(node.writes).toEqual([])
  })

  it('H6: in chunks is bounded and whole', async () => {
    const { connect, port, node } = await listenBench()
    const connection = await connect()
    const start = `PUT /v1/kv/a HTTP/1.1\r\nHost: localhost:${port}\r\nTransfer-Encoding: chunked\r\n\r\n`
    connection.send(`${start}2\r\nab\r\n1\r\nc\r\n0\r\n\r\n`)
    expect((await connection.answer()).status).toBe(201)
    expect(Buffer.from(node.entries.get('a')!.value).toString()).toBe('abc')
    connection.send(`${start}0\r\n\r\n`)
    expect((await connection.answer()).status).toBe(200)
    expect(node.entries.get('a')!.value).toHaveLength(0)

    const chunk = Buffer.concat([Buffer.from('10000\r\n'), Buffer.alloc(65_536), Buffer.from('\r\n')])
    connection.send(start)
    for (let i = 0; i < 17; i++) connection.sendBytes(chunk)
    expectProblem(await connection.answer(), 413, 'VALUE_TOO_LARGE')
    connection.send(`0\r\n\r\nGET /livez HTTP/1.1\r\nHost: localhost:${port}\r\n\r\n`)
    expect((await connection.answer()).status).toBe(200)
    expect(node.writes).toHaveLength(2)
  })

  it('H4: is asked for with 100 Continue, and refused instead of it', async () => {
    const { connect, port, node } = await listenBench()
    const expectant = (target: string, length: number): string =>
      `PUT ${target} HTTP/1.1\r\nHost: localhost:${port}\r\nExpect: 100-continue\r\nContent-Length: ${length}\r\n\r\n`
    const willing = await connect()
    willing.send(expectant('/v1/kv/a', 1))
    expect((await willing.answer()).status).toBe(100)
    willing.send('x')
    expect((await willing.answer()).status).toBe(201)
    const cases = [
      ['/v1/kv/a', MiB + 1, 413, 'VALUE_TOO_LARGE'],
      ['/v1/kv/', 1, 400, 'KEY_REQUIRED'],
      ['/v1/kv/a?x', 1, 400, 'BAD_PARAMETER'],
      ['/nothing', 1, 404, 'NOT_FOUND'],
      ['/v1/status', 1, 405, 'METHOD_NOT_ALLOWED'],
    ] as const
    for (const [target, length, status, code] of cases) {
      const refused = await connect()
      refused.send(expectant(target, length))
      expectProblem(await refused.answer(), status, code)
    }
    expect(node.writes).toHaveLength(1)
    const transfer = await connect()
    transfer.send(expectant('/v1/leader/transfer', 2).replace('PUT', 'POST'))
    expect((await transfer.answer()).status).toBe(100)
    transfer.send('{}')
    expect((await transfer.answer()).status).toBe(204)
  })

  it('that breaks off is not written, of a DELETE neither', async () => {
    const { connect, port, node, ask } = await listenBench()
    for (const method of ['PUT', 'DELETE'])
      for (const framing of ['Content-Length: 9', 'Transfer-Encoding: chunked']) {
        const connection = await connect()
        connection.send(`${method} /v1/kv/a HTTP/1.1\r\nHost: localhost:${port}\r\n${framing}\r\n\r\n2\r\n`)
        connection.socket.end()
        expectProblem(await connection.answer(), 400, 'MALFORMED_HTTP')
        await connection.closed()
      }
    expect((await ask('GET /livez')).status).toBe(200)
    expect(node.writes).toEqual([])
  })
})

describe('what is not HTTP as we take it', () => {
  it('H4: is refused by a problem, with the headers of every answer, and the connection closed', async () => {
    const { connect, node } = await listenBench()
    const host = 'Host: localhost'
    const malformed = [
      'nonsense\r\n\r\n',
      'GET /\r\n\r\n',
      `FOO /v1/kv/a HTTP/1.1\r\n${host}\r\n\r\n`,
      `GET /v1/kv/a HTTP/9.9\r\n${host}\r\n\r\n`,
      `GET /v1/kv/a b HTTP/1.1\r\n${host}\r\n\r\n`,
      `PUT /v1/kv/a HTTP/1.1\r\n${host}\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx`,
      `PUT /v1/kv/a HTTP/1.1\r\n${host}\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx`,
      `PUT /v1/kv/a HTTP/1.1\r\n${host}\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
      `PUT /v1/kv/a HTTP/1.1\r\n${host}\r\nContent-Length: -1\r\n\r\n`,
      `PUT /v1/kv/a HTTP/1.1\r\n${host}\r\nContent-Length: 0x1\r\n\r\nx`,
      `PUT /v1/kv/a HTTP/1.1\r\n${host}\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n`,
      `GET /v1/kv/a HTTP/1.1\r\n${host}\r\nbad header: 1\r\n\r\n`,
      `GET /v1/kv/a HTTP/1.1\r\n${host}\r\nA: b\0c\r\n\r\n`,
      'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
    ]
    for (const text of malformed) {
      const connection = await connect()
      connection.send(text)
      const answer = await connection.answer()
      expectProblem(answer, 400, 'MALFORMED_HTTP')
      expect(answer.headers.get('quorate-revision')).toBe('1')
      expect(answer.headers.get('connection')).toBe('close')
      await connection.closed()
    }
    expect(node.writes).toEqual([])
    expect(node.reads).toEqual([])
  })

  it('H4: includes a missing and a doubled Host', async () => {
    const { connect } = await listenBench()
    for (const headers of ['', 'Host: localhost\r\nHost: localhost\r\n']) {
      const connection = await connect()
      connection.send(`GET /v1/kv/a HTTP/1.1\r\n${headers}\r\n`)
      expectProblem(await connection.answer(), 400, 'MALFORMED_HTTP')
    }
  })

  it('H4: includes conditions given twice: they are a list, never silently the first', async () => {
    const { ask, node } = await listenBench()
    expectProblem(await ask('PUT /v1/kv/a', ['If-Match: "1"', 'If-Match: "2"']), 400, 'BAD_REQUEST')
    expectProblem(await ask('PUT /v1/kv/a', ['If-None-Match: *', 'If-None-Match: *']), 400, 'BAD_REQUEST')
    expect(node.writes).toEqual([])
  })

  it('H4: includes headers that are too large or too many', async () => {
    const { ask, node } = await listenBench()
    expectProblem(await ask('PUT /v1/kv/a', [`X: ${'x'.repeat(17_000)}`]), 431, 'HEADERS_TOO_LARGE')
    expectProblem(await ask(`PUT /v1/kv/${'x'.repeat(17_000)}`), 431, 'HEADERS_TOO_LARGE')
    const many = Array.from({ length: 200 }, (_, i) => `X-${i}: 1`)
    expectProblem(await ask('PUT /v1/kv/a', [...many, 'If-Match: "9"']), 431, 'HEADERS_TOO_LARGE')
    expect(node.writes).toEqual([])
    const allowed = Array.from({ length: 97 }, (_, i) => `X-${i}: 1`)
    expectProblem(await ask('PUT /v1/kv/a', [...allowed, 'If-Match: "9"']), 412, 'PRECONDITION_FAILED')
  })

  it('H4: includes methods nobody offers here, with Allow', async () => {
    const { ask, connect } = await listenBench()
    for (const method of ['TRACE', 'PATCH', 'LOCK', 'PROPFIND']) {
      const answer = await ask(`${method} /v1/kv/a`)
      expectProblem(answer, 405, 'METHOD_NOT_ALLOWED')
      expect(answer.headers.get('allow')).toBe('GET, HEAD, PUT, POST, DELETE, OPTIONS')
    }
    const connection = await connect()
    connection.send('CONNECT example.com:80 HTTP/1.1\r\nHost: example.com\r\n\r\n')
    const answer = await connection.answer()
    expectProblem(answer, 405, 'METHOD_NOT_ALLOWED')
    expect(answer.headers.get('allow')).toMatch(/GET/)
    const options = await ask('OPTIONS *')
    expect([options.status, options.headers.get('allow')]).toEqual([204, 'GET, HEAD, PUT, POST, DELETE, OPTIONS'])
  })

  it('H4: includes an expectation other than 100-continue', async () => {
    const { ask } = await listenBench()
    expectProblem(await ask('PUT /v1/kv/a', ['Expect: miracles'], 'x'), 417, 'EXPECTATION_FAILED')
  })

  it('does not answer for a request that still waits: its outcome is not known', async () => {
    const { connect, node } = await listenBench()
    node.isHolding = true
    const connection = await connect()
    connection.send('PUT /v1/kv/a?timeout=5s HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\n\r\nx')
    await eventually(() => node.held).toBe(1)
    connection.send('nonsense\r\n\r\n')
    expect((await connection.closed()).toString()).toBe('')
    node.release()
    expect(node.entries.has('a')).toBe(true)
  })
})

describe('what is HTTP, if unusual', () => {
  it('H4: is served: version 1.0 with and without Host', async () => {
    const { connect } = await listenBench()
    for (const headers of ['', 'Host: localhost\r\n']) {
      const connection = await connect()
      connection.send(`PUT /v1/kv/a HTTP/1.0\r\nContent-Length: 1\r\n${headers}\r\nx`)
      expect([200, 201]).toContain((await connection.answer()).status)
      await connection.closed()
    }
  })

  it('H4: is served in order: requests in one write', async () => {
    const { connect } = await listenBench()
    const connection = await connect()
    const put = 'PUT /v1/kv/a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\n\r\n'
    connection.send(`${put}1${put}2GET /v1/kv/a HTTP/1.1\r\nHost: localhost\r\n\r\n`)
    expect((await connection.answer()).headers.get('etag')).toBe('"2"')
    expect((await connection.answer()).headers.get('etag')).toBe('"3"')
    expect((await connection.answer()).status).toBeLessThan(500)
  })

  it('is served: a malformed and an empty content type, a body of a GET', async () => {
    const { ask } = await listenBench()
    expect((await ask('PUT /v1/kv/a', ['Content-Type: foo'], 'x')).status).toBe(201)
    expect((await ask('GET /v1/kv/a')).headers.get('content-type')).toBe('foo')
    expect((await ask('PUT /v1/kv/a', ['Content-Type:'], 'x')).status).toBe(200)
    expect((await ask('DELETE /v1/kv/b', ['Content-Type: foo'], 'x')).status).toBe(200)
    expect((await ask('GET /v1/kv/a', ['Content-Type: foo'], 'x')).body.toString()).toBe('x')
  })
})

describe('a slow client', () => {
  it('H5: that does not finish its headers or its body in time is told so and cut off', async () => {
    const { app, connect, node, port } = await listenBench()
    // The timeouts of production, only shorter; Node looks at them every two seconds.
    app.server.server.headersTimeout = 200
    app.server.server.requestTimeout = 300
    const headers = await connect()
    headers.send('PUT /v1/kv/a HTTP/1.1\r\nHost: loc')
    const body = await connect()
    body.send(`PUT /v1/kv/a HTTP/1.1\r\nHost: localhost:${port}\r\nContent-Length: 10\r\n\r\nx`)
    for (const connection of [headers, body]) {
      const document = expectProblem(await connection.answer(), 408, 'REQUEST_TIMEOUT')
      expect(document).toMatchObject({ outcome: 'not-applied', retryable: false })
      await connection.closed()
    }
    expect(node.writes).toEqual([])
  })

  it('H5: has limits on time, connections and headers that are set', async () => {
    const { app } = await listenBench()
    const { server } = app.server
    expect(server.headersTimeout).toBe(10_000)
    expect(server.requestTimeout).toBe(30_000)
    expect(server.keepAliveTimeout).toBe(72_000)
    expect(server.timeout).toBe(90_000)
    expect(server.maxConnections).toBe(10_000)
    expect(server.maxHeadersCount).toBe(101)
  })

  it('that goes away while its request waits leaves the server as it was', async () => {
    const { connect, node, ask, logged } = await listenBench()
    node.isHolding = true
    const connection = await connect()
    connection.send('PUT /v1/kv/a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\n\r\nx')
    await eventually(() => node.held).toBe(1)
    connection.close()
    node.release()
    expect((await ask('GET /v1/kv/a')).body.toString()).toBe('x')
    expect(logged.filter((line) => Number(line['level']) >= 40)).toEqual([])
  })
})
