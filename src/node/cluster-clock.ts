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

  /**
   * This node begins to lead: time goes on from what is applied, and from the stamps behind it as they are applied. What the node may have
   * counted while it led before, cut off from all the others, was nobody's time: leases that were granted since must not pay for it.
   */
  begin(timeMs: number): void {
    this.#timeMs = timeMs
    this.pause()
  }

  /**
   * The leader counts, at each tick and before each stamp: adds the monotonic time since the last call, within bounds. (A stamp
   * that were as old as the last tick would let a lease granted in between end by that much too early.)
   */
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
