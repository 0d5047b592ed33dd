// The events of one revision, made once and shown to every watcher that asks for them.
import { EMPTY_BYTES } from '../lib/bytes.ts'
import type { KeyEntry } from '../api/commands.ts'
import type { KeyRecord, Revision } from '../kv/types.ts'
import type { WatchEvent } from './facade.ts'
import { LIMITS } from './limits.ts'
import type { StateStore } from './ports.ts'
import { toEntry } from './reads.ts'

/** What an event costs besides its key and value. Roughly. */
const EVENT_OVERHEAD_BYTES = 128
/** Previous values are fetched so many at a time. */
const PREVIOUS_AT_ONCE = 16

export class RevisionEvents {
  readonly revision: Revision
  readonly events: readonly WatchEvent[]
  readonly sizeBytes: number
  readonly #records: readonly KeyRecord[]
  /** Being fetched: watchers that ask at the same time share the value. Kept no longer than that, for values may be large. */
  readonly #previous = new Map<KeyRecord, Promise<KeyEntry | undefined>>()

  constructor(revision: Revision, records: readonly KeyRecord[]) {
    this.revision = revision
    this.#records = records
    this.events = records.map(toEvent)
    this.sizeBytes = sizeOf(this.events)
  }

  /** Those that `wants` picks, with what they replaced as far as it is still there, and within a bound on its bytes. */
  async withPrevious(wants: (event: WatchEvent) => boolean, store: StateStore): Promise<readonly WatchEvent[]> {
    const picked: number[] = []
    for (let at = 0; at < this.events.length; at++) if (wants(this.events[at]!)) picked.push(at)
    const found: WatchEvent[] = []
    let bytes = 0
    for (let from = 0; from < picked.length; from += PREVIOUS_AT_ONCE) {
      const some = picked.slice(from, from + PREVIOUS_AT_ONCE)
      const isFull = bytes >= LIMITS.watchPreviousBytesMax
      const values = isFull ? [] : await Promise.all(some.map((at) => this.#previousOf(at, store)))
      for (const [order, at] of some.entries()) {
        const entry = values[order]
        bytes += entry?.value.length ?? 0
        const previous = bytes <= LIMITS.watchPreviousBytesMax ? entry : undefined
        found.push({ ...this.events[at]!, previous })
      }
    }
    return found
  }

  #previousOf(at: number, store: StateStore): Promise<KeyEntry | undefined> {
    const record = this.#records[at]!
    const { predecessor } = record
    if (predecessor === undefined || predecessor.isTombstone) return Promise.resolve(undefined)
    const known = this.#previous.get(record)
    if (known !== undefined) return known
    const fetching = store.recordAt(predecessor).then(toEntry)
    this.#previous.set(record, fetching)
    const forget = (): void => void this.#previous.delete(record)
    fetching.then(forget, forget)
    return fetching
  }
}

/** The records of whole revisions, in order, as the events of each. */
export function byRevision(records: readonly KeyRecord[]): RevisionEvents[] {
  const revisions: RevisionEvents[] = []
  for (let from = 0; from < records.length;) {
    const { revision } = records[from]!.at
    let to = from + 1
    while (to < records.length && records[to]!.at.revision === revision) to++
    revisions.push(new RevisionEvents(revision, records.slice(from, to)))
    from = to
  }
  return revisions
}

/** Bytes that these events are taken to cost. */
export function sizeOf(events: readonly WatchEvent[]): number {
  let bytes = 0
  for (const { entry } of events) bytes += EVENT_OVERHEAD_BYTES + entry.key.length + entry.value.length
  return bytes
}

/** Records of an entry just applied are views of all its bytes: kept as they are, one small value would pin up to a megabyte. */
export function ownRecord(record: KeyRecord): KeyRecord {
  const { value } = record
  return value === undefined || value.byteLength === value.buffer.byteLength
    ? record
    : { ...record, value: new Uint8Array(value) }
}

function toEvent(record: KeyRecord): WatchEvent {
  const entry = toEntry(record)
  if (entry !== undefined) return { kind: 'put', entry, previous: undefined }
  const { key, at } = record
  const gone = { key, value: EMPTY_BYTES, contentType: '', createRevision: 0, modRevision: at.revision, version: 0 }
  return { kind: 'delete', entry: { ...gone, lease: '' }, previous: undefined }
}
