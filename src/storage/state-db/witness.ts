// The witnesses of batches. After a flipped bit in its log LevelDB opens without an error and drops the batches it cannot read,
// wherever they were (measured): not a clean prefix but a hole. So each batch leaves a small key with its number, and opening
// checks that none is missing between the oldest still kept and the newest. A lost *end* is no hole: it looks like a batch that
// was never written, and the Raft log replays it.
//
// The oldest witnesses are removed by later batches. LevelDB's log holds at most two write buffers of batches, and a busy
// node fills those in far fewer batches than are kept here; a nearly idle one could in theory outlast them.
import { ByteReader, ByteWriter, DecodeError } from '../../lib/bytes.ts'
import type { CallGate } from './call-gate.ts'
import type { Engine, EngineBatch, EngineRow } from './engine.ts'
import { StateCorruptionError } from './errors.ts'
import { witnessKey, witnessRange } from './keys.ts'
import { beginValue, openValue, sealValue } from './stored-value.ts'

export const WITNESSES_KEPT = 4_096
const ROWS_PER_CALL = 2_048

export interface Witnesses {
  /** The number of the next batch. */
  readonly next: number
  /** The oldest witness on disk. */
  readonly oldest: number
}

export const NO_WITNESSES: Witnesses = { next: 1, oldest: 1 }

/** Adds this batch's witness, and removes one or two old ones. Returns what holds once the batch is on disk. */
export function addWitness(batch: EngineBatch, writer: ByteWriter, witnesses: Witnesses): Witnesses {
  const { next } = witnesses
  let { oldest } = witnesses
  for (let removed = 0; removed < 2 && oldest + WITNESSES_KEPT <= next; removed++) batch.delete(witnessKey(oldest++))
  const key = witnessKey(next)
  beginValue(writer.reset()).varint(next).varint(oldest)
  batch.put(key, sealValue(writer, key))
  return { next: next + 1, oldest }
}

/** Reads all witnesses; refuses a state with a hole. */
export async function readWitnesses(engine: Engine, gate: CallGate, where: string): Promise<Witnesses> {
  const range = engine.range({ ...witnessRange(), snapshot: undefined })
  try {
    let first: number | undefined
    let last: { number: number; oldest: number } | undefined
    for (;;) {
      const rows = await gate.run(() => range.next(ROWS_PER_CALL))
      if (rows.length === 0) break
      for (const row of rows) {
        const witness = decodeWitness(row, where)
        if (last !== undefined && witness.number !== last.number + 1) throw hole(where, last.number + 1, witness.number)
        first ??= witness.number
        last = witness
      }
    }
    if (first === undefined || last === undefined) {
      throw new StateCorruptionError(where, 'it does not name a single batch that was written to it')
    }
    if (first > last.oldest) throw hole(where, last.oldest, first)
    return { next: last.number + 1, oldest: first }
  } finally {
    await range.close()
  }
}

function decodeWitness([key, stored]: EngineRow, where: string): { number: number; oldest: number } {
  try {
    const reader: ByteReader = openValue(key, stored)
    const witness = { number: reader.varint(), oldest: reader.varint() }
    reader.end()
    if (!witnessKey(witness.number).equals(key)) throw new DecodeError('a witness under the key of another')
    return witness
  } catch (error) {
    throw new StateCorruptionError(where, (error as Error).message, error)
  }
}

const hole = (where: string, from: number, to: number): StateCorruptionError =>
  new StateCorruptionError(where, `batches ${from} to ${to - 1} are missing although later ones are there`)
