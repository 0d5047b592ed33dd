// A clock that only moves when a test says so: timers fire in order of their time, `soon` callbacks between them.
import { assert } from '../../src/lib/assert.ts'
import type { Clock, Timer } from '../../src/node/ports.ts'

interface Scheduled {
  readonly atMs: number
  readonly order: number
  readonly callback: () => void
}

export class VirtualClock implements Clock {
  #nowMs = 0
  #order = 0
  #timers: Scheduled[] = []
  #soon: (() => void)[] = []

  now(): number {
    return this.#nowMs
  }

  /** Timers that are set. */
  get timerCount(): number {
    return this.#timers.length
  }

  after(delayMs: number, callback: () => void): Timer {
    assert(!Number.isNaN(delayMs), 'a timer is set for no time')
    const timer = { atMs: this.#nowMs + Math.max(0, delayMs), order: this.#order++, callback }
    this.#timers.push(timer)
    return {
      cancel: () => {
        this.#timers = this.#timers.filter((other) => other !== timer)
      },
    }
  }

  soon(callback: () => void): void {
    this.#soon.push(callback)
  }

  /** Runs what `soon` has collected, and what that adds, until nothing is left. */
  settle(): void {
    for (let callback = this.#soon.shift(); callback !== undefined; callback = this.#soon.shift()) callback()
  }

  /** Lets promise chains run, and what they schedule. */
  async drain(): Promise<void> {
    for (let round = 0; round < 3 || this.#soon.length > 0; round++) {
      this.settle()
      await new Promise((resolve) => setImmediate(resolve))
    }
  }

  /** Moves on by `ms` and fires nothing, as when the process is suspended: what fell due fires late, with the next advance. */
  stall(ms: number): void {
    this.#nowMs += ms
  }

  /** Moves on by `ms`, firing what falls due, in order. */
  advance(ms: number): void {
    const endMs = this.#nowMs + ms
    this.settle()
    for (let next = this.#next(endMs); next !== undefined; next = this.#next(endMs)) {
      this.#timers = this.#timers.filter((timer) => timer !== next)
      this.#nowMs = Math.max(this.#nowMs, next.atMs)
      next.callback()
      this.settle()
    }
    this.#nowMs = endMs
  }

  #next(endMs: number): Scheduled | undefined {
    const due = this.#timers.filter((timer) => timer.atMs <= endMs)
    return due.sort((a, b) => a.atMs - b.atMs || a.order - b.order)[0]
  }
}
