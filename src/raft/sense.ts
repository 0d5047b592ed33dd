// Whether the numbers in a message make sense together. The transport has checked their shapes; what passes here can be
// handled without a second thought, and what does not is dropped as malformed.
import type { AppendEntries, AppendEntriesResponse, Heartbeat } from './messages.ts'
import type { EntryId, SnapshotMeta, Term } from './types.ts'

/** A term, an index or a round: a whole number that JavaScript can hold. */
export const isNatural = (value: number): boolean => Number.isSafeInteger(value) && value >= 0

/** Entries follow each other and `prev`; terms never fall, and none is beyond the sender's. */
export function isSensibleAppend(message: AppendEntries): boolean {
  const { prev, entries, term, commitIndex, lastIndex, readRound } = message
  if (![prev.index, prev.term, commitIndex, lastIndex, readRound].every(isNatural)) return false
  let before: EntryId = prev
  for (const entry of entries) {
    if (entry.index !== before.index + 1 || !isNatural(entry.term) || entry.term < before.term) return false
    before = entry
  }
  return before.term <= term && before.index <= lastIndex
}

export function isSensibleHeartbeat({ commitIndex, lastIndex, readRound }: Heartbeat): boolean {
  return [commitIndex, lastIndex, readRound].every(isNatural) && commitIndex <= lastIndex
}

export function isSensibleAnswer({ readRound, result }: AppendEntriesResponse): boolean {
  const indices = result.kind === 'accepted' ? [result.matchIndex] : [result.index, result.hint.index, result.hint.term]
  return isNatural(readRound) && indices.every(isNatural)
}

/** Names a state that some leader can have had by `term`. */
export function isSensibleSnapshot(snapshot: SnapshotMeta, term: Term): boolean {
  return isNatural(snapshot.index) && isNatural(snapshot.term) && snapshot.index > 0 && snapshot.term <= term
}
