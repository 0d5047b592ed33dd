// How the Quorate model speaks of operations, states, and answers that cannot be.
import type { Condition } from '../../../src/api/commands.ts'
import { unreachable } from '../../../src/lib/assert.ts'
import { exists, isExact } from './quorate-state.ts'
import type { KeyState } from './quorate-state.ts'
import { entryShown, revisionMade } from './quorate-types.ts'
import type { QuorateEntry, QuorateInput, QuorateOutput } from './quorate-types.ts'

export function describe(input: QuorateInput, output: QuorateOutput | undefined): string {
  const answer = output === undefined ? 'outcome unknown' : describeOutput(output)
  const key = JSON.stringify(input.key)
  if (input.op === 'get') return `get ${key} -> ${answer}`
  const value = input.op === 'put' ? ` = ${quoted(input.value)}` : ''
  return `${input.op} ${key}${value}${describeCondition(input.condition)} -> ${answer}`
}

function describeCondition(condition: Condition): string {
  switch (condition.kind) {
    case 'none':
      return ''
    case 'exists':
      return ' if it exists'
    case 'never':
      return ' if it is what it never is'
    case 'revision':
      return condition.revision === 0 ? ' if absent' : ` if at revision ${condition.revision}`
    default:
      return unreachable(condition)
  }
}

function describeOutput(output: QuorateOutput): string {
  switch (output.kind) {
    case 'got':
      return `${describeEntry(output.entry)}${storeAt(output.revision)}`
    case 'put':
      return `${output.isCreated ? 'created' : 'replaced'}, revision ${output.revision}${before(output.previous)}`
    case 'deleted':
      return `deleted ${output.count}, revision ${output.revision}${before(output.previous)}`
    case 'precondition-failed':
      return `precondition failed, currentRevision ${output.currentRevision}${storeAt(output.revision)}`
    default:
      return unreachable(output)
  }
}

const describeEntry = (entry: QuorateEntry | null | undefined): string =>
  entry === null || entry === undefined
    ? 'not found'
    : `${quoted(entry.value)}, revision ${entry.modRevision}, created at ${entry.createRevision}, version ${entry.version}`

const storeAt = (revision: number | undefined): string => (revision === undefined ? '' : `, store at ${revision}`)

const before = (previous: QuorateEntry | null | undefined): string =>
  previous === undefined ? '' : `, before: ${describeEntry(previous)}`

const quoted = (value: string | null): string => (value === null ? 'a value nobody saw' : JSON.stringify(value))

export function describeState(state: KeyState): string {
  const { modified, version, value } = state
  if (!exists(state)) return 'the key is absent'
  const at = isExact(modified) ? `revision ${modified.least}` : `a revision from ${modified.least} on`
  return `the key holds ${quoted(value)} (${at}, version ${version})`
}

/** Names the anomaly where the revisions tell which it is. */
export function objection(state: KeyState, input: QuorateInput, output: QuorateOutput): string | undefined {
  const made = revisionMade(output)
  if (made !== undefined && made <= state.floor) {
    return `revision ${made} cannot follow revision ${state.floor}`
  }
  if (output.kind === 'precondition-failed') return refusalObjection(state, output.currentRevision)
  if (input.op !== 'get' && input.condition.kind === 'revision') {
    const named = input.condition.revision
    const lost = conditionObjection(state, named)
    if (lost !== undefined) return lost
  }
  const shown = entryShown(output)
  if (shown !== undefined) return entryObjection(state, shown)
  if (exists(state)) return 'the key exists by then, but the answer says absent: a stale read or a lost update'
  return 'the key is absent by then, but the answer says it exists'
}

function conditionObjection(state: KeyState, named: number): string | undefined {
  const { modified } = state
  const current = exists(state) ? modified.least : 0
  if (named === current || (!isExact(modified) && current > 0 && named >= current)) return undefined
  const now = current === 0 ? 'is absent by then' : `is past it, at revision ${current}`
  const condition = named === 0 ? 'requires the key to be absent' : `names revision ${named}`
  return `a lost update: its condition ${condition}, but the key ${now}, and it was acknowledged all the same`
}

function refusalObjection(state: KeyState, currentRevision: number): string {
  const current = exists(state) ? state.modified.least : 0
  if (currentRevision === current) return 'refused, although its condition holds by then'
  return currentRevision < current
    ? `a stale answer: refused at revision ${currentRevision}, but the key is at revision ${current} by then`
    : `refused at revision ${currentRevision}, but no write accounts for that revision`
}

function entryObjection(state: KeyState, shown: QuorateEntry): string {
  const { modified, version } = state
  if (shown.modRevision < modified.least) {
    return `a stale read: it shows revision ${shown.modRevision}, but revision ${modified.least} had been made by then`
  }
  if (!exists(state)) return `it shows revision ${shown.modRevision}, but the key is absent by then`
  if (shown.modRevision > modified.least && isExact(modified)) {
    return shown.value === state.value
      ? `a double apply: the value was put at revision ${modified.least}, and is there again at ${shown.modRevision}`
      : `no write accounts for revision ${shown.modRevision}: applied twice, or never asked for`
  }
  if (shown.value !== state.value) return `it shows another value at the same revision`
  if (shown.version > version) {
    return `a double apply: version ${shown.version} counts ${shown.version - version} more than the writes that were asked for`
  }
  if (shown.version < version) return `a lost update: version ${shown.version}, but ${version} writes were acknowledged`
  return 'its content type or createRevision is not that of the writes'
}
