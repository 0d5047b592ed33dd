// The log as the core sees it: a tail of entries in memory and the indices that say what became of them. Entries below the
// tail are on disk or compacted; their terms are unknown here, which is never the same as 0.
//
//            base            applied   emitted      commit              last
//   ··········|··················|---------|-----------|-------------------|
//     disk        applied           handed    agreed       may be superseded
//                                   out
//
// `persistedIndex` lies anywhere above `emitted`: on a leader it may trail the commit index, since the others can be faster.
import { assert, present } from '../lib/assert.ts'
import type { Entry, EntryId, LogIndex, Term } from './types.ts'

/** What an entry costs in memory beyond its data, roughly. */
const ENTRY_OVERHEAD_BYTES = 64

/** Places of dropped entries stay in the array until there are this many: shifting an array costs its length. */
const COMPACT_AFTER = 1024
/** What is in such a place: the entry itself would keep its data in memory, of which a thousand entries can have a gigabyte. */
const DROPPED: Entry = { term: 0, index: 0, kind: 'normal', data: new Uint8Array(0) }

export const entryBytes = (entry: Entry): number => entry.data.length + ENTRY_OVERHEAD_BYTES

export class RaftLog {
  #base: EntryId
  /** Entries from `#head` on are live; before it are places of dropped ones. */
  #entries: Entry[]
  #head = 0
  #commitIndex: LogIndex
  #persistedIndex: LogIndex
  #appliedIndex: LogIndex
  #emittedIndex: LogIndex
  /** What the write in flight will have made durable, as far as it was not superseded since. */
  #writingIndex: LogIndex = 0
  #bytes = 0
  #unappliedBytes = 0
  #uncommittedBytes = 0

  /** All of `entries` are durable. Commit restarts at what was applied: a recorded commit index is only a hint. */
  constructor(base: EntryId, entries: readonly Entry[], appliedIndex: LogIndex) {
    this.#base = base
    this.#entries = [...entries]
    this.#persistedIndex = this.lastIndex
    this.#appliedIndex = appliedIndex
    this.#emittedIndex = appliedIndex
    this.#commitIndex = Math.max(appliedIndex, base.index)
    for (const entry of entries) this.#bytes += entryBytes(entry)
    this.#recount()
  }

  /** The entry before the first one in memory. */
  get base(): EntryId {
    return this.#base
  }

  get lastIndex(): LogIndex {
    return this.#base.index + this.#entries.length - this.#head
  }

  get last(): EntryId {
    const entry = this.#entries.length > this.#head ? this.#entries[this.#entries.length - 1]! : this.#base
    return { term: entry.term, index: entry.index }
  }

  get commitIndex(): LogIndex {
    return this.#commitIndex
  }

  /** Highest entry durable here. */
  get persistedIndex(): LogIndex {
    return this.#persistedIndex
  }

  get appliedIndex(): LogIndex {
    return this.#appliedIndex
  }

  /** Highest entry handed out to be applied. */
  get emittedIndex(): LogIndex {
    return this.#emittedIndex
  }

  /** Bytes in memory. */
  get bytes(): number {
    return this.#bytes
  }

  /** Bytes in memory that are committed and not yet applied. */
  get unappliedBytes(): number {
    return this.#unappliedBytes
  }

  /** Bytes beyond the commit index. */
  get uncommittedBytes(): number {
    return this.#uncommittedBytes
  }

  /** Undefined when unknown: beyond the log, or no longer in memory. */
  termAt(index: LogIndex): Term | undefined {
    return index === this.#base.index ? this.#base.term : this.#at(index)?.term
  }

  /** True when a log that ends with `last` has at least what this one has (§3.6.1). */
  isUpToDate(last: EntryId): boolean {
    const own = this.last
    return last.term > own.term || (last.term === own.term && last.index >= own.index)
  }

  /** Entries from `first` on, as far as `bytesMax` reaches, at least one if there is one. */
  slice(first: LogIndex, bytesMax: number): readonly Entry[] {
    assert(first > this.#base.index, `entry ${first} is wanted, memory begins after ${this.#base.index}`)
    const start = this.#position(first)
    let bytes = 0
    let end = start
    while (end < this.#entries.length) {
      bytes += entryBytes(this.#entries[end]!)
      if (bytes > bytesMax && end > start) break
      end++
    }
    return this.#entries.slice(start, end)
  }

  /**
   * The largest index up to `index` whose term is at most `term`: entries above it cannot agree with a log that has `term`
   * at `index` (the fast backtracking of §3.5). Below memory everything is committed, so there the answer is `index` itself
   * or the end of what is unknown.
   */
  lastWithTermAtMost(index: LogIndex, term: Term): LogIndex {
    let low = this.#base.index
    let high = Math.min(index, this.lastIndex)
    if (high <= low) return high
    while (low < high) {
      const middle = Math.ceil((low + high) / 2)
      if (this.#at(middle)!.term <= term) low = middle
      else high = middle - 1
    }
    return low
  }

  /** Appends at the end: what a leader does with its own log, and the only thing (Leader Append-Only, §3.6.3). */
  append(entry: Entry): void {
    assert(entry.index === this.lastIndex + 1, `entry ${entry.index} is appended after ${this.lastIndex}`)
    this.#push(entry)
  }

  /**
   * Makes the log agree with entries that follow an entry known to match. Entries already held are skipped, not rewritten:
   * a late or short message must not truncate a longer log that agrees (§3.5).
   */
  reconcile(entries: readonly Entry[]): void {
    for (const entry of entries) {
      const held = this.termAt(entry.index)
      if (held === entry.term) continue
      if (held !== undefined) this.#truncateFrom(entry.index)
      this.append(entry)
    }
  }

  commitTo(index: LogIndex): void {
    assert(
      index <= this.lastIndex,
      `commit index ${index} is beyond the last entry ${this.lastIndex}: was the log truncated or lost?`,
    )
    while (this.#commitIndex < index) {
      this.#commitIndex++
      const bytes = entryBytes(this.#entries[this.#position(this.#commitIndex)]!)
      this.#uncommittedBytes -= bytes
      this.#unappliedBytes += bytes
    }
  }

  /** What the next write should contain; empty when everything is durable. Ends the write before with `endWrite`. */
  beginWrite(bytesMax: number): readonly Entry[] {
    const entries = this.#persistedIndex < this.lastIndex ? this.slice(this.#persistedIndex + 1, bytesMax) : []
    this.#writingIndex = this.#persistedIndex + entries.length
    return entries
  }

  /** The write begun last is durable. What was superseded while it was in flight does not count. */
  endWrite(): void {
    this.#persistedIndex = Math.max(this.#persistedIndex, this.#writingIndex)
  }

  /** The highest index that the write in flight covers. */
  get writingIndex(): LogIndex {
    return this.#writingIndex
  }

  /** Committed and durable entries not handed out before, each exactly once. */
  takeCommitted(): readonly Entry[] | undefined {
    const through = Math.min(this.#commitIndex, this.#persistedIndex)
    if (through <= this.#emittedIndex) return undefined
    const entries = this.#entries.slice(this.#position(this.#emittedIndex + 1), this.#position(through) + 1)
    this.#emittedIndex = through
    return entries
  }

  /** The state machine has executed entries up to `index`. An index from before an installed snapshot is old news. */
  appliedTo(index: LogIndex, memoryBytesMax: number): void {
    assert(
      index <= this.#emittedIndex,
      `applied ${index}, but entries were handed out only up to ${this.#emittedIndex}`,
    )
    while (this.#appliedIndex < index) {
      this.#appliedIndex++
      this.#unappliedBytes -= entryBytes(this.#entries[this.#position(this.#appliedIndex)]!)
    }
    this.#evict(memoryBytesMax)
  }

  /**
   * The state was replaced by the one after entry `state`. The suffix stays if the log holds exactly that entry, and goes
   * altogether otherwise (§5.3): half of a log that disagrees with a committed entry is worth nothing.
   */
  restore(state: EntryId): void {
    if (this.termAt(state.index) === state.term) {
      this.#persistedIndex = Math.max(this.#persistedIndex, state.index)
    } else {
      assert(
        state.index > this.#commitIndex,
        `state ${state.index}@${state.term} contradicts the committed log up to ${this.#commitIndex}`,
      )
      this.#base = { term: state.term, index: state.index }
      this.#entries = []
      this.#head = 0
      this.#bytes = 0
      this.#persistedIndex = state.index
    }
    this.#writingIndex = Math.min(this.#writingIndex, this.#persistedIndex)
    this.#commitIndex = Math.max(this.#commitIndex, state.index)
    this.#appliedIndex = state.index
    this.#emittedIndex = state.index
    this.#recount()
  }

  #at(index: LogIndex): Entry | undefined {
    return index > this.#base.index ? this.#entries[this.#position(index)] : undefined
  }

  #position(index: LogIndex): number {
    return this.#head + index - this.#base.index - 1
  }

  #push(entry: Entry): void {
    const bytes = entryBytes(entry)
    this.#entries.push(entry)
    this.#bytes += bytes
    this.#uncommittedBytes += bytes
  }

  #truncateFrom(index: LogIndex): void {
    assert(
      index > this.#commitIndex,
      `entry ${index} would be truncated, but entries up to ${this.#commitIndex} are committed`,
    )
    for (const entry of this.#entries.splice(this.#position(index))) {
      this.#bytes -= entryBytes(entry)
      this.#uncommittedBytes -= entryBytes(entry)
    }
    this.#persistedIndex = Math.min(this.#persistedIndex, index - 1)
    this.#writingIndex = Math.min(this.#writingIndex, index - 1)
  }

  /** Drops applied entries from the front while memory is short. Slow peers get them from disk. */
  #evict(memoryBytesMax: number): void {
    while (this.#bytes > memoryBytesMax && this.#base.index < this.#appliedIndex) {
      const entry = present(this.#entries[this.#head], 'the entry to evict')
      this.#bytes -= entryBytes(entry)
      this.#base = { term: entry.term, index: entry.index }
      this.#entries[this.#head] = DROPPED
      this.#head++
    }
    if (this.#head < COMPACT_AFTER || this.#head * 2 < this.#entries.length) return
    this.#entries = this.#entries.slice(this.#head)
    this.#head = 0
  }

  #recount(): void {
    this.#unappliedBytes = 0
    this.#uncommittedBytes = 0
    for (let at = this.#head; at < this.#entries.length; at++) {
      const entry = this.#entries[at]!
      if (entry.index > this.#commitIndex) this.#uncommittedBytes += entryBytes(entry)
      else if (entry.index > this.#appliedIndex) this.#unappliedBytes += entryBytes(entry)
    }
  }
}
