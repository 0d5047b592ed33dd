// Makes a history that is not linearizable small without making it wrong: each reduction only forgets what was observed, so
// what is left, and found to have no order, proves that the whole had none.
import { completedAt } from './history.ts'
import type { Operation } from './history.ts'
import type { Model } from './model.ts'
import { Search } from './search.ts'

export interface Reduced<State, Input, Output> {
  /** What the search was given: the window as it was seen, the rest with its time or its answer forgotten. */
  readonly operations: readonly Operation<Input, Output>[]
  /** The positions of the window in the given part. */
  readonly window: readonly number[]
  /** The positions of those whose answers are needed, but not when they came. */
  readonly timeless: readonly number[]
  /** The shortest beginning of the part that has no order, with nothing forgotten, and the search that showed it. */
  readonly beginning: readonly Operation<Input, Output>[]
  readonly search: Search<State, Input, Output>
}

/** How much of an operation is kept. A forgotten time means: completed at some moment or other. */
type Kept = 'all' | 'answer' | 'nothing'

/** Steps for one trial, and for all: a window need not be the smallest at any price. */
const TRIAL_STEPS = 20_000
const ALL_STEPS = 1_000_000

class Reduction<State, Input, Output> {
  readonly #model: Model<State, Input, Output>
  readonly #part: readonly Operation<Input, Output>[]
  readonly #others: readonly Operation<Input, Output>[]
  stepsLeft = ALL_STEPS
  kept: readonly Kept[]
  operations: readonly Operation<Input, Output>[]
  search: Search<State, Input, Output>

  constructor(
    model: Model<State, Input, Output>,
    part: readonly Operation<Input, Output>[],
    whole: readonly Operation<Input, Output>[],
    search: Search<State, Input, Output>,
  ) {
    const inPart = new Set(part)
    this.#model = model
    this.#part = part
    this.#others = whole.filter((operation) => !inPart.has(operation))
    this.kept = part.map(({ outcome }) => (outcome.kind === 'completed' ? 'all' : 'nothing'))
    this.operations = part
    this.search = search
  }

  /** The position of the operation whose completion the history cannot have any more. */
  get last(): number {
    const ends = this.#part.map((operation, at) => (this.kept[at] === 'all' ? completedAt(operation) : -Infinity))
    return ends.indexOf(Math.max(...ends))
  }

  /** Takes that over if it is shown to have no order either. */
  try(kept: readonly Kept[], stepsMax = TRIAL_STEPS): boolean {
    const last = Math.max(
      ...this.#part.map((operation, at) => (kept[at] === 'all' ? completedAt(operation) : -Infinity)),
    )
    const operations = this.#part.flatMap((operation, at) => this.#weaken(operation, kept[at]!, last) ?? [])
    const model = this.#model.specialise?.([...this.#others, ...operations]) ?? this.#model
    const search = new Search(model, model.prepare?.(operations) ?? operations)
    search.run(Math.min(stepsMax, this.stepsLeft))
    this.stepsLeft -= search.steps + operations.length
    if (search.verdict !== 'impossible') return false
    this.kept = kept
    this.operations = operations
    this.search = search
    return true
  }

  /** What began after the window's end cannot have a part in it. */
  #weaken(operation: Operation<Input, Output>, kept: Kept, last: number): Operation<Input, Output> | undefined {
    const { outcome, input, invokedAt } = operation
    if (kept === 'all') return operation
    if (kept === 'answer' && outcome.kind === 'completed')
      return { ...operation, outcome: { ...outcome, at: Infinity } }
    if (invokedAt > last || this.#model.isObservation(input, undefined)) return undefined
    return { ...operation, outcome: { kind: 'unknown' } }
  }
}

/** `whole` holds the part and what belongs to others, `search` has shown that the part has no order. */
export function reduce<State, Input, Output>(
  model: Model<State, Input, Output>,
  part: readonly Operation<Input, Output>[],
  whole: readonly Operation<Input, Output>[],
  search: Search<State, Input, Output>,
): Reduced<State, Input, Output> {
  const reduction = new Reduction(model, part, whole, search)
  cutTheEnd(reduction, part, search.steps)
  const beginning = reduction.operations
  const ofBeginning = reduction.search
  forget(reduction, 'answer', ['all'])
  forget(reduction, 'nothing', ['all', 'answer'])
  const { kept, operations } = reduction
  return {
    operations,
    window: kept.flatMap((what, at) => (what === 'all' ? [at] : [])),
    timeless: kept.flatMap((what, at) => (what === 'answer' ? [at] : [])),
    beginning,
    search: ofBeginning,
  }
}

/** Linearizability is closed under prefixes, so the shortest prefix without an order is found by halving. */
function cutTheEnd<State, Input, Output>(
  reduction: Reduction<State, Input, Output>,
  part: readonly Operation<Input, Output>[],
  stepsOfWhole: number,
): void {
  const completed = part.flatMap(({ outcome }, at) => (outcome.kind === 'completed' ? [at] : []))
  completed.sort((a, b) => completedAt(part[a]!) - completedAt(part[b]!))
  let fine = 0
  let broken = completed.length
  while (broken - fine > 1 && reduction.stepsLeft > 0) {
    const middle = (fine + broken) >> 1
    const first = new Set(completed.slice(0, middle))
    const kept = part.map((_, at): Kept => (first.has(at) ? 'all' : 'nothing'))
    if (reduction.try(kept, TRIAL_STEPS + stepsOfWhole)) broken = middle
    else fine = middle
  }
}

/** Weakens all but the last completed one, in runs of halving length, down to single ones. */
function forget<State, Input, Output>(
  reduction: Reduction<State, Input, Output>,
  to: Kept,
  from: readonly Kept[],
): void {
  reduction.stepsLeft = ALL_STEPS
  const left = (): number[] =>
    reduction.kept.flatMap((what, at) => (from.includes(what) && at !== reduction.last ? [at] : []))
  for (let length = left().length; length >= 1; length >>= 1) {
    let start = 0
    for (let rest = left(); start < rest.length && reduction.stepsLeft > 0; rest = left()) {
      const run = new Set(rest.slice(start, start + length))
      if (!reduction.try(reduction.kept.map((what, at) => (run.has(at) ? to : what)))) start += length
    }
  }
}
