// Ongaro's thesis, sentence by sentence: leadership transfer (§3.10).
import { describe, expect, test } from 'vitest'
import { Bench, confOf, logOf } from '../support/bench.ts'
import type { Packet } from '../support/cluster.ts'
import { Cluster } from '../support/cluster.ts'
import { Safety } from '../support/safety.ts'
import { canWin, follower, ids, live, texts, voteRequest } from './script.ts'

const transfer = (cluster: Cluster, from: string, to: string) =>
  cluster.input(from, (raft) => raft.transferLeadership(to))

/** Takes the request to campaign out of the network. */
function intercept(cluster: Cluster): Packet {
  const at = cluster.network.findIndex(({ message }) => message.type === 'timeout-now')
  return cluster.network.splice(at, 1)[0]!
}

describe('leadership transfer (§3.10)', () => {
  test('the request has the effect of the election timer: the target campaigns at once, in the next term', () => {
    const bench = follower(1)
    bench.step({ type: 'timeout-now', term: 1 })
    expect([bench.raft.role, bench.raft.term, bench.raft.votedFor]).toEqual(['candidate', 2, 'n1'])
    expect(bench.sent).toMatchObject([
      { type: 'request-vote', to: 'n2', term: 2, isTransfer: true },
      { type: 'request-vote', to: 'n3', term: 2, isTransfer: true },
    ])
  })

  test('the target’s own vote is durable before it asks for others’, in this election too', () => {
    const bench = follower(1)
    bench.isDiskHeld = true
    bench.step({ type: 'timeout-now', term: 1 })
    expect(bench.sent).toEqual([])
    bench.persist()
    expect(bench.take('request-vote')).toHaveLength(2)
  })

  test.each([
    [true, true],
    [false, false],
  ])(
    'a request for votes with the mark of a transfer (%s) is heard while the leader is alive: %s',
    (isTransfer, isHeard) => {
      const bench = follower(1)
      bench.step({ ...voteRequest(2, 'n3'), isTransfer })
      expect(bench.take('request-vote-response').some(({ isGranted }) => isGranted)).toBe(isHeard)
    },
  )

  test('the mark does not replace a good log', () => {
    const bench = follower(3, { entries: logOf(1, 2, 3) })
    bench.step({ ...voteRequest(4, 'n3', { term: 3, index: 2 }), isTransfer: true })
    expect(bench.take('request-vote-response')).toMatchObject([{ isGranted: false }])
  })

  test('the target’s term deposes the prior leader, and no timeout passes', () => {
    const cluster = new Cluster({ voters: ids(3) })
    const { term } = cluster.elect('n1')
    expect(transfer(cluster, 'n1', 'n3')).toEqual({ kind: 'accepted', to: 'n3' })
    cluster.settle()
    expect(cluster.ids.map((id) => cluster.raft(id).role)).toEqual(['follower', 'follower', 'leader'])
    expect(cluster.raft('n3').term).toBe(term + 1)
  })

  test('the prior leader first brings the target’s log up to its own, in the usual way', () => {
    const cluster = new Cluster({ voters: ids(3) })
    cluster.elect('n1')
    cluster.partition(['n1', 'n2'], ['n3'])
    for (const text of ['a', 'b', 'c']) cluster.propose('n1', text)
    cluster.settle()
    cluster.heal()
    transfer(cluster, 'n1', 'n3')
    expect(cluster.network.some(({ message }) => message.type === 'timeout-now')).toBe(false)
    live(cluster, 8)
    expect(cluster.raft('n3').isLeader).toBe(true)
    for (const id of cluster.ids) expect(texts(cluster, id)).toEqual(['a', 'b', 'c'])
  })

  test('what was proposed just before the transfer is not lost', () => {
    const cluster = new Cluster({ voters: ids(3) })
    cluster.elect('n1')
    cluster.propose('n1', 'x')
    transfer(cluster, 'n1', 'n2')
    live(cluster, 6)
    expect(cluster.raft('n2').isLeader).toBe(true)
    expect(texts(cluster, 'n2')).toEqual(['x'])
  })

  test('without a named target the active voter with the most of the log is taken', () => {
    const bench = new Bench({ confState: confOf(ids(3), ['n4']) }).lead()
    bench.raft.propose(Buffer.from('x'))
    bench.pump()
    bench.accept(1, 'n2')
    bench.accept(2, 'n3')
    bench.accept(2, 'n4')
    expect(bench.raft.transferLeadership(undefined)).toEqual({ kind: 'accepted', to: 'n3' })
  })

  test('if the target fails, the prior leader goes on after about an election timeout', () => {
    const cluster = new Cluster({ voters: ids(3) })
    const leader = cluster.elect('n1')
    cluster.crash('n3')
    transfer(cluster, 'n1', 'n3')
    live(cluster, 9)
    expect(cluster.propose('n1', 'x')).toEqual({ kind: 'dropped', reason: 'transferring' })
    live(cluster, 1)
    expect(leader.isTransferring).toBe(false)
    expect(cluster.propose('n1', 'x').kind).toBe('accepted')
    live(cluster, 3)
    expect(texts(cluster, 'n2')).toEqual(['x'])
  })

  test('if the prior leader gave up and was wrong, the cost is one more election, and clients go on after it', () => {
    const cluster = new Cluster({ voters: ids(3) })
    const leader = cluster.elect('n1')
    const { term } = leader
    transfer(cluster, 'n1', 'n3')
    const late = intercept(cluster)
    live(cluster, 12)
    expect([leader.isLeader, leader.isTransferring]).toEqual([true, false])
    cluster.propose('n1', 'a')
    live(cluster, 4)
    cluster.step(late.message)
    cluster.settle()
    expect(cluster.raft('n3').isLeader).toBe(true)
    expect(cluster.raft('n3').term).toBe(term + 1)
    cluster.propose('n3', 'b')
    live(cluster, 4)
    for (const id of cluster.ids) expect(texts(cluster, id)).toEqual(['a', 'b'])
  })

  test('safety does not depend on the target being ready: without the committed entries it does not win', () => {
    const cluster = new Cluster({ voters: ids(3) })
    const safety = new Safety(cluster)
    const { term } = cluster.elect('n1')
    cluster.partition(['n1', 'n2'], ['n3'])
    cluster.propose('n1', 'x')
    live(cluster, 3)
    cluster.heal()
    cluster.step({ type: 'timeout-now', from: 'n1', to: 'n3', term })
    cluster.settle()
    expect(cluster.leaders.map(({ id }) => id)).not.toContain('n3')
    expect(canWin(cluster, 'n2')).toBe(true)
    safety.check()
    live(cluster, 10)
    expect(texts(cluster, 'n3')).toEqual(['x'])
  })

  test.each([
    ['another node than the leader', 'n3', 1],
    ['a leader of an earlier term', 'n2', 0],
  ])('nobody campaigns at the request of %s', (_, from, term) => {
    const bench = follower(1)
    expect(bench.step({ type: 'timeout-now', from, term }).kind).toBe('dropped')
    expect([bench.raft.role, bench.raft.term]).toEqual(['follower', 1])
  })
})
