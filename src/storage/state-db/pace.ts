// How fast long walks go: listings and counts of very many keys share the event loop with all other requests, so they rest about as
// long as they work, all of them together. Each of their turns is short; without rests it would still be met by every request,
// and most requests wait for several turns of the loop. What a short walk does is not counted: it ends before it bothers anyone.
import type { Clock } from '../../node/ports.ts'

/** What a walk may do before it counts as long: several pages of a thousand keys. */
const SHORT_WALK_MS = 30
/** Of one turn counts at most this: what takes longer waits for the disk, and keeps the loop free meanwhile. */
const TURN_MS_MAX = 0.5
/** Timers are no finer than a millisecond, so rests are not shorter. */
const REST_MS = 1

/** Of all walks of one state. */
export class Pace {
  readonly #clock: Clock
  #owedMs = 0
  #rest: Promise<void> | undefined

  constructor(clock: Clock) {
    this.#clock = clock
  }

  get nowMs(): number {
    return this.#clock.now()
  }

  /** Set while long walks rest. */
  get rest(): Promise<void> | undefined {
    return this.#rest
  }

  worked(tookMs: number): void {
    this.#owedMs += Math.min(tookMs, TURN_MS_MAX)
    if (this.#owedMs < REST_MS || this.#rest !== undefined) return
    const restMs = this.#owedMs
    this.#owedMs = 0
    this.#rest = new Promise((resolve) => {
      this.#clock.after(restMs, () => {
        this.#rest = undefined
        resolve()
      })
    })
  }
}

/** One walk's turns, or those of one after the other in the same view. */
export class Walker {
  readonly #pace: Pace
  #workedMs = 0

  constructor(pace: Pace) {
    this.#pace = pace
  }

  /** Runs one turn, after a rest if this walk is a long one. */
  async turn<T>(work: () => Promise<T>): Promise<T> {
    const pace = this.#pace
    const isLong = this.#workedMs >= SHORT_WALK_MS
    if (isLong) await pace.rest
    const startMs = pace.nowMs
    const result = await work()
    const tookMs = pace.nowMs - startMs
    this.#workedMs += tookMs
    if (isLong) pace.worked(tookMs)
    return result
  }
}
