// Ongaro's thesis, sentence by sentence: read-only queries without the log (§6.4). Its steps: (1) wait for a commit of the own
// term, (2) take the commit index as the read index, (3) a round of heartbeats, (4) wait until that much is applied.
import { describe, expect, test } from 'vitest'
import { Bench, logOf } from '../support/bench.ts'
import { Cluster } from '../support/cluster.ts'
import { ids, leading, live, texts } from './script.ts'

const confirmed = (bench: Bench) => bench.readies.flatMap(({ confirmedReads }) => confirmedReads)

function read(bench: Bench, id: number): void {
  expect(bench.raft.readIndex(id)).toEqual({ kind: 'accepted' })
  bench.pump()
}

describe('steps of the leader (§6.4)', () => {
  test('(1) a new leader may not know what is committed: a read waits for the no-op, then sees all of earlier terms', () => {
    const bench = new Bench({ entries: logOf(1, 1, 1) }).lead()
    read(bench, 1)
    for (const from of ['n2', 'n3']) bench.ackHeartbeat(0, from)
    bench.accept(3)
    expect(confirmed(bench)).toEqual([])
    bench.accept(4)
    bench.ackHeartbeat(1)
    expect(confirmed(bench)).toEqual([{ id: 1, index: 4 }])
  })

  test('(2) the read index is at least what was committed when the read came', () => {
    const bench = leading()
    for (let index = 2; index <= 5; index++) {
      bench.raft.propose(Buffer.from('x'))
      bench.pump()
      bench.accept(index)
      read(bench, index)
      bench.ackHeartbeat(index - 1)
      expect(confirmed(bench).at(-1)).toEqual({ id: index, index })
    }
  })

  test.each([
    [1, 0],
    [2, 1],
    [3, 1],
    [4, 2],
    [5, 2],
    [7, 3],
  ])('(3) of %i servers, %i others must answer the heartbeats before a read is confirmed', (size, needed) => {
    const bench = leading(size, { learners: ['n8', 'n9'] })
    read(bench, 1)
    for (const from of ['n8', 'n9']) bench.ackHeartbeat(1, from)
    for (let at = 0; at < needed; at++) {
      expect(confirmed(bench)).toEqual([])
      bench.ackHeartbeat(1, `n${at + 2}`)
    }
    expect(confirmed(bench)).toEqual([{ id: 1, index: 1 }])
  })

  test('(3) answers count only if the heartbeats left after the read came: there is no lease (§6.4.1)', () => {
    const bench = leading()
    for (let id = 1; id <= 5; id++) {
      read(bench, id)
      for (const from of ['n2', 'n3']) bench.ackHeartbeat(id - 1, from)
      expect(confirmed(bench)).toHaveLength(id - 1)
    }
  })

  test('(3) an answer to an append of the round counts like that to a heartbeat', () => {
    const bench = leading()
    bench.raft.propose(Buffer.from('x'))
    read(bench, 1)
    bench.accept(1, 'n3', 1)
    expect(confirmed(bench)).toEqual([{ id: 1, index: 1 }])
  })

  test('(3) a refusal to append shows as well that no other leader is known', () => {
    const bench = leading()
    read(bench, 1)
    const result = { kind: 'rejected', index: 1, hint: { term: 0, index: 0 } } as const
    bench.step({ type: 'append-entries-response', term: 1, readRound: 1, result, isSpaceLow: false })
    expect(confirmed(bench)).toEqual([{ id: 1, index: 1 }])
  })

  test('(3) a leader that was superseded learns of it by the round, and aborts the read', () => {
    const bench = leading()
    read(bench, 1)
    bench.step({ type: 'heartbeat-response', term: 2, readRound: 1, isSpaceLow: false })
    expect(confirmed(bench)).toEqual([])
    expect(bench.readies.flatMap(({ abortedReads }) => abortedReads)).toEqual([1])
  })

  test('a cut-off leader never confirms a read, even while it believes to lead', () => {
    const cluster = new Cluster({ voters: ids(3) })
    const old = cluster.elect('n1')
    cluster.partition(['n1'], ['n2', 'n3'])
    cluster.elect('n2')
    cluster.propose('n2', 'new')
    cluster.settle()
    expect(texts(cluster, 'n2')).toEqual(['new'])
    expect(old.isLeader).toBe(true)
    cluster.input('n1', (raft) => raft.readIndex(1))
    cluster.settle()
    cluster.heal()
    live(cluster, 10)
    expect([cluster.node('n1').reads, cluster.node('n1').abortedReads]).toEqual([[], [1]])
  })

  test('one round serves any number of reads that have gathered', () => {
    const bench = leading()
    for (let id = 1; id <= 100; id++) bench.raft.readIndex(id)
    bench.pump()
    expect(bench.sent.map(({ type, to }) => `${type} ${to}`)).toEqual(['heartbeat n2', 'heartbeat n3'])
    bench.ackHeartbeat(1)
    expect(confirmed(bench)).toHaveLength(100)
  })

  test('reads leave the log alone: nothing is appended and nothing is written', () => {
    const bench = leading()
    for (let id = 1; id <= 10; id++) {
      read(bench, id)
      bench.ackHeartbeat(id)
    }
    expect(confirmed(bench)).toHaveLength(10)
    expect(bench.raft.lastIndex).toBe(1)
    expect(bench.readies.filter(({ write }) => write !== undefined)).toEqual([])
  })
})

describe('reads at followers (§6.4)', () => {
  test.each(['n2', 'n3', 'n4'])(
    '%s asks the leader, and sees what was committed before though it has not heard yet',
    (id) => {
      const cluster = new Cluster({ voters: ids(3), learners: ['n4'] })
      const leader = cluster.elect('n1')
      live(cluster, 4)
      cluster.partition(['n1', id === 'n2' ? 'n3' : 'n2'])
      cluster.propose('n1', 'x')
      cluster.settle()
      const committed = leader.commitIndex
      cluster.heal()
      expect(cluster.raft(id).appliedIndex).toBeLessThan(committed)
      expect(cluster.input(id, (raft) => raft.readIndex(7))).toEqual({ kind: 'accepted' })
      cluster.settle()
      expect(cluster.node(id).reads).toEqual([{ id: 7, index: committed }])
      // (4) The caller waits until this much is applied, which comes about by itself.
      live(cluster, 10)
      expect(cluster.raft(id).appliedIndex).toBeGreaterThanOrEqual(committed)
      expect(texts(cluster, id)).toEqual(['x'])
    },
  )

  test('the leader goes through the same steps for a follower as for itself', () => {
    const bench = new Bench({ entries: logOf(1) }).lead()
    const request = { type: 'read-index', from: 'n3', term: 2, id: 8, boot: 55 } as const
    bench.step(request)
    bench.ackHeartbeat(0)
    expect(bench.take('read-index-response')).toEqual([]) // (1)
    bench.accept(2)
    expect(bench.take('read-index-response')).toEqual([]) // (3)
    bench.ackHeartbeat(1)
    expect(bench.take('read-index-response')).toMatchObject([{ to: 'n3', id: 8, index: 2 }])
  })

  test('to ask is not to answer: the asking follower counts only once it has acknowledged the round', () => {
    const bench = leading()
    bench.step({ type: 'read-index', from: 'n3', term: 1, id: 8, boot: 55 })
    expect(bench.take('read-index-response')).toEqual([])
    bench.ackHeartbeat(1, 'n3')
    expect(bench.take('read-index-response')).toHaveLength(1)
  })

  test('a node that is not the leader answers no follower', () => {
    const cluster = new Cluster({ voters: ids(3) })
    const { term } = cluster.elect('n1')
    const outcome = cluster.step({ type: 'read-index', from: 'n3', to: 'n2', term, id: 1, boot: 1 })
    expect(outcome).toEqual({ kind: 'dropped', reason: 'unexpected' })
    expect(cluster.network).toEqual([])
  })
})
