// The bytes of commands and of entry payloads (FORMAT.md describes every field). Strict and canonical: what decodes encodes to
// the same bytes again, anything else is a DecodeError. This is the hot path of writes: no closures, and values are views.
import { assert } from '../lib/assert.ts'
import { ByteReader, ByteWriter, DecodeError, varintLength } from '../lib/bytes.ts'
import { checkClientCommand } from './client-command.ts'
import type { ClientCommand, Command, CommandGroup, EntryBatch, GroupTag } from './commands.ts'
import { natural } from './fields.ts'
import * as keys from './key-command-codec.ts'
import { decodeSideCommand, encodeSideCommand } from './side-command-codec.ts'

export { checkClientCommand } from './client-command.ts'

/** The first byte of every payload. Readers refuse any other: before 1.0 nothing is migrated. */
export const ENTRY_FORMAT_VERSION = 1

const MEMBER_BYTES = 8
const BOOT_BYTES = 6
const BOOT_LIMIT = 2 ** 48

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
    case 'delete':
    case 'delete-range':
    case 'add':
    case 'txn':
      return keys.encodeKeyCommand(writer, command)
    case 'compact':
    case 'expire':
    case 'lease-grant':
    case 'lease-keep-alive':
    case 'lease-revoke':
    case 'lock':
    case 'proclaim':
    case 'session-close':
    case 'session-keep-alive':
    case 'session-open':
    case 'unlock':
      return encodeSideCommand(writer, command)
  }
}

/** How many bytes {@link encodeCommand} appends, exactly. */
export function encodedCommandLength(command: Command): number {
  if (command.op === 'put' || command.op === 'delete') return keys.keyCommandLength(command)
  const writer = new ByteWriter()
  encodeCommand(writer, command)
  return writer.length
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

/** The next command; whoever decodes commands of clients checks it. */
export function decodeCommand(reader: ByteReader): Command {
  const op = reader.uint8()
  switch (op) {
    case keys.OP_PUT:
      return keys.decodePut(reader)
    case keys.OP_DELETE:
      return keys.decodeDelete(reader)
    case keys.OP_DELETE_RANGE:
      return keys.decodeDeleteRange(reader)
    case keys.OP_ADD:
      return keys.decodeAdd(reader)
    case keys.OP_TXN:
      return keys.decodeTxn(reader)
    default:
      return decodeSideCommand(reader, op)
  }
}
