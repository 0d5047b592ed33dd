// The parts of a transaction: comparisons and operations as plain data. An operation knows the type of its result, so that a transaction's
// results come back as a tuple of the right types.
import { WIRE_LIMITS } from '../api/limits.ts'
import type { Compare, CompareOperator, KeyRange, TxnOperation, TxnOperationResult } from '../api/commands.ts'
import { rangeOfKey } from '../api/ranges.ts'
import type { DeleteResult, PutResult } from './answers.ts'
import { refusal } from './client-error.ts'
import { addCommand, deleteCommand, deleteRangeCommand, putCommand, rangeOf, valueBytes } from './commands.ts'
import { wrongResult } from './core.ts'
import type { Entry } from './entry.ts'
import { entryOfResult } from './entry.ts'
import { keyString } from './key-path.ts'
import type { Key } from './key-path.ts'
import { checkOptions, leaseIdOf } from './option-checks.ts'
import type { Lifetime, PutOptions, RangeOptions } from './options.ts'
import { addResult, deleteRangeResult, deleteResult, putResult, rangeAnswer } from './results.ts'
import type { AddResult, DeleteRangeResult, RangeAnswer } from './results.ts'

/** One operation of a transaction. Made by `op`. */
export interface TxnStep<R> {
  readonly operation: TxnOperation
  /** Reads this operation's result. */
  readonly read: (result: TxnOperationResult) => R
}

export type TxnPutOptions = Lifetime & Pick<PutOptions, 'contentType' | 'prev'>

export interface TxnRangeOptions extends RangeOptions {
  /** Entries at most. Default 100, at most 1,000. */
  readonly limit?: number | undefined
  readonly reverse?: boolean | undefined
  readonly keysOnly?: boolean | undefined
}

const TXN_ALLOWED = {
  put: new Set(['ttlMs', 'lease', 'contentType', 'prev']),
  delete: new Set(['prev']),
  range: new Set(['prefix', 'from', 'to', 'limit', 'reverse', 'keysOnly']),
  bounds: new Set(['prefix', 'from', 'to']),
} as const

/** The operations of a transaction. Each sees what those before it did. */
export const op = {
  put(key: Key, value: string | Uint8Array, options: TxnPutOptions = {}): TxnStep<PutResult> {
    checkOptions(options, TXN_ALLOWED.put)
    return { operation: putCommand(key, value, options), read: (result) => putResult(result, key) }
  },

  delete(key: Key, options: { readonly prev?: boolean } = {}): TxnStep<DeleteResult> {
    checkOptions(options, TXN_ALLOWED.delete)
    return { operation: deleteCommand(key, options), read: (result) => deleteResult(result, key) }
  },

  deleteRange(options: RangeOptions): TxnStep<DeleteRangeResult> {
    checkOptions(options, TXN_ALLOWED.bounds)
    return { operation: deleteRangeCommand(options), read: deleteRangeResult }
  },

  /** Adds to a decimal counter, from 0 when it is absent. */
  add(key: Key, by: bigint | number): TxnStep<AddResult> {
    return { operation: addCommand(key, by, {}), read: addResult }
  },

  /** The entry, or undefined. */
  get(key: Key): TxnStep<Entry | undefined> {
    const range = rangeOfKey(keyString(key))
    return {
      operation: { op: 'get', range, limit: 1, reverse: false, keysOnly: false, countOnly: false },
      read(result) {
        if (result.kind !== 'range') throw wrongResult('get', result)
        const [entry] = result.entries
        return entry && entryOfResult(entry, key)
      },
    }
  },

  range(options: TxnRangeOptions): TxnStep<RangeAnswer> {
    checkOptions(options, TXN_ALLOWED.range)
    const { limit = WIRE_LIMITS.pageEntriesDefault, reverse = false, keysOnly = false } = options
    if (limit > WIRE_LIMITS.pageEntriesMax)
      throw refusal('BAD_PARAMETER', `a transaction reads at most ${WIRE_LIMITS.pageEntriesMax} entries of a range`)
    return {
      operation: { op: 'get', range: rangeOf(options), limit, reverse, keysOnly, countOnly: false },
      read(result) {
        if (result.kind !== 'range') throw wrongResult('range', result)
        return rangeAnswer(result)
      },
    }
  },

  count(options: RangeOptions): TxnStep<number> {
    checkOptions(options, TXN_ALLOWED.bounds)
    const range = rangeOf(options)
    return {
      operation: { op: 'get', range, limit: 0, reverse: false, keysOnly: false, countOnly: true },
      read(result) {
        if (result.kind !== 'range') throw wrongResult('count', result)
        return result.count
      },
    }
  },
} as const

/** What a key, or every key of a range, is compared by. */
export interface Comparison {
  /** Changes since the key was created; 0 means that it does not exist. */
  version(operator: CompareOperator, operand: number): Compare
  createRevision(operator: CompareOperator, operand: number): Compare
  /** The `revision` of an entry; 0 when it does not exist. */
  revision(operator: CompareOperator, operand: number): Compare
  /** Never holds for a key that does not exist. */
  value(operator: CompareOperator, operand: string | Uint8Array): Compare
  /** A `Lease`, its id, or undefined for none. */
  lease(operator: CompareOperator, operand: string | { readonly id: string } | undefined): Compare
  /** The key exists. */
  readonly exists: Compare
  /** The key does not exist. */
  readonly isAbsent: Compare
}

/** A comparison of one key, or, given as `{ prefix }` or `{ from, to }`, of every key of a range. */
export function when(keys: Key | RangeOptions): Comparison {
  const range: KeyRange =
    typeof keys === 'string' || keys instanceof Uint8Array ? rangeOfKey(keyString(keys)) : rangeOf(keys)
  return {
    version: (operator, operand) => ({ range, operator, target: 'version', operand: natural(operand) }),
    createRevision: (operator, operand) => ({ range, operator, target: 'createRevision', operand: natural(operand) }),
    revision: (operator, operand) => ({ range, operator, target: 'modRevision', operand: natural(operand) }),
    value: (operator, operand) => ({ range, operator, target: 'value', operand: valueBytes(operand) }),
    lease(operator, operand) {
      const lease = operand === undefined ? '' : leaseIdOf(operand)
      if (lease === undefined) throw refusal('BAD_PARAMETER', 'a lease is compared with a Lease, its id or undefined')
      return { range, operator, target: 'lease', operand: lease }
    },
    exists: { range, operator: '>', target: 'version', operand: 0 },
    isAbsent: { range, operator: '=', target: 'version', operand: 0 },
  }
}

function natural(operand: number): number {
  if (Number.isSafeInteger(operand) && operand >= 0) return operand
  throw refusal('BAD_PARAMETER', 'versions and revisions are compared with whole numbers from 0')
}
