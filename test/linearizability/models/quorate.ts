// The key-value API of Quorate as a model: put, get and delete of one key with conditions, revisions, versions. Keys are checked
// one by one; what couples them, the global revision, is checked on the whole (`quorate-revisions.ts`).
import { outputOf } from '../history.ts'
import type { Operation } from '../history.ts'
import type { Model } from '../model.ts'
import { checkRevisions } from './quorate-revisions.ts'
import { absentKey, keyOfState, stepKey } from './quorate-state.ts'
import type { KeyState } from './quorate-state.ts'
import { entryShown, revisionMade } from './quorate-types.ts'
import type { QuorateInput, QuorateOutput } from './quorate-types.ts'
import { describe, describeState, objection } from './quorate-words.ts'

export type QuorateOperation = Operation<QuorateInput, QuorateOutput>
export type QuorateModel = Model<KeyState, QuorateInput, QuorateOutput>

export interface QuorateModelOptions {
  /** Of the store when the history begins, with all keys of the history absent. A new store is at 1. */
  readonly initialRevision?: number
  /** Nobody else writes: each revision must be some recorded write's. */
  readonly isComplete?: boolean
  /** One revision may be several keys': of what changed more than one, the history has a write for each. */
  readonly areShared?: boolean
}

export function quorateModel({
  initialRevision = 1,
  isComplete = true,
  areShared = false,
}: QuorateModelOptions = {}): QuorateModel {
  const model: QuorateModel = {
    name: 'Quorate',
    initial: () => absentKey(initialRevision),
    step: stepKey,
    stateKey: keyOfState,
    isObservation: ({ op }, output) => op === 'get' || (output !== undefined && revisionMade(output) === undefined),
    partOf: ({ key }) => key,
    prepare: locateUnanswered,
    className: (input) => JSON.stringify(input),
    position: placeOf,
    checkWhole: (operations) =>
      checkRevisions(locateUnanswered(operations), { initialRevision, isComplete, areShared }),
    specialise: (operations) => {
      const taken = revisionsTaken(operations)
      return { ...model, step: (state, input, output) => stepKey(state, input, output, taken) }
    },
    describe,
    describeState,
    objection,
  }
  return model
}

function revisionsTaken(operations: readonly QuorateOperation[]): ReadonlySet<number> {
  const taken = new Set<number>()
  for (const { input, outcome } of locateUnanswered(operations)) {
    const revision = outcome.kind === 'completed' ? revisionMade(outcome.output) : landed(input)
    if (revision !== undefined) taken.add(revision)
  }
  return taken
}

const landed = (input: QuorateInput): number | undefined => (input.op === 'put' ? input.landedAt : undefined)

/** Doubled, so that what was answered from the state at a revision comes after that change and before the next. */
function placeOf(input: QuorateInput, output: QuorateOutput | undefined): number | undefined {
  const made = output === undefined ? landed(input) : revisionMade(output)
  if (made !== undefined) return made * 2
  return output?.revision === undefined ? undefined : output.revision * 2 + 1
}

/**
 * What the answers of others tell of puts whose own answer is missing. If a value was seen and only one put can have written
 * it, that put took effect at the revision seen. If it was never seen, it does not matter which value it was: such puts become
 * equal, and hence interchangeable, which keeps the search small where many are missing.
 */
export function locateUnanswered(operations: readonly QuorateOperation[]): readonly QuorateOperation[] {
  const writers = new Map<string, number>()
  const seenAt = new Map<string, number>()
  for (const operation of operations) {
    const { input } = operation
    const shown = entryShown(outputOf(operation))
    if (shown !== undefined) {
      const seen = name(input.key, shown.value)
      seenAt.set(seen, Math.min(shown.modRevision, seenAt.get(seen) ?? Infinity))
    }
    if (input.op !== 'put') continue
    const written = name(input.key, input.value)
    writers.set(written, (writers.get(written) ?? 0) + 1)
  }
  return operations.map((operation) => {
    const { input, outcome } = operation
    if (input.op !== 'put' || outcome.kind !== 'unknown') return operation
    const written = name(input.key, input.value)
    const landedAt = seenAt.get(written)
    if (landedAt === undefined) return { ...operation, input: { ...input, value: null, contentType: '' } }
    return writers.get(written) === 1 ? { ...operation, input: { ...input, landedAt } } : operation
  })
}

const name = (key: string, value: string | null): string => JSON.stringify([key, value])
