// What commands read, so that it can be fetched before apply, which never waits. Commands that name their keys are fetched for
// together. Those whose keys follow from the state are fetched for alone, once everything before them was executed.
import type { Command, DeleteRangeCommand } from '../api/commands.ts'
import { singleKeyOf } from '../api/ranges.ts'
import { unreachable } from '../lib/assert.ts'
import type { KeyString } from '../lib/bytes.ts'
import { KV_LIMITS } from './limits.ts'
import type { SideCommands } from './side-commands.ts'
import type { SideTables } from './side-tables.ts'
import type { RangeRead, ReadSet } from './types.ts'

/** Values are up to 1 MiB each, and what was fetched stays in memory until the entry is done. */
export const RECORDS_TOGETHER_MAX = 64

export type LoneCommand = Extract<Command, { op: 'delete-range' | 'txn' | 'lease-revoke' | 'unlock' | 'expire' }>

export function isLone(command: Command): command is LoneCommand {
  switch (command.op) {
    case 'delete-range':
    case 'txn':
    case 'lease-revoke':
    case 'unlock':
    case 'expire':
      return true
    case 'add':
    case 'compact':
    case 'delete':
    case 'lease-grant':
    case 'lease-keep-alive':
    case 'lock':
    case 'proclaim':
    case 'put':
    case 'session-close':
    case 'session-keep-alive':
    case 'session-open':
    default:
      return false
  }
}

/** Gathers what commands read that name their keys. */
export class SharedReads {
  readonly #pointers = new Set<KeyString>()
  readonly #records = new Set<KeyString>()

  get isFull(): boolean {
    return this.#records.size >= RECORDS_TOGETHER_MAX
  }

  add(command: Exclude<Command, LoneCommand>): void {
    switch (command.op) {
      case 'put':
      case 'delete':
        this.#pointers.add(command.key)
        if (command.wantsPrevious) this.#records.add(command.key)
        return
      case 'add':
        this.#pointers.add(command.key)
        this.#records.add(command.key)
        return
      case 'compact':
      case 'lease-grant':
      case 'lease-keep-alive':
      case 'lock':
      case 'proclaim':
      case 'session-close':
      case 'session-keep-alive':
      case 'session-open':
      // The others look at no key.
    }
  }

  /** Each key once, in the order of first use. */
  readSet(): ReadSet {
    return { pointers: [...this.#pointers], records: [...this.#records], ranges: [] }
  }
}

/** A range to be deleted. One key more than is allowed is looked at, to know that there are too many. */
export const rangeToDelete = (command: DeleteRangeCommand): RangeRead | undefined =>
  singleKeyOf(command.range) === undefined
    ? { range: command.range, reverse: false, keysMax: KV_LIMITS.commandKeysMax + 1, wantsRecords: false }
    : undefined

type TableCommand = Exclude<LoneCommand, { op: 'txn' | 'delete-range' }>

/** What a command reads whose keys follow from the tables. */
export function readsOfTables(command: TableCommand, tables: SideTables, commands: SideCommands): ReadSet {
  return { pointers: keysOfTables(command, tables, commands), records: [], ranges: [] }
}

function keysOfTables(command: TableCommand, tables: SideTables, commands: SideCommands): KeyString[] {
  switch (command.op) {
    case 'lease-revoke':
      return [...(tables.leaseTable.get(command.lease)?.keys ?? [])].sort()
    case 'unlock':
      return [...(tables.locks.find(command.kind, command.name, command.token)?.lease.keys ?? [])].sort()
    case 'expire':
      return commands.dueLeases(command.leases).flatMap((lease) => [...lease.keys].sort())
    default:
      return unreachable(command)
  }
}
