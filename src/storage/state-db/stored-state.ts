// What a database says about itself, beside its keys: read and checked once when it is opened, written once when it is made.
import { ByteWriter } from '../../lib/bytes.ts'
import type { ByteReader } from '../../lib/bytes.ts'
import type { KvMeta, Revision, RevisionId, RowKey } from '../../kv/types.ts'
import type { ClusterConfiguration } from '../../node/ports.ts'
import type { CallGate } from './call-gate.ts'
import type { Engine, EngineSnapshot } from './engine.ts'
import { decodeStored } from './decode-stored.ts'
import { StateCorruptionError, StateDirectoryError } from './errors.ts'
import { META_KEY, NODE_KEY, describeKey, recordsAfter } from './keys.ts'
import {
  STATE_FORMAT,
  readCheckpoints,
  readConfiguration,
  readMeta,
  readRevisionId,
  writeConfiguration,
  writeMeta,
} from './meta-codec.ts'
import type { DigestCheckpoint } from './meta-codec.ts'
import { readRows } from './rows.ts'
import { VALUE_FORMAT, beginValue, openValue, sealValue } from './stored-value.ts'
import { NO_WITNESSES, addWitness, readWitnesses } from './witness.ts'
import type { Witnesses } from './witness.ts'

const ROWS_PER_CALL = 256

export interface StoredMeta {
  readonly meta: KvMeta
  readonly configuration: ClusterConfiguration
  readonly checkpoints: readonly DigestCheckpoint[]
}

export interface TrustedMeta extends StoredMeta {
  readonly historyProgress: RevisionId
  readonly witnesses: Witnesses
}

export interface StoredState extends TrustedMeta {
  readonly rows: ReadonlyMap<RowKey, Uint8Array>
}

/** Makes an empty database a state. Durable when it resolves. */
export async function initialiseState(
  engine: Engine,
  initial: { readonly configuration: ClusterConfiguration; readonly meta: KvMeta },
): Promise<void> {
  const batch = engine.batch()
  const writer = new ByteWriter()
  const put = (key: Buffer, write: () => void): void => {
    beginValue(writer.reset())
    write()
    batch.put(key, sealValue(writer, key))
  }
  put(META_KEY.format, () => writer.varint(STATE_FORMAT))
  put(META_KEY.configuration, () => writeConfiguration(writer, initial.configuration))
  put(META_KEY.applied, () => writeMeta(writer, initial.meta))
  addWitness(batch, writer, NO_WITNESSES, undefined)
  await batch.write()
}

/**
 * Reads everything that opening needs, and refuses a state that cannot be trusted. Records of a batch that was cut short by a crash are
 * removed: the log has its entries, or others in their place.
 */
export async function openStoredState(engine: Engine, gate: CallGate, where: string): Promise<StoredState> {
  const trusted = await readTrustedMeta(engine, gate, where)
  await removeRecordsAfter(engine, gate, trusted.meta.revision)
  const rows = new Map<RowKey, Uint8Array>()
  for await (const piece of readRows(engine, gate, where)) for (const [key, value] of piece) rows.set(key, value)
  return { ...trusted, rows }
}

async function removeRecordsAfter(engine: Engine, gate: CallGate, revision: Revision): Promise<void> {
  const range = engine.range({ ...recordsAfter(revision), snapshot: undefined })
  const batch = engine.batch()
  try {
    for (;;) {
      const rows = await gate.run(() => range.next(ROWS_PER_CALL))
      if (rows.length === 0) break
      for (const [key] of rows) batch.delete(key)
    }
  } finally {
    await range.close()
  }
  await gate.run(() => batch.write())
}

/** What {@link openStoredState} reads, without the rows. */
export async function readTrustedMeta(engine: Engine, gate: CallGate, where: string): Promise<TrustedMeta> {
  const stored = await readStoredMeta(engine, where)
  const witnesses = await readWitnesses(engine, gate, where, stored.meta.compactRevision)
  const [history] = await engine.getMany([NODE_KEY.history])
  const historyProgress =
    history === undefined ? { revision: 0, sub: 0 } : decode(where, NODE_KEY.history, history, readRevisionId)
  return { ...stored, historyProgress, witnesses }
}

/** The replicated part, maybe as of a snapshot. */
export async function readStoredMeta(engine: Engine, where: string, snapshot?: EngineSnapshot): Promise<StoredMeta> {
  const keys = [META_KEY.format, META_KEY.applied, META_KEY.configuration, META_KEY.digests]
  const [format, applied, configuration, digests] = await engine.getMany(keys, snapshot)
  checkFormat(where, format)
  return {
    meta: decode(where, META_KEY.applied, required(where, META_KEY.applied, applied), readMeta),
    configuration: decode(
      where,
      META_KEY.configuration,
      required(where, META_KEY.configuration, configuration),
      readConfiguration,
    ),
    checkpoints: digests === undefined ? [] : decode(where, META_KEY.digests, digests, readCheckpoints),
  }
}

function checkFormat(where: string, stored: Buffer | undefined): void {
  const bytes = required(where, META_KEY.format, stored)
  const envelope = bytes[0] ?? 0
  // A later format of the envelope could not be read at all, but its first byte still says that it is one.
  const format = envelope > VALUE_FORMAT ? STATE_FORMAT + 1 : decode(where, META_KEY.format, bytes, (r) => r.varint())
  if (format === STATE_FORMAT) return
  const isNewer = format > STATE_FORMAT
  throw new StateDirectoryError(
    isNewer ? 'NEWER_FORMAT' : 'OLDER_FORMAT',
    `the state in ${where} was written by ${isNewer ? 'a newer' : 'an older'} release (its format is not ${STATE_FORMAT}); ` +
      `use ${isNewer ? 'that' : 'the older'} release with it, or replace this member`,
  )
}

function required(where: string, key: Buffer, stored: Buffer | undefined): Buffer {
  if (stored === undefined) throw new StateCorruptionError(where, `${describeKey(key)} is missing`)
  return stored
}

export function decode<T>(where: string, key: Buffer, stored: Buffer, read: (reader: ByteReader) => T): T {
  return decodeStored(where, key, stored, () => {
    const reader = openValue(key, stored)
    const value = read(reader)
    reader.end()
    return value
  })
}
