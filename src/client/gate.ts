// How many batches may be under way at once. Two: one that a node works on and one that is on its way, and whatever is asked for
// meanwhile gathers, so that batches grow just when there is much to do (decisions/client-batches.md). A node that does not answer must
// not hold up what another could: after a short while of patience one more may leave, up to a bound.
import type { ClientClock } from './transport.ts'

const STEADY = 2
/** Several round trips of a healthy cluster. Milliseconds. */
const PATIENCE_MS = 20

export class Gate {
  readonly #clock: ClientClock
  readonly #requestsMax: number
  readonly #onOpen: () => void
  #requests = 0
  #openAtMs = 0
  #timer: { cancel(): void } | undefined

  /** Calls back when it opens for those who found it closed. */
  constructor(clock: ClientClock, requestsMax: number, onOpen: () => void) {
    this.#clock = clock
    this.#requestsMax = requestsMax
    this.#onOpen = onOpen
  }

  get isIdle(): boolean {
    return this.#requests === 0
  }

  /** Takes a place if there is one; otherwise sees to it that somebody asks again. */
  enter(): boolean {
    const nowMs = this.#clock.now()
    if (this.#requests < STEADY || (this.#requests < this.#requestsMax && nowMs >= this.#openAtMs)) {
      this.#requests++
      this.#openAtMs = nowMs + PATIENCE_MS
      return true
    }
    if (this.#timer === undefined && this.#requests < this.#requestsMax) {
      this.#timer = this.#clock.after(Math.max(1, this.#openAtMs - nowMs), () => {
        this.#timer = undefined
        this.#onOpen()
      })
    }
    return false
  }

  leave(): void {
    this.#requests--
    this.#timer?.cancel()
    this.#timer = undefined
    this.#onOpen()
  }
}
