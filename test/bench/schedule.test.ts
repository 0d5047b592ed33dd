// The estimate of the time that is left: what is over is taken off, and a part that takes too long does not make it negative.
import { expect, test } from 'vitest'
import { Schedule } from '../../scripts/bench/schedule.ts'

test('counts down, and starts anew from the estimates with each part', () => {
  let nowMs = 0
  const stages = [
    { name: 'one', seconds: 60 },
    { name: 'two', seconds: 120 },
  ]
  const schedule = new Schedule(stages, () => nowMs)
  expect(schedule.describe()).toBe('About 3.0 minutes on two quiet cores: one 1.0, two 2.0.')
  schedule.advance()
  nowMs = 30_000
  expect(schedule.minutesLeft()).toBe(2.5)
  nowMs = 500_000
  expect(schedule.minutesLeft()).toBe(2)
  schedule.advance()
  expect(schedule.minutesLeft()).toBe(2)
  nowMs = 560_000
  expect(schedule.minutesLeft()).toBe(1)
})
