// The leader's side of batching, alone: what becomes one entry, and what each group hears of its fate.
import { describe, expect, it } from 'vitest'
import { decodeEntry, encodeCommand } from '../../src/api/command-codec.ts'
import { NO_CONDITION } from '../../src/api/commands.ts'
import { ByteWriter } from '../../src/lib/bytes.ts'
import { LIMITS } from '../../src/node/limits.ts'
import type { ForwardAnswer } from '../../src/node/ports.ts'
import { Proposer } from '../../src/node/proposer.ts'
import { Turn } from '../../src/node/turn.ts'
import type { ProposeOutcome } from '../../src/raft/index.ts'
import { VirtualClock } from '../support/virtual-clock.ts'

class Bench {
  readonly clock = new VirtualClock()
  readonly entries: number[][] = []
  readonly answers: (readonly [number, ForwardAnswer])[] = []
  turns = 0
  refusal: ProposeOutcome | undefined
  isPersisting = false
  readonly #turn = new Turn(
    this.clock,
    () => this.proposer.close(),
    () => this.turns++,
  )
  readonly proposer: Proposer = new Proposer({
    propose: (data) => {
      if (this.refusal !== undefined) return this.refusal
      this.entries.push(decodeEntry(data).groups.map((group) => group.tag.number))
      return { kind: 'accepted', id: { term: 1, index: this.entries.length } }
    },
    clusterTimeMs: () => 7,
    isPersisting: () => this.isPersisting,
    requestTurn: () => this.#turn.request(),
  })

  add(number: number, valueBytes = 1, valueReads = 0): void {
    const body = new ByteWriter()
    const value = new Uint8Array(valueBytes)
    encodeCommand(body, { op: 'put', key: 'k', value, contentType: '', condition: NO_CONDITION, wantsPrevious: false })
    const tag = { member: '0000000000000002', boot: 1, number }
    this.proposer.add(tag, body.finish(), (answer) => this.answers.push([number, answer]), valueReads)
  }
}

describe('the proposer', () => {
  it('makes one entry of the groups of a turn, in their order, and tells each where it is', () => {
    const bench = new Bench()
    for (const number of [1, 2, 3]) bench.add(number)
    expect(bench.entries).toEqual([])
    bench.clock.settle()
    expect(bench.entries).toEqual([[1, 2, 3]])
    const id = { term: 1, index: 1 }
    expect(bench.answers).toEqual([1, 2, 3].map((number) => [number, { kind: 'proposed', id }]))
    expect(bench.turns).toBe(1)
  })

  it('goes on gathering while the log is writing, and closes the entry when that is over', () => {
    const bench = new Bench()
    bench.isPersisting = true
    bench.add(1)
    bench.clock.settle()
    bench.add(2)
    bench.clock.settle()
    expect(bench.entries).toEqual([])
    bench.isPersisting = false
    bench.add(3)
    bench.clock.settle()
    expect(bench.entries).toEqual([[1, 2, 3]])
  })

  it('does not wait for the log once an entry is full', () => {
    const bench = new Bench()
    bench.isPersisting = true
    bench.add(1, LIMITS.batchBytesMax)
    bench.clock.settle()
    expect(bench.entries).toEqual([[1]])
  })

  it('closes an entry at its limit without splitting a group, and lets a larger one go alone', () => {
    const bench = new Bench()
    bench.add(1, LIMITS.batchBytesMax / 2)
    bench.add(2, LIMITS.batchBytesMax / 2)
    bench.add(3, LIMITS.batchBytesMax)
    bench.add(4)
    bench.clock.settle()
    expect(bench.entries).toEqual([[1], [2], [3], [4]])
  })

  it('closes an entry when its groups make apply read many values together', () => {
    const bench = new Bench()
    const max = LIMITS.batchValueReadsMax
    for (const [number, reads] of [max / 2, max / 2, 1, max + 1, 0].entries()) bench.add(number, 1, reads)
    bench.clock.settle()
    expect(bench.entries).toEqual([[0, 1], [2], [3], [4]])
  })

  it('proposes at once when told that nothing more will come, and nothing twice', () => {
    const bench = new Bench()
    bench.add(1)
    bench.proposer.close()
    bench.clock.settle()
    expect(bench.entries).toEqual([[1]])
    expect(bench.turns).toBe(1)
  })

  it('tells for certain that nothing was proposed', () => {
    const bench = new Bench()
    const heard = (reason: 'not-leader' | 'transferring' | 'overloaded'): string | undefined => {
      bench.refusal = { kind: 'dropped', reason }
      bench.add(1)
      bench.clock.settle()
      const [, answer] = bench.answers.pop()!
      return answer.kind === 'not-proposed' ? answer.code : undefined
    }
    expect([heard('not-leader'), heard('transferring'), heard('overloaded')]).toEqual([
      'NO_LEADER',
      'NO_LEADER',
      'OVERLOADED',
    ])
  })
})
