// What expires, ordered by when: a binary heap with one place for each thing. Extending a life, which is what nearly always
// happens, touches nothing here; the place is put right when it comes to the top. Nor does an early end: places of what is gone
// are swept out together, once they are most of the heap. Never replicated, so its shape may differ.

export interface Expiring {
  readonly id: string
  expiresAtMs: number
  isGone: boolean
  /** When its place in the queue is for: at or before `expiresAtMs`. Undefined without a place. */
  queuedAtMs: number | undefined
}

interface Place<T> {
  readonly atMs: number
  readonly item: T
}

/** A heap below this size is not worth a sweep. */
const SWEPT_FROM = 1_024

export class ExpiryQueue<T extends Expiring> {
  #heap: Place<T>[] = []
  /** At this size it is swept: twice what the last sweep left, so that sweeping costs each place a constant. */
  #sweepAt = SWEPT_FROM

  /** Places held, of what is gone too. */
  get size(): number {
    return this.#heap.length
  }

  /** To be called whenever the item is new, is back, or its `expiresAtMs` was set. */
  track(item: T): void {
    if (item.queuedAtMs !== undefined && item.queuedAtMs <= item.expiresAtMs) return
    item.queuedAtMs = item.expiresAtMs
    this.#push({ atMs: item.expiresAtMs, item })
    if (this.#heap.length >= this.#sweepAt) this.#sweep()
  }

  /** When the first is due, or undefined when nothing expires. */
  get nextMs(): number | undefined {
    for (let first = this.#heap[0]; first !== undefined; first = this.#heap[0]) {
      const { atMs, item } = first
      if (item.queuedAtMs === atMs && !item.isGone && item.expiresAtMs === atMs) return atMs
      this.#pop()
      if (item.queuedAtMs !== atMs) continue
      item.queuedAtMs = undefined
      if (!item.isGone) this.track(item)
    }
    return undefined
  }

  /** What is due at `nowMs`, earliest first and by id within a moment, as far as `take` says to go on. It stays in the queue. */
  due(nowMs: number, take: (item: T) => boolean): void {
    const taken: Place<T>[] = []
    for (let nextMs = this.nextMs; nextMs !== undefined && nextMs <= nowMs; nextMs = this.nextMs) {
      const place = this.#pop()!
      taken.push(place)
      if (!take(place.item)) break
    }
    for (const place of taken) this.#push(place)
  }

  /** What lives for years and ends at once would stay here for years. */
  #sweep(): void {
    const places = this.#heap
    this.#heap = []
    for (const place of places) {
      const { item, atMs } = place
      if (item.queuedAtMs !== atMs) continue
      if (item.isGone) item.queuedAtMs = undefined
      else this.#push(place)
    }
    this.#sweepAt = Math.max(SWEPT_FROM, 2 * this.#heap.length)
  }

  #push(place: Place<T>): void {
    const heap = this.#heap
    let at = heap.length
    heap.push(place)
    while (at > 0) {
      const parent = (at - 1) >> 1
      if (!isBefore(place, heap[parent]!)) break
      heap[at] = heap[parent]!
      at = parent
    }
    heap[at] = place
  }

  #pop(): Place<T> | undefined {
    const heap = this.#heap
    const first = heap[0]
    const last = heap.pop()
    if (heap.length === 0 || last === undefined) return first
    let at = 0
    for (;;) {
      let child = 2 * at + 1
      if (child + 1 < heap.length && isBefore(heap[child + 1]!, heap[child]!)) child++
      if (child >= heap.length || !isBefore(heap[child]!, last)) break
      heap[at] = heap[child]!
      at = child
    }
    heap[at] = last
    return first
  }
}

function isBefore<T extends Expiring>(a: Place<T>, b: Place<T>): boolean {
  return a.atMs === b.atMs ? a.item.id < b.item.id : a.atMs < b.atMs
}
