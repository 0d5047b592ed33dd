// Ongaro's thesis, sentence by sentence: log compaction (§5), as far as the core takes part in it. What a snapshot holds, how it is
// taken, streamed and verified are the state machine's and the driver's concern.
import { describe, expect, test } from 'vitest'
import { ORIGIN } from '../../../src/raft/index.ts'
import { Bench, confOf, entry, logOf } from '../support/bench.ts'
import { Cluster } from '../support/cluster.ts'
import { follower, ids, live, texts } from './script.ts'

const confState = confOf(ids(3))
const wanted = (bench: Bench) => bench.readies.flatMap(({ snapshotsWanted }) => snapshotsWanted)
const install = (bench: Bench, index: number, term: number) =>
  bench.step({ type: 'install-snapshot', term: 5, snapshot: { index, term, confState } })

/** n3 misses three entries, and by then n1 has compacted its log, or has not. */
function lagging(isCompacted: boolean): Cluster {
  const cluster = new Cluster({ voters: ids(3), config: { memoryLogBytesMax: 100 } })
  cluster.elect('n1')
  cluster.partition(['n1', 'n2'], ['n3'])
  for (const text of ['a', 'b', 'c']) {
    cluster.propose('n1', text)
    cluster.settle()
  }
  if (isCompacted) cluster.node('n1').disk.compactTo(3)
  cluster.heal()
  live(cluster, 8)
  return cluster
}

describe('the log before and after a snapshot (§5.1)', () => {
  test('only entries that are committed and applied are dropped from memory', () => {
    const bench = new Bench({}, { memoryLogBytesMax: 100 }).lead()
    for (let at = 0; at < 5; at++) bench.raft.propose(Buffer.alloc(50))
    bench.pump()
    expect(bench.raft.memoryLogBytes).toBeGreaterThan(500)
    for (let index = 1; index <= 6; index++) expect(bench.raft.termAt(index)).toBe(1)
    bench.accept(4)
    expect([bench.raft.appliedIndex, bench.raft.termAt(5), bench.raft.termAt(6)]).toEqual([4, 1, 1])
    bench.accept(6)
    expect(bench.raft.memoryLogBytes).toBeLessThanOrEqual(100)
    expect(bench.raft.termAt(2)).toBeUndefined()
  })

  test('the last included index and term serve the consistency check of the entry that follows', () => {
    const behind = new Bench({ base: { term: 4, index: 5 } })
    behind.append({ term: 4, index: 5 }, [entry(6, 6)], 6)
    expect(behind.take('append-entries-response')).toMatchObject([{ result: { kind: 'accepted', matchIndex: 6 } }])

    const leader = new Bench({ base: { term: 4, index: 5 } }).lead()
    expect(leader.take('append-entries')[0]).toMatchObject({ prev: { term: 4, index: 5 }, entries: [{ index: 6 }] })
  })

  test('the last included index and term serve the comparison of logs in an election', () => {
    for (const [last, isGranted] of [
      [{ term: 4, index: 5 }, true],
      [{ term: 4, index: 4 }, false],
      [{ term: 3, index: 9 }, false],
    ] as const) {
      const bench = new Bench({ base: { term: 4, index: 5 } })
      bench.step({ type: 'request-vote', term: 6, last, isTransfer: false })
      expect(bench.take('request-vote-response')).toMatchObject([{ isGranted }])
    }
  })

  test('a server that restarts from its snapshot begins to apply after it', () => {
    const bench = new Bench({ base: { term: 4, index: 5 }, entries: [entry(6, 4), entry(7, 4)] }).lead()
    expect([bench.raft.commitIndex, bench.raft.appliedIndex]).toEqual([5, 5])
    bench.accept(8)
    expect(bench.applied.map(({ index }) => index)).toEqual([6, 7, 8])
  })
})

describe('when the leader sends a snapshot (§5)', () => {
  test('a follower that lags gets entries as long as the leader still has them, in memory or on disk', () => {
    const cluster = lagging(false)
    live(cluster, 10)
    expect(cluster.node('n1').snapshotsWanted).toEqual([])
    expect(texts(cluster, 'n3')).toEqual(['a', 'b', 'c'])
  })

  test('when the next entry that a follower needs was discarded, it is sent a snapshot, once', () => {
    const cluster = lagging(true)
    live(cluster, 30)
    expect(cluster.node('n1').snapshotsWanted).toEqual(['n3'])
  })

  test('after the snapshot the follower gets the rest of the log in the usual way', () => {
    const cluster = lagging(true)
    for (const text of ['d', 'e']) cluster.propose('n1', text)
    cluster.settle()
    cluster.node('n1').disk.state = { ...cluster.node('n1').disk.state, term: 1, index: 4 }
    cluster.stream('n1', 'n3')
    live(cluster, 10)
    expect(cluster.node('n3').applied.map(({ index }) => index)).toEqual([5, 6])
    expect(cluster.raft('n3').lastIndex).toBe(cluster.raft('n1').lastIndex)
  })

  test('while a follower receives a snapshot it is sent heartbeats and no entries', () => {
    const bench = new Bench().lead()
    bench.accept(1)
    bench.step({ type: 'request-snapshot', term: 1, from: 'n3' })
    expect(wanted(bench)).toEqual(['n3'])
    bench.sent.length = 0
    bench.raft.propose(Buffer.from('x'))
    bench.tick(2)
    const toN3 = bench.sent.filter(({ to }) => to === 'n3').map(({ type }) => type)
    expect(toN3).toEqual(['heartbeat'])
  })

  test('a transfer that failed is repeated after a while, if it is still needed', () => {
    const cluster = lagging(true)
    cluster.node('n1').snapshotsWanted = []
    cluster.input('n1', (raft) => raft.reportSnapshot('n3', 'failed'))
    live(cluster, 9)
    expect(cluster.node('n1').snapshotsWanted).toEqual([])
    live(cluster, 10)
    expect(cluster.node('n1').snapshotsWanted).toEqual(['n3'])
  })

  test('what a follower has in its snapshot counts as replicated', () => {
    const bench = new Bench().lead()
    bench.step({ type: 'request-snapshot', term: 1, from: 'n3' })
    bench.raft.propose(Buffer.from('x'))
    bench.pump()
    expect(bench.raft.commitIndex).toBe(0)
    bench.accept(2, 'n3')
    expect(bench.raft.commitIndex).toBe(2)
  })
})

describe('what a follower does with a snapshot (§5)', () => {
  test.each([
    ['conflicts with it', [1, 1, 1, 1, 1], 3],
    ['is shorter', [1, 1], 4],
    ['is empty', [], 4],
  ])('a log that %s is discarded altogether: the snapshot supersedes it', (_, held, index) => {
    const bench = follower(5, { entries: logOf(...held) })
    expect(install(bench, index, 4).kind).toBe('accepted')
    const { lastIndex, commitIndex, appliedIndex, lastEntryId } = bench.raft
    expect({ lastIndex, commitIndex, appliedIndex, lastEntryId }).toEqual({
      lastIndex: index,
      commitIndex: index,
      appliedIndex: index,
      lastEntryId: { term: 4, index },
    })
    bench.append({ term: 4, index }, [entry(index + 1, 5)], 5, index + 1)
    expect(bench.applied.map((applied) => applied.index)).toEqual([index + 1])
  })

  test('of a log whose prefix the snapshot describes, the entries that follow are valid and kept', () => {
    const bench = follower(5, { entries: logOf(1, 1, 2, 2) })
    install(bench, 2, 1)
    expect([bench.raft.commitIndex, bench.raft.lastIndex, bench.raft.persistedIndex]).toEqual([2, 4, 4])
    bench.append({ term: 2, index: 4 }, [], 5, 4)
    expect(bench.applied.map(({ index }) => index)).toEqual([1, 2, 3, 4])
  })

  test('a retransmitted snapshot changes nothing', () => {
    const bench = follower(5, { entries: logOf(1) })
    install(bench, 8, 4)
    bench.append({ term: 4, index: 8 }, [entry(9, 5)], 5)
    const before = bench.raft.status()
    expect(install(bench, 8, 4)).toEqual({ kind: 'dropped', reason: 'snapshot-needless' })
    expect(install(bench, 6, 3)).toEqual({ kind: 'dropped', reason: 'snapshot-needless' })
    expect(bench.raft.status()).toEqual(before)
  })

  test('the swap is one write, and nothing of it is seen before that is durable', () => {
    const bench = follower(5, { entries: logOf(1, 1) })
    bench.isDiskHeld = true
    install(bench, 8, 4)
    expect(bench.readies.at(-1)?.write).toMatchObject({ entries: [], snapshot: { term: 4, index: 8 }, mustSync: true })
    expect([bench.raft.lastIndex, bench.raft.commitIndex]).toEqual([2, 0])
    bench.persist()
    expect([bench.raft.lastIndex, bench.raft.commitIndex]).toEqual([8, 8])
  })

  test.each([true, false])('a crash during the swap leaves the old state or the new one: new %s', (isNew) => {
    const cluster = lagging(true)
    const node = cluster.node('n3')
    node.isDiskHeld = true
    cluster.stream('n1', 'n3')
    cluster.crash('n3', isNew)
    node.isDiskHeld = false
    cluster.restart('n3')
    expect(cluster.raft('n3').appliedIndex).toBe(isNew ? 4 : 1)
    live(cluster, 30)
    if (!isNew) cluster.stream('n1', 'n3')
    live(cluster, 10)
    expect(cluster.raft('n3').appliedIndex).toBe(cluster.raft('n1').appliedIndex)
  })

  test('a server that is asked for its log below its snapshot is not confused: that much is committed', () => {
    const bench = follower(5, { entries: [] })
    install(bench, 3, 4)
    bench.sent.length = 0
    bench.append(ORIGIN, [...logOf(1, 1), entry(3, 4), entry(4, 5)], 5)
    expect(bench.take('append-entries-response')).toMatchObject([{ result: { kind: 'accepted', matchIndex: 4 } }])
  })
})
