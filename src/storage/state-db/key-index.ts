// Where the cache's entries are, by key: a hash table of numbers beside JavaScript's heap, with open addressing and linear probing.
// A Map of strings costs a key three times as much, and the garbage collector looks at every one of them.
import type { KeyString } from '../../lib/bytes.ts'
import { Hasher64 } from '../../lib/hash.ts'

/** What the index asks of that which it points to. A place is a number from 0 to 2^31 - 2. */
export interface IndexedEntries {
  hashAt(place: number): number
  isKeyAt(place: number, key: KeyString): boolean
}

/** Beyond this share of slots in use, probing takes long. */
const LOAD_MAX = 3 / 4

export const hashOf = (key: KeyString): number => new Hasher64().latin1(key).finish().lo

export class KeyIndex {
  readonly #entries: IndexedEntries
  /** A place plus one; 0 is free. */
  readonly #slots: Int32Array
  #count = 0

  /** Slots that were never written to cost no memory. */
  constructor(slots: number, entries: IndexedEntries) {
    this.#slots = new Int32Array(slots)
    this.#entries = entries
  }

  get sizeBytes(): number {
    return this.#slots.byteLength
  }

  get isFull(): boolean {
    return this.#count >= this.#slots.length * LOAD_MAX
  }

  find(key: KeyString, hash: number): number | undefined {
    for (let slot = this.#home(hash); ; slot = this.#next(slot)) {
      const place = this.#slots[slot]! - 1
      if (place < 0) return undefined
      if (this.#entries.isKeyAt(place, key)) return place
    }
  }

  /** Whether the entry at the place is what the index finds, and not one that another took the place of. */
  has(place: number): boolean {
    return this.#slotOf(place, place) !== undefined
  }

  /** The key must not be there yet, and the index not be full. */
  add(place: number, hash: number): void {
    let slot = this.#home(hash)
    while (this.#slots[slot] !== 0) slot = this.#next(slot)
    this.#slots[slot] = place + 1
    this.#count++
  }

  /** The entry was moved, and is at its new place already. */
  move(from: number, to: number): void {
    const slot = this.#slotOf(from, to)
    if (slot !== undefined) this.#slots[slot] = to + 1
  }

  delete(place: number): void {
    let hole = this.#slotOf(place, place)
    if (hole === undefined) return
    // Whoever probed past the hole moves up, so that it is found without a mark in the hole (Knuth, volume 3, algorithm 6.4R).
    for (let slot = this.#next(hole); this.#slots[slot] !== 0; slot = this.#next(slot)) {
      const home = this.#home(this.#entries.hashAt(this.#slots[slot]! - 1))
      if (this.#distance(home, slot) < this.#distance(hole, slot)) continue
      this.#slots[hole] = this.#slots[slot]!
      hole = slot
    }
    this.#slots[hole] = 0
    this.#count--
  }

  /** Which slot says `place`, for the key that is at `keyAt`. */
  #slotOf(place: number, keyAt: number): number | undefined {
    for (let slot = this.#home(this.#entries.hashAt(keyAt)); ; slot = this.#next(slot)) {
      const found = this.#slots[slot]! - 1
      if (found === place) return slot
      if (found < 0) return undefined
    }
  }

  /** Hashes are 32 bits, spread over as many slots as there are. */
  #home(hash: number): number {
    return Math.floor(((hash >>> 0) / 2 ** 32) * this.#slots.length)
  }

  #next(slot: number): number {
    return slot + 1 === this.#slots.length ? 0 : slot + 1
  }

  #distance(from: number, to: number): number {
    return to >= from ? to - from : to - from + this.#slots.length
  }
}
