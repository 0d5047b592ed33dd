// Recently used keys, bounded in bytes: copies of what the database holds of them, in one ring of memory beside JavaScript's heap.
// The batches of the write-behind fill it with the bytes that they just encoded, reads of the disk with those that they got.
// It never knows more than the table and never less than the disk: whoever asks looks at the table first.
//
// Objects were tried before. A key then takes 900 bytes and a dozen objects that the garbage collector copies twice and marks for
// ever; as bytes it takes 300, and nobody looks at it but those who ask (decisions/memory.md).
//
// An entry is its header, the key, the stored pointer (none: there is no such key) and the stored record (none: not in memory).
// The ring is filled from the head. What is in the way at the tail goes, unless it was used since it was written or last
// passed: then it moves to the head, once (the second chance of the CLOCK algorithm, Corbató 1968).
import type { KeyString } from '../../lib/bytes.ts'
import type { RevisionId } from '../../kv/types.ts'
import { readPointer, readRecord } from './record-codec.ts'
import { ABSENT, isSameChange } from './slot.ts'
import type { Slot } from './slot.ts'
import { payloadOf } from './stored-value.ts'

/** The rest of the bound is for the index of keys, which is on the heap. */
const RING_SHARE = 3 / 4
/** An entry larger than this share of the ring is not kept, so that one of them does not push out everything else. */
const ENTRY_SHARE_MAX = 1 / 8
/** Sizes are multiples of this: a key that is written again often has grown by a byte, and still fits where it was. */
const GRAIN_BYTES = 32
const RING_BYTES_MIN = 16 * 1024
/** A ring of this size is copied within milliseconds. The next one is as large as it may be: memory never written to costs nothing. */
const RING_BYTES_COPIED_MAX = 16 * 1024 * 1024
/** Entries that get their second chance for the sake of one that is written: no insertion moves all there is. */
const CHANCES_MAX = 8

/** Used, 1; pointer's length, 2; key's length, 2; nothing, 3; record's length, 4; what the entry takes in the ring, 4. */
const HEADER_BYTES = 16
const POINTER_LENGTH_AT = 1
const KEY_LENGTH_AT = 3
const RECORD_LENGTH_AT = 8
const SIZE_AT = 12

const NOTHING = Buffer.alloc(0)

export class Cache {
  readonly #bytesMax: number
  #ring = NOTHING
  /** Where the entry of a key is. */
  readonly #index = new Map<KeyString, number>()
  /** Entries lie from the tail to the head; around the end of the ring, from the tail to the lap's end and from 0 to the head. */
  #tail = 0
  #head = 0
  #lapEnd: number | undefined

  constructor(bytesMax: number) {
    this.#bytesMax = Math.floor(bytesMax * RING_SHARE)
  }

  get sizeBytes(): number {
    return this.#ring.length
  }

  /** What is known of a key, as a copy. With `wantsRecord` the record, too, if it is here. */
  get(key: KeyString, wantsRecord: boolean): Slot | undefined {
    const at = this.#index.get(key)
    if (at === undefined) return undefined
    const ring = this.#ring
    ring[at] = 1
    const pointerLength = ring.readUInt16LE(at + POINTER_LENGTH_AT)
    if (pointerLength === 0) return ABSENT
    const pointerAt = at + HEADER_BYTES + key.length
    const recordAt = pointerAt + pointerLength
    const pointer = readPointer(payloadOf(ring, pointerAt, recordAt))
    const recordLength = wantsRecord ? ring.readUInt32LE(at + RECORD_LENGTH_AT) : 0
    if (recordLength === 0) return { pointer, record: undefined }
    // The value is a view, and this part of the ring will be something else's.
    const stored = Buffer.allocUnsafe(recordLength)
    ring.copy(stored, 0, recordAt, recordAt + recordLength)
    return { pointer, record: readRecord(payloadOf(stored, 0, recordLength), pointer.at) }
  }

  /** Keeps copies of a key's stored pointer and record. Without a pointer there is no such key. */
  set(key: KeyString, pointer: Uint8Array = NOTHING, record: Uint8Array = NOTHING): void {
    const sizeMax = this.#bytesMax * ENTRY_SHARE_MAX
    const whole = sizeOf(key, pointer, record)
    if (whole > sizeMax && record.length > 0) return this.set(key, pointer)
    if (whole > sizeMax) return void this.#index.delete(key)
    const before = this.#index.get(key)
    if (before !== undefined && this.#sizeAt(before) >= whole) return this.#write(before, key, pointer, record)
    const at = this.#reserve(whole)
    this.#ring.writeUInt32LE(whole, at + SIZE_AT)
    this.#index.set(key, at)
    this.#write(at, key, pointer, record)
  }

  /** Adds the stored record to the pointer that names it, if that is here without one. */
  attach(key: KeyString, change: RevisionId, record: Uint8Array): void {
    const at = this.#index.get(key)
    const slot = this.get(key, true)
    if (at === undefined || slot?.pointer === undefined || slot.record !== undefined) return
    if (!isSameChange(slot.pointer.at, change)) return
    const pointerAt = at + HEADER_BYTES + key.length
    const pointerEnd = pointerAt + this.#ring.readUInt16LE(at + POINTER_LENGTH_AT)
    // Copied: making room for the record may move what lies in the ring.
    this.set(key, Buffer.from(this.#ring.subarray(pointerAt, pointerEnd)), record)
  }

  #write(at: number, key: KeyString, pointer: Uint8Array, record: Uint8Array): void {
    const ring = this.#ring
    ring[at] = 0
    ring.writeUInt16LE(pointer.length, at + POINTER_LENGTH_AT)
    ring.writeUInt16LE(key.length, at + KEY_LENGTH_AT)
    ring.writeUInt32LE(record.length, at + RECORD_LENGTH_AT)
    const keyAt = at + HEADER_BYTES
    ring.write(key, keyAt, 'latin1')
    ring.set(pointer, keyAt + key.length)
    if (record.length > 0) ring.set(record, keyAt + key.length + pointer.length)
  }

  // --------------------------------------------------------------------------------------------------------------- the ring

  #sizeAt(at: number): number {
    return this.#ring.readUInt32LE(at + SIZE_AT)
  }

  /** Makes room at the head, and says where. */
  #reserve(bytes: number): number {
    for (let chances = CHANCES_MAX; ;) {
      if (this.#head + bytes <= (this.#lapEnd === undefined ? this.#ring.length : this.#tail)) {
        this.#head += bytes
        return this.#head - bytes
      }
      if (this.#lapEnd !== undefined) chances = this.#passTail(chances)
      else if (this.#ring.length < this.#bytesMax) this.#grow(this.#head + bytes)
      else {
        this.#lapEnd = this.#head
        this.#head = 0
      }
    }
  }

  /** In its first lap the ring grows until it is as large as it may be. */
  #grow(bytes: number): void {
    const doubled = Math.max(bytes, this.#ring.length * 2, RING_BYTES_MIN)
    const isLast = doubled > Math.min(RING_BYTES_COPIED_MAX, this.#bytesMax)
    const ring = Buffer.allocUnsafeSlow(isLast ? this.#bytesMax : doubled)
    this.#ring.copy(ring, 0, 0, this.#head)
    this.#ring = ring
  }

  /** Takes the entry at the tail away, or to the head, if there are chances left; returns how many there are then. */
  #passTail(chances: number): number {
    const ring = this.#ring
    const at = this.#tail
    const size = this.#sizeAt(at)
    const keyAt = at + HEADER_BYTES
    const key = ring.toString('latin1', keyAt, keyAt + ring.readUInt16LE(at + KEY_LENGTH_AT))
    const isCurrent = this.#index.get(key) === at
    const isKept = isCurrent && ring[at] === 1 && chances > 0
    if (isKept) {
      ring[at] = 0
      ring.copyWithin(this.#head, at, at + size)
      this.#index.set(key, this.#head)
      this.#head += size
    } else if (isCurrent) this.#index.delete(key)
    this.#tail += size
    if (this.#tail === this.#lapEnd) {
      this.#tail = 0
      this.#lapEnd = undefined
    }
    return isKept ? chances - 1 : chances
  }
}

function sizeOf(key: KeyString, pointer: Uint8Array, record: Uint8Array): number {
  const bytes = HEADER_BYTES + key.length + pointer.length + record.length
  return Math.ceil(bytes / GRAIN_BYTES) * GRAIN_BYTES
}
