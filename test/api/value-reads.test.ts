// How many values a command may make apply read.
import { expect, test } from 'vitest'
import { NO_CONDITION } from '../../src/api/commands.ts'
import type { ClientCommand, TxnOperation } from '../../src/api/commands.ts'
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
