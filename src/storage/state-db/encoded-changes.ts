// Changes in the order in which they were made, encoded as they will lie on disk: record and pointer of each, one after another in
// one piece of memory beside JavaScript's heap. So a change is encoded once, for the table, the batch and the cache, and what
// waits for its batch is a few numbers on the heap instead of a dozen objects that the garbage collector copies twice, marks and
// sweeps (decisions/memory.md).
import type { KeyString } from '../../lib/bytes.ts'
import type { Change, KeyPointer, KeyRecord, RevisionId } from '../../kv/types.ts'
import { isRevisionBefore, revisionAt } from './keys.ts'
import type { PurgeItem } from './purge-list.ts'
import { encodePointer, encodeRecord, readPointer, readPurgeItem, readRecord } from './record-codec.ts'
import type { Slot } from './slot.ts'
import { payloadOf, StoredPairs } from './stored-value.ts'
import type { BatchRecords } from './witness.ts'

/** Beginnings that are noted of a change: its record's key, its stored record, its pointer's key, its stored pointer. */
const MARKS = 4
/** What it keeps of its memory when it is emptied. */
const KEPT_BYTES_MAX = 2 * 1024 * 1024
/** What a change costs besides its bytes: its marks, and its key in a list and a map. Measured, rounded up. */
const CHANGE_BYTES = 160

export class EncodedChanges {
  #pairs: StoredPairs
  #keys: KeyString[] = []
  /** Four a change; the first of the next one ends its stored pointer. */
  #marks: number[] = [0]
  #recordBytes = 0

  /** `bytesExpected` spares it from growing. */
  constructor(bytesExpected: number) {
    this.#pairs = new StoredPairs(bytesExpected)
  }

  get count(): number {
    return this.#keys.length
  }

  get encodedBytes(): number {
    return this.#pairs.length
  }

  /** What they bring to the database of records. */
  get records(): BatchRecords | undefined {
    return this.count === 0 ? undefined : { last: this.at(this.count - 1), bytes: this.#recordBytes }
  }

  get sizeBytes(): number {
    return this.#pairs.length + this.#keys.length * CHANGE_BYTES
  }

  /** Changes are numbered from 0. */
  add({ pointer, record }: Change): void {
    const { key } = record
    const pairs = this.#pairs
    const start = pairs.length
    encodeRecord(pairs, record)
    const recordAt = pairs.valueAt
    const pointerKeyAt = pairs.length
    this.#recordBytes += pointerKeyAt - start
    encodePointer(pairs, key, pointer)
    this.#marks.push(recordAt, pointerKeyAt, pairs.valueAt, pairs.length)
    this.#keys.push(key)
  }

  /** Adds copies of all the others. */
  append(others: EncodedChanges): void {
    const start = this.#pairs.append(others.#pairs)
    for (const key of others.#keys) this.#keys.push(key)
    for (let at = 1; at < others.#marks.length; at++) this.#marks.push(start + others.#marks[at]!)
    this.#recordBytes += others.#recordBytes
  }

  /** Begins anew, in the same memory: views of what there was are overwritten. */
  clear(): void {
    if (this.#pairs.bytes.length <= KEPT_BYTES_MAX) this.#pairs.clear()
    else this.#pairs = new StoredPairs()
    this.#keys = []
    this.#marks = [0]
    this.#recordBytes = 0
  }

  key(change: number): KeyString {
    return this.#keys[change]!
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
    const change = this.lowerBound(at)
    return change < this.count && !isRevisionBefore(at, this.at(change)) ? this.record(change) : undefined
  }

  /** The first change at or above `at`; `count` when there is none. */
  lowerBound(at: RevisionId): number {
    let low = 0
    let high = this.count
    while (low < high) {
      const middle = (low + high) >>> 1
      if (isRevisionBefore(this.at(middle), at)) low = middle + 1
      else high = middle
    }
    return low
  }

  #part(change: number, part: number): Buffer {
    const at = change * MARKS + part
    return this.#pairs.bytes.subarray(this.#marks[at], this.#marks[at + 1])
  }
}

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
