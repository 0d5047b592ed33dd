// Why a history is not linearizable, in words: the few operations that cannot all be true, and where every order of them ends.
import { completedAt, outputOf } from './history.ts'
import type { Operation } from './history.ts'
import type { Contradiction, Model } from './model.ts'
import { reduce } from './reduce.ts'
import type { Search } from './search.ts'

/** The smallest window that was found. */
export interface Window<Input, Output> {
  /** The part that it is in; '' when it is about the whole object. */
  readonly part: string
  /** Operations that cannot all be true, in the order of invocation. */
  readonly operations: readonly Operation<Input, Output>[]
  /** Several lines. */
  readonly explanation: string
}

export function explainContradiction<State, Input, Output>(
  model: Model<State, Input, Output>,
  { operations, reason }: Contradiction<Input, Output>,
): Window<Input, Output> {
  const window = byInvocation(operations)
  const lines = [`Not linearizable (${model.name}). ${reason}`, ...window.map((operation) => line(model, operation))]
  return { part: '', operations: window, explanation: lines.join('\n') }
}

/** `search` has shown that the part has no order; what is shown is the smallest window that has none. */
export function explainPart<State, Input, Output>(
  model: Model<State, Input, Output>,
  part: string,
  operations: readonly Operation<Input, Output>[],
  whole: readonly Operation<Input, Output>[],
  search: Search<State, Input, Output>,
): Window<Input, Output> {
  const reduced = reduce(model, operations, whole, search)
  const { timeless } = reduced
  const isBrief = timeless.length <= TIMELESS_SHOWN
  const window = byInvocation([...reduced.window, ...(isBrief ? timeless : [])].map((at) => operations[at]!))
  const free = reduced.operations.filter(({ outcome }) => outcome.kind === 'unknown').length
  const place = part === '' ? '' : `, ${part}`
  const lines = [
    `Not linearizable (${model.name}${place}): ${window.length} of ${operations.length} operations show it.`,
    ...window.map((operation) => line(model, operation)),
    ...(isBrief ? [] : [`  ${timeless.length} more answers count, whenever they came.`]),
    ...(free > 0
      ? [`  ${free} more may have taken effect at any time after their invocation, or never: it does not help.`]
      : []),
    ...deadEnd(model, reduced.beginning, reduced.search),
  ]
  return { part, operations: window, explanation: lines.join('\n') }
}

/** The longest beginning that has an order, the state it leads to, and what each operation that could come next says to it. */
function deadEnd<State, Input, Output>(
  model: Model<State, Input, Output>,
  operations: readonly Operation<Input, Output>[],
  search: Search<State, Input, Output>,
): string[] {
  const { order, state } = search.best()
  const placed = new Set(order)
  const rest = operations.filter(({ outcome }, at) => outcome.kind === 'completed' && !placed.has(at))
  const boundary = Math.min(...rest.map(completedAt))
  const candidates = byInvocation(rest.filter(({ invokedAt }) => invokedAt <= boundary))
  const shown = order.map((at) => operations[at]!).slice(-ORDER_SHOWN)
  const omitted = order.length - shown.length
  return [
    shown.length === 0
      ? 'No operation can come first:'
      : `The longest beginning that has an order${omitted > 0 ? ` (its first ${omitted} left out)` : ''}:`,
    ...shown.map((operation) => `  ${described(model, operation)}`),
    `Then ${model.describeState(state)}, and nothing that may come next agrees:`,
    ...candidates.map((operation) => `  ${described(model, operation)}: ${objection(model, state, operation)}`),
  ]
}

const ORDER_SHOWN = 6
const TIMELESS_SHOWN = 8

function objection<State, Input, Output>(
  model: Model<State, Input, Output>,
  state: State,
  operation: Operation<Input, Output>,
): string {
  const output = outputOf(operation)
  if (output === undefined) return 'its outcome is unknown'
  if (model.step(state, operation.input, output) !== undefined) return 'possible, but then others have no place'
  return model.objection?.(state, operation.input, output) ?? 'cannot be answered so in that state'
}

function line<State, Input, Output>(model: Model<State, Input, Output>, operation: Operation<Input, Output>): string {
  const end = completedAt(operation)
  return `  [${operation.invokedAt}, ${end === Infinity ? 'open' : end}] ${described(model, operation)}`
}

const described = <State, Input, Output>(
  model: Model<State, Input, Output>,
  operation: Operation<Input, Output>,
): string => `client ${operation.client}: ${model.describe(operation.input, outputOf(operation))}`

const byInvocation = <Input, Output>(
  operations: readonly Operation<Input, Output>[],
): readonly Operation<Input, Output>[] => [...operations].sort((a, b) => a.invokedAt - b.invokedAt)
