// A state in memory for tests of listings and watches: records by revision, views, history, compaction. No consensus, no disk.
import { isInRange } from '../../src/api/ranges.ts'
import { initialMeta } from '../../src/kv/index.ts'
import { ZERO_HASH } from '../../src/lib/hash.ts'
import type { Change, KeyPointer, KeyRecord, KvMeta } from '../../src/kv/types.ts'
import type { Applied } from '../../src/node/applier.ts'
import type { StateStore, StateView } from '../../src/node/ports.ts'

/** A key with its new value, or with none to be deleted. */
export type FakeWrite = readonly [key: string, value?: string | Uint8Array]

export class FakeHistory {
  meta: KvMeta = { ...initialMeta(), revision: 1 }
  records: KeyRecord[] = []
  openViews = 0
  /** Reads of history, for tests to count. */
  historyReads = 0
  /** While set, what is read rejects with it. */
  failure: Error | undefined

  /** All in one revision. */
  change(...writes: FakeWrite[]): Applied {
    const revision = this.meta.revision + 1
    const changes = writes.map(([key, value], sub) => this.#change(key, value, revision, sub))
    this.meta = { ...this.meta, revision, index: this.meta.index + 1 }
    return this.#applied(changes)
  }

  compact(revision: number): Applied {
    this.meta = { ...this.meta, compactRevision: revision, index: this.meta.index + 1 }
    this.records = this.records.filter(
      (record) => record.at.revision >= revision || this.#latest(record.key) === record,
    )
    return this.#applied([])
  }

  get store(): StateStore {
    return this as unknown as StateStore
  }

  openView(): StateView {
    this.openViews++
    const { revision, compactRevision } = this.meta
    return {
      revision,
      compactRevision,
      get: async (key, at) => {
        this.#check()
        const found = this.#at(key, at)
        return found?.value === undefined ? undefined : found
      },
      list: async ({ range, revision: at, reverse, itemsMax }) => {
        this.#check()
        const keys = this.#keys(at).filter((key) => isInRange(range, key))
        if (reverse) keys.reverse()
        const page = keys.slice(0, itemsMax)
        const next = keys[itemsMax]
        const rest = reverse ? { from: range.from, to: `${next}\0` } : { from: next!, to: range.to }
        const items = page.map((key) => ({ kind: 'record' as const, record: this.#at(key, at)! }))
        return { items, rest: next === undefined ? undefined : rest }
      },
      count: async (range, at) => this.#keys(at).filter((key) => isInRange(range, key)).length,
      close: async () => void this.openViews--,
    }
  }

  async changesFrom(from: number, bounds: { recordsMax: number; bytesMax: number }) {
    this.historyReads++
    this.#check()
    if (from < this.meta.compactRevision) return undefined
    const all = this.records.filter((record) => record.at.revision >= from)
    const cut = all[bounds.recordsMax]?.at.revision ?? this.meta.revision + 1
    return { records: all.filter((record) => record.at.revision < cut), through: cut - 1 }
  }

  async recordAt(at: { revision: number; sub: number }): Promise<KeyRecord | undefined> {
    this.#check()
    return this.records.find((record) => record.at.revision === at.revision && record.at.sub === at.sub)
  }

  #check(): void {
    if (this.failure !== undefined) throw this.failure
  }

  #change(key: string, value: string | Uint8Array | undefined, revision: number, sub: number): Change {
    const last = this.#latest(key)
    const at = { revision, sub }
    const record: KeyRecord = {
      at,
      key,
      value: typeof value === 'string' ? Buffer.from(value) : value,
      contentType: '',
      createRevision: value === undefined ? 0 : (last?.createRevision ?? 0) || revision,
      version: value === undefined ? 0 : (last?.version ?? 0) + 1,
      lease: '',
      predecessor: last && { ...last.at, isTombstone: last.value === undefined },
      skip: undefined,
    }
    this.records.push(record)
    const { createRevision, version } = record
    const isTombstone = value === undefined
    const pointer: KeyPointer = { at, createRevision, version, changes: 1, isTombstone, skips: [], digest: ZERO_HASH }
    return { pointer, record }
  }

  #latest(key: string): KeyRecord | undefined {
    return this.records.findLast((record) => record.key === key)
  }

  #at(key: string, revision: number): KeyRecord | undefined {
    return this.records.findLast((record) => record.key === key && record.at.revision <= revision)
  }

  #keys(revision: number): string[] {
    const keys = [...new Set(this.records.map((record) => record.key))].sort()
    return keys.filter((key) => this.#at(key, revision)?.value !== undefined)
  }

  #applied(changes: Change[]): Applied {
    const { term, index } = this.meta
    return {
      id: { term, index },
      batch: undefined,
      results: [],
      changes,
      lockChanges: [],
      meta: this.meta,
      dataBytes: 0,
    }
  }
}
