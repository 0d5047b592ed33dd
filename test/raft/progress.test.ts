// The leader's view of a peer, and its window, by themselves.
import { describe, expect, test } from 'vitest'
import { Inflights } from '../../src/raft/inflights.ts'
import { Progress } from '../../src/raft/progress.ts'

const LIMITS = { inflightMessagesMax: 3, inflightBytesMax: 100 }

function replicating(matchIndex: number): Progress {
  const progress = new Progress(LIMITS, matchIndex + 1)
  progress.sent(matchIndex, 0, 0)
  progress.accepted(matchIndex)
  expect(progress.state.kind).toBe('replicate')
  return progress
}

describe('inflights', () => {
  test('L13: the window is bounded in messages', () => {
    const window = new Inflights(2, 1_000)
    window.add(1, 1)
    window.add(2, 1)
    expect(window.isFull).toBe(true)
    window.freeTo(1)
    expect(window.isFull).toBe(false)
    expect(window.count).toBe(1)
  })

  test('L13: the window is bounded in bytes, and one large append may always enter an open one', () => {
    const window = new Inflights(10, 100)
    window.add(1, 500)
    expect(window.isFull).toBe(true)
    window.freeTo(1)
    expect(window.bytes).toBe(0)
  })

  test('L13: no quota leaks over many turns of the ring', () => {
    const window = new Inflights(5, 1_000)
    for (let index = 1; index <= 1_000; index++) {
      window.add(index, 7)
      if (index % 3 === 0) window.freeTo(index - 1)
      if (window.isFull) window.freeTo(index)
    }
    window.freeTo(1_000)
    expect([window.count, window.bytes]).toEqual([0, 0])
  })
})

describe('progress', () => {
  test('L12: a probe sends one append and waits; the answer to a heartbeat lets it try again', () => {
    const progress = new Progress(LIMITS, 5)
    expect(progress.wantsAppend(9)).toBe(true)
    progress.sent(9, 5, 10)
    expect(progress.wantsAppend(9)).toBe(false)
    expect(progress.nextIndex).toBe(5)
    progress.heartbeatAcked(9)
    expect(progress.wantsAppend(9)).toBe(true)
  })

  test('L12: replicating pipelines until the window is full, and an acknowledgement opens it', () => {
    const progress = replicating(4)
    for (const index of [5, 6, 7]) progress.sent(index, 1, 10)
    expect(progress.nextIndex).toBe(8)
    expect(progress.wantsAppend(9)).toBe(false)
    progress.accepted(5)
    expect(progress.wantsAppend(9)).toBe(true)
  })

  test('L12: an unreachable peer is probed from its match', () => {
    const progress = replicating(4)
    progress.sent(8, 4, 10)
    progress.becomeProbe()
    expect(progress.nextIndex).toBe(5)
  })

  test('L12: a lost last append is noticed when a heartbeat passes without progress', () => {
    const progress = replicating(4)
    progress.sent(5, 1, 10)
    progress.heartbeatAcked(5)
    progress.heartbeatAcked(5)
    expect(progress.wantsAppend(5)).toBe(true)
  })

  test('L7: a refusal and its hint never raise the match', () => {
    const progress = new Progress(LIMITS, 9)
    progress.rejected(8, 6)
    expect([progress.matchIndex, progress.nextIndex]).toEqual([0, 7])
  })

  test('L9: next stays above match, and late refusals do not undo a match', () => {
    const progress = replicating(6)
    progress.becomeProbe()
    expect(progress.rejected(3, 1)).toBe(false)
    expect([progress.matchIndex, progress.nextIndex]).toEqual([6, 7])
    progress.accepted(2)
    expect(progress.matchIndex).toBe(6)
  })

  test('a peer that refuses the very entry it acknowledged has lost it, and is helped again', () => {
    const progress = replicating(6)
    progress.rejected(6, 3)
    progress.rejected(6, 3)
    expect([progress.matchIndex, progress.nextIndex]).toEqual([3, 4])
  })

  test('S9: after a failed snapshot the peer is left alone for a while', () => {
    const progress = new Progress(LIMITS, 1)
    progress.becomeSnapshot()
    expect(progress.wantsAppend(9)).toBe(false)
    progress.becomeProbe(undefined, 2)
    progress.heartbeatAcked(9)
    progress.tick()
    expect(progress.wantsAppend(9)).toBe(false)
    progress.tick()
    expect(progress.wantsAppend(9)).toBe(true)
  })
})
