// The second half of compaction: removes what no read or watch at or above the compact revision C can ask for. It walks the
// changes from where it stopped last up to C (exclusive), by the purge lists that were written with them, removing each one's
// predecessor, and tombstones themselves; a tombstone's pointer goes with it only if it is still the key's latest change. (The
// change at C itself is looked at by the next walk: until then it keeps one predecessor too many.)
//
// All of this is local. Apply treats a tombstone below C as absent whether it was removed or not, so nodes may differ here.
// Removals ride in the table's next batch, together with how far the walk has come. The walk reads the disk, so it never goes
// past what the last batch made durable. It works in small slices and rests for longer than it works, and while the table is busy,
// because nobody waits for it; but no longer than lets it go faster than history grows.
import type { KeyString } from '../../lib/bytes.ts'
import type { Revision, RevisionId } from '../../kv/types.ts'
import type { Clock, Timer } from '../../node/ports.ts'
import type { CallGate } from './call-gate.ts'
import type { Engine } from './engine.ts'
import type { EngineRow } from './engine.ts'
import type { KeyReader } from './key-reader.ts'
import { isRevisionBefore, purgeListsFrom } from './keys.ts'
import { readPurgeList } from './purge-list.ts'
import { isSameChange } from './slot.ts'
import { decode } from './stored-state.ts'
import type { HistoryRemoval, Table } from './table.ts'

/** Each of up to 128 changes, mostly those of one batch. */
const LISTS_PER_SLICE = 4
/** How long it rests for the time that a slice took. */
const RESTS = 4
/** Under writes it rests less, if it must: so many changes are looked at for each that is made meanwhile. */
const LOOKS_PER_CHANGE = 1.25

export interface HistoryOptions {
  readonly engine: Engine
  /** For messages: where this state is. */
  readonly where: string
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
  readonly remove: (removal: HistoryRemoval) => void
  readonly onFailure: (error: unknown) => void
}

interface Tombstone {
  readonly key: KeyString
  readonly at: RevisionId
}

/** What a slice found in the lists. */
interface Slice {
  readonly records: RevisionId[]
  /** Those below C. */
  readonly tombstones: Tombstone[]
  readonly purgedLists: RevisionId[]
  progress: RevisionId
  changes: number
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
      (changes) => this.#finished(changes, clock.now() - began.atMs, previous && ratePerMs(previous, began)),
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

  #finished(changes: number, tookMs: number, changesPerMs = 0): void {
    this.#running = undefined
    if (this.#isStopped) return
    this.#rest = this.#options.clock.after(restMs(changes, tookMs, changesPerMs), () => {
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

  /** Returns how many changes were looked at. */
  async #slice(): Promise<number> {
    const { table, keys, remove } = this.#options
    const { records, tombstones, purgedLists, progress, changes } = await this.#read()
    const mark = table.mark()
    try {
      const pointers = await keys.pointers(tombstones.map(({ key }) => key))
      // Decided now, against the table: nothing can come between this look and the removal.
      const gone = tombstones.filter(({ key, at }, index) => {
        const newer = table.find(key, mark)
        const pointer = newer === undefined ? pointers[index] : newer.pointer
        return pointer !== undefined && isSameChange(pointer.at, at)
      })
      if (this.#isStopped) return changes
      this.#progress = progress
      remove({ records, keys: gone.map(({ key }) => key), purgedLists, progress })
      return changes
    } finally {
      table.release(mark)
    }
  }

  async #read(): Promise<Slice> {
    const { engine, gate, where } = this.#options
    const limit = this.#limit
    const range = engine.range({ ...purgeListsFrom(this.#progress), snapshot: undefined })
    try {
      const rows = await gate.run(() => range.next(LISTS_PER_SLICE))
      return sliceOf(rows, where, this.#progress, limit)
    } finally {
      await range.close()
    }
  }
}

/** What the lists say of the changes from one on that are below the limit. */
function sliceOf(lists: readonly EngineRow[], where: string, from: RevisionId, limit: Revision): Slice {
  const end = { revision: limit, sub: 0 }
  const slice: Slice = { records: [], tombstones: [], purgedLists: [], progress: end, changes: 0 }
  for (const [key, stored] of lists) {
    const items = decode(where, key, stored, readPurgeList)
    for (const { at, replaced, tombstoneOf } of items) {
      if (at.revision >= limit) return { ...slice, progress: end }
      // A list that was not below the limit as a whole is met again.
      if (isRevisionBefore(at, from)) continue
      slice.changes++
      if (replaced !== undefined) slice.records.push(replaced)
      if (tombstoneOf === undefined) continue
      slice.records.push(at)
      slice.tombstones.push({ key: tombstoneOf, at })
    }
    const last = items.at(-1)!.at
    slice.purgedLists.push(last)
    slice.progress = { revision: last.revision, sub: last.sub + 1 }
  }
  return slice
}

interface Moment {
  readonly atMs: number
  readonly changes: number
}

const ratePerMs = (from: Moment, to: Moment): number => (to.changes - from.changes) / Math.max(1, to.atMs - from.atMs)

/** How long the walk rests after a slice of so many changes, while so many others are made in a millisecond. */
export function restMs(changes: number, tookMs: number, changesPerMs: number): number {
  const dueMs = changesPerMs === 0 ? Infinity : changes / (LOOKS_PER_CHANGE * changesPerMs) - tookMs
  return Math.max(1, Math.min(RESTS * tookMs, dueMs))
}
