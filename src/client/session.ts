// One session (thesis §6.3): its id, and the numbers of its writes. The store remembers the result of each number until the client
// says that it has heard it, so that a repeat is answered and not applied again.
import { assert } from '../lib/assert.ts'
import type { SessionId } from '../api/commands.ts'

export const SESSION = {
  /** The store forgets a session that nothing used for this long. Milliseconds. */
  ttlMs: 300_000,
  /**
   * The client stops giving out numbers that long after the last use that was answered, counted from its sending: 90 % of the time
   * to live, less the longest time that a write may take. What is begun in a session ends in it. Milliseconds.
   */
  usableMs: 210_000,
  /** Numbers between the lowest unanswered and the next, below what the store remembers of one session (1,000). */
  windowMax: 900,
} as const

export class Session {
  readonly id: SessionId
  /** The lowest that was given out and is not resolved yet; the next number when there is none. */
  #lowest = 1
  /** Resolved, above the lowest: few, because answers mostly come in the order of the numbers. */
  readonly #resolvedAbove = new Set<number>()
  #next = 1
  #usableUntilMs: number

  constructor(id: SessionId, usedAtMs: number) {
    this.id = id
    this.#usableUntilMs = usedAtMs + SESSION.usableMs
  }

  isUsable(nowMs: number): boolean {
    return nowMs < this.#usableUntilMs
  }

  /** A request sent at this time was answered with results of this session. */
  used(sentAtMs: number): void {
    this.#usableUntilMs = Math.max(this.#usableUntilMs, sentAtMs + SESSION.usableMs)
  }

  get hasRoom(): boolean {
    return this.#next - this.#lowest < SESSION.windowMax
  }

  get acknowledgedBelow(): number {
    return this.#lowest
  }

  take(): number {
    assert(this.hasRoom, 'a session has no room for a number')
    return this.#next++
  }

  /** The caller was told, once: nobody will ask for this number again. */
  resolve(sequence: number): void {
    const above = this.#resolvedAbove
    if (sequence !== this.#lowest) {
      above.add(sequence)
      return
    }
    this.#lowest++
    while (above.size > 0 && above.delete(this.#lowest)) this.#lowest++
  }
}
