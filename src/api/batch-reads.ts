// Reads in a batch (FORMAT.md): one key each, answered in place. They are no commands: nothing of them ever reaches the log, and a
// group of commands that holds one is refused like any unknown operation.
import { DecodeError } from '../lib/bytes.ts'
import type { ByteReader, ByteWriter, KeyString } from '../lib/bytes.ts'
import { checkKey } from './client-command.ts'
import type { KeyEntry } from './commands.ts'
import * as f from './fields.ts'

export interface BatchRead {
  readonly op: 'read'
  readonly key: KeyString
  readonly consistency: 'linearizable' | 'stale'
  /** Only with `stale`: older than this is TOO_STALE. Milliseconds. */
  readonly maxStaleMs: number | undefined
  /** The node waits until it has applied this revision. */
  readonly minRevision: number | undefined
}

/** What was found; the key is the asker's own. */
export interface BatchReadAnswer {
  readonly kind: 'read'
  /** Of the state that was read. */
  readonly revision: number
  /** Of a stale read, where it is known. Milliseconds. */
  readonly stalenessMs: number | undefined
  readonly entry: Omit<KeyEntry, 'key'> | undefined
  /** How long the entry's lease lasts, where the node could tell. Milliseconds. */
  readonly ttlMs: number | undefined
}

/** Behind the operations of commands, which count up to 17. */
export const OP_READ = 18

const IS_STALE = 1
const HAS_MAX_STALE = 1 << 1
const HAS_MIN_REVISION = 1 << 2

export function encodeRead(writer: ByteWriter, { key, consistency, maxStaleMs, minRevision }: BatchRead): void {
  const flags =
    (consistency === 'stale' ? IS_STALE : 0) |
    (maxStaleMs === undefined ? 0 : HAS_MAX_STALE) |
    (minRevision === undefined ? 0 : HAS_MIN_REVISION)
  writer.uint8(OP_READ).uint8(flags)
  f.encodeKey(writer, key)
  if (maxStaleMs !== undefined) writer.varint(f.natural(maxStaleMs, 'a staleness'))
  if (minRevision !== undefined) writer.varint(f.natural(minRevision, 'a revision'))
}

/** Begins with the operation, which was looked at and not taken. */
export function decodeRead(reader: ByteReader): BatchRead {
  reader.uint8()
  const flags = f.decodeFlags(reader, IS_STALE | HAS_MAX_STALE | HAS_MIN_REVISION)
  const isStale = (flags & IS_STALE) !== 0
  if (!isStale && (flags & HAS_MAX_STALE) !== 0)
    throw new DecodeError(`a linearizable read that may be stale, at offset ${reader.offset - 1}`)
  const key = f.decodeKey(reader)
  checkKey(key)
  return {
    op: 'read',
    key,
    consistency: isStale ? 'stale' : 'linearizable',
    maxStaleMs: (flags & HAS_MAX_STALE) === 0 ? undefined : reader.varint(),
    minRevision: (flags & HAS_MIN_REVISION) === 0 ? undefined : reader.varint(),
  }
}

const IS_FOUND = 1
const HAS_STALENESS = 1 << 1
const HAS_TTL = 1 << 2

export function encodeReadAnswer(writer: ByteWriter, { revision, stalenessMs, entry, ttlMs }: BatchReadAnswer): void {
  const flags =
    (entry === undefined ? 0 : IS_FOUND) |
    (stalenessMs === undefined ? 0 : HAS_STALENESS) |
    (ttlMs === undefined ? 0 : HAS_TTL)
  writer.uint8(flags).varint(f.natural(revision, 'a revision'))
  if (stalenessMs !== undefined) writer.varint(f.natural(stalenessMs, 'a staleness'))
  if (entry !== undefined) f.encodeEntryFacts(writer, entry)
  if (ttlMs !== undefined) writer.varint(f.natural(ttlMs, 'a time to live'))
}

export function decodeReadAnswer(reader: ByteReader): BatchReadAnswer {
  const flags = f.decodeFlags(reader, IS_FOUND | HAS_STALENESS | HAS_TTL)
  const revision = reader.varint()
  const stalenessMs = (flags & HAS_STALENESS) === 0 ? undefined : reader.varint()
  const entry = (flags & IS_FOUND) === 0 ? undefined : f.decodeEntryFacts(reader)
  if ((flags & HAS_TTL) === 0) return { kind: 'read', revision, stalenessMs, entry, ttlMs: undefined }
  if (entry === undefined || entry.lease === '')
    throw new DecodeError(`the time to live of what has no lease, before offset ${reader.offset}`)
  return { kind: 'read', revision, stalenessMs, entry, ttlMs: reader.varint() }
}
