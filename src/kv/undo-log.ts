// How to take back what a refused transaction did to the tables in memory: steps noted while it runs, replayed in reverse.
// Outside of a transaction nothing is noted; callers ask first, so that the hot path makes no closure.
import { assert } from '../lib/assert.ts'

export class UndoLog {
  #steps: (() => void)[] | undefined

  get isNoting(): boolean {
    return this.#steps !== undefined
  }

  begin(): void {
    assert(this.#steps === undefined, 'a transaction within a transaction has no undo log of its own')
    this.#steps = []
  }

  note(step: () => void): void {
    this.#steps?.push(step)
  }

  commit(): void {
    this.#steps = undefined
  }

  rollback(): void {
    const steps = this.#steps ?? []
    this.#steps = undefined
    for (let at = steps.length - 1; at >= 0; at--) steps[at]!()
  }
}
