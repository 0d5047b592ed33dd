// One life of a process in the simulated world: whether it lives, whether it stands still, and its clock. Nothing reaches a dead
// process, and nothing that it had planned happens any more; what reaches one that stands still waits until it goes on.
import type { Clock, Timer } from '../../src/node/ports.ts'
import type { Prng } from '../../src/lib/prng.ts'
import type { Planned, World } from './world.ts'

export interface HostOptions {
  readonly world: World
  readonly prng: Prng
  readonly index: number
  /** 1,000 = exactly as fast as the world's time. */
  readonly ratePerMille: number
  readonly lateMsMax: number
}

/** Certainly longer than a timer may be late before it counts as late. */
const LONG_STALL_MS = 100

export class Host {
  readonly index: number
  readonly clock: Clock
  readonly #world: World
  readonly #prng: Prng
  readonly #rate: number
  readonly #lateMsMax: number
  readonly #startMs: number
  #isAlive = true
  #isPaused = false
  #pausedAtMs = 0
  #pausedMs = 0
  /** Inputs that waited through a long stall and have not been handled yet. */
  #unread = 0
  #timers: (() => void)[] = []
  #inputs: (() => void)[] = []

  constructor(options: HostOptions) {
    this.index = options.index
    this.#world = options.world
    this.#prng = options.prng
    this.#rate = options.ratePerMille / 1_000
    this.#lateMsMax = options.lateMsMax
    this.#startMs = options.world.nowMs
    this.clock = {
      now: () => this.#nowMs,
      after: (delayMs, callback) => this.#after(delayMs, callback),
      soon: (callback) => void this.#world.after(0, () => this.#timer(callback)),
    }
  }

  get isAlive(): boolean {
    return this.#isAlive
  }

  get isPaused(): boolean {
    return this.#isPaused
  }

  /** How long it has run, without the time that it stood still. */
  get ranMs(): number {
    return this.#world.nowMs - this.#startMs - this.#pausedMs
  }

  /** It has woken from a long stall, and what arrived meanwhile has not all been handled. */
  get isWaking(): boolean {
    return this.#unread > 0
  }

  /** Something arrives from outside: a message, a finished operation of the disk, a request. */
  input(callback: () => void): void {
    if (!this.#isAlive) return
    if (this.#isPaused) this.#inputs.push(callback)
    else callback()
  }

  kill(): void {
    this.#isAlive = false
    this.#timers = []
    this.#inputs = []
  }

  pause(): void {
    if (!this.#isAlive || this.#isPaused) return
    this.#isPaused = true
    this.#pausedAtMs = this.#world.nowMs
  }

  /** Late timers come first and then the input, as after a long stall of a real event loop. */
  resume(): void {
    if (!this.#isPaused) return
    this.#isPaused = false
    const stalledMs = this.#world.nowMs - this.#pausedAtMs
    this.#pausedMs += stalledMs
    const [timers, inputs] = [this.#timers, this.#inputs]
    this.#timers = []
    this.#inputs = []
    for (const callback of timers) this.#world.after(0, () => this.#timer(callback))
    const isLong = stalledMs >= LONG_STALL_MS
    if (isLong) this.#unread += inputs.length
    for (const callback of inputs) {
      this.#world.after(0, () => {
        if (isLong) this.#unread--
        this.input(callback)
      })
    }
  }

  get #nowMs(): number {
    return 1_000 + (this.#world.nowMs - this.#startMs) * this.#rate
  }

  #timer(callback: () => void): void {
    if (!this.#isAlive) return
    if (this.#isPaused) this.#timers.push(callback)
    else callback()
  }

  #after(delayMs: number, callback: () => void): Timer {
    const lateMs = this.#lateMsMax === 0 || !this.#prng.chance(1, 16) ? 0 : this.#prng.below(this.#lateMsMax + 1)
    // A microsecond more, so that by this clock the time is certainly over.
    const delay = Math.max(0, delayMs) / this.#rate + lateMs + (delayMs > 0 ? 0.001 : 0)
    let isCancelled = false
    const planned: Planned = this.#world.after(delay, () =>
      this.#timer(() => {
        if (!isCancelled) callback()
      }),
    )
    return {
      cancel: () => {
        isCancelled = true
        planned.callback = undefined
      },
    }
  }
}
