// The end of a turn of the event loop: what one turn brought is dealt with once, when all sockets that were readable have been
// read. So the requests of a turn share one entry and one read index, and its messages leave as one a peer.
import type { Clock } from './ports.ts'

export class Turn {
  readonly #clock: Clock
  readonly #gather: () => void
  readonly #act: () => void
  #isRequested = false

  /** `gather` brings together what waits; what it asks for is part of what `act` then does. */
  constructor(clock: Clock, gather: () => void, act: () => void) {
    this.#clock = clock
    this.#gather = gather
    this.#act = act
  }

  /** Has this turn ended, once, however often it is asked for. */
  request(): void {
    if (this.#isRequested) return
    this.#isRequested = true
    this.#clock.soon(() => {
      this.#gather()
      this.#isRequested = false
      this.#act()
    })
  }
}
