// A node's disk in memory: the log with its hard state, and the state that the state machine has made durable. It follows the
// contract of the real ones: a write is all or nothing, a lower first index supersedes, a snapshot restarts the log.
import type { RaftInit } from '../../../src/raft/index.ts'
import { ORIGIN } from '../../../src/raft/index.ts'
import type { ConfState, Entry, EntryId, HardState, LogSlice, SnapshotMeta, Write } from '../../../src/raft/index.ts'

export class Disk {
  hardState: HardState = { term: 0, votedFor: undefined, commitIndex: 0 }
  base: EntryId = ORIGIN
  entries: Entry[] = []
  /** What survives of the state machine. */
  state: SnapshotMeta

  constructor(confState: ConfState) {
    this.state = { ...ORIGIN, confState }
  }

  get last(): EntryId {
    return this.entries.at(-1) ?? this.base
  }

  termAt(index: number): number | undefined {
    return index === this.base.index ? this.base.term : this.entries[index - this.base.index - 1]?.term
  }

  append(write: Write): void {
    if (write.hardState !== undefined) this.hardState = write.hardState
    if (write.snapshot !== undefined) this.#restart(write.snapshot)
    const first = write.entries[0]
    if (first === undefined) return
    if (first.index > this.last.index + 1)
      throw new Error(`a hole before ${first.index}, the log ends at ${this.last.index}`)
    this.entries.splice(first.index - this.base.index - 1)
    this.entries.push(...write.entries)
  }

  /** Drops entries up to `index`, which the state covers. */
  compactTo(index: number): void {
    const term = this.termAt(index)
    if (term === undefined || index > this.state.index) throw new Error(`cannot compact to ${index}`)
    this.entries.splice(0, index - this.base.index)
    this.base = { term, index }
  }

  read(first: number, last: number, bytesMax: number): LogSlice | undefined {
    const prevTerm = this.termAt(first - 1)
    if (first <= this.base.index || prevTerm === undefined) return undefined
    let bytes = 0
    const entries = this.entries.filter((entry) => {
      if (entry.index < first || entry.index > last) return false
      bytes += entry.data.length + 64
      return entry.index === first || bytes <= bytesMax
    })
    return { prev: { term: prevTerm, index: first - 1 }, entries }
  }

  /** What recovery would hand to the core. */
  recover(): RaftInit {
    const { hardState, base, entries, state } = this
    const common = { hardState, confState: state.confState, appliedIndex: state.index }
    if (state.index < base.index) return { ...common, base, entries, standing: 'stateless' }
    if (this.termAt(state.index) === state.term) return { ...common, base, entries: [...entries], standing: 'full' }
    // The log has lost what the state has applied: the state acts as the marker, and the log restarts from it.
    this.base = { term: state.term, index: state.index }
    this.entries = []
    const term = Math.max(hardState.term, state.term)
    return { ...common, hardState: { ...hardState, term }, base: this.base, entries: [], standing: 'amnesiac' }
  }

  #restart(snapshot: SnapshotMeta): void {
    const isHeld = this.termAt(snapshot.index) === snapshot.term
    this.entries = isHeld ? this.entries.filter((entry) => entry.index > snapshot.index) : []
    this.base = { term: snapshot.term, index: snapshot.index }
    this.state = snapshot
  }
}
