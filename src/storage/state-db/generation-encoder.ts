// A generation of the table becomes a batch. What is encoded for the disk is also what the cache keeps, so it is encoded once.
import { ByteWriter } from '../../lib/bytes.ts'
import type { Cache } from './cache.ts'
import type { EngineBatch } from './engine.ts'
import { META_KEY, NODE_KEY, pointerKey, recordKey, rowKeyBytes } from './keys.ts'
import { writeCheckpoints, writeMeta, writeRevisionId } from './meta-codec.ts'
import { encodePointer, encodeRecord } from './record-codec.ts'
import { encodeRow } from './rows.ts'
import { beginValue, StoredPair, sealValue } from './stored-value.ts'
import type { Generation } from './table.ts'

/** Operations that go into the batch before others get their turn: about a millisecond. */
const OPERATIONS_PER_TURN = 512

/** Puts the generation into the batch, which copies it, and into the cache; yields after each turn's worth. */
export function* encodeGeneration(generation: Generation, batch: EngineBatch, cache: Cache): Generator<void> {
  let operations = 0
  const isTurnOver = (): boolean => ++operations % OPERATIONS_PER_TURN === 0
  const recordPair = new StoredPair()
  const pointerPair = new StoredPair()
  for (const record of generation.records) {
    encodeRecord(recordPair, record)
    const stored = recordPair.value
    batch.put(recordPair.key, stored)
    // Of a key that changed more than once only the last pointer is written.
    const slot = generation.slots.get(record.key)
    if (slot?.pointer !== undefined && slot.record === record) {
      encodePointer(pointerPair, record.key, slot.pointer)
      const pointer = pointerPair.value
      batch.put(pointerPair.key, pointer)
      cache.set(record.key, pointer, stored)
    }
    if (isTurnOver()) yield
  }
  for (const [key, slot] of generation.hasRemovals ? generation.slots : []) {
    if (slot.pointer !== undefined) continue
    batch.delete(pointerKey(key))
    cache.set(key)
    if (isTurnOver()) yield
  }
  for (const at of generation.removals) {
    batch.delete(recordKey(at))
    if (isTurnOver()) yield
  }
  const writer = new ByteWriter()
  for (const [rowKey, { value }] of generation.rows.latest) {
    const key = rowKeyBytes(rowKey)
    if (value === undefined) batch.delete(key)
    else batch.put(key, encodeRow(writer, key, value))
    if (isTurnOver()) yield
  }
  encodeNotes(generation, batch, writer)
}

function encodeNotes(generation: Generation, batch: EngineBatch, writer: ByteWriter): void {
  const { meta, checkpoints, historyProgress } = generation
  const put = (key: Buffer, write: (into: ByteWriter) => void): void => {
    beginValue(writer.reset())
    write(writer)
    batch.put(key, sealValue(writer, key))
  }
  if (checkpoints !== undefined) put(META_KEY.digests, (into) => writeCheckpoints(into, checkpoints))
  if (historyProgress !== undefined) put(NODE_KEY.history, (into) => writeRevisionId(into, historyProgress))
  if (meta !== undefined) put(META_KEY.applied, (into) => writeMeta(into, meta))
}
