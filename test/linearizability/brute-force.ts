// The definition of linearizability, tried out: every order of the completed operations with every choice of those of unknown
// outcome. For histories of at most nine operations, as a witness that shares nothing with the search.
import { completedAt } from './history.ts'
import type { Operation } from './history.ts'

/** States are plain data. Gives all states that an operation may lead to when so answered; without an output, whatever the answer was. */
export type Specification<State, Input, Output> = (
  state: State,
  input: Input,
  output: Output | undefined,
) => readonly State[]

export function isLinearizableByBruteForce<State, Input, Output>(
  initial: State,
  specification: Specification<State, Input, Output>,
  operations: readonly Operation<Input, Output>[],
): boolean {
  const possible = operations.filter(({ outcome }) => outcome.kind !== 'not-applied')
  /** What was tried in vain: states as text, and the operations that were left. */
  const vain = new Set<string>()
  const explains = (state: State, rest: readonly Operation<Input, Output>[]): boolean => {
    if (rest.every(({ outcome }) => outcome.kind === 'unknown')) return true
    const name = JSON.stringify([state, rest.map((operation) => possible.indexOf(operation))])
    if (vain.has(name)) return false
    vain.add(name)
    return rest.some((next) => {
      const others = rest.filter((other) => other !== next)
      if (others.some((other) => completedAt(other) < next.invokedAt)) return false
      const output = next.outcome.kind === 'completed' ? next.outcome.output : undefined
      return specification(state, next.input, output).some((after) => explains(after, others))
    })
  }
  return explains(initial, possible)
}
