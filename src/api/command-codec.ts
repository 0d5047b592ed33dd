// The bytes of commands and of entry payloads (FORMAT.md describes every field). Strict and canonical: what decodes encodes to
// the same bytes again, anything else is a DecodeError. This is the hot path of writes: no closures, and values are views.
import { assert } from '../lib/assert.ts'
import { ByteReader, ByteWriter, DecodeError, varintLength } from '../lib/bytes.ts'
import { NO_CONDITION } from './commands.ts'
import type {
  ClientCommand,
  Command,
  CommandGroup,
  Condition,
  DeleteCommand,
  EntryBatch,
  GroupTag,
} from './commands.ts'
import type { PutCommand } from './commands.ts'
import { WIRE_LIMITS } from './limits.ts'

/** The first byte of every payload. Readers refuse any other: before 1.0 nothing is migrated. */
export const ENTRY_FORMAT_VERSION = 1

const OP_PUT = 1
const OP_DELETE = 2
const OP_COMPACT = 3

// The flag byte. Bits 4 (session) and 5 (lease) have their place in the layout, but no meaning yet: like bits 6 and 7 they
// are refused, so that a node never skips over what it does not understand.
const CONDITION_BITS = 0b11
const CONDITION_NUMBER = { none: 0, revision: 1, exists: 2, never: 3 } as const
const WANTS_PREVIOUS = 1 << 2
const HAS_CONTENT_TYPE = 1 << 3
const PUT_FLAGS = CONDITION_BITS | WANTS_PREVIOUS | HAS_CONTENT_TYPE
const DELETE_FLAGS = CONDITION_BITS | WANTS_PREVIOUS

const MEMBER_BYTES = 8
const BOOT_BYTES = 6
const BOOT_LIMIT = 2 ** 48
const CONTENT_TYPE_BYTES_MAX = 255

const EXISTS: Condition = { kind: 'exists' }
const NEVER: Condition = { kind: 'never' }

/** A group whose commands are bytes already, as callers and followers hand them to the leader. */
export interface EncodedGroup {
  readonly tag: GroupTag
  /** Commands, one behind another; at least one. */
  readonly body: Uint8Array
}

// ------------------------------------------------------------------------------------------------------------ encoding

/** Appends one command. */
export function encodeCommand(writer: ByteWriter, command: Command): void {
  switch (command.op) {
    case 'put':
      writer.uint8(OP_PUT).uint8(putFlags(command))
      encodeKey(writer, command)
      if (command.contentType !== '') writer.uint8(command.contentType.length).latin1(command.contentType)
      writer.varint(command.value.length).bytes(command.value)
      return
    case 'delete':
      writer.uint8(OP_DELETE).uint8(deleteFlags(command))
      encodeKey(writer, command)
      return
    case 'compact':
      writer.uint8(OP_COMPACT).uint8(0).varint(natural(command.revision, 'a revision'))
  }
}

function encodeKey(writer: ByteWriter, command: ClientCommand): void {
  const { key, condition } = command
  assert(key.length > 0, 'a command without a key')
  writer.varint(key.length).latin1(key)
  if (condition.kind === 'revision') writer.varint(natural(condition.revision, 'a revision'))
}

/** How many bytes {@link encodeCommand} appends, exactly. */
export function encodedCommandLength(command: Command): number {
  if (command.op === 'compact') return 2 + varintLength(command.revision)
  const { key, condition } = command
  let length = 2 + varintLength(key.length) + key.length
  if (condition.kind === 'revision') length += varintLength(condition.revision)
  if (command.op === 'delete') return length
  if (command.contentType !== '') length += 1 + command.contentType.length
  return length + varintLength(command.value.length) + command.value.length
}

function putFlags(command: PutCommand): number {
  const { contentType } = command
  assert(contentType.length <= CONTENT_TYPE_BYTES_MAX, `a content type of ${contentType.length} bytes`)
  return deleteFlags(command) | (contentType === '' ? 0 : HAS_CONTENT_TYPE)
}

function deleteFlags(command: ClientCommand): number {
  return CONDITION_NUMBER[command.condition.kind] | (command.wantsPrevious ? WANTS_PREVIOUS : 0)
}

/** The payload of a `normal` entry. Encoded once: these bytes are the log record, the message and the input of apply. */
export function encodeEntry(entry: { clusterTimeMs: number; groups: readonly EncodedGroup[] }): Buffer {
  const clusterTimeMs = natural(entry.clusterTimeMs, 'a cluster time')
  const writer = new ByteWriter(encodedEntryLength(entry))
  writer.uint8(ENTRY_FORMAT_VERSION).varint(clusterTimeMs).varint(entry.groups.length)
  for (const { tag, body } of entry.groups) {
    assert(body.length > 0, 'a group without a command')
    encodeTag(writer, tag)
    writer.varint(body.length).bytes(body)
  }
  return writer.finish()
}

function encodedEntryLength(entry: { clusterTimeMs: number; groups: readonly EncodedGroup[] }): number {
  let length = 1 + varintLength(entry.clusterTimeMs) + varintLength(entry.groups.length)
  for (const { tag, body } of entry.groups) {
    length += MEMBER_BYTES + BOOT_BYTES + varintLength(tag.number) + varintLength(body.length) + body.length
  }
  return length
}

function encodeTag(writer: ByteWriter, tag: GroupTag): void {
  const member = Buffer.from(tag.member, 'hex')
  assert(tag.member.length === 2 * MEMBER_BYTES && member.length === MEMBER_BYTES, `not a member id: ${tag.member}`)
  const boot = natural(tag.boot, 'a boot')
  assert(boot < BOOT_LIMIT, `not a boot: ${boot}`)
  writer.bytes(member).uint32(boot % 2 ** 32)
  const high = Math.floor(boot / 2 ** 32)
  writer.uint8(high & 0xff).uint8(high >>> 8)
  writer.varint(natural(tag.number, 'a forward number'))
}

/** A varint of anything else would silently be another number. */
function natural(value: number, what: string): number {
  assert(Number.isSafeInteger(value) && value >= 0, `not ${what}: ${value}`)
  return value
}

// ------------------------------------------------------------------------------------------------------------ decoding

/** The payload of a `normal` entry. Values are views of `data`. */
export function decodeEntry(data: Uint8Array): EntryBatch {
  const reader = new ByteReader(data)
  const version = reader.uint8()
  if (version !== ENTRY_FORMAT_VERSION)
    throw new DecodeError(`an entry of format version ${version}; this release reads version ${ENTRY_FORMAT_VERSION}`)
  const clusterTimeMs = reader.varint()
  const count = reader.varint()
  const groups: CommandGroup[] = []
  for (let group = 0; group < count; group++) {
    const tag = decodeTag(reader)
    const length = reader.varint()
    groups.push({ tag, commands: decodeCommands(reader.bytes(length)) })
  }
  reader.end()
  return { clusterTimeMs, groups }
}

function decodeTag(reader: ByteReader): GroupTag {
  const member = reader.bytes(MEMBER_BYTES).toString('hex')
  const low = reader.uint32()
  const high = reader.uint8() + reader.uint8() * 256
  return { member, boot: high * 2 ** 32 + low, number: reader.varint() }
}

/** The body of a group: at least one command. Values are views of `bytes`. */
export function decodeCommands(bytes: Uint8Array): Command[] {
  if (bytes.length === 0) throw new DecodeError('a group without a command')
  const reader = new ByteReader(bytes)
  const commands: Command[] = []
  while (reader.remaining > 0) commands.push(decodeCommand(reader))
  return commands
}

/** A group's body as a client or a peer may send it: only what clients may ask for, within the limits that they are told. */
export function decodeClientCommands(bytes: Uint8Array): ClientCommand[] {
  const commands = decodeCommands(bytes)
  for (const command of commands) checkClientCommand(command)
  return commands as ClientCommand[]
}

function checkClientCommand(command: Command): void {
  if (command.op === 'compact') throw new DecodeError('a client may not send the operation compact')
  if (command.key.length > WIRE_LIMITS.keyBytesMax)
    throw new DecodeError(`a key of ${command.key.length} bytes; at most ${WIRE_LIMITS.keyBytesMax} are allowed`)
  if (command.op === 'put' && command.value.length > WIRE_LIMITS.valueBytesMax)
    throw new DecodeError(`a value of ${command.value.length} bytes; at most ${WIRE_LIMITS.valueBytesMax} are allowed`)
}

function decodeCommand(reader: ByteReader): Command {
  const op = reader.uint8()
  switch (op) {
    case OP_PUT:
      return decodePut(reader)
    case OP_DELETE:
      return decodeDelete(reader)
    case OP_COMPACT:
      decodeFlags(reader, 0)
      return { op: 'compact', revision: reader.varint() }
    default:
      throw new DecodeError(`unknown operation ${op} at offset ${reader.offset - 1}`)
  }
}

function decodePut(reader: ByteReader): PutCommand {
  const flags = decodeFlags(reader, PUT_FLAGS)
  const key = decodeKey(reader)
  const condition = decodeCondition(reader, flags)
  const contentType = (flags & HAS_CONTENT_TYPE) === 0 ? '' : decodeContentType(reader)
  const value = reader.bytes(reader.varint())
  return { op: 'put', key, value, contentType, condition, wantsPrevious: (flags & WANTS_PREVIOUS) !== 0 }
}

function decodeDelete(reader: ByteReader): DeleteCommand {
  const flags = decodeFlags(reader, DELETE_FLAGS)
  const key = decodeKey(reader)
  const condition = decodeCondition(reader, flags)
  return { op: 'delete', key, condition, wantsPrevious: (flags & WANTS_PREVIOUS) !== 0 }
}

function decodeFlags(reader: ByteReader, known: number): number {
  const flags = reader.uint8()
  if ((flags & ~known) !== 0)
    throw new DecodeError(`unknown flags 0x${(flags & ~known).toString(16)} at offset ${reader.offset - 1}`)
  return flags
}

function decodeKey(reader: ByteReader): string {
  const length = reader.varint()
  if (length === 0) throw new DecodeError(`an empty key at offset ${reader.offset}`)
  return reader.latin1(length)
}

function decodeCondition(reader: ByteReader, flags: number): Condition {
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

function decodeContentType(reader: ByteReader): string {
  const length = reader.uint8()
  if (length === 0) throw new DecodeError(`an empty content type, which has no flag, at offset ${reader.offset - 1}`)
  return reader.latin1(length)
}
