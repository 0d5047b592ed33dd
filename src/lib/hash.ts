// A non-linear 64-bit hash as two 32-bit words, and sums of such hashes modulo 2^64: the arithmetic of the state digest.
// Never a CRC: a CRC is linear, so swapping two values could leave the sum as it was. Not cryptographic.

/**
 * 64 bits: `hi` and `lo` are 32 bits each, as signed integers. Those V8 keeps in the object itself; unsigned ones above 2^31 would
 * each be an object on the heap, and a state holds a hash for every key in memory.
 */
export interface Hash64 {
  readonly hi: number
  readonly lo: number
}

export const ZERO_HASH: Hash64 = { hi: 0, lo: 0 }

export function addHash(a: Hash64, b: Hash64): Hash64 {
  const carry = (a.lo >>> 0) + (b.lo >>> 0) > 0xffffffff ? 1 : 0
  return { hi: (a.hi + b.hi + carry) | 0, lo: (a.lo + b.lo) | 0 }
}

export function subtractHash(a: Hash64, b: Hash64): Hash64 {
  const borrow = a.lo >>> 0 < b.lo >>> 0 ? 1 : 0
  return { hi: (a.hi - b.hi - borrow) | 0, lo: (a.lo - b.lo) | 0 }
}

/** A sum that many hashes go into: two numbers, where each of the functions above makes an object. */
export class HashSum {
  #hi = 0
  #lo = 0

  get value(): Hash64 {
    return { hi: this.#hi, lo: this.#lo }
  }

  add({ hi, lo }: Hash64): void {
    const carry = (this.#lo >>> 0) + (lo >>> 0) > 0xffffffff ? 1 : 0
    this.#hi = (this.#hi + hi + carry) | 0
    this.#lo = (this.#lo + lo) | 0
  }

  subtract({ hi, lo }: Hash64): void {
    const borrow = this.#lo >>> 0 < lo >>> 0 ? 1 : 0
    this.#hi = (this.#hi - hi - borrow) | 0
    this.#lo = (this.#lo - lo) | 0
  }
}

export const equalHash = (a: Hash64, b: Hash64): boolean => a.hi === b.hi && a.lo === b.lo

/** 16 hex digits. */
export const hashToHex = (hash: Hash64): string => wordToHex(hash.hi) + wordToHex(hash.lo)

const wordToHex = (word: number): string => (word >>> 0).toString(16).padStart(8, '0')

/** Hashes bytes, numbers and strings fed in one after another. Lengths are mixed in, so fields cannot flow into each other. */
export class Hasher64 {
  #a: number
  #b: number

  constructor(seed = 0) {
    this.#a = (0x9e3779b9 ^ seed) | 0
    this.#b = (0x85ebca6b + seed) | 0
  }

  /** A safe integer, mixed in as two words. */
  number(value: number): this {
    this.#word(value | 0)
    this.#word((value / 2 ** 32) | 0)
    return this
  }

  bytes(value: Uint8Array, from = 0, to = value.length): this {
    this.#word(to - from)
    let at = from
    for (; at + 4 <= to; at += 4) {
      this.#word(value[at]! | (value[at + 1]! << 8) | (value[at + 2]! << 16) | (value[at + 3]! << 24))
    }
    let tail = 0
    for (let shift = 0; at < to; at++, shift += 8) tail |= value[at]! << shift
    this.#word(tail)
    return this
  }

  /** A string of one code unit a byte: the same as its bytes. */
  latin1(value: string): this {
    this.#word(value.length)
    let word = 0
    for (let at = 0; at < value.length; at++) {
      word |= (value.charCodeAt(at) & 0xff) << ((at & 3) * 8)
      if ((at & 3) === 3) {
        this.#word(word)
        word = 0
      }
    }
    this.#word(word)
    return this
  }

  finish(): Hash64 {
    const a = scramble(this.#a ^ Math.imul(this.#b, 0x27d4eb2f))
    const b = scramble(this.#b ^ Math.imul(a, 0x165667b1))
    return { hi: scramble(a + b) | 0, lo: b | 0 }
  }

  /** Two lanes with different multipliers (the murmur3 128-bit construction), each feeding the other. */
  #word(value: number): void {
    let k = Math.imul(value, 0x239b961b)
    k = Math.imul((k << 15) | (k >>> 17), 0xab0e9789 | 0)
    this.#a = (Math.imul(rotate(this.#a ^ k, 19) + this.#b, 5) + 0x561ccd1b) | 0
    let l = Math.imul(value ^ 0x5bd1e995, 0x38b34ae5)
    l = Math.imul((l << 18) | (l >>> 14), 0xa1e38b93 | 0)
    this.#b = (Math.imul(rotate(this.#b ^ l, 13) + this.#a, 5) + 0x0bcaa747) | 0
  }
}

const rotate = (value: number, by: number): number => (value << by) | (value >>> (32 - by))

/** The murmur3 finalizer: every input bit flips every output bit with a probability close to one half. */
function scramble(value: number): number {
  let h = value
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b)
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35)
  return h ^ (h >>> 16)
}
