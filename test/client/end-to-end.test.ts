// The client against the real HTTP edge over a node in memory: both sides of the wire contract at once.
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import pino from 'pino'
import { QuorateError } from '../../src/api/errors.ts'
import { Client } from '../../src/client/index.ts'
import { buildApp } from '../../src/http/app.ts'
import type { App } from '../../src/http/app.ts'
import { MemoryNode } from '../support/memory-node.ts'

let node: MemoryNode
let app: App
let client: Client

beforeAll(async () => {
  node = new MemoryNode()
  const versions = { release: '0.1.0', node: 'v20.0.0' }
  app = buildApp({ node, log: pino({ level: 'silent' }), versions, isLoopback: true, allowedHosts: [] })
  await app.server.listen({ port: 0, host: '127.0.0.1' })
  client = new Client({
    sessions: false,
    endpoints: `http://127.0.0.1:${(app.server.server.address() as AddressInfo).port}`,
  })
})
afterAll(async () => {
  await client.close()
  await app.server.close()
})
beforeEach(() => {
  node.failure = undefined
})

describe('keys and values', () => {
  test('H1 H2 N13: every odd key holds its own value', async () => {
    const keys: (string | Uint8Array)[] = [
      ...Array.from({ length: 256 }, (_, byte) => Uint8Array.of(byte)),
      Uint8Array.of(0xff, 0xfe),
      Uint8Array.of(0xff, 0xfd),
      '..',
      'a/../b',
      'a//b',
      'a/',
      'a b',
      'a+b',
      'a?b#c',
      'a%2Fb',
      'é',
      '\ufffd',
      '😀',
      '__proto__',
      'constructor',
      'hasOwnProperty',
      'x'.repeat(4_096),
      'ü'.repeat(2_048),
    ]
    for (const [at, key] of keys.entries()) await client.put(key, `value ${at}`)
    for (const [at, key] of keys.entries()) expect((await client.get(key))?.text()).toBe(`value ${at}`)
    expect(node.entries.size).toBe(keys.length)
  })

  test('H7: values come back byte for byte, from none to the limit', async () => {
    const all = Uint8Array.from({ length: 256 }, (_, byte) => byte)
    const large = Buffer.alloc(1_048_576, 'quorate ')
    for (const value of [new Uint8Array(0), Uint8Array.of(0), all, large.subarray(1), large]) {
      await client.put('value', value, { contentType: 'application/x-www-form-urlencoded; x=y' })
      const entry = (await client.get('value'))!
      expect(Buffer.compare(entry.value, value)).toBe(0)
    }
  })

  test('counters, media types and previous entries are told', async () => {
    const first = await client.put('counted', 'one', { contentType: 'text/plain; charset=utf-8' })
    expect(first.created).toBe(true)
    const second = await client.put('counted', Uint8Array.of(0xff), { prev: true, ifRevision: first.revision })
    expect(second).toMatchObject({ created: false, revision: first.revision + 1 })
    expect(second.previous).toMatchObject({
      revision: first.revision,
      version: 1,
      contentType: 'text/plain; charset=utf-8',
    })
    expect(second.previous!.text()).toBe('one')
    expect(await client.get('counted')).toMatchObject({
      revision: second.revision,
      createRevision: first.revision,
      version: 2,
      contentType: 'application/octet-stream',
    })
    const gone = await client.delete('counted', { prev: true, ifExists: true })
    expect(gone).toMatchObject({ deleted: true, revision: second.revision + 1 })
    expect(gone.previous!.value).toEqual(Buffer.from([0xff]))
    expect(await client.delete('counted', { prev: true })).toMatchObject({ deleted: false, previous: undefined })
    expect(await client.get('counted')).toBeUndefined()
    expect(client.lastRevision).toBe(gone.revision)
  })

  test('conditions hold or are told with the current revision', async () => {
    const { revision } = await client.put('conditional', 'v', { ifAbsent: true })
    for (const options of [{ ifAbsent: true }, { ifRevision: 0 }, { ifRevision: revision + 1 }]) {
      await expect(client.put('conditional', 'w', options)).rejects.toMatchObject({
        code: 'PRECONDITION_FAILED',
        outcome: 'not-applied',
        details: { currentRevision: revision },
      })
    }
    await client.put('conditional', 'w', { ifExists: true })
    await expect(client.delete('conditional', { ifRevision: revision })).rejects.toMatchObject({ status: 412 })
    await expect(client.put('absent', 'v', { ifExists: true })).rejects.toMatchObject({
      details: { currentRevision: 0 },
    })
  })

  test('JSON goes in and out', async () => {
    await client.putJson('json', { list: [1, 'ü', null] })
    const entry = (await client.get('json'))!
    expect(entry.json()).toEqual({ list: [1, 'ü', null] })
    expect(entry.contentType).toBe('application/json')
  })
})

describe('reads and questions', () => {
  test('a read carries its options to the node', async () => {
    await client.get('k', { maxStaleMs: 1_500, minRevision: 1, timeoutMs: 1_000 })
    expect(node.reads.at(-1)!.options).toMatchObject({ consistency: 'stale', maxStaleMs: 1_500, minRevision: 1 })
    expect(node.reads.at(-1)!.options.timeoutMs).toBeLessThan(1_000)
    await client.get('k')
    expect(node.reads.at(-1)!.options).toMatchObject({ consistency: 'linearizable', maxStaleMs: undefined })
  })

  test('status, cluster, version and transfer are understood', async () => {
    expect(await client.status()).toEqual(node.status())
    expect(await client.cluster()).toEqual(await node.cluster())
    expect(await client.version()).toEqual({ version: '0.1.0', node: 'v20.0.0', api: 1 })
    await client.transferLeadership()
    await client.transferLeadership('n1')
    expect(node.transfers).toEqual([undefined, 'n1'])
  })
})

describe('errors', () => {
  test('H8: what the node refuses keeps its code and outcome', async () => {
    node.failure = new QuorateError('LEADERSHIP_LOST', 'the leader changed')
    await expect(client.put('k', 'v')).rejects.toMatchObject({
      code: 'LEADERSHIP_LOST',
      outcome: 'unknown',
      attempts: 1,
    })
    node.failure = new QuorateError('NO_SPACE', 'the disk is nearly full')
    await expect(client.put('k', 'v')).rejects.toMatchObject({ code: 'NO_SPACE', outcome: 'not-applied', status: 507 })
    node.failure = new QuorateError('TIMEOUT', 'not in time')
    await expect(client.delete('k')).rejects.toMatchObject({ code: 'TIMEOUT', outcome: 'unknown' })
    await expect(client.get('k', { timeoutMs: 100 })).rejects.toMatchObject({ code: 'TIMEOUT', outcome: 'not-applied' })
  })

  test('a pause without a leader is waited out', async () => {
    node.failure = new QuorateError('NO_LEADER', 'an election', { details: { retryAfterMs: 20 } })
    const write = client.put('patient', 'v')
    const attempts = node.writes.length
    // The election ends after the second attempt.
    const apply = node.write.bind(node)
    let seen = 0
    node.write = (...args) => {
      if (++seen === 2) node.failure = undefined
      apply(...args)
    }
    expect((await write).created).toBe(true)
    expect(node.writes.length).toBeGreaterThan(attempts)
    node.write = apply
  })
})
