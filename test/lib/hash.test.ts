// The hash of the state digest: sums that add and subtract, no linearity, every bit and every field counts.
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { addHash, equalHash, Hasher64, HashSum, hashToHex, subtractHash, ZERO_HASH } from '../../src/lib/hash.ts'
import type { Hash64 } from '../../src/lib/hash.ts'
import { Prng } from '../../src/lib/prng.ts'

const word = fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 })
const hash: fc.Arbitrary<Hash64> = fc.record({ hi: word, lo: word })
const toBigInt = ({ hi, lo }: Hash64): bigint => (BigInt(hi >>> 0) << 32n) | BigInt(lo >>> 0)
const of = (...parts: (string | number | Uint8Array)[]): string => {
  const hasher = new Hasher64()
  for (const part of parts) {
    if (typeof part === 'string') hasher.latin1(part)
    else if (typeof part === 'number') hasher.number(part)
    else hasher.bytes(part)
  }
  return hashToHex(hasher.finish())
}

const share = (key: string, value: string): Hash64 => new Hasher64().latin1(key).bytes(Buffer.from(value)).finish()

describe('sums of hashes', () => {
  test('are sums modulo 2^64', () => {
    fc.assert(
      fc.property(hash, hash, (a, b) => {
        expect(toBigInt(addHash(a, b))).toBe(BigInt.asUintN(64, toBigInt(a) + toBigInt(b)))
        expect(toBigInt(subtractHash(a, b))).toBe(BigInt.asUintN(64, toBigInt(a) - toBigInt(b)))
      }),
    )
  })

  test('forget what is taken off again', () => {
    fc.assert(fc.property(hash, hash, (a, b) => equalHash(subtractHash(addHash(a, b), b), a)))
  })

  test('are the same in a sum that many go into', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.boolean(), hash)), (steps) => {
        const sum = new HashSum()
        let expected = ZERO_HASH
        for (const [isAdded, share] of steps) {
          if (isAdded) sum.add(share)
          else sum.subtract(share)
          expected = isAdded ? addHash(expected, share) : subtractHash(expected, share)
        }
        expect(sum.value).toEqual(expected)
      }),
    )
  })

  test('start from zero, and print as 16 digits', () => {
    expect(hashToHex(ZERO_HASH)).toBe('0000000000000000')
    expect(hashToHex({ hi: -1, lo: 1 })).toBe('ffffffff00000001')
    expect(equalHash({ hi: 1, lo: 2 }, { hi: 2, lo: 1 })).toBe(false)
  })
})

describe('a hash', () => {
  test('is the same for the same input, on every machine', () => {
    expect(of('key', 17, Buffer.from('value'))).toBe('302e249c517f3c0d')
    expect(of()).toBe('724c6492052827ef')
  })

  test('of a part of some bytes is that of a string of them', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), fc.nat({ max: 9 }), fc.nat({ max: 9 }), (bytes, before, after) => {
        const from = Math.min(before, bytes.length)
        const to = Math.max(from, bytes.length - after)
        const text = Buffer.from(bytes.subarray(from, to)).toString('latin1')
        expect(new Hasher64().bytes(bytes, from, to).finish()).toEqual(new Hasher64().latin1(text).finish())
      }),
    )
  })

  test('keeps fields apart', () => {
    const all = [
      of('ab', 'c'),
      of('a', 'bc'),
      of('abc', ''),
      of('', 'abc'),
      of('abc'),
      of('abc\0'),
      of(Buffer.from('abc\0\0')),
      of(0),
      of(0, 0),
      of(2 ** 32),
      of(1),
      of(Number.MAX_SAFE_INTEGER),
    ]
    expect(new Set(all).size).toBe(all.length)
  })

  test('differs by its seed', () => {
    expect(hashToHex(new Hasher64(1).finish())).not.toBe(hashToHex(new Hasher64(2).finish()))
  })

  test('is not linear: swapping the values of two keys changes the sum', () => {
    for (const [x, y] of [
      ['1', '2'],
      ['aaaa', 'aaab'],
      ['same length!', 'same length?'],
    ] as const) {
      const straight = addHash(share('a', x), share('b', y))
      expect(equalHash(addHash(share('a', y), share('b', x)), straight)).toBe(false)
    }
  })

  test('changes about half of its bits when any one bit of its input changes', () => {
    const input = Buffer.from('sixteen bytes ok')
    const base = toBigInt(new Hasher64().bytes(input).finish())
    let flipped = 0
    for (let bit = 0; bit < input.length * 8; bit++) {
      const changed = Buffer.from(input)
      changed[bit >> 3]! ^= 1 << (bit & 7)
      const bits = onesOf(toBigInt(new Hasher64().bytes(changed).finish()) ^ base)
      expect(bits, `input bit ${bit}`).toBeGreaterThan(10)
      expect(bits, `input bit ${bit}`).toBeLessThan(54)
      flipped += bits
    }
    expect(flipped / (input.length * 8)).toBeGreaterThan(30)
    expect(flipped / (input.length * 8)).toBeLessThan(34)
  })

  test('has no collisions, in either half, beyond chance among 100,000 similar keys', () => {
    const whole = new Set<string>()
    const high = new Set<number>()
    const low = new Set<number>()
    for (let n = 0; n < 100_000; n++) {
      const { hi, lo } = new Hasher64().latin1(`key/${n}`).number(n).finish()
      whole.add(hashToHex({ hi, lo }))
      high.add(hi)
      low.add(lo)
    }
    expect(whole.size).toBe(100_000)
    // Of 10^5 draws from 2^32 values about one pair collides.
    expect(high.size).toBeGreaterThan(99_990)
    expect(low.size).toBeGreaterThan(99_990)
  })

  test('reads every byte of a value', () => {
    const prng = new Prng('every byte')
    for (let length = 1; length <= 64; length++) {
      const bytes = Buffer.from(Array.from({ length }, () => prng.below(256)))
      for (let at = 0; at < length; at++) {
        const changed = Buffer.from(bytes)
        changed[at] = (changed[at]! + 1 + prng.below(255)) % 256
        expect(of(changed)).not.toBe(of(bytes))
      }
    }
  })
})

function onesOf(value: bigint): number {
  let ones = 0
  for (let rest = value; rest > 0n; rest >>= 1n) ones += Number(rest & 1n)
  return ones
}
