// What a node's log on disk is known to hold: kept beside the real one from what was appended and acknowledged, so that claims
// about durability can be checked without asking the log itself, also across restarts.
import type { LogWrite, RecoveredLog } from '../../src/node/ports.ts'
import type { EntryId, HardState, LogIndex, Term } from '../../src/raft/index.ts'

export class LogMirror {
  /** What the log restarts after: it holds this entry, and everything before it is covered by the state. */
  base: EntryId = { index: 0, term: 0 }
  terms: Term[] = []
  hardState: HardState = { term: 0, votedFor: undefined, commitIndex: 0 }

  copy(): LogMirror {
    const copy = new LogMirror()
    copy.base = this.base
    copy.terms = [...this.terms]
    copy.hardState = this.hardState
    return copy
  }

  get last(): EntryId {
    const count = this.terms.length
    return count === 0 ? this.base : { index: this.base.index + count, term: this.terms[count - 1]! }
  }

  /** Undefined when beyond the log or covered by the state. */
  termAt(index: LogIndex): Term | undefined {
    return index === this.base.index ? this.base.term : this.terms[index - this.base.index - 1]
  }

  /** The entry, or a state that has it. */
  covers({ index, term }: EntryId): boolean {
    return index < this.base.index || this.termAt(index) === term
  }

  /** Says how many entries were superseded. */
  append({ hardState, entries, snapshot }: LogWrite): number {
    if (hardState !== undefined) this.hardState = hardState
    if (snapshot !== undefined) {
      const isKept = this.termAt(snapshot.index) === snapshot.term
      this.terms = isKept ? this.terms.slice(snapshot.index - this.base.index) : []
      this.base = { index: snapshot.index, term: snapshot.term }
    }
    const [first] = entries
    if (first === undefined) return 0
    const kept = first.index - this.base.index - 1
    const superseded = this.terms.length - kept
    this.terms.length = Math.max(0, Math.min(kept, this.terms.length))
    for (const { term } of entries) this.terms.push(term)
    return Math.max(0, superseded)
  }

  /** Why this is not what the disk can hold after a crash; undefined when it is. */
  contradiction({ hardState, tail }: RecoveredLog): string | undefined {
    const { term, votedFor } = this.hardState
    if (hardState.term < term) return `it forgot term ${term}: it is back in ${hardState.term}`
    if (hardState.term === term && votedFor !== undefined && hardState.votedFor !== votedFor)
      return `it forgot its vote for ${votedFor} in term ${term}`
    const lastIndex = tail.prev.index + tail.entries.length
    for (let index = Math.max(this.base.index, tail.prev.index); index <= this.last.index; index++) {
      const found = index === tail.prev.index ? tail.prev.term : tail.entries[index - tail.prev.index - 1]?.term
      if (found !== this.termAt(index))
        return `it lost entry ${index} of term ${this.termAt(index)}: it has term ${found}, and ends at ${lastIndex}`
    }
    return undefined
  }

  /** The same when the process ended during a write: all of it may have got to the disk, or nothing. */
  contradictionAfter(pending: LogWrite | undefined, recovered: RecoveredLog): string | undefined {
    const before = this.contradiction(recovered)
    if (pending === undefined) return before
    const whole = this.copy()
    whole.append(pending)
    const after = whole.contradiction(recovered)
    if (before !== undefined && after !== undefined) return before
    // A vote or term that is new came with the entries of its write.
    const isNew = !isSameVote(this.hardState, whole.hardState) && isSameVote(recovered.hardState, whole.hardState)
    return isNew && after !== undefined ? `only a part of its last write survived: ${after}` : undefined
  }

  recover({ hardState, tail }: RecoveredLog): void {
    this.hardState = hardState
    this.base = tail.prev
    this.terms = tail.entries.map(({ term }) => term)
  }
}

const isSameVote = (a: HardState, b: HardState): boolean => a.term === b.term && a.votedFor === b.votedFor
