// The second half of compaction: removes what no read or watch at or above the compact revision C can ask for. It walks the
// records from where it stopped last up to C (exclusive), removing each one's predecessor, and tombstones themselves; a
// tombstone's pointer goes with it only if it is still the key's latest change. (The record at C itself is looked at by the next
// walk: until then it keeps one predecessor too many.)
//
// All of this is local. Apply treats a tombstone below C as absent whether it was removed or not, so nodes may differ here.
// Removals ride in the table's next batch, together with how far the walk has come. The walk reads the disk, so it never goes
// past what the last batch made durable. It works in small slices and rests for longer than it works, and while the table is busy,
// because nobody waits for it; but no longer than lets it go faster than history grows.
import { assert } from '../../lib/assert.ts'
import type { KeyString } from '../../lib/bytes.ts'
import type { KeyRecord, Revision, RevisionId } from '../../kv/types.ts'
import type { Clock, Timer } from '../../node/ports.ts'
import type { CallGate } from './call-gate.ts'
import type { Engine } from './engine.ts'
import { recordKey } from './keys.ts'
import type { KeyReader } from './key-reader.ts'
import type { Table } from './table.ts'

export const ROWS_PER_SLICE = 256
/** How long it rests for the time that a slice took. */
const RESTS = 4
/** Under writes it rests less, if it must: so many rows are looked at for each change that is made meanwhile. */
const ROWS_PER_CHANGE = 1.25

export interface HistoryOptions {
  readonly engine: Engine
  readonly gate: CallGate
  readonly clock: Clock
  readonly table: Table
  readonly keys: KeyReader
  /** No slice starts while the table holds more than this. */
  readonly tableBytesBusy: number
  readonly progress: RevisionId
  /** How many changes were made, counted from any time on. */
  readonly changesMade: () => number
  /** The highest revision that a completed batch holds. */
  readonly persistedRevision: () => Revision
  readonly remove: (records: readonly RevisionId[], keys: readonly KeyString[], progress: RevisionId) => void
  readonly onFailure: (error: unknown) => void
}

interface Slice {
  readonly removals: RevisionId[]
  /** Tombstones below C. */
  readonly tombstones: KeyRecord[]
  readonly progress: RevisionId
}

export class HistoryRemover {
  readonly #options: HistoryOptions
  #progress: RevisionId
  #target: Revision = 0
  #running: Promise<void> | undefined
  #rest: Timer | undefined
  /** When the latest slice began, and how many changes had been made by then. */
  #sliceBegan: Moment | undefined
  #isStopped = false

  constructor(options: HistoryOptions) {
    this.#options = options
    this.#progress = options.progress
  }

  removeBelow(compactRevision: Revision): void {
    this.#target = Math.max(this.#target, compactRevision)
    this.wake()
  }

  /** Goes on if there is something to do: called when the target moves and after each completed batch. */
  wake(): void {
    if (this.#isStopped || this.#running !== undefined || this.#rest !== undefined || !this.#hasWork()) return
    const { clock, changesMade } = this.#options
    const previous = this.#sliceBegan
    const began = { atMs: clock.now(), changes: changesMade() }
    this.#sliceBegan = began
    this.#running = this.#slice().then(
      () => this.#finished(clock.now() - began.atMs, previous && ratePerMs(previous, began)),
      (error: unknown) => {
        this.#isStopped = true
        this.#options.onFailure(error)
      },
    )
  }

  /** No slice runs once this has resolved. */
  async stop(): Promise<void> {
    this.#isStopped = true
    this.#rest?.cancel()
    await this.#running
  }

  #finished(tookMs: number, changesPerMs = 0): void {
    this.#running = undefined
    if (this.#isStopped) return
    this.#rest = this.#options.clock.after(restMs(tookMs, changesPerMs), () => {
      this.#rest = undefined
      this.wake()
    })
  }

  /** The walk stops before this revision. */
  get #limit(): Revision {
    return Math.min(this.#target, this.#options.persistedRevision() + 1)
  }

  #hasWork(): boolean {
    return this.#progress.revision < this.#limit && this.#options.table.sizeBytes <= this.#options.tableBytesBusy
  }

  async #slice(): Promise<void> {
    const { table, keys, remove } = this.#options
    const { removals, tombstones, progress } = await this.#read()
    const mark = table.mark()
    try {
      const names = tombstones.map((tombstone) => tombstone.key)
      const pointers = await keys.pointers(names)
      // Decided now, against the table: nothing can come between this look and the removal.
      const gone = tombstones.filter(({ key, at }, index) => {
        const newer = table.findSince(mark, key)
        const pointer = newer === undefined ? pointers[index] : newer.pointer
        return pointer !== undefined && pointer.at.revision === at.revision && pointer.at.sub === at.sub
      })
      if (this.#isStopped) return
      this.#progress = progress
      remove(
        removals,
        gone.map((tombstone) => tombstone.key),
        progress,
      )
    } finally {
      table.release(mark)
    }
  }

  async #read(): Promise<Slice> {
    const { engine, gate, keys } = this.#options
    const limit = this.#limit
    const end = { revision: limit, sub: 0 }
    const range = engine.range({ gte: recordKey(this.#progress), lt: recordKey(end), snapshot: undefined })
    try {
      const rows = await gate.run(() => range.next(ROWS_PER_SLICE))
      const removals: RevisionId[] = []
      const tombstones: KeyRecord[] = []
      let last: RevisionId | undefined
      for (const [key, stored] of rows) {
        const record = keys.decodeRecord(key, stored)
        last = record.at
        // A tombstone before this record was below C too, and removed when the walk met it.
        if (record.predecessor !== undefined && !record.predecessor.isTombstone) removals.push(record.predecessor)
        if (record.value !== undefined) continue
        assert(record.at.revision < limit, 'the walk went past its limit')
        removals.push(record.at)
        tombstones.push(record)
      }
      // A range may stop early where rows are large: only an empty answer says that the end was reached.
      return {
        removals,
        tombstones,
        progress: last === undefined ? end : { revision: last.revision, sub: last.sub + 1 },
      }
    } finally {
      await range.close()
    }
  }
}

interface Moment {
  readonly atMs: number
  readonly changes: number
}

const ratePerMs = (from: Moment, to: Moment): number => (to.changes - from.changes) / Math.max(1, to.atMs - from.atMs)

/** How long the walk rests after a slice, while so many changes are made in a millisecond. */
export function restMs(tookMs: number, changesPerMs: number): number {
  const dueMs = ROWS_PER_SLICE / (ROWS_PER_CHANGE * changesPerMs) - tookMs
  return Math.max(1, Math.min(RESTS * tookMs, dueMs))
}
