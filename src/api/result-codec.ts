// The bytes of results (FORMAT.md): what a session remembers of a write, and what a batch is answered. Strict and canonical like
// the commands' encoding.
import { assert } from '../lib/assert.ts'
import { ByteReader, ByteWriter, DecodeError, varintLength } from '../lib/bytes.ts'
import type { CommandResult, KeyEntry, RangeResult, RefusalReason, TxnOperationResult } from './commands.ts'
import * as f from './fields.ts'

type Result = CommandResult | RangeResult

/** By kind; the number is the first byte. Only ever add at the end. */
const KINDS = [
  'put',
  'deleted',
  'added',
  'range',
  'txn',
  'precondition-failed',
  'refused',
  'compacted',
  'lease',
  'lease-revoked',
  'lock',
  'unlocked',
  'proclaimed',
  'session',
  'session-closed',
  'expired',
  'replayed',
] as const satisfies readonly Result['kind'][]

/** The number is the byte. Only ever add at the end. */
const REASONS = [
  'not-a-number',
  'lease-not-found',
  'lease-exists',
  'lease-full',
  'too-many-leases',
  'range-too-large',
  'fenced',
  'token-not-found',
  'locked',
  'queue-full',
  'session-gone',
  'sequence-forgotten',
  'too-many-sessions',
  'too-many-sequences',
  'too-many-idempotency-keys',
  'idempotency-mismatch',
  'result-too-large',
  'compacted',
  'future-revision',
  'held',
] as const satisfies readonly RefusalReason[]

/** Of put: the key is new. Of range: there is more. Of txn: it succeeded. Of lock: it is held. Of unlocked: it was held. */
const CLAIM = 1
const HAS_PREVIOUS = 1 << 1

/** Deeper than any transaction that is admitted. */
const DEPTH_MAX = 64

export function encodeResult(result: CommandResult): Buffer {
  const writer = new ByteWriter(isPlainPut(result) ? plainPutLength(result) : 64)
  encode(writer, result)
  return writer.finish()
}

/** Most of all results: it says no more than where, and its length is known beforehand. */
const isPlainPut = (result: CommandResult): boolean => result.kind === 'put' && result.previous === undefined
const plainPutLength = ({ revision }: CommandResult): number => 2 + varintLength(revision)

/** The same with its length before it, behind what the writer holds already. */
export function appendResult(writer: ByteWriter, result: CommandResult): void {
  if (isPlainPut(result)) encode(writer.varint(plainPutLength(result)), result)
  else f.encodeBytes(writer, encodeResult(result))
}

export function decodeResult(bytes: Uint8Array): CommandResult {
  const reader = new ByteReader(bytes)
  const result = decodeResultIn(reader, bytes.length)
  reader.end()
  return result
}

/** The result that the next `length` bytes are. */
export function decodeResultIn(reader: ByteReader, length: number): CommandResult {
  const end = reader.offset + length
  const result = decode(reader, 0)
  if (reader.offset !== end) throw new DecodeError(bytesMismatch(end - reader.offset))
  if (result.kind === 'range') throw new DecodeError('a range is not the result of a command')
  return result
}

const bytesMismatch = (left: number): string =>
  left > 0 ? `${left} bytes too many` : `cut short: ${-left} bytes of a result are missing`

// ------------------------------------------------------------------------------------------------------------- encoding

function encode(writer: ByteWriter, result: Result): void {
  writer.uint8(KINDS.indexOf(result.kind)).uint8(flagsOf(result)).varint(f.natural(result.revision, 'a revision'))
  switch (result.kind) {
    case 'put':
      return encodePrevious(writer, result.previous)
    case 'deleted':
      writer.varint(f.natural(result.count, 'a count'))
      return encodePrevious(writer, result.previous)
    case 'added':
      return f.encodeInt64(writer, result.value)
    case 'range':
      writer.varint(f.natural(result.count, 'a count')).varint(result.entries.length)
      for (const entry of result.entries) encodeEntry(writer, entry)
      return
    case 'txn':
      writer.varint(result.results.length)
      for (const inner of result.results) encode(writer, inner)
      return
    case 'precondition-failed':
      writer.varint(f.natural(result.currentRevision, 'a revision'))
      return
    case 'refused':
      writer.uint8(REASONS.indexOf(result.reason))
      return
    case 'replayed':
      assert(result.result.kind !== 'replayed', 'a repeat of a repeat')
      return encode(writer, result.result)
    case 'compacted':
    case 'expired':
    case 'lease':
    case 'lease-revoked':
    case 'lock':
    case 'proclaimed':
    case 'session':
    case 'session-closed':
    case 'unlocked':
      return encodeSide(writer, result)
  }
}

function encodeSide(writer: ByteWriter, result: Result): void {
  switch (result.kind) {
    case 'lease':
      f.encodeId(writer, result.lease)
      writer.varint(f.natural(result.ttlMs, 'a time to live'))
      return
    case 'lease-revoked':
    case 'expired':
      writer.varint(f.natural(result.count, 'a count'))
      return
    case 'lock':
      writer.varint(f.natural(result.token, 'a token'))
      return f.encodeId(writer, result.lease)
    case 'session':
      f.encodeId(writer, result.session)
      writer.varint(f.natural(result.ttlMs, 'a time to live'))
      return
    case 'added':
    case 'compacted':
    case 'deleted':
    case 'precondition-failed':
    case 'proclaimed':
    case 'put':
    case 'range':
    case 'refused':
    case 'replayed':
    case 'session-closed':
    case 'txn':
    case 'unlocked':
      // The others are their revision and nothing more.
      return
  }
}

function flagsOf(result: Result): number {
  switch (result.kind) {
    case 'put':
      return (result.isCreated ? CLAIM : 0) | (result.previous === undefined ? 0 : HAS_PREVIOUS)
    case 'deleted':
      return result.previous === undefined ? 0 : HAS_PREVIOUS
    case 'range':
      return result.isMore ? CLAIM : 0
    case 'txn':
      return result.succeeded ? CLAIM : 0
    case 'lock':
      return result.isHeld ? CLAIM : 0
    case 'unlocked':
      return result.wasHeld ? CLAIM : 0
    case 'added':
    case 'compacted':
    case 'expired':
    case 'lease':
    case 'lease-revoked':
    case 'precondition-failed':
    case 'proclaimed':
    case 'refused':
    case 'replayed':
    case 'session':
    case 'session-closed':
    default:
      return 0
  }
}

function encodePrevious(writer: ByteWriter, previous: KeyEntry | undefined): void {
  if (previous !== undefined) encodeEntry(writer, previous)
}

function encodeEntry(writer: ByteWriter, entry: KeyEntry): void {
  f.encodeKey(writer, entry.key)
  f.encodeEntryFacts(writer, entry)
}

// ------------------------------------------------------------------------------------------------------------- decoding

function decode(reader: ByteReader, depth: number): Result {
  if (depth > DEPTH_MAX) throw new DecodeError(`results nested deeper than ${DEPTH_MAX}`)
  const kind = KINDS[reader.uint8()]
  if (kind === undefined) throw new DecodeError(`an unknown kind of result at offset ${reader.offset - 1}`)
  const flags = f.decodeFlags(reader, KNOWN_FLAGS[kind] ?? 0)
  const claim = (flags & CLAIM) !== 0
  const revision = reader.varint()
  switch (kind) {
    case 'put':
      return { kind, revision, isCreated: claim, previous: decodePrevious(reader, flags) }
    case 'deleted':
      return { kind, revision, count: reader.varint(), previous: decodePrevious(reader, flags) }
    case 'added':
      return { kind, revision, value: f.decodeInt64(reader) }
    case 'range':
      return { kind, revision, isMore: claim, count: reader.varint(), entries: decodeEntries(reader) }
    case 'txn':
      return { kind, revision, succeeded: claim, results: decodeInner(reader, depth + 1) }
    case 'replayed':
      return { kind, revision, result: decodeReplayed(reader, depth + 1) }
    case 'compacted':
    case 'expired':
    case 'lease':
    case 'lease-revoked':
    case 'lock':
    case 'precondition-failed':
    case 'proclaimed':
    case 'refused':
    case 'session':
    case 'session-closed':
    case 'unlocked':
    default:
      return decodeSide(reader, kind, { revision, claim })
  }
}

const KNOWN_FLAGS: Partial<Record<Result['kind'], number>> = {
  put: CLAIM | HAS_PREVIOUS,
  deleted: HAS_PREVIOUS,
  range: CLAIM,
  txn: CLAIM,
  lock: CLAIM,
  unlocked: CLAIM,
}

type SideKind = Exclude<Result['kind'], 'put' | 'deleted' | 'added' | 'range' | 'txn' | 'replayed'>

function decodeSide(reader: ByteReader, kind: SideKind, head: { revision: number; claim: boolean }): Result {
  const { revision, claim } = head
  switch (kind) {
    case 'precondition-failed':
      return { kind, revision, currentRevision: reader.varint() }
    case 'refused':
      return { kind, revision, reason: decodeReason(reader) }
    case 'lease':
      return { kind, revision, lease: f.decodeLease(reader), ttlMs: reader.varint() }
    case 'lease-revoked':
    case 'expired':
      return { kind, revision, count: reader.varint() }
    case 'lock':
      return { kind, revision, token: reader.varint(), lease: f.decodeLease(reader), isHeld: claim }
    case 'unlocked':
      return { kind, revision, wasHeld: claim }
    case 'session':
      return { kind, revision, session: f.decodeId(reader), ttlMs: reader.varint() }
    case 'compacted':
    case 'proclaimed':
    case 'session-closed':
    default:
      return { kind, revision }
  }
}

function decodeReason(reader: ByteReader): RefusalReason {
  const reason = REASONS[reader.uint8()]
  if (reason === undefined) throw new DecodeError(`an unknown reason of a refusal at offset ${reader.offset - 1}`)
  return reason
}

function decodeInner(reader: ByteReader, depth: number): TxnOperationResult[] {
  const results: TxnOperationResult[] = []
  for (let left = reader.varint(); left > 0; left--) {
    const result = decode(reader, depth)
    switch (result.kind) {
      case 'put':
      case 'deleted':
      case 'added':
      case 'range':
      case 'txn':
        results.push(result)
        break
      case 'compacted':
      case 'expired':
      case 'lease':
      case 'lease-revoked':
      case 'lock':
      case 'precondition-failed':
      case 'proclaimed':
      case 'refused':
      case 'replayed':
      case 'session':
      case 'session-closed':
      case 'unlocked':
        throw new DecodeError(`a result of kind ${result.kind} has no place in a transaction's`)
    }
  }
  return results
}

function decodeReplayed(reader: ByteReader, depth: number): CommandResult {
  const result = decode(reader, depth)
  if (result.kind === 'replayed' || result.kind === 'range')
    throw new DecodeError(`a result of kind ${result.kind} cannot be repeated`)
  return result
}

const decodePrevious = (reader: ByteReader, flags: number): KeyEntry | undefined =>
  (flags & HAS_PREVIOUS) === 0 ? undefined : decodeEntry(reader)

function decodeEntries(reader: ByteReader): KeyEntry[] {
  const entries: KeyEntry[] = []
  for (let left = reader.varint(); left > 0; left--) entries.push(decodeEntry(reader))
  return entries
}

function decodeEntry(reader: ByteReader): KeyEntry {
  const key = f.decodeKey(reader)
  return { key, ...f.decodeEntryFacts(reader) }
}
