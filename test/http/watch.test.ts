// Watches over HTTP: both formats, where they begin, where they can be resumed, and how they end.
import { describe, expect, it } from 'vitest'
import type { KeyEntry } from '../../src/api/commands.ts'
import { QuorateError } from '../../src/api/errors.ts'
import type { WatchEvent } from '../../src/node/facade.ts'
import type { RawConnection } from '../support/raw-http.ts'
import { eventually, expectInjectedProblem, expectProblem, listenBench, openBench } from './harness.ts'
import type { SocketBench } from './harness.ts'

const entry = (key: string, modRevision: number, value = 'x'): KeyEntry => ({
  key,
  value: Buffer.from(value),
  contentType: '',
  createRevision: 2,
  modRevision,
  version: 1,
  lease: '',
})

const put = (key: string, revision: number, previous?: KeyEntry): WatchEvent => ({
  kind: 'put',
  entry: entry(key, revision),
  previous,
})

async function watch(bench: SocketBench, query = '', headers: readonly string[] = []): Promise<RawConnection> {
  const connection = await bench.connect()
  const lines = [`GET /v1/watch${query} HTTP/1.1`, `Host: localhost:${bench.port}`, ...headers]
  connection.send(`${lines.join('\r\n')}\r\n\r\n`)
  await eventually(() => bench.node.watches.length).toBeGreaterThan(0)
  return connection
}

/** A watch that says what the test makes the node say. */
async function scripted(query = '', headers: readonly string[] = []) {
  const bench = await listenBench()
  bench.node.isWatchScripted = true
  const connection = await watch(bench, query, headers)
  const { sink, request } = bench.node.watches[0]!
  return { bench, connection, sink, request, state: bench.node.watches[0]! }
}

const NDJSON = ['Accept: application/x-ndjson']

describe('a watch', () => {
  it('tells of puts and deletions as they happen, as server-sent events', async () => {
    const bench = await listenBench()
    const connection = await watch(bench, '?prefix=a/&prev')
    const { status, headers } = await connection.head()
    expect([
      status,
      headers.get('content-type'),
      headers.get('cache-control'),
      headers.get('quorate-revision'),
    ]).toEqual([200, 'text/event-stream', 'no-store', '1'])
    await bench.app.server.inject({ method: 'PUT', url: '/v1/kv/a/1', payload: 'one' })
    await bench.app.server.inject({ method: 'PUT', url: '/v1/kv/b', payload: 'other' })
    await bench.app.server.inject({ method: 'DELETE', url: '/v1/kv/a/1' })
    expect(await connection.streamed('id: 4')).toBe(
      'event: progress\nid: 1\ndata: {"revision":1}\n\n' +
        'event: put\nid: 2\ndata: {"revision":2,"key":"a/1","value":"one","createRevision":2,"modRevision":2,"version":1}\n\n' +
        'event: delete\nid: 4\ndata: {"revision":4,"key":"a/1","modRevision":4,"version":0,' +
        '"prev":{"key":"a/1","value":"one","createRevision":2,"modRevision":2,"version":1}}\n\n',
    )
    connection.close()
    await eventually(() => bench.node.watches[0]!.isCancelled).toBe(true)
  })

  it('says the same as lines of JSON', async () => {
    const { connection, sink } = await scripted('', NDJSON)
    sink.onEvents(7, [put('a', 7), put('b', 7)])
    sink.onProgress(9)
    expect((await connection.head()).headers.get('content-type')).toBe('application/x-ndjson')
    const lines = (await connection.streamed('progress')).trimEnd().split('\n')
    expect(lines[0]).toMatch(/^\{"event":"put","revision":7,/)
    expect(lines.map((line) => JSON.parse(line) as object)).toMatchObject([
      { event: 'put', revision: 7, key: 'a' },
      { event: 'put', id: 7, revision: 7, key: 'b' },
      { event: 'progress', id: 9, revision: 9 },
    ])
    expect(lines[0]).not.toContain('"id"')
  })

  it('W1: carries an id on the last event of a revision only, so that a revision that is cut comes again whole', async () => {
    const { connection, sink } = await scripted()
    sink.onEvents(7, [put('a', 7), put('b', 7), { ...put('c', 7), kind: 'delete' }])
    sink.onEvents(8, [put('a', 8)])
    await connection.head()
    const events = (await connection.streamed('id: 8')).trimEnd().split('\n\n')
    expect(events.map((event) => /^id: (\d+)$/m.exec(event)?.[1])).toEqual([undefined, undefined, '7', '8'])
  })

  it('names keys and values that are not text in base64url, and leases and content types', async () => {
    const { connection, sink } = await scripted()
    const odd = {
      ...entry('\xff', 3),
      value: Buffer.from([0xfe]),
      contentType: 'text/plain',
      lease: '00000000000000ff',
    }
    sink.onEvents(3, [{ kind: 'put', entry: odd, previous: undefined }])
    await connection.head()
    const text = await connection.streamed('id: 3')
    expect(JSON.parse(text.split('data: ')[1]!)).toEqual({
      revision: 3,
      key64: '_w',
      value64: '_g',
      contentType: 'text/plain',
      createRevision: 2,
      modRevision: 3,
      version: 1,
      lease: '00000000000000ff',
    })
  })

  it('sends the current entries first, without ids, then sync', async () => {
    const bench = await listenBench()
    await bench.app.server.inject({ method: 'PUT', url: '/v1/kv/a', payload: 'x' })
    const connection = await watch(bench, '?initial&key=a')
    await connection.head()
    const text = await connection.streamed('sync')
    expect(text).toMatch(
      /^event: put\ndata: \{"revision":2,"key":"a",.*\}\n\nevent: sync\nid: 2\ndata: \{"revision":2\}\n\n$/,
    )
  })

  it('gives no place to resume from before the entries are all there', async () => {
    const { connection, sink } = await scripted('?initial')
    sink.onProgress(5)
    sink.onInitial([entry('a', 2)])
    await connection.head()
    expect(await connection.streamed('put')).not.toContain('id:')
  })

  it.each([
    [
      '',
      {},
      { range: { from: '', to: undefined }, fromRevision: undefined, wantsInitial: false, wantsPrevious: false },
    ],
    ['?key=a/b', {}, { range: { from: 'a/b', to: 'a/b\0' } }],
    ['?key64=_w', {}, { range: { from: '\xff', to: '\xff\0' } }],
    ['?prefix=a/', {}, { range: { from: 'a/', to: 'a0' } }],
    ['?from=a&to=c&timeout=1s', {}, { range: { from: 'a', to: 'c' }, timeoutMs: 1_000 }],
    ['?revision=7&prev&only=delete', {}, { fromRevision: 7, wantsPrevious: true, only: 'delete' }],
    ['?initial', {}, { wantsInitial: true, fromRevision: undefined }],
    ['', { 'last-event-id': '41' }, { fromRevision: 42 }],
    ['?initial', { 'last-event-id': '41' }, { wantsInitial: false, fromRevision: 42 }],
    ['?revision=7', { 'last-event-id': '41' }, { fromRevision: 42 }],
    ['?revision=70', { 'last-event-id': '41' }, { fromRevision: 70 }],
  ])('%s %o begins where it should', async (query, headers, expected) => {
    const { app, node } = openBench()
    // So that it ends.
    node.failure = new QuorateError('OVERLOADED', 'For a test.')
    expectInjectedProblem(await app.server.inject({ url: `/v1/watch${query}`, headers }), 429, 'OVERLOADED')
    expect(node.watches[0]!.request).toMatchObject(expected)
  })

  it('refuses what makes no sense', async () => {
    const { app, node } = openBench()
    const bad = [
      'revision=x',
      'initial&revision=3',
      'key=a&prefix=b',
      'key=a&key64=YQ',
      'only=get',
      'prev=1',
      'limit=1',
    ]
    for (const query of bad) expectInjectedProblem(await app.server.inject(`/v1/watch?${query}`), 400, 'BAD_PARAMETER')
    expectInjectedProblem(await app.server.inject('/v1/watch?key='), 400, 'KEY_REQUIRED')
    for (const id of ['x', '', '-1', '1, 2', '1e3']) {
      const answer = await app.server.inject({ url: '/v1/watch', headers: { 'last-event-id': id } })
      expectInjectedProblem(answer, 400, 'BAD_REQUEST')
    }
    expect(node.watches).toEqual([])
  })

  it('W3: from a compacted revision is 410 at once', async () => {
    const { app, node } = openBench()
    node.compactRevision = 9
    const answer = await app.server.inject('/v1/watch?revision=3')
    expect(expectInjectedProblem(answer, 410, 'COMPACTED')).toMatchObject({
      compactRevision: 9,
      outcome: 'not-applied',
    })
    const failed = openBench()
    failed.node.failure = new QuorateError('NO_LEADER', 'There is no leader.')
    expectInjectedProblem(await failed.app.server.inject('/v1/watch'), 503, 'NO_LEADER')
  })

  it.each([
    ['compacted', 'event: compacted\ndata: {"compactRevision":9}\n\n'],
    ['lagging', 'event: lagging\ndata: {"revision":9}\n\n'],
    ['shutting down', 'event: progress\nid: 5\ndata: {"revision":5}\n\n'],
  ] as const)('ends with a word when it is %s', async (how, last) => {
    const { connection, sink } = await scripted()
    sink.onEvents(5, [put('a', 5)])
    if (how === 'compacted') sink.onCompacted(9)
    else if (how === 'lagging') sink.onLagging(9)
    else sink.onFailure(new QuorateError('SHUTTING_DOWN', 'Bye.'))
    await connection.head()
    expect((await connection.streamEnd()).endsWith(`}\n\n${last}`)).toBe(true)
  })

  it('ends with a problem when the node fails in the middle', async () => {
    const { connection, sink } = await scripted('', NDJSON)
    sink.onProgress(1)
    sink.onFailure(new QuorateError('NOT_READY', 'For a test.'))
    await connection.head()
    const last = (await connection.streamEnd()).trimEnd().split('\n').at(-1)!
    expect(JSON.parse(last)).toMatchObject({
      event: 'problem',
      code: 'NOT_READY',
      outcome: 'not-applied',
      retryable: true,
    })
  })

  it('W6: ends with where to go on when the server drains, and its connection is given back', async () => {
    const { bench, connection, sink, state } = await scripted()
    sink.onEvents(5, [put('a', 5)])
    bench.app.drain()
    await connection.head()
    expect((await connection.streamEnd()).endsWith('event: progress\nid: 5\ndata: {"revision":5}\n\n')).toBe(true)
    expect(state.isCancelled).toBe(true)
    await bench.app.server.close()
  })

  it('W4: tells the node when its client does not read, and when it does again', async () => {
    const { connection, sink, state } = await scripted()
    connection.socket.pause()
    const large: WatchEvent = { kind: 'put', entry: entry('a', 2, 'v'.repeat(1_000_000)), previous: undefined }
    let taken = 0
    while (sink.onEvents(2 + taken, [{ ...large }])) {
      taken++
      await new Promise((resolve) => setImmediate(resolve))
    }
    expect(taken).toBeLessThan(40)
    expect(state.resumed).toBe(0)
    connection.socket.resume()
    await eventually(() => state.resumed).toBe(1)
    sink.onLagging(99)
    await connection.head()
    expect(await connection.streamEnd()).toContain('event: lagging')
  })

  it('is encoded once for all who watch', async () => {
    const bench = await listenBench()
    bench.node.isWatchScripted = true
    for (let at = 0; at < 5; at++) await watch(bench)
    await eventually(() => bench.node.watches.length).toBe(5)
    let encodings = 0
    const counted = {
      ...entry('a', 5),
      get value() {
        encodings++
        return Buffer.from('x')
      },
    }
    const events: WatchEvent[] = [{ kind: 'put', entry: counted, previous: undefined }, put('b', 5)]
    for (const { sink } of bench.node.watches) sink.onEvents(5, events)
    expect(encodings).toBe(1)
  })

  it('is one on its connection', async () => {
    const { bench, connection, sink } = await scripted()
    connection.send(`GET /v1/watch HTTP/1.1\r\nHost: localhost:${bench.port}\r\n\r\n`)
    connection.send(`GET /v1/kv HTTP/1.1\r\nHost: localhost:${bench.port}\r\nAccept: application/x-ndjson\r\n\r\n`)
    // What comes behind them says that they were looked at.
    connection.send(`DELETE /v1/kv/a HTTP/1.1\r\nHost: localhost:${bench.port}\r\n\r\n`)
    await eventually(() => bench.node.writes.length).toBe(1)
    sink.onLagging(1)
    await connection.head()
    expect(await connection.streamEnd()).toContain('lagging')
    expect([bench.node.watches.length, bench.node.lists.length]).toEqual([1, 0])
  })
})

const poll = async (bench: SocketBench, query: string): Promise<RawConnection> => {
  const connection = await bench.connect()
  connection.send(`GET /v1/kv/a?${query} HTTP/1.1\r\nHost: localhost:${bench.port}\r\n\r\n`)
  return connection
}
const write = (bench: SocketBench, payload: string, key = 'a') =>
  bench.app.server.inject({ method: 'PUT', url: `/v1/kv/${key}`, payload })

describe('the long poll', () => {
  it('answers at once what changed after the revision already', async () => {
    const bench = await listenBench()
    await write(bench, 'one')
    await write(bench, 'two')
    const answer = await (await poll(bench, 'wait=30s&after=2')).answer()
    expect([answer.status, answer.body.toString(), answer.headers.get('etag')]).toEqual([200, 'two', '"3"'])
    expect(bench.node.watches).toEqual([])
  })

  it('waits for the next change, of this key alone', async () => {
    const bench = await listenBench()
    await write(bench, 'one')
    for (const query of ['wait=30s&after=2', 'wait=30s']) {
      const connection = await poll(bench, query)
      const before = bench.node.watches.length
      await eventually(() => bench.node.watches.length).toBe(before + 1)
      await write(bench, 'x', 'b')
      await write(bench, query)
      const answer = await connection.answer()
      expect([answer.status, answer.body.toString()]).toEqual([200, query])
      expect(answer.headers.get('quorate-revision')).toBe(String(bench.node.revision))
      expect(bench.node.watches.at(-1)!.isCancelled).toBe(true)
    }
  })

  it('answers a deletion with 404, also one that came before it asked', async () => {
    const bench = await listenBench()
    await write(bench, 'one')
    const connection = await poll(bench, 'wait=30s&after=2')
    await eventually(() => bench.node.watches.length).toBe(1)
    await bench.app.server.inject({ method: 'DELETE', url: '/v1/kv/a' })
    expectProblem(await connection.answer(), 404, 'KEY_NOT_FOUND')
    expectProblem(await (await poll(bench, 'wait=30s&after=2')).answer(), 404, 'KEY_NOT_FOUND')
  })

  it('does not wait for a client that has gone while the key was read', async () => {
    const bench = await listenBench()
    const read = bench.node.read.bind(bench.node)
    const reads: (() => void)[] = []
    bench.node.read = (...parameters) => void reads.push(() => read(...parameters))
    let closed = 0
    bench.app.server.server.on('connection', (socket) => socket.on('close', () => closed++))
    const connection = await poll(bench, 'wait=24h')
    await eventually(() => reads.length).toBe(1)
    connection.close()
    await eventually(() => closed).toBe(1)
    reads[0]!()
    await eventually(() => bench.node.watches.map(({ isCancelled }) => isCancelled)).toEqual([true])
  })

  it('hears that its client has gone, and cuts a connection on which answers pile up', async () => {
    const bench = await listenBench()
    await write(bench, 'x'.repeat(40_000), 'large')
    for (const piled of [1, 2]) {
      const connection = await poll(bench, 'wait=24h')
      await eventually(() => bench.node.watches.length).toBe(piled)
      connection.send(`GET /v1/kv/large HTTP/1.1\r\nHost: localhost:${bench.port}\r\n\r\n`.repeat(piled))
      if (piled === 1) connection.close()
      await eventually(() => bench.node.watches.at(-1)!.isCancelled).toBe(true)
    }
  })

  it('leaves no timer behind when it is refused', async () => {
    const bench = await listenBench()
    const timersBefore = process.getActiveResourcesInfo().filter((kind) => kind === 'Timeout').length
    const connection = await poll(bench, 'wait=24h')
    await eventually(() => bench.node.watches.length).toBe(1)
    const request = `GET /v1/kv/a?wait=24h HTTP/1.1\r\nHost: localhost:${bench.port}\r\n\r\n`
    connection.send(request.repeat(20))
    // What comes behind them says that they were looked at.
    connection.send(`DELETE /v1/kv/a HTTP/1.1\r\nHost: localhost:${bench.port}\r\n\r\n`)
    await eventually(() => bench.node.writes.length).toBe(1)
    const timers = process.getActiveResourcesInfo().filter((kind) => kind === 'Timeout').length
    expect(timers - timersBefore).toBeLessThan(15)
    connection.close()
    await eventually(() => bench.node.watches[0]!.isCancelled).toBe(true)
  })

  it('is 204 with the revision it has seen when nothing came in that time', async () => {
    const bench = await listenBench()
    await write(bench, 'one')
    await write(bench, 'x', 'b')
    const answer = await (await poll(bench, 'wait=20ms&after=2')).answer()
    expect([answer.status, answer.headers.get('quorate-revision'), answer.body.length]).toEqual([204, '3', 0])
    expect(bench.node.watches[0]!.isCancelled).toBe(true)
  })

  it('ends with its client, and with the server', async () => {
    const bench = await listenBench()
    const gone = await poll(bench, 'wait=30s')
    await eventually(() => bench.node.watches.length).toBe(1)
    gone.close()
    await eventually(() => bench.node.watches[0]!.isCancelled).toBe(true)
    const drained = await poll(bench, 'wait=30s')
    await eventually(() => bench.node.watches.length).toBe(2)
    bench.app.drain()
    expect((await drained.answer()).status).toBe(204)
  })

  it('says when the history that would tell is gone, and when the node fails', async () => {
    const bench = await listenBench()
    bench.node.revision = 10
    bench.node.compactRevision = 9
    const answer = await (await poll(bench, 'wait=30s&after=3')).answer()
    expect(expectProblem(answer, 410, 'COMPACTED')).toMatchObject({ compactRevision: 9 })
    bench.node.isWatchScripted = true
    const connection = await poll(bench, 'wait=30s')
    await eventually(() => bench.node.watches.length).toBe(2)
    bench.node.watches[1]!.sink.onFailure(new QuorateError('SHUTTING_DOWN', 'Bye.'))
    expectProblem(await connection.answer(), 503, 'SHUTTING_DOWN')
  })
})
