// One measurement of a part that may fail: it is named among the failures, and the others go on.
import type { BenchContext } from './part.ts'

export class Attempts {
  readonly failures: string[] = []
  readonly #context: BenchContext
  readonly #part: string

  constructor(context: BenchContext, part: string) {
    this.#context = context
    this.#part = part
  }

  /** What the work gave; undefined, with the reason noted, where it failed. */
  async make<T>(what: string, work: () => Promise<T>): Promise<T | undefined> {
    try {
      return await work()
    } catch (error) {
      this.failures.push(`${what}: ${String(error)}`)
      this.#context.progress(`${this.#part}: FAILED: ${this.failures.at(-1)}`)
      return undefined
    }
  }
}
