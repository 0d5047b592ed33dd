// The search for an order of one part's operations that explains all answers: Wing and Gong's, as improved by Lowe, who
// remembers the configurations that led nowhere. It keeps its own stack and can stop after any number of steps.
import { present } from '../../src/lib/assert.ts'
import { ConfigurationSet } from './configuration-set.ts'
import { outputOf } from './history.ts'
import type { Operation } from './history.ts'
import type { Model } from './model.ts'
import { Timeline } from './timeline.ts'
import { Transitions } from './transitions.ts'
import { UnknownClasses } from './unknown-classes.ts'

export type SearchVerdict = 'found' | 'impossible' | 'open'

/** The longest explained beginning that a search has met. */
export interface Attempt<State> {
  /** Positions in the searched operations, in the order in which they took effect. */
  readonly order: readonly number[]
  readonly state: State
}

/**
 * A candidate for the next place in the order is every operation that is not placed and was invoked before the first
 * completion of one that is not placed. Completed candidates are tried first, those of unknown outcome only where they are not
 * enough. Four reductions, each of which loses no order worth having:
 * - a completed observation that agrees with the state is placed at once: wherever else it might go, here does no harm;
 * - one of unknown outcome that would have no effect is not placed: it is free to have none;
 * - of interchangeable ones of unknown outcome, the oldest goes first;
 * - operations whose answers tell their position go in that order.
 */
export class Search<State, Input, Output> {
  readonly #operations: readonly Operation<Input, Output>[]
  /** Search numbers: the completed operations in the order of invocation, then those of unknown outcome. */
  readonly #numbers: Int32Array
  readonly #completed: number
  readonly #timeline: Timeline
  readonly #transitions: Transitions<State, Input, Output>
  readonly #classes: UnknownClasses
  /** The rank of an operation's position among all known ones, or -1. Equal positions have one rank. */
  readonly #ranks: Int32Array
  /** How many operations of each rank are not placed. */
  readonly #unplaced: Int32Array
  /** For each completed operation 1 if it is an observation. */
  readonly #observations: Uint8Array
  readonly #visited: ConfigurationSet
  readonly #bits: Int32Array
  readonly #unknownWord: number

  /** The stack: operation, state before it, and the boundary behind which it was found, or -1. */
  readonly #stackOperations: Int32Array
  readonly #stackStates: Int32Array
  readonly #stackBoundaries: Int32Array
  #depth = 0
  #placed = 0
  #nextRank = 0
  #state: number
  /** The node that is looked at next, or, once the boundary has been reached, the class of unknown outcome. */
  #cursor: number
  #boundary = -1
  #verdict: SearchVerdict = 'open'
  #steps = 0
  #best: { order: Int32Array; placed: number; state: number }

  /** The operations of one part, prepared, none of them `not-applied`. */
  constructor(model: Model<State, Input, Output>, operations: readonly Operation<Input, Output>[]) {
    const numbers = operations.map((_, at) => at).sort((a, b) => operations[a]!.invokedAt - operations[b]!.invokedAt)
    const isCompleted = (at: number): boolean => operations[at]!.outcome.kind === 'completed'
    const completed = numbers.filter(isCompleted)
    this.#numbers = Int32Array.from([...completed, ...numbers.filter((at) => !isCompleted(at))])
    this.#operations = Array.from(this.#numbers, (at) => operations[at]!)
    this.#completed = completed.length
    this.#timeline = new Timeline(this.#operations.slice(0, this.#completed))
    this.#transitions = new Transitions(model, this.#operations)
    this.#ranks = ranks(model, this.#operations)
    const unknown = this.#operations.slice(this.#completed)
    const names = unknown.map(({ input }, at) => model.className?.(input) ?? String(at))
    this.#classes = new UnknownClasses(names, this.#completed, this.#ranks)
    this.#unplaced = new Int32Array(operations.length + 1)
    for (const rank of this.#ranks) if (rank !== -1) this.#unplaced[rank] = this.#unplaced[rank]! + 1
    this.#observations = Uint8Array.from(this.#operations, (operation) =>
      model.isObservation(operation.input, outputOf(operation)) ? 1 : 0,
    )
    const count = operations.length
    this.#unknownWord = Math.ceil(this.#completed / 32)
    this.#bits = new Int32Array(this.#unknownWord + Math.ceil((count - this.#completed) / 32))
    this.#visited = new ConfigurationSet(this.#bits.length, this.#unknownWord)
    this.#stackOperations = new Int32Array(count)
    this.#stackStates = new Int32Array(count)
    this.#stackBoundaries = new Int32Array(count)
    this.#state = this.#transitions.initial
    this.#cursor = this.#timeline.next(this.#timeline.end)
    this.#best = { order: new Int32Array(0), placed: 0, state: this.#state }
    if (this.#completed === 0) this.#verdict = 'found'
  }

  get verdict(): SearchVerdict {
    return this.#verdict
  }

  /** Candidates looked at so far. */
  get steps(): number {
    return this.#steps
  }

  /** Goes on for so many steps, or until the verdict is known. */
  run(steps: number): SearchVerdict {
    const limit = this.#steps + steps
    while (this.#verdict === 'open' && this.#steps < limit) {
      this.#steps += 1
      if (this.#boundary === -1) this.#tryCompleted()
      else this.#tryUnknown()
    }
    return this.#verdict
  }

  best(): Attempt<State> {
    const { order, state } = this.#best
    return { order: Array.from(order, (number) => this.#numbers[number]!), state: this.#transitions.stateOf(state) }
  }

  #tryCompleted(): void {
    const node = this.#cursor
    if ((node & 1) === 1) {
      // The first completion: its operation must have its place before anything invoked later.
      this.#boundary = node
      this.#cursor = 0
      return
    }
    const operation = node >> 1
    const state = this.#stateAfter(operation)
    const isForced = this.#isForced(operation, state)
    if (state !== -1 && this.#place(operation, state)) return
    if (isForced) this.#backtrack()
    else this.#cursor = this.#timeline.next(node)
  }

  #tryUnknown(): void {
    if (this.#cursor === this.#classes.count) return this.#backtrack()
    const operation = this.#classes.candidate(this.#cursor, this.#nextRank)
    this.#cursor += 1
    if (operation === -1) return
    if (this.#operations[operation]!.invokedAt > this.#timeline.moment(this.#boundary)) return
    const state = this.#stateAfter(operation)
    if (state !== -1 && state !== this.#state) this.#place(operation, state)
  }

  /** The state after the operation, or -1 when it cannot come next. */
  #stateAfter(operation: number): number {
    const rank = this.#ranks[operation]!
    return rank !== -1 && rank !== this.#nextRank ? -1 : this.#transitions.after(this.#state, operation)
  }

  /** False when that leads to a configuration that has been seen. */
  #place(operation: number, state: number): boolean {
    this.#flip(operation)
    if (!this.#visited.add(state, this.#bits)) {
      this.#flip(operation)
      return false
    }
    this.#stackOperations[this.#depth] = operation
    this.#stackStates[this.#depth] = this.#state
    this.#stackBoundaries[this.#depth] = this.#boundary
    this.#depth += 1
    this.#state = state
    this.#rank(operation)
    if (operation < this.#completed) {
      this.#timeline.remove(operation)
      this.#placed += 1
      this.#remember()
    } else {
      this.#classes.take(operation)
    }
    this.#cursor = this.#timeline.next(this.#timeline.end)
    this.#boundary = -1
    if (this.#placed === this.#completed) this.#verdict = 'found'
    return true
  }

  /** Takes back the last placement that had an alternative. */
  #backtrack(): void {
    for (;;) {
      if (this.#depth === 0) {
        this.#verdict = 'impossible'
        return
      }
      this.#depth -= 1
      const operation = this.#stackOperations[this.#depth]!
      const isForced = this.#isForced(operation, this.#stackStates[this.#depth]!)
      this.#state = this.#stackStates[this.#depth]!
      this.#flip(operation)
      this.#unrank(operation)
      if (operation < this.#completed) {
        this.#timeline.restore(operation)
        this.#placed -= 1
      } else {
        this.#classes.putBack(operation)
      }
      if (isForced) continue
      this.#boundary = this.#stackBoundaries[this.#depth]!
      this.#cursor = operation < this.#completed ? this.#timeline.next(operation * 2) : this.#classes.of(operation) + 1
      return
    }
  }

  /** An observation that leaves this state as it is. */
  #isForced(operation: number, state: number): boolean {
    return state === this.#state && this.#observations[operation] === 1
  }

  #rank(operation: number): void {
    const rank = this.#ranks[operation]!
    if (rank === -1) return
    const left = this.#unplaced[rank]! - 1
    this.#unplaced[rank] = left
    if (left === 0) this.#nextRank = rank + 1
  }

  #unrank(operation: number): void {
    const rank = this.#ranks[operation]!
    if (rank === -1) return
    this.#unplaced[rank] = this.#unplaced[rank]! + 1
    this.#nextRank = rank
  }

  #remember(): void {
    if (this.#placed <= this.#best.placed) return
    this.#best.placed = this.#placed
    this.#best.state = this.#state
    this.#best.order = this.#stackOperations.slice(0, this.#depth)
  }

  #word(operation: number): number {
    return operation < this.#completed ? operation >> 5 : this.#unknownWord + ((operation - this.#completed) >> 5)
  }

  #bit(operation: number): number {
    return 1 << (operation < this.#completed ? operation & 31 : (operation - this.#completed) & 31)
  }

  #flip(operation: number): void {
    const word = this.#word(operation)
    this.#bits[word] = this.#bits[word]! ^ this.#bit(operation)
  }
}

function ranks<State, Input, Output>(
  model: Model<State, Input, Output>,
  operations: readonly Operation<Input, Output>[],
): Int32Array {
  const positions = operations.map((operation) => model.position?.(operation.input, outputOf(operation)))
  const known = positions.flatMap((position, at) => (position === undefined ? [] : [at]))
  known.sort((a, b) => present(positions[a], 'a position') - present(positions[b], 'a position'))
  const result = new Int32Array(operations.length).fill(-1)
  let rank = -1
  let last = -Infinity
  for (const at of known) {
    const position = present(positions[at], 'a position')
    if (position > last) rank += 1
    last = position
    result[at] = rank
  }
  return result
}
