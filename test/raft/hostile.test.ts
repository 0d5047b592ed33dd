// Messages are input: whatever a peer sends, well meant or not, the core answers with an outcome and keeps its invariants.
// RAFT_SEED=n runs one seed.
import { env } from 'node:process'
import { describe, expect, test } from 'vitest'
import { Prng } from '../../src/lib/prng.ts'
import type { Entry, EntryId, Message } from '../../src/raft/index.ts'
import { RaftLog, entryBytes } from '../../src/raft/log.ts'
import { Bench, confOf, entry, logOf } from './support/bench.ts'

const seeds =
  env['RAFT_SEED'] === undefined ? Array.from({ length: 60 }, (_, at) => at + 1) : [Number(env['RAFT_SEED'])]

/** Mostly plausible numbers, sometimes absurd ones. */
function number(prng: Prng): number {
  if (prng.chance(1, 12)) return prng.pick([-1, 0.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53, 2 ** 40])
  return prng.below(8)
}

/** The committed prefix is given: a peer that contradicts it is a different matter, tested elsewhere. */
function randomMessage(prng: Prng): Message {
  const id = (): EntryId => ({ term: number(prng), index: number(prng) })
  const from = prng.pick(['n2', 'n3', 'n9'])
  const envelope = { from, to: 'n1', term: prng.chance(1, 20) ? number(prng) : prng.below(6) }
  const prev = id()
  const entries: Entry[] = Array.from({ length: prng.below(4) }, (_, at) =>
    entry(prev.index + 1 + at + (prng.chance(1, 10) ? 1 : 0), prng.chance(1, 2) ? prev.term : number(prng)),
  )
  const common = { readRound: number(prng), commitIndex: number(prng), lastIndex: number(prng) }
  const isGranted = prng.chance(1, 2)
  const isSpaceLow = prng.chance(1, 2)
  const result = prng.chance(1, 2)
    ? ({ kind: 'accepted', matchIndex: number(prng) } as const)
    : ({ kind: 'rejected', index: number(prng), hint: id() } as const)
  const bodies: [Message, ...Message[]] = [
    { ...envelope, ...common, type: 'append-entries', prev, entries },
    { ...envelope, type: 'append-entries-response', readRound: number(prng), result, isSpaceLow },
    { ...envelope, ...common, type: 'heartbeat' },
    { ...envelope, type: 'heartbeat-response', readRound: number(prng), isSpaceLow },
    { ...envelope, type: 'request-pre-vote', last: id() },
    { ...envelope, type: 'request-pre-vote-response', isGranted },
    { ...envelope, type: 'request-vote', last: id(), isTransfer: isGranted },
    { ...envelope, type: 'request-vote-response', isGranted },
    { ...envelope, type: 'request-snapshot' },
    { ...envelope, type: 'timeout-now' },
    { ...envelope, type: 'read-index', id: number(prng), boot: number(prng) },
    { ...envelope, type: 'read-index-response', id: number(prng), boot: 7, index: number(prng) },
    { ...envelope, type: 'install-snapshot', snapshot: { ...id(), confState: confOf(['n1', 'n2', 'n3']) } },
  ]
  return prng.pick(bodies)
}

describe('hostile input', () => {
  test('no message makes the core throw or break an invariant', () => {
    for (const seed of seeds) {
      const prng = new Prng(seed)
      const bench = new Bench({ entries: logOf(1, 1, 2) }, { prng: prng.fork('core') })
      if (prng.chance(1, 3)) bench.lead()
      try {
        for (let at = 0; at < 300; at++) {
          bench.isDiskHeld = prng.chance(1, 4)
          if (prng.chance(1, 5)) bench.tick(prng.between(1, 15))
          if (prng.chance(1, 10)) bench.raft.propose(Buffer.from('x'))
          if (prng.chance(1, 5)) bench.persist()
          bench.step(randomMessage(prng))
        }
      } catch (error) {
        throw new Error(`RAFT_SEED=${seed} npx vitest run --project unit test/raft/hostile.test.ts`, { cause: error })
      }
    }
  })
})

describe('the log against a list', () => {
  test('entries, terms and every count of bytes agree after random appends, truncations, writes and evictions', () => {
    for (const seed of seeds) {
      const prng = new Prng(seed)
      const log = new RaftLog({ term: 0, index: 0 }, [], 0)
      let model: Entry[] = []
      let term = 1
      for (let at = 0; at < 100; at++) {
        term += prng.chance(1, 5) ? 1 : 0
        const from = prng.between(log.commitIndex, log.lastIndex)
        const entries = Array.from({ length: prng.below(4) }, (_, add) =>
          entry(from + 1 + add, term, Buffer.alloc(prng.below(50))),
        )
        const conflict = entries.findIndex((item) => model[item.index - 1]?.term !== item.term)
        log.reconcile(entries)
        if (conflict >= 0) model = [...model.slice(0, entries[conflict]!.index - 1), ...entries.slice(conflict)]
        if (prng.chance(1, 2)) {
          log.beginWrite(200)
          log.endWrite()
        }
        log.commitTo(prng.between(log.commitIndex, log.lastIndex))
        const through = log.takeCommitted()?.at(-1)?.index ?? log.emittedIndex
        if (prng.chance(1, 2)) log.appliedTo(prng.between(log.appliedIndex, through), prng.pick([0, 500]))
        if (at % 5 === 0) compare(log, model)
      }
    }
  })
})

/** Everything the log claims, recomputed. */
function compare(log: RaftLog, model: readonly Entry[]): void {
  const sum = (above: number, through: number): number =>
    model.filter(({ index }) => index > above && index <= through).reduce((bytes, item) => bytes + entryBytes(item), 0)
  expect(log.lastIndex).toBe(model.length)
  expect(log.bytes).toBe(sum(log.base.index, model.length))
  expect(log.uncommittedBytes).toBe(sum(log.commitIndex, model.length))
  expect(log.unappliedBytes).toBe(sum(log.appliedIndex, log.commitIndex))
  for (let index = log.base.index + 1; index <= model.length; index++) {
    if (log.termAt(index) !== model[index - 1]!.term) expect.fail(`the term at ${index} is ${log.termAt(index)}`)
  }
  if (log.lastIndex > log.base.index) {
    expect(log.slice(log.base.index + 1, 1_000_000)).toEqual(model.slice(log.base.index))
  }
}
