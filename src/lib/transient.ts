// A set and a map for things that come and go by the thousand: requests under way. V8's own grow a new table whenever the old one
// is full of what was deleted, and the old table, which still holds its last entries, points to the new one. Once one of these tables
// lies in the old generation, each later one is kept alive by the one before it, and so is everything that was ever in them at
// such a moment: until the next full collection nothing that a request allocated dies young (decisions/memory.md). Here a place
// that is given up is emptied.

/** What a {@link TransientSet} can hold. */
export interface Placed {
  /** Where the set keeps it. Begins at -1, and is the set's alone. */
  place: number
}

/** In no order. Adding and deleting cost no hashing. A thing can be in one such set at a time. */
export class TransientSet<T extends Placed> {
  readonly #items: T[] = []

  get size(): number {
    return this.#items.length
  }

  add(item: T): void {
    if (this.has(item)) return
    item.place = this.#items.push(item) - 1
  }

  has(item: T): boolean {
    // An array asked for what is at -1 looks for a property of that name, slowly.
    return item.place >= 0 && this.#items[item.place] === item
  }

  delete(item: T): void {
    if (!this.has(item)) return
    // The last one takes its place.
    const last = this.#items.pop()!
    if (last !== item) {
      this.#items[item.place] = last
      last.place = item.place
    }
    item.place = -1
  }

  /** Those of this moment: they may go, and others come, while a caller looks at them. */
  values(): readonly T[] {
    return [...this.#items]
  }
}

/** By numbers, in the order in which they came. */
export class TransientMap<T> {
  /** Numbers by numbers: what such a table keeps alive does not matter. */
  readonly #places = new Map<number, number>()
  readonly #items: (T | undefined)[] = []
  readonly #free: number[] = []

  get size(): number {
    return this.#places.size
  }

  has(number: number): boolean {
    return this.#places.has(number)
  }

  get(number: number): T | undefined {
    const place = this.#places.get(number)
    return place === undefined ? undefined : this.#items[place]
  }

  set(number: number, item: T): void {
    const place = this.#places.get(number) ?? this.#free.pop() ?? this.#items.length
    this.#items[place] = item
    this.#places.set(number, place)
  }

  /** Returns what was there. */
  delete(number: number): T | undefined {
    const place = this.#places.get(number)
    if (place === undefined) return undefined
    const item = this.#items[place]
    this.#places.delete(number)
    this.#items[place] = undefined
    this.#free.push(place)
    return item
  }

  /** While they are looked at, they may go. */
  numbers(): Iterable<number> {
    return this.#places.keys()
  }

  /** Those of this moment. */
  entries(): readonly (readonly [number: number, item: T])[] {
    return [...this.#places].map(([number, place]) => [number, this.#items[place]!])
  }

  values(): readonly T[] {
    return this.entries().map(([, item]) => item)
  }

  clear(): void {
    for (const number of this.numbers()) this.delete(number)
  }
}
