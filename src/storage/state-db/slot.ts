// What memory knows of one key, and what it costs to hold it in the table.
import type { KeyString } from '../../lib/bytes.ts'
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

// Measured with a heap of a million slots, rounded up.
const SLOT_BYTES = 120
const POINTER_BYTES = 200
const SKIP_BYTES = 32
const RECORD_BYTES = 320

export const recordBytes = (record: KeyRecord): number =>
  RECORD_BYTES + (record.value?.length ?? 0) + record.contentType.length + record.lease.length

export const slotBytes = (key: KeyString, slot: Slot): number =>
  SLOT_BYTES +
  key.length +
  (slot.pointer === undefined ? 0 : POINTER_BYTES + slot.pointer.skips.length * SKIP_BYTES) +
  (slot.record === undefined ? 0 : recordBytes(slot.record))
