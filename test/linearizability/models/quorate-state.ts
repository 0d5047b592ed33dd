// One key of Quorate as a sequential object. The revision is shared by all keys, so that of a write nobody was answered is not
// known until somebody sees it: the state keeps the least it can be, and becomes exact when an answer names it.
import type { Condition } from '../../../src/api/commands.ts'
import { unreachable } from '../../../src/lib/assert.ts'
import type { QuorateEntry, QuorateInput, QuorateOutput, QuorateWrite } from './quorate-types.ts'

/** What is known of a revision: it is from `least` to `most`, both included; exact when they are equal. */
interface Bound {
  readonly least: number
  readonly most: number
}

export interface KeyState {
  /** 0 for an absent key, of which only the floor counts. */
  readonly version: number
  /** Null: written by somebody, seen by nobody. */
  readonly value: string | null
  readonly contentType: string
  readonly created: Bound
  readonly modified: Bound
  /** The store is at that revision, at least: the next change is above it. */
  readonly floor: number
}

export type Taken = ReadonlySet<number>

const NONE: Taken = new Set()
const NOWHERE: Bound = { least: 0, most: 0 }

export const absentKey = (floor: number): KeyState => ({
  version: 0,
  value: null,
  contentType: '',
  created: NOWHERE,
  modified: NOWHERE,
  floor,
})

export const exists = ({ version }: KeyState): boolean => version > 0

export const isExact = ({ least, most }: Bound): boolean => least === most

/** Each change since the creation took a revision of its own: the creation was at least so many before the last. */
function createdBefore(created: Bound, modified: number, changes: number): Bound {
  const most = modified - changes
  return most < created.most ? { least: created.least, most } : created
}

/** The state once its last change is known to be in a range, or undefined when it cannot be. */
function boundModified(state: KeyState, least: number, most: number): KeyState | undefined {
  const { modified, version } = state
  if (least <= modified.least && most >= modified.most) return state
  const narrowed: Bound = { least: Math.max(least, modified.least), most: Math.min(most, modified.most) }
  if (narrowed.least > narrowed.most) return undefined
  // A created key was modified when it was created.
  const created = version === 1 ? narrowed : createdBefore(state.created, narrowed.most, version - 1)
  return { ...state, modified: narrowed, created, floor: Math.max(state.floor, narrowed.least) }
}

/** The state when the store is at that revision, or undefined when it cannot be. */
function atRevision(state: KeyState, revision: number | undefined): KeyState | undefined {
  if (revision === undefined) return state
  if (revision < state.floor) return undefined
  const bounded = exists(state) ? boundModified(state, 0, revision) : state
  return bounded === undefined || bounded.floor === revision ? bounded : { ...bounded, floor: revision }
}

/** The state once such an entry has been seen, or undefined when it cannot be. */
function see(state: KeyState, entry: QuorateEntry | null | undefined): KeyState | undefined {
  if (entry === null || entry === undefined) return exists(state) ? undefined : state
  if (state.version !== entry.version || !exists(state)) return undefined
  if (state.value !== entry.value || state.contentType !== entry.contentType) return undefined
  const { createRevision, modRevision } = entry
  const bounded = boundModified(state, modRevision, modRevision)
  if (bounded === undefined) return undefined
  const { created } = bounded
  if (createRevision < created.least || createRevision > created.most) return undefined
  return isExact(created) ? bounded : { ...bounded, created: { least: createRevision, most: createRevision } }
}

/** The state when the condition holds, or undefined when it does not. */
function holding(state: KeyState, condition: Condition): KeyState | undefined {
  switch (condition.kind) {
    case 'none':
      return state
    case 'exists':
      return exists(state) ? state : undefined
    case 'never':
      return undefined
    case 'revision':
      if (condition.revision === 0) return exists(state) ? undefined : state
      return exists(state) ? boundModified(state, condition.revision, condition.revision) : undefined
    default:
      return unreachable(condition)
  }
}

/** The state when the condition fails and the key is at that revision (0 = absent). */
function failing(state: KeyState, condition: Condition, currentRevision: number): KeyState | undefined {
  const isAbsent = currentRevision === 0
  if (isAbsent === exists(state)) return undefined
  const pinned = isAbsent ? state : boundModified(state, currentRevision, currentRevision)
  return pinned === undefined || holding(pinned, condition) !== undefined ? undefined : pinned
}

/** The key after a change, at that revision or at any that is possible and not known to be another change's. */
function changed(
  state: KeyState,
  input: QuorateWrite,
  revision: number | undefined,
  taken: Taken = NONE,
): KeyState | undefined {
  let floor = revision ?? state.floor + 1
  if (revision === undefined) while (taken.has(floor)) floor += 1
  if (floor <= state.floor) return undefined
  if (input.op === 'delete') return absentKey(floor)
  const modified: Bound = { least: floor, most: revision ?? Infinity }
  const { value, contentType } = input
  if (!exists(state)) return { version: 1, value, contentType, created: modified, modified, floor }
  const created = createdBefore(state.created, modified.most, state.version)
  return { version: state.version + 1, value, contentType, created, modified, floor }
}

/** `taken` are the revisions that are known to be some change's: one without an answer has another. */
export function stepKey(
  state: KeyState,
  input: QuorateInput,
  output: QuorateOutput | undefined,
  taken: Taken = NONE,
): KeyState | undefined {
  if (input.op === 'get') return output?.kind === 'got' ? got(state, output) : undefined
  if (output?.kind === 'precondition-failed') {
    const at = atRevision(state, output.revision)
    return at && failing(at, input.condition, output.currentRevision)
  }
  const held = holding(state, input.condition)
  if (held === undefined) return undefined
  if (output === undefined) return unanswered(held, input, taken)
  if (output.kind !== (input.op === 'put' ? 'put' : 'deleted')) return undefined
  const before = 'previous' in output && output.previous !== undefined ? see(held, output.previous) : held
  if (before === undefined) return undefined
  if (output.kind === 'put') {
    return output.isCreated === exists(before) ? undefined : changed(before, input, output.revision)
  }
  if (output.kind !== 'deleted' || output.count > 0 !== exists(before)) return undefined
  return output.count > 0 ? changed(before, input, output.revision) : atRevision(before, output.revision)
}

function got(state: KeyState, output: Extract<QuorateOutput, { kind: 'got' }>): KeyState | undefined {
  const at = atRevision(state, output.revision)
  return at && see(at, output.entry)
}

/** Nothing, where it would change nothing. */
function unanswered(state: KeyState, input: QuorateWrite, taken: Taken): KeyState | undefined {
  if (input.op === 'delete') return exists(state) ? changed(state, input, undefined, taken) : undefined
  return changed(state, input, input.landedAt, taken)
}

export function keyOfState({ version, value, contentType, created, modified, floor }: KeyState): string {
  if (version === 0) return `absent ${floor}`
  const bounds = `${created.least} ${created.most} ${modified.least} ${modified.most}`
  return `${version} ${floor} ${bounds} ${JSON.stringify([value, contentType])}`
}
