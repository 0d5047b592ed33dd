// The bytes of pointers (keyspace k) and records (keyspace z). FORMAT.md has them field by field. What the key says is not
// repeated in the value: a pointer's user key, a record's revision and sub.
import { type ByteReader, DecodeError } from '../../lib/bytes.ts'
import type { ByteWriter, KeyString } from '../../lib/bytes.ts'
import type { KeyPointer, KeyRecord, RevisionId } from '../../kv/types.ts'
import type { PurgeItem } from './purge-list.ts'
import { openValue } from './stored-value.ts'
import type { StoredPairs } from './stored-value.ts'
import { isRevisionBefore, revisionOf, writePointerKey, writeRecordKey } from './keys.ts'

const POINTER_TOMBSTONE = 1

/** Writes a pair of keyspace k. */
export function encodePointer(pairs: StoredPairs, key: KeyString, pointer: KeyPointer): void {
  writePointerKey(pairs.begin(), key)
  const writer = pairs
    .beginValue()
    .uint8(pointer.isTombstone ? POINTER_TOMBSTONE : 0)
    .varint(pointer.at.revision)
    .varint(pointer.at.sub)
    .varint(pointer.createRevision)
    .varint(pointer.version)
    .varint(pointer.changes)
    .int32(pointer.digest.hi)
    .int32(pointer.digest.lo)
    .varint(pointer.skips.length)
  for (const skip of pointer.skips) writer.varint(skip.revision).varint(skip.sub)
  pairs.seal()
}

export const decodePointer = (key: Buffer, stored: Buffer): KeyPointer => readPointer(openValue(key, stored))

export function readPointer(reader: ByteReader): KeyPointer {
  const flags = flagsOf(reader, POINTER_TOMBSTONE)
  const at = revisionId(reader)
  const createRevision = reader.varint()
  const version = reader.varint()
  const changes = reader.varint()
  const digest = { hi: reader.int32(), lo: reader.int32() }
  const count = reader.varint()
  if (count > reader.remaining) throw new DecodeError(`${count} skips in ${reader.remaining} bytes`)
  const skips: RevisionId[] = []
  for (let skip = 0; skip < count; skip++) skips.push(revisionId(reader))
  reader.end()
  return { at, createRevision, version, changes, isTombstone: flags === POINTER_TOMBSTONE, skips, digest }
}

const RECORD_FLAG = {
  value: 1,
  contentType: 2,
  lease: 4,
  predecessor: 8,
  predecessorIsTombstone: 16,
  skip: 32,
} as const
const RECORD_FLAGS_KNOWN = 63

/** Writes a pair of keyspace z. */
export function encodeRecord(pairs: StoredPairs, record: KeyRecord): void {
  const { value, contentType, lease, predecessor, skip } = record
  writeRecordKey(pairs.begin(), record.at)
  const writer = pairs
    .beginValue()
    .uint8(recordFlags(record))
    .varint(record.createRevision)
    .varint(record.version)
    .varint(record.key.length)
    .latin1(record.key)
  if (predecessor !== undefined) writer.varint(predecessor.revision).varint(predecessor.sub)
  if (skip !== undefined) writer.varint(skip.revision).varint(skip.sub)
  if (contentType !== '') writeText(writer, contentType)
  if (lease !== '') writeText(writer, lease)
  if (value !== undefined) writer.bytes(value)
  pairs.seal()
}

/** The record's value is a view of `stored`. */
export const decodeRecord = (key: Buffer, stored: Buffer): KeyRecord =>
  readRecord(openValue(key, stored), revisionOf(key))

/** The record's value is a view of what is read. */
export function readRecord(reader: ByteReader, at: RevisionId): KeyRecord {
  const flags = flagsOf(reader, RECORD_FLAGS_KNOWN)
  const createRevision = reader.varint()
  const version = reader.varint()
  const userKey = reader.latin1(reader.varint())
  const hasPredecessor = (flags & RECORD_FLAG.predecessor) !== 0
  const isTombstone = (flags & RECORD_FLAG.predecessorIsTombstone) !== 0
  const predecessor = hasPredecessor ? { revision: reader.varint(), sub: reader.varint(), isTombstone } : undefined
  const skip = (flags & RECORD_FLAG.skip) === 0 ? undefined : revisionId(reader)
  const contentType = (flags & RECORD_FLAG.contentType) === 0 ? '' : readText(reader)
  const lease = (flags & RECORD_FLAG.lease) === 0 ? '' : readText(reader)
  const value = (flags & RECORD_FLAG.value) === 0 ? undefined : reader.bytes(reader.remaining)
  reader.end()
  return { at, key: userKey, value, contentType, createRevision, version, lease, predecessor, skip }
}

/** What the removal of history needs to know of a record. Its value is not looked at. */
export function readPurgeItem(reader: ByteReader, at: RevisionId): PurgeItem {
  const flags = flagsOf(reader, RECORD_FLAGS_KNOWN)
  reader.varint() // the create revision
  reader.varint() // the version
  const keyLength = reader.varint()
  const isTombstone = (flags & RECORD_FLAG.value) === 0
  const tombstoneOf = isTombstone ? reader.latin1(keyLength) : undefined
  if (!isTombstone) reader.skip(keyLength)
  const hasReplaced =
    (flags & (RECORD_FLAG.predecessor | RECORD_FLAG.predecessorIsTombstone)) === RECORD_FLAG.predecessor
  const replaced = hasReplaced ? revisionId(reader) : undefined
  if (replaced !== undefined && !isRevisionBefore(replaced, at))
    throw new DecodeError('a record names a predecessor that is not before it')
  return { at, replaced, tombstoneOf }
}

function recordFlags(record: KeyRecord): number {
  let flags = 0
  if (record.value !== undefined) flags |= RECORD_FLAG.value
  if (record.contentType !== '') flags |= RECORD_FLAG.contentType
  if (record.lease !== '') flags |= RECORD_FLAG.lease
  if (record.predecessor !== undefined) flags |= RECORD_FLAG.predecessor
  if (record.predecessor?.isTombstone === true) flags |= RECORD_FLAG.predecessorIsTombstone
  if (record.skip !== undefined) flags |= RECORD_FLAG.skip
  return flags
}

function flagsOf(reader: ByteReader, known: number): number {
  const flags = reader.uint8()
  if ((flags & ~known) !== 0) throw new DecodeError(`unknown flags ${flags} in a stored value`)
  return flags
}

const revisionId = (reader: ByteReader): RevisionId => ({ revision: reader.varint(), sub: reader.varint() })

/** UTF-8 with its length, for texts that may hold any character. */
export function writeText(writer: ByteWriter, text: string): void {
  const bytes = Buffer.from(text, 'utf8')
  writer.varint(bytes.length).bytes(bytes)
}

export const readText = (reader: ByteReader): string => reader.bytes(reader.varint()).toString('utf8')
