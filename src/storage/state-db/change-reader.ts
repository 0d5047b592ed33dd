// Reads the changes of the past by their revisions: for those who watch. What the last batches did not bring to disk yet is in the
// table; the rest is on disk in the order in which it was made.
import { assert } from '../../lib/assert.ts'
import type { KeyRecord, KvMeta, Revision, RevisionId } from '../../kv/types.ts'
import type { HistoryPage } from '../../node/ports.ts'
import { damagedAt, decodeStored } from './decode-stored.ts'
import { recordsOf } from './encoded-changes.ts'
import type { ChangesPart } from './encoded-changes.ts'
import type { Engine } from './engine.ts'
import { recordKey } from './keys.ts'
import type { PointReader } from './point-reader.ts'
import { decodeRecord } from './record-codec.ts'
import type { Table } from './table.ts'

const ROWS_PER_CALL = 256

export interface ChangeReaderOptions {
  readonly engine: Engine
  readonly points: PointReader
  readonly table: Table
  readonly where: string
  /** After the last committed entry. */
  readonly meta: () => KvMeta
  /** Runs a call of the engine when its turn comes. */
  readonly gated: <T>(call: () => Promise<T>) => Promise<T>
}

export interface HistoryBounds {
  readonly recordsMax: number
  readonly bytesMax: number
}

export class ChangeReader {
  readonly #options: ChangeReaderOptions

  constructor(options: ChangeReaderOptions) {
    this.#options = options
  }

  async changesFrom(from: Revision, bounds: HistoryBounds): Promise<HistoryPage | undefined> {
    const { table, meta } = this.#options
    const { revision, compactRevision } = meta()
    if (from < compactRevision) return undefined
    const page = new PageOfChanges(bounds)
    // What is in memory now is kept, because it may leave for the disk while the disk is read for what came before it.
    const recent = table.recordsFrom(from)
    const recentFrom = firstOf(recent)?.revision ?? revision + 1
    if (from < recentFrom) await this.#fromDisk(from, recentFrom, page)
    for (const record of recordsOf(recent)) if (!page.add(record)) break
    // Compacted while the disk was read: the oldest ones may have been missed.
    return from < meta().compactRevision ? undefined : page.finish(revision)
  }

  async recordAt(at: RevisionId): Promise<KeyRecord | undefined> {
    const { table, points, where, meta } = this.#options
    assert(at.revision <= meta().revision, `revision ${at.revision} is asked for, which is not there yet`)
    const recent = table.recordAt(at)
    if (recent !== undefined) return recent
    const key = recordKey(at)
    const stored = await points.get(key)
    if (stored !== undefined) return decodeStored(where, key, stored, decodeRecord)
    if (at.revision >= meta().compactRevision) throw damagedAt(where, key, 'a record that is not compacted is missing')
    return undefined
  }

  /** All of them from `from` up to `to`, exclusive, were written by completed batches. */
  async #fromDisk(from: Revision, to: Revision, page: PageOfChanges): Promise<void> {
    const { engine, gated, where } = this.#options
    const lt = recordKey({ revision: to, sub: 0 })
    const range = engine.range({ gte: recordKey({ revision: from, sub: 0 }), lt, snapshot: undefined })
    try {
      for (;;) {
        const rows = await gated(() => range.next(Math.min(ROWS_PER_CALL, page.room)))
        if (rows.length === 0) return
        for (const [key, stored] of rows) if (!page.add(decodeStored(where, key, stored, decodeRecord))) return
      }
    } finally {
      await range.close()
    }
  }
}

function firstOf(parts: readonly ChangesPart[]): RevisionId | undefined {
  const part = parts.find(({ from, to }) => from < to)
  return part?.changes.at(part.from)
}

/** Gathers whole revisions within bounds, but always at least one. */
class PageOfChanges {
  readonly #bounds: HistoryBounds
  readonly #records: KeyRecord[] = []
  #bytes = 0
  /** Where the revision that comes in now begins. */
  #wholeUpTo = 0
  #isFull = false

  constructor(bounds: HistoryBounds) {
    this.#bounds = bounds
  }

  /** How many more records to fetch: one more than fits says that the page is full. One revision has any number of them. */
  get room(): number {
    const room = this.#bounds.recordsMax + 1 - this.#records.length
    return room > 0 ? room : ROWS_PER_CALL
  }

  /** False when the page is full; then this record is not in it. */
  add(record: KeyRecord): boolean {
    if (this.#isFull) return false
    if (this.#records.at(-1)?.at.revision !== record.at.revision) this.#wholeUpTo = this.#records.length
    const { recordsMax, bytesMax } = this.#bounds
    this.#bytes += record.key.length + (record.value?.length ?? 0)
    const isOver = this.#records.length >= recordsMax || this.#bytes > bytesMax
    if (isOver && this.#wholeUpTo > 0) {
      this.#records.length = this.#wholeUpTo
      this.#isFull = true
      return false
    }
    this.#records.push(record)
    return true
  }

  /** `latest` is what it reached if it is not full. */
  finish(latest: Revision): HistoryPage {
    return { records: this.#records, through: this.#isFull ? this.#records.at(-1)!.at.revision : latest }
  }
}
