// A store of strings with get, put and append, empty at first: the object of the public key-value histories.
import { unreachable } from '../../../src/lib/assert.ts'
import type { Model } from '../model.ts'

export type StringStoreInput =
  | { readonly op: 'get'; readonly key: string }
  | { readonly op: 'put' | 'append'; readonly key: string; readonly value: string }

/** What a get saw; null answers a put or an append. */
export type StringStoreOutput = string | null

function step(state: string, input: StringStoreInput, output: StringStoreOutput | undefined): string | undefined {
  switch (input.op) {
    case 'get':
      return output === state ? state : undefined
    case 'put':
      return input.value
    case 'append':
      return state + input.value
    default:
      return unreachable(input)
  }
}

function describe(input: StringStoreInput, output: StringStoreOutput | undefined): string {
  const answer = output === undefined ? 'outcome unknown' : output === null ? 'done' : quote(output)
  const value = input.op === 'get' ? '' : ` ${quote(input.value)}`
  return `${input.op} ${input.key}${value} -> ${answer}`
}

/** Long strings differ at their ends. */
const quote = (text: string): string =>
  JSON.stringify(text.length <= 60 ? text : `${text.slice(0, 12)}...${text.slice(-44)}`)

export const stringStoreModel: Model<string, StringStoreInput, StringStoreOutput> = {
  name: 'store of strings',
  initial: () => '',
  step,
  stateKey: (state) => state,
  isObservation: ({ op }) => op === 'get',
  partOf: (input) => input.key,
  className: (input) => JSON.stringify(input),
  describe,
  describeState: (state) => `the key holds ${quote(state)}`,
}
