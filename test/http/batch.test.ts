// Batches over HTTP, compaction and the digest; and that every refusal of the state machine has a row in the error table.
import { describe, expect, it } from 'vitest'
import { decodeBatchResponse, encodeBatchRequest } from '../../src/api/batch-codec.ts'
import type { BatchItem } from '../../src/api/batch-codec.ts'
import type { ClientCommand } from '../../src/api/commands.ts'
import { NO_CONDITION } from '../../src/api/commands.ts'
import { ERRORS, QuorateError } from '../../src/api/errors.ts'
import { WIRE_LIMITS } from '../../src/api/limits.ts'
import { REFUSALS } from '../../src/http/refusals.ts'
import { expectInjectedProblem, openBench } from './harness.ts'
import type { Bench } from './harness.ts'

const TYPE = 'application/vnd.quorate.batch'
const put = (key: string): ClientCommand => ({
  op: 'put',
  key,
  value: Buffer.from('x'),
  contentType: '',
  condition: NO_CONDITION,
  wantsPrevious: false,
})

const LEASE = '00000000000000a1'
const read = (key: string): BatchItem => ({
  op: 'read',
  key,
  consistency: 'linearizable',
  maxStaleMs: undefined,
  minRevision: undefined,
})

const send = (bench: Bench, payload: Buffer, type = TYPE, query = '') =>
  bench.app.server.inject({ method: 'POST', url: `/v1/batch${query}`, headers: { 'content-type': type }, payload })

const many = (command: ClientCommand, count: number): Buffer =>
  encodeBatchRequest(Array.from({ length: count }, () => command))

describe('a batch', () => {
  it('has an answer for each command, in order, errors among them', async () => {
    const bench = openBench()
    bench.node.script = (command) =>
      command.op === 'put' && command.key === 'b'
        ? new QuorateError('OVERLOADED', 'Wait.', { details: { retryAfterMs: 250 } })
        : undefined
    const commands: ClientCommand[] = [
      put('a'),
      put('b'),
      { op: 'delete', key: 'a', condition: NO_CONDITION, wantsPrevious: true },
    ]
    const answer = await send(bench, encodeBatchRequest(commands), TYPE, '?timeout=1s')
    expect([answer.statusCode, answer.headers['content-type'], answer.headers['quorate-revision']]).toEqual([
      200,
      TYPE,
      '3',
    ])
    expect(decodeBatchResponse(answer.rawPayload)).toMatchObject([
      { kind: 'result', result: { kind: 'put', revision: 2, isCreated: true } },
      { kind: 'error', code: 'OVERLOADED', outcome: 'not-applied', retryAfterMs: 250, detail: 'Wait.' },
      { kind: 'result', result: { kind: 'deleted', count: 1, previous: { key: 'a' } } },
    ])
    expect(bench.node.writes.map(({ timeoutMs }) => timeoutMs)).toEqual([1_000, 1_000, 1_000])
  })

  it('may ask for so many values, which wait in memory for the last answer, and for no more', async () => {
    const bench = openBench()
    const get = { op: 'get', limit: 1_000, range: { from: '', to: undefined }, reverse: false } as const
    const read = { ...get, keysOnly: false, countOnly: false }
    const txn: ClientCommand = { op: 'txn', compares: [], success: [read], failure: [] }
    const taking: ClientCommand = { op: 'delete', key: 'a', condition: NO_CONDITION, wantsPrevious: true }
    expectInjectedProblem(await send(bench, many(txn, 17)), 400, 'BAD_REQUEST')
    expectInjectedProblem(await send(bench, many(taking, 65)), 400, 'BAD_REQUEST')
    expect(bench.node.writes).toEqual([])
    expect((await send(bench, many(taking, 64))).statusCode).toBe(200)
    const session = '0000000000000001'
    const once = { kind: 'session', session, sequence: 1, acknowledgedBelow: 1 } as const
    expect((await send(bench, many({ ...taking, once }, 65))).statusCode).toBe(200)
  })

  it('reads keys in place, each as fresh as it asks, beside writes', async () => {
    const bench = openBench()
    bench.node.leaseInfos.push({ lease: LEASE, ttlMs: 30_000, remainingMs: 20_000, keys: ['a'] })
    const leased = { ...(put('a') as ClientCommand & { op: 'put' }), lease: LEASE }
    await send(bench, encodeBatchRequest([leased]))
    const stale = { op: 'read', key: 'a', consistency: 'stale', maxStaleMs: 500, minRevision: 1 } as const
    const answer = await send(
      bench,
      encodeBatchRequest([read('a'), put('b'), stale, read('gone')]),
      TYPE,
      '?timeout=2s',
    )
    expect(decodeBatchResponse(answer.rawPayload)).toMatchObject([
      { kind: 'read', revision: 2, stalenessMs: undefined, entry: { version: 1, lease: LEASE }, ttlMs: 20_000 },
      { kind: 'result', result: { kind: 'put', revision: 3 } },
      { kind: 'read', entry: { modRevision: 2 } },
      { kind: 'read', entry: undefined },
    ])
    const plain = { consistency: 'linearizable', maxStaleMs: undefined, minRevision: undefined, timeoutMs: 2_000 }
    expect(bench.node.reads.map(({ options }) => options)).toEqual([
      plain,
      { consistency: 'stale', maxStaleMs: 500, minRevision: 1, timeoutMs: 2_000 },
      plain,
    ])
    expect(bench.node.writes.map(({ command }) => command.op)).toEqual(['put', 'put'])
  })

  it('answers reads that fail with errors that changed nothing', async () => {
    const bench = openBench()
    bench.node.failure = new QuorateError('LEADERSHIP_LOST', 'Gone.')
    const answer = await send(bench, encodeBatchRequest([read('a')]))
    const [error] = decodeBatchResponse(answer.rawPayload)
    expect(error).toMatchObject({ kind: 'error', code: 'LEADERSHIP_LOST', outcome: 'not-applied', detail: 'Gone.' })
  })

  it('leaves out the reads that there is no room for, but never all', async () => {
    const bench = openBench()
    const large = { ...(put('large') as ClientCommand & { op: 'put' }), value: Buffer.alloc(WIRE_LIMITS.valueBytesMax) }
    for (const key of ['a', 'b', 'c']) await send(bench, encodeBatchRequest([{ ...large, key }]))
    const reads = ['a', 'gone', 'b', 'c', 'gone', 'a'].map(read)
    const answer = await send(bench, encodeBatchRequest(reads))
    const kinds = decodeBatchResponse(answer.rawPayload).map(({ kind }) => kind)
    expect(kinds).toEqual(['read', 'read', 'read', 'left-out', 'read', 'left-out'])
  })

  it('is refused whole when it is not one', async () => {
    const bench = openBench()
    const good = encodeBatchRequest([put('a')])
    for (const body of [
      Buffer.alloc(0),
      encodeBatchRequest([]),
      Buffer.from([9]),
      good.subarray(0, -1),
      Buffer.concat([good, Buffer.from([0xff])]),
    ])
      expectInjectedProblem(await send(bench, body), 400, 'BAD_REQUEST')
    for (const type of ['application/json', 'application/octet-stream', ''])
      expectInjectedProblem(await send(bench, good, type), 415, 'UNSUPPORTED_MEDIA_TYPE')
    expectInjectedProblem(await send(bench, Buffer.alloc(2 * 1_048_576 + 1)), 413, 'VALUE_TOO_LARGE')
    const keyed: ClientCommand = {
      ...(put('a') as ClientCommand & { op: 'put' }),
      once: { kind: 'key', key: 'k', fingerprint: '0'.repeat(16) },
    }
    expectInjectedProblem(await send(bench, encodeBatchRequest([keyed])), 400, 'BAD_REQUEST')
    const many = encodeBatchRequest(Array.from({ length: 1_001 }, () => put('a')))
    expectInjectedProblem(await send(bench, many), 400, 'BAD_REQUEST')
    expect(bench.node.writes).toEqual([])
  })
})

const post = (bench: Bench, payload: string) => bench.app.server.inject({ method: 'POST', url: '/v1/compact', payload })

describe('compaction', () => {
  it('forgets the history below a revision', async () => {
    const bench = openBench()
    const answer = await post(bench, '{"revision":1}')
    expect([answer.statusCode, answer.json()]).toEqual([200, { compactRevision: 1 }])
    expect(bench.node.writes[0]!.command).toEqual({ op: 'compact', revision: 1 })
    for (const body of ['{}', '{"revision":0}', '{"revision":"1"}', '{"revision":1.5}'])
      expectInjectedProblem(await post(bench, body), 400, 'BAD_REQUEST')
    bench.node.script = () => ({ kind: 'refused', revision: 5, reason: 'compacted' })
    const gone = await post(bench, '{"revision":1}')
    expect(expectInjectedProblem(gone, 410, 'COMPACTED')).toMatchObject({ compactRevision: 5 })
    bench.node.script = () => ({ kind: 'refused', revision: 5, reason: 'future-revision' })
    expectInjectedProblem(await post(bench, '{"revision":9}'), 400, 'BAD_PARAMETER')
  })
})

describe('the digest', () => {
  it('comes with the applied index that it belongs to', async () => {
    const { app } = openBench()
    const answer = { digest: '00000000000000cd', appliedIndex: 7, revision: 1, version: 1 }
    expect((await app.server.inject('/v1/digest')).json()).toEqual(answer)
    expectInjectedProblem(await app.server.inject('/v1/digest?x'), 400, 'BAD_PARAMETER')
  })
})

describe('a refusal by the state machine', () => {
  it.each(Object.entries(REFUSALS))('%s is a problem with a row of the table', async (reason, { code, detail }) => {
    const bench = openBench()
    bench.node.script = () => ({ kind: 'refused', revision: 5, reason: reason as keyof typeof REFUSALS })
    const answer = await bench.app.server.inject({ method: 'PUT', url: '/v1/kv/a', payload: 'x' })
    const document = expectInjectedProblem(answer, ERRORS[code].status, code)
    expect(document).toMatchObject({ detail, outcome: ERRORS[code].outcome, retryable: ERRORS[code].isRetryable })
  })
})
