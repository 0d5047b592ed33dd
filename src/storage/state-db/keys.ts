// The keyspaces of the state: one prefix byte each, then a key whose byte order is the order we need.
//
//   k  user key                           the pointer to the key's latest change
//   m  name                               replicated metadata: what a snapshot carries
//   n  name                               this node's own notes: never replicated, never in a snapshot
//   l, q, s  the state machine's own      its rows: leases, locks and elections, sessions and idempotency keys
//   z  revision (8, big endian), sub (4)  the whole record of one change
//
// Records lie in a database of their own (split-engine.ts), all else in another.
//
// a is reserved for users and roles.
import type { KeyRange } from '../../api/commands.ts'
import { DecodeError } from '../../lib/bytes.ts'
import type { ByteWriter, KeyString } from '../../lib/bytes.ts'
import type { Revision, RevisionId, RowKey } from '../../kv/types.ts'

export const KEYSPACE = {
  pointers: 0x6b,
  leases: 0x6c,
  meta: 0x6d,
  node: 0x6e,
  locks: 0x71,
  sessions: 0x73,
  records: 0x7a,
} as const

/** The keyspaces of rows: their keys are what the state machine calls them, their values what it gave. */
export const ROW_KEYSPACES: readonly number[] = [KEYSPACE.leases, KEYSPACE.locks, KEYSPACE.sessions]

export const isRowKey = (key: RowKey): boolean => ROW_KEYSPACES.includes(key.charCodeAt(0))

export const rowKeyBytes = (key: RowKey): Buffer => Buffer.from(key, 'latin1')

export const rowKeyOf = (bytes: Buffer): RowKey => bytes.toString('latin1')

/** The bounds of a whole keyspace. */
export const keyspaceRange = (prefix: number): { gte: Buffer; lt: Buffer } => ({
  gte: Buffer.of(prefix),
  lt: Buffer.of(prefix + 1),
})

/** The bounds of a range of user keys in the keyspace of pointers. */
export const pointerRange = (range: KeyRange): { gte: Buffer; lt: Buffer } => ({
  gte: pointerKey(range.from),
  lt: range.to === undefined ? Buffer.of(KEYSPACE.pointers + 1) : pointerKey(range.to),
})

export const pointerKey = (key: KeyString): Buffer => Buffer.from(`k${key}`, 'latin1')

export const writePointerKey = (writer: ByteWriter, key: KeyString): ByteWriter =>
  writer.uint8(KEYSPACE.pointers).latin1(key)

export const userKeyOf = (pointerKey: Buffer): KeyString => pointerKey.toString('latin1', 1)

const REVISION_ID_BYTES = 12
const RECORD_KEY_BYTES = 1 + REVISION_ID_BYTES

export function recordKey(at: RevisionId): Buffer {
  const key = Buffer.allocUnsafe(RECORD_KEY_BYTES)
  key[0] = KEYSPACE.records
  putRevisionId(key, 1, at)
  return key
}

export const isRecordKey = (key: Uint8Array): boolean => key[0] === KEYSPACE.records

/** The records of the changes after `revision`. */
export const recordsAfter = (revision: Revision): { gte: Buffer; lt: Buffer } => ({
  gte: recordKey({ revision: revision + 1, sub: 0 }),
  lt: Buffer.of(KEYSPACE.records + 1),
})

function putRevisionId(key: Buffer, offset: number, { revision, sub }: RevisionId): void {
  key.writeUInt32BE(Math.floor(revision / 2 ** 32), offset)
  key.writeUInt32BE(revision % 2 ** 32, offset + 4)
  key.writeUInt32BE(sub, offset + 8)
}

export const writeRecordKey = (writer: ByteWriter, { revision, sub }: RevisionId): ByteWriter =>
  writer
    .uint8(KEYSPACE.records)
    .uint32BE(Math.floor(revision / 2 ** 32))
    .uint32BE(revision % 2 ** 32)
    .uint32BE(sub)

export function revisionOf(recordKey: Buffer): RevisionId {
  if (recordKey.length !== RECORD_KEY_BYTES) throw new DecodeError(`a record's key of ${recordKey.length} bytes`)
  return revisionAt(recordKey, 0)
}

/** What a record's key says that begins there. */
export function revisionAt(bytes: Buffer, keyAt: number): RevisionId {
  const revision = bytes.readUInt32BE(keyAt + 1) * 2 ** 32 + bytes.readUInt32BE(keyAt + 5)
  if (!Number.isSafeInteger(revision)) throw new DecodeError('a revision is above 2^53 - 1')
  return { revision, sub: bytes.readUInt32BE(keyAt + 9) }
}

/** The order of records' keys. */
export const isRevisionBefore = (a: RevisionId, b: RevisionId): boolean =>
  a.revision < b.revision || (a.revision === b.revision && a.sub < b.sub)

export const META_KEY = {
  format: Buffer.from('mformat'),
  applied: Buffer.from('mapplied'),
  configuration: Buffer.from('mconfiguration'),
  digests: Buffer.from('mdigests'),
} as const

export const NODE_KEY = {
  /** How far the removal of history has come. */
  history: Buffer.from('nhistory'),
} as const

const PURGE_PREFIX = 'npurge/'

/** The purge list (see purge-list.ts) whose last change this is. */
export function purgeListKey(last: RevisionId): Buffer {
  const key = Buffer.allocUnsafe(PURGE_PREFIX.length + REVISION_ID_BYTES)
  key.write(PURGE_PREFIX, 'latin1')
  putRevisionId(key, PURGE_PREFIX.length, last)
  return key
}

/** The lists of the changes from one on. */
export const purgeListsFrom = (from: RevisionId): { gte: Buffer; lt: Buffer } => ({
  gte: purgeListKey(from),
  lt: Buffer.from('npurge0', 'latin1'),
})

const WITNESS_PREFIX = 'nbatch/'

/** The witness of one batch (see witness.ts): the batch's number, big endian. */
export function witnessKey(batch: number): Buffer {
  const key = Buffer.allocUnsafe(WITNESS_PREFIX.length + 8)
  key.write(WITNESS_PREFIX, 'latin1')
  key.writeUInt32BE(Math.floor(batch / 2 ** 32), WITNESS_PREFIX.length)
  key.writeUInt32BE(batch % 2 ** 32, WITNESS_PREFIX.length + 4)
  return key
}

export const witnessRange = (): { gte: Buffer; lt: Buffer } => ({
  gte: Buffer.from(WITNESS_PREFIX, 'latin1'),
  lt: Buffer.from('nbatch0', 'latin1'),
})

export const describeKey = (key: Uint8Array): string =>
  `key ${Buffer.from(key).toString('hex').slice(0, 64)}${key.length > 32 ? '...' : ''} (hex)`
