// A short life of a log that meets everything: appends, truncation, switches of segments, compaction with recycling, a restart
// from a snapshot, votes. The crash tests stop it at every step and compare what is left with what was acknowledged.
import { isDeepStrictEqual } from 'node:util'

import type { LogWrite, RaftStorage } from '../../../src/node/ports.ts'
import type { HardState, SnapshotMeta } from '../../../src/raft/index.ts'
import { openMemoryRaftLog } from '../../../src/storage/wal/index.ts'
import { MemoryLogDisk } from '../../../src/storage/wal/memory-raft-log.ts'
import { contentOf, entries, hardState, marker, NODE_A, NODE_B, write } from '../support.ts'
import type { Content } from '../support.ts'

export interface Step {
  readonly name: string
  readonly compactTo?: SnapshotMeta
  readonly write: LogWrite
}

const step = (name: string, parts: Partial<LogWrite>, compactTo?: SnapshotMeta): Step => ({
  name,
  write: write(parts),
  ...(compactTo === undefined ? {} : { compactTo }),
})

export const HISTORY: readonly Step[] = [
  step('vote', { hardState: hardState(1, NODE_A) }),
  step('append', { entries: entries(1, 3, 1) }),
  step('large append', { entries: entries(4, 6, 1, { bytes: 900 }) }),
  step('another vote', { hardState: hardState(2, NODE_B, 4) }),
  step('truncation', { hardState: hardState(2, NODE_B, 4), entries: entries(5, 7, 2, { salt: 'new' }) }),
  step('segment switch', { entries: entries(8, 10, 2, { bytes: 2000 }) }),
  step('second switch', { entries: entries(11, 13, 2, { bytes: 2000 }) }),
  step('compaction', { hardState: hardState(2, NODE_B, 12), entries: entries(14, 14, 2) }, marker(11, 2)),
  step('onto a recycled segment', { entries: entries(15, 17, 2, { bytes: 2000 }) }),
  step('higher term', { hardState: hardState(5, undefined, 15) }),
  step('snapshot with suffix', { snapshot: marker(16, 2), hardState: hardState(5, undefined, 16) }),
  step('further', { entries: entries(18, 20, 5, { bytes: 2000 }) }),
  step('snapshot without suffix', { snapshot: marker(40, 6), hardState: hardState(6, undefined, 40) }),
  step('after the snapshot', { entries: entries(41, 43, 6, { bytes: 2000 }) }),
  step('vote and truncation', { hardState: hardState(7, NODE_A, 41), entries: entries(42, 42, 7) }),
  step('a further segment', { entries: entries(43, 45, 7, { bytes: 2000 }) }),
  step('and another', { entries: entries(46, 48, 7, { bytes: 2000 }) }),
  step('last vote', { hardState: hardState(8, NODE_B, 44), entries: entries(49, 49, 8) }),
]

export const SEGMENT_BYTES = 8 * 1024

/** Runs the history; resolves with the number of acknowledged steps when all are done or the disk fails. */
export async function live(log: RaftStorage, steps: readonly Step[] = HISTORY): Promise<number> {
  let acknowledged = 0
  for (const { compactTo, write } of steps) {
    try {
      if (compactTo !== undefined) log.compactTo(compactTo)
      await log.append(write)
    } catch {
      return acknowledged
    }
    acknowledged++
  }
  return acknowledged
}

/** What a log must hold after each number of steps. */
export async function expectedContents(): Promise<Content[]> {
  const disk = new MemoryLogDisk()
  const contents = [await contentOf(openMemoryRaftLog({ disk }))]
  for (const step of HISTORY) {
    const log = openMemoryRaftLog({ disk })
    await live(log, [step])
    contents.push(await contentOf(openMemoryRaftLog({ disk })))
  }
  return contents
}

export const sameLog = (a: Content, b: Content): boolean =>
  a.first === b.first && a.entries.join() === b.entries.join() && isDeepStrictEqual(a.marker, b.marker)

export const sameVote = (a: HardState, b: HardState): boolean => a.term === b.term && a.votedFor === b.votedFor
