// Idempotency keys: what sessions are to our own client, for plain HTTP. All live equally long, so the oldest expires first.
// In memory and bounded; what has expired is dropped when a new one comes, and counts as forgotten before that.
import { assert } from '../lib/assert.ts'
import { rowShare } from './digest.ts'
import { KV_LIMITS } from './limits.ts'
import { encodeIdempotency, idempotencyRow, rowOf } from './rows.ts'
import type { IdempotencyFields, RowWriter } from './rows.ts'

/** Each new key makes room for more than itself, so expired ones do not pile up; and no entry drops many at once. */
const DROPPED_AT_ONCE = 4

export class IdempotencyTable {
  /** Oldest first: by the entry of their first use, then by the order within it. */
  readonly #keys = new Map<string, IdempotencyFields>()
  #resultBytes = 0

  get resultBytes(): number {
    return this.#resultBytes
  }

  get isFull(): boolean {
    return this.#keys.size >= KV_LIMITS.idempotencyKeysMax
  }

  find(key: string, nowMs: number): IdempotencyFields | undefined {
    const found = this.#keys.get(key)
    return found === undefined || found.expiresAtMs <= nowMs ? undefined : found
  }

  /** Before a new key: forgets that key if it has expired, and a few of the oldest that have. */
  dropExpired(key: string, nowMs: number, writer: RowWriter): void {
    const same = this.#keys.get(key)
    if (same !== undefined && same.expiresAtMs <= nowMs) this.#drop(key, same, writer)
    let left = DROPPED_AT_ONCE
    for (const [oldest, fields] of this.#keys) {
      if (fields.expiresAtMs > nowMs || left-- === 0) return
      this.#drop(oldest, fields, writer)
    }
  }

  remember(key: string, fields: IdempotencyFields, writer: RowWriter): void {
    assert(!this.#keys.has(key), `an idempotency key was executed twice, at entry ${fields.index}`)
    this.#keys.set(key, fields)
    this.#resultBytes += fields.result.length
    writer.write(rowOf(idempotencyRow(key)), encodeIdempotency(fields))
  }

  /** From rows that the state has, in any order; once. */
  load(rows: readonly (readonly [key: string, fields: IdempotencyFields])[]): void {
    const inOrder = [...rows].sort(([, a], [, b]) => a.index - b.index || a.ordinal - b.ordinal)
    for (const [key, fields] of inOrder) {
      this.#keys.set(key, fields)
      this.#resultBytes += fields.result.length
    }
  }

  #drop(key: string, fields: IdempotencyFields, writer: RowWriter): void {
    this.#keys.delete(key)
    this.#resultBytes -= fields.result.length
    const row = idempotencyRow(key)
    writer.write(rowOf(row, rowShare(row, encodeIdempotency(fields))), undefined)
  }
}
