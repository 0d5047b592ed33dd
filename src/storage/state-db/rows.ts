// The rows that the state machine keeps beside keys: leases, sessions, locks. They are opaque here. The state machine holds all
// of them in memory, so they are read once, when a state is opened, and only written from then on.
import type { ByteWriter } from '../../lib/bytes.ts'
import type { Hash64 } from '../../lib/hash.ts'
import type { RowKey, StateRow } from '../../kv/types.ts'
import type { CallGate } from './call-gate.ts'
import { decodeStored } from './decode-stored.ts'
import type { Engine } from './engine.ts'
import { ROW_KEYSPACES, keyspaceRange, rowKeyOf } from './keys.ts'
import { beginValue, openValue, sealValue } from './stored-value.ts'

const ROWS_PER_CALL = 512

/** What a row costs besides its bytes, as long as it waits here. The state machine keeps it as well. */
const ROW_BYTES = 160

export interface RowChange {
  readonly row: StateRow
  /** Undefined removes the row. */
  readonly value: Uint8Array | undefined
  /** There was none before the change. */
  readonly isNew: boolean
}

/**
 * What becomes of rows, taken together. A row that came and went leaves nothing behind: the result of a write that a session remembers lives
 * until its client has heard of it, and seldom needs to reach the disk. So they are in no Map, which keeps what was in it
 * (decisions/memory.md), and are found by their row.
 */
export class RowChanges {
  /** In order. Empty where a later one of the same row took its place. */
  readonly #noted: (RowChange | undefined)[] = []
  #sizeBytes = 0

  get sizeBytes(): number {
    return this.#sizeBytes
  }

  /** To be made in this order. */
  *all(): Generator<RowChange> {
    for (const change of this.#noted) if (change !== undefined) yield change
  }

  add({ row, value, isNew }: RowChange): void {
    const before = this.#take(row)
    const wasNew = before?.isNew ?? isNew
    if (value === undefined && wasNew) return
    const change = { row, value, isNew: wasNew }
    row.notedAt = this.#noted.push(change) - 1
    this.#sizeBytes += bytesOf(change)
  }

  #take(row: StateRow): RowChange | undefined {
    // An array asked for what is at -1 looks for a property of that name, slowly.
    const change = row.notedAt < 0 ? undefined : this.#noted[row.notedAt]
    // What was noted elsewhere, of an earlier batch, has another row here.
    if (change?.row !== row) return undefined
    this.#noted[row.notedAt] = undefined
    this.#sizeBytes -= bytesOf(change)
    return change
  }
}

const bytesOf = ({ row, value }: RowChange): number => ROW_BYTES + row.key.length + (value?.length ?? 0)

/** A row's share of the digest; defined by the state machine. */
export type RowDigest = (key: RowKey, value: Uint8Array) => Hash64

export type Row = readonly [key: RowKey, value: Uint8Array]

export function encodeRow(writer: ByteWriter, key: Buffer, value: Uint8Array): Buffer {
  beginValue(writer.reset()).bytes(value)
  return sealValue(writer, key)
}

/** The value is a view of `stored`. */
export function decodeRow(key: Buffer, stored: Buffer): Uint8Array {
  const reader = openValue(key, stored)
  return reader.bytes(reader.remaining)
}

/** All rows, a piece at a time. */
export async function* readRows(engine: Engine, gate: CallGate, where: string): AsyncGenerator<readonly Row[]> {
  for (const keyspace of ROW_KEYSPACES) {
    const range = engine.range({ ...keyspaceRange(keyspace), snapshot: undefined })
    try {
      for (;;) {
        const rows = await gate.run(() => range.next(ROWS_PER_CALL))
        if (rows.length === 0) break
        yield rows.map(([key, stored]) => [rowKeyOf(key), decodeStored(where, key, stored, decodeRow)])
      }
    } finally {
      await range.close()
    }
  }
}
