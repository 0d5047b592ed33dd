// Cluster time: milliseconds during which the cluster has had a leader (LogCabin; design, section 4). The leader counts it and
// stamps each batch; apply takes the maximum. A stall of the leader makes expiry late, never early.

export class ClusterClock {
  readonly #stepMsMax: number
  #timeMs = 0
  #lastTickMs: number | undefined

  /** `stepMsMax`: what one tick may add at most; the election timeout. */
  constructor(stepMsMax: number) {
    this.#stepMsMax = stepMsMax
  }

  /** Whole milliseconds of cluster time. */
  get timeMs(): number {
    return Math.floor(this.#timeMs)
  }

  /** A tick of the leader: adds the monotonic time since the last one, within bounds. */
  advance(nowMs: number): void {
    const last = this.#lastTickMs ?? nowMs
    this.#lastTickMs = nowMs
    this.#timeMs += Math.min(Math.max(nowMs - last, 0), this.#stepMsMax)
  }

  /** Somebody else leads: our own counting stops. */
  pause(): void {
    this.#lastTickMs = undefined
  }

  /** The log knows a later time. */
  atLeast(timeMs: number): void {
    if (timeMs > this.#timeMs) this.#timeMs = timeMs
  }
}
