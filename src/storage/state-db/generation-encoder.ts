// A generation of the table becomes a batch.
import { ByteWriter } from '../../lib/bytes.ts'
import type { EngineBatch } from './engine.ts'
import { META_KEY, NODE_KEY, pointerKey, purgeListKey, recordKey, rowKeyBytes } from './keys.ts'
import { writeCheckpoints, writeMeta, writeRevisionId } from './meta-codec.ts'
import { PurgeListWriter } from './purge-list.ts'
import { encodeRow } from './rows.ts'
import { beginValue, sealValue } from './stored-value.ts'
import type { Generation } from './table.ts'

/** Operations that go into the batch before others get their turn: about a millisecond. */
const OPERATIONS_PER_TURN = 512

/** Puts the generation into the batch, which copies it; yields after each turn's worth. */
export function* encodeGeneration(generation: Generation, batch: EngineBatch): Generator<void> {
  let operations = 0
  const isTurnOver = (): boolean => ++operations % OPERATIONS_PER_TURN === 0
  const { changes } = generation
  const purgeLists = new PurgeListWriter()
  for (let change = 0; change < changes.count; change++) {
    batch.put(changes.recordKey(change), changes.storedRecord(change))
    purgeLists.add(changes.purgeItem(change), batch)
    // Of a key that changed more than once only the last pointer is written.
    if (generation.isLatest(change)) batch.put(changes.pointerKey(change), changes.storedPointer(change))
    if (isTurnOver()) yield
  }
  purgeLists.finish(batch)
  for (const key of generation.removedKeys()) {
    batch.delete(pointerKey(key))
    if (isTurnOver()) yield
  }
  const { records, purgedLists } = generation.unneeded
  for (const at of records) {
    batch.delete(recordKey(at))
    if (isTurnOver()) yield
  }
  for (const last of purgedLists) batch.delete(purgeListKey(last))
  const writer = new ByteWriter()
  for (const { row, value } of generation.rows.all()) {
    const key = rowKeyBytes(row.key)
    if (value === undefined) batch.delete(key)
    else batch.put(key, encodeRow(writer, key, value))
    if (isTurnOver()) yield
  }
  encodeNotes(generation, batch, writer)
}

function encodeNotes(generation: Generation, batch: EngineBatch, writer: ByteWriter): void {
  const { meta, checkpoints, unneeded } = generation
  const put = (key: Buffer, write: (into: ByteWriter) => void): void => {
    beginValue(writer.reset())
    write(writer)
    batch.put(key, sealValue(writer, key))
  }
  if (checkpoints !== undefined) put(META_KEY.digests, (into) => writeCheckpoints(into, checkpoints))
  const { progress } = unneeded
  if (progress !== undefined) put(NODE_KEY.history, (into) => writeRevisionId(into, progress))
  if (meta !== undefined) put(META_KEY.applied, (into) => writeMeta(into, meta))
}
