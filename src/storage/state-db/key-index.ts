// Where the cache's entries are, by key: a hash table of numbers beside JavaScript's heap, with open addressing and linear probing.
// A Map of strings costs a key three times as much, and the garbage collector looks at every one of them.
import type { KeyString } from '../../lib/bytes.ts'
import { Hasher64 } from '../../lib/hash.ts'

/** What the index asks of that which it points to. A place is a multiple of {@link PLACE_GRAIN} below 2^31 - 8. */
export interface IndexedEntries {
  hashAt(place: number): number
  isKeyAt(place: number, key: KeyString): boolean
}

export const PLACE_GRAIN = 8
/** A slot holds a place, plus the grain so that 0 is free. Its low bits say how far it is from its home; this one: so far, or farther. */
const FAR = PLACE_GRAIN - 1

/** Beyond this share of slots in use, probing takes long. */
const LOAD_MAX = 3 / 4

export const hashOf = (key: KeyString): number => new Hasher64().latin1(key).finish().lo

/** Of a key that lies between two places. */
export const hashOfBytes = (bytes: Uint8Array, from: number, to: number): number =>
  new Hasher64().bytes(bytes, from, to).finish().lo

export class KeyIndex {
  readonly #entries: IndexedEntries
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
    let slot = this.#home(hash)
    for (let distance = 0; ; distance++) {
      const word = this.#slots[slot]!
      if (word === 0) return undefined
      // Who is not as far from home as the key would be here is another key: its entry need not be looked at.
      if ((word & FAR) === Math.min(distance, FAR) && this.#entries.isKeyAt(placeIn(word), key)) return placeIn(word)
      slot = this.#next(slot)
    }
  }

  /** The key must not be there yet, and the index not be full. */
  add(place: number, hash: number): void {
    let slot = this.#home(hash)
    let distance = 0
    for (; this.#slots[slot] !== 0; distance++) slot = this.#next(slot)
    this.#slots[slot] = wordOf(place, distance)
    this.#count++
  }

  /** The slot of the entry at a place; undefined where the index does not find that entry, but maybe another one with its key. */
  slotOf(place: number, hash = this.#entries.hashAt(place)): number | undefined {
    let slot = this.#home(hash)
    for (;;) {
      const word = this.#slots[slot]!
      if (word === 0) return undefined
      if (placeIn(word) === place) return slot
      slot = this.#next(slot)
    }
  }

  /** The entry of that slot is at another place now. */
  move(slot: number, to: number): void {
    this.#slots[slot] = wordOf(to, this.#slots[slot]! & FAR)
  }

  /** Whoever probed past the hole moves up, so that it is found without a mark in the hole (Knuth, volume 3, algorithm 6.4R). */
  delete(slot: number): void {
    let hole = slot
    let next = this.#next(hole)
    for (let gap = 1; this.#slots[next] !== 0; gap++) {
      const place = placeIn(this.#slots[next]!)
      const distance = this.#distance(next)
      if (distance >= gap) {
        this.#slots[hole] = wordOf(place, distance - gap)
        hole = next
        gap = 0
      }
      next = this.#next(next)
    }
    this.#slots[hole] = 0
    this.#count--
  }

  /** How far the entry in that slot is from its home. */
  #distance(slot: number): number {
    const word = this.#slots[slot]!
    if ((word & FAR) < FAR) return word & FAR
    const home = this.#home(this.#entries.hashAt(placeIn(word)))
    return slot >= home ? slot - home : slot - home + this.#slots.length
  }

  /** Hashes are 32 bits, spread over as many slots as there are. */
  #home(hash: number): number {
    return Math.floor(((hash >>> 0) / 2 ** 32) * this.#slots.length)
  }

  #next(slot: number): number {
    return slot + 1 === this.#slots.length ? 0 : slot + 1
  }
}

const placeIn = (word: number): number => (word & ~FAR) - PLACE_GRAIN

const wordOf = (place: number, distance: number): number => (place + PLACE_GRAIN) | Math.min(distance, FAR)
