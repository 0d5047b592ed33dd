// A proposed order of a history's operations, verified: whoever can guess an order spares the search. The guess need not be trusted, since
// an order that keeps real time and that the model steps through to its end is all that linearizable means. One that fails proves nothing.
import { completedAt, outputOf } from './history.ts'
import type { Operation } from './history.ts'
import type { Model } from './model.ts'

/** Positions in the history. What is of unknown outcome and missing never took effect. */
export type ProposedOrder = readonly number[]

/**
 * True when the order explains the history: nothing that was completed is missing, nothing comes twice, nothing comes before what
 * was completed before its invocation, and every answer is the one that the model gives there.
 */
export function explains<State, Input, Output>(
  model: Model<State, Input, Output>,
  operations: readonly Operation<Input, Output>[],
  order: ProposedOrder,
): boolean {
  if (!isComplete(operations, order) || !keepsRealTime(operations, order)) return false
  const parts = new Map<string, Operation<Input, Output>[]>()
  for (const at of order) {
    const operation = operations[at]!
    const name = model.partOf?.(operation.input) ?? ''
    const part = parts.get(name)
    if (part === undefined) parts.set(name, [operation])
    else part.push(operation)
  }
  const special = model.specialise?.(operations) ?? model
  return [...parts.values()].every((part) => agrees(special, special.prepare?.(part) ?? part))
}

function isComplete(operations: readonly Operation<unknown, unknown>[], order: ProposedOrder): boolean {
  const placed = new Set(order)
  if (placed.size !== order.length) return false
  for (const at of order) {
    const kind = operations[at]?.outcome.kind
    if (kind === undefined || kind === 'not-applied') return false
  }
  return operations.every(({ outcome }, at) => outcome.kind !== 'completed' || placed.has(at))
}

function keepsRealTime(operations: readonly Operation<unknown, unknown>[], order: ProposedOrder): boolean {
  let latest = -Infinity
  for (const at of order) {
    const operation = operations[at]!
    if (completedAt(operation) < latest) return false
    latest = Math.max(latest, operation.invokedAt)
  }
  return true
}

/** The operations of one part, in their order. */
function agrees<State, Input, Output>(
  model: Model<State, Input, Output>,
  operations: readonly Operation<Input, Output>[],
): boolean {
  let state = model.initial()
  let place = -Infinity
  for (const operation of operations) {
    const output = outputOf(operation)
    const known = model.position?.(operation.input, output)
    if (known !== undefined && known < place) return false
    place = known ?? place
    const next = model.step(state, operation.input, output)
    // Without an answer, and without an effect: it might as well not be here.
    if (next === undefined && output !== undefined) return false
    state = next ?? state
  }
  return true
}
