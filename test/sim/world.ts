// The simulated world's time: one queue of events, ordered by when they are due and then by when they were planned. Nothing happens
// outside it. Between two events all promise chains run dry, so that what one event sets off is over before the next.
import { assert } from '../../src/lib/assert.ts'
import { Trace } from './trace.ts'
import type { Detail } from './trace.ts'

export interface Planned {
  readonly atUs: number
  readonly order: number
  /** Undefined once cancelled or done. */
  callback: (() => void) | undefined
}

/** Something that must never happen has happened: the seed has failed. */
export class Violation extends Error {
  override readonly name = 'Violation'
}

export class World {
  readonly trace = new Trace()
  #nowUs = 0
  #order = 0
  #events = 0
  #violation: Violation | undefined
  readonly #heap: Planned[] = []

  /** Simulated milliseconds since the world began. */
  get nowMs(): number {
    return this.#nowUs / 1_000
  }

  /** Events that have happened. */
  get events(): number {
    return this.#events
  }

  /** Events that are planned, cancelled ones included. */
  get planned(): number {
    return this.#heap.length
  }

  get violation(): Violation | undefined {
    return this.#violation
  }

  note(kind: string, ...details: readonly Detail[]): void {
    this.trace.add(this.#nowUs, kind, ...details)
  }

  /** The first violation is the one that counts; the world stops after the event that it happened in. */
  violate(message: string): void {
    if (this.#violation !== undefined) return
    this.#violation = new Violation(message)
    this.note('VIOLATION', message)
  }

  /** Plans an event. Fractions of a microsecond are cut off, so that time is a whole number everywhere. */
  after(delayMs: number, callback: () => void): Planned {
    assert(!Number.isNaN(delayMs), 'an event is planned for no time: all that follow would be out of order')
    const atUs = this.#nowUs + Math.max(0, Math.floor(delayMs * 1_000))
    const event: Planned = { atUs, order: this.#order++, callback }
    push(this.#heap, event)
    return event
  }

  /** Lets events happen until the claim holds, a violation was found, or `ms` are over. Says whether the claim held. */
  run(ms: number, isDone: () => boolean = () => false): Promise<boolean> {
    const endUs = this.#nowUs + Math.floor(ms * 1_000)
    return new Promise((resolve) => {
      let isOver = false
      const turn = (): void => {
        if (isOver) return
        const verdict = this.#violation !== undefined ? false : isDone() || (this.#step(endUs) ? undefined : isDone())
        if (verdict === undefined) return
        isOver = true
        resolve(verdict)
      }
      // Between two immediates all promise chains run dry. Many are asked for at once, because each round of the event loop
      // costs a system call.
      const round = (): void => {
        if (isOver) return
        for (let at = 0; at < TURNS; at++) setImmediate(turn)
        setImmediate(round)
      }
      round()
    })
  }

  /** The next event. False when there is none until then, and time has passed to that end. */
  #step(endUs: number): boolean {
    for (let next = this.#heap[0]; next !== undefined && next.atUs <= endUs; next = this.#heap[0]) {
      pop(this.#heap)
      const { callback } = next
      if (callback === undefined) continue
      assert(next.atUs >= this.#nowUs, 'time runs backwards')
      this.#nowUs = next.atUs
      next.callback = undefined
      this.#events++
      try {
        callback()
      } catch (error) {
        this.violate(`an event threw: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`)
      }
      return true
    }
    this.#nowUs = endUs
    return false
  }
}

/** Events for each round of the process's event loop. */
const TURNS = 64

// ---------------------------------------------------------------------------------------------------- a binary heap

const isBefore = (a: Planned, b: Planned): boolean => a.atUs < b.atUs || (a.atUs === b.atUs && a.order < b.order)

function push(heap: Planned[], event: Planned): void {
  let at = heap.length
  heap.push(event)
  while (at > 0) {
    const parent = (at - 1) >>> 1
    if (!isBefore(event, heap[parent]!)) break
    heap[at] = heap[parent]!
    at = parent
  }
  heap[at] = event
}

function pop(heap: Planned[]): void {
  const last = heap.pop()
  if (last === undefined || heap.length === 0) return
  let at = 0
  for (;;) {
    let child = 2 * at + 1
    if (child >= heap.length) break
    if (child + 1 < heap.length && isBefore(heap[child + 1]!, heap[child]!)) child++
    if (!isBefore(heap[child]!, last)) break
    heap[at] = heap[child]!
    at = child
  }
  heap[at] = last
}
