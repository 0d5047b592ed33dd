// The bytes of the commands beside keys: compaction, leases, locks and elections, sessions, expiry (FORMAT.md).
import { DecodeError } from '../lib/bytes.ts'
import type { ByteReader, ByteWriter } from '../lib/bytes.ts'
import type { Command, LeaseId, Once } from './commands.ts'
import * as f from './fields.ts'
import type { KeyCommand } from './key-command-codec.ts'

const OP = {
  compact: 3,
  'lease-grant': 7,
  'lease-keep-alive': 8,
  'lease-revoke': 9,
  lock: 10,
  unlock: 11,
  proclaim: 12,
  'session-open': 13,
  'session-keep-alive': 14,
  'session-close': 15,
  expire: 16,
} as const

export type SideCommand = Exclude<Command, KeyCommand>

export function encodeSideCommand(writer: ByteWriter, command: SideCommand): void {
  writer.uint8(OP[command.op]).uint8(flagsOf(command))
  if ('once' in command && command.once !== undefined) f.encodeOnce(writer, command.once)
  switch (command.op) {
    case 'compact':
      writer.varint(f.natural(command.revision, 'a revision'))
      return
    case 'lease-grant':
      f.encodeId(writer, command.lease)
      writer.varint(f.natural(command.ttlMs, 'a time to live'))
      return
    case 'lease-keep-alive':
    case 'lease-revoke':
      return f.encodeId(writer, command.lease)
    case 'session-open':
      f.encodeId(writer, command.session)
      writer.varint(f.natural(command.ttlMs, 'a time to live'))
      return
    case 'session-keep-alive':
    case 'session-close':
      return f.encodeId(writer, command.session)
    case 'expire':
      encodeIds(writer, command.leases)
      return encodeIds(writer, command.sessions)
    case 'lock':
    case 'proclaim':
    case 'unlock':
      return encodeLockCommand(writer, command)
  }
}

function encodeLockCommand(writer: ByteWriter, command: SideCommand & { op: 'lock' | 'unlock' | 'proclaim' }): void {
  f.encodeKey(writer, command.name)
  switch (command.op) {
    case 'lock':
      f.encodeId(writer, command.lease)
      writer.varint(f.natural(command.ttlMs, 'a time to live')).varint(f.natural(command.waitMs, 'a time to wait'))
      f.encodeText(writer, command.owner)
      f.encodeBytes(writer, command.value)
      return
    case 'unlock':
      writer.varint(f.natural(command.token, 'a token'))
      return
    case 'proclaim':
      writer.varint(f.natural(command.token, 'a token'))
      f.encodeBytes(writer, command.value)
  }
}

function flagsOf(command: SideCommand): number {
  const once = 'once' in command && command.once !== undefined ? f.HAS_ONCE : 0
  const kind = command.op === 'lock' || command.op === 'unlock' ? f.lockKindFlags(command.kind) : 0
  return once | kind | (command.op === 'unlock' && command.onlyWaiting === true ? f.ONLY_WAITING : 0)
}

function encodeIds(writer: ByteWriter, ids: readonly string[]): void {
  writer.varint(ids.length)
  for (const id of ids) f.encodeId(writer, id)
}

/** What follows an operation that is none of those on keys. */
export function decodeSideCommand(reader: ByteReader, op: number): SideCommand {
  switch (op) {
    case OP.compact: {
      const repeatable = decodeRepeatable(reader)
      return { op: 'compact', revision: reader.varint(), ...repeatable }
    }
    case OP['lease-grant']: {
      const repeatable = decodeRepeatable(reader)
      return { op: 'lease-grant', lease: f.decodeLease(reader), ttlMs: reader.varint(), ...repeatable }
    }
    case OP['lease-keep-alive']:
      return { op: 'lease-keep-alive', ...decodeLeaseOnly(reader) }
    case OP['lease-revoke']:
      return { op: 'lease-revoke', ...decodeLeaseOnly(reader) }
    case OP['session-open']:
      f.decodeFlags(reader, 0)
      return { op: 'session-open', session: f.decodeId(reader), ttlMs: reader.varint() }
    case OP['session-keep-alive']:
      f.decodeFlags(reader, 0)
      return { op: 'session-keep-alive', session: f.decodeId(reader) }
    case OP['session-close']:
      f.decodeFlags(reader, 0)
      return { op: 'session-close', session: f.decodeId(reader) }
    case OP.expire:
      f.decodeFlags(reader, 0)
      return { op: 'expire', leases: decodeIds(reader), sessions: decodeIds(reader) }
    default:
      return decodeLockCommand(reader, op)
  }
}

function decodeLockCommand(reader: ByteReader, op: number): SideCommand {
  switch (op) {
    case OP.lock: {
      const { flags, repeatable } = decodeFlagsAndOnce(reader, f.IS_ELECTION)
      const name = f.decodeKey(reader)
      const lease = f.decodeLease(reader)
      const times = { ttlMs: reader.varint(), waitMs: reader.varint() }
      const [owner, value] = [f.decodeText(reader), f.decodeBytes(reader)]
      return { op: 'lock', kind: f.lockKindOf(flags), name, lease, ...times, owner, value, ...repeatable }
    }
    case OP.unlock: {
      const { flags, repeatable } = decodeFlagsAndOnce(reader, f.IS_ELECTION | f.ONLY_WAITING)
      const name = f.decodeKey(reader)
      const onlyWaiting = (flags & f.ONLY_WAITING) === 0 ? {} : { onlyWaiting: true }
      return { op: 'unlock', kind: f.lockKindOf(flags), name, token: reader.varint(), ...onlyWaiting, ...repeatable }
    }
    case OP.proclaim: {
      const repeatable = decodeRepeatable(reader)
      const name = f.decodeKey(reader)
      return { op: 'proclaim', name, token: reader.varint(), value: f.decodeBytes(reader), ...repeatable }
    }
    default:
      throw new DecodeError(`unknown operation ${op} at offset ${reader.offset - 1}`)
  }
}

interface Repeatable {
  readonly once?: Once
}

function decodeFlagsAndOnce(reader: ByteReader, known: number): { flags: number; repeatable: Repeatable } {
  const flags = f.decodeFlags(reader, known | f.HAS_ONCE)
  return { flags, repeatable: (flags & f.HAS_ONCE) === 0 ? {} : { once: f.decodeOnce(reader) } }
}

const decodeRepeatable = (reader: ByteReader): Repeatable => decodeFlagsAndOnce(reader, 0).repeatable

function decodeLeaseOnly(reader: ByteReader): Repeatable & { lease: LeaseId } {
  const repeatable = decodeRepeatable(reader)
  return { lease: f.decodeLease(reader), ...repeatable }
}

function decodeIds(reader: ByteReader): string[] {
  const ids: string[] = []
  for (let left = reader.varint(); left > 0; left--) ids.push(f.decodeId(reader))
  return ids
}
