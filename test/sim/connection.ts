// One connection of two simulated processes. Each end has its own view of whether it is up, and learns in its own time that it is
// not; then it also learns that what it had asked will not be answered.
import type { SimulatedTransport } from './simulated-transport.ts'

export class Connection {
  readonly ends: readonly [SimulatedTransport, SimulatedTransport]
  readonly #up = [true, true]
  /** For each end, what becomes of its open questions when it learns that the connection has broken. */
  readonly onDown: readonly [Set<() => void>, Set<() => void>] = [new Set(), new Set()]
  isBreaking = false

  constructor(a: SimulatedTransport, b: SimulatedTransport) {
    this.ends = [a, b]
  }

  #side(transport: SimulatedTransport): 0 | 1 {
    return this.ends[0] === transport ? 0 : 1
  }

  isUpAt(transport: SimulatedTransport): boolean {
    return this.#up[this.#side(transport)] === true
  }

  other(transport: SimulatedTransport): SimulatedTransport {
    return this.ends[this.#side(transport) === 0 ? 1 : 0]
  }

  questions(transport: SimulatedTransport): Set<() => void> {
    return this.onDown[this.#side(transport)]
  }

  /** One end learns of it. */
  down(transport: SimulatedTransport): void {
    const side = this.#side(transport)
    if (!this.#up[side]) return
    this.#up[side] = false
    const open = [...this.onDown[side]]
    this.onDown[side].clear()
    for (const lost of open) lost()
  }
}
