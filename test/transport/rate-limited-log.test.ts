// A trouble is told once, then now and then with what was left out in between.
import { expect, test } from 'vitest'
import { RateLimitedLog } from '../../src/transport/rate-limited-log.ts'
import { VirtualClock } from '../support/virtual-clock.ts'
import { RecordingLogger } from './support/network.ts'

test('the same cause is told once in an interval, other causes are not held back', () => {
  const clock = new VirtualClock()
  const logger = new RecordingLogger()
  const log = new RateLimitedLog(logger, clock, 1_000)
  expect(log.warn('a', {}, 'first')).toBe(true)
  expect(log.warn('a', {}, 'second')).toBe(false)
  expect(log.warn('b', {}, 'other')).toBe(true)
  clock.advance(1_000)
  expect(log.warn('a', {}, 'third')).toBe(true)
  expect(logger.lines).toEqual(['first', 'other', 'third'])
  expect(logger.fields.at(-1)).toEqual({ repeated: 1 })
})

test('a trouble that was over is news again', () => {
  const logger = new RecordingLogger()
  const log = new RateLimitedLog(logger, new VirtualClock(), 1_000)
  log.warn('n1/x', {}, 'first')
  log.warn('n10/x', {}, 'another member')
  log.forget('n1/')
  log.warn('n1/x', {}, 'again')
  log.warn('n10/x', {}, 'not again')
  expect(logger.lines).toEqual(['first', 'another member', 'again'])
})

test('a muted log says nothing', () => {
  const logger = new RecordingLogger()
  const log = new RateLimitedLog(logger, new VirtualClock(), 1_000)
  log.mute()
  expect(log.warn('a', {}, 'first')).toBe(false)
  expect(logger.lines).toEqual([])
})
