// Ongaro's thesis, sentence by sentence: disruptive servers (§4.2.3), leaders that are cut off (§6.2), pre-votes (§9.6).
import { describe, expect, test } from 'vitest'
import { Bench, confOf, logOf } from '../support/bench.ts'
import { Cluster } from '../support/cluster.ts'
import {
  candidate,
  expire,
  follower,
  heartbeat,
  ids,
  live,
  preCandidate,
  preVote,
  preVoteRequest,
  voteRequest,
} from './script.ts'

describe('disruptive servers (§4.2.3)', () => {
  test.each([
    [0, false],
    [1, false],
    [9, false],
    [10, true],
    [12, true],
  ])('%i ticks after the leader was heard, a vote of a later term is granted: %s', (ticks, isGranted) => {
    // A seed whose timeout is longer than any of these waits.
    const bench = follower(1, { entries: logOf(1) })
    bench.tick(ticks)
    expect(bench.raft.role).toBe('follower')
    bench.step(voteRequest(2, 'n3'))
    expect(bench.take('request-vote-response').some((answer) => answer.isGranted)).toBe(isGranted)
    expect(bench.raft.term).toBe(isGranted ? 2 : 1)
  })

  test('a leader that reaches its cluster is not deposed by the larger term of a candidate', () => {
    const cluster = new Cluster({ voters: ids(3) })
    cluster.elect('n1')
    live(cluster, 5)
    const { term } = cluster.raft('n1')
    for (let round = 0; round < 10; round++) {
      for (const to of ['n1', 'n2']) cluster.step({ ...voteRequest(term + 50 + round, 'n3'), to })
      live(cluster, 4)
    }
    expect(cluster.leaders.map((raft) => [raft.id, raft.term])).toEqual([['n1', term]])
    expect(cluster.raft('n2').term).toBe(term)
  })

  test('normal elections are not affected: who has waited for a timeout finds that the others have, too', () => {
    const cluster = new Cluster({ voters: ids(3) })
    const { term } = cluster.elect('n1')
    live(cluster, 10)
    cluster.crash('n1')
    live(cluster, 40)
    expect(cluster.leaders).toHaveLength(1)
    expect(cluster.leaders[0]!.term).toBeGreaterThan(term)
  })
})

describe('leaders that are cut off (§6.2)', () => {
  test.each([
    [3, 0, false],
    [3, 1, true],
    [4, 1, false],
    [4, 2, true],
    [5, 1, false],
    [5, 2, true],
  ])('of %i servers, a leader that hears %i others stays: %s', (size, heard, isLeader) => {
    const bench = new Bench({ confState: confOf(ids(size), ['n9']) })
    expire(bench)
    for (const type of ['request-pre-vote-response', 'request-vote-response'] as const) {
      for (const from of ids(size).slice(1)) bench.step({ type, from, term: 1, isGranted: true })
    }
    expect(bench.raft.isLeader).toBe(true)
    for (let rounds = 0; rounds < 15; rounds++) {
      bench.tick(2)
      for (const from of [...ids(size).slice(1, heard + 1), 'n9']) {
        if (bench.raft.isLeader) bench.ackHeartbeat(0, from)
      }
    }
    expect(bench.raft.isLeader).toBe(isLeader)
    expect(bench.raft.term).toBe(1)
  })

  test('clients of a leader that was cut off are told, and find the new one', () => {
    const cluster = new Cluster({ voters: ids(3) })
    cluster.elect('n1')
    cluster.partition(['n1'], ['n2', 'n3'])
    live(cluster, 45)
    expect(cluster.propose('n1', 'lost')).toEqual({ kind: 'dropped', reason: 'not-leader' })
    expect(cluster.raft('n1').leaderId).toBeUndefined()
    expect(cluster.leaders).toHaveLength(1)
    expect(cluster.propose(cluster.leaders[0]!.id, 'kept').kind).toBe('accepted')
  })
})

describe('pre-votes (§9.6)', () => {
  test.each([
    [3, 1],
    [4, 2],
    [5, 2],
  ])('of %i servers, %i others must be willing before a candidate increments its term', (size, needed) => {
    const bench = preCandidate({ confState: confOf(ids(size)) })
    for (let at = 0; at < needed; at++) {
      expect([bench.raft.role, bench.raft.term]).toEqual(['pre-candidate', 0])
      bench.step(preVote(1, `n${at + 2}`))
    }
    expect([bench.raft.role, bench.raft.term]).toEqual(['candidate', 1])
  })

  test('a server that is cut off never increments its term, however long it tries', () => {
    const bench = follower(3)
    bench.tick(1_000)
    expect(bench.take('request-pre-vote').length).toBeGreaterThan(50)
    expect([bench.raft.term, bench.raft.isLeader]).toEqual([3, false])
  })

  test('pre-votes that are refused send the server back, in the term it had', () => {
    const bench = preCandidate({ entries: logOf(2) })
    for (const from of ['n2', 'n3']) bench.step(preVote(2, from, false))
    expect([bench.raft.role, bench.raft.term]).toEqual(['follower', 2])
  })

  test('a refusal tells of the larger term', () => {
    const bench = preCandidate()
    bench.step(preVote(6, 'n3', false))
    expect([bench.raft.role, bench.raft.term]).toEqual(['follower', 6])
  })

  test('to grant a pre-vote binds nobody: another may have one too, and nothing is written', () => {
    const bench = new Bench({ entries: logOf(1) })
    for (const from of ['n2', 'n3']) bench.step(preVoteRequest(2, from))
    expect(bench.take('request-pre-vote-response')).toMatchObject([
      { to: 'n2', term: 2, isGranted: true },
      { to: 'n3', term: 2, isGranted: true },
    ])
    expect(bench.readies.filter(({ write }) => write !== undefined)).toEqual([])
    expect([bench.raft.term, bench.raft.votedFor]).toEqual([1, undefined])
  })

  test('a pre-vote is not a vote: it does not elect a candidate', () => {
    const bench = candidate({ confState: confOf(ids(5)) })
    for (const from of ['n2', 'n3', 'n4', 'n5']) bench.step(preVote(2, from))
    expect(bench.raft.role).toBe('candidate')
  })

  test('a pre-vote counts for the term that was asked about: a late one of an earlier attempt does not', () => {
    const bench = preCandidate({ hardState: { term: 4, votedFor: undefined, commitIndex: 0 } })
    bench.step(voteRequest(5, 'n3'))
    expire(bench)
    expect([bench.raft.role, bench.raft.term]).toEqual(['pre-candidate', 5])
    expect(bench.step(preVote(5)).kind).toBe('dropped')
    expect([bench.raft.role, bench.raft.term]).toEqual(['pre-candidate', 5])
    bench.step(preVote(6))
    expect([bench.raft.role, bench.raft.term]).toEqual(['candidate', 6])
  })

  test('a pre-candidate that hears the leader follows it again', () => {
    const bench = preCandidate({ entries: logOf(1) })
    bench.step(heartbeat(1, 'n3'))
    expect([bench.raft.role, bench.raft.leaderId, bench.raft.term]).toEqual(['follower', 'n3', 1])
    expect(bench.step(preVote(2)).kind).toBe('dropped')
    expect(bench.raft.role).toBe('follower')
  })

  test('a server that was cut off and comes back disrupts nothing, and follows the leader', () => {
    const cluster = new Cluster({ voters: ids(5) })
    const leader = cluster.elect('n1')
    const { term } = leader
    cluster.partition(['n1', 'n2', 'n3', 'n4'], ['n5'])
    live(cluster, 100)
    expect(cluster.raft('n5').role).not.toBe('follower')
    cluster.heal()
    for (let round = 0; round < 60; round++) {
      live(cluster, 1)
      expect([leader.isLeader, leader.term]).toEqual([true, term])
    }
    expect(cluster.raft('n5').leaderId).toBe('n1')
  })
})
