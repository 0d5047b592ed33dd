// Quorate in a few lines, whole and unoptimised: all keys under one revision. The generated histories are made with it, and
// brute force is measured against it; it shares no code with the model.
import type { Condition } from '../../src/api/commands.ts'
import type { Executor } from './generate.ts'
import type { QuorateEntry, QuorateInput, QuorateOutput } from './models/quorate-types.ts'

export interface StoreState {
  readonly revision: number
  /** Plain data; made only here, from keys that are no names of `Object.prototype`. */
  readonly entries: Readonly<Record<string, QuorateEntry>>
}

export const EMPTY_STORE: StoreState = { revision: 1, entries: {} }

export function executeOnStore(state: StoreState, input: QuorateInput): { state: StoreState; output: QuorateOutput } {
  const entry = state.entries[input.key]
  const { revision } = state
  if (input.op === 'get') return { state, output: { kind: 'got', entry, revision } }
  const currentRevision = entry?.modRevision ?? 0
  if (!isMet(input.condition, currentRevision)) {
    return { state, output: { kind: 'precondition-failed', currentRevision, revision } }
  }
  const next = revision + 1
  if (input.op === 'delete') {
    if (entry === undefined) return { state, output: { kind: 'deleted', count: 0, revision } }
    const { [input.key]: _gone, ...entries } = state.entries
    return { state: { revision: next, entries }, output: { kind: 'deleted', count: 1, revision: next } }
  }
  const replaced: QuorateEntry = {
    value: input.value ?? '',
    contentType: input.contentType,
    createRevision: entry?.createRevision ?? next,
    modRevision: next,
    version: (entry?.version ?? 0) + 1,
  }
  const entries = { ...state.entries, [input.key]: replaced }
  return { state: { revision: next, entries }, output: { kind: 'put', revision: next, isCreated: entry === undefined } }
}

function isMet(condition: Condition, currentRevision: number): boolean {
  if (condition.kind === 'none') return true
  if (condition.kind === 'exists') return currentRevision > 0
  return condition.kind === 'revision' && condition.revision === currentRevision
}

/** A store that changes. */
export class QuorateStore implements Executor<QuorateInput, QuorateOutput> {
  state: StoreState = EMPTY_STORE

  execute(input: QuorateInput): QuorateOutput {
    const { state, output } = executeOnStore(this.state, input)
    this.state = state
    return output
  }
}
