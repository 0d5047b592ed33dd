// Where each entry of the log is on disk: extents (runs of entries in one frame) and runs of equal terms, so that the cost in
// memory is that of frames and not of entries. The same class replays a log at recovery and follows it afterwards.
import { assert } from '../../lib/assert.ts'
import type { Entry, EntryId, LogIndex, SnapshotMeta, Term } from '../../raft/index.ts'
import type { Segment } from './segment-files.ts'

export interface FrameLocation {
  readonly segment: Segment
  readonly offset: number
  readonly bodyBytes: number
  readonly bodyChecksum: number
  /** The body checksum of the frame before, which seeds this one's. */
  readonly chain: number
}

export interface Extent {
  readonly first: LogIndex
  readonly last: LogIndex
  /** Undefined for entries that a segment's start speaks of and that have not been seen: lost, unless not needed. */
  readonly frame: FrameLocation | undefined
}

/** What precedes the first entry of a new cluster's log. (Only types come from the core.) */
export const ORIGIN: EntryId = { term: 0, index: 0 }

const UNKNOWN_TERM = -1

export class LogPositions {
  #marker: SnapshotMeta | undefined
  #extents: Extent[] = []
  /** Ascending; each run goes on to the next one's index. The first begins right above the marker, or at it. */
  #terms: { readonly index: LogIndex; readonly term: Term }[] = []
  #last: EntryId = ORIGIN

  get marker(): SnapshotMeta | undefined {
    return this.#marker
  }

  /** What precedes the first entry. */
  get base(): EntryId {
    return this.#marker ?? ORIGIN
  }

  get last(): EntryId {
    return this.#last
  }

  /** The extents of the entries above the marker. */
  get extents(): readonly Extent[] {
    return this.#extents
  }

  /** Of the marker itself or any entry above it; undefined when not held. */
  termAt(index: LogIndex): Term | undefined {
    if (index === this.base.index) return this.base.term
    if (index < this.base.index || index > this.#last.index) return undefined
    let low = 0
    for (let high = this.#terms.length - 1; low < high;) {
      const middle = (low + high + 1) >> 1
      if (this.#terms[middle]!.index <= index) low = middle
      else high = middle - 1
    }
    return this.#terms[low]!.term
  }

  holds(id: EntryId): boolean {
    return this.termAt(id.index) === id.term
  }

  /** Begins in the middle: with what a segment's first frame says about the log before it. */
  begin(marker: SnapshotMeta | undefined, last: EntryId): void {
    assert(this.#extents.length === 0 && this.#last === ORIGIN, 'positions begin once')
    this.#marker = marker
    this.#last = last
    if (last.index === this.base.index) return
    this.#extents.push({ first: this.base.index + 1, last: last.index, frame: undefined })
    this.#terms.push({ index: this.base.index + 1, term: UNKNOWN_TERM }, { index: last.index, term: last.term })
  }

  /** Entries were written, superseding any suffix from the first of them on (§3.5). */
  append(entries: readonly Entry[], frame: FrameLocation): void {
    const first = entries[0]!.index
    this.#supersedeFrom(first)
    for (const { index, term } of entries) {
      if (this.#terms.at(-1)?.term !== term) this.#terms.push({ index, term })
    }
    const { index, term } = entries.at(-1)!
    this.#extents.push({ first, last: index, frame })
    this.#last = { index, term }
  }

  /** Forgets entries up to the marker, which the log holds. */
  compactTo(marker: SnapshotMeta): void {
    const isAtEnd = marker.index === this.#last.index
    const extents: Extent[] = []
    for (const extent of this.#extents) {
      if (extent.last <= marker.index) continue
      extents.push(extent.first > marker.index ? extent : { ...extent, first: marker.index + 1 })
    }
    // The run that covers the first entry above the marker stays; the ones before it go.
    while (this.#terms.length > 1 && this.#terms[1]!.index <= marker.index + 1) this.#terms.shift()
    if (isAtEnd) this.#terms = []
    this.#extents = extents
    this.#marker = marker
  }

  /** The log restarts from the marker, with the suffix above it or with nothing. */
  restart(marker: SnapshotMeta, keepsSuffix: boolean): void {
    if (keepsSuffix) return this.compactTo(marker)
    this.#extents = []
    this.#terms = []
    this.#marker = marker
    this.#last = { term: marker.term, index: marker.index }
  }

  /** The lost entries that are still needed; undefined when the log is whole. */
  missing(): Extent | undefined {
    return this.#extents.find((extent) => extent.frame === undefined)
  }

  /** Extents that overlap [first, last], in order. */
  overlapping(first: LogIndex, last: LogIndex): Extent[] {
    let low = 0
    for (let high = this.#extents.length; low < high;) {
      const middle = (low + high) >> 1
      if (this.#extents[middle]!.last < first) low = middle + 1
      else high = middle
    }
    const found: Extent[] = []
    for (let at = low; at < this.#extents.length && this.#extents[at]!.first <= last; at++) {
      found.push(this.#extents[at]!)
    }
    return found
  }

  #supersedeFrom(first: LogIndex): void {
    assert(
      first > this.base.index && first <= this.#last.index + 1,
      `entries from ${first} do not continue a log of (${this.base.index}, ${this.#last.index}]`,
    )
    if (first > this.#last.index) return
    for (
      let extent = this.#extents.at(-1);
      extent !== undefined && extent.last >= first;
      extent = this.#extents.at(-1)
    ) {
      this.#extents.pop()
      if (extent.first < first) this.#extents.push({ ...extent, last: first - 1 })
    }
    while (this.#terms.length > 0 && this.#terms.at(-1)!.index >= first) this.#terms.pop()
    this.#last = { index: first - 1, term: this.#terms.at(-1)?.term ?? this.base.term }
  }
}
