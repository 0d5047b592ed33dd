// Says whether a history can be explained by operations that took effect one at a time, each between its invocation and its
// completion (Herlihy and Wing): the definition of linearizable.
import { explainContradiction, explainPart } from './explain.ts'
import type { Window } from './explain.ts'
import { completedAt } from './history.ts'
import type { Operation } from './history.ts'
import type { Model } from './model.ts'
import { Search } from './search.ts'
import { explains } from './witness.ts'
import type { ProposedOrder } from './witness.ts'

export interface CheckOptions {
  /** How many candidates the search may look at, all parts together. Past it the answer is `undecided`. */
  readonly stepsMax?: number
  /** Asked for an order, which is verified before anything is searched for. */
  readonly propose?: () => ProposedOrder
}

export type CheckResult<Input, Output> =
  /** `isWitnessed`: the proposed order explains it, and nothing was searched for. */
  | { readonly verdict: 'linearizable'; readonly steps: number; readonly isWitnessed: boolean }
  /** The budget ran out: neither an order nor the absence of one was shown. `reason` is a sentence. */
  | { readonly verdict: 'undecided'; readonly steps: number; readonly reason: string }
  | ({ readonly verdict: 'not-linearizable'; readonly steps: number } & Window<Input, Output>)

/** Seconds of work, and some hundred megabytes for what was visited. */
export const STEPS_MAX = 10_000_000

/** The first share of each part; it doubles each round. */
const FIRST_SHARE = 1_000

interface Part<State, Input, Output> {
  readonly name: string
  readonly operations: readonly Operation<Input, Output>[]
  readonly search: Search<State, Input, Output>
}

/**
 * Parts take turns with a share of the budget that doubles, so that a part that is quick to refute is not kept waiting by one
 * that is not, and the check ends at the first that is refuted.
 */
export function checkHistory<State, Input, Output>(
  model: Model<State, Input, Output>,
  operations: readonly Operation<Input, Output>[],
  options: CheckOptions = {},
): CheckResult<Input, Output> {
  const stepsMax = options.stepsMax ?? STEPS_MAX
  const possible = operations.filter(({ input, outcome }) =>
    outcome.kind === 'unknown' ? !model.isObservation(input, undefined) : outcome.kind === 'completed',
  )
  validate(possible)
  const contradiction = model.checkWhole?.(possible)
  if (contradiction !== undefined) {
    return { verdict: 'not-linearizable', steps: 0, ...explainContradiction(model, contradiction) }
  }
  if (options.propose !== undefined && explains(model, operations, options.propose()))
    return { verdict: 'linearizable', steps: 0, isWitnessed: true }
  let open = partsOf(model, possible)
  let steps = 0
  for (let share = FIRST_SHARE; open.length > 0; share *= 2) {
    for (const { name, operations: part, search } of open) {
      const before = search.steps
      search.run(Math.min(share, stepsMax - steps))
      steps += search.steps - before
      if (search.verdict !== 'impossible') continue
      return { verdict: 'not-linearizable', steps, ...explainPart(model, name, part, possible, search) }
    }
    open = open.filter(({ search }) => search.verdict === 'open')
    if (open.length > 0 && steps >= stepsMax) return undecided(model, open, steps)
  }
  return { verdict: 'linearizable', steps, isWitnessed: false }
}

function validate(operations: readonly Operation<unknown, unknown>[]): void {
  operations.forEach((operation, at) => {
    const end = completedAt(operation)
    if (operation.invokedAt <= end) return
    throw new RangeError(`operation ${at} was completed at ${end}, before its invocation at ${operation.invokedAt}`)
  })
}

function partsOf<State, Input, Output>(
  model: Model<State, Input, Output>,
  operations: readonly Operation<Input, Output>[],
): Part<State, Input, Output>[] {
  const byName = new Map<string, Operation<Input, Output>[]>()
  for (const operation of operations) {
    const name = model.partOf?.(operation.input) ?? ''
    const part = byName.get(name)
    if (part === undefined) byName.set(name, [operation])
    else part.push(operation)
  }
  const special = model.specialise?.(operations) ?? model
  return Array.from(byName, ([name, part]) => ({
    name,
    operations: part,
    search: new Search(special, special.prepare?.(part) ?? part),
  }))
}

function undecided<State, Input, Output>(
  model: Model<State, Input, Output>,
  open: readonly Part<State, Input, Output>[],
  steps: number,
): CheckResult<Input, Output> {
  const names = open.map(
    ({ name, operations }) => `${name === '' ? model.name : name} (${operations.length} operations)`,
  )
  const reason = `After ${steps} steps neither an order nor its absence was shown for ${names.join(', ')}.`
  return { verdict: 'undecided', steps, reason }
}
