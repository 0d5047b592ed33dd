// Transactions over HTTP: every form of the page becomes the right command, results come back, and what is wrong is named.
// `then` is a member of the API's transactions.
/* oxlint-disable unicorn/no-thenable */
import { describe, expect, it } from 'vitest'
import type { CommandResult, KeyEntry, TxnCommand } from '../../src/api/commands.ts'
import { NO_CONDITION } from '../../src/api/commands.ts'
import { expectInjectedProblem, openBench } from './harness.ts'
import type { Bench } from './harness.ts'

const DONE: CommandResult = { kind: 'txn', revision: 18, succeeded: true, results: [] }

const post = (bench: Bench, document: unknown, query = '', headers: Record<string, string> = {}) =>
  bench.app.server.inject({
    method: 'POST',
    url: `/v1/txn${query}`,
    headers,
    payload: typeof document === 'string' ? document : JSON.stringify(document),
  })

async function commandOf(document: unknown, query = ''): Promise<TxnCommand> {
  const bench = openBench()
  bench.node.script = () => DONE
  const answer = await post(bench, document, query)
  expect(answer.payload).toBe('{"succeeded":true,"revision":18,"results":[]}')
  return bench.node.writes[0]!.command as TxnCommand
}

const one = (key: string) => ({ from: key, to: `${key}\0` })
const plainPut = { op: 'put', contentType: '', condition: NO_CONDITION, wantsPrevious: false }

describe('a transaction', () => {
  it('takes the forms that the API shows', async () => {
    const command = await commandOf({
      if: [
        { key: 'a', version: 0 },
        { key: 'b', value: 'x' },
        { key: 'c', modRevision: { '>': 17 } },
        { prefix: 'd/', createRevision: { '<': 5 } },
      ],
      then: [
        { put: { key: 'a', value: '1', ttl: '30s' } },
        { add: { key: 'n', by: 1 } },
        { delete: { prefix: 'old/' } },
        { get: { key: 'b' } },
        { txn: { if: [], then: [] } },
      ],
      else: [{ get: { key: 'a' } }],
    })
    const get = { op: 'get', limit: 100, reverse: false, keysOnly: false, countOnly: false }
    expect(command).toEqual({
      op: 'txn',
      compares: [
        { range: one('a'), operator: '=', target: 'version', operand: 0 },
        { range: one('b'), operator: '=', target: 'value', operand: Buffer.from('x') },
        { range: one('c'), operator: '>', target: 'modRevision', operand: 17 },
        { range: { from: 'd/', to: 'd0' }, operator: '<', target: 'createRevision', operand: 5 },
      ],
      success: [
        { ...plainPut, key: 'a', value: Buffer.from('1'), ttlMs: 30_000 },
        { op: 'add', key: 'n', by: 1n, condition: NO_CONDITION },
        { op: 'delete-range', range: { from: 'old/', to: 'old0' } },
        { ...get, range: one('b') },
        { op: 'txn', compares: [], success: [], failure: [] },
      ],
      failure: [{ ...get, range: one('a') }],
    })
  })

  it('takes base64url, leases, content types, ranges, flags and large numbers', async () => {
    const lease = '00000000000000ff'
    const command = await commandOf({
      if: [
        { key64: '_w', value64: { '!=': '_g' } },
        { from: 'a', to64: '_w', lease: { '=': lease } },
        { key: 'a', lease: '' },
      ],
      then: [
        { put: { key64: '_w', value64: '_g', lease, contentType: 'text/plain', prev: true } },
        { put: { key: 'z', value: '', ttl: 5, contentType: 'application/octet-stream' } },
        { add: { key: 'n', by: '-9223372036854775808' } },
        { delete: { key: 'd', prev: true } },
        { get: { prefix: '', limit: 7, reverse: true, keysOnly: true } },
        { get: { from: 'b', countOnly: true } },
      ],
    })
    expect(command.compares).toEqual([
      { range: one('\xff'), operator: '!=', target: 'value', operand: Buffer.from([0xfe]) },
      { range: { from: 'a', to: '\xff' }, operator: '=', target: 'lease', operand: lease },
      { range: one('a'), operator: '=', target: 'lease', operand: '' },
    ])
    expect(command.success).toEqual([
      { ...plainPut, key: '\xff', value: Buffer.from([0xfe]), lease, contentType: 'text/plain', wantsPrevious: true },
      { ...plainPut, key: 'z', value: Buffer.alloc(0), ttlMs: 5_000 },
      { op: 'add', key: 'n', by: -(2n ** 63n), condition: NO_CONDITION },
      { op: 'delete', key: 'd', condition: NO_CONDITION, wantsPrevious: true },
      { op: 'get', range: { from: '', to: undefined }, limit: 7, reverse: true, keysOnly: true, countOnly: false },
      { op: 'get', range: { from: 'b', to: undefined }, limit: 0, reverse: false, keysOnly: false, countOnly: true },
    ])
  })

  it('takes a fence, a timeout and a key for repetition', async () => {
    expect(await commandOf({}, '?fence=jobs/42:7&timeout=1s')).toEqual({
      op: 'txn',
      compares: [],
      success: [],
      failure: [],
      fence: { lock: 'jobs/42', token: 7 },
    })
  })

  it('answers what each operation of the branch came to', async () => {
    const bench = openBench()
    const entry: KeyEntry = {
      key: 'b',
      value: Buffer.from('x'),
      contentType: '',
      createRevision: 2,
      modRevision: 3,
      version: 2,
      lease: '',
    }
    const shown = { key: 'b', value: 'x', createRevision: 2, modRevision: 3, version: 2 }
    const { value: _, ...keyOnly } = shown
    const range = { kind: 'range', revision: 18, isMore: true } as const
    bench.node.script = () => ({
      kind: 'txn',
      revision: 18,
      succeeded: false,
      results: [
        { kind: 'put', revision: 18, isCreated: true, previous: undefined },
        { kind: 'put', revision: 18, isCreated: false, previous: entry },
        { kind: 'deleted', revision: 18, count: 2, previous: undefined },
        { kind: 'deleted', revision: 18, count: 1, previous: entry },
        { kind: 'added', revision: 18, value: 2n ** 62n },
        { ...range, entries: [entry], count: 1 },
        { ...range, entries: [entry], count: 1 },
        { ...range, entries: [], count: 9, isMore: false },
        { kind: 'txn', revision: 18, succeeded: true, results: [{ kind: 'added', revision: 18, value: -1n }] },
      ],
    })
    const answer = await post(bench, {
      else: [
        { put: { key: 'a', value: '', prev: true } },
        { put: { key: 'b', value: '', prev: true } },
        { delete: { prefix: 'x' } },
        { delete: { key: 'y', prev: true } },
        { add: { key: 'n', by: 1 } },
        { get: { prefix: 'q' } },
        { get: { prefix: 'q', keysOnly: true } },
        { get: { prefix: 'q', countOnly: true } },
        { txn: { then: [{ add: { key: 'm', by: -1 } }] } },
      ],
    })
    expect(answer.json()).toEqual({
      succeeded: false,
      revision: 18,
      results: [
        { put: { created: true, prev: null } },
        { put: { created: false, prev: shown } },
        { delete: { deleted: 2 } },
        { delete: { deleted: 1, prev: shown } },
        { add: { value: '4611686018427387904' } },
        { get: { entries: [shown], count: 1, more: true } },
        { get: { entries: [keyOnly], count: 1, more: true } },
        { get: { count: 9, more: false } },
        { txn: { succeeded: true, results: [{ add: { value: '-1' } }] } },
      ],
    })
    expect(answer.headers['quorate-revision']).toBe('18')
  })

  const nested = (depth: number): object => (depth === 0 ? {} : { then: [{ txn: nested(depth - 1) }] })

  it.each([
    [{ then: [{ put: { key: 'a' } }] }, 'then[0].put.value is missing'],
    [{ then: [{ put: { value: 'a' } }] }, 'then[0].put.key is missing'],
    [{ then: [{ put: { key: '', value: 'a' } }] }, 'then[0].put.key must not be empty'],
    [{ then: [{ put: { key: 'a', value: 1 } }] }, 'then[0].put.value must be a string'],
    [{ then: [{ put: { key: 'a', value: 'a', x: 1 } }] }, 'then[0].put has a member "x" that is not known'],
    [{ then: [{ put: { key: 'a', value: 'a', value64: '' } }] }, 'then[0].put takes value or value64, not both'],
    [{ then: [{ put: { key: 'a', value64: 'a=' } }] }, 'then[0].put.value64 must be canonical base64url'],
    [{ then: [{ put: { key: 'a', value: '', ttl: '0s' } }] }, 'then[0].put.ttl must be from 1ms'],
    [{ then: [{ put: { key: 'a', value: '', ttl: 'soon' } }] }, 'then[0].put.ttl must be a duration'],
    [{ then: [{ put: { key: 'a', value: '', ttl: 1, lease: '00000000000000ff' } }] }, 'takes a lease or a ttl'],
    [{ then: [{ put: { key: 'a', value: '', lease: 'ff' } }] }, 'then[0].put.lease must be the id of a lease'],
    [{ else: [{}, {}] }, 'else[0] must be exactly one operation of: put, add, delete, get, txn'],
    [{ else: [{ get: { key: 'a' }, put: {} }] }, 'else[0] must be exactly one operation'],
    [{ then: [{ patch: {} }] }, 'then[0] has a member "patch" that is not known'],
    [{ then: [{ get: {} }] }, 'then[0].get names no key and no range'],
    [{ then: [{ get: { key: 'a', prefix: 'b' } }] }, 'then[0].get names a key and a range'],
    [{ then: [{ get: { prefix: 'a', to: 'b' } }] }, 'then[0].get is not good'],
    [{ then: [{ get: { key: 'a', limit: 0 } }] }, 'then[0].get.limit must be a whole number from 1'],
    [{ then: [{ get: { key: 'a', reverse: 'yes' } }] }, 'then[0].get.reverse must be true or false'],
    [{ then: [{ delete: { prefix: 'a', prev: true } }] }, 'then[0].delete.prev is for the deletion of one key'],
    [{ then: [{ add: { key: 'a', by: 1.5 } }] }, 'then[0].add.by must be a 64-bit integer'],
    [{ then: [{ add: { key: 'a', by: '9223372036854775808' } }] }, 'then[0].add.by must be a 64-bit integer'],
    [{ then: { put: {} } }, 'then must be a list'],
    [{ then: [1] }, 'then[0] must be an object'],
    [{ if: [{ key: 'a' }] }, 'if[0] must compare exactly one of'],
    [{ if: [{ key: 'a', version: 1, lease: '' }] }, 'if[0] must compare exactly one of'],
    [{ if: [{ key: 'a', version: { '>': 1, '<': 3 } }] }, 'if[0].version must have exactly one operator'],
    [{ if: [{ key: 'a', version: { '>=': 1 } }] }, 'if[0].version has a member ">=" that is not known'],
    [{ if: [{ key: 'a', version: '1' }] }, 'if[0].version must be a whole number'],
    [{ if: [{ key: 'a', modRevision: { '<': -1 } }] }, 'if[0].modRevision.< must be a whole number'],
    [{ if: [{ version: 1 }] }, 'if[0] names no key and no range'],
    [{ iff: [] }, 'The body has a member "iff" that is not known'],
    [nested(8), 'is nested deeper than 8 transactions'],
    [{ then: [{ put: { key: 'a', value: '1' } }, { put: { key: 'a', value: '2' } }] }, 'write the key "a" twice'],
    [{ then: [{ add: { key: 'a', by: 1 } }, { delete: { prefix: '' } }] }, 'write the key "a" twice'],
    [{ then: Array.from({ length: 129 }, (_, at) => ({ get: { key: `${at}` } })) }, 'at most 128 operations'],
  ])('names what is wrong with %j', async (document, detail) => {
    const bench = openBench()
    const answer = await post(bench, document)
    expect(expectInjectedProblem(answer, 400, 'BAD_REQUEST').detail).toContain(detail)
    expect(bench.node.writes).toEqual([])
  })

  it('H13: refuses bodies that are not what they seem', async () => {
    const bench = openBench()
    const bad = [
      '[]',
      '{',
      '{"then":[],"then":[]}',
      '{"__proto__":[]}',
      `{"then":${'['.repeat(50)}`,
      '{"if":[{"key":"\\ud800","version":0}]}',
    ]
    for (const body of bad) expectInjectedProblem(await post(bench, body), 400, 'BAD_REQUEST')
    expectInjectedProblem(await post(bench, {}, '', { 'content-type': 'text/plain' }), 415, 'UNSUPPORTED_MEDIA_TYPE')
    expectInjectedProblem(await post(bench, {}, '', { 'if-match': '*' }), 400, 'BAD_REQUEST')
    expectInjectedProblem(await post(bench, {}, '?prev'), 400, 'BAD_PARAMETER')
    expectInjectedProblem(await post(bench, ' '.repeat(2 * 1_048_576 + 1)), 413, 'VALUE_TOO_LARGE')
    expect(bench.node.writes).toEqual([])
  })

  it('holds a value of the largest size', async () => {
    const value64 = Buffer.alloc(1_048_576, 0xff).toString('base64url')
    const command = await commandOf({ then: [{ put: { key: 'a', value64 } }] })
    expect(command.success[0]).toMatchObject({ value: { length: 1_048_576 } })
  })

  it.each([
    ['lease-not-found', 404, 'LEASE_NOT_FOUND'],
    ['not-a-number', 409, 'NOT_A_NUMBER'],
    ['fenced', 412, 'PRECONDITION_FAILED'],
    ['result-too-large', 400, 'BAD_REQUEST'],
  ] as const)('that is refused as %s says so', async (reason, status, code) => {
    const bench = openBench()
    bench.node.script = () => ({ kind: 'refused', revision: 5, reason })
    const answer = await post(bench, {})
    expect(expectInjectedProblem(answer, status, code).outcome).toBe('not-applied')
    expect(answer.headers['quorate-revision']).toBe('5')
  })
})
