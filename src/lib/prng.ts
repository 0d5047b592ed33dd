// A seeded pseudo-random number generator (sfc32, by Chris Doty-Humphrey): the only source of chance below the edges.
// Integers only, and probabilities as ratios, so that one seed means the same on every machine. Not for secrets.

/** A reproducible stream of integers. */
export class Prng {
  #a: number
  #b: number
  #c: number
  #counter = 1

  /** `seed` is any string or safe integer; equal seeds give equal streams. */
  constructor(seed: string | number) {
    ;[this.#a, this.#b, this.#c] = seedWords(String(seed))
    for (let round = 0; round < 12; round++) this.uint32()
  }

  /** A uniform integer in [0, 2^32). */
  uint32(): number {
    const sum = (this.#a + this.#b + this.#counter) | 0
    this.#counter = (this.#counter + 1) | 0
    this.#a = this.#b ^ (this.#b >>> 9)
    this.#b = (this.#c + (this.#c << 3)) | 0
    this.#c = ((this.#c << 21) | (this.#c >>> 11)) + sum
    this.#c |= 0
    return sum >>> 0
  }

  /** A uniform integer in [0, limit), for 1 <= limit <= 2^32. Rejects the biased tail, so every value is equally likely. */
  below(limit: number): number {
    const fair = 2 ** 32 - (2 ** 32 % limit)
    let draw = this.uint32()
    while (draw >= fair) draw = this.uint32()
    return draw % limit
  }

  /** A uniform integer in [low, high], both included. */
  between(low: number, high: number): number {
    return low + this.below(high - low + 1)
  }

  /** True with probability `numerator / denominator`. */
  chance(numerator: number, denominator: number): boolean {
    return this.below(denominator) < numerator
  }

  /** One of the items, each equally likely. */
  pick<T>(items: readonly [T, ...T[]]): T {
    return items[this.below(items.length)]!
  }

  /** A stream of its own for one purpose: further draws in one fork do not shift another's. */
  fork(label: string): Prng {
    return new Prng(`${this.uint32()}/${label}`)
  }
}

/** Spreads a text over three words (FNV-1a with three offsets). */
function seedWords(text: string): [number, number, number] {
  const word = (offset: number): number => {
    let hash = offset
    for (let at = 0; at < text.length; at++) hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193)
    return hash
  }
  return [word(0x811c9dc5 | 0), word(0x9e3779b9 | 0), word(0x7f4a7c15)]
}
