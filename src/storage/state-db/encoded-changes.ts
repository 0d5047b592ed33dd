// Changes in the order in which they were made, encoded as they will lie on disk: record and pointer of each, one after another in
// one piece of memory beside JavaScript's heap. So a change is encoded once, for the table, the batch and the cache, and what
// waits for its batch leaves nothing on the heap that the garbage collector would copy twice, mark and sweep (decisions/memory.md).
import type { KeyString } from '../../lib/bytes.ts'
import type { Change, KeyPointer, KeyRecord, RevisionId } from '../../kv/types.ts'
import { isRevisionBefore, revisionAt, userKeyOf } from './keys.ts'
import type { PurgeItem } from './purge-list.ts'
import { encodePointer, encodeRecord, readPointer, readPurgeItem, readRecord } from './record-codec.ts'
import { isSameChange } from './slot.ts'
import type { Slot } from './slot.ts'
import { payloadIn, payloadOf, StoredPairs } from './stored-value.ts'
import type { BatchRecords } from './witness.ts'

/** Beginnings that are noted of a change: its record's key, its stored record, its pointer's key, its stored pointer. */
const MARKS = 4
const MARKS_BYTES = MARKS * Uint32Array.BYTES_PER_ELEMENT
/** Of another's: one that becomes a little larger need not double its memory. */
const EXPECTED_GROWTH = 1.25
const EXPECTED_BYTES_MIN = 4_096
const EXPECTED_BYTES_MAX = 8 * 1024 * 1024

export class EncodedChanges {
  #pairs: StoredPairs
  /** Four a change; the first of the next one ends its stored pointer. */
  #marks: Uint32Array
  #count = 0
  #recordBytes = 0

  /** One that is about as large as the other spares itself from growing. */
  constructor(similar?: EncodedChanges) {
    const bytes = Math.ceil((similar?.encodedBytes ?? 0) * EXPECTED_GROWTH)
    this.#pairs = new StoredPairs(Math.min(Math.max(bytes, EXPECTED_BYTES_MIN), EXPECTED_BYTES_MAX))
    this.#marks = new Uint32Array(marksOf(Math.ceil((similar?.count ?? 0) * EXPECTED_GROWTH)))
  }

  get count(): number {
    return this.#count
  }

  get encodedBytes(): number {
    return this.#pairs.length
  }

  /** What they bring to the database of records. */
  get records(): BatchRecords | undefined {
    return this.count === 0 ? undefined : { last: this.at(this.count - 1), bytes: this.#recordBytes }
  }

  get sizeBytes(): number {
    return this.#pairs.length + this.#count * MARKS_BYTES
  }

  /** Changes are numbered from 0. */
  add({ pointer, record }: Change): void {
    const pairs = this.#pairs
    const start = pairs.length
    let at = this.#room(1)
    encodeRecord(pairs, record)
    this.#marks[at++] = pairs.valueAt
    this.#marks[at++] = pairs.length
    this.#recordBytes += pairs.length - start
    encodePointer(pairs, record.key, pointer)
    this.#marks[at++] = pairs.valueAt
    this.#marks[at] = pairs.length
  }

  /** Adds copies of all the others. */
  append(others: EncodedChanges): void {
    const start = this.#pairs.append(others.#pairs)
    const at = this.#room(others.count)
    const marks = others.count * MARKS
    for (let nth = 0; nth < marks; nth++) this.#marks[at + nth] = start + others.#marks[nth + 1]!
    this.#recordBytes += others.#recordBytes
  }

  /** Begins anew, in the same memory unless that is more: views of what there was are overwritten. */
  clear(keptBytesMax: number): void {
    if (this.#pairs.bytes.length <= keptBytesMax) this.#pairs.clear()
    else {
      this.#pairs = new StoredPairs()
      this.#marks = new Uint32Array(marksOf(0))
    }
    this.#count = 0
    this.#recordBytes = 0
  }

  key(change: number): KeyString {
    return userKeyOf(this.pointerKey(change))
  }

  // Views, good for as long as the changes are.

  recordKey(change: number): Buffer {
    return this.#part(change, 0)
  }

  storedRecord(change: number): Buffer {
    return this.#part(change, 1)
  }

  pointerKey(change: number): Buffer {
    return this.#part(change, 2)
  }

  storedPointer(change: number): Buffer {
    return this.#part(change, 3)
  }

  /** The stored pointer without its envelope. */
  pointerPayload(change: number): Uint8Array {
    return payloadIn(this.storedPointer(change))
  }

  /** What the change left its key with. It is decoded when it is looked at. */
  slot(change: number): Slot {
    return new EncodedSlot(this, change)
  }

  pointer(change: number): KeyPointer {
    const at = change * MARKS + 3
    return readPointer(payloadOf(this.#pairs.bytes, this.#marks[at]!, this.#marks[at + 1]!))
  }

  /** The value is a copy: a view would keep all the changes in memory. */
  record(change: number): KeyRecord {
    const stored = Buffer.from(this.storedRecord(change))
    return readRecord(payloadOf(stored, 0, stored.length), this.at(change))
  }

  at(change: number): RevisionId {
    return revisionAt(this.#pairs.bytes, this.#marks[change * MARKS]!)
  }

  purgeItem(change: number): PurgeItem {
    const at = change * MARKS + 1
    return readPurgeItem(payloadOf(this.#pairs.bytes, this.#marks[at]!, this.#marks[at + 1]!), this.at(change))
  }

  find(at: RevisionId): KeyRecord | undefined {
    if (this.count === 0 || isRevisionBefore(at, this.at(0))) return undefined
    const change = this.lowerBound(at)
    return change < this.count && !isRevisionBefore(at, this.at(change)) ? this.record(change) : undefined
  }

  /** The first change at or above `at`; `count` when there is none. */
  lowerBound(at: RevisionId): number {
    if (this.count === 0) return 0
    // Most revisions have one change: then it is the one that lies so far behind the first.
    const likely = at.revision - this.at(0).revision
    if (likely >= 0 && likely < this.count && isSameChange(this.at(likely), at)) return likely
    let low = 0
    let high = this.count
    while (low < high) {
      const middle = (low + high) >>> 1
      if (isRevisionBefore(this.at(middle), at)) low = middle + 1
      else high = middle
    }
    return low
  }

  /** Counts so many changes more; returns where their marks belong. */
  #room(changes: number): number {
    const at = this.#count * MARKS + 1
    this.#count += changes
    if (marksOf(this.#count) > this.#marks.length) {
      const larger = new Uint32Array(Math.max(marksOf(this.#count), this.#marks.length * 2))
      larger.set(this.#marks)
      this.#marks = larger
    }
    return at
  }

  #part(change: number, part: number): Buffer {
    const at = change * MARKS + part
    return this.#pairs.bytes.subarray(this.#marks[at], this.#marks[at + 1])
  }
}

const marksOf = (changes: number): number => changes * MARKS + 1

class EncodedSlot implements Slot {
  readonly #changes: EncodedChanges
  readonly #change: number
  #record: KeyRecord | undefined

  constructor(changes: EncodedChanges, change: number) {
    this.#changes = changes
    this.#change = change
  }

  get pointer(): KeyPointer {
    return this.#changes.pointer(this.#change)
  }

  get record(): KeyRecord {
    this.#record ??= this.#changes.record(this.#change)
    return this.#record
  }
}

/** Some of the changes, from one on up to another, exclusive. */
export interface ChangesPart {
  readonly changes: EncodedChanges
  readonly from: number
  readonly to: number
}

/** Decodes one record after another, as they are taken. */
export function* recordsOf(parts: readonly ChangesPart[]): Generator<KeyRecord> {
  for (const { changes, from, to } of parts) {
    for (let change = from; change < to; change++) yield changes.record(change)
  }
}
