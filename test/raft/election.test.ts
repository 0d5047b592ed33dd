// Elections on one node: thesis §3.3, §3.4, §3.6.1, §3.8, §4.2.3, §6.2, §9.6, and the traps E*.
import { describe, expect, test } from 'vitest'
import { Prng } from '../../src/lib/prng.ts'
import type { Standing } from '../../src/raft/index.ts'
import { Bench, confOf, logOf } from './support/bench.ts'

const voteRequest = (term: number, last = { term: 9, index: 9 }) =>
  ({ type: 'request-vote', term, last, isTransfer: false }) as const

/** How long the first elections of a node took to begin, in ticks. */
const timeouts = (seed: string): number[] => {
  const bench = new Bench({}, { prng: new Prng(seed) })
  return Array.from({ length: 20 }, () => {
    bench.sent.length = 0
    for (let ticks = 1; ; ticks++) {
      bench.tick()
      if (bench.sent.length > 0) return ticks
    }
  })
}

describe('terms (§3.3)', () => {
  const messages = [
    { type: 'append-entries-response', readRound: 0, result: { kind: 'accepted', matchIndex: 0 }, isSpaceLow: false },
    { type: 'heartbeat-response', readRound: 0, isSpaceLow: false },
    { type: 'request-vote-response', isGranted: false },
    { type: 'request-pre-vote-response', isGranted: false },
    { type: 'heartbeat', commitIndex: 0, readRound: 0, lastIndex: 9 },
    { type: 'append-entries', prev: { term: 0, index: 0 }, entries: [], commitIndex: 0, readRound: 0, lastIndex: 9 },
  ] as const

  test.each(messages)('E7: a leader that sees a higher term in a $type becomes a follower of that term', (body) => {
    const bench = new Bench().lead()
    bench.step({ ...body, term: 8 })
    expect([bench.raft.role, bench.raft.term]).toEqual(['follower', 8])
  })

  test('E8: an old leader is told the new term instead of being ignored', () => {
    const bench = new Bench({ hardState: { term: 5, votedFor: undefined, commitIndex: 0 } })
    bench.step({ type: 'heartbeat', term: 3, commitIndex: 0, readRound: 0, lastIndex: 1 })
    expect(bench.take('heartbeat-response').map(({ term }) => term)).toEqual([5])
    bench.step({ type: 'request-pre-vote', term: 4, last: { term: 9, index: 9 } })
    expect(bench.take('request-pre-vote-response')).toMatchObject([{ term: 5, isGranted: false }])
  })

  test('E16: a message for another node, or from itself, is refused', () => {
    const { raft } = new Bench()
    const body = { type: 'request-vote-response', term: 1, isGranted: true } as const
    expect(raft.step({ ...body, from: 'n2', to: 'n3' })).toEqual({ kind: 'dropped', reason: 'misaddressed' })
    expect(raft.step({ ...body, from: 'n1', to: 'n1' })).toEqual({ kind: 'dropped', reason: 'misaddressed' })
  })
})

describe('votes (§3.4, §3.6.1, §3.8)', () => {
  test('E1: a vote leaves only when it is durable', () => {
    const bench = new Bench()
    bench.isDiskHeld = true
    bench.step(voteRequest(1))
    expect(bench.take('request-vote-response')).toEqual([])
    bench.persist()
    expect(bench.take('request-vote-response')).toMatchObject([{ to: 'n2', term: 1, isGranted: true }])
  })

  test('E1: a candidate asks for no vote before its term and its own vote are durable', () => {
    const bench = new Bench()
    bench.isDiskHeld = true
    while (bench.raft.role === 'follower') bench.tick()
    bench.step({ type: 'request-pre-vote-response', term: 1, isGranted: true })
    expect(bench.raft.role).toBe('candidate')
    expect(bench.take('request-vote')).toEqual([])
    expect(bench.step({ type: 'request-vote-response', term: 1, isGranted: true }).kind).toBe('dropped')
    bench.persist()
    expect(bench.take('request-vote').map(({ to }) => to)).toEqual(['n2', 'n3'])
  })

  test('E1: a second candidate of the same term is refused, the first may ask again', () => {
    const bench = new Bench()
    bench.step(voteRequest(1))
    bench.take('request-vote-response')
    bench.step({ ...voteRequest(1), from: 'n3' })
    bench.step(voteRequest(1))
    expect(bench.sent).toMatchObject([
      { to: 'n3', isGranted: false },
      { to: 'n2', isGranted: true },
    ])
  })

  test.each([
    { last: { term: 1, index: 9 }, isGranted: false },
    { last: { term: 2, index: 1 }, isGranted: false },
    { last: { term: 2, index: 2 }, isGranted: false },
    { last: { term: 2, index: 3 }, isGranted: true },
    { last: { term: 2, index: 4 }, isGranted: true },
    { last: { term: 3, index: 1 }, isGranted: true },
    { last: { term: 3, index: 3 }, isGranted: true },
    { last: { term: 1, index: 3 }, isGranted: false },
    { last: { term: 0, index: 0 }, isGranted: false },
  ])('E3: a log ending 3@2 meets one ending $last.index@$last.term: $isGranted', ({ last, isGranted }) => {
    const bench = new Bench({ entries: logOf(1, 2, 2) })
    bench.step(voteRequest(5, last))
    expect(bench.take('request-vote-response')).toMatchObject([{ isGranted }])
    const other = new Bench({ entries: logOf(1, 2, 2) })
    other.step({ type: 'request-pre-vote', term: 5, last })
    expect(other.take('request-pre-vote-response')).toMatchObject([{ isGranted, term: isGranted ? 5 : 2 }])
  })

  test('E4: a learner, and a node outside the configuration, do not campaign, but vote when asked', () => {
    for (const confState of [confOf(['n2', 'n3'], ['n1']), confOf(['n2', 'n3'])]) {
      const bench = new Bench({ confState })
      bench.tick(100)
      expect(bench.sent).toEqual([])
      bench.step(voteRequest(1))
      expect(bench.take('request-vote-response')).toMatchObject([{ isGranted: true }])
      expect(bench.step({ type: 'timeout-now', term: 1 }).kind).toBe('dropped')
    }
  })

  test('E5: duplicate votes, pre-votes and votes of strangers or learners elect nobody', () => {
    const bench = new Bench({ confState: confOf(['n1', 'n2', 'n3', 'n4', 'n5'], ['n6']) })
    while (bench.raft.role === 'follower') bench.tick()
    for (const from of ['n2', 'n2', 'n6', 'n9'])
      bench.step({ type: 'request-pre-vote-response', from, term: 1, isGranted: true })
    expect(bench.raft.role).toBe('pre-candidate')
    bench.step({ type: 'request-pre-vote-response', from: 'n3', term: 1, isGranted: true })
    for (const from of ['n2', 'n2', 'n6', 'n9'])
      bench.step({ type: 'request-vote-response', from, term: 1, isGranted: true })
    bench.step({ type: 'request-pre-vote-response', from: 'n4', term: 2, isGranted: true })
    expect(bench.raft.role).toBe('candidate')
    bench.step({ type: 'request-vote-response', from: 'n3', term: 1, isGranted: true })
    expect(bench.raft.role).toBe('leader')
  })

  test('E15: timeouts lie in [n, 2n), differ between elections, and differ between seeds', () => {
    const drawn = timeouts('a')
    expect(Math.min(...drawn)).toBeGreaterThanOrEqual(10)
    expect(Math.max(...drawn)).toBeLessThan(20)
    expect(new Set(drawn).size).toBeGreaterThan(3)
    expect(timeouts('b')).not.toEqual(drawn)
  })
})

describe('pre-votes, stickiness and the check of the quorum (§9.6, §4.2.3, §6.2)', () => {
  test('E10: a pre-vote changes no term, and none is granted while the leader is alive', () => {
    const bench = new Bench()
    bench.step({ type: 'heartbeat', term: 1, commitIndex: 0, readRound: 0, lastIndex: 1 })
    const request = { type: 'request-pre-vote', from: 'n3', term: 2, last: { term: 1, index: 9 } } as const
    expect(bench.step(request)).toEqual({ kind: 'dropped', reason: 'leader-alive' })
    expect(bench.step({ ...voteRequest(7), from: 'n3' })).toEqual({ kind: 'dropped', reason: 'leader-alive' })
    expect(bench.raft.term).toBe(1)
    bench.tick(10)
    bench.take('heartbeat')
    bench.step(request)
    expect(bench.take('request-pre-vote-response')).toMatchObject([{ isGranted: true, term: 2 }])
    expect(bench.raft.term).toBe(1)
  })

  test('E11: a leader that hears no quorum for an election timeout steps down; its reads are aborted', () => {
    const bench = new Bench().lead()
    bench.accept(1)
    expect(bench.raft.readIndex(1).kind).toBe('accepted')
    bench.tick(9)
    expect(bench.raft.isLeader).toBe(true)
    bench.tick(11)
    expect(bench.raft.isLeader).toBe(false)
    expect(bench.readies.flatMap(({ abortedReads }) => abortedReads)).toEqual([1])
    expect(bench.raft.propose(Buffer.from('x'))).toEqual({ kind: 'dropped', reason: 'not-leader' })
  })

  test('E13: a leader that can send but not receive steps down', () => {
    const bench = new Bench().lead()
    bench.tick(20)
    expect(bench.raft.role).not.toBe('leader')
  })

  test('E18: a transfer to itself, to a learner or to a stranger is refused', () => {
    const bench = new Bench({ confState: confOf(['n1', 'n2', 'n3'], ['n4']) }).lead()
    const outcome = (to: string | undefined) => bench.raft.transferLeadership(to)
    expect(outcome('n1')).toEqual({ kind: 'dropped', reason: 'self' })
    expect(outcome('n4')).toEqual({ kind: 'dropped', reason: 'not-voter' })
    expect(outcome('n9')).toEqual({ kind: 'dropped', reason: 'not-voter' })
    expect(outcome(undefined)).toEqual({ kind: 'dropped', reason: 'no-target' })
  })

  test('E18: proposals are refused during a transfer, and accepted again when it was given up (§3.10)', () => {
    const bench = new Bench().lead()
    expect(bench.raft.transferLeadership('n3')).toEqual({ kind: 'accepted', to: 'n3' })
    expect(bench.raft.transferLeadership('n2')).toEqual({ kind: 'dropped', reason: 'transferring' })
    expect(bench.raft.propose(Buffer.from('x'))).toEqual({ kind: 'dropped', reason: 'transferring' })
    bench.tick(5)
    bench.ackHeartbeat(0)
    bench.tick(5)
    expect(bench.raft.propose(Buffer.from('x')).kind).toBe('accepted')
  })

  test('E18: the target is told to campaign only once it has the whole log', () => {
    const bench = new Bench().lead()
    bench.raft.propose(Buffer.from('x'))
    bench.raft.transferLeadership('n2')
    bench.accept(1)
    expect(bench.take('timeout-now')).toEqual([])
    bench.accept(2)
    expect(bench.take('timeout-now').map(({ to }) => to)).toEqual(['n2'])
  })

  test('E14: a leader whose disk stalls while nobody holds its entries stays: leaving would gain nothing', () => {
    const bench = new Bench().lead()
    bench.accept(1)
    bench.isDiskHeld = true
    bench.raft.propose(Buffer.from('x'))
    for (let at = 0; at < 10; at++) {
      bench.tick(5)
      bench.ackHeartbeat(0)
    }
    expect(bench.raft.isLeader).toBe(true)
    bench.accept(2)
    bench.tick(1)
    expect(bench.raft.isTransferring).toBe(true)
    bench.tick(12)
    expect(bench.raft.isLeader).toBe(false)
  })

  test.each<Standing>(['amnesiac', 'stateless'])('a node that is %s does not campaign', (standing) => {
    const bench = new Bench({ standing })
    bench.tick(100)
    expect(bench.take('request-pre-vote')).toEqual([])
    expect(bench.step({ type: 'timeout-now', term: 1 })).toEqual({ kind: 'dropped', reason: 'not-promotable' })
  })

  test('D6: a node that lost entries grants no vote until it holds what a leader reported', () => {
    const bench = new Bench({ standing: 'amnesiac', base: { term: 1, index: 1 } })
    bench.step(voteRequest(2))
    expect(bench.take('request-vote-response')).toMatchObject([{ isGranted: false }])
    const entries = logOf(1, 1, 1)
    bench.step({
      type: 'append-entries',
      term: 3,
      prev: entries[0]!,
      entries: [entries[1]!],
      commitIndex: 1,
      readRound: 0,
      lastIndex: 3,
    })
    expect(bench.raft.standing).toBe('amnesiac')
    bench.isDiskHeld = true
    bench.append(entries[1]!, [entries[2]!], 3)
    expect(bench.raft.standing).toBe('amnesiac')
    bench.persist()
    expect(bench.raft.standing).toBe('full')
  })
})
