// The invocations and completions that are still to be put in order, as a linked list in an array: taking an operation out and
// putting it back cost a few stores each, which is what the search does most.
import { completedAt } from './history.ts'
import type { Operation } from './history.ts'

/** Node 2i is the invocation of completed operation i, node 2i + 1 its completion; the last node is both ends of the list. */
export class Timeline {
  /** Both ends. */
  readonly end: number
  readonly #next: Int32Array
  readonly #previous: Int32Array
  readonly #moments: Float64Array

  /** The completed operations. */
  constructor(operations: readonly Operation<unknown, unknown>[]) {
    this.end = operations.length * 2
    this.#next = new Int32Array(this.end + 1)
    this.#previous = new Int32Array(this.end + 1)
    this.#moments = new Float64Array(this.end)
    operations.forEach((operation, at) => {
      this.#moments[at * 2] = operation.invokedAt
      this.#moments[at * 2 + 1] = completedAt(operation)
    })
    this.#link()
  }

  next(node: number): number {
    return this.#next[node]!
  }

  moment(node: number): number {
    return this.#moments[node]!
  }

  /** Takes out both nodes of an operation. */
  remove(operation: number): void {
    this.#unlink(operation * 2)
    this.#unlink(operation * 2 + 1)
  }

  /** Undoes `remove`. Only in the reverse order of removal. */
  restore(operation: number): void {
    this.#relink(operation * 2 + 1)
    this.#relink(operation * 2)
  }

  /** In the order of moments. At equal ones invocations come first, so that the operations count as concurrent. */
  #link(): void {
    const nodes = Array.from({ length: this.end }, (_, node) => node)
    nodes.sort((a, b) => this.#moments[a]! - this.#moments[b]! || (a & 1) - (b & 1) || a - b)
    let last = this.end
    for (const node of nodes) {
      this.#next[last] = node
      this.#previous[node] = last
      last = node
    }
    this.#next[last] = this.end
    this.#previous[this.end] = last
  }

  #unlink(node: number): void {
    this.#next[this.#previous[node]!] = this.#next[node]!
    this.#previous[this.#next[node]!] = this.#previous[node]!
  }

  #relink(node: number): void {
    this.#next[this.#previous[node]!] = node
    this.#previous[this.#next[node]!] = node
  }
}
