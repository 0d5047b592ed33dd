// The compares of transactions: each holds when it holds for every key of its range. A range without keys counts as one missing
// key, whose numbers are 0, and for whose value nothing holds.
import type { Compare, CompareOperator } from '../api/commands.ts'
import { unreachable } from '../lib/assert.ts'
import type { KeyString } from '../lib/bytes.ts'
import type { KeyCommands } from './key-commands.ts'
import { KEYS_PER_SLICE } from './slices.ts'
import type { Steps } from './slices.ts'
import type { KeyPointer, RangeRead } from './types.ts'

/** `read` is the range as it was fetched; one key alone needs none. */
export function* compareHolds(compare: Compare, commands: KeyCommands, read: RangeRead | undefined): Steps<boolean> {
  const keys = commands.keysIn(compare.range, read)
  if (keys.length === 0) return holdsForMissing(compare)
  for (const [nth, key] of keys.entries()) {
    if (nth > 0 && nth % KEYS_PER_SLICE === 0) yield 'pause'
    if (!holdsFor(compare, commands, key)) return false
  }
  return true
}

function holdsForMissing(compare: Compare): boolean {
  switch (compare.target) {
    case 'value':
      return false
    case 'lease':
      return isOrdered(order('', compare.operand), compare.operator)
    case 'createRevision':
    case 'modRevision':
    case 'version':
    default:
      return isOrdered(order(0, compare.operand), compare.operator)
  }
}

function holdsFor(compare: Compare, commands: KeyCommands, key: KeyString): boolean {
  const current = commands.keys.current(key)
  if (current === undefined) return holdsForMissing(compare)
  const { operator } = compare
  switch (compare.target) {
    case 'value':
      return isOrdered(Buffer.compare(commands.keys.record(key, current).value, compare.operand), operator)
    case 'lease':
      return isOrdered(order(commands.leaseOf(key), compare.operand), operator)
    case 'createRevision':
    case 'modRevision':
    case 'version':
    default:
      return isOrdered(order(numberOf(current, compare.target), compare.operand), operator)
  }
}

function numberOf(current: KeyPointer, target: 'version' | 'createRevision' | 'modRevision'): number {
  switch (target) {
    case 'version':
      return current.version
    case 'createRevision':
      return current.createRevision
    case 'modRevision':
      return current.at.revision
    default:
      return unreachable(target)
  }
}

/** Lease ids are 16 digits each, so they order as numbers; no lease comes before all of them. */
function order<T extends number | string>(a: T, b: T): number {
  if (a === b) return 0
  return a < b ? -1 : 1
}

function isOrdered(order: number, operator: CompareOperator): boolean {
  switch (operator) {
    case '=':
      return order === 0
    case '!=':
      return order !== 0
    case '<':
      return order < 0
    case '>':
      return order > 0
    default:
      return unreachable(operator)
  }
}
