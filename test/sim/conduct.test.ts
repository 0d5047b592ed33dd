// Each member is held against its own mail: whoever says more than it was told is noticed, and whoever does not is left alone.
import { describe, expect, it } from 'vitest'
import type { Message } from '../../src/raft/index.ts'
import { Conduct } from './conduct.ts'
import { World } from './world.ts'

const IDS = ['0000000000000001', '0000000000000002', '0000000000000003'] as const
const ELECTION_TIMEOUT_MS = 100

function watched(): { world: World; conduct: Conduct } {
  const world = new World()
  const members = IDS.map((id, at) => ({ id, name: `n${at + 1}` }))
  return { world, conduct: new Conduct(world, members, ELECTION_TIMEOUT_MS) }
}

const [A, B] = IDS
const heartbeat: Message = { type: 'heartbeat', from: A, to: B, term: 4, commitIndex: 0, readRound: 0, lastIndex: 0 }
const answer: Message = { type: 'heartbeat-response', from: B, to: A, term: 4, readRound: 0, isSpaceLow: false }
const vote = (from: string): Message => ({ type: 'request-vote-response', from, to: A, term: 4, isGranted: true })
const append = (prev: number, count: number, commitIndex: number): Message => ({
  type: 'append-entries',
  from: A,
  to: B,
  term: 4,
  prev: { index: prev, term: 4 },
  entries: Array.from({ length: count }, (_, at) => ({
    index: prev + 1 + at,
    term: 4,
    kind: 'no-op' as const,
    data: new Uint8Array(),
  })),
  commitIndex,
  readRound: 0,
  lastIndex: prev + count,
})
const accepted = (matchIndex: number): Message => ({
  type: 'append-entries-response',
  from: B,
  to: A,
  term: 4,
  readRound: 0,
  result: { kind: 'accepted', matchIndex },
  isSpaceLow: false,
})

describe('a member', () => {
  it('E5: may not lead without the votes of a majority, however often one of them arrives', () => {
    const { world, conduct } = watched()
    conduct.onDelivered(0, vote(B), 1)
    conduct.onSend(0, heartbeat, 2, 0)
    expect(world.violation).toBe(undefined)
    const other = new Conduct(
      world,
      [...IDS, '4', '5'].map((id) => ({ id, name: id })),
      ELECTION_TIMEOUT_MS,
    )
    other.onDelivered(0, vote(B), 1)
    other.onDelivered(0, vote(B), 1)
    other.onSend(0, heartbeat, 2, 0)
    expect(world.violation?.message).toContain('with 2 of 5 votes')
  })

  it('E11: may not go on leading when nobody answers, but time in which it stood still does not count', () => {
    const { world, conduct } = watched()
    conduct.onDelivered(0, vote(B), 1)
    conduct.onSend(0, heartbeat, 2, 0)
    conduct.onDelivered(0, answer, 290)
    conduct.onSend(0, heartbeat, 580, 0)
    expect(world.violation).toBe(undefined)
    conduct.onSend(0, heartbeat, 600, 0)
    expect(world.violation?.message).toContain('still leads in term 4')
  })

  it('L6: may acknowledge what appends of this term and life proved, or what is committed anyway', () => {
    const { world, conduct } = watched()
    conduct.onDelivered(1, append(5, 2, 0), 1)
    conduct.onSend(1, accepted(7), 2, 0)
    conduct.onStarted(1)
    conduct.onSend(1, accepted(7), 3, 7)
    expect(world.violation).toBe(undefined)
    conduct.onSend(1, accepted(7), 4, 6)
    expect(world.violation?.message).toContain('only 6 was proved')
  })

  it('L8: may apply what it was told is committed, as far as it was proved', () => {
    const { world, conduct } = watched()
    conduct.onDelivered(1, append(5, 2, 9), 1)
    conduct.onApplied(1, 7)
    conduct.onReceived(1, 20)
    conduct.onApplied(1, 20)
    expect(world.violation).toBe(undefined)
    conduct.onApplied(1, 21)
    expect(world.violation?.message).toContain('was told of commitment up to 20')
  })
})
