// Recently used keys, bounded in bytes: copies of what the database holds of them, or will, in one ring of memory beside JavaScript's
// heap. Commits fill it with the bytes that they just encoded, reads of the disk with those that they got. What it knows of a key
// is as of the last commit. What it does not know may still be in the table.
//
// An entry is its header, the key, the payload of its pointer (none: there is no such key) and, maybe, the stored record. A write
// asks for the pointer of its key, a read for both, and a record takes several times as much: so once there is not room for all, a
// record is kept only for those who read it, and entries give up their records first (decisions/memory.md).
//
// The ring is filled from the head. What is in the way at the tail goes, unless it was used since it was written or last
// passed: then it moves to the head, once (the second chance of the CLOCK algorithm, Corbató 1968).
import { ByteReader } from '../../lib/bytes.ts'
import type { KeyString } from '../../lib/bytes.ts'
import type { RevisionId } from '../../kv/types.ts'
import type { KeyFilter } from './key-filter.ts'
import { hashOf, hashOfBytes, type IndexedEntries, KeyIndex, PLACE_GRAIN } from './key-index.ts'
import { readPointer, readRecord } from './record-codec.ts'
import { ABSENT, isSameChange } from './slot.ts'
import type { Slot } from './slot.ts'
import { payloadOf } from './stored-value.ts'

/** Of the bound for each slot of the index, its own four among them: enough slots for entries with short keys and no record. */
const BYTES_PER_SLOT = 40
const SLOTS_MIN = 4
/** An entry larger than this share of the ring is not kept, so that one of them does not push out everything else. */
const ENTRY_SHARE_MAX = 1 / 8
/** Sizes are multiples of this: a key that is written again often has grown by a byte, and still fits where it was. */
const GRAIN_BYTES = PLACE_GRAIN
/** Each entry has room for so much of a pointer: a key that was looked up and is not there is written next, mostly. */
const POINTER_ROOM_BYTES = 24
const RING_BYTES_MIN = 16 * 1024
/** A ring of this size is copied within milliseconds. The next one is as large as it may be: memory never written to costs nothing. */
const RING_BYTES_COPIED_MAX = 16 * 1024 * 1024
/** Entries that get their second chance for the sake of one that is written: no insertion moves all there is. */
const CHANCES_MAX = 8
/** While there is not room for all, one record of so many that reads bring from disk is kept: what is read often soon is among them. */
const RECORDS_PER_KEPT = 16

// The header: the size of the entry, whose low bits are flags; the lengths of key and pointer, two bytes each. A record has its
// length before it.
const HEADER_BYTES = 8
const LENGTH_BYTES = 4
const FLAGS = GRAIN_BYTES - 1
const IS_USED = 1
const HAS_RECORD = 2
/** The record was asked for, and not the pointer alone. */
const IS_READ = 4

const NOTHING: Uint8Array = Buffer.alloc(0)

export class Cache implements IndexedEntries {
  readonly #ringBytesMax: number
  /** Learns of every key that gets a pointer. */
  readonly #filter: KeyFilter
  readonly #index: KeyIndex
  #ring = Buffer.alloc(0)
  /** The same memory: headers are read as words. */
  #words = new Int32Array(0)
  /** Entries lie from the tail to the head; around the end of the ring, from the tail to the lap's end and from 0 to the head. */
  #tail = 0
  #head = 0
  #lapEnd: number | undefined
  /** There is not room for all: something had to go. */
  #isShort = false
  #recordsBrought = 0

  constructor(bytesMax: number, filter: KeyFilter) {
    this.#filter = filter
    this.#index = new KeyIndex(Math.max(SLOTS_MIN, Math.floor(bytesMax / BYTES_PER_SLOT)), this)
    this.#ringBytesMax = Math.max(0, bytesMax - this.#index.sizeBytes) & ~FLAGS
  }

  get sizeBytes(): number {
    return this.#ring.length + this.#index.sizeBytes
  }

  /** What is known of a key, as a copy. With `wantsRecord` the record, too, if it is here. */
  get(key: KeyString, wantsRecord: boolean): Slot | undefined {
    const hash = hashOf(key)
    const at = this.#index.find(key, hash)
    if (at === undefined) return this.#filter.mayHold(hash) ? undefined : ABSENT
    const ring = this.#ring
    const isWhole = wantsRecord && this.#has(at, HAS_RECORD)
    this.#words[at / 4]! |= isWhole ? IS_USED | IS_READ : IS_USED
    const pointerAt = this.#pointerAt(at)
    const pointerEnd = this.#pointerEnd(at)
    if (pointerEnd === pointerAt) return ABSENT
    const pointer = readPointer(new ByteReader(ring, pointerAt, pointerEnd))
    if (!isWhole) return { pointer, record: undefined }
    // The value is a view, and this part of the ring will be something else's.
    const recordAt = pointerEnd + LENGTH_BYTES
    const stored = Buffer.allocUnsafe(ring.readUInt32LE(pointerEnd))
    ring.copy(stored, 0, recordAt, recordAt + stored.length)
    return { pointer, record: readRecord(payloadOf(stored, 0, stored.length), pointer.at) }
  }

  /** Keeps copies of the payload of a key's pointer and, if there is room or it is read, its stored record. Without a pointer there is no such key. */
  set(key: KeyString, pointer?: Uint8Array, record: Uint8Array = NOTHING): void {
    const hash = hashOf(key)
    const before = this.#index.find(key, hash)
    const isNews = before === undefined || this.#pointerEnd(before) === this.#pointerAt(before)
    if (pointer !== undefined && isNews) this.#filter.add(hash)
    const wantsRecord = !this.#isShort || (before !== undefined && this.#has(before, HAS_RECORD))
    this.#keep(key, hash, before, pointer, wantsRecord ? record : NOTHING)
  }

  /**
   * Adds the stored record to the pointer that names it, if that is here without one; once there is not room for all, seldom:
   * reads all over the keys would else push out the pointers of most for records that nobody asks for again.
   */
  attach(key: KeyString, change: RevisionId, record: Uint8Array): void {
    if (this.#isShort && ++this.#recordsBrought % RECORDS_PER_KEPT > 0) return
    const hash = hashOf(key)
    const at = this.#index.find(key, hash)
    if (at === undefined) return
    const [pointerAt, pointerEnd] = [this.#pointerAt(at), this.#pointerEnd(at)]
    if (pointerEnd === pointerAt || this.#has(at, HAS_RECORD)) return
    if (!isSameChange(readPointer(new ByteReader(this.#ring, pointerAt, pointerEnd)).at, change)) return
    // Copied: making room for the record may move what lies in the ring.
    this.#keep(key, hash, at, Buffer.from(this.#ring.subarray(pointerAt, pointerEnd)), record)
  }

  /** `pointer` is a payload; empty: there is no such key. */
  #keep(key: KeyString, hash: number, before: number | undefined, pointer = NOTHING, record = NOTHING): void {
    const sizeMax = this.#ringBytesMax * ENTRY_SHARE_MAX
    const whole = sizeOf(key, pointer, record)
    if (whole > sizeMax && record.length > 0) return this.#keep(key, hash, before, pointer, NOTHING)
    if (before !== undefined && whole <= sizeMax && this.#sizeAt(before) >= whole)
      return this.#write(before, this.#sizeAt(before), key, pointer, record)
    if (before !== undefined) this.#index.delete(this.#index.slotOf(before, hash)!)
    if (whole > sizeMax) return
    const at = this.#reserve(whole)
    this.#write(at, whole, key, pointer, record)
    this.#index.add(at, hash)
  }

  #write(at: number, size: number, key: KeyString, pointer: Uint8Array, record: Uint8Array): void {
    const ring = this.#ring
    const word = at / 4
    this.#words[word] = size | (record.length > 0 ? HAS_RECORD : 0)
    this.#words[word + 1] = key.length | (pointer.length << 16)
    const keyAt = at + HEADER_BYTES
    ring.write(key, keyAt, 'latin1')
    const pointerAt = keyAt + key.length
    ring.set(pointer, pointerAt)
    if (record.length === 0) return
    ring.writeUInt32LE(record.length, pointerAt + pointer.length)
    ring.set(record, pointerAt + pointer.length + LENGTH_BYTES)
  }

  // ------------------------------------------------------------------------------------------------------------ the entries

  hashAt(at: number): number {
    return hashOfBytes(this.#ring, at + HEADER_BYTES, this.#pointerAt(at))
  }

  isKeyAt(at: number, key: KeyString): boolean {
    const keyAt = at + HEADER_BYTES
    if (this.#pointerAt(at) - keyAt !== key.length) return false
    // From the end: what keys have in common is mostly how they begin.
    for (let nth = key.length; nth-- > 0;) if (this.#ring[keyAt + nth] !== key.charCodeAt(nth)) return false
    return true
  }

  #sizeAt(at: number): number {
    return this.#words[at / 4]! & ~FLAGS
  }

  #has(at: number, flag: number): boolean {
    return (this.#words[at / 4]! & flag) !== 0
  }

  #pointerAt(at: number): number {
    return at + HEADER_BYTES + (this.#words[at / 4 + 1]! & 0xffff)
  }

  #pointerEnd(at: number): number {
    return this.#pointerAt(at) + (this.#words[at / 4 + 1]! >>> 16)
  }

  // --------------------------------------------------------------------------------------------------------------- the ring

  /** Makes room at the head, and in the index, and says where. */
  #reserve(bytes: number): number {
    for (let chances = CHANCES_MAX; ;) {
      const isRoom = this.#head + bytes <= (this.#lapEnd === undefined ? this.#ring.length : this.#tail)
      if (isRoom && !this.#index.isFull) {
        this.#head += bytes
        return this.#head - bytes
      }
      if (this.#lapEnd !== undefined) chances = this.#passTail(chances)
      else if (!isRoom && this.#ring.length < this.#ringBytesMax) this.#grow(this.#head + bytes)
      else {
        this.#lapEnd = this.#head
        this.#head = 0
      }
    }
  }

  /** In its first lap the ring grows until it is as large as it may be. */
  #grow(bytes: number): void {
    const doubled = Math.max(bytes, this.#ring.length * 2, RING_BYTES_MIN)
    const isLast = doubled > Math.min(RING_BYTES_COPIED_MAX, this.#ringBytesMax)
    const ring = Buffer.allocUnsafeSlow(isLast ? this.#ringBytesMax : doubled)
    this.#ring.copy(ring, 0, 0, this.#head)
    this.#ring = ring
    this.#words = new Int32Array(ring.buffer)
  }

  /** Takes the entry at the tail away, or what is wanted of it to the head, if there are chances left; returns how many there are then. */
  #passTail(chances: number): number {
    this.#isShort = true
    const at = this.#tail
    const size = this.#sizeAt(at)
    const slot = this.#index.slotOf(at)
    const kept = chances > 0 && slot !== undefined ? this.#keptOf(at) : 0
    if (slot !== undefined && kept > 0) this.#moveToHead(at, kept, slot)
    else if (slot !== undefined) this.#index.delete(slot)
    this.#tail += size
    if (this.#tail === this.#lapEnd) {
      this.#tail = 0
      this.#lapEnd = undefined
    }
    return kept > 0 ? chances - 1 : chances
  }

  /** How many bytes of an entry stay: all, if it was read; without its record, if there is one or it was used; none. */
  #keptOf(at: number): number {
    if (this.#has(at, IS_READ)) return this.#sizeAt(at)
    if (this.#has(at, IS_USED | HAS_RECORD)) return roundUp(this.#pointerEnd(at) - at)
    return 0
  }

  #moveToHead(from: number, size: number, slot: number): void {
    const to = this.#head
    const record = this.#has(from, IS_READ) ? HAS_RECORD : 0
    this.#ring.copyWithin(to, from, from + size)
    this.#words[to / 4] = size | record
    this.#index.move(slot, to)
    this.#head += size
  }
}

const roundUp = (bytes: number): number => Math.ceil(bytes / GRAIN_BYTES) * GRAIN_BYTES

function sizeOf(key: KeyString, pointer: Uint8Array, record: Uint8Array): number {
  const recordBytes = record.length === 0 ? 0 : LENGTH_BYTES + record.length
  return roundUp(HEADER_BYTES + key.length + Math.max(pointer.length, POINTER_ROOM_BYTES) + recordBytes)
}
