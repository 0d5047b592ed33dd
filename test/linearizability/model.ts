// What the checker asks of a model: a sequential object, and how to speak about it.
import type { Operation } from './history.ts'

/** Operations that cannot all be true, found without a search. */
export interface Contradiction<Input, Output> {
  readonly operations: readonly Operation<Input, Output>[]
  /** A full sentence. */
  readonly reason: string
}

/** A sequential specification. States are immutable values. An `Output` is never undefined: that stands for an unknown outcome. */
export interface Model<State, Input, Output> {
  readonly name: string
  initial(): State
  /**
   * The state after `input` was answered with `output`, or undefined when it cannot be so answered in this state. Without an
   * output: the state after it took effect with whatever answer, or undefined when it has no effect here.
   */
  step(state: State, input: Input, output: Output | undefined): State | undefined
  /** Equal for equal states, and for no others. */
  stateKey(state: State): string | number

  /** True when, so answered, it leaves every state as it is (a read, a refusal). Without an output: whatever the answer. */
  isObservation(input: Input, output: Output | undefined): boolean

  /** Names the part of the object that an operation touches. Parts are independent and checked one by one. */
  partOf?(input: Input): string
  /** The model for one history: what all parts together tell, for the search of each. */
  specialise?(operations: readonly Operation<Input, Output>[]): Model<State, Input, Output>
  /** Rewrites the inputs of one part for the search: same operations, same order. What it adds must follow from the history. */
  prepare?(operations: readonly Operation<Input, Output>[]): readonly Operation<Input, Output>[]
  /** Operations of unknown outcome with equal names are interchangeable, so the search takes the oldest first. */
  className?(input: Input): string
  /** Where in the order of its part an operation must come, when its answer tells: lower ones first, equal ones in any order. */
  position?(input: Input, output: Output | undefined): number | undefined
  /** What couples the parts, checked without a search. */
  checkWhole?(operations: readonly Operation<Input, Output>[]): Contradiction<Input, Output> | undefined

  /** For example `get -> "x", revision 3`. */
  describe(input: Input, output: Output | undefined): string
  describeState(state: State): string
  /** Why an answer is impossible in a state, as a sentence without a full stop. */
  objection?(state: State, input: Input, output: Output): string | undefined
}
