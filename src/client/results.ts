// What commands give their callers: the state machine's results in the client's words.
import type { CommandResult, RangeResult, TxnOperationResult } from '../api/commands.ts'
import type { DeleteResult, PutResult } from './answers.ts'
import { wrongResult } from './core.ts'
import { entryOfResult } from './entry.ts'
import type { Entry } from './entry.ts'
import type { Key } from './key-path.ts'

export interface DeleteRangeResult {
  /** How many keys there were. */
  readonly deleted: number
  /** The store's revision after the call: all of them went in it. */
  readonly revision: number
}

export interface AddResult {
  readonly value: bigint
  readonly revision: number
}

/** What a read inside a transaction found. */
export interface RangeAnswer {
  readonly entries: readonly Entry[]
  /** Of `entries`; of the whole range where only a count was asked for. */
  readonly count: number
  /** The range holds more than the limit allowed. */
  readonly more: boolean
}

type AnyResult = CommandResult | TxnOperationResult

export function putResult(result: AnyResult, key: Key): PutResult {
  if (result.kind !== 'put') throw wrongResult('put', result)
  const { revision, isCreated, previous } = result
  return { revision, created: isCreated, previous: previous && entryOfResult(previous, key) }
}

export function deleteResult(result: AnyResult, key: Key): DeleteResult {
  if (result.kind !== 'deleted') throw wrongResult('delete', result)
  const { revision, count, previous } = result
  return { deleted: count > 0, revision, previous: previous && entryOfResult(previous, key) }
}

export function deleteRangeResult(result: AnyResult): DeleteRangeResult {
  if (result.kind !== 'deleted') throw wrongResult('deleteRange', result)
  return { deleted: result.count, revision: result.revision }
}

export function addResult(result: AnyResult): AddResult {
  if (result.kind !== 'added') throw wrongResult('add', result)
  return { value: result.value, revision: result.revision }
}

export const rangeAnswer = ({ entries, count, isMore }: RangeResult, key?: Key): RangeAnswer => ({
  entries: entries.map((entry) => entryOfResult(entry, key)),
  count,
  more: isMore,
})
