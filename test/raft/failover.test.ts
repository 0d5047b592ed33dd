// Fast failover: evidence that the leader's process is gone shortens the wait for an election, and changes nothing else
// (§3.4, §4.2.3, §9.6).
import { describe, expect, test } from 'vitest'
import { Prng } from '../../src/lib/prng.ts'
import { ORIGIN } from '../../src/raft/index.ts'
import type { NodeId, RaftConfig, RaftInit } from '../../src/raft/index.ts'
import {
  candidate,
  emptyAppend,
  FAR,
  follower,
  heartbeat,
  ids,
  leading,
  live,
  preCandidate,
  preVote,
  preVoteRequest,
  voteRequest,
} from './paper/script.ts'
import { Bench, confOf, logOf } from './support/bench.ts'
import { Cluster, TICKS } from './support/cluster.ts'
import { Safety } from './support/safety.ts'

/** It follows `leader` in term 1, and has just learnt that the leader's process is gone. */
function bereaved(leader: NodeId, init: Partial<RaftInit> = {}, config: Partial<RaftConfig> = {}): Bench {
  const bench = new Bench(init, config)
  bench.raft.step({ ...heartbeat(1, leader), to: bench.raft.id })
  bench.pump()
  bench.sent.length = 0
  expect(bench.raft.reportGone(leader)).toBe(true)
  return bench
}

/** The ticks, counted from 1, in which it asks for pre-votes. */
function attempts(bench: Bench, ticks: number): number[] {
  const found: number[] = []
  for (let tick = 1; tick <= ticks; tick++) {
    bench.tick()
    if (bench.take('request-pre-vote').length > 0) found.push(tick)
  }
  return found
}

const answersOf = (bench: Bench, type: 'request-pre-vote-response' | 'request-vote-response'): boolean[] =>
  bench.take(type).map(({ isGranted }) => isGranted)

describe('a follower whose leader is gone', () => {
  test('does not wait for the timeout: the first of the survivors asks at its next tick', () => {
    const bench = bereaved('n2')
    bench.tick()
    expect(bench.raft.role).toBe('pre-candidate')
    expect(bench.take('request-pre-vote')).toMatchObject([
      { to: 'n2', term: 2 },
      { to: 'n3', term: 2 },
    ])
  })

  test.each([
    ['n2', 2, 1],
    ['n3', 2, 2],
    ['n4', 2, 3],
    ['n5', 2, 4],
    ['n2', 5, 1],
    ['n3', 5, 4],
    ['n5', 5, 10],
  ])('%s of five, with a heartbeat of %i ticks, asks in tick %i: not all at once', (id, heartbeatTicks, tick) => {
    const config = { id, heartbeatTicks, electionTimeoutTicks: 50 }
    expect(attempts(bereaved('n1', { confState: confOf(ids(5)) }, config), 30)[0]).toBe(tick)
  })

  test('in a joint configuration the voters of both halves take their turns', () => {
    const confState = { ...confOf(['n2', 'n5']), votersOutgoing: ['n1', 'n2', 'n3'] }
    const firstOf = (id: NodeId): number | undefined => attempts(bereaved('n1', { confState }, { id }), 9)[0]
    expect(['n2', 'n3', 'n5'].map(firstOf)).toEqual([1, 2, 3])
  })

  test('repeats an attempt that is not answered twice, and then waits for the timeout as if nothing had been', () => {
    const hasty = attempts(bereaved('n2'), 19)
    const patient = attempts(follower(1), 19)
    expect(hasty.slice(0, 3)).toEqual([1, 2, 3])
    expect(hasty.slice(3)).toEqual(patient)
    expect(patient).toHaveLength(1)
  })

  test('repeats an attempt that is refused twice, and then waits for the timeout as if nothing had been', () => {
    const bench = bereaved('n2', { confState: confOf(ids(5)) })
    const asked: number[] = []
    for (let tick = 1; tick <= 19; tick++) {
      bench.tick()
      if (bench.take('request-pre-vote').length === 0) continue
      asked.push(tick)
      for (const from of ['n3', 'n4', 'n5']) bench.step(preVote(1, from, false))
      expect([bench.raft.role, bench.raft.term]).toEqual(['follower', 1])
    }
    expect(asked).toEqual([1, 2, 3, ...attempts(follower(1), 19)])
  })

  test('leads once the others have granted it as ever: pre-votes first, then votes, with its own on disk', () => {
    const bench = bereaved('n2')
    bench.isDiskHeld = true
    bench.tick()
    bench.step(preVote(2, 'n3'))
    expect(bench.raft.role).toBe('candidate')
    expect(bench.take('request-vote')).toEqual([])
    bench.persist()
    expect(bench.take('request-vote')).toMatchObject([{ to: 'n2' }, { to: 'n3', isTransfer: false }])
    bench.step({ type: 'request-vote-response', from: 'n3', term: 2, isGranted: true })
    expect(bench.raft.isLeader).toBe(true)
  })

  test.each([
    ['a learner', { confState: confOf(['n2', 'n3'], ['n1']) }],
    ['one that lost entries', { standing: 'amnesiac' as const }],
    ['one without a state', { standing: 'stateless' as const }],
  ])('does not campaign where it may not: %s', (_, init) => {
    const bench = bereaved('n2', init)
    expect(attempts(bench, 100)).toEqual([])
    expect(bench.raft.term).toBe(1)
  })
})

describe('who is asked for a vote', () => {
  test('without the evidence it stays sticky, with it it grants (§4.2.3)', () => {
    for (const hasEvidence of [false, true]) {
      const bench = follower(1, { entries: logOf(1) })
      if (hasEvidence) bench.raft.reportGone('n2')
      const outcome = bench.step(preVoteRequest(2, 'n3'))
      expect(outcome).toEqual(hasEvidence ? { kind: 'accepted' } : { kind: 'dropped', reason: 'leader-alive' })
      expect(answersOf(bench, 'request-pre-vote-response')).toEqual(hasEvidence ? [true] : [])
      bench.step(voteRequest(2, 'n3'))
      expect(answersOf(bench, 'request-vote-response')).toEqual(hasEvidence ? [true] : [])
      expect(bench.raft.term).toBe(hasEvidence ? 2 : 1)
    }
  })

  test('with the evidence logs are compared as ever (§3.6.1)', () => {
    const bench = bereaved('n2', { entries: logOf(1, 1) })
    const short = { term: 1, index: 1 }
    bench.step(preVoteRequest(2, 'n3', short))
    expect(answersOf(bench, 'request-pre-vote-response')).toEqual([false])
    bench.step(voteRequest(2, 'n3', short))
    expect(answersOf(bench, 'request-vote-response')).toEqual([false])
  })

  test('a learner grants too: whom it votes for must not fail for that', () => {
    const bench = bereaved('n2', { confState: confOf(['n2', 'n3'], ['n1']) })
    bench.step(voteRequest(2, 'n3'))
    expect(answersOf(bench, 'request-vote-response')).toEqual([true])
  })

  test('one that lost entries grants nothing, whoever is gone', () => {
    const bench = bereaved('n2', { standing: 'amnesiac' })
    bench.step(preVoteRequest(2, 'n3'))
    bench.step(voteRequest(2, 'n3'))
    expect(bench.sent.filter((message) => 'isGranted' in message && message.isGranted)).toEqual([])
  })

  test('whoever grants a pre-vote leaves that candidate its time', () => {
    const bench = bereaved('n1', {}, { id: 'n2', heartbeatTicks: 6, electionTimeoutTicks: 50 })
    bench.raft.step({ ...preVoteRequest(2, 'n3'), to: 'n2' })
    expect(attempts(bench, 10)[0]).toBe(3)
  })

  test('of two that ask at once, the one with the lower id goes on, and the other one lets it', () => {
    const [first, second] = ['n2', 'n3'].map((id) => bereaved('n1', {}, { id, heartbeatTicks: 1 }))
    second!.tick()
    for (const bench of [first!, second!]) {
      bench.tick()
      expect(bench.raft.role).toBe('pre-candidate')
    }
    first!.raft.step({ ...preVoteRequest(2, 'n3', ORIGIN), to: 'n2' })
    second!.raft.step({ ...preVoteRequest(2, 'n2', ORIGIN), to: 'n3' })
    for (const bench of [first!, second!]) bench.pump()
    expect([first!.raft.role, answersOf(first!, 'request-pre-vote-response')]).toEqual(['pre-candidate', [false]])
    expect([second!.raft.role, answersOf(second!, 'request-pre-vote-response')]).toEqual(['follower', [true]])
    first!.raft.step({ ...preVoteRequest(2, 'n3', FAR), to: 'n2' })
    first!.pump()
    expect([first!.raft.role, answersOf(first!, 'request-pre-vote-response')]).toEqual(['follower', [true]])
  })

  test('a vote given ends the haste: its candidate is waited for', () => {
    const bench = bereaved('n2')
    bench.step(voteRequest(2, 'n3'))
    expect(attempts(bench, TICKS.electionTimeoutTicks - 1)).toEqual([])
  })
})

describe('the evidence', () => {
  test('about somebody else than the leader changes nothing', () => {
    const bench = follower(1)
    expect(bench.raft.reportGone('n3')).toBe(false)
    expect(bench.raft.reportGone('n9')).toBe(false)
    expect(attempts(bench, 9)).toEqual([])
    expect(bench.step(preVoteRequest(2, 'n3'))).toEqual({ kind: 'dropped', reason: 'leader-alive' })
  })

  test.each([
    ['a leader', () => leading()],
    ['a candidate', () => candidate()],
    ['a pre-candidate', () => preCandidate()],
    ['a follower of nobody', () => new Bench()],
  ])('means nothing to %s', (_, make) => {
    const bench = make()
    const before = bench.raft.status()
    expect(bench.raft.reportGone('n2')).toBe(false)
    bench.tick()
    expect(bench.raft.status()).toEqual(before)
    expect(bench.sent.filter(({ type }) => type === 'request-pre-vote' && before.role === 'follower')).toEqual([])
  })

  test('once is enough: what is said again does not begin the attempts anew', () => {
    const bench = bereaved('n2')
    bench.raft.reportGone('n2')
    expect(attempts(bench, 3)).toEqual([1, 2, 3])
    bench.raft.reportGone('n2')
    expect(attempts(bench, 3)).toEqual([])
  })

  test.each<readonly [string, Parameters<Bench['step']>[0]]>([
    ['a heartbeat', heartbeat(1)],
    ['an append', emptyAppend(1)],
    ['an answer', { type: 'read-index-response', term: 1, id: 1, boot: 7, index: 0 } as const],
  ])('ends when the leader is heard: by %s', (_, message) => {
    const bench = bereaved('n2')
    bench.step(message)
    expect(bench.step(preVoteRequest(2, 'n3'))).toEqual({ kind: 'dropped', reason: 'leader-alive' })
    expect(attempts(bench, 9)).toEqual([])
    expect(bench.raft.reportGone('n2')).toBe(true)
  })

  test('ends when the leader is heard in the middle of an attempt, or after a refused one', () => {
    for (const isRefused of [false, true]) {
      const bench = bereaved('n2', { confState: confOf(ids(5)) })
      bench.tick()
      if (isRefused) for (const from of ['n3', 'n4', 'n5']) bench.step(preVote(1, from, false))
      bench.step(heartbeat(1))
      bench.sent.length = 0
      expect([bench.raft.role, bench.raft.leaderId, bench.raft.term]).toEqual(['follower', 'n2', 1])
      expect(attempts(bench, 9)).toEqual([])
      expect(bench.step(preVoteRequest(2, 'n3'))).toEqual({ kind: 'dropped', reason: 'leader-alive' })
    }
  })

  test('ends with the term: the next leader is as good as any', () => {
    const bench = bereaved('n2')
    bench.step(heartbeat(2, 'n3'))
    expect(attempts(bench, 9)).toEqual([])
    expect(bench.step(preVoteRequest(3, 'n2'))).toEqual({ kind: 'dropped', reason: 'leader-alive' })
  })

  test('that is false deposes nobody while one alone believes it', () => {
    const cluster = new Cluster({ voters: ids(3) })
    const leader = cluster.elect('n1')
    const { term } = leader
    live(cluster, 5)
    for (let round = 0; round < 10; round++) {
      cluster.input('n2', (raft) => raft.reportGone('n1'))
      live(cluster, 7)
      expect([leader.isLeader, leader.term, cluster.raft('n2').leaderId]).toEqual([true, term, 'n1'])
    }
  })
})

describe('survivors', () => {
  test.each([3, 4, 5, 7])('of %i do not split the vote, in whatever order they learn of it', (size) => {
    for (let seed = 1; seed <= 100; seed++) {
      const prng = new Prng(`failover ${size} ${seed}`)
      const config = { electionTimeoutTicks: 100 }
      const cluster = new Cluster({ voters: ids(size), seed, config })
      const safety = new Safety(cluster)
      const gone = ids(size)[prng.below(size)]!
      const { term } = cluster.elect(gone)
      live(cluster, 4)
      cluster.crash(gone)
      const survivors = ids(size).filter((id) => id !== gone)
      const lateMax = prng.pick([1, 3, 10])
      const late = new Map(survivors.map((id) => [id, prng.below(lateMax)]))
      for (let tick = 0; tick < 80 && cluster.leaders.length === 0; tick++) {
        for (const id of survivors) if (late.get(id) === tick) cluster.input(id, (raft) => raft.reportGone(gone))
        live(cluster, 1)
        safety.check()
      }
      expect([seed, cluster.leaders.map((raft) => raft.term)]).toEqual([seed, [term + 1]])
    }
  })

  test('whose turn is first but whose log is short are refused, and the next one leads', () => {
    const cluster = new Cluster({ voters: ids(3) })
    const { term } = cluster.elect('n1')
    live(cluster, 4)
    cluster.partition(['n1', 'n3'], ['n2'])
    cluster.propose('n1', 'kept')
    cluster.settle()
    cluster.heal()
    cluster.crash('n1')
    for (const id of ['n2', 'n3']) cluster.input(id, (raft) => raft.reportGone('n1'))
    live(cluster, 3)
    expect(cluster.leaders.map((raft) => [raft.id, raft.term])).toEqual([['n3', term + 1]])
  })
})
