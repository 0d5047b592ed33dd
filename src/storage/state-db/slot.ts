// What memory knows of one key.
import type { KeyPointer, KeyRecord, RevisionId } from '../../kv/types.ts'

export interface Slot {
  /** Undefined: there is no such key. */
  readonly pointer: KeyPointer | undefined
  /** The record of the latest change; undefined when it is not in memory, or there is no such key. */
  readonly record: KeyRecord | undefined
}

export const ABSENT: Slot = { pointer: undefined, record: undefined }

/** Everything that could be asked of the key is in memory. */
export const isWhole = (slot: Slot): boolean => slot.pointer === undefined || slot.record !== undefined

export const isSameChange = (a: RevisionId, b: RevisionId): boolean => a.revision === b.revision && a.sub === b.sub
