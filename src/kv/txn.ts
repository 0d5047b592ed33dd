// Transactions: the operations of the branch that the compares chose, in order, each seeing what those before it did. A refusal of
// any operation refuses all of it; the caller then drops what was gathered.
import type {
  KeyEntry,
  RangeResult,
  TxnCommand,
  TxnGet,
  TxnOperation,
  TxnOperationResult,
  TxnResult,
} from '../api/commands.ts'
import { EMPTY_BYTES } from '../lib/bytes.ts'
import { assert, present, unreachable } from '../lib/assert.ts'
import type { KeyCommands, Refused } from './key-commands.ts'
import { KV_LIMITS } from './limits.ts'
import type { Steps } from './slices.ts'
import type { TxnPlan } from './txn-plan.ts'

/** Changes must be gathered while it runs. */
export function* executeTxn(command: TxnCommand, plan: TxnPlan, commands: KeyCommands): Steps<TxnResult | Refused> {
  if (plan.refusal !== undefined) return commands.refused(plan.refusal)
  return yield* executeChosen(command, plan, commands)
}

function* executeChosen(txn: TxnCommand, plan: TxnPlan, commands: KeyCommands): Steps<TxnResult | Refused> {
  const { succeeded, operations } = plan.chosen(txn)
  const results: TxnOperationResult[] = []
  for (const operation of operations) {
    const result = yield* executeOperation(operation, plan, commands)
    if (result.kind === 'refused') return result
    if (commands.keys.gatheredCount > KV_LIMITS.commandKeysMax) return commands.refused('range-too-large')
    results.push(result)
  }
  return { kind: 'txn', revision: commands.keys.revision, succeeded, results }
}

function* executeOperation(
  operation: TxnOperation,
  plan: TxnPlan,
  commands: KeyCommands,
): Steps<TxnOperationResult | Refused> {
  switch (operation.op) {
    case 'put':
      return unconditional(commands.put(operation))
    case 'delete':
      return unconditional(commands.delete(operation))
    case 'add':
      return unconditional(commands.add(operation))
    case 'delete-range':
      return yield* commands.deleteRange(operation.range, plan.reads.get(operation))
    case 'get':
      return executeGet(operation, plan, commands)
    case 'txn':
      return yield* executeChosen(operation, plan, commands)
    default:
      return unreachable(operation)
  }
}

/** The codec lets no operation inside a transaction have a condition. */
function unconditional<T extends { kind: string }>(result: T): Exclude<T, { kind: 'precondition-failed' }> {
  assert(result.kind !== 'precondition-failed', 'an operation inside a transaction has a condition')
  return result as Exclude<T, { kind: 'precondition-failed' }>
}

function executeGet(get: TxnGet, plan: TxnPlan, commands: KeyCommands): RangeResult | Refused {
  const { keys } = commands
  const found = commands.keysIn(get.range, plan.reads.get(get))
  const revision = keys.revision
  if (get.countOnly) {
    if (found.length > KV_LIMITS.commandKeysMax) return commands.refused('range-too-large')
    return { kind: 'range', revision, entries: [], count: found.length, isMore: false }
  }
  const entries: KeyEntry[] = []
  for (const key of found.slice(0, get.limit)) {
    const entry = keys.entry(key, present(keys.current(key), 'a key of a range'))
    entries.push(get.keysOnly ? { ...entry, value: EMPTY_BYTES } : entry)
  }
  return { kind: 'range', revision, entries, count: entries.length, isMore: found.length > entries.length }
}
