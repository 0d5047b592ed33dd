// Reading and writing one key over HTTP, line by line as the API promises it.
import { describe, expect, it } from 'vitest'
import type { InjectOptions, LightMyRequestResponse } from 'fastify'
import { expectInjectedProblem, openBench } from './harness.ts'
import type { Bench } from './harness.ts'

type Headers = Record<string, string>

const send = (
  { app }: Bench,
  method: 'GET' | 'HEAD' | 'PUT' | 'DELETE',
  url: string,
  headers: Headers = {},
  payload?: string | Buffer,
): Promise<LightMyRequestResponse> => {
  const options: InjectOptions = { method, url, headers, ...(payload === undefined ? {} : { payload }) }
  return app.server.inject(options)
}

const put = (bench: Bench, url: string, value: string | Buffer = 'x', headers: Headers = {}) =>
  send(bench, 'PUT', url, headers, value)

describe('PUT of a key', () => {
  it('creates with 201 and replaces with 200, an empty body and the entity tag', async () => {
    const bench = openBench()
    const created = await put(bench, '/v1/kv/a', 'one')
    expect(created.statusCode).toBe(201)
    expect(created.headers).toMatchObject({
      etag: '"2"',
      'content-length': '0',
      'cache-control': 'no-store',
      'quorate-revision': '2',
      'quorate-term': '3',
      'quorate-node': 'n1',
      'quorate-leader': 'n1',
    })
    expect(created.payload).toBe('')
    const replaced = await put(bench, '/v1/kv/a', 'two')
    expect([replaced.statusCode, replaced.headers['etag']]).toEqual([200, '"3"'])
  })

  it('H6: without a body stores an empty value', async () => {
    const bench = openBench()
    expect((await send(bench, 'PUT', '/v1/kv/a')).statusCode).toBe(201)
    const read = await send(bench, 'GET', '/v1/kv/a')
    expect([read.statusCode, read.headers['content-length'], read.payload]).toEqual([200, '0', ''])
  })

  it('takes one condition and refuses with the current revision', async () => {
    const bench = openBench()
    const refused = async (url: string, headers: Headers, currentRevision: number): Promise<void> => {
      const answer = await put(bench, url, 'no', headers)
      const document = expectInjectedProblem(answer, 412, 'PRECONDITION_FAILED')
      expect(document).toMatchObject({ currentRevision, outcome: 'not-applied', retryable: false })
      expect(Number(answer.headers['quorate-revision'])).toBeGreaterThanOrEqual(currentRevision)
    }
    await refused('/v1/kv/a', { 'if-match': '*' }, 0)
    await refused('/v1/kv/a', { 'if-match': '"1"' }, 0)
    await refused('/v1/kv/a?cas=1', {}, 0)
    expect((await put(bench, '/v1/kv/a', '1', { 'if-none-match': '*' })).statusCode).toBe(201)
    await refused('/v1/kv/a', { 'if-none-match': '*' }, 2)
    await refused('/v1/kv/a?cas=0', {}, 2)
    await refused('/v1/kv/a', { 'if-match': '"3"' }, 2)
    for (const tag of ['"a"', '""', 'W/"2"']) await refused('/v1/kv/a', { 'if-match': tag }, 2)
    expect((await put(bench, '/v1/kv/a', '2', { 'if-match': '"2"' })).headers['etag']).toBe('"3"')
    expect((await put(bench, '/v1/kv/a?cas=3', '3')).headers['etag']).toBe('"4"')
    expect((await put(bench, '/v1/kv/a', '4', { 'if-match': '*' })).headers['etag']).toBe('"5"')
    expect((await put(bench, '/v1/kv/new?cas=0', '5')).statusCode).toBe(201)
  })

  it('refuses malformed, listed and doubled conditions with 400, and writes nothing', async () => {
    const bench = openBench()
    const cases: [string, Headers][] = [
      ['/v1/kv/a', { 'if-match': '17' }],
      ['/v1/kv/a', { 'if-match': '"1", "2"' }],
      ['/v1/kv/a', { 'if-none-match': '"1"' }],
      ['/v1/kv/a', { 'if-match': '"1"', 'if-none-match': '*' }],
      ['/v1/kv/a?cas=1', { 'if-match': '"1"' }],
    ]
    for (const [url, headers] of cases) expectInjectedProblem(await put(bench, url, 'x', headers), 400, 'BAD_REQUEST')
    for (const query of ['cas=', 'cas', 'cas=x', 'cas=-1', 'cas=1&cas=1', 'cas=1e1'])
      expectInjectedProblem(await put(bench, `/v1/kv/a?${query}`), 400, 'BAD_PARAMETER')
    expect(bench.node.writes).toEqual([])
  })

  it('with ?prev answers the entry that was replaced', async () => {
    const bench = openBench()
    const created = await put(bench, '/v1/kv/a?prev', 'one', { 'content-type': 'text/plain' })
    expect([created.statusCode, created.json()]).toEqual([201, { prev: null }])
    const replaced = await put(bench, '/v1/kv/a?prev=true', Buffer.from([0xff]))
    expect([replaced.statusCode, replaced.headers['etag'], replaced.headers['content-type']]).toEqual([
      200,
      '"3"',
      'application/json',
    ])
    expect(replaced.json()).toEqual({
      prev: { key: 'a', value: 'one', contentType: 'text/plain', createRevision: 2, modRevision: 2, version: 1 },
    })
    const third = await put(bench, '/v1/kv/a?prev', 'three')
    expect(third.json()).toEqual({ prev: { key: 'a', value64: '_w', createRevision: 2, modRevision: 3, version: 2 } })
    expect((await put(bench, '/v1/kv/a?prev=false', 'four')).payload).toBe('')
  })

  it('refuses what the API does not know here, rather than ignore it', async () => {
    const bench = openBench()
    for (const query of [
      'ttl=0',
      'ttl=x',
      'ttl=1s&lease=00000000000000ff',
      'lease=1',
      'lease',
      'add=1',
      'fence=a',
      'fence=:1',
      'fence=a:0',
      'consistency=stale',
      'x',
      'timeout=61s',
      'prev=1',
    ])
      expectInjectedProblem(await put(bench, `/v1/kv/a?${query}`), 400, 'BAD_PARAMETER')
    const keyed = await put(bench, '/v1/kv/a', 'x', { 'idempotency-key': 'k k' })
    expectInjectedProblem(keyed, 400, 'BAD_REQUEST')
    expect(bench.node.writes).toEqual([])
  })

  it('passes its timeout on', async () => {
    const bench = openBench()
    await put(bench, '/v1/kv/a?timeout=250ms')
    await put(bench, '/v1/kv/a')
    expect(bench.node.writes.map((write) => write.timeoutMs)).toEqual([250, 5_000])
  })
})

describe('the content type of a value', () => {
  const stored: [string, string | undefined, string][] = [
    ['is kept', 'text/html; charset=utf-8', 'text/html; charset=utf-8'],
    ['is kept when malformed', 'foo', 'foo'],
    ['is dropped when it is curl’s form type', 'application/x-www-form-urlencoded', 'application/octet-stream'],
    [
      'is dropped when it is that with a parameter',
      'Application/X-WWW-form-urlencoded; a=b',
      'application/octet-stream',
    ],
    ['is octet-stream when empty', '', 'application/octet-stream'],
    ['is octet-stream when absent', undefined, 'application/octet-stream'],
    ['is not parsed when it is JSON', 'application/json', 'application/json'],
    ['is kept with 255 bytes', `a/${'b'.repeat(253)}`, `a/${'b'.repeat(253)}`],
  ]
  it.each(stored)('%s', async (_, type, expected) => {
    const bench = openBench()
    const headers: Headers = type === undefined ? {} : { 'content-type': type }
    expect((await put(bench, '/v1/kv/a', Buffer.from('{'), headers)).statusCode).toBe(201)
    const read = await send(bench, 'GET', '/v1/kv/a')
    expect([read.headers['content-type'], read.payload]).toEqual([expected, '{'])
  })

  it('has at most 255 bytes', async () => {
    const answer = await put(openBench(), '/v1/kv/a', 'x', { 'content-type': 'a'.repeat(256) })
    expectInjectedProblem(answer, 400, 'BAD_REQUEST')
  })

  it('is replaced by each PUT', async () => {
    const bench = openBench()
    await put(bench, '/v1/kv/a', 'x', { 'content-type': 'text/plain' })
    await put(bench, '/v1/kv/a', 'x', { 'content-type': '' })
    expect((await send(bench, 'GET', '/v1/kv/a')).headers['content-type']).toBe('application/octet-stream')
  })

  it('H6: does not cover an encoding or a range: those are refused, nothing is decompressed', async () => {
    const bench = openBench()
    const encoded = await put(bench, '/v1/kv/a', 'x', { 'content-encoding': 'gzip' })
    expectInjectedProblem(encoded, 415, 'UNSUPPORTED_MEDIA_TYPE')
    expectInjectedProblem(await put(bench, '/v1/kv/a', 'x', { 'content-range': 'bytes 0-0/2' }), 400, 'BAD_REQUEST')
    expect(bench.node.writes).toEqual([])
    expect((await put(bench, '/v1/kv/a', 'x', { 'content-encoding': 'Identity' })).statusCode).toBe(201)
  })
})

describe('GET of a key', () => {
  it('answers the bytes with all metadata', async () => {
    const bench = openBench()
    await put(bench, '/v1/kv/a', 'one')
    await put(bench, '/v1/kv/b', 'other')
    await put(bench, '/v1/kv/a', 'two')
    const read = await send(bench, 'GET', '/v1/kv/a')
    expect(read.statusCode).toBe(200)
    expect(read.payload).toBe('two')
    expect(read.headers).toMatchObject({
      etag: '"4"',
      'cache-control': 'no-cache',
      'x-content-type-options': 'nosniff',
      'content-security-policy': 'sandbox',
      'content-length': '3',
      'quorate-create-revision': '2',
      'quorate-key-version': '2',
      'quorate-revision': '4',
    })
    for (const absent of ['quorate-lease', 'quorate-ttl-ms', 'quorate-staleness-ms'])
      expect(read.headers).not.toHaveProperty(absent)
  })

  it('names the lease of an entry that has one', async () => {
    const bench = openBench()
    await put(bench, '/v1/kv/a', 'one')
    bench.node.entries.set('a', { ...bench.node.entries.get('a')!, lease: '00000000000000ff' })
    expect((await send(bench, 'GET', '/v1/kv/a')).headers['quorate-lease']).toBe('00000000000000ff')
    expect((await send(bench, 'DELETE', '/v1/kv/a?prev')).json()).toMatchObject({ prev: { lease: '00000000000000ff' } })
  })

  it('is 404 for what is not there, and HEAD the same without the body', async () => {
    const bench = openBench()
    const document = expectInjectedProblem(await send(bench, 'GET', '/v1/kv/a'), 404, 'KEY_NOT_FOUND')
    expect(document).toMatchObject({ outcome: 'not-applied', retryable: false })
    const head = await send(bench, 'HEAD', '/v1/kv/a')
    expect([head.statusCode, head.payload, head.headers['content-type']]).toEqual([404, '', 'application/problem+json'])
    await put(bench, '/v1/kv/a', 'one')
    const found = await send(bench, 'HEAD', '/v1/kv/a')
    const { date: _, ...headers } = (await send(bench, 'GET', '/v1/kv/a')).headers
    expect([found.statusCode, found.payload]).toEqual([200, ''])
    expect(found.headers).toMatchObject(headers)
  })

  it('answers 304 with tag, caching and metadata, and 412 with the current revision', async () => {
    const bench = openBench()
    await put(bench, '/v1/kv/a', 'one')
    for (const tags of ['"2"', 'W/"2"', '"1", "2"', '*']) {
      const answer = await send(bench, 'GET', '/v1/kv/a', { 'if-none-match': tags })
      expect([answer.statusCode, answer.payload]).toEqual([304, ''])
      expect(answer.headers).toMatchObject({
        etag: '"2"',
        'cache-control': 'no-cache',
        'quorate-create-revision': '2',
        'quorate-key-version': '1',
        'quorate-revision': '2',
      })
    }
    expect((await send(bench, 'GET', '/v1/kv/a', { 'if-none-match': '"1"' })).statusCode).toBe(200)
    expect((await send(bench, 'GET', '/v1/kv/a', { 'if-match': '"1", "2"' })).statusCode).toBe(200)
    const failed = await send(bench, 'GET', '/v1/kv/a', { 'if-match': '"1"' })
    expect(expectInjectedProblem(failed, 412, 'PRECONDITION_FAILED')['currentRevision']).toBe(2)
    expectInjectedProblem(await send(bench, 'GET', '/v1/kv/none', { 'if-none-match': '2' }), 400, 'BAD_REQUEST')
  })

  it('passes its consistency, bounds and timeout on', async () => {
    const bench = openBench()
    const cases = [
      ['', 'linearizable', undefined, undefined, 5_000],
      ['?consistency=linearizable&timeout=1s', 'linearizable', undefined, undefined, 1_000],
      ['?consistency=stale', 'stale', undefined, undefined, 5_000],
      ['?maxStale=2s', 'stale', 2_000, undefined, 5_000],
      ['?consistency=stale&maxStale=500ms&minRevision=1', 'stale', 500, 1, 5_000],
      ['?minRevision=0', 'linearizable', undefined, 0, 5_000],
    ] as const
    for (const [query, consistency, maxStaleMs, minRevision, timeoutMs] of cases) {
      await send(bench, 'GET', `/v1/kv/a${query}`)
      expect(bench.node.reads.at(-1)!.options).toEqual({ consistency, maxStaleMs, minRevision, timeoutMs })
    }
    const bad = [
      'consistency=weak',
      'consistency',
      'maxStale=1s&consistency=linearizable',
      'maxStale=',
      'minRevision=x',
      'cas=1',
      'prev',
      'revision=-1',
      'wait',
      'after=1',
      'wait=1s&revision=1',
      'wait=25h',
    ]
    for (const query of bad) expectInjectedProblem(await send(bench, 'GET', `/v1/kv/a?${query}`), 400, 'BAD_PARAMETER')
  })

  it('says how stale a stale answer may be, found or not, and nothing where that is unknown', async () => {
    const bench = openBench()
    bench.node.stalenessMs = 40
    await put(bench, '/v1/kv/a', 'one')
    for (const url of ['/v1/kv/a?consistency=stale', '/v1/kv/none?consistency=stale'])
      expect((await send(bench, 'GET', url)).headers['quorate-staleness-ms']).toBe('40')
    bench.node.stalenessMs = undefined
    expect((await send(bench, 'GET', '/v1/kv/a?consistency=stale')).headers).not.toHaveProperty('quorate-staleness-ms')
    expectInjectedProblem(await send(bench, 'GET', '/v1/kv/a?maxStale=2s'), 503, 'TOO_STALE')
  })
})

describe('DELETE of a key', () => {
  it('says how many keys went, also when there was none', async () => {
    const bench = openBench()
    await put(bench, '/v1/kv/a', 'one')
    const deleted = await send(bench, 'DELETE', '/v1/kv/a')
    expect([deleted.statusCode, deleted.json(), deleted.headers['quorate-revision']]).toEqual([
      200,
      { deleted: 1, revision: 3 },
      '3',
    ])
    expect(deleted.headers).toMatchObject({ 'content-type': 'application/json', 'cache-control': 'no-store' })
    expect((await send(bench, 'DELETE', '/v1/kv/a')).json()).toEqual({ deleted: 0, revision: 3 })
  })

  it('takes conditions and ?prev', async () => {
    const bench = openBench()
    await put(bench, '/v1/kv/%ff', '')
    const failed = await send(bench, 'DELETE', '/v1/kv/%ff', { 'if-match': '"9"' })
    expect(expectInjectedProblem(failed, 412, 'PRECONDITION_FAILED')['currentRevision']).toBe(2)
    expect((await send(bench, 'DELETE', '/v1/kv/%ff?cas=2&prev')).json()).toEqual({
      deleted: 1,
      revision: 3,
      prev: { key64: '_w', value: '', createRevision: 2, modRevision: 2, version: 1 },
    })
    expect((await send(bench, 'DELETE', '/v1/kv/%ff?prev')).json()).toEqual({ deleted: 0, revision: 3, prev: null })
  })

  it('ignores a body', async () => {
    const bench = openBench()
    const answer = await send(bench, 'DELETE', '/v1/kv/a', { 'content-type': 'foo' }, 'x')
    expect(answer.json()).toEqual({ deleted: 0, revision: 1 })
  })
})

describe('a key', () => {
  it('N13: may be named like what every object has', async () => {
    const bench = openBench()
    for (const key of ['__proto__', 'constructor', 'toString', 'hasOwnProperty']) {
      expect((await send(bench, 'GET', `/v1/kv/${key}`)).statusCode).toBe(404)
      expect((await put(bench, `/v1/kv/${key}`, key)).statusCode).toBe(201)
      expect((await put(bench, `/v1/kv/${key}?prev`, key)).json()).toMatchObject({ prev: { key, value: key } })
      expect((await send(bench, 'GET', `/v1/kv/${key}`)).payload).toBe(key)
    }
  })

  it('is the same resource in base64url', async () => {
    const bench = openBench()
    await put(bench, '/v1/kv/a%00/..%2F', 'x')
    const key64 = Buffer.from('a\0/../').toString('base64url')
    expect((await send(bench, 'GET', `/v1/kv64/${key64}`)).payload).toBe('x')
    expect((await send(bench, 'DELETE', `/v1/kv64/${key64}`)).json()).toMatchObject({ deleted: 1 })
  })

  it('is required, and bounded, for every method', async () => {
    const bench = openBench()
    for (const method of ['GET', 'HEAD', 'PUT', 'DELETE', 'POST', 'PATCH', 'OPTIONS'] as const)
      for (const url of ['/v1/kv/', '/v1/kv64/', '/v1/kv/?prev']) {
        const answer = await bench.app.server.inject({ method, url })
        expect(answer.statusCode).toBe(400)
        if (method !== 'HEAD') expectInjectedProblem(answer, 400, 'KEY_REQUIRED')
      }
    expectInjectedProblem(await send(bench, 'GET', `/v1/kv/${'a'.repeat(4_097)}`), 400, 'KEY_TOO_LONG')
    expect((await put(bench, `/v1/kv/${'a'.repeat(4_096)}`)).statusCode).toBe(201)
  })
})
