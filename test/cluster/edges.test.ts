// The edges of the HTTP contract on real processes, through curl and through the client, on the leader and on a follower:
// strange keys, the largest and the smallest values, conditions, choices of reads, and what is refused.
import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { Client, type ClientError } from '../../src/client/index.ts'
import { curl, type CurlAnswer, hasCurl } from '../support/curl.ts'
import { RealCluster, type RealNode } from '../support/real-cluster.ts'

const MiB = 1024 * 1024
const NO_CURL = hasCurl() ? undefined : 'curl is not installed'

/** As curl sends them, and the bytes they stand for. */
const KEYS: readonly (readonly [path: string, bytes: string, name?: string])[] = [
  ['..', '..'],
  ['.', '.'],
  ['%2e%2e', '..'],
  ['../x', '../x'],
  ['x/../y', 'x/../y'],
  ['__proto__', '__proto__'],
  ['constructor', 'constructor'],
  ['a//b', 'a//b'],
  ['a/', 'a/'],
  ['/', '/'],
  ['%2F', '/'],
  ['%ff', '\xff'],
  ['%00', '\x00'],
  ['a+b', 'a+b'],
  ['a%20b', 'a b'],
  ['a%3Fb%23c', 'a?b#c'],
  ['a%25b', 'a%b'],
  ['x'.repeat(4_096), 'x'.repeat(4_096), 'one of 4,096 bytes'],
  ['%ff'.repeat(4_096), '\xff'.repeat(4_096), 'one of 4,096 bytes that are all escaped'],
]

const bytesOf = (key: string): Buffer => Buffer.from(key, 'latin1')
const problemOf = ({ text }: { text: string }): Record<string, unknown> => JSON.parse(text) as Record<string, unknown>

let cluster: RealCluster
let leader: RealNode
let follower: RealNode
let client: Client

beforeAll(async () => {
  cluster = await RealCluster.start()
  client = new Client({ endpoints: cluster.urls })
})

// On a busy machine somebody else may have been elected meanwhile.
beforeEach(async () => {
  leader = await cluster.leader()
  follower = cluster.nodes.find((node) => node !== leader)!
})

afterAll(async () => {
  await client.close()
  await cluster.close()
})

/** Both, by the part they play. A test that asks writes through one and reads through the other. */
const pairs = (): readonly (readonly [RealNode, RealNode])[] => [
  [leader, follower],
  [follower, leader],
]

const put = (node: RealNode, path: string, body: Uint8Array | string, ...flags: string[]): Promise<CurlAnswer> =>
  curl(['-X', 'PUT', ...flags, `${node.url}/v1/kv/${path}`], body)

const get = (node: RealNode, path: string, ...flags: string[]): Promise<CurlAnswer> =>
  curl([...flags, `${node.url}/v1/kv/${path}`])

describe('keys', () => {
  it.each(KEYS.map(([path, bytes, name = path]) => ({ path, bytes, name })))(
    'H1: $name is an ordinary key to curl and to the client',
    async ({ path, bytes }) => {
      if (NO_CURL === undefined) {
        for (const [writer, reader] of pairs()) {
          const value = randomBytes(16).toString('hex')
          expect((await put(writer, path, value)).status).toBeLessThanOrEqual(201)
          const read = await get(reader, path)
          expect([read.status, read.text]).toEqual([200, value])
          expect((await client.get(bytesOf(bytes)))?.text()).toBe(value)
          const same = await curl([`${reader.url}/v1/kv64/${bytesOf(bytes).toString('base64url')}`])
          expect([same.status, same.text]).toEqual([200, value])
        }
      }
      for (const node of [leader, follower]) {
        await using one = new Client({ endpoints: node.url })
        await one.put(bytesOf(bytes), node.name)
        expect((await one.get(bytesOf(bytes)))?.text()).toBe(node.name)
        expect((await one.delete(bytesOf(bytes))).deleted).toBe(true)
        expect(await one.get(bytesOf(bytes))).toBeUndefined()
      }
    },
  )

  it('H2: keys that differ in bytes that are not UTF-8 are different keys', async () => {
    await client.put(Uint8Array.of(0xff), 'ff')
    await client.put(Uint8Array.of(0xfe), 'fe')
    await client.put('\ufffd', 'replacement')
    for (const [byte, value] of [
      [0xff, 'ff'],
      [0xfe, 'fe'],
    ] as const)
      expect((await client.get(Uint8Array.of(byte)))?.text()).toBe(value)
  })

  it.each([
    ['an empty key', '', 'KEY_REQUIRED'],
    ['4,097 bytes', 'x'.repeat(4_097), 'KEY_TOO_LONG'],
    ['a % that is not followed by two digits', 'a%zz', 'BAD_REQUEST'],
  ])('H1: %s is refused for every method, with the reason', async (_, path, code) => {
    if (NO_CURL === undefined) {
      for (const node of [leader, follower])
        for (const method of ['GET', 'PUT', 'DELETE']) {
          const answer = await curl(['-X', method, `${node.url}/v1/kv/${path}`], method === 'PUT' ? 'x' : undefined)
          expect([method, answer.status, problemOf(answer)]).toMatchObject([
            method,
            400,
            { code, outcome: 'not-applied' },
          ])
        }
    }
  })

  it('H1: the client refuses an empty key and one that is too long, before anything is sent', async () => {
    for (const [key, code] of [
      ['', 'KEY_REQUIRED'],
      ['x'.repeat(4_097), 'KEY_TOO_LONG'],
    ] as const) {
      const expected = { code, outcome: 'not-applied', retryable: false } satisfies Partial<ClientError>
      await expect(client.put(key, 'x')).rejects.toMatchObject(expected)
      await expect(client.get(key)).rejects.toMatchObject(expected)
    }
  })
})

describe('values', () => {
  it.each([0, 1, MiB - 1, MiB])('H7: %i bytes come back as they were, through curl and the client', async (size) => {
    const value = randomBytes(size)
    for (const [writer, reader] of pairs()) {
      if (NO_CURL === undefined) {
        expect((await put(writer, `size/${size}`, value)).status).toBeLessThanOrEqual(201)
        expect((await get(reader, `size/${size}`)).body.equals(value)).toBe(true)
      }
      await using one = new Client({ endpoints: writer.url })
      await one.put(`client-size/${size}`, value)
      await using other = new Client({ endpoints: reader.url })
      const entry = await other.get(`client-size/${size}`)
      expect(Buffer.from(entry!.value).equals(value)).toBe(true)
    }
  })

  it('a PUT without a body stores an empty value', async () => {
    const answer = await leader.http('PUT', '/v1/kv/without-body')
    expect(answer.status).toBe(201)
    expect((await follower.http('GET', '/v1/kv/without-body')).body).toHaveLength(0)
  })

  it('H6: one byte more than 1 MiB is refused, and nothing is stored', async () => {
    const value = Buffer.alloc(MiB + 1)
    for (const [writer, reader] of pairs()) {
      if (NO_CURL === undefined) {
        const answer = await put(writer, 'too-large', value)
        expect([answer.status, problemOf(answer)]).toMatchObject([
          413,
          { code: 'VALUE_TOO_LARGE', outcome: 'not-applied' },
        ])
      }
      await using one = new Client({ endpoints: writer.url })
      await expect(one.put('too-large', value)).rejects.toMatchObject({
        code: 'VALUE_TOO_LARGE',
        outcome: 'not-applied',
      })
      expect((await reader.http('GET', '/v1/kv/too-large')).status).toBe(404)
    }
  })
})

describe.skipIf(NO_CURL !== undefined)('conditions and ?prev, through curl', () => {
  let number = 0
  let key: string
  beforeEach(() => {
    key = `condition/${number++}`
  })

  it('a write takes effect only where its condition holds, and 412 names the revision that is there', async () => {
    for (const [writer, reader] of pairs()) {
      key = `condition/${number++}`
      const created = await put(writer, key, 'one', '-H', 'If-None-Match: *')
      expect(created.status).toBe(201)
      const revision = Number(created.headers['etag']!.slice(1, -1))
      const again = await put(reader, key, 'two', '-H', 'If-None-Match: *')
      expect([again.status, problemOf(again)['currentRevision']]).toEqual([412, revision])
      expect((await put(reader, key, 'two', '-H', `If-Match: ${created.headers['etag']}`)).status).toBe(200)
      expect((await put(writer, key, 'three', '-H', `If-Match: ${created.headers['etag']}`)).status).toBe(412)
      expect((await put(writer, `${key}?cas=${revision}`, 'three')).status).toBe(412)
      const current = (await get(reader, key)).headers['etag']!.slice(1, -1)
      expect((await put(writer, `${key}?cas=${current}`, 'three')).status).toBe(200)
      expect((await put(reader, key, 'four', '-H', 'If-Match: *')).status).toBe(200)
      expect((await put(reader, `${key}-absent`, 'x', '-H', 'If-Match: *')).status).toBe(412)
      expect((await put(reader, `${key}-absent?cas=0`, 'x')).status).toBe(201)
      for (const tag of ['"a"', '""', 'W/"17"'])
        expect((await put(writer, key, 'x', '-H', `If-Match: ${tag}`)).status).toBe(412)
      expect((await get(reader, key)).text).toBe('four')
    }
  })

  it('what is not one well-formed condition is refused', async () => {
    const refused = [
      ['-H', 'If-Match: 17'],
      ['-H', 'If-Match: "1", "2"'],
      ['-H', 'If-None-Match: "17"'],
      ['-H', 'If-Match: "1"', '-H', 'If-None-Match: *'],
    ]
    for (const node of [leader, follower]) {
      for (const flags of refused) expect((await put(node, key, 'x', ...flags)).status).toBe(400)
      for (const query of [
        'cas=',
        'cas=-1',
        'cas=0x1',
        'cas=1&cas=1',
        'cas=1e3',
        'prev=yes',
        'unknown',
        'ttl=0',
        'ttl=5y',
        'ttl=5s&lease=1',
        'fence=lock',
        'revision=1',
      ])
        expect([query, (await put(node, `${key}?${query}`, 'x')).status]).toEqual([query, 400])
      expect((await put(node, `${key}?cas=0`, 'x', '-H', 'If-None-Match: *')).status).toBe(400)
    }
    expect((await get(leader, key)).status).toBe(404)
  })

  it('?prev answers with what was there', async () => {
    for (const [writer, reader] of pairs()) {
      key = `condition/${number++}`
      expect(JSON.parse((await put(writer, `${key}?prev`, 'one')).text)).toEqual({ prev: null })
      const replaced = JSON.parse((await put(reader, `${key}?prev=true`, 'two')).text) as { prev: object }
      expect(replaced.prev).toMatchObject({ key, value: 'one', version: 1 })
      const deleted = await curl(['-X', 'DELETE', `${writer.url}/v1/kv/${key}?prev`])
      expect(JSON.parse(deleted.text)).toMatchObject({ deleted: 1, prev: { key, value: 'two', version: 2 } })
      const nothing = await curl(['-X', 'DELETE', `${reader.url}/v1/kv/${key}`])
      expect([nothing.status, JSON.parse(nothing.text)]).toMatchObject([200, { deleted: 0 }])
    }
  })
})

describe.skipIf(NO_CURL !== undefined)('reads, through curl', () => {
  it('carry the headers that say what was read and who answered', async () => {
    const written = await put(leader, 'headers', 'x', '-H', 'Content-Type: text/plain')
    for (const node of [leader, follower]) {
      const read = await get(node, 'headers')
      expect(read.headers).toMatchObject({
        'content-type': 'text/plain',
        etag: written.headers['etag'],
        'cache-control': 'no-cache',
        'x-content-type-options': 'nosniff',
        'content-security-policy': 'sandbox',
        'quorate-key-version': '1',
        'quorate-node': node.name,
        'quorate-leader': leader.name,
      })
      expect(Number(read.headers['quorate-term'])).toBeGreaterThan(0)
      expect(Number(read.headers['quorate-revision'])).toBeGreaterThanOrEqual(
        Number(read.headers['etag']!.slice(1, -1)),
      )
      const head = await get(node, 'headers', '--head')
      expect([head.status, head.headers['content-length'], head.body.length]).toEqual([200, '1', 0])
      expect(head.headers['etag']).toBe(read.headers['etag'])
      const missing = await get(node, 'there-is-no-such-key')
      expect([missing.status, missing.headers['cache-control'], problemOf(missing)['code']]).toEqual([
        404,
        'no-store',
        'KEY_NOT_FOUND',
      ])
    }
  })

  it('304 where the reader has it already, 412 where If-Match does not hold', async () => {
    const etag = (await put(follower, 'cached', 'x')).headers['etag']!
    for (const node of [leader, follower]) {
      for (const tags of [etag, `"1", ${etag}`, `W/${etag}`, '*']) {
        const answer = await get(node, 'cached', '-H', `If-None-Match: ${tags}`)
        expect([tags, answer.status, answer.headers['etag'], answer.body.length]).toEqual([tags, 304, etag, 0])
      }
      expect((await get(node, 'cached', '-H', 'If-None-Match: "1"')).status).toBe(200)
      expect((await get(node, 'cached', '-H', 'If-Match: "1"')).status).toBe(412)
      expect((await get(node, 'cached', '-H', `If-Match: ${etag}`)).status).toBe(200)
      expect((await get(node, 'cached', '-H', 'If-None-Match: 1')).status).toBe(400)
    }
  })

  it('stale, not staler than this, and not before a revision', async () => {
    for (const [writer, reader] of pairs()) {
      const etag = (await put(writer, 'choices', writer.name)).headers['etag']!
      const revision = Number(etag.slice(1, -1))
      const waited = await get(reader, `choices?consistency=stale&minRevision=${revision}`)
      expect([waited.status, waited.text]).toEqual([200, writer.name])
      expect(waited.headers['quorate-staleness-ms']).toMatch(/^\d+$/)
      expect((await get(reader, 'choices?maxStale=10s')).status).toBe(200)
      const late = await get(reader, `choices?minRevision=${revision + 1_000}&timeout=200ms`)
      expect([late.status, problemOf(late)]).toMatchObject([504, { code: 'TIMEOUT', outcome: 'not-applied' }])
      for (const query of [
        'consistency=linearizable&maxStale=1s',
        'consistency=eventual',
        'maxStale=1y',
        'minRevision=x',
        'timeout=0',
        'timeout=61s',
        'revision=x',
        'revision=1000000',
        'cas=1',
      ])
        expect([query, (await get(reader, `choices?${query}`)).status]).toEqual([query, 400])
    }
    expect((await get(leader, 'choices?consistency=stale')).headers['quorate-staleness-ms']).toBe('0')
  })
})

describe.skipIf(NO_CURL !== undefined)('refusals, through curl', () => {
  it('A2: an Idempotency-Key makes a repeat through another node answer as the first did, and change nothing', async () => {
    for (const [writer, reader] of pairs()) {
      const [key, once] = [`once/${writer.name}`, `Idempotency-Key: from-${writer.name}`]
      const first = await put(writer, key, 'x', '-H', once)
      const again = await put(reader, key, 'x', '-H', once)
      expect([first.status, again.status, again.headers['etag']]).toEqual([201, 201, first.headers['etag']])
      expect([first.headers['quorate-replayed'], again.headers['quorate-replayed']]).toEqual([undefined, 'true'])
      const other = await put(reader, key, 'y', '-H', once)
      expect([other.status, problemOf(other)]).toMatchObject([
        422,
        { code: 'IDEMPOTENCY_MISMATCH', outcome: 'not-applied' },
      ])
      const read = await get(reader, key)
      expect([read.text, read.headers['quorate-key-version']]).toEqual(['x', '1'])
      const malformed = await put(reader, key, 'x', '-H', `Idempotency-Key: ${'x'.repeat(129)}`)
      expect([malformed.status, problemOf(malformed)['outcome']]).toEqual([400, 'not-applied'])
    }
  })

  it('a web page of another origin, or one that gives its own name our address, is refused', async () => {
    for (const node of [leader, follower]) {
      const foreign = await put(node, 'page', 'x', '-H', 'Origin: http://evil.example')
      expect([foreign.status, problemOf(foreign)['code']]).toEqual([403, 'FORBIDDEN'])
      const rebound = await get(node, 'page', '-H', 'Host: evil.example')
      expect([rebound.status, problemOf(rebound)['code']]).toEqual([403, 'FORBIDDEN'])
      expect((await get(node, 'page', '-H', `Origin: ${node.url}`)).status).toBe(404)
      expect((await get(node, 'page', '-H', 'Host: localhost')).status).toBe(404)
      expect((await get(node, 'page', '-H', 'Origin: null')).status).toBe(403)
    }
  })

  it('OPTIONS tells what is allowed, other methods are 405, unknown paths 404', async () => {
    for (const node of [leader, follower]) {
      const options = await get(node, 'x', '-X', 'OPTIONS')
      expect([options.status, options.headers['allow']]).toEqual([204, expect.stringContaining('PUT')])
      for (const method of ['PATCH', 'TRACE']) {
        const answer = await get(node, 'x', '-X', method)
        expect([method, answer.status, problemOf(answer)['code']]).toEqual([method, 405, 'METHOD_NOT_ALLOWED'])
        expect(answer.headers['allow']).toBe(options.headers['allow'])
      }
      expect([(await get(node, 'x', '-X', 'POST')).status, (await curl([`${node.url}/v1/txn`])).status]).toEqual([
        400, 405,
      ])
      for (const path of ['/v1', '/v1/nothing', '/nothing']) {
        const answer = await curl([`${node.url}${path}`])
        expect([path, answer.status, answer.headers['content-type']]).toEqual([path, 404, 'application/problem+json'])
      }
    }
  })

  it('an encoding that would change the value is refused', async () => {
    expect((await put(follower, 'x', 'x', '-H', 'Content-Encoding: gzip')).status).toBe(415)
    expect((await put(follower, 'x', 'x', '-H', 'Content-Range: bytes 0-0/1')).status).toBe(400)
    expect((await put(follower, 'x', 'x', '-H', `Content-Type: ${'x'.repeat(256)}`)).status).toBe(400)
    expect((await put(follower, 'form', 'x')).status).toBe(201)
    expect((await get(leader, 'form')).headers['content-type']).toBe('application/octet-stream')
  })
})

describe('handing leadership over', () => {
  // The last test of this cluster: who leads it and who follows is not as before any longer.
  it('E18: is not called done when nobody can take over', async () => {
    const last = await cluster.leader()
    await Promise.all(cluster.nodes.filter((node) => node !== last).map((node) => node.stop('SIGKILL')))
    const answer = await last.http('POST', '/v1/leader/transfer')
    expect([answer.status, problemOf(answer)]).toMatchObject([409, { code: 'CONFLICT', outcome: 'not-applied' }])
  })
})
