// Rows: how leases, sessions, idempotency keys and places in locks' queues are written beside the keys, and read again when a
// state is opened (README.md has the table). The store does not look inside; a row that cannot be read stops the node.
import type { LeaseId, LockKind, SessionId } from '../api/commands.ts'
import { ByteReader, ByteWriter, EMPTY_BYTES } from '../lib/bytes.ts'
import type { KeyString } from '../lib/bytes.ts'
import { HashSum } from '../lib/hash.ts'
import type { Hash64 } from '../lib/hash.ts'
import { rowShare } from './digest.ts'
import type { KvState, RowKey, StateRow } from './types.ts'

/** One row as the state has it: its share of the digest, or undefined while it is not there. */
export interface Row extends StateRow {
  share: Hash64 | undefined
}

export const rowOf = (key: RowKey, share?: Hash64): Row => ({ key, notedAt: -1, share })

/** Writes rows of one entry, and sums up what that does to the digest. */
export class RowWriter {
  readonly #state: KvState
  readonly #delta = new HashSum()

  constructor(state: KvState) {
    this.#state = state
  }

  /** What all the rows written here changed `live` by, modulo 2^64. */
  get delta(): Hash64 {
    return this.#delta.value
  }

  write(row: Row, value: Uint8Array | undefined): void {
    if (value === undefined && row.share === undefined) return
    const share = value === undefined ? undefined : rowShare(row.key, value)
    const isNew = row.share === undefined
    if (row.share !== undefined) this.#delta.subtract(row.share)
    if (share !== undefined) this.#delta.add(share)
    row.share = share
    this.#state.putRow(row, value, isNew)
  }
}

/** 8 bytes, one code unit each, so that ids and numbers order as they should. */
const idUnits = (id: string): string => Buffer.from(id, 'hex').toString('latin1')
const unitsId = (units: string): string => Buffer.from(units, 'latin1').toString('hex')
const numberUnits = (value: number): string => wordUnits(Math.floor(value / 2 ** 32)) + wordUnits(value)
const wordUnits = (word: number): string =>
  String.fromCharCode((word >>> 24) & 0xff, (word >>> 16) & 0xff, (word >>> 8) & 0xff, word & 0xff)

const ID_UNITS = 8

export const leaseRow = (lease: LeaseId): RowKey => `ll${idUnits(lease)}`
/** What the rows of all keys of one lease begin with. */
export const attachmentPrefix = (lease: LeaseId): RowKey => `lk${idUnits(lease)}`
export const attachmentRow = (lease: LeaseId, key: KeyString): RowKey => attachmentPrefix(lease) + key
export const sessionRow = (session: SessionId): RowKey => `ss${idUnits(session)}`
/** The results of a session come one after another: its part of their keys is kept, and only the number is written. */
export function resultRow(session: SessionId, sequence: number): RowKey {
  if (session !== lastSession) {
    lastSession = session
    resultKey.write(session, RESULT_SESSION_AT, 'hex')
  }
  resultKey.writeUInt32BE(Math.floor(sequence / 2 ** 32), RESULT_SEQUENCE_AT)
  resultKey.writeUInt32BE(sequence % 2 ** 32, RESULT_SEQUENCE_AT + 4)
  return resultKey.toString('latin1')
}

const RESULT_SESSION_AT = 2
const RESULT_SEQUENCE_AT = RESULT_SESSION_AT + ID_UNITS
const resultKey = Buffer.from(`sr${'\0'.repeat(2 * ID_UNITS)}`, 'latin1')
let lastSession: SessionId | undefined

export const idempotencyRow = (key: string): RowKey => `sk${key}`

/** What all places of one lock's queue begin with; the length keeps one name from being the beginning of another's. */
export const lockPrefix = (kind: LockKind, name: KeyString): string =>
  `q${kind === 'lock' ? 'l' : 'e'}${numberUnits(name.length).slice(-2)}${name}`
export const placeRow = (prefix: string, token: number): RowKey => prefix + numberUnits(token)

/** A row's key taken apart. */
export type ParsedRow =
  | { readonly kind: 'lease'; readonly lease: LeaseId }
  | { readonly kind: 'attachment'; readonly lease: LeaseId; readonly key: KeyString }
  | { readonly kind: 'session'; readonly session: SessionId }
  | { readonly kind: 'result'; readonly session: SessionId; readonly sequence: number }
  | { readonly kind: 'idempotency'; readonly key: string }
  | { readonly kind: 'place'; readonly lock: LockKind; readonly name: KeyString; readonly token: number }

export function parseRow(row: RowKey): ParsedRow | undefined {
  const id = unitsId(row.slice(2, 2 + ID_UNITS))
  const rest = row.slice(2 + ID_UNITS)
  switch (row.slice(0, 2)) {
    case 'll':
      return { kind: 'lease', lease: id }
    case 'lk':
      return { kind: 'attachment', lease: id, key: rest }
    case 'ss':
      return { kind: 'session', session: id }
    case 'sr':
      return { kind: 'result', session: id, sequence: Number.parseInt(unitsId(rest), 16) }
    case 'sk':
      return { kind: 'idempotency', key: row.slice(2) }
    case 'ql':
    case 'qe': {
      const name = row.slice(4, -ID_UNITS)
      const token = Number.parseInt(unitsId(row.slice(-ID_UNITS)), 16)
      return { kind: 'place', lock: row[1] === 'l' ? 'lock' : 'election', name, token }
    }
    default:
      return undefined
  }
}

// --------------------------------------------------------------------------------------------------------------- values

export const ATTACHMENT_VALUE = EMPTY_BYTES

const IS_PRIVATE = 1

export interface LeaseFields {
  readonly ttlMs: number
  readonly expiresAtMs: number
  readonly isPrivate: boolean
}

export const encodeLease = ({ ttlMs, expiresAtMs, isPrivate }: LeaseFields): Buffer =>
  new ByteWriter(17)
    .uint8(isPrivate ? IS_PRIVATE : 0)
    .varint(ttlMs)
    .varint(expiresAtMs)
    .finish()

export function decodeLease(value: Uint8Array): LeaseFields {
  const reader = new ByteReader(value)
  const isPrivate = reader.uint8() === IS_PRIVATE
  const fields = { ttlMs: reader.varint(), expiresAtMs: reader.varint(), isPrivate }
  reader.end()
  return fields
}

export interface SessionFields {
  readonly ttlMs: number
  readonly expiresAtMs: number
  readonly acknowledgedBelow: number
}

export const encodeSession = ({ ttlMs, expiresAtMs, acknowledgedBelow }: SessionFields): Buffer =>
  new ByteWriter(24).varint(ttlMs).varint(expiresAtMs).varint(acknowledgedBelow).finish()

export function decodeSession(value: Uint8Array): SessionFields {
  const reader = new ByteReader(value)
  const fields = { ttlMs: reader.varint(), expiresAtMs: reader.varint(), acknowledgedBelow: reader.varint() }
  reader.end()
  return fields
}

export interface IdempotencyFields {
  /** 16 hex digits. */
  readonly fingerprint: string
  readonly expiresAtMs: number
  /** The entry that it was first used in, and the number among those of that entry: the order of forgetting. */
  readonly index: number
  readonly ordinal: number
  readonly result: Uint8Array
}

export const encodeIdempotency = (fields: IdempotencyFields): Buffer =>
  new ByteWriter(32 + fields.result.length)
    .bytes(Buffer.from(fields.fingerprint, 'hex'))
    .varint(fields.expiresAtMs)
    .varint(fields.index)
    .varint(fields.ordinal)
    .bytes(fields.result)
    .finish()

export function decodeIdempotency(value: Uint8Array): IdempotencyFields {
  const reader = new ByteReader(value)
  const fingerprint = reader.bytes(ID_UNITS).toString('hex')
  const [expiresAtMs, index, ordinal] = [reader.varint(), reader.varint(), reader.varint()]
  return { fingerprint, expiresAtMs, index, ordinal, result: Buffer.from(reader.bytes(reader.remaining)) }
}

export interface PlaceFields {
  readonly leaseId: LeaseId
  readonly owner: string
  readonly value: Uint8Array
}

export function encodePlace({ leaseId, owner, value }: PlaceFields): Buffer {
  const ownerBytes = Buffer.from(owner, 'utf8')
  return new ByteWriter(16 + ownerBytes.length + value.length)
    .bytes(Buffer.from(leaseId, 'hex'))
    .varint(ownerBytes.length)
    .bytes(ownerBytes)
    .bytes(value)
    .finish()
}

export function decodePlace(value: Uint8Array): PlaceFields {
  const reader = new ByteReader(value)
  const leaseId = reader.bytes(ID_UNITS).toString('hex')
  const owner = reader.bytes(reader.varint()).toString('utf8')
  return { leaseId, owner, value: Buffer.from(reader.bytes(reader.remaining)) }
}
