// The fields that several commands and results share: ids, numbers, ranges, texts, and what makes a write repeatable. Each has
// one encoding (FORMAT.md); what is not that encoding is a DecodeError.
import { assert } from '../lib/assert.ts'
import { DecodeError, varintLength } from '../lib/bytes.ts'
import type { ByteReader, ByteWriter, KeyString } from '../lib/bytes.ts'
import { NO_CONDITION } from './commands.ts'
import type { Condition, Fence, KeyEntry, KeyRange, LeaseId, LockKind, Once } from './commands.ts'

// ------------------------------------------------------------------------------------------------------------ the flags

export const CONDITION_BITS = 0b11
const CONDITION_NUMBER = { none: 0, revision: 1, exists: 2, never: 3 } as const
export const WANTS_PREVIOUS = 1 << 2
export const HAS_CONTENT_TYPE = 1 << 3
export const HAS_ONCE = 1 << 4
export const HAS_LEASE = 1 << 5
export const HAS_TTL = 1 << 6
export const HAS_FENCE = 1 << 7
/** Of lock and unlock: in the namespace of elections. */
export const IS_ELECTION = 1
/** Of unlock: only while the place waits. */
export const ONLY_WAITING = 2

const EXISTS: Condition = { kind: 'exists' }
const NEVER: Condition = { kind: 'never' }

export function decodeFlags(reader: ByteReader, known: number): number {
  const flags = reader.uint8()
  if ((flags & ~known) !== 0)
    throw new DecodeError(`unknown flags 0x${(flags & ~known).toString(16)} at offset ${reader.offset - 1}`)
  return flags
}

export const conditionFlags = (condition: Condition): number => CONDITION_NUMBER[condition.kind]

export function encodeCondition(writer: ByteWriter, condition: Condition): void {
  if (condition.kind === 'revision') writer.varint(natural(condition.revision, 'a revision'))
}

export const conditionLength = (condition: Condition): number =>
  condition.kind === 'revision' ? varintLength(condition.revision) : 0

export function decodeCondition(reader: ByteReader, flags: number): Condition {
  switch (flags & CONDITION_BITS) {
    case CONDITION_NUMBER.revision:
      return { kind: 'revision', revision: reader.varint() }
    case CONDITION_NUMBER.exists:
      return EXISTS
    case CONDITION_NUMBER.never:
      return NEVER
    default:
      return NO_CONDITION
  }
}

// -------------------------------------------------------------------------------------------------------- numbers and ids

/** A varint of anything else would silently be another number. */
export function natural(value: number, what: string): number {
  // Every number of every write comes through here: the message is made only for a broken claim.
  if (!Number.isSafeInteger(value) || value < 0) assert(false, `not ${what}: ${value}`)
  return value
}

const ID_BYTES = 8
const ID_PATTERN = /^[0-9a-f]{16}$/
const NO_ID = '0000000000000000'

// The writes of a batch name one session, again and again: the last id is remembered in both spellings.
let lastText = NO_ID
const lastBytes = Buffer.alloc(ID_BYTES)
let [lastLow, lastHigh] = [0, 0]

function remember(text: string): void {
  lastText = text
  lastBytes.write(text, 'hex')
  lastLow = lastBytes.readUInt32LE(0)
  lastHigh = lastBytes.readUInt32LE(4)
}

/** 16 hex digits, most significant byte first. */
export function encodeId(writer: ByteWriter, id: string): void {
  if (id !== lastText) {
    assert(ID_PATTERN.test(id), `not 16 hexadecimal digits: ${id}`)
    remember(id)
  }
  writer.uint32(lastLow).uint32(lastHigh)
}

export function decodeId(reader: ByteReader): string {
  const low = reader.uint32()
  const high = reader.uint32()
  if (low !== lastLow || high !== lastHigh) {
    const bytes = Buffer.allocUnsafe(ID_BYTES)
    bytes.writeUInt32LE(low, 0)
    bytes.writeUInt32LE(high, 4)
    remember(bytes.toString('hex'))
  }
  return lastText
}

/** Zero is no lease. */
export const encodeMaybeLease = (writer: ByteWriter, lease: LeaseId): void =>
  encodeId(writer, lease === '' ? NO_ID : lease)

export function decodeMaybeLease(reader: ByteReader): LeaseId {
  const id = decodeId(reader)
  return id === NO_ID ? '' : id
}

export function decodeLease(reader: ByteReader): LeaseId {
  const lease = decodeMaybeLease(reader)
  if (lease === '') throw new DecodeError(`a lease id of zero at offset ${reader.offset - ID_BYTES}`)
  return lease
}

const INT64_MIN = -(2n ** 63n)
const INT64_MAX = 2n ** 63n - 1n

export const isInt64 = (value: bigint): boolean => value >= INT64_MIN && value <= INT64_MAX

export function encodeInt64(writer: ByteWriter, value: bigint): void {
  assert(isInt64(value), `not an int64: ${value}`)
  const bytes = Buffer.allocUnsafe(8)
  bytes.writeBigInt64LE(value)
  writer.bytes(bytes)
}

export const decodeInt64 = (reader: ByteReader): bigint => reader.bytes(8).readBigInt64LE()

// ------------------------------------------------------------------------------------------------------ bytes and texts

export function encodeKey(writer: ByteWriter, key: KeyString): void {
  assert(key.length > 0, 'a command without a key')
  writer.varint(key.length).latin1(key)
}

export function decodeKey(reader: ByteReader): KeyString {
  const length = reader.varint()
  if (length === 0) throw new DecodeError(`an empty key at offset ${reader.offset}`)
  return reader.latin1(length)
}

export const encodeBytes = (writer: ByteWriter, bytes: Uint8Array): ByteWriter =>
  writer.varint(bytes.length).bytes(bytes)

export const decodeBytes = (reader: ByteReader): Buffer => reader.bytes(reader.varint())

export function encodeText(writer: ByteWriter, text: string): void {
  encodeBytes(writer, Buffer.from(text, 'utf8'))
}

export function decodeText(reader: ByteReader): string {
  const bytes = decodeBytes(reader)
  const text = bytes.toString('utf8')
  if (!Buffer.from(text, 'utf8').equals(bytes))
    throw new DecodeError(`a text that is not UTF-8 before offset ${reader.offset}`)
  return text
}

const CONTENT_TYPE_BYTES_MAX = 255

export function encodeContentType(writer: ByteWriter, contentType: string): void {
  if (contentType === '') return
  assert(contentType.length <= CONTENT_TYPE_BYTES_MAX, `a content type of ${contentType.length} bytes`)
  writer.uint8(contentType.length).latin1(contentType)
}

export function decodeContentType(reader: ByteReader): string {
  const length = reader.uint8()
  if (length === 0) throw new DecodeError(`an empty content type, which has no flag, at offset ${reader.offset - 1}`)
  return reader.latin1(length)
}

/** An entry without its key. Here a content type may be empty: there is no flag that says so. */
export function encodeEntryFacts(writer: ByteWriter, entry: Omit<KeyEntry, 'key'>): void {
  encodeBytes(writer, entry.value)
  writer.uint8(entry.contentType.length).latin1(entry.contentType)
  writer
    .varint(natural(entry.createRevision, 'a revision'))
    .varint(natural(entry.modRevision, 'a revision'))
    .varint(natural(entry.version, 'a version'))
  encodeMaybeLease(writer, entry.lease)
}

export function decodeEntryFacts(reader: ByteReader): Omit<KeyEntry, 'key'> {
  const value = decodeBytes(reader)
  const contentType = reader.latin1(reader.uint8())
  const [createRevision, modRevision] = [reader.varint(), reader.varint()]
  return { value, contentType, createRevision, modRevision, version: reader.varint(), lease: decodeMaybeLease(reader) }
}

/** The end is written as its length plus one, so that 0 can say that there is none. */
export function encodeRange(writer: ByteWriter, { from, to }: KeyRange): void {
  writer.varint(from.length).latin1(from)
  if (to === undefined) writer.varint(0)
  else writer.varint(to.length + 1).latin1(to)
}

export function decodeRange(reader: ByteReader): KeyRange {
  const from = reader.latin1(reader.varint())
  const end = reader.varint()
  return { from, to: end === 0 ? undefined : reader.latin1(end - 1) }
}

// ------------------------------------------------------------------------------------------- repeated and guarded writes

const ONCE_SESSION = 1
const ONCE_KEY = 2

export function encodeOnce(writer: ByteWriter, once: Once): void {
  if (once.kind === 'session') {
    writer.uint8(ONCE_SESSION)
    encodeId(writer, once.session)
    writer.varint(natural(once.sequence, 'a sequence')).varint(natural(once.acknowledgedBelow, 'a sequence'))
    return
  }
  writer.uint8(ONCE_KEY)
  encodeKey(writer, once.key)
  encodeId(writer, once.fingerprint)
}

export function onceLength(once: Once): number {
  if (once.kind === 'session') return 1 + ID_BYTES + varintLength(once.sequence) + varintLength(once.acknowledgedBelow)
  return 1 + varintLength(once.key.length) + once.key.length + ID_BYTES
}

export function decodeOnce(reader: ByteReader): Once {
  const kind = reader.uint8()
  if (kind === ONCE_SESSION) {
    const session = decodeId(reader)
    return { kind: 'session', session, sequence: reader.varint(), acknowledgedBelow: reader.varint() }
  }
  if (kind !== ONCE_KEY) throw new DecodeError(`an unknown kind of repetition ${kind} at offset ${reader.offset - 1}`)
  return { kind: 'key', key: decodeKey(reader), fingerprint: decodeId(reader) }
}

export function encodeFence(writer: ByteWriter, { lock, token }: Fence): void {
  encodeKey(writer, lock)
  writer.varint(natural(token, 'a token'))
}

export const fenceLength = ({ lock, token }: Fence): number =>
  varintLength(lock.length) + lock.length + varintLength(token)

export const decodeFence = (reader: ByteReader): Fence => ({ lock: decodeKey(reader), token: reader.varint() })

export const lockKindFlags = (kind: LockKind): number => (kind === 'election' ? IS_ELECTION : 0)

export const lockKindOf = (flags: number): LockKind => ((flags & IS_ELECTION) === 0 ? 'lock' : 'election')
