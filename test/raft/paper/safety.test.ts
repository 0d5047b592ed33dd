// Ongaro's thesis, sentence by sentence: safety (§3.6), crashes of followers and candidates (§3.7), what is persisted (§3.8),
// timing and availability (§3.9).
import { describe, expect, test } from 'vitest'
import { ORIGIN, RaftNode } from '../../../src/raft/index.ts'
import { Bench, CONFIG, confOf, logOf } from '../support/bench.ts'
import { Cluster } from '../support/cluster.ts'
import { Safety } from '../support/safety.ts'
import { canWin, follower, heartbeat, ids, live, preVoteRequest, texts, voteRequest } from './script.ts'

describe('the election restriction (§3.6.1)', () => {
  test('who lacks a committed entry cannot win, even when everyone listens; who holds it can', () => {
    const cluster = new Cluster({ voters: ids(3) })
    cluster.elect('n1')
    cluster.partition(['n1', 'n2'], ['n3'])
    cluster.propose('n1', 'x')
    live(cluster, 3)
    expect(texts(cluster, 'n2')).toEqual(['x'])
    cluster.heal()
    cluster.crash('n1')
    expect(canWin(cluster, 'n3')).toBe(false)
    expect(canWin(cluster, 'n2')).toBe(true)
    expect(texts(cluster, 'n3')).toEqual(['x'])
  })

  test.each([
    ['n2', true],
    ['n3', true],
    ['n4', false],
    ['n5', false],
  ])('of five, an entry was committed on n1, n2, n3: after n1 fails, %s can be elected: %s', (id, isHolder) => {
    const cluster = new Cluster({ voters: ids(5) })
    const safety = new Safety(cluster)
    cluster.elect('n1')
    cluster.partition(['n1', 'n2', 'n3'], ['n4', 'n5'])
    cluster.propose('n1', 'x')
    live(cluster, 3)
    cluster.crash('n1')
    cluster.heal()
    expect(canWin(cluster, id)).toBe(isHolder)
    live(cluster, 60)
    safety.check()
    for (const other of ['n2', 'n3', 'n4', 'n5']) expect(texts(cluster, other)).toEqual(['x'])
  })
})

describe('committing entries from previous terms (§3.6.2)', () => {
  test('entries that stay uncommitted of an earlier term keep their term when a later leader replicates them', () => {
    const cluster = new Cluster({ voters: ids(3) })
    const { term } = cluster.elect('n1')
    cluster.partition(['n1'], ['n2'], ['n3'])
    cluster.propose('n1', 'x')
    cluster.crash('n1')
    cluster.restart('n1')
    cluster.heal()
    const leader = cluster.elect('n1')
    live(cluster, 10)
    expect(leader.term).toBeGreaterThan(term)
    for (const id of cluster.ids) {
      const { applied } = cluster.node(id)
      expect(applied.find(({ kind }) => kind === 'normal')).toMatchObject({ term, data: Buffer.from('x') })
      expect(applied.at(-1)).toMatchObject({ kind: 'no-op', term: leader.term })
    }
  })

  test('a new leader appends a no-op of its own term, so that it need not wait for a client to commit', () => {
    const bench = new Bench({ entries: logOf(1, 1) }).lead()
    expect(bench.take('append-entries')[0]).toMatchObject({ entries: [{ kind: 'no-op', term: 2, index: 3 }] })
    bench.accept(3)
    expect(bench.raft.commitIndex).toBe(3)
  })
})

describe('follower and candidate crashes (§3.7)', () => {
  test('a crashed follower is sent the same again and again; when it restarts, it gets all', () => {
    const cluster = new Cluster({ voters: ids(3) })
    cluster.elect('n1')
    cluster.crash('n3')
    for (const text of ['a', 'b']) cluster.propose('n1', text)
    live(cluster, 100)
    cluster.restart('n3')
    live(cluster, 30)
    expect(texts(cluster, 'n3')).toEqual(['a', 'b'])
  })

  test('a crash after the request was carried out and before it was answered does no harm: it is repeated', () => {
    const cluster = new Cluster({ voters: ids(3) })
    cluster.elect('n1')
    live(cluster, 4)
    cluster.partition(['n1', 'n3'], ['n2'])
    cluster.cut.delete('n1>n2')
    cluster.propose('n1', 'x')
    cluster.settle()
    expect(cluster.node('n2').disk.last.index).toBe(2)
    expect(cluster.raft('n1').status().peers[0]).toMatchObject({ id: 'n2', matchIndex: 1 })
    cluster.crash('n2')
    cluster.restart('n2')
    cluster.heal()
    live(cluster, 30)
    expect(cluster.raft('n1').status().peers[0]).toMatchObject({ id: 'n2', matchIndex: 2 })
    expect(cluster.node('n2').disk.entries).toHaveLength(2)
    expect(texts(cluster, 'n2')).toEqual(['x'])
  })

  test('an append is idempotent: entries already in the log are ignored, and acknowledged again', () => {
    const bench = new Bench()
    bench.append(ORIGIN, logOf(1, 1), 1)
    const writes = bench.readies.filter(({ write }) => write !== undefined).length
    for (let times = 0; times < 3; times++) bench.append(ORIGIN, logOf(1, 1), 1)
    expect(bench.take('append-entries-response').map(({ result }) => result)).toEqual(
      Array.from({ length: 4 }, () => ({ kind: 'accepted', matchIndex: 2 })),
    )
    expect(bench.readies.filter(({ write }) => write !== undefined)).toHaveLength(writes)
  })

  test('a candidate that crashes during its election is replaced by another', () => {
    const cluster = new Cluster({ voters: ids(3) })
    cluster.expire('n1')
    while (cluster.raft('n1').role !== 'candidate') cluster.deliverAt(0)
    const { term } = cluster.raft('n1')
    cluster.crash('n1')
    live(cluster, 60)
    expect(cluster.leaders).toHaveLength(1)
    cluster.restart('n1')
    live(cluster, 20)
    expect(cluster.raft('n1').leaderId).toBe(cluster.leaders[0]!.id)
    expect(cluster.leaders[0]!.term).toBeGreaterThanOrEqual(term)
  })
})

describe('persisted state and restarts (§3.8)', () => {
  test('the vote survives a restart: there is no second one in the same term', () => {
    const cluster = new Cluster({ voters: ids(3) })
    cluster.step({ ...voteRequest(1, 'n2'), to: 'n1' })
    cluster.network = []
    cluster.crash('n1')
    cluster.restart('n1')
    cluster.step({ ...voteRequest(1, 'n3'), to: 'n1' })
    expect(cluster.network.map(({ message }) => message)).toMatchObject([{ to: 'n3', isGranted: false }])
    cluster.step({ ...voteRequest(1, 'n2'), to: 'n1' })
    expect(cluster.network.at(-1)?.message).toMatchObject({ to: 'n2', isGranted: true })
  })

  test('the term survives a restart: an old leader is not followed again', () => {
    const cluster = new Cluster({ voters: ids(3) })
    cluster.step({ ...heartbeat(4), to: 'n1' })
    cluster.crash('n1')
    cluster.restart('n1')
    expect(cluster.raft('n1').term).toBe(4)
    expect(cluster.step({ ...heartbeat(3), to: 'n1' })).toEqual({ kind: 'dropped', reason: 'stale-term' })
  })

  test('acknowledged entries survive a restart', () => {
    const cluster = new Cluster({ voters: ids(3) })
    cluster.elect('n1')
    for (const text of ['a', 'b']) cluster.propose('n1', text)
    cluster.settle()
    for (const id of cluster.ids) cluster.crash(id)
    for (const id of cluster.ids) cluster.restart(id)
    expect(cluster.ids.map((id) => cluster.raft(id).lastIndex)).toEqual([3, 3, 3])
  })

  test('a new term is written before anything is acknowledged in it', () => {
    const bench = new Bench()
    bench.isDiskHeld = true
    bench.append(ORIGIN, [], 3)
    expect(bench.readies.at(-1)?.write?.hardState).toEqual({ term: 3, votedFor: undefined, commitIndex: 0 })
    expect(bench.take('append-entries-response')).toEqual([])
    bench.persist()
    expect(bench.take('append-entries-response')).toMatchObject([{ term: 3, result: { kind: 'accepted' } }])
  })

  test('the commit index need not be persisted: it starts again, and a new leader brings it back', () => {
    const cluster = new Cluster({ voters: ids(3), isStateLazy: true })
    cluster.elect('n1')
    for (const text of ['a', 'b']) cluster.propose('n1', text)
    live(cluster, 5)
    for (const id of cluster.ids) cluster.crash(id)
    for (const id of cluster.ids) cluster.restart(id)
    expect(cluster.ids.map((id) => cluster.raft(id).commitIndex)).toEqual([0, 0, 0])
    expect(cluster.ids.map((id) => texts(cluster, id))).toEqual([[], [], []])
    cluster.elect('n2')
    live(cluster, 10)
    expect(cluster.ids.map((id) => cluster.raft(id).commitIndex)).toEqual([4, 4, 4])
    for (const id of cluster.ids) expect(texts(cluster, id)).toEqual(['a', 'b'])
  })

  test.each([
    ['a volatile state machine is given the whole log again', 0, [1, 2, 3, 4]],
    ['a state machine that persists its last applied index is given no entry twice', 2, [3, 4]],
  ])('%s', (_, appliedIndex, expected) => {
    const bench = new Bench({ entries: logOf(1, 1, 1), appliedIndex }).lead()
    bench.accept(4)
    expect(bench.applied.map(({ index }) => index)).toEqual(expected)
  })

  test('what changes nothing persistent is not written: heartbeats, pre-votes, refused votes', () => {
    const bench = follower(3, { entries: logOf(3) })
    bench.readies.length = 0
    bench.step(heartbeat(3))
    bench.step(preVoteRequest(4))
    bench.tick(11)
    bench.step(voteRequest(3, 'n3', ORIGIN))
    expect(bench.readies.filter(({ write }) => write !== undefined)).toEqual([])
  })
})

describe('timing and availability (§3.9)', () => {
  test('the election timeout must be longer than the time between heartbeats', () => {
    const init = {
      hardState: { term: 0, votedFor: undefined, commitIndex: 0 },
      base: ORIGIN,
      entries: [],
      confState: confOf(['n1']),
      appliedIndex: 0,
      standing: 'full',
    } as const
    const start = (electionTimeoutTicks: number) => new RaftNode({ ...CONFIG, electionTimeoutTicks }, init)
    expect(() => start(CONFIG.heartbeatTicks)).toThrow(/electionTimeoutTicks 2 must exceed heartbeatTicks 2/)
    expect(() => start(CONFIG.heartbeatTicks + 1)).not.toThrow()
  })

  test('a leader whose messages arrive in time is leader for ever', () => {
    const cluster = new Cluster({ voters: ids(5) })
    const leader = cluster.elect('n3')
    const { term } = leader
    live(cluster, 1_000)
    expect([leader.isLeader, leader.term]).toEqual([true, term])
  })

  test('messages that are slower than the election timeout allow no steady leader', () => {
    const cluster = new Cluster({ voters: ids(3) })
    const { term } = cluster.elect('n1')
    for (let rounds = 0; rounds < 10; rounds++) {
      cluster.tickAll(30)
      cluster.settle()
    }
    expect(Math.max(...cluster.ids.map((id) => cluster.raft(id).term))).toBeGreaterThan(term)
  })

  test('when the leader crashes, the cluster is unavailable for about an election timeout', () => {
    for (let seed = 1; seed <= 20; seed++) {
      const cluster = new Cluster({ voters: ids(5), seed })
      cluster.elect('n1')
      live(cluster, 7)
      cluster.crash('n1')
      let ticks = 0
      for (; cluster.leaders.length === 0 && ticks < 200; ticks++) live(cluster, 1)
      expect([seed, ticks >= 8, ticks <= 60]).toEqual([seed, true, true])
    }
  })

  test('a minority of failures leaves the cluster available, a majority does not', () => {
    const cluster = new Cluster({ voters: ids(5) })
    cluster.elect('n1')
    cluster.crash('n4')
    cluster.crash('n5')
    cluster.propose('n1', 'a')
    live(cluster, 5)
    expect(texts(cluster, 'n1')).toEqual(['a'])
    cluster.crash('n3')
    cluster.propose('n1', 'b')
    live(cluster, 30)
    expect([texts(cluster, 'n1'), cluster.leaders]).toEqual([['a'], []])
    cluster.restart('n3')
    live(cluster, 60)
    expect(texts(cluster, 'n3').slice(0, 1)).toEqual(['a'])
    expect(cluster.leaders).toHaveLength(1)
  })
})
