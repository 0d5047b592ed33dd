// The exam of the RaftStorage port: what every log must do, on whatever it keeps its entries. Adapters pass a factory.
import { afterEach, beforeEach, describe, expect, test } from 'vitest'

import { Prng } from '../../src/lib/prng.ts'
import type { RaftStorage } from '../../src/node/ports.ts'
import type { Entry, LogIndex, SnapshotMeta } from '../../src/raft/index.ts'
import { confState, contentOf, describeEntry, entries, hardState, marker, NODE_A, NODE_B, write } from './support.ts'

export interface RaftStorageHarness {
  /** Opens what the log before wrote, which was closed. */
  open(keepFrom?: LogIndex): Promise<RaftStorage>
  dispose(): Promise<void>
}

const everything = { last: Number.MAX_SAFE_INTEGER, bytesMax: Infinity }

export function raftStorageSuite(name: string, makeHarness: () => Promise<RaftStorageHarness>): void {
  let harness: RaftStorageHarness
  let log: RaftStorage
  const restart = (snapshot: SnapshotMeta): Promise<void> => log.append(write({ snapshot }))
  const reopen = async (keepFrom?: LogIndex): Promise<RaftStorage> => {
    await log.close()
    log = await harness.open(keepFrom)
    return log
  }

  beforeEach(async () => {
    harness = await makeHarness()
    log = await harness.open()
  })
  afterEach(async () => {
    await log.close()
    await harness.dispose()
  })

  describe(`${name}: appending and reading`, () => {
    test('S12: a new log is empty and begins at the origin', async () => {
      expect(log.recovered).toEqual({
        hardState: hardState(0),
        marker: undefined,
        tail: { prev: { term: 0, index: 0 }, entries: [] },
      })
      expect(log.firstIndex).toBe(1)
      expect(await log.read({ first: 1, ...everything })).toEqual({ prev: { term: 0, index: 0 }, entries: [] })
      await reopen()
      expect(log.recovered.tail.entries).toEqual([])
      expect(log.recovered.hardState).toEqual(hardState(0))
    })

    test('what was appended is there after reopening, byte for byte', async () => {
      await log.append(write({ hardState: hardState(3, NODE_B, 2), entries: entries(1, 9, 3) }))
      await reopen()
      expect(log.recovered.hardState).toEqual(hardState(3, NODE_B, 2))
      expect(log.recovered.tail.prev).toEqual({ term: 0, index: 0 })
      expect(log.recovered.tail.entries.map(describeEntry)).toEqual(entries(1, 9, 3).map(describeEntry))
      expect((await contentOf(log)).entries).toEqual(entries(1, 9, 3).map(describeEntry))
    })

    test('an entry may be empty, or as large as a command can be', async () => {
      const empty: Entry = { index: 1, term: 1, kind: 'no-op', data: new Uint8Array(0) }
      const [large] = entries(2, 2, 1, { bytes: 2 * 1024 * 1024 + 100 })
      await log.append(write({ entries: [empty, large!] }))
      await log.append(write({ entries: entries(3, 3, 1) }))
      await reopen()
      const expected = [empty, large!, ...entries(3, 3, 1)].map(describeEntry)
      expect((await contentOf(log)).entries).toEqual(expected)
    })

    test('E1: term, vote and commit index survive without entries', async () => {
      await log.append(write({ hardState: hardState(1, NODE_A) }))
      await log.append(write({ hardState: hardState(2) }))
      await reopen()
      expect(log.recovered.hardState).toEqual(hardState(2))
      await log.append(write({ hardState: hardState(2, NODE_B) }))
      await reopen()
      expect(log.recovered.hardState).toEqual(hardState(2, NODE_B))
    })

    test('L18: a recovered commit index is the recorded one, and never beyond the log', async () => {
      await log.append(write({ hardState: hardState(1, undefined, 3), entries: entries(1, 4, 1) }))
      await reopen()
      expect(log.recovered.hardState.commitIndex).toBe(3)
      await log.append(write({ hardState: hardState(1, undefined, 9) }))
      await reopen()
      expect(log.recovered.hardState.commitIndex).toBe(4)
    })

    test('a read gives the range asked for, with the entry before it', async () => {
      await log.append(write({ entries: entries(1, 4, 1) }))
      await log.append(write({ entries: entries(5, 9, 2) }))
      const slice = await log.read({ first: 4, last: 6, bytesMax: Infinity })
      expect(slice?.prev).toEqual({ term: 1, index: 3 })
      expect(slice?.entries.map(describeEntry)).toEqual([...entries(4, 4, 1), ...entries(5, 6, 2)].map(describeEntry))
    })

    test('a read stops at its bytes, but gives at least one entry', async () => {
      await log.append(write({ entries: entries(1, 9, 1, { bytes: 100 }) }))
      const lengths = async (bytesMax: number): Promise<number | undefined> =>
        (await log.read({ first: 2, last: 9, bytesMax }))?.entries.length
      expect(await lengths(1)).toBe(1)
      expect(await lengths(299)).toBe(2)
      expect(await lengths(300)).toBe(3)
      expect(await lengths(1e6)).toBe(8)
    })

    test('a read beyond the end gives nothing', async () => {
      await log.append(write({ entries: entries(1, 3, 1) }))
      expect(await log.read({ first: 4, ...everything })).toEqual({ prev: { term: 1, index: 3 }, entries: [] })
      expect(await log.read({ first: 5, ...everything })).toBeUndefined()
    })

    test('a second append before the first is durable throws, and harms nothing', async () => {
      const first = log.append(write({ entries: entries(1, 1, 1) }))
      expect(() => log.append(write({ entries: entries(2, 2, 1) }))).toThrow(/outstanding/)
      await first
      await log.append(write({ entries: entries(2, 2, 1) }))
      await reopen()
      expect((await contentOf(log)).entries).toHaveLength(2)
    })

    test('a write that leaves a gap, or that is not contiguous, is refused', async () => {
      expect(() => log.append(write({ entries: entries(2, 2, 1) }))).toThrow(/gap/)
      const torn = [...entries(1, 1, 1), ...entries(3, 3, 1)]
      expect(() => log.append(write({ entries: torn }))).toThrow(/place/)
      expect(await log.read({ first: 1, ...everything })).toMatchObject({ entries: [] })
    })
  })

  describe(`${name}: truncation`, () => {
    test('L3: entries with a lower index replace the suffix, in one write', async () => {
      await log.append(write({ entries: entries(1, 8, 1) }))
      await log.append(write({ hardState: hardState(2), entries: entries(5, 6, 2, { salt: 'new' }) }))
      const expected = [...entries(1, 4, 1), ...entries(5, 6, 2, { salt: 'new' })].map(describeEntry)
      const slice = await log.read({ first: 1, ...everything })
      expect(slice?.entries.map(describeEntry)).toEqual(expected)
      await reopen()
      expect((await contentOf(log)).entries).toEqual(expected)
      expect(log.recovered.tail.entries.at(-1)?.term).toBe(2)
    })

    test('the whole log can be replaced, and replaced again', async () => {
      await log.append(write({ entries: entries(1, 5, 1) }))
      await log.append(write({ entries: entries(1, 2, 2) }))
      await log.append(write({ entries: entries(2, 3, 3) }))
      await reopen()
      const expected = [...entries(1, 1, 2), ...entries(2, 3, 3)].map(describeEntry)
      expect((await contentOf(log)).entries).toEqual(expected)
    })
  })

  describe(`${name}: compaction`, () => {
    beforeEach(() => log.append(write({ hardState: hardState(2, NODE_A, 9), entries: entries(1, 10, 2) })))

    test('reads below the marker are refused at once, and the marker is durable with the next append', async () => {
      log.compactTo(marker(6, 2))
      expect(log.firstIndex).toBe(7)
      expect(await log.read({ first: 6, ...everything })).toBeUndefined()
      expect((await log.read({ first: 7, ...everything }))?.prev).toEqual({ term: 2, index: 6 })
      await log.append(write({ entries: entries(11, 11, 2) }))
      await reopen(7)
      expect(log.recovered.marker).toEqual(marker(6, 2))
      expect(log.recovered.tail.prev).toMatchObject({ term: 2, index: 6 })
      expect((await contentOf(log)).entries).toEqual(entries(7, 11, 2).map(describeEntry))
    })

    test('a marker that no append followed may be forgotten', async () => {
      log.compactTo(marker(6, 2))
      await reopen()
      expect(log.recovered.marker).toBeUndefined()
      expect((await contentOf(log)).entries).toEqual(entries(1, 10, 2).map(describeEntry))
    })

    test('S12: everything may be compacted; the next entry follows the marker', async () => {
      log.compactTo(marker(10, 2))
      expect(log.firstIndex).toBe(11)
      await log.append(write({ hardState: hardState(2, NODE_A, 10) }))
      await reopen()
      expect(log.recovered.marker).toEqual(marker(10, 2))
      expect(log.recovered.tail).toMatchObject({ prev: { term: 2, index: 10 }, entries: [] })
      await log.append(write({ entries: entries(11, 12, 3) }))
      await reopen()
      expect((await contentOf(log)).entries).toEqual(entries(11, 12, 3).map(describeEntry))
      expect(log.recovered.hardState).toEqual(hardState(2, NODE_A, 10))
    })

    test('a marker at or below the one before changes nothing; one that the log contradicts is refused', async () => {
      log.compactTo(marker(6, 2))
      log.compactTo(marker(4, 2))
      expect(log.firstIndex).toBe(7)
      expect(() => log.compactTo(marker(8, 1))).toThrow(/term/)
      expect(() => log.compactTo(marker(11, 2))).toThrow(/beyond/)
      log.compactTo(marker(8, 2))
      expect(log.firstIndex).toBe(9)
    })

    test('S5: entries at or below the marker cannot be superseded', async () => {
      log.compactTo(marker(6, 2))
      expect(() => log.append(write({ entries: entries(6, 6, 3) }))).toThrow(/compacted/)
      await log.append(write({ entries: entries(7, 7, 3) }))
      await reopen()
      expect((await contentOf(log)).entries).toEqual(entries(7, 7, 3).map(describeEntry))
    })
  })

  describe(`${name}: restart from a snapshot`, () => {
    test('S4: the suffix is kept when the log holds exactly (index, term)', async () => {
      await log.append(write({ entries: entries(1, 10, 2) }))
      await restart(marker(6, 2))
      expect(log.firstIndex).toBe(7)
      await reopen()
      expect(log.recovered.marker).toEqual(marker(6, 2))
      expect((await contentOf(log)).entries).toEqual(entries(7, 10, 2).map(describeEntry))
    })

    test('S4: the log is dropped when it holds another term there, or nothing', async () => {
      await log.append(write({ entries: entries(1, 10, 2) }))
      await restart(marker(6, 3))
      expect(await log.read({ first: 7, ...everything })).toEqual({ prev: { term: 3, index: 6 }, entries: [] })
      await reopen()
      expect(log.recovered.tail).toMatchObject({ prev: { term: 3, index: 6 }, entries: [] })
      await restart(marker(50, 4))
      await log.append(write({ entries: entries(51, 52, 4) }))
      await reopen()
      expect(log.recovered.marker).toEqual(marker(50, 4))
      expect((await contentOf(log)).entries).toEqual(entries(51, 52, 4).map(describeEntry))
    })

    test('S12: an empty log restarts from a snapshot', async () => {
      await restart(marker(5, 1))
      await reopen()
      expect(log.firstIndex).toBe(6)
      expect(log.recovered.marker?.confState).toEqual(confState)
      await log.append(write({ entries: entries(6, 6, 1) }))
      await reopen()
      expect((await contentOf(log)).entries).toEqual(entries(6, 6, 1).map(describeEntry))
    })

    test('a restart below the marker is accepted, as a node without state needs it', async () => {
      await log.append(write({ entries: entries(1, 10, 2) }))
      log.compactTo(marker(8, 2))
      await log.append(write({ entries: entries(11, 11, 2) }))
      await restart(marker(4, 2))
      await log.append(write({ entries: entries(5, 6, 3) }))
      await reopen()
      expect(log.recovered.marker).toEqual(marker(4, 2))
      expect((await contentOf(log)).entries).toEqual(entries(5, 6, 3).map(describeEntry))
    })

    test('entries of the same write continue the snapshot, or are what it is compared with', async () => {
      await log.append(write({ snapshot: marker(5, 1), entries: entries(6, 8, 1) }))
      await log.append(
        write({ hardState: hardState(4, NODE_A, 7), snapshot: marker(10, 1), entries: entries(9, 12, 1) }),
      )
      await reopen()
      expect(log.recovered.marker).toEqual(marker(10, 1))
      expect(log.recovered.hardState).toEqual(hardState(4, NODE_A, 7))
      expect((await contentOf(log)).entries).toEqual(entries(11, 12, 1).map(describeEntry))
    })

    test('a compaction asked for before the restart is forgotten', async () => {
      await log.append(write({ entries: entries(1, 10, 2) }))
      log.compactTo(marker(9, 2))
      await restart(marker(4, 3))
      expect(log.firstIndex).toBe(5)
      await log.append(write({ entries: entries(5, 5, 3) }))
      await reopen()
      expect(log.recovered.marker).toEqual(marker(4, 3))
    })
  })

  test(`${name}: entries from the one asked for on are in the tail`, async () => {
    for (let index = 1; index <= 30; index++)
      await log.append(write({ entries: entries(index, index, 1, { bytes: 900 }) }))
    await reopen(12)
    const { prev, entries: kept } = log.recovered.tail
    expect(kept[0]!.index).toBe(prev.index + 1)
    expect(kept[0]!.index).toBeLessThanOrEqual(12)
    expect(kept.at(-1)!.index).toBe(30)
  })

  test(`${name}: a random history reads as a model of it, before and after each reopening`, async () => {
    const seed = process.env['SEED'] ?? 'raft-storage'
    const prng = new Prng(seed)
    let base = { term: 0, index: 0 }
    let model: Entry[] = []
    let term = 1
    for (let step = 0; step < 250; step++) {
      const lastIndex = model.at(-1)?.index ?? base.index
      const choice = prng.below(20)
      if (choice < 12) {
        const first = prng.chance(1, 5) ? prng.between(base.index + 1, lastIndex + 1) : lastIndex + 1
        const isConflict = first <= lastIndex
        if (isConflict || prng.chance(1, 10)) term++
        const added = entries(first, first + prng.below(4), term, { bytes: prng.below(3000), salt: `${step}` })
        model = [...model.filter(({ index }) => index < first), ...added]
        await log.append(write({ entries: added, hardState: hardState(term, prng.chance(1, 2) ? NODE_A : undefined) }))
      } else if (choice < 16 && model.length > 0) {
        const { index, term } = model[prng.below(model.length)]!
        log.compactTo(marker(index, term))
        await log.append(write({ hardState: hardState(term) }))
        base = { term, index }
        model = model.filter((entry) => entry.index > index)
      } else if (choice === 16) {
        term++
        base = { term, index: lastIndex + prng.below(3) + 1 }
        model = []
        await log.append(write({ snapshot: marker(base.index, base.term) }))
      } else if (choice === 17) {
        await reopen(base.index + 1)
        expect((await contentOf(log)).marker ?? { term: 0, index: 0 }, `SEED=${seed}`).toMatchObject(base)
      }
      const slice = await log.read({ first: base.index + 1, ...everything })
      expect(slice?.prev, `SEED=${seed} step ${step}`).toEqual(base)
      expect(slice?.entries.map(describeEntry), `SEED=${seed} step ${step}`).toEqual(model.map(describeEntry))
    }
  })
}
