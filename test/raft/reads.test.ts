// Linearizable reads on one node: thesis §6.4 and the traps R*.
import { describe, expect, test } from 'vitest'
import { Bench } from './support/bench.ts'

const confirmed = (bench: Bench) => bench.readies.flatMap((ready) => ready.confirmedReads)
const aborted = (bench: Bench) => bench.readies.flatMap((ready) => ready.abortedReads)

function leading(): Bench {
  const bench = new Bench().lead()
  bench.accept(1)
  bench.sent.length = 0
  return bench
}

function following(): Bench {
  const bench = new Bench()
  bench.step({ type: 'heartbeat', term: 1, commitIndex: 0, readRound: 0, lastIndex: 1 })
  bench.sent.length = 0
  return bench
}

describe('ReadIndex (§6.4)', () => {
  test('R1: a new leader answers no read before it has committed in its own term', () => {
    const bench = new Bench().lead()
    bench.raft.readIndex(1)
    bench.pump()
    bench.ackHeartbeat(0)
    expect(confirmed(bench)).toEqual([])
    bench.accept(1)
    bench.ackHeartbeat(1)
    expect(confirmed(bench)).toEqual([{ id: 1, index: 1 }])
  })

  test('R2: a read needs a round that a quorum has acknowledged', () => {
    const bench = leading()
    bench.raft.readIndex(1)
    bench.pump()
    expect(bench.take('heartbeat')).toMatchObject([{ readRound: 1 }, { readRound: 1 }])
    expect(confirmed(bench)).toEqual([])
    bench.ackHeartbeat(1)
    expect(confirmed(bench)).toEqual([{ id: 1, index: 1 }])
  })

  test('R3: acknowledgements of earlier rounds, duplicates included, do not confirm a later read', () => {
    const bench = leading()
    bench.raft.readIndex(1)
    bench.pump()
    bench.raft.readIndex(2)
    bench.pump()
    bench.ackHeartbeat(0)
    bench.ackHeartbeat(1)
    bench.ackHeartbeat(1)
    bench.ackHeartbeat(1, 'n3')
    expect(confirmed(bench).map(({ id }) => id)).toEqual([1])
    expect(bench.ackHeartbeat(9)).toEqual({ kind: 'dropped', reason: 'malformed' })
    bench.ackHeartbeat(2)
    expect(confirmed(bench).map(({ id }) => id)).toEqual([1, 2])
  })

  test('R3: the round’s index is fixed when its first message leaves', () => {
    const bench = leading()
    bench.raft.readIndex(1)
    bench.pump()
    bench.raft.propose(Buffer.from('x'))
    bench.pump()
    bench.accept(2)
    expect(bench.raft.commitIndex).toBe(2)
    bench.ackHeartbeat(1)
    expect(confirmed(bench)).toContainEqual({ id: 1, index: 1 })
  })

  test('a read rides along with an append, and costs no heartbeat of its own', () => {
    const bench = leading()
    bench.accept(1, 'n3')
    bench.sent.length = 0
    bench.raft.propose(Buffer.from('x'))
    bench.raft.readIndex(1)
    bench.pump()
    expect(bench.sent.map(({ type }) => type)).toEqual(['append-entries', 'append-entries'])
    bench.accept(2, 'n2', 1)
    expect(confirmed(bench)).toEqual([{ id: 1, index: 1 }])
  })

  test('R4: a read whose leader was deposed is aborted, and a late answer is dropped', () => {
    const bench = following()
    expect(bench.raft.readIndex(4).kind).toBe('accepted')
    bench.pump()
    expect(bench.take('read-index')).toMatchObject([{ to: 'n2', id: 4, boot: 7 }])
    bench.step({ type: 'heartbeat', from: 'n3', term: 2, commitIndex: 0, readRound: 0, lastIndex: 1 })
    expect(aborted(bench)).toEqual([4])
    expect(bench.step({ type: 'read-index-response', term: 1, id: 4, boot: 7, index: 1 }).kind).toBe('dropped')
    expect(confirmed(bench)).toEqual([])
  })

  test('R7: a follower’s read is answered once, and only to the boot that asked', () => {
    const bench = following()
    bench.raft.readIndex(4)
    bench.pump()
    const answer = { type: 'read-index-response', term: 1, id: 4, index: 3 } as const
    expect(bench.step({ ...answer, boot: 6 })).toEqual({ kind: 'dropped', reason: 'stale-boot' })
    expect(bench.step({ ...answer, boot: 7, from: 'n3' }).kind).toBe('dropped')
    expect(bench.step({ ...answer, boot: 7 }).kind).toBe('accepted')
    expect(bench.step({ ...answer, boot: 7 }).kind).toBe('dropped')
    expect(confirmed(bench)).toEqual([{ id: 4, index: 3 }])
  })

  test('R7: the leader keeps a follower’s read until its round is confirmed', () => {
    const bench = leading()
    bench.step({ type: 'read-index', term: bench.raft.term, from: 'n3', id: 8, boot: 55 })
    expect(bench.take('read-index-response')).toEqual([])
    bench.ackHeartbeat(1)
    expect(bench.take('read-index-response')).toMatchObject([{ to: 'n3', id: 8, boot: 55, index: 1 }])
  })

  test('the leader keeps a bounded number of followers’ reads', () => {
    const bench = leading()
    const ask = (id: number) => bench.raft.step({ type: 'read-index', term: 1, from: 'n3', to: 'n1', id, boot: 1 })
    for (let id = 0; id < 4_096; id++) ask(id)
    expect(ask(4_096)).toEqual({ kind: 'dropped', reason: 'overloaded' })
  })

  test('R9: a node without a leader, or outside the configuration, refuses', () => {
    expect(new Bench().raft.readIndex(1)).toEqual({ kind: 'dropped', reason: 'no-leader' })
    const confState = { voters: ['n2'], votersOutgoing: [], learners: [], learnersNext: [], autoLeave: false }
    expect(new Bench({ confState }).raft.readIndex(1)).toEqual({ kind: 'dropped', reason: 'not-member' })
  })
})
