// Ongaro's thesis, sentence by sentence: terms and roles (§3.3), leader election (§3.4).
import { describe, expect, test } from 'vitest'
import { Prng } from '../../../src/lib/prng.ts'
import type { Message } from '../../../src/raft/index.ts'
import { Bench, confOf, logOf } from '../support/bench.ts'
import { Cluster } from '../support/cluster.ts'
import {
  candidate,
  collect,
  emptyAppend,
  expire,
  follower,
  heartbeat,
  ids,
  live,
  preVote,
  preVoteRequest,
  vote,
  voteRequest,
} from './script.ts'

const accepted = { kind: 'accepted', matchIndex: 0 } as const

describe('terms and roles (§3.3)', () => {
  test('in normal operation there is exactly one leader, and all others are followers of it', () => {
    const cluster = new Cluster({ voters: ids(5) })
    cluster.elect('n4')
    live(cluster, 50)
    expect(cluster.ids.map((id) => cluster.raft(id).role)).toEqual([
      'follower',
      'follower',
      'follower',
      'leader',
      'follower',
    ])
    expect(new Set(cluster.ids.map((id) => cluster.raft(id).leaderId))).toEqual(new Set(['n4']))
  })

  test('followers are passive: they ask nothing, and only respond', () => {
    const bench = follower(1)
    bench.tick(9)
    expect(bench.sent).toEqual([])
    for (let at = 0; at < 50; at++) {
      bench.tick(2)
      bench.step(heartbeat(1))
    }
    expect(new Set(bench.sent.map(({ type }) => type))).toEqual(new Set(['heartbeat-response']))
  })

  test('terms are consecutive: an election is held in the term after the one before', () => {
    const bench = candidate({ hardState: { term: 6, votedFor: undefined, commitIndex: 0 } })
    expect(bench.raft.term).toBe(7)
    expire(bench)
    collect(bench)
    expect(bench.raft.term).toBe(8)
  })

  test('the current term never falls, whatever terms are heard', () => {
    const bench = new Bench()
    let highest = 0
    for (const term of [3, 1, 7, 2, 7, 4, 12, 0, 11]) {
      bench.step(heartbeat(term))
      highest = Math.max(highest, term)
      expect(bench.raft.term).toBe(highest)
    }
  })

  const messages = [
    emptyAppend(8),
    heartbeat(8),
    voteRequest(8),
    vote(8, 'n2', false),
    preVote(8, 'n2', false),
    { type: 'append-entries-response', term: 8, readRound: 0, result: accepted, isSpaceLow: false },
    { type: 'heartbeat-response', term: 8, readRound: 0, isSpaceLow: false },
    { type: 'read-index', term: 8, id: 1, boot: 1 },
    { type: 'request-snapshot', term: 8 },
  ] as const

  test.each(messages)('the term of a $type that is larger than the own one is adopted', (message) => {
    const bench = new Bench()
    bench.step(message)
    expect(bench.raft.term).toBe(8)
  })

  test.each(messages)('a candidate that sees a larger term in a $type is a follower at once', (message) => {
    const bench = candidate()
    bench.step(message)
    expect([bench.raft.role, bench.raft.term]).toEqual(['follower', 8])
  })

  const rejected = expect.objectContaining({ kind: 'rejected' })
  test.each<{ message: Parameters<Bench['step']>[0]; answers: readonly Partial<Message>[] }>([
    { message: emptyAppend(3), answers: [{ type: 'append-entries-response', term: 5, result: rejected }] },
    { message: heartbeat(3), answers: [{ type: 'heartbeat-response', term: 5 }] },
    { message: voteRequest(3), answers: [{ type: 'request-vote-response', term: 5, isGranted: false }] },
    { message: preVoteRequest(3), answers: [{ type: 'request-pre-vote-response', term: 5, isGranted: false }] },
    { message: { type: 'timeout-now', term: 3 }, answers: [] },
    { message: { type: 'read-index', term: 3, id: 1, boot: 1 }, answers: [] },
  ])('a $message.type with a stale term is rejected', ({ message, answers }) => {
    const bench = new Bench({ entries: logOf(1, 5) })
    expect(bench.step(message)).toEqual({ kind: 'dropped', reason: 'stale-term' })
    expect(bench.sent).toMatchObject(answers)
    const { role, term, votedFor, leaderId, lastIndex } = bench.raft
    expect({ role, term, votedFor, leaderId, lastIndex }).toEqual({
      role: 'follower',
      term: 5,
      votedFor: undefined,
      leaderId: undefined,
      lastIndex: 2,
    })
  })
})

describe('the election timeout (§3.4)', () => {
  test('a server starts as a follower', () => {
    const bench = new Bench({ entries: logOf(1, 2), hardState: { term: 4, votedFor: 'n1', commitIndex: 0 } })
    expect([bench.raft.role, bench.raft.term, bench.raft.leaderId]).toEqual(['follower', 4, undefined])
  })

  test('a leader sends heartbeats to all followers, periodically', () => {
    const bench = new Bench({ confState: confOf(ids(3), ['n4']) }).lead()
    bench.accept(1)
    bench.sent.length = 0
    for (let beat = 0; beat < 10; beat++) {
      bench.tick()
      expect(bench.take('heartbeat')).toEqual([])
      bench.tick()
      expect(bench.take('heartbeat').map(({ to }) => to)).toEqual(['n2', 'n3', 'n4'])
      bench.ackHeartbeat(0)
    }
  })

  test('a follower that hears of no leader begins an election', () => {
    const bench = follower(1)
    expect(expire(bench)).toBeGreaterThanOrEqual(10)
    expect(bench.take('request-pre-vote').map(({ to }) => to)).toEqual(['n2', 'n3'])
  })

  // The log of the node ends with entry 1 of term 5.
  const own = { term: 5, index: 1 }
  const older = { term: 4, index: 7 }
  test.each([
    ['an append of the leader', 'follower', emptyAppend(5)],
    ['a heartbeat of the leader', 'follower', heartbeat(5)],
    ['a vote granted', 'follower', voteRequest(5, 'n2', own)],
    ['a vote refused', 'pre-candidate', voteRequest(5, 'n2', older)],
    ['an append of an earlier leader', 'pre-candidate', emptyAppend(4)],
    ['a heartbeat of an earlier leader', 'pre-candidate', heartbeat(4)],
    ['a pre-vote granted', 'pre-candidate', preVoteRequest(6, 'n2', own)],
  ])('after %s just before its timeout, a follower becomes or stays a %s at it', (_, role, message) => {
    const init = { entries: logOf(5) }
    const timeout = expire(new Bench(init))
    const bench = new Bench(init)
    bench.tick(timeout - 1)
    bench.step(message)
    expect(bench.raft.role).toBe('follower')
    bench.tick(1)
    expect(bench.raft.role).toBe(role)
  })

  test('a candidate draws a new timeout at the start of its election, and waits for it before the next', () => {
    const waits = Array.from({ length: 20 }, (_, seed) => {
      return expire(candidate({}, { prng: new Prng(seed) }))
    })
    expect(Math.min(...waits)).toBeGreaterThanOrEqual(10)
    expect(Math.max(...waits)).toBeLessThan(20)
    const bench = candidate()
    const drawn = new Set<number>()
    for (let elections = 0; elections < 10; elections++) {
      drawn.add(expire(bench))
      collect(bench)
    }
    expect(drawn.size).toBeGreaterThan(2)
  })

  test('with random timeouts split votes are rare and soon resolved', () => {
    for (let seed = 1; seed <= 30; seed++) {
      const cluster = new Cluster({ voters: ids(5), seed })
      let ticks = 0
      for (; cluster.leaders.length === 0 && ticks < 200; ticks++) live(cluster, 1)
      expect([seed, ticks < 80]).toEqual([seed, true])
    }
  })
})

describe('elections (§3.4)', () => {
  test('a candidate is in the next term, votes for itself and asks every other voter in parallel', () => {
    const bench = candidate({ confState: confOf(ids(5), ['n6']) })
    expect([bench.raft.role, bench.raft.term, bench.raft.votedFor]).toEqual(['candidate', 1, 'n1'])
    expect(bench.take('request-vote')).toMatchObject(
      ['n2', 'n3', 'n4', 'n5'].map((to) => ({ to, term: 1, last: { term: 0, index: 0 } })),
    )
  })

  test.each([
    [1, 0],
    [2, 1],
    [3, 1],
    [4, 2],
    [5, 2],
    [6, 3],
    [7, 3],
  ])('(a) of %i servers it takes the votes of %i others to win', (size, needed) => {
    const bench = candidate({ confState: confOf(ids(size)) })
    for (let at = 0; at < needed; at++) {
      expect(bench.raft.role).toBe('candidate')
      bench.step(vote(1, `n${at + 2}`))
    }
    expect([bench.raft.role, bench.raft.term]).toEqual(['leader', 1])
  })

  test('(a) the votes must be for the same term', () => {
    const bench = candidate({ confState: confOf(ids(5)) })
    bench.step(vote(1, 'n2'))
    expire(bench)
    collect(bench)
    expect([bench.raft.role, bench.raft.term]).toEqual(['candidate', 2])
    expect(bench.step(vote(1, 'n3')).kind).toBe('dropped')
    bench.step(vote(2, 'n4'))
    expect(bench.raft.role).toBe('candidate')
    bench.step(vote(2, 'n5'))
    expect(bench.raft.role).toBe('leader')
  })

  test('(a) refusals are not votes: half of the cluster with the candidate does not win', () => {
    const bench = candidate({ confState: confOf(ids(4)) })
    bench.step(vote(1, 'n2'))
    bench.step(vote(1, 'n3', false))
    bench.step(vote(1, 'n4', false))
    expect(bench.raft.isLeader).toBe(false)
  })

  test('a server that voted for itself votes for no other in that term', () => {
    const bench = candidate()
    bench.sent.length = 0
    bench.step(voteRequest(1, 'n3'))
    expect(bench.take('request-vote-response')).toMatchObject([{ to: 'n3', term: 1, isGranted: false }])
    expect(bench.raft.votedFor).toBe('n1')
  })

  test('in a new term a server may vote again, for another', () => {
    const bench = new Bench()
    bench.step(voteRequest(1, 'n2'))
    bench.step(voteRequest(2, 'n3'))
    expect(bench.take('request-vote-response')).toMatchObject([
      { to: 'n2', term: 1, isGranted: true },
      { to: 'n3', term: 2, isGranted: true },
    ])
  })

  test('a new leader tells all others at once, to establish its authority', () => {
    const bench = candidate({ confState: confOf(ids(5)) })
    bench.step(vote(1, 'n2'))
    bench.sent.length = 0
    bench.step(vote(1, 'n3'))
    expect(bench.take('append-entries').map(({ to, term }) => `${to}@${term}`)).toEqual([
      'n2@1',
      'n3@1',
      'n4@1',
      'n5@1',
    ])
  })

  test.each([emptyAppend(1, 'n3'), heartbeat(1, 'n3'), emptyAppend(4, 'n3'), heartbeat(4, 'n3')])(
    '(b) a $type of term $term makes a candidate of term 1 follow its sender',
    (message) => {
      const bench = candidate()
      bench.step(message)
      const { role, leaderId, term } = bench.raft
      expect({ role, leaderId, term }).toEqual({ role: 'follower', leaderId: 'n3', term: message.term })
    },
  )

  test.each([emptyAppend(1, 'n3'), heartbeat(1, 'n3')])(
    '(b) a candidate of a later term rejects a $type of an earlier one, and stays a candidate',
    (message) => {
      const bench = candidate({ hardState: { term: 4, votedFor: undefined, commitIndex: 0 } })
      bench.sent.length = 0
      expect(bench.step(message)).toEqual({ kind: 'dropped', reason: 'stale-term' })
      expect(bench.sent).toMatchObject([{ to: 'n3', term: 5 }])
      expect([bench.raft.role, bench.raft.term]).toEqual(['candidate', 5])
      bench.step(vote(5))
      expect(bench.raft.isLeader).toBe(true)
    },
  )

  test('(c) a candidate that neither wins nor loses times out, and asks everyone again in a new term', () => {
    const bench = candidate()
    bench.sent.length = 0
    expire(bench)
    expect(bench.take('request-pre-vote').map(({ to, term }) => `${to}@${term}`)).toEqual(['n2@2', 'n3@2'])
    collect(bench)
    expect(bench.take('request-vote').map(({ to, term }) => `${to}@${term}`)).toEqual(['n2@2', 'n3@2'])
  })

  test('(c) votes split evenly elect nobody in that term', () => {
    const cluster = new Cluster({ voters: ids(4) })
    for (const id of ['n1', 'n2']) cluster.expire(id)
    // Everyone grants pre-votes; then n3 hears n1 first, and n4 hears n2.
    while (cluster.network.some(({ message }) => message.type.startsWith('request-pre-vote'))) {
      cluster.deliverAt(cluster.network.findIndex(({ message }) => message.type.startsWith('request-pre-vote')))
    }
    expect([cluster.raft('n1').role, cluster.raft('n2').role]).toEqual(['candidate', 'candidate'])
    const late = cluster.network.findIndex(({ message }) => message.from === 'n1' && message.to === 'n4')
    cluster.network.push(...cluster.network.splice(late, 1))
    cluster.settle()
    expect(cluster.leaders).toEqual([])
    expect(cluster.ids.map((id) => cluster.raft(id).votedFor)).toEqual(['n1', 'n2', 'n1', 'n2'])
  })
})
