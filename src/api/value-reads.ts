// How many values a command may make apply read. A few bytes of a request can ask for megabytes: deletions that want what they
// deleted, transactions that read. Entries and batches are bounded by this as well as by their own size.
import type { Command, TxnCommand, TxnOperation } from './commands.ts'

/** What one transaction reads is bounded in bytes by itself: as much as so many of the largest values. */
const TXN_READS_MAX = 4

/** Of the largest size, at most so many. */
export function valueReadsOf(command: Command): number {
  switch (command.op) {
    case 'put':
    case 'delete':
      return command.wantsPrevious ? 1 : 0
    case 'add':
      return 1
    case 'txn':
      return txnReads(command)
    case 'compact':
    case 'delete-range':
    case 'expire':
    case 'lease-grant':
    case 'lease-keep-alive':
    case 'lease-revoke':
    case 'lock':
    case 'proclaim':
    case 'session-close':
    case 'session-keep-alive':
    case 'session-open':
    case 'unlock':
    default:
      return 0
  }
}

function txnReads({ compares, success, failure }: TxnCommand): number {
  let reads = 0
  for (const compare of compares) if (compare.target === 'value') reads += TXN_READS_MAX
  for (const branch of [success, failure]) for (const operation of branch) reads += operationReads(operation)
  return Math.min(reads, TXN_READS_MAX)
}

const operationReads = (operation: TxnOperation): number =>
  operation.op === 'get' ? (operation.countOnly ? 0 : TXN_READS_MAX) : valueReadsOf(operation)
