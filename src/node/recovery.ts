// After a restart: what the log and the state say of each other, and what this node may therefore do (design, sections 5 and 6).
// The state's applied entry is the log's witness: a log without it has lost entries that were acknowledged.
import type { EntryId, HardState, LogIndex, RaftInit, SnapshotMeta, Standing, Term } from '../raft/index.ts'
import type { Logger, RaftStorage, StateStorage } from './ports.ts'

export interface Recovery {
  readonly init: RaftInit
  /** The log must restart from this before the node takes part: the state is ahead of it. */
  readonly marker: SnapshotMeta | undefined
  /** The pointer's note is about exactly the marker above, or about one that the log already has: clear it then. */
  readonly isMarkerPending: boolean
}

export function recover(log: RaftStorage, states: StateStorage, isAmnesiac: boolean, logger: Logger): Recovery {
  const { hardState, tail, marker } = log.recovered
  const state = states.current
  const applied: EntryId = state.meta
  const confState = state.configuration.confState
  const lastIndex = tail.prev.index + tail.entries.length
  const pending = states.pendingMarker
  const isMarkerPending = pending !== undefined

  if (holds(log, applied)) {
    const isStateless = applied.index < tail.prev.index
    if (isStateless && isAmnesiac) {
      throw new Error(
        `the log has lost entries that this node acknowledged, and its state at ${applied.index} is older than the log, which ` +
          `begins after ${tail.prev.index}: nothing here can be trusted. Restore this data directory, or replace this member`,
      )
    }
    const standing: Standing = isStateless ? 'stateless' : isAmnesiac ? 'amnesiac' : 'full'
    if (isStateless) {
      logger.error(
        { appliedIndex: applied.index, logFirstIndex: tail.prev.index + 1 },
        'the state is older than the log reaches back: this node asks the leader for a snapshot',
      )
    }
    const init: RaftInit = {
      hardState: witnessed(hardState, applied, tail.prev, lastIndex),
      base: tail.prev,
      entries: tail.entries,
      confState,
      appliedIndex: applied.index,
      standing,
    }
    return { init, marker: undefined, isMarkerPending }
  }

  const isSwapUnfinished = pending !== undefined && pending.index === applied.index && pending.term === applied.term
  if (!isSwapUnfinished) {
    logger.error(
      { appliedIndex: applied.index, appliedTerm: applied.term, logLastIndex: lastIndex, markerIndex: marker?.index },
      'the log has lost entries that this node acknowledged: it will not vote until it has caught up with the leader',
    )
  }
  const restart: SnapshotMeta = { index: applied.index, term: applied.term, confState }
  const init: RaftInit = {
    hardState: witnessed(hardState, applied, applied, applied.index),
    base: { index: applied.index, term: applied.term },
    entries: [],
    confState,
    appliedIndex: applied.index,
    standing: isSwapUnfinished && !isAmnesiac ? 'full' : 'amnesiac',
  }
  return { init, marker: restart, isMarkerPending }
}

/** Does the log hold this entry, or start right after it? What lies before its first entry it cannot deny. */
function holds(log: RaftStorage, id: EntryId): boolean {
  const { tail } = log.recovered
  const term = termAt(tail.prev, tail.entries, id.index)
  if (term !== undefined) return term === id.term
  return id.index < tail.prev.index
}

function termAt(prev: EntryId, entries: readonly { readonly term: Term }[], index: LogIndex): Term | undefined {
  if (index === prev.index) return prev.term
  return entries[index - prev.index - 1]?.term
}

/**
 * An applied entry was committed, and its term was reached, whatever the hard state forgot of that. The commit index is a hint:
 * never above what the log still holds, never below what it has compacted.
 */
function witnessed(hardState: HardState, applied: EntryId, base: EntryId, lastIndex: LogIndex): HardState {
  const commitIndex = Math.max(Math.min(hardState.commitIndex, lastIndex), applied.index, base.index)
  if (hardState.term >= applied.term) return { ...hardState, commitIndex }
  return { term: applied.term, votedFor: undefined, commitIndex }
}
