// The state machine's state in plain Maps, as strict as the contract allows: only what was asked for beforehand can be read.
// It can remove compacted history as the state database does, sooner or later or never.
import type { KeyString } from '../../src/lib/bytes.ts'
import type { Change, KeyPointer, KeyRecord, KvState, ReadSet, Revision, RevisionId } from '../../src/kv/types.ts'

export class MapState implements KvState {
  readonly #pointers = new Map<KeyString, KeyPointer>()
  readonly #records = new Map<string, KeyRecord>()
  #fetchedPointers = new Set<KeyString>()
  #fetchedRecords = new Set<KeyString>()
  #removedBelow: Revision = 0

  /** From now on exactly this may be read, until the next call. */
  fetch(wanted: ReadSet): void {
    this.#fetchedPointers = new Set(wanted.pointers)
    this.#fetchedRecords = new Set(wanted.records)
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

  put({ pointer, record }: Change): void {
    this.#pointers.set(record.key, pointer)
    this.#records.set(`${record.at.revision}/${record.at.sub}`, record)
  }

  /** For tests: reads without having fetched. */
  peek(key: KeyString): KeyPointer | undefined {
    return this.#pointers.get(key)
  }

  record(at: RevisionId): KeyRecord | undefined {
    return this.#records.get(`${at.revision}/${at.sub}`)
  }

  keys(): KeyString[] {
    return [...this.#pointers.keys()].sort()
  }

  /** The second half of compaction (design, section 6): what no reader from `compactRevision` upward can need. */
  removeHistory(compactRevision: Revision): void {
    for (let revision = this.#removedBelow; revision <= compactRevision; revision++) {
      const record = this.record({ revision, sub: 0 })
      if (record === undefined) continue
      if (record.predecessor !== undefined) this.#delete(record.predecessor)
      if (record.value !== undefined || revision === compactRevision) continue
      this.#delete(record.at)
      if (this.#pointers.get(record.key)?.at.revision === revision) this.#pointers.delete(record.key)
    }
    this.#removedBelow = compactRevision
  }

  /** The same content, inserted in another order. */
  reversed(): MapState {
    const copy = new MapState()
    for (const [key, pointer] of [...this.#pointers].reverse()) copy.#pointers.set(key, pointer)
    for (const [at, record] of [...this.#records].reverse()) copy.#records.set(at, record)
    copy.#removedBelow = this.#removedBelow
    return copy
  }

  #delete(at: RevisionId): void {
    this.#records.delete(`${at.revision}/${at.sub}`)
  }
}
