// Ranges over HTTP: pages that belong together, streams of lines that wait for their reader, and deletions in one revision.
import { describe, expect, it } from 'vitest'
import { expectInjectedProblem, eventually, listenBench, openBench } from './harness.ts'
import type { Bench } from './harness.ts'

interface Page {
  readonly revision: number
  readonly count: number
  readonly more: boolean
  readonly cursor?: string
  readonly entries?: readonly { readonly key?: string; readonly key64?: string; readonly value?: string }[]
  readonly prefixes?: readonly string[]
  readonly prefixes64?: readonly string[]
}

async function fill(bench: Bench, ...keys: string[]): Promise<void> {
  for (const key of keys) await bench.app.server.inject({ method: 'PUT', url: `/v1/kv/${key}`, payload: `of ${key}` })
}

const list = async (bench: Bench, query: string): Promise<Page> => {
  const answer = await bench.app.server.inject(`/v1/kv${query}`)
  expect([query, answer.statusCode]).toEqual([query, 200])
  return answer.json()
}

const keysOf = ({ entries = [] }: Page): unknown[] => entries.map(({ key, key64 }) => key ?? { key64 })

const b64 = (bytes: number[]): string => Buffer.from(bytes).toString('base64url')

const ask = (port: number, query = ''): string =>
  `GET /v1/kv${query} HTTP/1.1\r\nHost: localhost:${port}\r\nAccept: application/x-ndjson\r\n\r\n`

describe('a listing', () => {
  it('has the entries of a range with all that is known of them', async () => {
    const bench = openBench()
    await fill(bench, 'a/1', 'b', 'a/2')
    const answer = await bench.app.server.inject('/v1/kv?prefix=a/')
    expect(answer.headers).toMatchObject({
      'content-type': 'application/json',
      'cache-control': 'no-store',
      'quorate-revision': '4',
    })
    expect(answer.json()).toEqual({
      revision: 4,
      count: 2,
      more: false,
      entries: [
        { key: 'a/1', value: 'of a/1', createRevision: 2, modRevision: 2, version: 1 },
        { key: 'a/2', value: 'of a/2', createRevision: 4, modRevision: 4, version: 1 },
      ],
    })
  })

  it('takes a prefix, or from and to, in text or base64url, or nothing for everything', async () => {
    const bench = openBench()
    await fill(bench, 'a', 'a%ff', 'a+b', 'b', '%ff%ff')
    const a = [0x61]
    const cases: [string, unknown[]][] = [
      ['', ['a', 'a+b', { key64: b64([...a, 0xff]) }, 'b', { key64: '__8' }]],
      ['?prefix=', ['a', 'a+b', { key64: b64([...a, 0xff]) }, 'b', { key64: '__8' }]],
      ['?prefix=a', ['a', 'a+b', { key64: b64([...a, 0xff]) }]],
      ['?prefix=a%2B', ['a+b']],
      [`?prefix64=${b64([...a, 0xff])}`, [{ key64: b64([...a, 0xff]) }]],
      ['?prefix64=_w', [{ key64: '__8' }]],
      ['?from=a&to=b', ['a', 'a+b', { key64: b64([...a, 0xff]) }]],
      [`?from64=${b64(a)}&to64=${b64([...a, 0xff])}`, ['a', 'a+b']],
      ['?from=b', ['b', { key64: '__8' }]],
      ['?to=a%2B', ['a']],
      ['?from=b&to=a', []],
    ]
    for (const [query, expected] of cases) expect([query, keysOf(await list(bench, query))]).toEqual([query, expected])
  })

  it('comes in pages of one revision, whatever is written meanwhile', async () => {
    const bench = openBench()
    await fill(bench, 'a/1', 'a/2', 'a/3', 'a/4', 'a/5')
    const first = await list(bench, '?prefix=a/&limit=2')
    expect(first).toMatchObject({ revision: 6, count: 2, more: true })
    expect(first.cursor).toMatch(/^[A-Za-z0-9_-]+$/)
    await fill(bench, 'a/31', 'a/9', 'a/4')
    await bench.app.server.inject({ method: 'DELETE', url: '/v1/kv/a/5' })
    const second = await list(bench, `?prefix=a/&limit=3&cursor=${first.cursor}`)
    expect(second).toMatchObject({ revision: 6, count: 3, more: false })
    expect([...keysOf(first), ...keysOf(second)]).toEqual(['a/1', 'a/2', 'a/3', 'a/4', 'a/5'])
    expect(second).not.toHaveProperty('cursor')
    expect(bench.node.lists.at(-1)).toMatchObject({ request: { revision: 6 }, options: { minRevision: 6 } })
    bench.node.compactRevision = 7
    const late = await bench.app.server.inject(`/v1/kv?prefix=a/&cursor=${first.cursor}`)
    expect(expectInjectedProblem(late, 410, 'COMPACTED')).toMatchObject({ compactRevision: 7, outcome: 'not-applied' })
  })

  it('goes backwards, page by page', async () => {
    const bench = openBench()
    await fill(bench, 'a', 'b', 'c')
    const first = await list(bench, '?reverse&limit=2')
    expect(keysOf(first)).toEqual(['c', 'b'])
    expect(keysOf(await list(bench, `?reverse&limit=2&cursor=${first.cursor}`))).toEqual(['a'])
  })

  it('refuses a cursor of other parameters, and one that it did not give out', async () => {
    const bench = openBench()
    await fill(bench, 'a/1', 'a/2', 'a/3')
    const { cursor } = await list(bench, '?prefix=a/&limit=1')
    const others = [
      'prefix=b/',
      '',
      'prefix=a/&reverse',
      'prefix=a/&keysOnly',
      'prefix=a/&separator=/',
      'prefix=a/&revision=4',
    ]
    for (const other of others)
      expectInjectedProblem(await bench.app.server.inject(`/v1/kv?${other}&cursor=${cursor}`), 400, 'BAD_PARAMETER')
    const tampered = Buffer.from(cursor!, 'base64url')
    const wrong = ['', 'x', `${cursor}=`, `${cursor}AA`, cursor!.slice(4), tampered.fill(0, 0, 1).toString('base64url')]
    for (const token of wrong)
      expectInjectedProblem(await bench.app.server.inject(`/v1/kv?prefix=a/&cursor=${token}`), 400, 'BAD_PARAMETER')
  })

  it('leaves out values, or counts the whole range', async () => {
    const bench = openBench()
    await fill(bench, 'a', 'b', 'c')
    const { entries } = await list(bench, '?keysOnly&limit=1')
    expect(entries).toEqual([{ key: 'a', createRevision: 2, modRevision: 2, version: 1 }])
    expect(await list(bench, '?countOnly&from=b')).toEqual({ revision: 4, count: 2, more: false })
    expect(keysOf(await list(bench, '?keysOnly=false&countOnly=false'))).toHaveLength(3)
  })

  it('rolls keys up below the separator behind the prefix', async () => {
    const bench = openBench()
    await fill(bench, 'a/b/1', 'a/b/2', 'a/c', 'a/%ff/1', 'a/d/1')
    const page = await list(bench, '?prefix=a/&separator=/')
    expect(page).toMatchObject({ count: 1, prefixes: ['a/b/', 'a/d/'], prefixes64: ['YS__Lw'] })
    expect(keysOf(page)).toEqual(['a/c'])
    const first = await list(bench, '?prefix=a/&separator=/&limit=1')
    expect(first).toMatchObject({ count: 0, prefixes: ['a/b/'], more: true })
    expect(keysOf(await list(bench, `?prefix=a/&separator=/&limit=1&cursor=${first.cursor}`))).toEqual(['a/c'])
  })

  it('shows the past until it is compacted, and not the future', async () => {
    const bench = openBench()
    await fill(bench, 'a', 'b', 'a')
    expect(await list(bench, '?revision=3')).toMatchObject({
      revision: 3,
      entries: [{ modRevision: 2 }, { modRevision: 3 }],
    })
    expect((await bench.app.server.inject('/v1/kv?revision=3')).headers['quorate-revision']).toBe('4')
    expectInjectedProblem(await bench.app.server.inject('/v1/kv?revision=9'), 400, 'BAD_PARAMETER')
    bench.node.compactRevision = 4
    const answer = await bench.app.server.inject('/v1/kv?revision=3')
    expect(expectInjectedProblem(answer, 410, 'COMPACTED')).toMatchObject({ compactRevision: 4 })
  })

  it('takes the parameters of all reads, and says how stale it is', async () => {
    const bench = openBench()
    bench.node.stalenessMs = 40
    const answer = await bench.app.server.inject('/v1/kv?maxStale=2s&minRevision=1&timeout=1s')
    expect(answer.headers['quorate-staleness-ms']).toBe('40')
    const options = { consistency: 'stale', maxStaleMs: 2_000, minRevision: 1, timeoutMs: 1_000 }
    expect(bench.node.lists.at(-1)).toMatchObject({ options, request: { limit: 100 } })
  })

  it('says how long entries with a lease last', async () => {
    const bench = openBench()
    const lease = '00000000000000ff'
    await bench.app.server.inject({ method: 'PUT', url: `/v1/kv/a?lease=${lease}`, payload: 'x' })
    bench.node.leaseInfos.push({ lease, ttlMs: 1_000, remainingMs: 900, keys: ['a'] })
    expect((await list(bench, '')).entries).toMatchObject([{ lease, ttlMs: 900 }])
    expect((await list(bench, '?revision=2')).entries![0]).not.toHaveProperty('ttlMs')
  })

  it('refuses what contradicts itself or is out of bounds', async () => {
    const bench = openBench()
    const bad = [
      'limit=0',
      'limit=1001',
      'limit=x',
      'separator=',
      'prefix=a&from=b',
      'prefix=a&to=b',
      'prefix=a&prefix64=YQ',
      'prefix64=YQ=',
      'prefix=%ff',
      'from=',
      'to=',
      'countOnly&cursor=x',
      'countOnly&separator=/',
      'keysOnly=1',
      'prefix=a&prefix=b',
      'key=a',
    ]
    for (const query of bad)
      expectInjectedProblem(await bench.app.server.inject(`/v1/kv?${query}`), 400, 'BAD_PARAMETER')
    expectInjectedProblem(await bench.app.server.inject(`/v1/kv?prefix=${'a'.repeat(4_097)}`), 400, 'KEY_TOO_LONG')
    expect(bench.node.lists).toEqual([])
  })
})

describe('a listing as lines', () => {
  it('is the whole range at one revision, an entry a line', async () => {
    const bench = await listenBench()
    await fill(bench, ...Array.from({ length: 7 }, (_, at) => `a/${at}`), 'b')
    const connection = await bench.connect()
    connection.send(ask(bench.port, '?prefix=a/&keysOnly&reverse'))
    const { status, headers } = await connection.head()
    expect([
      status,
      headers.get('content-type'),
      headers.get('quorate-revision'),
      headers.get('cache-control'),
    ]).toEqual([200, 'application/x-ndjson', '9', 'no-store'])
    const lines = (await connection.streamEnd()).trimEnd().split('\n')
    expect(lines.map((line) => (JSON.parse(line) as { key: string }).key)).toEqual([
      'a/6',
      'a/5',
      'a/4',
      'a/3',
      'a/2',
      'a/1',
      'a/0',
    ])
    expect(lines[0]).toBe('{"key":"a/6","createRevision":8,"modRevision":8,"version":1}')
    expect(bench.node.openStreams).toBe(0)
  })

  it('rolls up, is empty for an empty range, and takes no limit, cursor or count', async () => {
    const bench = await listenBench()
    await fill(bench, 'a/1', 'a/2', 'b')
    for (const [query, expected] of [
      ['?separator=/&keysOnly', '{"prefix":"a/"}\n{"key":"b","createRevision":4,"modRevision":4,"version":1}\n'],
      ['?prefix=x', ''],
    ] as const) {
      const connection = await bench.connect()
      connection.send(ask(bench.port, query))
      await connection.head()
      expect(await connection.streamEnd()).toBe(expected)
    }
    for (const query of ['limit=1', 'cursor=x', 'countOnly']) {
      const headers = { accept: 'text/html, application/x-ndjson;q=0.9' }
      const url = `/v1/kv?${query}`
      expect((await bench.app.server.inject({ url, headers })).statusCode).toBe(400)
    }
    bench.node.compactRevision = 2
    const past = await bench.app.server.inject({
      url: '/v1/kv?revision=1',
      headers: { accept: 'application/x-ndjson' },
    })
    expectInjectedProblem(past, 410, 'COMPACTED')
  })

  it('waits for a client that does not read, and closes when it goes', async () => {
    const bench = await listenBench()
    const value = Buffer.alloc(500_000, 'v')
    for (let at = 0; at < 100; at++)
      await bench.app.server.inject({ method: 'PUT', url: `/v1/kv/${at}`, payload: value })
    bench.node.streamPage = 1
    const connection = await bench.connect()
    connection.socket.pause()
    connection.send(ask(bench.port))
    // Until the kernel's buffers and ours are full.
    let taken = -1
    await expect
      .poll(
        () => {
          const isStill = bench.node.pagesTaken > 0 && bench.node.pagesTaken === taken
          taken = bench.node.pagesTaken
          return isStill
        },
        { timeout: 20_000, interval: 300 },
      )
      .toBe(true)
    expect(taken).toBeLessThan(60)
    expect(bench.node.openStreams).toBe(1)
    connection.close()
    await eventually(() => bench.node.openStreams).toBe(0)
    expect(bench.node.pagesTaken).toBeLessThan(62)
  })

  it('that cannot go on breaks off, so that nobody takes it for the whole', async () => {
    const bench = await listenBench()
    await fill(bench, 'a', 'b', 'c', 'd')
    bench.node.failAtPage = 1
    const connection = await bench.connect()
    connection.send(ask(bench.port))
    expect((await connection.head()).status).toBe(200)
    await expect(connection.streamEnd()).rejects.toThrow('the connection ended')
    expect(bench.node.openStreams).toBe(0)
    bench.node.failAtPage = 0
    const headers = { accept: 'application/x-ndjson' }
    expectInjectedProblem(await bench.app.server.inject({ url: '/v1/kv', headers }), 500, 'INTERNAL')
  })
})

describe('DELETE of a range', () => {
  it('deletes all of it in one revision', async () => {
    const bench = openBench()
    await fill(bench, 'a/1', 'a/2', 'b')
    const answer = await bench.app.server.inject({ method: 'DELETE', url: '/v1/kv?prefix=a/' })
    expect([answer.statusCode, answer.json(), answer.headers['quorate-revision']]).toEqual([
      200,
      { deleted: 2, revision: 5 },
      '5',
    ])
    const none = await bench.app.server.inject({ method: 'DELETE', url: '/v1/kv?from=x&to=y&timeout=1s&fence=l:3' })
    expect(none.json()).toEqual({ deleted: 0, revision: 5 })
    expect(bench.node.writes.at(-1)).toEqual({
      command: { op: 'delete-range', range: { from: 'x', to: 'y' }, fence: { lock: 'l', token: 3 } },
      timeoutMs: 1_000,
    })
    expect((await bench.app.server.inject({ method: 'DELETE', url: '/v1/kv?prefix=' })).json()).toMatchObject({
      deleted: 1,
    })
  })

  it('of everything must be asked for, and takes no condition', async () => {
    const bench = openBench()
    const refuse = async (url: string, code: string, headers: Record<string, string> = {}): Promise<void> =>
      void expectInjectedProblem(await bench.app.server.inject({ method: 'DELETE', url, headers }), 400, code)
    await refuse('/v1/kv', 'BAD_REQUEST')
    await refuse('/v1/kv?timeout=1s', 'BAD_REQUEST')
    await refuse('/v1/kv?from=', 'BAD_PARAMETER')
    await refuse('/v1/kv?prefix=a&prev', 'BAD_PARAMETER')
    await refuse('/v1/kv?prefix=a&limit=1', 'BAD_PARAMETER')
    await refuse('/v1/kv?prefix=a', 'BAD_REQUEST', { 'if-match': '*' })
    expect(bench.node.writes).toEqual([])
    bench.node.script = () => ({ kind: 'refused', revision: 1, reason: 'range-too-large' })
    await refuse('/v1/kv?prefix=a', 'RANGE_TOO_LARGE')
  })
})
