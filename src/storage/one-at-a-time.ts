// Runs tasks strictly one after another, in the order of the calls, whatever became of the ones before.
import { deferred } from '../lib/deferred.ts'

export class OneAtATime {
  #last: Promise<void> = Promise.resolve()

  async run(task: () => Promise<void>): Promise<void> {
    const before = this.#last
    const done = deferred<void>()
    this.#last = done.promise
    await before
    try {
      await task()
    } finally {
      done.resolve()
    }
  }

  /** Resolves when all tasks so far have ended. */
  idle(): Promise<void> {
    return this.#last
  }
}
