// A semaphore: at most so many hold it at once, first come first served. Its keys are below `<name>/`.
import { refusal } from '../client-error.ts'
import type { ClientCore } from '../core.ts'
import { standInLine } from './line.ts'
import type { Hold, LineOptions } from './line.ts'

export class Semaphore {
  readonly name: string
  /** All who use it must say the same. */
  readonly permits: number
  readonly #core: ClientCore

  constructor(core: ClientCore, name: string, permits: number) {
    if (!Number.isSafeInteger(permits) || permits < 1)
      throw refusal('BAD_PARAMETER', 'a semaphore has a whole number of permits, at least 1')
    this.#core = core
    this.name = name
    this.permits = permits
  }

  /** Waits until fewer than `permits` hold it; a signal ends the wait. */
  acquire(options: LineOptions = {}): Promise<Hold> {
    const isTurn = (before: readonly string[]): boolean => before.length < this.permits
    return standInLine(this.#core, { prefix: `${this.name}/`, kind: 'permit', isTurn }, options)
  }
}
