// Ongaro's thesis, sentence by sentence: log replication (§3.5).
import { describe, expect, test } from 'vitest'
import type { Entry, EntryId, NodeId } from '../../../src/raft/index.ts'
import { ORIGIN } from '../../../src/raft/index.ts'
import { Bench, confOf, entry, logOf } from '../support/bench.ts'
import { Cluster } from '../support/cluster.ts'
import { ids, leading, live, texts } from './script.ts'

const terms = ({ raft }: Bench) => Array.from({ length: raft.lastIndex }, (_, at) => raft.termAt(at + 1))
const answers = (bench: Bench) => bench.take('append-entries-response').map(({ result }) => result)
const toPeer = (bench: Bench, peer: NodeId) => bench.take('append-entries').filter(({ to }) => to === peer)

describe('the normal course (§3.5)', () => {
  test('the leader appends a command as a new entry, with its term and the next index, and sends it to all in parallel', () => {
    const bench = leading(5)
    expect(bench.raft.propose(Buffer.from('x'))).toEqual({ kind: 'accepted', id: { term: 1, index: 2 } })
    bench.pump()
    const sent = bench.take('append-entries')
    expect(sent.map(({ to }) => to)).toEqual(['n2', 'n3', 'n4', 'n5'])
    for (const { entries } of sent) expect(entries).toMatchObject([{ term: 1, index: 2, data: Buffer.from('x') }])
  })

  test('only the leader takes commands', () => {
    const cluster = new Cluster({ voters: ids(3) })
    cluster.elect('n1')
    expect(cluster.propose('n2', 'x')).toEqual({ kind: 'dropped', reason: 'not-leader' })
    expect(cluster.raft('n2').lastIndex).toBe(1)
  })

  test('an entry never changes its position, and none is made twice', () => {
    const bench = leading()
    const proposed = Array.from({ length: 20 }, () => bench.raft.propose(Buffer.from('same')))
    expect(proposed).toEqual(proposed.map((_, at) => ({ kind: 'accepted', id: { term: 1, index: at + 2 } })))
  })

  test.each([
    [1, 0],
    [2, 1],
    [3, 1],
    [4, 2],
    [5, 2],
    [7, 3],
  ])('of %i servers, an entry is committed and applied when %i others hold it', (size, needed) => {
    const bench = leading(size, { learners: ['n9'] })
    bench.raft.propose(Buffer.from('x'))
    bench.pump()
    bench.accept(2, 'n9')
    for (let at = 0; at < needed; at++) {
      expect(bench.raft.commitIndex).toBe(1)
      bench.accept(2, `n${at + 2}`)
    }
    expect(bench.raft.commitIndex).toBe(2)
    expect(bench.applied.at(-1)).toMatchObject({ index: 2, data: Buffer.from('x') })
  })

  test('to commit an entry commits all before it', () => {
    const bench = leading()
    for (const text of ['a', 'b', 'c']) bench.raft.propose(Buffer.from(text))
    bench.pump()
    bench.accept(4)
    expect(bench.applied.map(({ index }) => index)).toEqual([1, 2, 3, 4])
  })

  test('the leader includes its commit index in later appends', () => {
    const bench = leading()
    bench.raft.propose(Buffer.from('x'))
    bench.pump()
    bench.accept(2)
    bench.sent.length = 0
    bench.raft.propose(Buffer.from('y'))
    bench.pump()
    expect(toPeer(bench, 'n3')).toMatchObject([{ commitIndex: 2 }])
  })

  test('the leader includes its commit index in heartbeats, as far as the follower is known to hold the log', () => {
    const bench = leading()
    bench.raft.propose(Buffer.from('x'))
    bench.pump()
    bench.accept(2)
    bench.sent.length = 0
    bench.tick(2)
    expect(bench.take('heartbeat')).toMatchObject([
      { to: 'n2', commitIndex: 2 },
      { to: 'n3', commitIndex: 1 },
    ])
  })

  test('a follower that learns of a commit applies the entries, in the order of the log', () => {
    const bench = new Bench()
    bench.append(ORIGIN, logOf(1, 1, 1, 1), 1)
    expect(bench.applied).toEqual([])
    bench.append({ term: 1, index: 4 }, [], 1, 2)
    expect(bench.applied.map(({ index }) => index)).toEqual([1, 2])
    bench.step({ type: 'heartbeat', term: 1, commitIndex: 4, readRound: 0, lastIndex: 4 })
    expect(bench.applied.map(({ index }) => index)).toEqual([1, 2, 3, 4])
  })

  test('the leader retries until every follower stores every entry, also after it was committed', () => {
    const cluster = new Cluster({ voters: ids(3) })
    cluster.elect('n1')
    cluster.partition(['n1', 'n2'], ['n3'])
    for (const text of ['a', 'b', 'c']) {
      cluster.propose('n1', text)
      live(cluster, 5)
    }
    expect([texts(cluster, 'n1'), texts(cluster, 'n3')]).toEqual([['a', 'b', 'c'], []])
    cluster.heal()
    live(cluster, 30)
    expect(texts(cluster, 'n3')).toEqual(['a', 'b', 'c'])
  })

  test.each([2, 3, 5])('appends are retried when one of %i messages is lost, and each is executed once', (every) => {
    const cluster = new Cluster({ voters: ids(3) })
    cluster.elect('n1')
    const expected: string[] = []
    for (let at = 0; at < 40; at++) {
      if (cluster.propose('n1', `${at}`).kind === 'accepted') expected.push(`${at}`)
      for (let count = 0; cluster.network.length > 0; count++) {
        // Only the log is lossy: leadership is not what this is about.
        const isAppend = cluster.network[0]!.message.type.startsWith('append')
        if (isAppend && (at + count) % every === 0) cluster.network.shift()
        else cluster.deliverAt(0)
      }
      cluster.tickAll()
    }
    live(cluster, 20)
    expect(expected).toHaveLength(40)
    for (const id of cluster.ids) expect(texts(cluster, id)).toEqual(expected)
  })
})

describe('the consistency check (§3.5)', () => {
  test('an append names the entry just before its own, by index and term', () => {
    const bench = new Bench({ entries: logOf(1, 1, 3) }).lead()
    expect(toPeer(bench, 'n2')).toMatchObject([{ prev: { term: 3, index: 3 }, entries: [{ term: 4, index: 4 }] }])
  })

  const held = [1, 1, 2, 3, 3] as const
  test.each([
    [{ index: 0, term: 0 }, true],
    [{ index: 2, term: 1 }, true],
    [{ index: 3, term: 2 }, true],
    [{ index: 5, term: 3 }, true],
    [{ index: 3, term: 1 }, false],
    [{ index: 3, term: 3 }, false],
    [{ index: 5, term: 2 }, false],
    [{ index: 5, term: 4 }, false],
    [{ index: 6, term: 3 }, false],
    [{ index: 9, term: 4 }, false],
  ])('a log with the terms 1 1 2 3 3 takes entries that follow %o: %s', (prev, isTaken) => {
    const bench = new Bench({ entries: logOf(...held) })
    bench.append(prev, [entry(prev.index + 1, 4)], 4)
    expect(terms(bench)).toEqual(isTaken ? [...held.slice(0, prev.index), 4] : held)
    expect(answers(bench)).toMatchObject([{ kind: isTaken ? 'accepted' : 'rejected' }])
  })

  test('a success means that the log is the leader’s up to the new entries', () => {
    for (const [prev, count] of [
      [0, 3],
      [1, 1],
      [3, 0],
      [3, 4],
    ] as const) {
      const all = logOf(1, 1, 2, 2, 2, 2, 2)
      const bench = new Bench({ entries: logOf(1, 1, 2, 2) })
      bench.append(prev === 0 ? ORIGIN : all[prev - 1]!, all.slice(prev, prev + count), 2)
      expect(answers(bench)).toEqual([{ kind: 'accepted', matchIndex: prev + count }])
    }
  })

  test('a new leader begins with the index just after its last for every follower', () => {
    const bench = new Bench({ entries: logOf(1, 1, 1, 2), confState: confOf(ids(3)) }).lead()
    expect(bench.raft.status().peers.map(({ id, nextIndex, matchIndex }) => [id, nextIndex, matchIndex])).toEqual([
      ['n2', 5, 0],
      ['n3', 5, 0],
    ])
  })

  test('after each refusal the leader goes back and tries again, until the logs agree', () => {
    const bench = new Bench({ entries: logOf(1, 1, 1, 1) }).lead()
    const seen = [toPeer(bench, 'n2')[0]!.prev.index]
    while (seen.at(-1)! > 0) {
      const index = seen.at(-1)!
      // The least helpful hint: only one entry further back.
      bench.reject(index, { term: 1, index: index - 1 })
      seen.push(toPeer(bench, 'n2')[0]!.prev.index)
    }
    expect(seen).toEqual([4, 3, 2, 1, 0])
    bench.accept(5)
    expect(bench.raft.status().peers[0]).toMatchObject({ matchIndex: 5, nextIndex: 6 })
  })

  test('a refusal concerns one follower: the others are sent what they need', () => {
    const bench = leading()
    bench.reject(1, ORIGIN, 'n3')
    bench.sent.length = 0
    bench.raft.propose(Buffer.from('x'))
    bench.pump()
    expect(toPeer(bench, 'n2')).toMatchObject([{ prev: { index: 1 }, entries: [{ index: 2 }] }])
  })
})

/** Carries appends and answers between the two until the leader has nothing more to say. */
function converge(leader: Bench, other: Bench): void {
  for (let rounds = 0; ; rounds++) {
    expect(rounds).toBeLessThan(20)
    const messages = toPeer(leader, other.raft.id)
    if (messages.length === 0) return
    for (const message of messages) other.raft.step(message)
    other.pump()
    for (const answer of other.take('append-entries-response')) leader.raft.step(answer)
    leader.pump()
  }
}

describe('inconsistent logs (figure 3.6)', () => {
  const leaders = [1, 1, 1, 4, 4, 5, 5, 6, 6, 6]
  test.each([
    ['(a) lacks an entry', [1, 1, 1, 4, 4, 5, 5, 6, 6]],
    ['(b) lacks many', [1, 1, 1, 4]],
    ['(c) has an entry too many', [1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 6]],
    ['(d) has entries of another term', [1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 7, 7]],
    ['(e) lacks some and has others', [1, 1, 1, 4, 4, 4, 4]],
    ['(f) was a leader twice and committed nothing', [1, 1, 1, 2, 2, 2, 3, 3, 3, 3, 3]],
    ['an empty log', []],
  ])('the leader makes the follower’s log a duplicate of its own: %s', (_, theirs) => {
    const hardState = { term: 7, votedFor: undefined, commitIndex: 0 }
    const leader = new Bench({ entries: logOf(...leaders), hardState }).lead()
    const other = new Bench({ entries: logOf(...theirs), hardState }, { id: 'n2' })
    converge(leader, other)
    expect(terms(other)).toEqual([...leaders, 8])
    expect(terms(leader)).toEqual([...leaders, 8])
    expect(other.raft.persistedIndex).toBe(11)
  })

  test('a follower deletes the conflicting entry and all that follow, and no entry before it', () => {
    const bench = new Bench({ entries: logOf(1, 1, 2, 2, 2) })
    const theirs: readonly Entry[] = [entry(2, 1), entry(3, 2), entry(4, 3)]
    bench.append({ term: 1, index: 1 } satisfies EntryId, theirs, 3)
    expect(terms(bench)).toEqual([1, 1, 2, 3])
    const written = bench.readies.flatMap(({ write }) => write?.entries ?? [])
    expect(written.map(({ index, term }) => `${index}@${term}`)).toEqual(['4@3'])
  })
})
