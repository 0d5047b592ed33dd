// The seeded generator: equal seeds give equal streams, values are uniform, forks are independent.
import { describe, expect, test } from 'vitest'
import { Prng } from '../../src/lib/prng.ts'

const draws = (prng: Prng, count = 100): number[] => Array.from({ length: count }, () => prng.uint32())

describe('a generator', () => {
  test('gives the same stream for the same seed, on every machine', () => {
    expect(draws(new Prng('seed'))).toEqual(draws(new Prng('seed')))
    expect(draws(new Prng(42), 3)).toEqual([3_456_853_104, 3_671_702_633, 577_912_747])
  })

  test('gives another stream for another seed', () => {
    const streams = ['', 'a', 'b', 'ab', 'ba', 0, 1, -1, Number.MAX_SAFE_INTEGER].map((seed) =>
      draws(new Prng(seed), 4).join(),
    )
    expect(new Set(streams).size).toBe(streams.length)
  })

  test('draws integers of 32 bits, each bit set half of the time', () => {
    const prng = new Prng('bits')
    const ones = Array.from({ length: 32 }, () => 0)
    for (let draw = 0; draw < 10_000; draw++) {
      const value = prng.uint32()
      expect(Number.isInteger(value) && value >= 0 && value < 2 ** 32).toBe(true)
      for (let bit = 0; bit < 32; bit++) ones[bit]! += (value >>> bit) & 1
    }
    // Five standard deviations (50 each) around one half.
    for (const count of ones) expect(Math.abs(count - 5_000)).toBeLessThan(250)
  })

  test.each([1, 2, 3, 7, 10, 1000])('below %d reaches all values, equally often', (limit) => {
    const prng = new Prng(`below ${limit}`)
    const counts = Array.from({ length: limit }, () => 0)
    const each = 1_000
    for (let draw = 0; draw < limit * each; draw++) counts[prng.below(limit)]! += 1
    for (const count of counts) expect(Math.abs(count - each)).toBeLessThan(200)
  })

  test('below a limit that does not divide 2^32 is not biased', () => {
    // Without rejection the lower third of this range would come up half of the time.
    const prng = new Prng('bias')
    let low = 0
    for (let draw = 0; draw < 10_000; draw++) if (prng.below(3 * 2 ** 30) < 2 ** 30) low++
    expect(Math.abs(low - 3_333)).toBeLessThan(250)
  })

  test('below 2^32 is any draw', () => {
    expect(new Prng('x').below(2 ** 32)).toBe(new Prng('x').uint32())
  })

  test('between includes both ends', () => {
    const prng = new Prng('between')
    const seen = new Set(Array.from({ length: 200 }, () => prng.between(-1, 2)))
    expect([...seen].sort((a, b) => a - b)).toEqual([-1, 0, 1, 2])
  })

  test('a chance is met as often as its ratio says', () => {
    const prng = new Prng('chance')
    let met = 0
    for (let draw = 0; draw < 10_000; draw++) if (prng.chance(3, 100)) met++
    expect(met).toBeGreaterThan(200)
    expect(met).toBeLessThan(400)
    expect(prng.chance(0, 5)).toBe(false)
    expect(prng.chance(5, 5)).toBe(true)
  })

  test('picks each item', () => {
    const prng = new Prng('pick')
    const seen = new Set(Array.from({ length: 100 }, () => prng.pick(['a', 'b', 'c'])))
    expect(seen.size).toBe(3)
  })
})

describe('a fork', () => {
  test('is named: forks of one stream differ by label', () => {
    expect(draws(new Prng('s').fork('network'))).not.toEqual(draws(new Prng('s').fork('disk')))
    expect(draws(new Prng('s').fork('network'))).toEqual(draws(new Prng('s').fork('network')))
  })

  test('is not shifted by draws from another', () => {
    const one = new Prng('s')
    const [network, disk] = [one.fork('network'), one.fork('disk')]
    draws(network)
    const other = new Prng('s')
    other.fork('network')
    expect(draws(disk)).toEqual(draws(other.fork('disk')))
  })
})
