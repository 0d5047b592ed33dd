// The log of the core as a user of memory. What it says of terms and indices is tested through the core.
import { describe, expect, it } from 'vitest'
import { entryBytes, RaftLog } from '../../src/raft/log.ts'
import type { Entry } from '../../src/raft/types.ts'
import { countHeld } from '../support/memory.ts'

const DATA_BYTES = 1_000
const KEPT = 10

/** Appends, makes durable, commits and applies entries, and returns weak references to their data. */
function live(log: RaftLog, count: number, memoryBytesMax: number): WeakRef<object>[] {
  const first = log.lastIndex + 1
  const references = Array.from({ length: count }, (_, nth) => {
    const entry: Entry = { term: 1, index: first + nth, kind: 'normal', data: Buffer.alloc(DATA_BYTES) }
    log.append(entry)
    return new WeakRef(entry.data)
  })
  log.beginWrite(Infinity)
  log.endWrite()
  log.commitTo(log.lastIndex)
  log.takeCommitted()
  log.appliedTo(log.lastIndex, memoryBytesMax)
  return references
}

describe('the log in memory', () => {
  it('L19: lets go of the data of applied entries beyond its bound, at once and however few they are', async () => {
    const log = new RaftLog({ term: 0, index: 0 }, [], 0)
    const bytesMax = KEPT * entryBytes({ term: 1, index: 1, kind: 'normal', data: Buffer.alloc(DATA_BYTES) })
    const references = live(log, 100, bytesMax)
    expect(await countHeld(references)).toBe(KEPT)
    expect(log.bytes).toBe(bytesMax)
    expect(log.slice(log.base.index + 1, Infinity).map(({ index }) => index)).toEqual([
      91, 92, 93, 94, 95, 96, 97, 98, 99, 100,
    ])
  })

  it('keeps its places apart from its entries when the places are given up', async () => {
    const log = new RaftLog({ term: 0, index: 0 }, [], 0)
    const bytesMax = KEPT * (DATA_BYTES + 64)
    const references: WeakRef<object>[] = []
    for (let round = 0; round < 30; round++) references.push(...live(log, 100, bytesMax))
    expect(await countHeld(references)).toBe(KEPT)
    expect(log.base).toEqual({ term: 1, index: 2_990 })
    expect(log.lastIndex).toBe(3_000)
    expect(log.termAt(2_991)).toBe(1)
    expect(log.termAt(2_989)).toBe(undefined)
  })
})
