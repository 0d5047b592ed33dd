// The benchmark's own arithmetic: a wrong median would be believed.
import { describe, expect, test } from 'vitest'
import { median, pairwiseRatio, quantile, summarize } from '../../scripts/bench/statistics.ts'

describe('the median', () => {
  test.each([
    [[3], 3],
    [[9, 1, 5], 5],
    [[4, 1, 3, 2], 2.5],
    [[10, 9, 100], 10],
  ])('of %j is %d', (samples, expected) => {
    expect(median(samples)).toBe(expected)
  })

  test('of nothing is refused', () => {
    expect(() => median([])).toThrow(RangeError)
  })
})

test('a quantile is one of the samples, and the highest of few is their maximum', () => {
  const samples = [50, 10, 40, 20, 30]
  expect(quantile(samples, 0.5)).toBe(30)
  expect(quantile(samples, 0.99)).toBe(50)
  expect(quantile(samples, 0)).toBe(10)
  expect(samples).toEqual([50, 10, 40, 20, 30])
})

test('a summary has median, extremes and count', () => {
  expect(summarize([2, 8, 4])).toEqual({ median: 4, min: 2, max: 8, count: 3 })
})

test('ratios are taken pair by pair, not of the medians', () => {
  // The machine was slow in the second round, for both.
  expect(pairwiseRatio([200, 20, 220], [100, 10, 110])).toEqual({ median: 2, min: 2, max: 2, count: 3 })
  expect(() => pairwiseRatio([1], [1, 2])).toThrow(RangeError)
})
