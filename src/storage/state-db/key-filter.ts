// Which keys may be in the database: a Bloom filter (Bloom 1970) beside JavaScript's heap, all bits of a key in one line of the
// processor's cache (Putze, Sanders, Singler 2007). A key that it does not know is not there, and nobody has to look; a key that it
// knows may be there. Nothing is ever taken out: of keys that were removed it believes that they may be there.

/** 256 bits: each of a key's bits is named by a byte of its hash. */
const BLOCK_WORDS = 8
const BITS_PER_KEY = 4

export class KeyFilter {
  readonly #words: Int32Array
  /** Until everything that is on disk has been added. */
  #isPartial = true

  constructor(bytes: number) {
    this.#words = new Int32Array(Math.ceil(bytes / (4 * BLOCK_WORDS)) * BLOCK_WORDS)
  }

  get sizeBytes(): number {
    return this.#words.byteLength
  }

  add(hash: number): void {
    const words = this.#words
    const block = this.#blockOf(hash)
    for (let nth = 0, bits = mixed(hash); nth < BITS_PER_KEY; nth++, bits >>>= 8)
      words[block + ((bits >>> 5) & 7)]! |= 1 << (bits & 31)
  }

  /** Every key that is on disk was added, and every one that comes to it will be. */
  complete(): void {
    this.#isPartial = false
  }

  mayHold(hash: number): boolean {
    if (this.#isPartial) return true
    const words = this.#words
    const block = this.#blockOf(hash)
    for (let nth = 0, bits = mixed(hash); nth < BITS_PER_KEY; nth++, bits >>>= 8)
      if ((words[block + ((bits >>> 5) & 7)]! & (1 << (bits & 31))) === 0) return false
    return true
  }

  #blockOf(hash: number): number {
    return Math.floor(((hash >>> 0) / 2 ** 32) * (this.#words.length / BLOCK_WORDS)) * BLOCK_WORDS
  }
}

/** The block is named by the hash itself, so the bits within it are named by another one. */
function mixed(hash: number): number {
  const once = Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d)
  return once ^ (once >>> 12)
}
