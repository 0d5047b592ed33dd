// The window of appends on their way to one peer: bounded in messages and in bytes, freed by acknowledgements.
// A ring that grows to its bound only when used, because most peers never have more than a few in flight.
import { assert } from '../lib/assert.ts'
import type { LogIndex } from './types.ts'

export class Inflights {
  readonly #messagesMax: number
  readonly #bytesMax: number
  /** Last index and bytes of each append, oldest at `#start`. */
  #indices: number[] = []
  #sizes: number[] = []
  #start = 0
  #count = 0
  #bytes = 0

  constructor(messagesMax: number, bytesMax: number) {
    this.#messagesMax = messagesMax
    this.#bytesMax = bytesMax
  }

  get count(): number {
    return this.#count
  }

  get bytes(): number {
    return this.#bytes
  }

  /** The last append may exceed the bound in bytes, so that one large entry can always leave. */
  get isFull(): boolean {
    return this.#count >= this.#messagesMax || this.#bytes >= this.#bytesMax
  }

  add(lastIndex: LogIndex, bytes: number): void {
    assert(!this.isFull, `an append to ${lastIndex} was sent into a full window of ${this.#count}`)
    if (this.#count === this.#indices.length) this.#grow()
    const at = (this.#start + this.#count) % this.#indices.length
    this.#indices[at] = lastIndex
    this.#sizes[at] = bytes
    this.#count++
    this.#bytes += bytes
  }

  /** Everything up to `matchIndex` was acknowledged. */
  freeTo(matchIndex: LogIndex): void {
    while (this.#count > 0 && this.#indices[this.#start]! <= matchIndex) {
      this.#bytes -= this.#sizes[this.#start]!
      this.#start = (this.#start + 1) % this.#indices.length
      this.#count--
    }
  }

  #grow(): void {
    const capacity = Math.min(this.#messagesMax, Math.max(8, this.#indices.length * 2))
    const order = Array.from({ length: this.#count }, (_, at) => (this.#start + at) % this.#indices.length)
    const indices = order.map((at) => this.#indices[at]!)
    const sizes = order.map((at) => this.#sizes[at]!)
    while (indices.length < capacity) {
      indices.push(0)
      sizes.push(0)
    }
    this.#indices = indices
    this.#sizes = sizes
    this.#start = 0
  }
}
