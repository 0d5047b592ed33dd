// Callers that wait, and one timer for all of their deadlines: a timer for each would cost more than anything else about a small call.
import { TransientSet } from '../lib/transient.ts'
import type { Placed } from '../lib/transient.ts'
import type { ClientClock } from './transport.ts'

export interface Waiting extends Placed {
  /** When it is to be told that its time is over. */
  readonly deadlineMs: number
  /** Its time is over; it is not waiting any more. */
  late(): void
}

export class Deadlines<T extends Waiting> {
  readonly #clock: ClientClock
  readonly #waiting = new TransientSet<T>()
  #timer: { cancel(): void } | undefined
  #timerAtMs = Infinity

  constructor(clock: ClientClock) {
    this.#clock = clock
  }

  get size(): number {
    return this.#waiting.size
  }

  add(waiting: T): void {
    this.#waiting.add(waiting)
    if (waiting.deadlineMs < this.#timerAtMs) this.#plan(waiting.deadlineMs)
  }

  /** The timer stays for the others, and finds out for itself that it came too early. */
  delete(waiting: T): void {
    this.#waiting.delete(waiting)
    if (this.#waiting.size > 0) return
    // Without anybody who waits, nothing of ours keeps a process alive.
    this.#timer?.cancel()
    this.#timerAtMs = Infinity
  }

  /** A copy: whoever is told something is deleted meanwhile. */
  all(): readonly T[] {
    return this.#waiting.values()
  }

  #plan(atMs: number): void {
    this.#timer?.cancel()
    this.#timerAtMs = atMs
    this.#timer = this.#clock.after(Math.max(0, atMs - this.#clock.now()), () => this.#sweep())
  }

  #sweep(): void {
    const nowMs = this.#clock.now()
    this.#timerAtMs = Infinity
    let next = Infinity
    for (const waiting of this.all()) {
      if (waiting.deadlineMs <= nowMs) waiting.late()
      else if (waiting.deadlineMs < next) next = waiting.deadlineMs
    }
    if (next < this.#timerAtMs && this.#waiting.size > 0) this.#plan(next)
  }
}
