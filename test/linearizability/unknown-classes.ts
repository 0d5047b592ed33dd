// The operations of unknown outcome as candidates: of interchangeable ones only the oldest that is not placed, and of those whose
// position is known only the one whose turn it is. Many answers are lost at once when a node dies, and most of them look alike.

/** Stands for all operations whose position is known. */
const RANKED = 0

export class UnknownClasses {
  readonly #from: number
  /** For each class the oldest operation that is not placed, or -1. */
  readonly #heads: number[] = [-1]
  /** For each operation the next younger one of its class, or -1. */
  readonly #younger: Int32Array
  readonly #classes: Int32Array
  readonly #byRank = new Map<number, number>()

  /** `names` are those of the classes of the operations from number `from` on, which are in the order of invocation. */
  constructor(names: readonly string[], from: number, ranks: Int32Array) {
    this.#from = from
    this.#younger = new Int32Array(names.length).fill(-1)
    this.#classes = new Int32Array(names.length)
    const known = new Map<string, number>()
    const youngest: number[] = [-1]
    names.forEach((name, at) => {
      const operation = from + at
      if (ranks[operation] !== -1) {
        this.#byRank.set(ranks[operation]!, operation)
        return
      }
      const number = known.get(name) ?? this.#heads.length
      known.set(name, number)
      this.#classes[at] = number
      if (number === this.#heads.length) this.#heads.push(operation)
      else this.#younger[youngest[number]! - from] = operation
      youngest[number] = operation
    })
  }

  get count(): number {
    return this.#heads.length
  }

  of(operation: number): number {
    return this.#classes[operation - this.#from]!
  }

  /** The one operation of a class that may be placed next, or -1. Of known positions that is the one of this rank. */
  candidate(number: number, rank: number): number {
    return number === RANKED ? (this.#byRank.get(rank) ?? -1) : this.#heads[number]!
  }

  /** The operation is placed. */
  take(operation: number): void {
    const number = this.of(operation)
    if (number !== RANKED) this.#heads[number] = this.#younger[operation - this.#from]!
  }

  /** Undoes `take`. Only in the reverse order. */
  putBack(operation: number): void {
    const number = this.of(operation)
    if (number !== RANKED) this.#heads[number] = operation
  }
}
