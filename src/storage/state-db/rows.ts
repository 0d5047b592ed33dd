// The rows that the state machine keeps beside keys: leases, sessions, locks. They are opaque here. The state machine holds all
// of them in memory, so they are read once, when a state is opened, and only written from then on.
import type { ByteWriter } from '../../lib/bytes.ts'
import type { Hash64 } from '../../lib/hash.ts'
import type { RowKey } from '../../kv/types.ts'
import type { CallGate } from './call-gate.ts'
import { decodeStored } from './decode-stored.ts'
import type { Engine } from './engine.ts'
import { ROW_KEYSPACES, keyspaceRange, rowKeyOf } from './keys.ts'
import { beginValue, openValue, sealValue } from './stored-value.ts'

const ROWS_PER_CALL = 512

/** What a row costs besides its bytes, as long as it waits here. The state machine keeps it as well. */
const ROW_BYTES = 160

export interface RowChange {
  readonly key: RowKey
  /** Undefined removes the row. */
  readonly value: Uint8Array | undefined
  /** There was none before the change. */
  readonly isNew: boolean
}

/**
 * What becomes of rows, taken together. A row that came and went leaves nothing behind: the result of a write that a session remembers lives
 * until its client has heard of it, and seldom needs to reach the disk.
 */
export class RowChanges {
  readonly #latest = new Map<RowKey, RowChange>()
  #sizeBytes = 0

  get latest(): Iterable<RowChange> {
    return this.#latest.values()
  }

  get sizeBytes(): number {
    return this.#sizeBytes
  }

  add(change: RowChange): void {
    const { key, value, isNew } = change
    const before = this.#latest.get(key)
    if (before !== undefined) this.#sizeBytes -= bytesOf(before)
    const wasNew = before === undefined ? isNew : before.isNew
    if (value === undefined && wasNew) return void this.#latest.delete(key)
    this.#latest.set(key, wasNew === isNew ? change : { key, value, isNew: wasNew })
    this.#sizeBytes += bytesOf(change)
  }
}

const bytesOf = ({ key, value }: RowChange): number => ROW_BYTES + key.length + (value?.length ?? 0)

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
