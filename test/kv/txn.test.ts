// Transactions and range deletes: atomic, one revision, each operation seeing those before it. One claim each.
import { describe, expect, test } from 'vitest'
import { NO_CONDITION } from '../../src/api/commands.ts'
import type { Command, Compare, KeyRange, TxnCommand, TxnGet, TxnOperation } from '../../src/api/commands.ts'
import { ALL_KEYS, rangeOfKey, rangeOfPrefix } from '../../src/api/ranges.ts'
import { KV_LIMITS } from '../../src/kv/limits.ts'
import { compact, deletion, put, Replica } from './replica.ts'

const txn = (fields: Partial<TxnCommand>): TxnCommand => ({
  op: 'txn',
  compares: [],
  success: [],
  failure: [],
  ...fields,
})
const deleteRange = (prefix: string): Command & { op: 'delete-range' } => ({
  op: 'delete-range',
  range: rangeOfPrefix(prefix),
})
const get = (range: KeyRange, fields: Partial<TxnGet> = {}): TxnGet => ({
  op: 'get',
  range,
  limit: 100,
  reverse: false,
  keysOnly: false,
  countOnly: false,
  ...fields,
})
const add = (key: string): TxnOperation => ({ op: 'add', key, by: 1n, condition: NO_CONDITION })
const version = (key: string, operand: number): Compare => ({
  range: rangeOfKey(key),
  target: 'version',
  operator: '=',
  operand,
})
const keysOf = (replica: Replica, operation: TxnOperation, before: TxnOperation[] = []): string[] => {
  const result = replica.do(txn({ success: [...before, operation] }))
  const last = result.kind === 'txn' ? result.results.at(-1) : undefined
  return last?.kind === 'range' ? last.entries.map(({ key }) => key) : []
}

describe('a transaction', () => {
  test('A14: makes all its changes in one revision, numbered in order', () => {
    const replica = new Replica()
    replica.do(put('a', '1'))
    const success = [put('b', '1'), deletion('a'), add('n'), deletion('gone')]
    expect(replica.do(txn({ success }))).toMatchObject({
      kind: 'txn',
      revision: 3,
      succeeded: true,
      results: [{ revision: 3, isCreated: true }, { count: 1 }, { value: 1n }, { count: 0 }],
    })
    expect(replica.changes.slice(1).map(({ record }) => [record.key, record.at])).toEqual([
      ['b', { revision: 3, sub: 0 }],
      ['a', { revision: 3, sub: 1 }],
      ['n', { revision: 3, sub: 2 }],
    ])
    expect(replica.do(put('c', ''))).toMatchObject({ revision: 4 })
  })

  test('that changes nothing takes no revision', () => {
    const replica = new Replica()
    expect(replica.do(txn({ success: [get(ALL_KEYS), deletion('x')] }))).toMatchObject({ revision: 1, succeeded: true })
    expect(replica.meta.revision).toBe(1)
  })

  test('A14: leaves nothing behind when one of its operations is refused', () => {
    const replica = new Replica()
    replica.entry([put('x', 'no number'), put('t', '', { ttlMs: 50 })])
    const before = replica.meta
    const rows = replica.state.rows()
    const success = [put('a', '', { ttlMs: 10 }), put('t', ''), deletion('x'), txn({ success: [add('y'), add('z')] })]
    const refusals = [
      txn({ success: [...success, add('t')] }),
      txn({ success: [...success, put('b', '', { lease: '0000000000000009' })] }),
    ]
    expect(replica.entry(refusals)).toMatchObject([{ reason: 'not-a-number' }, { reason: 'lease-not-found' }])
    expect(replica.meta).toEqual({ ...before, index: 2 })
    expect(replica.state.rows()).toEqual(rows)
    expect(replica.machine.side.leases()).toMatchObject([{ keys: ['t'] }])
    expect(replica.do(txn({ success }))).toMatchObject({ kind: 'txn', revision: 4 })
    expect(replica.machine.side.leases()).toMatchObject([{ keys: ['a'] }])
  })

  test('sees what it did before, in ranges too', () => {
    const replica = new Replica()
    replica.entry([put('a', '1'), put('b', '1'), put('c', '1')])
    const before = [deletion('b'), put('bb', '2'), put('d', '2')]
    expect(keysOf(replica, get(ALL_KEYS), before)).toEqual(['a', 'bb', 'c', 'd'])
    expect(keysOf(replica, get(ALL_KEYS, { reverse: true, limit: 2 }), [deleteRange('c')])).toEqual(['d', 'bb'])
  })

  test('finds behind what it deleted as many entries as it asks for', () => {
    const replica = new Replica()
    replica.entry(['a1', 'a2', 'a3', 'b1', 'b2', 'b3', 'b4'].map((key) => put(key, '')))
    const result = replica.do(txn({ success: [deleteRange('a'), deletion('b1'), get(ALL_KEYS, { limit: 2 })] }))
    expect(result).toMatchObject({
      results: [{ count: 3 }, { count: 1 }, { count: 2, isMore: true, entries: [{ key: 'b2' }, { key: 'b3' }] }],
    })
  })

  test('takes one branch, and compares of nested ones look at the state before all of it', () => {
    const replica = new Replica()
    const nested = txn({ compares: [version('a', 0)], success: [put('b', 'yes')], failure: [put('b', 'no')] })
    const outer = txn({ compares: [version('a', 0)], success: [put('a', ''), nested], failure: [get(ALL_KEYS)] })
    expect(replica.do(outer)).toMatchObject({ succeeded: true, results: [{}, { kind: 'txn', succeeded: true }] })
    expect(replica.do(outer)).toMatchObject({ succeeded: false, results: [{ count: 2 }] })
    expect(String(replica.changes.at(-1)?.record.value)).toBe('yes')
  })

  test('A13: compares with a missing key as with zeros, and with its value never', () => {
    const replica = new Replica()
    replica.entry([put('gone', 'x'), deletion('gone'), compact(3)])
    const holds = (fields: object): boolean => {
      const result = replica.do(txn({ compares: [{ range: rangeOfKey('gone'), ...fields } as Compare] }))
      return result.kind === 'txn' && result.succeeded
    }
    for (const target of ['version', 'createRevision', 'modRevision']) {
      expect(holds({ target, operator: '=', operand: 0 })).toBe(true)
      expect(holds({ target, operator: '>', operand: 0 })).toBe(false)
    }
    expect(holds({ target: 'lease', operator: '=', operand: '' })).toBe(true)
    for (const operator of ['=', '!=', '<', '>'])
      expect(holds({ target: 'value', operator, operand: Buffer.from('x') })).toBe(false)
  })

  test('A13: compares values as bytes, and a range by all of its keys', () => {
    const replica = new Replica()
    replica.entry([put('r1', '\xff'), put('r2', '\x7f\xff')])
    const holds = (operator: '<' | '>', operand: string, range = rangeOfPrefix('r')): boolean => {
      const compare: Compare = { range, target: 'value', operator, operand: Buffer.from(operand, 'latin1') }
      const result = replica.do(txn({ compares: [compare] }))
      return result.kind === 'txn' && result.succeeded
    }
    expect(holds('>', '\x7f')).toBe(true)
    expect(holds('>', '\x80')).toBe(false)
    expect(holds('>', '\x80', rangeOfKey('r1'))).toBe(true)
  })

  test('counts without reading values, and shows keys without them', () => {
    const replica = new Replica()
    replica.entry([put('a', '1', { contentType: 'x/y' }), put('b', '1')])
    expect(replica.do(txn({ success: [get(ALL_KEYS, { countOnly: true })] }))).toMatchObject({
      results: [{ count: 2, entries: [], isMore: false }],
    })
    expect(replica.reads.flatMap(({ records }) => records)).toEqual([])
    expect(replica.do(txn({ success: [get(ALL_KEYS, { keysOnly: true, limit: 1 })] }))).toMatchObject({
      results: [{ count: 1, isMore: true, entries: [{ key: 'a', contentType: 'x/y', value: { length: 0 } }] }],
    })
  })

  test('fetches large values a few at a time, and refuses to read too many of them', () => {
    const replica = new Replica()
    const large = 'x'.repeat(1_048_576)
    replica.entry(Array.from({ length: 40 }, (_, at) => put(`k${String(at).padStart(2, '0')}`, large)))
    const refusal = replica.do(txn({ success: [put('new', ''), get(ALL_KEYS)] }))
    expect(refusal).toMatchObject({ kind: 'refused', reason: 'result-too-large' })
    expect(replica.reads.flatMap(({ records }) => records).length).toBeLessThanOrEqual(16)
    expect(replica.do(txn({ success: [get(ALL_KEYS, { limit: 4 })] }))).toMatchObject({ kind: 'txn' })
    // What is deleted beforehand is not fetched for the read behind it.
    const deleting = txn({ success: [deleteRange('k'), get(ALL_KEYS)] })
    expect(replica.do(deleting)).toMatchObject({ results: [{ count: 40 }, { count: 0 }] })
  })

  test('reads nothing of the branch not taken', () => {
    const replica = new Replica()
    replica.entry([put('a', ''), put('b', ''), put('c', '')])
    replica.do(
      txn({ compares: [version('a', 1)], success: [get(rangeOfKey('b'))], failure: [get(rangeOfPrefix('c'))] }),
    )
    expect(replica.reads.flatMap(({ pointers }) => pointers)).not.toContain('c')
    expect(replica.reads.flatMap(({ ranges }) => ranges)).toEqual([])
  })

  test('may look at so many keys and no more', () => {
    const replica = new Replica()
    const count = KV_LIMITS.commandKeysMax + 1
    replica.entry(Array.from({ length: count }, (_, at) => put(`k${at}`, '')))
    const everywhere: Compare = { ...version('', 1), range: ALL_KEYS }
    for (const command of [
      txn({ success: [get(ALL_KEYS, { countOnly: true })] }),
      txn({ compares: [everywhere] }),
      txn({ success: [put('x', ''), txn({ compares: [everywhere] })] }),
      txn({ success: [deleteRange('')] }),
      deleteRange(''),
    ])
      expect(replica.do(command)).toMatchObject({ kind: 'refused', reason: 'range-too-large', revision: count + 1 })
    expect(replica.do(txn({ success: [get(ALL_KEYS, { limit: 1 })] }))).toMatchObject({ kind: 'txn' })
  })
})

describe('a range delete', () => {
  test('takes one revision for all its keys, in byte order', () => {
    const replica = new Replica()
    replica.entry([put('a\xff', ''), put('a', ''), put('b', '')])
    expect(replica.do(deleteRange('a'))).toEqual({ kind: 'deleted', revision: 5, count: 2, previous: undefined })
    expect(replica.changes.slice(3).map(({ record }) => [record.key, record.at.sub])).toEqual([
      ['a', 0],
      ['a\xff', 1],
    ])
    expect(replica.do(deleteRange('a'))).toMatchObject({ revision: 5, count: 0 })
  })

  test('sees what earlier commands of its entry did, and later ones what it did', () => {
    const results = new Replica().entry([put('a', ''), deleteRange(''), put('a', ''), deleteRange('')])
    expect(results).toMatchObject([{ isCreated: true }, { count: 1 }, { isCreated: true }, { count: 1, revision: 5 }])
  })
})
