// How much work a command may make of apply, in values read: a few bytes of a request can ask for scans of a hundred thousand keys.
// The leader closes an entry by this as well as by its size, so that applying one stays bounded. What is allowed alone is never refused.
import type { Command, KeyRange, TxnCommand, TxnOperation } from './commands.ts'
import { singleKeyOf } from './ranges.ts'
import { valueReadsOf } from './value-reads.ts'

/** A scan: of a range by a transaction, or of a range to be deleted. An entry has room for four. */
const SCAN_COST = 16
/** What ends with a lease: keys that were put one by one, a million of all leases together. */
const END_COST = 4

export function applyCostOf(command: Command): number {
  switch (command.op) {
    case 'delete-range':
      return scanCost(command.range)
    case 'txn':
      return valueReadsOf(command) + (hasScan(command) ? SCAN_COST : 0)
    case 'expire':
      return SCAN_COST
    case 'lease-revoke':
    case 'session-close':
      return END_COST
    case 'add':
    case 'compact':
    case 'delete':
    case 'lease-grant':
    case 'lease-keep-alive':
    case 'lock':
    case 'proclaim':
    case 'put':
    case 'session-keep-alive':
    case 'session-open':
    case 'unlock':
    default:
      return valueReadsOf(command)
  }
}

const scanCost = (range: KeyRange): number => (singleKeyOf(range) === undefined ? SCAN_COST : 0)

/** All scans of one transaction together are bounded by apply, as much as one is. */
const hasScan = ({ compares, success, failure }: TxnCommand): boolean =>
  compares.some(({ range }) => scanCost(range) > 0) || success.some(scans) || failure.some(scans)

function scans(operation: TxnOperation): boolean {
  if (operation.op === 'txn') return hasScan(operation)
  return (operation.op === 'get' || operation.op === 'delete-range') && scanCost(operation.range) > 0
}
