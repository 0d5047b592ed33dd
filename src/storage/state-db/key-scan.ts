// A walk over the keys of a range, upward or downward: the pinned database and the pinned parts of the table merged, each key
// once, with what the newest of them says. It skips ahead on demand, because a million keys below one prefix must not be walked.
import { isEmptyRange } from '../../api/ranges.ts'
import type { KeyRange } from '../../api/commands.ts'
import type { KeyString } from '../../lib/bytes.ts'
import type { Engine, EngineRange, EngineRow, EngineSnapshot } from './engine.ts'
import { decodeStored } from './decode-stored.ts'
import { pointerRange, userKeyOf } from './keys.ts'
import { lowerBound } from './overlay.ts'
import type { Overlay } from './overlay.ts'
import { decodePointer } from './record-codec.ts'
import type { Slot } from './slot.ts'

/** Rows of one call of the engine, if as many are wanted: to take over and to decode them costs most of a millisecond. */
const ROWS_MAX = 256
/** After a leap the next group may have to be leapt over as well. */
const ROWS_AFTER_LEAP = 32

export interface ScanSource {
  readonly engine: Engine
  readonly snapshot: EngineSnapshot
  /** Newest first. */
  readonly layers: readonly Overlay[]
  /** For messages: where this state is. */
  readonly where: string
  /** Runs a call of the engine when its turn comes. */
  readonly run: <T>(call: () => Promise<T>) => Promise<T>
  /** Lets others have their turn. */
  readonly pause: () => Promise<void>
}

/** A key and its latest change in the state that is walked; maybe a tombstone. */
export interface ScannedKey {
  readonly key: KeyString
  readonly slot: Slot
}

export class KeyScan {
  readonly #source: ScanSource
  readonly #isReverse: boolean
  readonly #disk: DiskCursor
  /** Newest first; the disk is the last. */
  readonly #cursors: readonly Cursor[]

  constructor(source: ScanSource, range: KeyRange, isReverse: boolean) {
    this.#source = source
    this.#isReverse = isReverse
    this.#disk = new DiskCursor(source, range, isReverse)
    const layers = isEmptyRange(range) ? [] : source.layers
    this.#cursors = [...layers.map((layer) => new LayerCursor(layer, range, isReverse)), this.#disk]
  }

  /** The next keys, at most `keysMax`; none at the end only. Always lets others have their turn. */
  async next(keysMax: number): Promise<readonly ScannedKey[]> {
    if (this.#disk.isDry) await this.#disk.fetch(keysMax)
    else await this.#source.pause()
    const found: ScannedKey[] = []
    while (found.length < keysMax) {
      // Without the disk's next key it cannot be told which one comes first.
      if (this.#disk.isDry) {
        if (found.length > 0) break
        await this.#disk.fetch(keysMax)
        continue
      }
      const next = this.#take()
      if (next === undefined) break
      found.push(next)
    }
    return found
  }

  /** Leaves out what is left below `bound`; downward, what is left at or above it. */
  leap(bound: KeyString): void {
    for (const cursor of this.#cursors) cursor.leap(bound)
  }

  async close(): Promise<void> {
    await this.#disk.close()
  }

  #take(): ScannedKey | undefined {
    let key: KeyString | undefined
    for (const { head } of this.#cursors) {
      if (head !== undefined && (key === undefined || (this.#isReverse ? head > key : head < key))) key = head
    }
    if (key === undefined) return undefined
    let slot: Slot | undefined
    for (const cursor of this.#cursors) {
      if (cursor.head !== key) continue
      slot ??= cursor.slot()
      cursor.advance()
    }
    return { key, slot: slot! }
  }
}

interface Cursor {
  /** The next key; undefined at the end, or when the next rows are still to be fetched. */
  readonly head: KeyString | undefined
  slot(): Slot
  advance(): void
  leap(bound: KeyString): void
}

class LayerCursor implements Cursor {
  readonly #layer: Overlay
  readonly #isReverse: boolean
  /** What is left: from `low` on, below `high`. */
  #low: number
  #high: number
  head: KeyString | undefined

  constructor(layer: Overlay, range: KeyRange, isReverse: boolean) {
    this.#layer = layer
    this.#isReverse = isReverse
    this.#low = lowerBound(layer.keys, range.from)
    this.#high = range.to === undefined ? layer.keys.length : lowerBound(layer.keys, range.to)
    this.head = this.#head()
  }

  slot(): Slot {
    return this.#layer.slots[this.#at()]!
  }

  advance(): void {
    if (this.#isReverse) this.#high--
    else this.#low++
    this.head = this.#head()
  }

  leap(bound: KeyString): void {
    const at = lowerBound(this.#layer.keys, bound)
    if (this.#isReverse) this.#high = Math.min(this.#high, at)
    else this.#low = Math.max(this.#low, at)
    this.head = this.#head()
  }

  #at(): number {
    return this.#isReverse ? this.#high - 1 : this.#low
  }

  #head(): KeyString | undefined {
    return this.#low < this.#high ? this.#layer.keys[this.#at()] : undefined
  }
}

class DiskCursor implements Cursor {
  readonly #source: ScanSource
  readonly #isReverse: boolean
  /** What no row was fetched of yet. */
  #rest: KeyRange
  #range: EngineRange | undefined
  #rows: readonly EngineRow[] = []
  #at = 0
  #isOver: boolean
  #rowsMax = ROWS_MAX
  /** The walk in the engine has to begin anew: the rest is not where it stands. */
  #mustSeek = false
  head: KeyString | undefined

  constructor(source: ScanSource, range: KeyRange, isReverse: boolean) {
    this.#source = source
    this.#rest = range
    this.#isReverse = isReverse
    this.#isOver = isEmptyRange(range)
  }

  get isDry(): boolean {
    return this.head === undefined && !this.#isOver
  }

  slot(): Slot {
    const [key, stored] = this.#rows[this.#at]!
    return { pointer: decodeStored(this.#source.where, key, stored, decodePointer), record: undefined }
  }

  advance(): void {
    this.#at++
    this.#settle()
  }

  leap(bound: KeyString): void {
    while (this.head !== undefined && (this.#isReverse ? this.head >= bound : this.head < bound)) this.advance()
    if (!this.isDry) return
    const { from, to } = this.#rest
    this.#rest = this.#isReverse ? { from, to: bound } : { from: bound, to }
    this.#isOver = isEmptyRange(this.#rest)
    this.#rowsMax = ROWS_AFTER_LEAP
    this.#mustSeek = true
  }

  /** No more than are wanted: the walk of a page ends with it. */
  async fetch(rowsWanted: number): Promise<void> {
    const { engine, snapshot, run } = this.#source
    if (this.#mustSeek) await this.close()
    this.#mustSeek = false
    this.#range ??= engine.range({ ...pointerRange(this.#rest), snapshot, isReverse: this.#isReverse })
    const range = this.#range
    this.#rows = await run(() => range.next(Math.min(this.#rowsMax, rowsWanted)))
    this.#rowsMax = Math.min(this.#rowsMax * 2, ROWS_MAX)
    this.#at = 0
    this.#isOver = this.#rows.length === 0
    this.#settle()
  }

  async close(): Promise<void> {
    const range = this.#range
    this.#range = undefined
    await range?.close()
  }

  #settle(): void {
    const row = this.#rows[this.#at]
    this.head = row === undefined ? undefined : userKeyOf(row[0])
  }
}
