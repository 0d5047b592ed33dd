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

/** Of an absent key only the least of `modified` counts: its last change is not before that. */
export interface KeyState {
  readonly version: number
  /** Null: written by somebody, seen by nobody. */
  readonly value: string | null
  readonly contentType: string
  readonly created: Bound
  readonly modified: Bound
}

const absent = (least: number): KeyState => {
  const at: Bound = { least, most: Infinity }
  return { version: 0, value: null, contentType: '', created: at, modified: at }
}

export const initialKey = (revision: number): KeyState => absent(revision)

export const exists = ({ version }: KeyState): boolean => version > 0

export const isExact = ({ least, most }: Bound): boolean => least === most

/** The bound once the revision is known, or undefined when it cannot be that. The same bound if it was known before. */
function pin(bound: Bound, revision: number): Bound | undefined {
  if (revision < bound.least || revision > bound.most) return undefined
  return isExact(bound) ? bound : { least: revision, most: revision }
}

/** Each change since the creation took a revision of its own: the creation was at least so many before the last. */
function createdBefore(created: Bound, modified: number, changes: number): Bound {
  const most = modified - changes
  return most < created.most ? { least: created.least, most } : created
}

/** The state once its last change is known, or undefined when it cannot be that. A created key was modified when created. */
function pinModified(state: KeyState, revision: number): KeyState | undefined {
  const modified = pin(state.modified, revision)
  if (modified === undefined || modified === state.modified) return modified && state
  const { version } = state
  return { ...state, modified, created: version === 1 ? modified : createdBefore(state.created, revision, version - 1) }
}

/** The state once such an entry has been seen, or undefined when it cannot be. */
function see(state: KeyState, entry: QuorateEntry | null | undefined): KeyState | undefined {
  if (entry === null || entry === undefined) return exists(state) ? undefined : state
  if (state.version !== entry.version || !exists(state)) return undefined
  if (state.value !== entry.value || state.contentType !== entry.contentType) return undefined
  const pinned = pinModified(state, entry.modRevision)
  const created = pinned && pin(pinned.created, entry.createRevision)
  if (pinned === undefined || created === undefined) return undefined
  return created === pinned.created ? pinned : { ...pinned, created }
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
      return exists(state) ? pinModified(state, condition.revision) : undefined
    default:
      return unreachable(condition)
  }
}

/** The state when the condition fails and the key is at that revision (0 = absent). */
function failing(state: KeyState, condition: Condition, currentRevision: number): KeyState | undefined {
  const isAbsent = currentRevision === 0
  if (isAbsent === exists(state)) return undefined
  const pinned = isAbsent ? state : pinModified(state, currentRevision)
  return pinned === undefined || holding(pinned, condition) !== undefined ? undefined : pinned
}

/** The key after a change, at that revision or at any that is possible. */
function changed(state: KeyState, input: QuorateWrite, revision: number | undefined): KeyState | undefined {
  const least = state.modified.least + 1
  if (revision !== undefined && revision < least) return undefined
  if (input.op === 'delete') return absent(revision ?? least)
  const modified: Bound = revision === undefined ? { least, most: Infinity } : { least: revision, most: revision }
  const { value, contentType } = input
  if (!exists(state)) return { version: 1, value, contentType, created: modified, modified }
  const created = revision === undefined ? state.created : createdBefore(state.created, revision, state.version)
  return { version: state.version + 1, value, contentType, created, modified }
}

export function stepKey(state: KeyState, input: QuorateInput, output: QuorateOutput | undefined): KeyState | undefined {
  if (input.op === 'get') return output?.kind === 'got' ? see(state, output.entry) : undefined
  if (output?.kind === 'precondition-failed') return failing(state, input.condition, output.currentRevision)
  const held = holding(state, input.condition)
  if (held === undefined) return undefined
  if (output === undefined) return unanswered(held, input)
  if (output.kind !== (input.op === 'put' ? 'put' : 'deleted')) return undefined
  const before = 'previous' in output && output.previous !== undefined ? see(held, output.previous) : held
  if (before === undefined) return undefined
  if (output.kind === 'put') {
    return output.isCreated === exists(before) ? undefined : changed(before, input, output.revision)
  }
  if (output.kind !== 'deleted' || output.count > 0 !== exists(before)) return undefined
  return output.count > 0 ? changed(before, input, output.revision) : before
}

/** Nothing, where it would change nothing. */
function unanswered(state: KeyState, input: QuorateWrite): KeyState | undefined {
  if (input.op === 'delete') return exists(state) ? changed(state, input, undefined) : undefined
  return changed(state, input, input.landedAt)
}

export function keyOfState({ version, value, contentType, created, modified }: KeyState): string {
  if (version === 0) return `absent ${modified.least}`
  const bounds = `${created.least} ${created.most} ${modified.least} ${modified.most}`
  return `${version} ${bounds} ${JSON.stringify([value, contentType])}`
}
