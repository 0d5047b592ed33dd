// The log on one node: thesis §3.5, §3.6, §5, §10.2.1, and the traps L* and S*.
import { describe, expect, test } from 'vitest'
import { ORIGIN } from '../../src/raft/index.ts'
import { Bench, confOf, entry, logOf } from './support/bench.ts'

const acks = (bench: Bench) => bench.take('append-entries-response').map(({ result }) => result)
const terms = ({ raft }: Bench) => Array.from({ length: raft.lastIndex }, (_, at) => raft.termAt(at + 1))

const install = (bench: Bench, index: number, term: number) =>
  bench.step({
    type: 'install-snapshot',
    term: 5,
    snapshot: { index, term, confState: confOf(['n1', 'n2', 'n3', 'n4']) },
  })
const followed = (init: ConstructorParameters<typeof Bench>[0]): Bench => {
  const bench = new Bench(init)
  bench.step({ type: 'heartbeat', term: 5, commitIndex: 0, readRound: 0, lastIndex: 9 })
  bench.take('heartbeat')
  return bench
}

describe('a follower’s log (§3.5)', () => {
  test('L2: a late, short append truncates nothing', () => {
    const bench = new Bench({ entries: logOf(1, 1, 1, 1) })
    bench.append(ORIGIN, logOf(1, 1), 1)
    expect(bench.raft.lastIndex).toBe(4)
    expect(acks(bench)).toEqual([{ kind: 'accepted', matchIndex: 2 }])
  })

  test('L6: an acknowledgement claims what the append proved, not the end of the log', () => {
    const bench = new Bench({ entries: logOf(1, 1, 1, 1) })
    bench.append(logOf(1, 1)[1]!, [], 3)
    expect(acks(bench)).toEqual([{ kind: 'accepted', matchIndex: 2 }])
  })

  test('a conflicting suffix is replaced, and the write supersedes it', () => {
    const bench = new Bench({ entries: logOf(1, 1, 2, 2) })
    bench.append(logOf(1, 1)[1]!, [entry(3, 3)], 3)
    expect(terms(bench)).toEqual([1, 1, 3])
    expect(bench.readies.at(-2)?.write?.entries ?? bench.readies.at(-1)?.write?.entries).toMatchObject([
      { index: 3, term: 3 },
    ])
  })

  test('L8: a follower commits no further than the append reached', () => {
    const bench = new Bench({ entries: logOf(1, 1, 2, 2) })
    bench.append(logOf(1)[0]!, [entry(2, 1)], 3, 4)
    expect(bench.raft.commitIndex).toBe(2)
  })

  test('L8: a heartbeat commits no further than what was seen to match, and asks for a probe instead', () => {
    const bench = new Bench({ entries: logOf(1, 1, 2, 2) })
    bench.step({ type: 'heartbeat', term: 3, commitIndex: 4, readRound: 0, lastIndex: 4 })
    expect(bench.raft.commitIndex).toBe(0)
    expect(acks(bench)).toMatchObject([{ kind: 'rejected', index: 0 }])
  })

  test('L5: a prev index below what memory holds is no conflict', () => {
    const bench = new Bench({ base: { term: 1, index: 5 }, entries: [entry(6, 1), entry(7, 1)] })
    bench.append({ term: 1, index: 3 }, [entry(4, 1), entry(5, 1), entry(6, 1), entry(7, 1), entry(8, 2)], 2)
    expect(bench.raft.lastIndex).toBe(8)
    expect(acks(bench)).toEqual([{ kind: 'accepted', matchIndex: 8 }])
  })

  test('L4: other entries where ours are committed are refused, and nothing is truncated', () => {
    const bench = new Bench({ entries: logOf(1, 1, 1), appliedIndex: 3 })
    expect(bench.append({ term: 2, index: 3 }, [entry(4, 2)], 2)).toEqual({ kind: 'dropped', reason: 'contradiction' })
    expect(terms(bench)).toEqual([1, 1, 1])
  })

  test('L10: the hint skips a whole term, and never goes below the commit index', () => {
    const bench = new Bench({ entries: logOf(1, 1, 3, 3, 3, 3), appliedIndex: 1 })
    bench.append({ term: 2, index: 5 }, [], 4)
    expect(acks(bench)).toMatchObject([{ kind: 'rejected', index: 5, hint: { index: 2, term: 1 } }])
  })

  test('L11: the term of an entry that is not in memory is unknown, not 0', () => {
    const { raft } = new Bench({ base: { term: 4, index: 5 } })
    expect([raft.termAt(4), raft.termAt(5), raft.termAt(6)]).toEqual([undefined, 4, undefined])
  })

  test('acknowledgements wait for the disk, also for an empty append; refusals and heartbeats do not (§10.2.1)', () => {
    const bench = new Bench()
    bench.isDiskHeld = true
    bench.append(ORIGIN, logOf(1, 1), 1)
    bench.append(logOf(1, 1)[1]!, [], 1)
    expect(acks(bench)).toEqual([])
    bench.step({ type: 'heartbeat', term: 1, commitIndex: 0, readRound: 3, lastIndex: 2 })
    expect(bench.take('heartbeat-response')).toMatchObject([{ readRound: 3 }])
    bench.append({ term: 1, index: 9 }, [], 1)
    expect(acks(bench)).toMatchObject([{ kind: 'rejected' }])
    bench.persist()
    expect(acks(bench)).toEqual([{ kind: 'accepted', matchIndex: 2 }])
  })

  test('an entry is applied only when this node has made it durable', () => {
    const bench = new Bench()
    bench.isDiskHeld = true
    bench.append(ORIGIN, logOf(1), 1, 1)
    expect(bench.raft.commitIndex).toBe(1)
    expect(bench.applied).toEqual([])
    bench.persist()
    expect(bench.applied).toHaveLength(1)
  })

  test('L17: a write does not vouch for entries that replaced its own while it was in flight', () => {
    const bench = new Bench()
    bench.isDiskHeld = true
    bench.append(ORIGIN, logOf(1, 1, 1), 1)
    bench.append(logOf(1)[0]!, [entry(2, 2), entry(3, 2)], 2)
    bench.persist()
    expect(bench.raft.persistedIndex).toBe(1)
    bench.persist()
    expect(bench.raft.persistedIndex).toBe(3)
  })

  test.each([
    ['a hole', [entry(3, 1)]],
    ['a falling term', [entry(1, 1), entry(2, 0)]],
    ['a term beyond the leader’s', [entry(1, 9)]],
  ])('nonsense is dropped: %s', (_, entries) => {
    expect(new Bench().append(ORIGIN, entries, 1)).toEqual({ kind: 'dropped', reason: 'malformed' })
  })
})

describe('a leader’s log (§3.5, §3.6.2, §10.2.1)', () => {
  test('L1: an entry of an earlier term is not committed by counting copies (figure 3.7)', () => {
    const bench = new Bench({ entries: logOf(1, 2) }).lead()
    bench.accept(2, 'n2')
    bench.accept(2, 'n3')
    expect(bench.raft.commitIndex).toBe(0)
    bench.accept(3, 'n2')
    expect(bench.raft.commitIndex).toBe(3)
  })

  test('L21: the leader’s own copy counts only once it is durable; two others are enough without it', () => {
    const bench = new Bench().lead()
    bench.isDiskHeld = true
    bench.raft.propose(Buffer.from('x'))
    bench.pump()
    bench.accept(2, 'n2')
    expect(bench.raft.commitIndex).toBe(1)
    bench.accept(2, 'n3')
    expect(bench.raft.commitIndex).toBe(2)
    expect(bench.applied).toHaveLength(1)
    bench.persist()
    expect(bench.applied).toHaveLength(2)
  })

  test('L14: what is uncommitted is bounded, and room returns with each commit', () => {
    const bench = new Bench({}, { uncommittedBytesMax: 400 }).lead()
    bench.accept(1)
    for (let round = 0; round < 20; round++) {
      expect(bench.raft.propose(Buffer.alloc(1_000)).kind).toBe('accepted')
      expect(bench.raft.propose(Buffer.alloc(1))).toEqual({ kind: 'dropped', reason: 'overloaded' })
      bench.pump()
      bench.accept(bench.raft.lastIndex)
    }
  })

  test('L15: appends are split at the bound, stay contiguous, and a larger entry goes alone', () => {
    const bench = new Bench().lead()
    bench.accept(1)
    bench.take('append-entries')
    for (const size of [400, 400, 400, 5_000, 10]) bench.raft.propose(Buffer.alloc(size))
    bench.pump()
    const batches = bench
      .take('append-entries')
      .filter(({ to }) => to === 'n2')
      .map(({ entries }) => entries.map(({ index }) => index))
    expect(batches).toEqual([[2, 3], [4], [5]])
    bench.accept(5)
    expect(bench.take('append-entries').map(({ entries }) => entries.length)).toContain(1)
  })

  test('L10: logs that differ in more than 50 terms are brought together, each term costing at most one probe', () => {
    const theirs = Array.from({ length: 60 }, (_, at) => at * 2 + 1)
    const ours = Array.from({ length: 60 }, (_, at) => at * 2 + 2)
    const leader = new Bench({ entries: logOf(1, ...ours) }).lead()
    const follower = new Bench({ entries: logOf(1, ...theirs.slice(1)) }, { id: 'n2' })
    for (let probes = 0; ; probes++) {
      expect(probes).toBeLessThan(70)
      const messages = leader.take('append-entries').filter(({ to }) => to === 'n2')
      if (messages.length === 0) break
      for (const message of messages) follower.raft.step(message)
      follower.pump()
      for (const answer of follower.take('append-entries-response')) leader.raft.step(answer)
      leader.pump()
    }
    expect(leader.raft.status().peers[0]).toMatchObject({
      id: 'n2',
      kind: 'replicate',
      matchIndex: leader.raft.lastIndex,
    })
  })

  test('an answer about entries that the leader does not have is dropped', () => {
    const bench = new Bench().lead()
    expect(bench.accept(99)).toEqual({ kind: 'dropped', reason: 'malformed' })
    expect(bench.accept(1.5)).toEqual({ kind: 'dropped', reason: 'malformed' })
    expect(bench.accept(1, 'n9')).toEqual({ kind: 'dropped', reason: 'not-a-member' })
  })

  test('L19: memory is bounded; older entries are loaded once at a time, and compacted ones need a snapshot', () => {
    const bench = new Bench({}, { memoryLogBytesMax: 300 }).lead()
    bench.accept(1)
    for (let index = 2; index <= 10; index++) {
      bench.raft.propose(Buffer.alloc(50))
      bench.pump()
      bench.accept(index)
    }
    expect(bench.raft.memoryLogBytes).toBeLessThanOrEqual(300)
    bench.reject(0, ORIGIN, 'n3')
    const loads = bench.readies.flatMap((ready) => ready.loads)
    expect(loads).toMatchObject([{ peer: 'n3', first: 1 }])
    bench.ackHeartbeat(0, 'n3')
    expect(bench.readies.flatMap((ready) => ready.loads)).toHaveLength(1)
    bench.raft.loaded('n3', undefined)
    bench.pump()
    expect(bench.readies.flatMap((ready) => ready.snapshotsWanted)).toEqual(['n3'])
    bench.raft.reportSnapshot('n3', 'failed')
    bench.tick(4)
    bench.ackHeartbeat(0)
    bench.ackHeartbeat(0, 'n3')
    expect(bench.readies.flatMap((ready) => ready.snapshotsWanted)).toEqual(['n3'])
  })

  test('S11: an acknowledgement that memory can go on from ends the wait for a snapshot', () => {
    const bench = new Bench().lead()
    bench.accept(1)
    bench.step({ type: 'request-snapshot', term: bench.raft.term, from: 'n3' })
    expect(bench.raft.status().peers[1]?.kind).toBe('snapshot')
    bench.accept(1, 'n3')
    expect(bench.raft.status().peers[1]?.kind).toBe('replicate')
  })

  test('space: growth needs a quorum of voters with room', () => {
    const bench = new Bench().lead()
    const answer = (from: string, isSpaceLow: boolean) =>
      bench.step({ type: 'heartbeat-response', from, term: bench.raft.term, readRound: 0, isSpaceLow })
    answer('n2', true)
    expect(bench.raft.hasQuorumSpace).toBe(true)
    answer('n3', true)
    expect(bench.raft.hasQuorumSpace).toBe(false)
    answer('n2', false)
    bench.raft.reportSpaceLow(true)
    expect(bench.raft.hasQuorumSpace).toBe(false)
  })
})

describe('snapshots (§5)', () => {
  test('S1: an installed state moves applied and commit, brings its configuration, and is acknowledged when durable', () => {
    const bench = followed({ entries: logOf(1, 1) })
    bench.isDiskHeld = true
    expect(install(bench, 8, 4).kind).toBe('accepted')
    expect(bench.raft.appliedIndex).toBe(0)
    expect(acks(bench)).toEqual([])
    bench.persist()
    const { raft } = bench
    expect([raft.appliedIndex, raft.commitIndex, raft.lastIndex, raft.termAt(8)]).toEqual([8, 8, 8, 4])
    expect(raft.confState.voters).toHaveLength(4)
    expect(acks(bench)).toEqual([{ kind: 'accepted', matchIndex: 8 }])
  })

  test('S3: a state at or below the commit index is ignored, and the leader still gets its answer', () => {
    const bench = followed({ entries: logOf(1, 1, 1), appliedIndex: 3 })
    expect(install(bench, 2, 1)).toEqual({ kind: 'dropped', reason: 'snapshot-needless' })
    expect(acks(bench)).toEqual([{ kind: 'accepted', matchIndex: 3 }])
  })

  test('a log that holds the state’s entry commits it instead of being replaced', () => {
    const bench = followed({ entries: logOf(1, 1, 1) })
    expect(install(bench, 2, 1)).toEqual({ kind: 'dropped', reason: 'snapshot-needless' })
    expect(bench.applied.map(({ index }) => index)).toEqual([1, 2])
  })

  test('S4: a log that disagrees with the state’s entry goes altogether', () => {
    const bench = followed({ entries: logOf(1, 1, 1, 1, 1) })
    install(bench, 3, 4)
    expect([bench.raft.lastIndex, bench.raft.persistedIndex]).toEqual([3, 3])
  })

  test('S7: nothing is handed out to be applied while a state is being swapped', () => {
    const bench = followed({ entries: logOf(1, 1) })
    bench.isDiskHeld = true
    install(bench, 8, 4)
    bench.append(logOf(1, 1)[1]!, [], 5, 2)
    expect(bench.applied).toEqual([])
    bench.persist()
    expect(bench.applied).toEqual([])
    expect(bench.raft.appliedIndex).toBe(8)
  })

  test('a node without state takes an older one than it had, keeps its log, and replays it', () => {
    const bench = followed({ entries: logOf(1, 1, 1, 1), appliedIndex: 3, standing: 'stateless' })
    expect(bench.raft.readIndex(1)).toEqual({ kind: 'dropped', reason: 'stateless' })
    bench.tick()
    expect(bench.take('request-snapshot')).toHaveLength(1)
    expect(install(bench, 1, 1).kind).toBe('accepted')
    expect(bench.raft.standing).toBe('full')
    expect(bench.applied.map(({ index }) => index)).toEqual([2, 3])
    expect(bench.raft.lastIndex).toBe(4)
  })

  test('S12: a state older than what memory holds of the log is refused by a node without state', () => {
    const bench = followed({ base: { term: 1, index: 5 }, appliedIndex: 2, standing: 'stateless' })
    expect(install(bench, 4, 1)).toEqual({ kind: 'dropped', reason: 'snapshot-too-old' })
    expect(install(bench, 5, 1).kind).toBe('accepted')
    expect(bench.raft.appliedIndex).toBe(5)
  })

  test('S13: a single voter restarts from its state and log with the right indices', () => {
    const bench = new Bench({ base: { term: 1, index: 5 }, entries: [entry(6, 1)], confState: confOf(['n1']) })
    expect([bench.raft.commitIndex, bench.raft.lastIndex]).toEqual([5, 6])
    while (!bench.raft.isLeader) bench.tick()
    expect(bench.applied.map(({ index }) => index)).toEqual([6, 7])
  })
})
