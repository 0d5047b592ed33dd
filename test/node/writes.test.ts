// The write path alone: what a caller hears, whatever becomes of the batch its command travelled in.
import { beforeEach, describe, expect, it } from 'vitest'
import { decodeClientCommands } from '../../src/api/command-codec.ts'
import { type ClientCommand, type CommandResult, NO_CONDITION } from '../../src/api/commands.ts'
import { QuorateError } from '../../src/api/errors.ts'
import type { EntryId, NodeId } from '../../src/raft/index.ts'
import { LIMITS } from '../../src/node/limits.ts'
import type { ForwardAnswer } from '../../src/node/ports.ts'
import { Writes } from '../../src/node/writes.ts'
import { Turn } from '../../src/node/turn.ts'
import { VirtualClock } from '../support/virtual-clock.ts'

const SELF = { id: '0000000000000001', boot: 7 }
const LEADER = '0000000000000002'

interface Sent {
  readonly number: number
  readonly commands: readonly ClientCommand[]
  readonly to: NodeId
  readonly answer: (answer: ForwardAnswer) => void
}

class Bench {
  readonly clock = new VirtualClock()
  isLeader = false
  leaderId: NodeId | undefined = LEADER
  appliedIndex = 0
  refused: QuorateError | undefined
  readonly sent: Sent[] = []
  readonly valueReads: number[] = []
  readonly writes: Writes

  constructor() {
    // oxlint-disable-next-line no-this-alias -- getters of the port read this bench
    const bench = this
    const take = (to: NodeId, number: number, body: Uint8Array, answer: Sent['answer']): void => {
      this.sent.push({ to, number, answer, commands: decodeClientCommands(body) })
    }
    const turn = new Turn(
      this.clock,
      () => this.writes.flush(),
      () => {},
    )
    this.writes = new Writes(this.clock, SELF, {
      get isLeader() {
        return bench.isLeader
      },
      get leaderId() {
        return bench.leaderId
      },
      get appliedIndex() {
        return bench.appliedIndex
      },
      proposeGroup: (number, body, answer, valueReads) => {
        this.valueReads.push(valueReads)
        take('self', number, body, answer)
      },
      requestTurn: () => turn.request(),
      forward: (to, number, body, answer) => take(to, number, body, answer),
      refusal: () => this.refused,
    })
  }

  put(key: string, options: { timeoutMs?: number; valueBytes?: number } = {}): Outcome {
    const outcome: Outcome = { heard: [] }
    const value = new Uint8Array(options.valueBytes ?? 1)
    this.writes.submit(
      { op: 'put', key, value, contentType: '', condition: NO_CONDITION, wantsPrevious: false },
      options.timeoutMs ?? 5_000,
      (result) => outcome.heard.push(result),
    )
    return outcome
  }

  /** Our group was applied as part of this entry. */
  apply(id: EntryId, sent: Sent | undefined): void {
    this.appliedIndex = id.index
    const groups =
      sent === undefined
        ? []
        : [{ tag: { member: SELF.id, boot: SELF.boot, number: sent.number }, commands: sent.commands }]
    const results = sent === undefined ? [] : [sent.commands.map((_, at): CommandResult => putResult(at + 2))]
    this.writes.onApplied(id, { clusterTimeMs: 0, groups }, results)
  }

  advance(ms: number): void {
    for (let passed = 0; passed < ms; passed += 50) {
      this.clock.advance(50)
      this.writes.sweep()
      this.clock.settle()
    }
  }
}

interface Outcome {
  readonly heard: (CommandResult | QuorateError)[]
}

const putResult = (revision: number): CommandResult => ({ kind: 'put', revision, isCreated: true, previous: undefined })

function errorOf(outcome: Outcome): Pick<QuorateError, 'code' | 'outcome'> | undefined {
  expect(outcome.heard.length).toBe(1)
  const [heard] = outcome.heard
  return heard instanceof QuorateError ? { code: heard.code, outcome: heard.outcome } : undefined
}

const keyOf = (command: ClientCommand): string => ('key' in command ? command.key : command.op)

describe('the write path', () => {
  let bench: Bench
  beforeEach(() => {
    bench = new Bench()
  })

  it('lets no entry make apply read more than so many values, however small its commands are', () => {
    bench.isLeader = true
    for (let at = 0; at < 200; at++) {
      const command = { op: 'delete', key: `k${at}`, condition: NO_CONDITION, wantsPrevious: at < 150 } as const
      bench.writes.submit(command, 5_000, () => {})
    }
    bench.clock.settle()
    const max = LIMITS.batchValueReadsMax
    expect(bench.sent.map(({ commands }) => commands.length)).toEqual([max, max, 200 - 2 * max])
    expect(bench.valueReads).toEqual([max, max, 150 - 2 * max])
  })

  it('lets no entry hold more than a few commands that scan', () => {
    bench.isLeader = true
    const count = { op: 'get', range: { from: '', to: undefined }, limit: 0, reverse: false, keysOnly: false } as const
    const txn = { op: 'txn', compares: [], success: [{ ...count, countOnly: true }], failure: [] } as const
    for (let at = 0; at < 10; at++) bench.writes.submit(txn, 5_000, () => {})
    bench.clock.settle()
    const sizes = bench.sent.map(({ commands }) => commands.length)
    expect(Math.max(...sizes)).toBeLessThanOrEqual(4)
    expect(sizes.reduce((sum, size) => sum + size, 0)).toBe(10)
  })

  it('sends the commands of one turn as one group, in their order', () => {
    bench.isLeader = true
    const outcomes = ['a', 'b', 'c'].map((key) => bench.put(key))
    bench.clock.settle()
    expect(bench.sent.map(({ to, commands }) => [to, commands.map(keyOf)])).toEqual([['self', ['a', 'b', 'c']]])
    bench.sent[0]!.answer({ kind: 'proposed', id: { term: 1, index: 2 } })
    expect(outcomes.flatMap(({ heard }) => heard)).toEqual([])
    bench.apply({ term: 1, index: 2 }, bench.sent[0])
    expect(outcomes.map(({ heard }) => heard)).toEqual([[putResult(2)], [putResult(3)], [putResult(4)]])
  })

  it('closes a batch at its limit, and lets a larger command go alone', () => {
    bench.put('a', { valueBytes: LIMITS.batchBytesMax - 100 })
    bench.put('b', { valueBytes: 200 })
    bench.put('c', { valueBytes: LIMITS.batchBytesMax })
    bench.put('d')
    bench.clock.settle()
    expect(bench.sent.map(({ commands }) => commands.map(keyOf))).toEqual([['a'], ['b'], ['c'], ['d']])
  })

  it('a follower answers when its own apply meets the group, with or without the word of the leader', () => {
    const outcome = bench.put('a')
    bench.clock.settle()
    expect(bench.sent[0]?.to).toBe(LEADER)
    bench.apply({ term: 1, index: 5 }, bench.sent[0])
    expect(outcome.heard).toEqual([putResult(2)])
    bench.sent[0]!.answer({ kind: 'proposed', id: { term: 1, index: 5 } })
    bench.sent[0]!.answer({ kind: 'lost' })
    bench.advance(10_000)
    expect(outcome.heard).toEqual([putResult(2)])
  })

  it('a write whose place another term took is tried again, and answered once', () => {
    const outcome = bench.put('a')
    bench.clock.settle()
    bench.sent[0]!.answer({ kind: 'proposed', id: { term: 1, index: 5 } })
    bench.apply({ term: 2, index: 5 }, undefined)
    expect(outcome.heard).toEqual([])
    bench.writes.retry()
    bench.clock.settle()
    expect(bench.sent.length).toBe(2)
    expect(bench.sent[1]!.number).not.toBe(bench.sent[0]!.number)
    bench.apply({ term: 2, index: 6 }, bench.sent[1])
    expect(outcome.heard).toEqual([putResult(2)])
  })

  it('an answer that arrives after its index was applied without the group means not applied', () => {
    const outcome = bench.put('a')
    bench.clock.settle()
    bench.apply({ term: 2, index: 5 }, undefined)
    bench.sent[0]!.answer({ kind: 'proposed', id: { term: 1, index: 5 } })
    bench.advance(50)
    expect(outcome.heard).toEqual([])
    expect(bench.sent.length).toBe(2)
  })

  it('H8: an index passed by an installed snapshot is unknown', () => {
    const [early, late] = [bench.put('a'), bench.put('b', { valueBytes: LIMITS.batchBytesMax })]
    bench.clock.settle()
    bench.sent[0]!.answer({ kind: 'proposed', id: { term: 1, index: 5 } })
    bench.appliedIndex = 9
    bench.writes.onInstalled(9)
    expect(errorOf(early)).toEqual({ code: 'LEADERSHIP_LOST', outcome: 'unknown' })
    bench.sent[1]!.answer({ kind: 'proposed', id: { term: 1, index: 6 } })
    expect(errorOf(late)).toEqual({ code: 'LEADERSHIP_LOST', outcome: 'unknown' })
  })

  it('H8, H10: a broken link makes a forward unknown, and it is never sent again', () => {
    const outcome = bench.put('a')
    bench.clock.settle()
    bench.sent[0]!.answer({ kind: 'lost' })
    bench.advance(1_500)
    expect(errorOf(outcome)).toEqual({ code: 'LEADERSHIP_LOST', outcome: 'unknown' })
    expect(bench.sent.length).toBe(1)
  })

  it('what a deposed leader had proposed is unknown after a moment, unless its own log says what became of it', () => {
    bench.isLeader = true
    const [lost, kept] = [bench.put('a'), bench.put('b', { valueBytes: LIMITS.batchBytesMax })]
    bench.clock.settle()
    for (const [at, sent] of bench.sent.entries()) sent.answer({ kind: 'proposed', id: { term: 1, index: 5 + at } })
    bench.isLeader = false
    bench.leaderId = undefined
    bench.writes.onFollowing()
    bench.advance(500)
    bench.writes.onFollowing()
    bench.apply({ term: 1, index: 6 }, bench.sent[1])
    expect(kept.heard.length).toBe(1)
    expect(lost.heard).toEqual([])
    bench.advance(600)
    expect(errorOf(lost)).toEqual({ code: 'LEADERSHIP_LOST', outcome: 'unknown' })
    expect(bench.sent.length).toBe(2)
  })

  it('what never reached a socket goes on its way again', () => {
    const outcome = bench.put('a')
    bench.clock.settle()
    bench.sent[0]!.answer({ kind: 'unsent' })
    bench.advance(50)
    expect(bench.sent.length).toBe(2)
    bench.apply({ term: 1, index: 5 }, bench.sent[1])
    expect(outcome.heard).toEqual([putResult(2)])
  })

  it('without a leader a write is held, then refused for certain', () => {
    bench.leaderId = undefined
    const [held, short] = [bench.put('a'), bench.put('b', { timeoutMs: 600 })]
    bench.advance(350)
    expect(errorOf(short)).toEqual({ code: 'NO_LEADER', outcome: 'not-applied' })
    expect(held.heard).toEqual([])
    bench.advance(1_700)
    expect(errorOf(held)).toEqual({ code: 'NO_LEADER', outcome: 'not-applied' })
    expect(bench.sent).toEqual([])
  })

  it('a write held for a leader goes out as soon as there is one', () => {
    bench.leaderId = undefined
    bench.put('a')
    bench.advance(300)
    bench.leaderId = LEADER
    bench.writes.retry()
    bench.clock.settle()
    expect(bench.sent.length).toBe(1)
  })

  it('H8: past its time a proposed write is unknown', () => {
    const outcome = bench.put('a', { timeoutMs: 1_000 })
    bench.clock.settle()
    bench.advance(1_050)
    expect(errorOf(outcome)).toEqual({ code: 'TIMEOUT', outcome: 'unknown' })
    bench.apply({ term: 1, index: 5 }, bench.sent[0])
    expect(outcome.heard.length).toBe(1)
  })

  it('overload is refused before anything is proposed', () => {
    bench.leaderId = LEADER
    for (let count = 0; count < LIMITS.inflightCommandsMax; count++) bench.put('a')
    expect(errorOf(bench.put('b'))).toEqual({ code: 'OVERLOADED', outcome: 'not-applied' })
  })

  it('bytes in flight are bounded too, and come free again', () => {
    const count = Math.ceil(LIMITS.inflightBytesMax / LIMITS.batchBytesMax)
    for (let at = 0; at < count; at++) bench.put('a', { valueBytes: LIMITS.batchBytesMax })
    expect(errorOf(bench.put('b'))).toEqual({ code: 'OVERLOADED', outcome: 'not-applied' })
    bench.clock.settle()
    bench.sent.forEach((sent, at) => bench.apply({ term: 1, index: at + 1 }, sent))
    expect(bench.put('c').heard).toEqual([])
  })

  it('D8: when the leader lacks space, only what adds data is refused', () => {
    const put = bench.put('a')
    const deleted: Outcome = { heard: [] }
    bench.writes.submit({ op: 'delete', key: 'b', condition: NO_CONDITION, wantsPrevious: false }, 5_000, (result) =>
      deleted.heard.push(result),
    )
    bench.clock.settle()
    bench.sent[0]!.answer({ kind: 'not-proposed', code: 'NO_SPACE', detail: 'full' })
    bench.advance(50)
    expect(errorOf(put)).toEqual({ code: 'NO_SPACE', outcome: 'not-applied' })
    expect(bench.sent[1]!.commands.map((command) => command.op)).toEqual(['delete'])
  })

  it('D8: when space is too short for deletes as well, leases are still kept alive', () => {
    const heard: Record<string, unknown> = {}
    const submit = (command: ClientCommand): void =>
      bench.writes.submit(command, 5_000, (outcome) => (heard[command.op] = outcome))
    submit({ op: 'delete', key: 'b', condition: NO_CONDITION, wantsPrevious: false })
    submit({ op: 'lease-keep-alive', lease: '0000000000000001' })
    bench.clock.settle()
    bench.sent[0]!.answer({ kind: 'not-proposed', code: 'NO_SPACE', detail: 'full' })
    bench.advance(50)
    expect(heard).toMatchObject({ delete: { code: 'NO_SPACE' } })
    expect(bench.sent[1]!.commands.map((command) => command.op)).toEqual(['lease-keep-alive'])
  })

  it('a command that no frame between nodes could hold is refused at once', () => {
    const outcome = bench.put('a', { valueBytes: LIMITS.commandBytesMax })
    expect(errorOf(outcome)).toEqual({ code: 'VALUE_TOO_LARGE', outcome: 'not-applied' })
  })

  it('after closing nothing is accepted, and an abort tells what is unknown from what is not', () => {
    const proposed = bench.put('a')
    bench.clock.settle()
    bench.leaderId = undefined
    const held = bench.put('b')
    bench.writes.close()
    expect(errorOf(bench.put('c'))).toEqual({ code: 'SHUTTING_DOWN', outcome: 'not-applied' })
    bench.writes.abort()
    expect(errorOf(proposed)).toEqual({ code: 'SHUTTING_DOWN', outcome: 'unknown' })
    expect(errorOf(held)).toEqual({ code: 'SHUTTING_DOWN', outcome: 'not-applied' })
  })
})
