// One register with compare-and-set, absent at first: the object of the public etcd histories.
import { unreachable } from '../../../src/lib/assert.ts'
import type { Model } from '../model.ts'

export type RegisterInput =
  | { readonly op: 'read' }
  | { readonly op: 'write'; readonly value: number }
  | { readonly op: 'cas'; readonly from: number; readonly to: number }

/** A failed `cas` is an observation: the register was not the expected value. */
export type RegisterOutput =
  | { readonly kind: 'read'; readonly value: number | null }
  | { readonly kind: 'written' }
  | { readonly kind: 'compared'; readonly isSet: boolean }

type State = number | null

function step(state: State, input: RegisterInput, output: RegisterOutput | undefined): State | undefined {
  switch (input.op) {
    case 'read':
      return output?.kind === 'read' && output.value === state ? state : undefined
    case 'write':
      return input.value
    case 'cas': {
      const isSet = state === input.from
      if (output?.kind === 'compared' && output.isSet !== isSet) return undefined
      if (isSet) return input.to
      return output === undefined ? undefined : state
    }
    default:
      return unreachable(input)
  }
}

function describe(input: RegisterInput, output: RegisterOutput | undefined): string {
  const answer = output === undefined ? 'outcome unknown' : describeOutput(output)
  switch (input.op) {
    case 'read':
      return `read -> ${answer}`
    case 'write':
      return `write ${input.value} -> ${answer}`
    case 'cas':
      return `compare ${input.from} and set ${input.to} -> ${answer}`
    default:
      return unreachable(input)
  }
}

function describeOutput(output: RegisterOutput): string {
  switch (output.kind) {
    case 'read':
      return describeState(output.value)
    case 'written':
      return 'done'
    case 'compared':
      return output.isSet ? 'set' : 'not equal'
    default:
      return unreachable(output)
  }
}

const describeState = (state: State): string => (state === null ? 'nothing' : String(state))

export const registerModel: Model<State, RegisterInput, RegisterOutput> = {
  name: 'register with compare-and-set',
  initial: () => null,
  step,
  stateKey: (state) => state ?? 'absent',
  isObservation: ({ op }, output) => op === 'read' || (output?.kind === 'compared' && !output.isSet),
  className: (input) => JSON.stringify(input),
  describe,
  describeState: (state) => `the register holds ${describeState(state)}`,
}
