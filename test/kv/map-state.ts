// The state machine's state in plain Maps, as strict as the contract allows: only what was asked for beforehand can be read.
// It can remove compacted history as the state database does, sooner or later or never.
import { isInRange } from '../../src/api/ranges.ts'
import type { KeyString } from '../../src/lib/bytes.ts'
import type {
  Change,
  KeyPointer,
  KeyRecord,
  KvState,
  RangeRead,
  ReadSet,
  Revision,
  RevisionId,
  RowKey,
  StateRow,
} from '../../src/kv/types.ts'

export class MapState implements KvState {
  readonly #pointers = new Map<KeyString, KeyPointer>()
  readonly #records = new Map<string, KeyRecord>()
  readonly #rows = new Map<RowKey, Uint8Array>()
  readonly #fetchedPointers = new Set<KeyString>()
  readonly #fetchedRecords = new Set<KeyString>()
  readonly #fetchedRanges = new Map<RangeRead, KeyString[]>()
  #removedBelow: Revision = 0

  /** From now on this may be read too, until the entry ends. */
  fetch(wanted: ReadSet): void {
    for (const read of wanted.ranges) {
      const keys = this.#keysOf(read)
      this.#fetchedRanges.set(read, keys)
      for (const key of keys) {
        this.#fetchedPointers.add(key)
        if (read.wantsRecords) this.#fetchedRecords.add(key)
      }
    }
    for (const key of wanted.pointers) this.#fetchedPointers.add(key)
    for (const key of wanted.records) this.#fetchedRecords.add(key)
  }

  endEntry(): void {
    this.#fetchedPointers.clear()
    this.#fetchedRecords.clear()
    this.#fetchedRanges.clear()
  }

  pointer(key: KeyString): KeyPointer | undefined {
    if (!this.#fetchedPointers.has(key)) throw new Error(`the pointer of ${JSON.stringify(key)} was not fetched`)
    return this.#pointers.get(key)
  }

  latestRecord(key: KeyString): KeyRecord | undefined {
    if (!this.#fetchedRecords.has(key)) throw new Error(`the record of ${JSON.stringify(key)} was not fetched`)
    const pointer = this.#pointers.get(key)
    return pointer && this.record(pointer.at)
  }

  keysOf(read: RangeRead): readonly KeyString[] {
    const keys = this.#fetchedRanges.get(read)
    if (keys === undefined) throw new Error('the range was not fetched')
    return keys
  }

  put({ pointer, record }: Change): void {
    this.#pointers.set(record.key, pointer)
    this.#records.set(at(record.at), record)
  }

  putRow({ key }: StateRow, value: Uint8Array | undefined): void {
    if (value === undefined) {
      if (!this.#rows.delete(key)) throw new Error(`the row ${JSON.stringify(key)} is not there to be removed`)
    } else this.#rows.set(key, Buffer.from(value))
  }

  /** For tests: reads without having fetched. */
  peek(key: KeyString): KeyPointer | undefined {
    return this.#pointers.get(key)
  }

  record(id: RevisionId): KeyRecord | undefined {
    return this.#records.get(at(id))
  }

  keys(): KeyString[] {
    return [...this.#pointers.keys()].sort()
  }

  /** In the order of their keys. */
  rows(): Map<RowKey, Uint8Array> {
    return new Map([...this.#rows].sort(([a], [b]) => (a < b ? -1 : 1)))
  }

  /** The second half of compaction (design, section 6): what no reader from `compactRevision` upward can need. */
  removeHistory(compactRevision: Revision): void {
    for (const record of [...this.#records.values()].sort((a, b) => compareIds(a.at, b.at))) {
      const { revision } = record.at
      if (revision < this.#removedBelow || revision > compactRevision) continue
      if (record.predecessor !== undefined) this.#records.delete(at(record.predecessor))
      if (record.value !== undefined || revision === compactRevision) continue
      this.#records.delete(at(record.at))
      const pointer = this.#pointers.get(record.key)
      if (pointer !== undefined && compareIds(pointer.at, record.at) === 0) this.#pointers.delete(record.key)
    }
    this.#removedBelow = compactRevision
  }

  /** The same content, inserted in another order. */
  reversed(): MapState {
    const copy = new MapState()
    for (const [key, pointer] of [...this.#pointers].reverse()) copy.#pointers.set(key, pointer)
    for (const [id, record] of [...this.#records].reverse()) copy.#records.set(id, record)
    for (const [key, value] of [...this.#rows].reverse()) copy.#rows.set(key, value)
    copy.#removedBelow = this.#removedBelow
    return copy
  }

  /** Rows in the opposite of the order they were written in: what a restart finds may come in any. */
  rowsReversed(): Map<RowKey, Uint8Array> {
    return new Map([...this.#rows].reverse())
  }

  #keysOf({ range, reverse, keysMax }: RangeRead): KeyString[] {
    const living = this.keys().filter((key) => isInRange(range, key) && !this.#pointers.get(key)!.isTombstone)
    return (reverse ? living.reverse() : living).slice(0, keysMax)
  }
}

const at = ({ revision, sub }: RevisionId): string => `${revision}/${sub}`

const compareIds = (a: RevisionId, b: RevisionId): number => a.revision - b.revision || a.sub - b.sub
