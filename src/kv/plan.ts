// What commands read, so that it can be fetched before apply, which never waits. Commands that name their keys are fetched for
// together. Those whose keys follow from the state, or that may be long, go alone, once everything before them was executed.
import type { Command, KeyRange } from '../api/commands.ts'
import { singleKeyOf } from '../api/ranges.ts'
import type { KeyString } from '../lib/bytes.ts'
import { KV_LIMITS } from './limits.ts'
import type { RangeRead, ReadSet } from './types.ts'

/** Values are up to 1 MiB each, and what was fetched stays in memory until the entry is done. */
export const RECORDS_TOGETHER_MAX = 64

export type LoneCommand = Extract<
  Command,
  { op: 'delete-range' | 'txn' | 'lease-revoke' | 'unlock' | 'expire' | 'session-close' }
>

export type SharedCommand = Exclude<Command, LoneCommand>

export function isLone(command: Command): command is LoneCommand {
  switch (command.op) {
    case 'delete-range':
    case 'txn':
    case 'lease-revoke':
    case 'unlock':
    case 'expire':
    case 'session-close':
      return true
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

  add(command: SharedCommand): void {
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
export const rangeToDelete = (range: KeyRange): RangeRead | undefined =>
  singleKeyOf(range) === undefined
    ? { range, reverse: false, keysMax: KV_LIMITS.commandKeysMax + 1, wantsRecords: false }
    : undefined
