// What one append means, decided before a byte is written: which records, in which order, and whether a restart keeps the
// suffix. The log on disk and the one in memory share it, so that they cannot differ.
import { assert } from '../../lib/assert.ts'
import type { LogWrite } from '../../node/ports.ts'
import type { EntryId, LogIndex, SnapshotMeta, Term } from '../../raft/index.ts'
import type { LogRecord } from './records.ts'

interface LogView {
  readonly base: EntryId
  readonly last: EntryId
  termAt(index: LogIndex): Term | undefined
}

/**
 * The records of a write, in the order in which they take effect. A snapshot takes effect before the entries that continue
 * it, and after entries that reach down to its index: those may be the very ones that it is compared with.
 */
export function planWrite(log: LogView, write: LogWrite, compaction: SnapshotMeta | undefined): LogRecord[] {
  const { hardState, entries, snapshot } = write
  const records: LogRecord[] = []
  if (hardState !== undefined) records.push({ kind: 'hard-state', hardState })
  if (entries.length > 0) checkContiguous(write)
  if (snapshot === undefined) {
    if (compaction !== undefined) records.push({ kind: 'compaction', marker: compaction })
    if (entries.length > 0) {
      checkContinues(log.last.index, (compaction ?? log.base).index, entries[0]!.index)
      records.push({ kind: 'entries', entries })
    }
    return records
  }
  const written = entries.length > 0 && entries[0]!.index <= snapshot.index ? entries : []
  const heldTerm = termAfter(log, written, snapshot.index)
  const keepsSuffix = heldTerm === snapshot.term
  if (written.length > 0) {
    checkContinues(log.last.index, log.base.index, written[0]!.index)
    records.push({ kind: 'entries', entries: written })
  }
  records.push({ kind: 'restart', marker: snapshot, keepsSuffix })
  if (entries.length > 0 && written.length === 0) {
    checkContinues(keepsSuffix ? log.last.index : snapshot.index, snapshot.index, entries[0]!.index)
    records.push({ kind: 'entries', entries })
  }
  return records
}

/** The term that the log will hold at an index once the entries are in it. */
function termAfter(log: LogView, entries: LogWrite['entries'], index: LogIndex): Term | undefined {
  const first = entries[0]?.index
  return first === undefined || index < first ? log.termAt(index) : entries[index - first]?.term
}

function checkContiguous({ entries }: LogWrite): void {
  const first = entries[0]!.index
  for (const [at, { index, term }] of entries.entries()) {
    assert(index === first + at, `entry ${index} is at place ${at} of a write from ${first}`)
    assert(at === 0 || term >= entries[at - 1]!.term, `entry ${index} of term ${term} follows a higher term`)
  }
}

function checkContinues(last: LogIndex, base: LogIndex, first: LogIndex): void {
  assert(first > base, `entries from ${first} would change what is compacted up to ${base}`)
  assert(first <= last + 1, `entries from ${first} leave a gap after ${last}`)
}

/** The marker to remember, or undefined when the log is compacted that far already. */
export function checkCompaction(log: LogView, marker: SnapshotMeta): SnapshotMeta | undefined {
  if (marker.index <= log.base.index) return undefined
  assert(marker.index <= log.last.index, `compaction to ${marker.index} beyond the end of the log at ${log.last.index}`)
  const term = log.termAt(marker.index)
  assert(term === marker.term, `the log holds term ${term} at ${marker.index}, not ${marker.term} as the marker says`)
  return marker
}
