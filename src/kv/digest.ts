// The digest: two sums modulo 2^64 that prove equal replicas. `live` covers the keys that exist, `history` every change ever
// made and is never taken off. A record's share depends on its logical fields alone, never on how or where it is stored.
import { addHash, Hasher64, subtractHash, ZERO_HASH } from '../lib/hash.ts'
import type { Hash64 } from '../lib/hash.ts'
import type { Change, Digest, KeyPointer, KeyRecord, RowKey } from './types.ts'

/** Raised whenever a share is computed differently. Digests of different versions are never compared. */
export const DIGEST_VERSION = 1

export const ZERO_DIGEST: Digest = { live: ZERO_HASH, history: ZERO_HASH }

/** Keep the shares of records and of rows apart, whatever their fields are. */
const RECORD_TAG = 0x72
const ROW_TAG = 0x6c

/** One record's share of either sum. A deletion is not a record with an empty value. */
export function recordShare(record: KeyRecord): Hash64 {
  const hasher = new Hasher64(DIGEST_VERSION).number(RECORD_TAG).latin1(record.key)
  if (record.value === undefined) hasher.number(0)
  else hasher.number(1).bytes(record.value)
  return hasher
    .latin1(record.contentType)
    .number(record.createRevision)
    .number(record.at.revision)
    .number(record.at.sub)
    .number(record.version)
    .latin1(record.lease)
    .finish()
}

/** The share of a row (lease, session, lock, ...) of `live`. Rows have no history. */
export const rowShare = (key: RowKey, value: Uint8Array): Hash64 =>
  new Hasher64(DIGEST_VERSION).number(ROW_TAG).latin1(key).bytes(value).finish()

/** The digest after one change: `replaced` is the pointer that it takes the place of, `share` its record's share. */
export function digestAfter(digest: Digest, change: Change, share: Hash64, replaced: KeyPointer | undefined): Digest {
  // A tombstone's share of what lives is zero, so it comes and goes without a trace.
  const taken = replaced === undefined ? digest.live : subtractHash(digest.live, replaced.digest)
  return { live: addHash(taken, change.pointer.digest), history: addHash(digest.history, share) }
}
