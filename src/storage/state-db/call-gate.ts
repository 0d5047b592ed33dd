// At most three LevelDB calls at a time: half of the eight threads that the process gives its pool, less one. Name look-ups may
// hold the other half, and the log must always find a thread. Who waits is bounded by the callers' own limits.
import { assert } from '../../lib/assert.ts'

export const ENGINE_CALLS_MAX = 3

export class CallGate {
  #running = 0
  readonly #waiting: (() => void)[] = []

  /** Runs `call` when its turn comes, first come, first served. */
  async run<T>(call: () => Promise<T>): Promise<T> {
    if (this.#running >= ENGINE_CALLS_MAX) await new Promise<void>((resolve) => this.#waiting.push(resolve))
    else this.#running++
    try {
      return await call()
    } finally {
      this.#leave()
    }
  }

  /** Hands the place to the next in line, or gives it up. */
  #leave(): void {
    const next = this.#waiting.shift()
    if (next !== undefined) {
      next()
      return
    }
    this.#running--
    assert(this.#running >= 0, 'more calls left the gate than entered')
  }
}
