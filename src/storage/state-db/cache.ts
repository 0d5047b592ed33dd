// Recently used keys, bounded in bytes: a Map in order of use, the least recent first. What it says is always the state of the
// last committed entry: commits write through it, and a read from disk fills it only when no later commit wrote the key.
import type { KeyString } from '../../lib/bytes.ts'
import { slotBytes } from './slot.ts'
import type { Slot } from './slot.ts'

/** A record larger than this share of the cache is not kept, so that one of them does not push out everything else. */
const RECORD_SHARE_MAX = 1 / 8

export class Cache {
  readonly #slots = new Map<KeyString, Slot>()
  readonly #bytesMax: number
  #bytes = 0

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax
  }

  get sizeBytes(): number {
    return this.#bytes
  }

  get(key: KeyString): Slot | undefined {
    const slot = this.#slots.get(key)
    if (slot === undefined) return undefined
    this.#slots.delete(key)
    this.#slots.set(key, slot)
    return slot
  }

  set(key: KeyString, slot: Slot): void {
    const before = this.#slots.get(key)
    if (before !== undefined) {
      this.#bytes -= slotBytes(key, before)
      this.#slots.delete(key)
    }
    const kept = this.#fitting(key, slot)
    this.#slots.set(key, kept)
    this.#bytes += slotBytes(key, kept)
    if (this.#bytes > this.#bytesMax) this.#evict()
  }

  #fitting(key: KeyString, slot: Slot): Slot {
    if (slot.record === undefined || slotBytes(key, slot) <= this.#bytesMax * RECORD_SHARE_MAX) return slot
    return { pointer: slot.pointer, record: undefined }
  }

  #evict(): void {
    for (const [key, slot] of this.#slots) {
      this.#slots.delete(key)
      this.#bytes -= slotBytes(key, slot)
      if (this.#bytes <= this.#bytesMax) return
    }
  }
}
