// The witnesses of batches. After a flipped bit in its log LevelDB opens without an error and drops the batches it cannot read,
// wherever they were (measured): not a clean prefix but a hole. So each batch leaves a small key with its number, and opening
// checks that none is missing between the oldest still kept and the newest. A lost *end* is no hole: it looks like a batch that
// was never written, and the Raft log replays it.
//
// The oldest witnesses are removed by later batches. LevelDB's log holds at most two write buffers of batches, and a busy
// node fills those in far fewer batches than are kept here; a nearly idle one could in theory outlast them.
//
// Records lie in a database of their own, whose log may have such holes, too, or lack its end where the other one does not. A key for
// each batch would be in its way (decisions/two-databases.md), so the witness names the last record that its batch brought. Of the
// batches that may still be in that log, these are looked for; but not below the compact revision, where they may be gone.
import { ByteReader, ByteWriter, DecodeError } from '../../lib/bytes.ts'
import type { Revision, RevisionId } from '../../kv/types.ts'
import type { CallGate } from './call-gate.ts'
import type { Engine, EngineBatch, EngineRow } from './engine.ts'
import { StateCorruptionError } from './errors.ts'
import { recordKey, witnessKey, witnessRange } from './keys.ts'
import { readRevisionId, writeRevisionId } from './meta-codec.ts'
import { isSameChange } from './slot.ts'
import { beginValue, openValue, sealValue } from './stored-value.ts'

export const WITNESSES_KEPT = 4_096
const ROWS_PER_CALL = 2_048
const RECORDS_PER_CALL = 64
/** Twice what LevelDB's log of records holds. */
const RECORD_BYTES_CHECKED = 32 * 1024 * 1024

export interface Witnesses {
  /** The number of the next batch. */
  readonly next: number
  /** The oldest witness on disk. */
  readonly oldest: number
  /** Of all records that were ever brought. */
  readonly recordBytes: number
}

export const NO_WITNESSES: Witnesses = { next: 1, oldest: 1, recordBytes: 0 }

/** What a batch brings to the database of records. */
export interface BatchRecords {
  readonly last: RevisionId
  readonly bytes: number
}

interface Witness {
  readonly number: number
  readonly oldest: number
  /** Undefined when the batch brought none. */
  readonly lastRecord: RevisionId | undefined
  /** Of all records up to and with those of the batch. */
  readonly recordBytes: number
}

/** Adds this batch's witness, and removes one or two old ones. Returns what holds once the batch is on disk. */
export function addWitness(
  batch: EngineBatch,
  writer: ByteWriter,
  witnesses: Witnesses,
  records: BatchRecords | undefined,
): Witnesses {
  const { next } = witnesses
  let { oldest } = witnesses
  for (let removed = 0; removed < 2 && oldest + WITNESSES_KEPT <= next; removed++) batch.delete(witnessKey(oldest++))
  const key = witnessKey(next)
  const recordBytes = witnesses.recordBytes + (records?.bytes ?? 0)
  beginValue(writer.reset()).varint(next).varint(oldest).varint(recordBytes)
  writeRevisionId(writer, records?.last ?? NO_RECORD)
  batch.put(key, sealValue(writer, key))
  return { next: next + 1, oldest, recordBytes }
}

/** Reads all witnesses; refuses a state with a hole. */
export async function readWitnesses(
  engine: Engine,
  gate: CallGate,
  where: string,
  compactRevision: Revision,
): Promise<Witnesses> {
  const witnesses: Witness[] = []
  const range = engine.range({ ...witnessRange(), snapshot: undefined })
  try {
    for (;;) {
      const rows = await gate.run(() => range.next(ROWS_PER_CALL))
      if (rows.length === 0) break
      for (const row of rows) witnesses.push(decodeWitness(row, where))
    }
  } finally {
    await range.close()
  }
  const first = witnesses[0]
  const last = witnesses.at(-1)
  if (first === undefined || last === undefined) {
    throw new StateCorruptionError(where, 'it does not name a single batch that was written to it')
  }
  for (const [nth, { number }] of witnesses.entries()) {
    if (number !== first.number + nth) throw hole(where, witnesses[nth - 1]!.number + 1, number)
  }
  if (first.number > last.oldest) throw hole(where, last.oldest, first.number)
  const mayBeInLog = witnesses.filter(({ recordBytes }) => last.recordBytes - recordBytes < RECORD_BYTES_CHECKED)
  await checkRecords(engine, gate, where, mayBeInLog, compactRevision)
  return { next: last.number + 1, oldest: first.number, recordBytes: last.recordBytes }
}

async function checkRecords(
  engine: Engine,
  gate: CallGate,
  where: string,
  witnesses: readonly Witness[],
  compactRevision: Revision,
): Promise<void> {
  const bringing = witnesses.flatMap(({ number, lastRecord }) =>
    lastRecord !== undefined && lastRecord.revision >= compactRevision ? [{ number, key: recordKey(lastRecord) }] : [],
  )
  for (let from = 0; from < bringing.length; from += RECORDS_PER_CALL) {
    const some = bringing.slice(from, from + RECORDS_PER_CALL)
    const found = await gate.run(() => engine.getMany(some.map(({ key }) => key)))
    const lost = some.find((_batch, nth) => found[nth] === undefined)
    if (lost === undefined) continue
    throw new StateCorruptionError(
      where,
      `the records of batch ${lost.number} are missing although the rest of it is there`,
    )
  }
}

function decodeWitness([key, stored]: EngineRow, where: string): Witness {
  try {
    const reader: ByteReader = openValue(key, stored)
    const [number, oldest, recordBytes] = [reader.varint(), reader.varint(), reader.varint()]
    const lastRecord = readRevisionId(reader)
    reader.end()
    if (!witnessKey(number).equals(key)) throw new DecodeError('a witness under the key of another')
    return { number, oldest, recordBytes, lastRecord: isSameChange(lastRecord, NO_RECORD) ? undefined : lastRecord }
  } catch (error) {
    throw new StateCorruptionError(where, (error as Error).message, error)
  }
}

const NO_RECORD: RevisionId = { revision: 0, sub: 0 }

const hole = (where: string, from: number, to: number): StateCorruptionError =>
  new StateCorruptionError(where, `batches ${from} to ${to - 1} are missing although later ones are there`)
