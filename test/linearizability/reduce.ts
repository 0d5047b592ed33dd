// Makes a history that is not linearizable small without making it wrong: each reduction only forgets what was observed, so
// what is left, and found to have no order, proves that the whole had none.
import { completedAt } from './history.ts'
import type { Operation } from './history.ts'
import type { Model } from './model.ts'
import { Search } from './search.ts'

export interface Reduced<State, Input, Output> {
  /** The positions of the operations whose answers are needed, in the given history. */
  readonly evidence: readonly number[]
  /** The evidence, and the others with their outcome forgotten. */
  readonly operations: readonly Operation<Input, Output>[]
  /** Has shown that they have no order. */
  readonly search: Search<State, Input, Output>
}

/** Steps for one trial, and for all: a window need not be the smallest at any price. */
const TRIAL_STEPS = 20_000
const ALL_STEPS = 1_000_000

class Reduction<State, Input, Output> {
  readonly #model: Model<State, Input, Output>
  readonly #original: readonly Operation<Input, Output>[]
  #stepsLeft = ALL_STEPS
  evidence: readonly number[]
  operations: readonly Operation<Input, Output>[]
  search: Search<State, Input, Output>

  constructor(
    model: Model<State, Input, Output>,
    original: readonly Operation<Input, Output>[],
    search: Search<State, Input, Output>,
  ) {
    this.#model = model
    this.#original = original
    this.evidence = original.flatMap(({ outcome }, at) => (outcome.kind === 'completed' ? [at] : []))
    this.operations = original
    this.search = search
  }

  get isExhausted(): boolean {
    return this.#stepsLeft <= 0
  }

  /** Keeps only these answers if that still has no order. Operations invoked later than all of them are left out. */
  tryEvidence(evidence: readonly number[], stepsMax = TRIAL_STEPS): boolean {
    const kept = new Set(evidence)
    const last = Math.max(...evidence.map((at) => completedAt(this.#original[at]!)))
    const operations = this.#original.flatMap((operation, at): Operation<Input, Output>[] => {
      if (kept.has(at)) return [operation]
      const isUseless = operation.invokedAt > last || this.#model.isRead(operation.input)
      return isUseless ? [] : [{ ...operation, outcome: { kind: 'unknown' } }]
    })
    const search = new Search(this.#model, this.#model.prepare?.(operations) ?? operations)
    search.run(Math.min(stepsMax, this.#stepsLeft))
    this.#stepsLeft -= search.steps + operations.length
    if (search.verdict !== 'impossible') return false
    this.evidence = evidence
    this.operations = operations
    this.search = search
    return true
  }
}

export function reduce<State, Input, Output>(
  model: Model<State, Input, Output>,
  operations: readonly Operation<Input, Output>[],
  search: Search<State, Input, Output>,
): Reduced<State, Input, Output> {
  const reduction = new Reduction(model, operations, search)
  cutTheEnd(reduction, operations, search.steps)
  forgetAnswers(reduction)
  return reduction
}

/** Linearizability is closed under prefixes, so the shortest prefix without an order is found by halving. */
function cutTheEnd<State, Input, Output>(
  reduction: Reduction<State, Input, Output>,
  operations: readonly Operation<Input, Output>[],
  stepsOfWhole: number,
): void {
  const byCompletion = [...reduction.evidence].sort((a, b) => completedAt(operations[a]!) - completedAt(operations[b]!))
  let fine = 0
  let broken = byCompletion.length
  while (broken - fine > 1 && !reduction.isExhausted) {
    const middle = (fine + broken) >> 1
    if (reduction.tryEvidence(byCompletion.slice(0, middle), TRIAL_STEPS + stepsOfWhole)) broken = middle
    else fine = middle
  }
}

/** Forgets answers by runs of halving length, until no single one can be forgotten. */
function forgetAnswers<State, Input, Output>(reduction: Reduction<State, Input, Output>): void {
  for (let length = reduction.evidence.length >> 1; length >= 1 && !reduction.isExhausted;) {
    let isShorter = false
    for (let from = 0; from < reduction.evidence.length && !reduction.isExhausted;) {
      const { evidence } = reduction
      const rest = [...evidence.slice(0, from), ...evidence.slice(from + length)]
      if (rest.length > 0 && reduction.tryEvidence(rest)) isShorter = true
      else from += length
    }
    if (length > 1) length >>= 1
    else if (!isShorter) break
  }
}
