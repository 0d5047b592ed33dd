// Ongaro's thesis, sentence by sentence: writing to the leader's disk in parallel (§10.2.1), batching and pipelining (§10.2.2).
import { describe, expect, test } from 'vitest'
import { ORIGIN } from '../../../src/raft/index.ts'
import { Bench, entry, logOf } from '../support/bench.ts'
import { leading } from './script.ts'

const appends = (bench: Bench, peer = 'n2') => bench.take('append-entries').filter(({ to }) => to === peer)
const indices = (bench: Bench, peer = 'n2') =>
  appends(bench, peer).map(({ entries }) => entries.map(({ index }) => index))
const writes = (bench: Bench) =>
  bench.readies.flatMap(({ write }) => (write === undefined ? [] : [write.entries.map(({ index }) => index)]))

function propose(bench: Bench, count = 1): void {
  for (let at = 0; at < count; at++) expect(bench.raft.propose(Buffer.from('x')).kind).toBe('accepted')
}

describe('writing to the leader’s disk in parallel (§10.2.1)', () => {
  test('appends leave together with the leader’s own write, not after it', () => {
    const bench = leading()
    bench.isDiskHeld = true
    propose(bench)
    bench.pump()
    const ready = bench.readies[0]!
    expect(ready.write?.entries).toMatchObject([{ index: 2 }])
    expect(ready.messages.map(({ type, to }) => `${type} ${to}`)).toEqual(['append-entries n2', 'append-entries n3'])
  })

  test.each([
    [3, 2],
    [4, 3],
    [5, 3],
  ])('of %i servers, an entry that %i followers have written is committed before the leader has', (size, needed) => {
    const bench = leading(size)
    bench.isDiskHeld = true
    propose(bench)
    bench.pump()
    for (let at = 0; at < needed; at++) {
      expect(bench.raft.commitIndex).toBe(1)
      bench.accept(2, `n${at + 2}`)
    }
    expect([bench.raft.commitIndex, bench.raft.persistedIndex]).toEqual([2, 1])
  })

  test('the leader counts itself once its own write is durable', () => {
    const bench = leading()
    bench.isDiskHeld = true
    propose(bench)
    bench.pump()
    bench.accept(2)
    expect(bench.raft.commitIndex).toBe(1)
    bench.persist()
    expect(bench.raft.commitIndex).toBe(2)
  })

  test('heartbeats do not wait for the leader’s disk, nor their answers for the follower’s', () => {
    const bench = leading()
    bench.isDiskHeld = true
    propose(bench)
    bench.pump()
    bench.sent.length = 0
    bench.tick(2)
    expect(bench.take('heartbeat')).toHaveLength(2)

    const other = new Bench({ entries: logOf(1) })
    other.isDiskHeld = true
    other.append(logOf(1)[0]!, [entry(2, 1)], 1)
    other.step({ type: 'heartbeat', term: 1, commitIndex: 1, readRound: 0, lastIndex: 2 })
    expect(other.sent.map(({ type }) => type)).toEqual(['heartbeat-response'])
  })
})

describe('batching (§10.2.2)', () => {
  test('commands that have gathered leave in one append a follower and one write', () => {
    const bench = leading()
    propose(bench, 5)
    bench.pump()
    expect(writes(bench)).toEqual([[2, 3, 4, 5, 6]])
    expect(bench.sent.map(({ type, to }) => `${type} ${to}`)).toEqual(['append-entries n2', 'append-entries n3'])
    expect(indices(bench)).toEqual([[2, 3, 4, 5, 6]])
  })

  test('what comes while a write is in flight shares the next one', () => {
    const bench = leading()
    bench.isDiskHeld = true
    for (let at = 0; at < 4; at++) {
      propose(bench)
      bench.pump()
    }
    expect(writes(bench)).toEqual([[2]])
    bench.persist()
    expect(writes(bench)).toEqual([[2], [3, 4, 5]])
  })

  test('a follower writes and acknowledges in batches, too', () => {
    const bench = new Bench()
    bench.isDiskHeld = true
    const entries = logOf(1, 1, 1, 1)
    bench.append(ORIGIN, [entries[0]!], 1)
    for (const index of [1, 2, 3]) bench.append(entries[index - 1]!, [entries[index]!], 1)
    bench.persist()
    bench.persist()
    expect(writes(bench)).toEqual([[1], [2, 3, 4]])
    const acks = bench.take('append-entries-response').map(({ result }) => result)
    expect(acks).toEqual([1, 4].map((matchIndex) => ({ kind: 'accepted', matchIndex })))
  })

  test('a lone command does not wait for company', () => {
    const bench = leading()
    propose(bench)
    bench.pump()
    expect(indices(bench)).toEqual([[2]])
  })

  test('batches are bounded', () => {
    const bench = leading(3, { config: { appendBytesMax: 200 } })
    propose(bench, 7)
    bench.pump()
    expect(indices(bench)).toEqual([[2, 3, 4], [5, 6, 7], [8]])
    expect(writes(bench)).toEqual([[2, 3, 4], [5, 6, 7], [8]])
  })
})

describe('pipelining (§10.2.2)', () => {
  test('the next append leaves before the one before it is acknowledged, and follows it', () => {
    const bench = leading()
    for (let at = 0; at < 3; at++) {
      propose(bench)
      bench.pump()
    }
    expect(appends(bench).map(({ prev, entries }) => [prev.index, entries[0]?.index])).toEqual([
      [1, 2],
      [2, 3],
      [3, 4],
    ])
    expect(bench.raft.status().peers[0]).toMatchObject({ matchIndex: 1, nextIndex: 5 })
  })

  test('the acknowledgement of a later append stands for those before it', () => {
    const bench = leading()
    for (let at = 0; at < 3; at++) {
      propose(bench)
      bench.pump()
    }
    bench.accept(4)
    expect(bench.raft.commitIndex).toBe(4)
    bench.accept(2)
    expect(bench.raft.status().peers[0]).toMatchObject({ matchIndex: 4 })
  })

  test('a new leader sends one append at a time until it knows where the logs agree', () => {
    const bench = new Bench({ entries: logOf(1, 1, 1) }).lead()
    for (let at = 0; at < 3; at++) {
      propose(bench)
      bench.pump()
    }
    expect(appends(bench)).toHaveLength(1)
    bench.accept(4)
    expect(indices(bench)).toEqual([[5, 6, 7]])
  })

  test('how much is in flight to a follower is bounded, and acknowledgements make room', () => {
    const bench = leading(3, { config: { inflightMessagesMax: 4 } })
    for (let at = 0; at < 7; at++) {
      propose(bench)
      bench.pump()
    }
    expect(indices(bench)).toEqual([[2], [3], [4], [5]])
    bench.accept(3)
    expect(indices(bench)).toEqual([[6, 7, 8]])
  })

  test('a follower that does not answer holds up no other, and no commit', () => {
    const bench = leading(3, { config: { inflightMessagesMax: 2 } })
    for (let index = 2; index <= 20; index++) {
      propose(bench)
      bench.pump()
      bench.accept(index, 'n2')
      expect(bench.raft.commitIndex).toBe(index)
    }
    expect(bench.raft.status().peers[1]).toMatchObject({ id: 'n3', matchIndex: 1 })
  })

  test('appends that arrive in the wrong order do no harm: the later one fails the consistency check', () => {
    const bench = new Bench({ entries: logOf(1) })
    bench.append({ term: 1, index: 2 }, [entry(3, 1)], 1)
    expect(bench.raft.lastIndex).toBe(1)
    bench.append({ term: 1, index: 1 }, [entry(2, 1)], 1)
    expect(bench.raft.lastIndex).toBe(2)
    const results = bench.take('append-entries-response').map(({ result }) => result)
    expect(results).toMatchObject([
      { kind: 'rejected', index: 2 },
      { kind: 'accepted', matchIndex: 2 },
    ])
  })

  test.each<[string, (bench: Bench) => void]>([
    ['a refusal', (bench) => void bench.reject(3, { term: 1, index: 1 })],
    ['a lost connection', (bench) => bench.raft.reportUnreachable('n2')],
    ['heartbeats that pass without an acknowledgement', (bench) => [0, 1].forEach(() => void bench.ackHeartbeat(0))],
  ])('after %s the next index goes back, and what is missing is sent again', (_, fail) => {
    const bench = leading()
    for (let at = 0; at < 3; at++) {
      propose(bench)
      bench.pump()
    }
    bench.sent.length = 0
    fail(bench)
    bench.pump()
    // An empty append at the end of the log provokes the refusal that tells where to go on.
    if (appends(bench).some(({ entries, prev }) => entries.length === 0 && prev.index === 4)) {
      bench.reject(4, { term: 1, index: 1 })
    }
    bench.pump()
    expect(bench.raft.status().peers[0]).toMatchObject({ kind: 'probe', matchIndex: 1, nextIndex: 2 })
    bench.accept(4)
    expect(bench.raft.commitIndex).toBe(4)
  })
})
