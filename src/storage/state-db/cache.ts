// Recently used keys, bounded in bytes. What it says is always the state of the last committed entry: commits write through it,
// and a read from disk fills it only when no later commit wrote the key.
//
// Two maps, a young and an old one. Use moves a key to the young map; when that is half of the bound, it becomes the old one, and
// what was still in the old one is dropped whole. That is nearly the order of use, at the price of a look-up. (A single Map kept
// in order of use by deleting and inserting again spent most of a put's time skipping the holes at its front, measured.)
import type { KeyString } from '../../lib/bytes.ts'
import { slotBytes } from './slot.ts'
import type { Slot } from './slot.ts'

/** A record larger than this share of the cache is not kept, so that one of them does not push out everything else. */
const RECORD_SHARE_MAX = 1 / 8

export class Cache {
  #young = new Map<KeyString, Slot>()
  #youngBytes = 0
  #old = new Map<KeyString, Slot>()
  #oldBytes = 0
  readonly #bytesMax: number

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax
  }

  get sizeBytes(): number {
    return this.#youngBytes + this.#oldBytes
  }

  get(key: KeyString): Slot | undefined {
    const young = this.#young.get(key)
    if (young !== undefined) return young
    const old = this.#old.get(key)
    if (old !== undefined) this.#insert(key, old)
    return old
  }

  set(key: KeyString, slot: Slot): void {
    const before = this.#young.get(key)
    if (before !== undefined) this.#youngBytes -= slotBytes(key, before)
    this.#insert(key, this.#fitting(key, slot))
  }

  /** An older slot of the key may stay in the old map: it is never looked at while there is a young one, and goes first. */
  #insert(key: KeyString, slot: Slot): void {
    const bytes = slotBytes(key, slot)
    if (this.#youngBytes + bytes > this.#bytesMax / 2) {
      this.#old = this.#young
      this.#oldBytes = this.#youngBytes
      this.#young = new Map()
      this.#youngBytes = 0
    }
    this.#young.set(key, slot)
    this.#youngBytes += bytes
  }

  #fitting(key: KeyString, slot: Slot): Slot {
    if (slot.record === undefined || slotBytes(key, slot) <= this.#bytesMax * RECORD_SHARE_MAX) return slot
    return { pointer: slot.pointer, record: undefined }
  }
}
