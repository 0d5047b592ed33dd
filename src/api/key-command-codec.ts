// The bytes of what changes keys: put, delete, delete-range, add, and transactions of them (FORMAT.md). Puts and deletes are the
// hot path of writes: no closures, values are views, and what a command does not use costs neither a byte nor a field.
import { DecodeError, varintLength } from '../lib/bytes.ts'
import type { ByteReader, ByteWriter } from '../lib/bytes.ts'
import type {
  AddCommand,
  Compare,
  CompareOperator,
  DeleteCommand,
  DeleteRangeCommand,
  Fence,
  LeaseId,
  Once,
  PutCommand,
  TxnCommand,
  TxnGet,
  TxnOperation,
} from './commands.ts'
import * as f from './fields.ts'

export const OP_PUT = 1
export const OP_DELETE = 2
export const OP_DELETE_RANGE = 4
export const OP_ADD = 5
export const OP_TXN = 6
const OP_GET = 17

const GUARDS = f.HAS_ONCE | f.HAS_FENCE
const PUT_FLAGS = 0xff
const DELETE_FLAGS = f.CONDITION_BITS | f.WANTS_PREVIOUS | GUARDS
const ADD_FLAGS = f.CONDITION_BITS | GUARDS
/** What operations of a transaction must leave to the transaction. */
const OUTER_FLAGS = f.CONDITION_BITS | GUARDS

const GET_REVERSE = 1
const GET_KEYS_ONLY = 1 << 1
const GET_COUNT_ONLY = 1 << 2

/** Deeper than any that is admitted, and far from what a call stack holds. */
const DEPTH_MAX = 64

export type KeyCommand = PutCommand | DeleteCommand | DeleteRangeCommand | AddCommand | TxnCommand

// ------------------------------------------------------------------------------------------------------------- encoding

export function encodeKeyCommand(writer: ByteWriter, command: KeyCommand): void {
  switch (command.op) {
    case 'put':
      return encodePut(writer, command)
    case 'delete':
      writer.uint8(OP_DELETE).uint8(deleteFlags(command))
      encodeGuards(writer, command)
      f.encodeKey(writer, command.key)
      return f.encodeCondition(writer, command.condition)
    case 'delete-range':
      writer.uint8(OP_DELETE_RANGE).uint8(guardFlags(command))
      encodeGuards(writer, command)
      return f.encodeRange(writer, command.range)
    case 'add':
      writer.uint8(OP_ADD).uint8(f.conditionFlags(command.condition) | guardFlags(command))
      encodeGuards(writer, command)
      f.encodeKey(writer, command.key)
      f.encodeCondition(writer, command.condition)
      return f.encodeInt64(writer, command.by)
    case 'txn':
      return encodeTxn(writer, command)
  }
}

function encodePut(writer: ByteWriter, command: PutCommand): void {
  const { contentType, lease, ttlMs } = command
  writer.uint8(OP_PUT).uint8(putFlags(command))
  encodeGuards(writer, command)
  f.encodeKey(writer, command.key)
  f.encodeCondition(writer, command.condition)
  f.encodeContentType(writer, contentType)
  if (lease !== undefined && lease !== '') f.encodeId(writer, lease)
  if (ttlMs !== undefined) writer.varint(f.natural(ttlMs, 'a time to live'))
  writer.varint(command.value.length).bytes(command.value)
}

interface Guarded {
  readonly once?: Once
  readonly fence?: Fence
}

function encodeGuards(writer: ByteWriter, command: Guarded): void {
  if (command.once !== undefined) f.encodeOnce(writer, command.once)
  if (command.fence !== undefined) f.encodeFence(writer, command.fence)
}

const guardFlags = (command: Guarded): number =>
  (command.once === undefined ? 0 : f.HAS_ONCE) | (command.fence === undefined ? 0 : f.HAS_FENCE)

const deleteFlags = (command: PutCommand | DeleteCommand): number =>
  f.conditionFlags(command.condition) | (command.wantsPrevious ? f.WANTS_PREVIOUS : 0) | guardFlags(command)

const putFlags = (command: PutCommand): number =>
  deleteFlags(command) |
  (command.contentType === '' ? 0 : f.HAS_CONTENT_TYPE) |
  (hasLease(command.lease) ? f.HAS_LEASE : 0) |
  (command.ttlMs === undefined ? 0 : f.HAS_TTL)

/** No lease and the empty one mean the same, and have one encoding. */
const hasLease = (lease: LeaseId | undefined): boolean => lease !== undefined && lease !== ''

/** How many bytes {@link encodeKeyCommand} appends for a put or a delete, exactly. */
export function keyCommandLength(command: PutCommand | DeleteCommand): number {
  const { key, condition, once, fence } = command
  let length = 2 + varintLength(key.length) + key.length + f.conditionLength(condition)
  if (once !== undefined) length += f.onceLength(once)
  if (fence !== undefined) length += f.fenceLength(fence)
  if (command.op === 'delete') return length
  if (command.contentType !== '') length += 1 + command.contentType.length
  if (hasLease(command.lease)) length += 8
  if (command.ttlMs !== undefined) length += varintLength(command.ttlMs)
  return length + varintLength(command.value.length) + command.value.length
}

function encodeTxn(writer: ByteWriter, command: TxnCommand): void {
  writer.uint8(OP_TXN).uint8(guardFlags(command))
  encodeGuards(writer, command)
  writer.varint(command.compares.length)
  for (const compare of command.compares) encodeCompare(writer, compare)
  encodeOperations(writer, command.success)
  encodeOperations(writer, command.failure)
}

function encodeOperations(writer: ByteWriter, operations: readonly TxnOperation[]): void {
  writer.varint(operations.length)
  for (const operation of operations) {
    if (operation.op === 'get') encodeGet(writer, operation)
    else encodeKeyCommand(writer, operation)
  }
}

function encodeGet(writer: ByteWriter, { range, limit, reverse, keysOnly, countOnly }: TxnGet): void {
  const flags = (reverse ? GET_REVERSE : 0) | (keysOnly ? GET_KEYS_ONLY : 0) | (countOnly ? GET_COUNT_ONLY : 0)
  writer.uint8(OP_GET).uint8(flags)
  f.encodeRange(writer, range)
  writer.varint(f.natural(limit, 'a limit'))
}

const TARGETS = ['version', 'createRevision', 'modRevision', 'value', 'lease'] as const
const OPERATORS: readonly CompareOperator[] = ['=', '!=', '<', '>']

function encodeCompare(writer: ByteWriter, compare: Compare): void {
  writer.uint8(TARGETS.indexOf(compare.target)).uint8(OPERATORS.indexOf(compare.operator))
  f.encodeRange(writer, compare.range)
  if (compare.target === 'value') f.encodeBytes(writer, compare.operand)
  else if (compare.target === 'lease') f.encodeMaybeLease(writer, compare.operand)
  else writer.varint(f.natural(compare.operand, 'an operand'))
}

// ------------------------------------------------------------------------------------------------------------- decoding

export function decodePut(reader: ByteReader, known = PUT_FLAGS): PutCommand {
  const flags = f.decodeFlags(reader, known)
  const once = (flags & f.HAS_ONCE) === 0 ? undefined : f.decodeOnce(reader)
  const fence = (flags & f.HAS_FENCE) === 0 ? undefined : f.decodeFence(reader)
  const key = f.decodeKey(reader)
  const condition = f.decodeCondition(reader, flags)
  const contentType = (flags & f.HAS_CONTENT_TYPE) === 0 ? '' : f.decodeContentType(reader)
  const wantsPrevious = (flags & f.WANTS_PREVIOUS) !== 0
  const mortal = (flags & (f.HAS_LEASE | f.HAS_TTL)) === 0 ? undefined : decodeMortal(reader, flags)
  const value = reader.bytes(reader.varint())
  // The two that nearly all puts are, spelt out: to spread what they do not have costs more than all the rest.
  if (fence === undefined && mortal === undefined) {
    if (once === undefined) return { op: 'put', key, value, contentType, condition, wantsPrevious }
    return { op: 'put', key, value, contentType, condition, wantsPrevious, once }
  }
  return { op: 'put', key, value, contentType, condition, wantsPrevious, ...mortal, ...guards(once, fence) }
}

function decodeMortal(reader: ByteReader, flags: number): Pick<PutCommand, 'lease' | 'ttlMs'> {
  if ((flags & f.HAS_LEASE) === 0) return { ttlMs: reader.varint() }
  if ((flags & f.HAS_TTL) !== 0)
    throw new DecodeError(`a put with both a lease and a time to live at offset ${reader.offset}`)
  return { lease: f.decodeLease(reader) }
}

const guards = (once: Once | undefined, fence: Fence | undefined): Guarded => ({
  ...(once === undefined ? {} : { once }),
  ...(fence === undefined ? {} : { fence }),
})

export function decodeDelete(reader: ByteReader, known = DELETE_FLAGS): DeleteCommand {
  const flags = f.decodeFlags(reader, known)
  const once = (flags & f.HAS_ONCE) === 0 ? undefined : f.decodeOnce(reader)
  const fence = (flags & f.HAS_FENCE) === 0 ? undefined : f.decodeFence(reader)
  const key = f.decodeKey(reader)
  const condition = f.decodeCondition(reader, flags)
  const wantsPrevious = (flags & f.WANTS_PREVIOUS) !== 0
  if (once === undefined && fence === undefined) return { op: 'delete', key, condition, wantsPrevious }
  return { op: 'delete', key, condition, wantsPrevious, ...guards(once, fence) }
}

function decodeGuards(reader: ByteReader, flags: number): Guarded {
  const once = (flags & f.HAS_ONCE) === 0 ? undefined : f.decodeOnce(reader)
  const fence = (flags & f.HAS_FENCE) === 0 ? undefined : f.decodeFence(reader)
  return guards(once, fence)
}

export function decodeDeleteRange(reader: ByteReader, known = GUARDS): DeleteRangeCommand {
  const guarded = decodeGuards(reader, f.decodeFlags(reader, known))
  return { op: 'delete-range', range: f.decodeRange(reader), ...guarded }
}

export function decodeAdd(reader: ByteReader, known = ADD_FLAGS): AddCommand {
  const flags = f.decodeFlags(reader, known)
  const guarded = decodeGuards(reader, flags)
  const key = f.decodeKey(reader)
  const condition = f.decodeCondition(reader, flags)
  return { op: 'add', key, by: f.decodeInt64(reader), condition, ...guarded }
}

export function decodeTxn(reader: ByteReader, depth = 1): TxnCommand {
  if (depth > DEPTH_MAX) throw new DecodeError(`transactions nested deeper than ${DEPTH_MAX}`)
  const guarded = decodeGuards(reader, f.decodeFlags(reader, depth === 1 ? GUARDS : 0))
  const compares: Compare[] = []
  for (let left = reader.varint(); left > 0; left--) compares.push(decodeCompare(reader))
  const success = decodeOperations(reader, depth)
  return { op: 'txn', compares, success, failure: decodeOperations(reader, depth), ...guarded }
}

function decodeOperations(reader: ByteReader, depth: number): TxnOperation[] {
  const operations: TxnOperation[] = []
  for (let left = reader.varint(); left > 0; left--) operations.push(decodeOperation(reader, depth))
  return operations
}

function decodeOperation(reader: ByteReader, depth: number): TxnOperation {
  const op = reader.uint8()
  switch (op) {
    case OP_PUT:
      return decodePut(reader, PUT_FLAGS & ~OUTER_FLAGS)
    case OP_DELETE:
      return decodeDelete(reader, f.WANTS_PREVIOUS)
    case OP_DELETE_RANGE:
      return decodeDeleteRange(reader, 0)
    case OP_ADD:
      return decodeAdd(reader, 0)
    case OP_TXN:
      return decodeTxn(reader, depth + 1)
    case OP_GET:
      return decodeGet(reader)
    default:
      throw new DecodeError(`operation ${op} at offset ${reader.offset - 1} has no place in a transaction`)
  }
}

function decodeGet(reader: ByteReader): TxnGet {
  const flags = f.decodeFlags(reader, GET_REVERSE | GET_KEYS_ONLY | GET_COUNT_ONLY)
  const range = f.decodeRange(reader)
  return {
    op: 'get',
    range,
    limit: reader.varint(),
    reverse: (flags & GET_REVERSE) !== 0,
    keysOnly: (flags & GET_KEYS_ONLY) !== 0,
    countOnly: (flags & GET_COUNT_ONLY) !== 0,
  }
}

function decodeCompare(reader: ByteReader): Compare {
  const target = TARGETS[reader.uint8()]
  if (target === undefined) throw new DecodeError(`an unknown target of a compare at offset ${reader.offset - 1}`)
  const operator = OPERATORS[reader.uint8()]
  if (operator === undefined) throw new DecodeError(`an unknown operator of a compare at offset ${reader.offset - 1}`)
  const range = f.decodeRange(reader)
  if (target === 'value') return { range, operator, target, operand: f.decodeBytes(reader) }
  if (target === 'lease') return { range, operator, target, operand: f.decodeMaybeLease(reader) }
  return { range, operator, target, operand: reader.varint() }
}
