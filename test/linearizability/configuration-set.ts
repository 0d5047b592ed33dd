// The configurations that a search has been in: which operations it had put in order, and the state after them. Exact, without
// hashing away: a collision would let the checker call a correct history wrong.

const FULL = -1

/**
 * A hash table of words. A configuration is stored without the leading words of completed operations that are full and the
 * trailing ones that are empty: what is left is about as wide as the concurrency at that point, however long the history is.
 */
export class ConfigurationSet {
  #slots = new Int32Array(1 << 10)
  /** Records of [hash, length, words...]. */
  #arena = new Int32Array(1 << 12)
  #used = 1
  #size = 0
  readonly #unknownFrom: number
  #scratch: Int32Array

  /** Words of the bit set from `unknownFrom` on are stored whole: they belong to operations of unknown outcome. */
  constructor(words: number, unknownFrom: number) {
    this.#unknownFrom = unknownFrom
    this.#scratch = new Int32Array(words + 2)
  }

  get size(): number {
    return this.#size
  }

  /** False when it was there already. */
  add(state: number, bits: Int32Array): boolean {
    const length = this.#encode(state, bits)
    const hash = this.#hash(length)
    if (this.#size * 2 >= this.#slots.length) this.#rehash()
    const mask = this.#slots.length - 1
    let slot = hash & mask
    for (; this.#slots[slot] !== 0; slot = (slot + 1) & mask) {
      if (this.#equals(this.#slots[slot]!, hash, length)) return false
    }
    this.#slots[slot] = this.#append(hash, length)
    this.#size += 1
    return true
  }

  /** Into the scratch: state, number of leading full words, what follows them, and the unknown ones. */
  #encode(state: number, bits: Int32Array): number {
    let first = 0
    let end = this.#unknownFrom
    while (first < end && bits[first] === FULL) first += 1
    while (end > first && bits[end - 1] === 0) end -= 1
    const scratch = this.#scratch
    scratch[0] = state
    scratch[1] = first
    let length = 2
    for (let at = first; at < end; at++) scratch[length++] = bits[at]!
    for (let at = this.#unknownFrom; at < bits.length; at++) scratch[length++] = bits[at]!
    return length
  }

  #hash(length: number): number {
    let hash = length
    for (let at = 0; at < length; at++) {
      hash = Math.imul(hash ^ this.#scratch[at]!, 0x9e3779b1)
      hash ^= hash >>> 15
    }
    hash = Math.imul(hash, 0x85ebca6b)
    return hash ^ (hash >>> 13)
  }

  #equals(record: number, hash: number, length: number): boolean {
    const arena = this.#arena
    if (arena[record] !== hash || arena[record + 1] !== length) return false
    for (let at = 0; at < length; at++) if (arena[record + 2 + at] !== this.#scratch[at]) return false
    return true
  }

  #append(hash: number, length: number): number {
    const record = this.#used
    this.#used += length + 2
    if (this.#used > this.#arena.length) {
      const grown = new Int32Array(Math.max(this.#arena.length * 2, this.#used))
      grown.set(this.#arena)
      this.#arena = grown
    }
    this.#arena[record] = hash
    this.#arena[record + 1] = length
    this.#arena.set(this.#scratch.subarray(0, length), record + 2)
    return record
  }

  #rehash(): void {
    const old = this.#slots
    this.#slots = new Int32Array(old.length * 2)
    const mask = this.#slots.length - 1
    for (const record of old) {
      if (record === 0) continue
      let slot = this.#arena[record]! & mask
      while (this.#slots[slot] !== 0) slot = (slot + 1) & mask
      this.#slots[slot] = record
    }
  }
}
