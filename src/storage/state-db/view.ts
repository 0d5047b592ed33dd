// A view of the state, for listings and the past: everything as of the entry it was opened at, and as of any revision before it
// that was not compacted by then. A page is gathered in two steps: first where its records are, from pointers alone, then the
// records, as many as fit.
import { ALL_KEYS, afterPrefix } from '../../api/ranges.ts'
import type { KeyRange } from '../../api/commands.ts'
import { assert } from '../../lib/assert.ts'
import type { KeyString } from '../../lib/bytes.ts'
import type { KeyRecord, KvMeta, Revision } from '../../kv/types.ts'
import type { ListItem, ListPage, ListQuery, StateView } from '../../node/ports.ts'
import { StateClosedError } from './errors.ts'
import type { KeyScan, ScannedKey } from './key-scan.ts'
import { type Pace, Walker } from './pace.ts'
import type { PinnedState, RecordPlace } from './pinned-state.ts'

/** Keys of a page looked at between two turns of others: their records come in the same number. */
const KEYS_PER_TURN = 128
/** Of a count, which looks at the keys alone and has to be done in time. */
const KEYS_PER_COUNT = 256
/** A page asks for a few more keys than it needs: some may be tombstones. */
const KEYS_SPARE = 16

type Place = ({ readonly kind: 'record' } & RecordPlace) | { readonly kind: 'prefix'; readonly prefix: KeyString }

export class PinnedView implements StateView {
  readonly revision: Revision
  readonly compactRevision: Revision
  readonly #liveKeys: number
  readonly #state: PinnedState
  readonly #onClosed: (view: PinnedView) => void
  readonly #walker: Walker
  readonly #calls = new Set<Promise<unknown>>()
  #closing: Promise<void> | undefined

  constructor(state: PinnedState, meta: KvMeta, pace: Pace, onClosed: (view: PinnedView) => void) {
    this.#state = state
    this.revision = meta.revision
    this.compactRevision = meta.compactRevision
    this.#liveKeys = meta.liveKeys
    this.#walker = new Walker(pace)
    this.#onClosed = onClosed
  }

  get(key: KeyString, revision: Revision): Promise<KeyRecord | undefined> {
    return this.#call(revision, async () => {
      const slot = await this.#state.slot(key)
      if (slot === undefined) return undefined
      const [place] = await this.#state.placesAt([{ key, slot }], revision)
      if (place === undefined) return undefined
      const [record] = await this.#state.records([place])
      return record
    })
  }

  list(query: ListQuery): Promise<ListPage> {
    assert(query.itemsMax >= 1, `a page of ${query.itemsMax} items`)
    assert(query.separator?.text !== '', 'an empty separator')
    return this.#call(query.revision, async () => {
      const scan = this.#state.scan(query.range, query.reverse)
      try {
        return await this.#pageOf(query, await this.#places(query, scan))
      } finally {
        await scan.close()
      }
    })
  }

  count(range: KeyRange, revision: Revision): Promise<number> {
    return this.#call(revision, async () => {
      if (revision === this.revision && range.from === ALL_KEYS.from && range.to === undefined) return this.#liveKeys
      const scan = this.#state.scan(range, false)
      try {
        let count = 0
        for (;;) {
          const keys = await scan.next(KEYS_PER_COUNT)
          if (keys.length === 0) return count
          count += await this.#countAt(keys, revision)
        }
      } finally {
        await scan.close()
      }
    })
  }

  /** Ends what is under way; then lets go. */
  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    while (this.#calls.size > 0) await Promise.allSettled(this.#calls)
    await this.#state.close()
    this.#onClosed(this)
  }

  /** What the page will hold, in order, and one more if there is any: it says where the next page begins. */
  async #places(query: ListQuery, scan: KeyScan): Promise<readonly Place[]> {
    const { itemsMax, revision, reverse, separator } = query
    const places: Place[] = []
    let rolledUp: KeyString | undefined
    while (places.length <= itemsMax) {
      const keysWanted = Math.min(KEYS_PER_TURN, itemsMax + KEYS_SPARE - places.length)
      const keys = await this.#walker.turn(() => scan.next(keysWanted))
      if (keys.length === 0) break
      for (const place of await this.#placesAt(keys, revision)) {
        if (place === undefined || (rolledUp !== undefined && place.key.startsWith(rolledUp))) continue
        const prefix = separator && prefixOf(place.key, separator)
        if (prefix === undefined) places.push({ kind: 'record', ...place })
        else places.push({ kind: 'prefix', prefix })
        rolledUp = prefix
        if (places.length > itemsMax) return places
      }
      // The keys of this turn are used up. Behind a long prefix the walk goes on with a leap; a short one ends soon anyway.
      if (rolledUp === undefined || !isHalfBelow(keys, rolledUp)) continue
      const bound = reverse ? rolledUp : afterPrefix(rolledUp)
      if (bound === undefined) break
      scan.leap(bound)
    }
    return places
  }

  /** As many of the items as fit, with their records. */
  async #pageOf({ range, reverse, itemsMax, bytesMax }: ListQuery, places: readonly Place[]): Promise<ListPage> {
    const wanted = places.slice(0, itemsMax).filter((place) => place.kind === 'record')
    const items: ListItem[] = []
    let records: readonly KeyRecord[] = []
    let recordsBefore = 0
    let nth = 0
    let bytes = 0
    for (const place of places) {
      if (items.length === itemsMax) return { items, rest: restFrom(place, range, reverse) }
      let item: ListItem
      if (place.kind === 'prefix') item = place
      else {
        if (nth === recordsBefore + records.length) {
          this.#assertOpen()
          const from = nth
          records = await this.#walker.turn(() => this.#state.someRecords(wanted, from))
          recordsBefore = from
        }
        item = { kind: 'record', record: records[nth++ - recordsBefore]! }
      }
      bytes += sizeOf(item)
      if (items.length > 0 && bytes > bytesMax) return { items, rest: restFrom(place, range, reverse) }
      items.push(item)
    }
    return { items, rest: undefined }
  }

  /** Of the present, the pointers say it all: nothing is made for each of a million keys. */
  async #countAt(keys: readonly ScannedKey[], revision: Revision): Promise<number> {
    this.#assertOpen()
    const isNow = revision === this.revision
    const found = isNow
      ? keys.filter(({ slot }) => slot.pointer?.isTombstone === false)
      : (await this.#placesAt(keys, revision)).filter((place) => place !== undefined)
    return found.length
  }

  async #placesAt(keys: readonly ScannedKey[], revision: Revision): Promise<readonly (RecordPlace | undefined)[]> {
    this.#assertOpen()
    return await this.#state.placesAt(keys, revision)
  }

  async #call<T>(revision: Revision, work: () => Promise<T>): Promise<T> {
    this.#assertOpen()
    assert(
      revision >= this.compactRevision && revision <= this.revision,
      `revision ${revision} is asked of a view of the revisions ${this.compactRevision} to ${this.revision}`,
    )
    const running = work()
    this.#calls.add(running)
    try {
      return await running
    } finally {
      this.#calls.delete(running)
    }
  }

  #assertOpen(): void {
    if (this.#closing !== undefined) throw new StateClosedError()
  }
}

function prefixOf(key: KeyString, { text, offset }: { text: KeyString; offset: number }): KeyString | undefined {
  const at = key.indexOf(text, offset)
  return at === -1 ? undefined : key.slice(0, at + text.length)
}

const isHalfBelow = (keys: readonly ScannedKey[], prefix: KeyString): boolean =>
  keys.at(-1)!.key.startsWith(prefix) && keys[keys.length >>> 1]!.key.startsWith(prefix)

/** What is left of the range when `place` is the next to be listed. */
function restFrom(place: Place, { from, to }: KeyRange, reverse: boolean): KeyRange {
  if (place.kind === 'record') return reverse ? { from, to: `${place.key}\0` } : { from: place.key, to }
  const { prefix } = place
  if (!reverse) return { from: prefix > from ? prefix : from, to }
  const end = afterPrefix(prefix)
  return { from, to: end === undefined || (to !== undefined && to < end) ? to : end }
}

const sizeOf = (item: ListItem): number =>
  item.kind === 'prefix' ? item.prefix.length : item.record.key.length + (item.record.value?.length ?? 0)
