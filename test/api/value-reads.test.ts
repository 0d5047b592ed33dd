// How many values a command may make apply read, and how much work it may make.
import { expect, test } from 'vitest'
import { NO_CONDITION } from '../../src/api/commands.ts'
import type { ClientCommand, Command, TxnOperation } from '../../src/api/commands.ts'
import { applyCostOf } from '../../src/api/apply-cost.ts'
import { valueReadsOf } from '../../src/api/value-reads.ts'

const remove = { op: 'delete', key: 'k', condition: NO_CONDITION, wantsPrevious: false } as const
const get = { op: 'get', range: { from: '', to: undefined }, limit: 1, reverse: false, keysOnly: false } as const
const txn = (...success: TxnOperation[]) => ({ op: 'txn', compares: [], success, failure: [] }) as const

test('what answers with a value, or computes with one, reads it; a transaction reads no more than it may', () => {
  const taking = { ...remove, wantsPrevious: true } as const
  const value = { target: 'value', operand: new Uint8Array(0), operator: '=', range: get.range } as const
  const commands: readonly (readonly [ClientCommand, number])[] = [
    [remove, 0],
    [taking, 1],
    [{ op: 'add', key: 'k', by: 1n, condition: NO_CONDITION }, 1],
    [{ op: 'delete-range', range: get.range }, 0],
    [txn(remove, { ...get, limit: 0, countOnly: true }), 0],
    [txn(remove, taking, txn(taking)), 2],
    [txn({ ...get, countOnly: false }, taking, taking), 4],
    [{ ...txn(), compares: [value] }, 4],
    [{ ...txn(), failure: [taking] }, 1],
  ]
  expect(commands.map(([command]) => valueReadsOf(command))).toEqual(commands.map(([, reads]) => reads))
})

test('what scans a range, or ends a lease, makes more work than what names its keys', () => {
  const one = { from: 'k', to: 'k\0' }
  const count = { ...get, limit: 0, countOnly: true } as const
  const version = { target: 'version', operand: 0, operator: '=' } as const
  const scan = applyCostOf({ op: 'delete-range', range: get.range })
  expect(scan).toBeGreaterThan(4)
  const commands: readonly (readonly [Command, number])[] = [
    [remove, 0],
    [{ op: 'delete-range', range: one }, 0],
    [{ op: 'expire', leases: [], sessions: [] }, scan],
    [txn(remove, { ...count, range: one }), 0],
    [txn(count, count, { op: 'delete-range', range: get.range }), scan],
    [txn(txn(count)), scan],
    [{ ...txn(), failure: [{ ...count, countOnly: false }] }, scan + 4],
    [{ ...txn(), compares: [{ ...version, range: one }] }, 0],
    [{ ...txn(), compares: [{ ...version, range: get.range }] }, scan],
  ]
  expect(commands.map(([command]) => applyCostOf(command))).toEqual(commands.map(([, cost]) => cost))
  expect(applyCostOf({ op: 'lease-revoke', lease: '0000000000000001' })).toBeGreaterThan(0)
})
