// When the cluster reached which revision: what a state of a certain age must hold at least.

export class RevisionTimes {
  readonly #moments: number[] = []
  readonly #revisions: number[] = []

  /** Both only grow. */
  note(atMs: number, revision: number): void {
    this.#moments.push(atMs)
    this.#revisions.push(revision)
  }

  /** The last one that was reached by then; 0 before the first. */
  at(ms: number): number {
    let [low, high] = [0, this.#moments.length]
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.#moments[middle]! <= ms) low = middle + 1
      else high = middle
    }
    return this.#revisions[low - 1] ?? 0
  }
}
