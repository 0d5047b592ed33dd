// Decodes what the database holds: bytes that are not what was written are damage, and the error says where they are.
import type { KeyString } from '../../lib/bytes.ts'
import { DecodeError } from '../../lib/bytes.ts'
import type { KeyRecord, RevisionId } from '../../kv/types.ts'
import { StateCorruptionError } from './errors.ts'
import { describeKey, recordKey } from './keys.ts'

export function decodeStored<T>(
  where: string,
  key: Buffer,
  stored: Buffer,
  decode: (key: Buffer, stored: Buffer) => T,
): T {
  try {
    return decode(key, stored)
  } catch (error) {
    if (!(error instanceof DecodeError)) throw error
    throw damagedAt(where, key, error.message, error)
  }
}

export const damagedAt = (where: string, key: Buffer, what: string, cause?: unknown): StateCorruptionError =>
  new StateCorruptionError(where, `${describeKey(key)}: ${what}`, cause)

/** The record that the key's history names at this place. It must be there, and be of this key. */
export function checkRecord(where: string, key: KeyString, at: RevisionId, record: KeyRecord | undefined): KeyRecord {
  if (record === undefined) throw damagedAt(where, recordKey(at), 'a record that the history of a key names is missing')
  if (record.key !== key) throw damagedAt(where, recordKey(at), 'the record is of another key than its history says')
  return record
}
