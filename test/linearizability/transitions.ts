// The model's states and steps by number: each step is asked of the model once, and equal states have one number.
import { outputOf } from './history.ts'
import type { Operation } from './history.ts'
import type { Model } from './model.ts'

const IMPOSSIBLE = -1

export class Transitions<State, Input, Output> {
  readonly initial: number
  readonly #model: Model<State, Input, Output>
  readonly #operations: readonly Operation<Input, Output>[]
  readonly #states: State[] = []
  readonly #numbers = new Map<string | number, number>()
  readonly #known = new Map<number, number>()

  constructor(model: Model<State, Input, Output>, operations: readonly Operation<Input, Output>[]) {
    this.#model = model
    this.#operations = operations
    this.initial = this.#numberOf(model.initial())
  }

  stateOf(state: number): State {
    return this.#states[state]!
  }

  /** The number of the state after an operation, or -1 when it is impossible there. */
  after(state: number, operation: number): number {
    const step = state * this.#operations.length + operation
    const known = this.#known.get(step)
    if (known !== undefined) return known
    const asked = this.#operations[operation]!
    const next = this.#model.step(this.#states[state]!, asked.input, outputOf(asked))
    const number = next === undefined ? IMPOSSIBLE : this.#numberOf(next)
    this.#known.set(step, number)
    return number
  }

  #numberOf(state: State): number {
    const key = this.#model.stateKey(state)
    const known = this.#numbers.get(key)
    if (known !== undefined) return known
    const number = this.#states.length
    this.#states.push(state)
    this.#numbers.set(key, number)
    return number
  }
}
