// The calls as programs make them, over real sockets: what is sent, what comes back, what is refused before it is sent.
import { afterAll, beforeAll, beforeEach, describe, expect, expectTypeOf, test } from 'vitest'
import { Client, ClientError } from '../../src/client/index.ts'
import type { DeleteResult, Entry, GetResult, PutResult } from '../../src/client/index.ts'
import { BATCH_TYPE, foundEverywhere, readsOf } from '../support/batch-answers.ts'
import { ok, ScriptedCluster } from '../support/scripted-node.ts'
import type { Step } from '../support/scripted-node.ts'

let cluster: ScriptedCluster
let client: Client

beforeAll(async () => {
  cluster = await ScriptedCluster.start(['n1'])
  client = new Client({ sessions: false, endpoints: cluster.endpoints[0]! })
})
afterAll(async () => {
  await client.close()
  await cluster[Symbol.asyncDispose]()
})
beforeEach(() => cluster.script(ok()))

const sent = (): string => {
  const { method, url } = cluster.requests.at(-1)!
  return `${method} ${url.replace(/timeout=\d+ms/, 'timeout')}`
}

/** A node's answer to reads, with this value. */
const answer =
  (value: Buffer): Step =>
  ({ body }, response) => {
    response.writeHead(200, BATCH_TYPE).end(foundEverywhere(body, value, ''))
  }

describe('get', () => {
  test('gives the value, its text and its counters', async () => {
    const entry = (await client.get('k'))!
    expect(Buffer.from('hello').equals(entry.value)).toBe(true)
    expect(entry.text()).toBe('hello')
    expect(entry).toMatchObject({
      key: 'k',
      contentType: 'text/plain',
      revision: 17,
      createRevision: 7,
      version: 3,
      storeRevision: 42,
      stalenessMs: undefined,
    })
    expect(sent()).toBe('POST /v1/batch?timeout')
  })

  test('gives undefined for a key that is not there, and only for that', async () => {
    const missing = { code: 'KEY_NOT_FOUND', outcome: 'not-applied', retryable: false }
    cluster.script((_request, response) => {
      response.writeHead(404, { 'content-type': 'application/problem+json' }).end(JSON.stringify(missing))
    })
    expect(await client.get('k', { revision: 3 })).toBeUndefined()
    expect(sent()).toBe('GET /v1/kv/k?revision=3&timeout')
    cluster.script((_request, response) => {
      response
        .writeHead(404, { 'content-type': 'application/problem+json' })
        .end(JSON.stringify({ ...missing, code: 'NOT_FOUND' }))
    })
    await expect(client.get('k', { revision: 3 })).rejects.toMatchObject({ code: 'NOT_FOUND' })
    await expect(client.get('k')).rejects.toMatchObject({ code: 'NOT_FOUND' })
  })

  test('passes its options on', async () => {
    await client.get('k', { consistency: 'stale', maxStaleMs: 1_500, minRevision: 9 })
    const asked = { op: 'read', key: 'k', consistency: 'stale', maxStaleMs: 1_500, minRevision: 9 }
    expect(readsOf(cluster.requests.at(-1)!.body)).toEqual([asked])
    await client.get('k', { revision: 3, consistency: 'stale', maxStaleMs: 1_500, minRevision: 9 }).catch(() => {})
    expect(sent()).toBe('GET /v1/kv/k?consistency=stale&maxStale=1500ms&minRevision=9&revision=3&timeout')
  })

  test('text and json refuse what they cannot read', async () => {
    cluster.script(answer(Buffer.from([0xff, 0xfe])))
    const binary = (await client.get('k'))!
    expect(() => binary.text()).toThrow(TypeError)
    expect(binary.contentType).toBe('application/octet-stream')
    cluster.script(answer(Buffer.from('{"a":[1]}')))
    expect((await client.get('k'))!.json()).toEqual({ a: [1] })
    cluster.script(answer(Buffer.from('{')))
    const broken = (await client.get('k'))!
    expect(() => broken.json()).toThrow(SyntaxError)
  })
})

describe('put', () => {
  test('H7: sends text as UTF-8, bytes as they are, and says whether it created', async () => {
    expect(await client.put('k', 'größe')).toEqual({ revision: 42, created: true, previous: undefined })
    expect(cluster.requests.at(-1)!.body).toEqual(Buffer.from('größe'))
    const all = Uint8Array.from({ length: 256 }, (_, byte) => byte)
    await client.put('k', all)
    expect(cluster.requests.at(-1)!.body).toEqual(Buffer.from(all))
    await client.put('k', '')
    expect(cluster.requests.at(-1)!.headers['content-length']).toBe('0')
    await client.put('k', new Uint8Array(1_048_576))
    expect(cluster.requests.at(-1)!.body).toHaveLength(1_048_576)
  })

  test('turns conditions into what the interface calls them', async () => {
    await client.put('k', 'v', { ifRevision: 17 })
    expect(sent()).toBe('PUT /v1/kv/k?cas=17&timeout')
    await client.put('k', 'v', { ifAbsent: true })
    expect(cluster.requests.at(-1)!.headers['if-none-match']).toBe('*')
    await client.put('k', 'v', { ifExists: true, contentType: 'text/plain' })
    expect(cluster.requests.at(-1)!.headers).toMatchObject({ 'if-match': '*', 'content-type': 'text/plain' })
    await client.put('k', 'v', { ifAbsent: false, ifRevision: undefined })
    expect(sent()).toBe('PUT /v1/kv/k?timeout')
    expect(cluster.requests.at(-1)!.headers).not.toHaveProperty('content-type')
  })

  test('a condition that does not hold tells the current revision', async () => {
    const body = { code: 'PRECONDITION_FAILED', outcome: 'not-applied', retryable: false, currentRevision: 5 }
    cluster.script((_request, response) => {
      response.writeHead(412, { 'content-type': 'application/problem+json' }).end(JSON.stringify(body))
    })
    await expect(client.put('k', 'v', { ifRevision: 4 })).rejects.toMatchObject({
      code: 'PRECONDITION_FAILED',
      status: 412,
      outcome: 'not-applied',
      details: { currentRevision: 5 },
    })
  })

  test('gives the entry that was replaced on request', async () => {
    const { previous } = await client.put('k', 'v', { prev: true })
    expect(previous).toMatchObject({ key: 'k', revision: 17, createRevision: 7, version: 3 })
    expect(previous!.text()).toBe('before')
  })

  test('putJson writes JSON with its media type', async () => {
    await client.putJson('k', { a: [1, null] }, { ifRevision: 3 })
    const { body, headers } = cluster.requests.at(-1)!
    expect(body.toString()).toBe('{"a":[1,null]}')
    expect(headers['content-type']).toBe('application/json')
    await expect(client.putJson('k', undefined)).rejects.toMatchObject({ code: 'BAD_REQUEST' })
  })
})

describe('delete', () => {
  test('says whether the key was there', async () => {
    expect(await client.delete('k')).toEqual({ deleted: true, revision: 42, previous: undefined })
    expect((await client.delete('k', { prev: true, ifRevision: 17 })).previous?.text()).toBe('before')
    expect(sent()).toBe('DELETE /v1/kv/k?cas=17&prev&timeout')
  })
})

describe('what is asked of nodes', () => {
  test('status, cluster, version and transferLeadership', async () => {
    expect(await client.status()).toMatchObject({ name: 'n1', role: 'leader', leader: { name: 'n1' } })
    expect((await client.status(`${cluster.endpoints[0]}/`)).term).toBe(3)
    expect((await client.cluster()).members.map(({ name }) => name)).toEqual(['n1', 'n2'])
    expect(await client.version()).toEqual({ version: '0.1.0', node: 'v20.0.0', api: 1 })
    await client.transferLeadership('n2')
    expect(cluster.requests.at(-1)).toMatchObject({ method: 'POST', url: '/v1/leader/transfer' })
    expect(cluster.requests.at(-1)!.body.toString()).toBe('{"to":"n2"}')
    await expect(client.status('http://other:1')).rejects.toMatchObject({ code: 'BAD_PARAMETER' })
  })

  test('an answer with a member of the wrong kind is refused, not shown', async () => {
    cluster.script((_request, response) => {
      response.writeHead(200, { 'content-type': 'application/json' }).end('{"name":"n1","id":7}')
    })
    await expect(client.status(cluster.endpoints[0])).rejects.toMatchObject({
      code: 'UNEXPECTED_ANSWER',
      outcome: 'not-applied',
    })
  })
})

describe('what cannot be right', () => {
  const wrong: readonly (readonly [what: string, code: string, call: () => Promise<unknown>])[] = [
    ['an empty key', 'KEY_REQUIRED', () => client.get('')],
    ['an empty key of bytes', 'KEY_REQUIRED', () => client.get(new Uint8Array(0))],
    ['a key of 4,097 bytes', 'KEY_TOO_LONG', () => client.get('a'.repeat(4_097))],
    ['a key of 4,098 bytes in 2,049 characters', 'KEY_TOO_LONG', () => client.get('ü'.repeat(2_049))],
    ['H2: a lone surrogate in a key', 'BAD_REQUEST', () => client.get('a\ud800')],
    ['H2: a lone surrogate in a value', 'BAD_REQUEST', () => client.put('k', 'a\udfff')],
    ['a key that is a number', 'BAD_REQUEST', () => client.get(7 as unknown as string)],
    ['a value that is an object', 'BAD_REQUEST', () => client.put('k', {} as unknown as string)],
    ['a value of 1 MiB and one byte', 'VALUE_TOO_LARGE', () => client.put('k', new Uint8Array(1_048_577))],
    ['a misspelt option', 'BAD_PARAMETER', () => client.put('k', 'v', { ifRevison: 1 } as object)],
    ['two conditions', 'BAD_PARAMETER', () => client.put('k', 'v', { ifRevision: 1, ifAbsent: true })],
    ['H3: a revision that is no whole number', 'BAD_PARAMETER', () => client.put('k', 'v', { ifRevision: 1.5 })],
    ['H3: a revision of 16 digits', 'BAD_PARAMETER', () => client.put('k', 'v', { ifRevision: 1e15 })],
    ['a negative minRevision', 'BAD_PARAMETER', () => client.get('k', { minRevision: -1 })],
    ['N4: a timeout of a month', 'BAD_PARAMETER', () => client.get('k', { timeoutMs: 2 ** 31 + 1 })],
    ['a timeout of nothing', 'BAD_PARAMETER', () => client.get('k', { timeoutMs: 0 })],
    ['H15: a line feed in a media type', 'BAD_PARAMETER', () => client.put('k', 'v', { contentType: 'a\r\nb: c' })],
    ['a media type of 256 bytes', 'BAD_PARAMETER', () => client.put('k', 'v', { contentType: 'a'.repeat(256) })],
    ['a prev that is a word', 'BAD_PARAMETER', () => client.put('k', 'v', { prev: 'yes' } as object)],
    [
      'a bound on staleness of a linearizable read',
      'BAD_PARAMETER',
      () => client.get('k', { consistency: 'linearizable', maxStaleMs: 1 }),
    ],
  ]
  for (const [what, code, call] of wrong) {
    test(`${what} is refused with ${code}, before anything is sent`, async () => {
      await expect(call()).rejects.toMatchObject({ name: 'ClientError', code, outcome: 'not-applied', attempts: 0 })
      expect(cluster.requests).toHaveLength(0)
    })
  }

  test('endpoints that are no addresses are named', () => {
    const bad = [
      '',
      'localhost',
      'localhost:7700',
      'ftp://a',
      'http://a/path',
      'http://u:p@a',
      'http://a?q',
      'http://a,',
    ]
    for (const endpoints of bad)
      expect(() => new Client({ sessions: false, endpoints })).toThrow(/is not an endpoint: give scheme/)
    expect(() => new Client({ sessions: false, endpoints: [] })).toThrow(ClientError)
    expect(new Client({ sessions: false, endpoints: ' http://a:1/ , http://b:2,http://a:1' }).endpoints).toEqual([
      'http://a:1',
      'http://b:2',
    ])
  })
})

test('the types say what the calls give', () => {
  expectTypeOf<Client['get']>().returns.resolves.toEqualTypeOf<GetResult | undefined>()
  expectTypeOf<Client['put']>().returns.resolves.toEqualTypeOf<PutResult>()
  expectTypeOf<Client['delete']>().returns.resolves.toEqualTypeOf<DeleteResult>()
  expectTypeOf<Client['put']>().parameter(0).toEqualTypeOf<string | Uint8Array>()
  expectTypeOf<GetResult>().toExtend<Entry>()
  expectTypeOf<ReturnType<Entry['json']>>().toBeUnknown()
  expectTypeOf<ClientError['outcome']>().toEqualTypeOf<'not-applied' | 'unknown'>()
  // A media type is put's to choose, not putJson's; a delete of what does not exist makes no sense.
  expectTypeOf<Parameters<Client['putJson']>[2]>().not.toHaveProperty('contentType')
  expectTypeOf<Parameters<Client['delete']>[1]>().not.toHaveProperty('ifAbsent')
})
