// Ranges as callers spell them: a prefix, or from and to. The same rules in a query and in JSON.
import type { KeyRange } from '../api/commands.ts'
import { QuorateError } from '../api/errors.ts'
import { WIRE_LIMITS } from '../api/limits.ts'
import { ALL_KEYS, rangeOfPrefix } from '../api/ranges.ts'
import type { KeyString } from '../lib/bytes.ts'
import { bytesParameter } from './query.ts'
import type { QueryParameters } from './query.ts'

export const RANGE_PARAMETERS = ['prefix', 'prefix64', 'from', 'from64', 'to', 'to64']

/** As given; at most one of `prefix` and the other two. */
interface Bounds {
  readonly prefix: KeyString | undefined
  readonly from: KeyString | undefined
  readonly to: KeyString | undefined
}

export interface NamedRange {
  readonly range: KeyRange
  /** What all its keys begin with. */
  readonly prefix: KeyString
}

const refuse = (detail: string): QuorateError => new QuorateError('BAD_PARAMETER', detail)

/** Undefined when no bound is given. */
export function rangeOf({ prefix, from, to }: Bounds): NamedRange | undefined {
  if (prefix !== undefined) {
    if (from !== undefined || to !== undefined) throw refuse('A range is a prefix, or from and to, not both.')
    return { range: rangeOfPrefix(prefix), prefix }
  }
  if (from === undefined && to === undefined) return undefined
  if (from === '' || to === '') throw refuse('The bounds from and to are keys and not empty; leave out the open one.')
  return { range: { from: from ?? ALL_KEYS.from, to }, prefix: '' }
}

export function rangeParameters(parameters: QueryParameters): NamedRange | undefined {
  const bound = (name: string): KeyString | undefined => bytesParameter(parameters, name, WIRE_LIMITS.keyBytesMax)
  return rangeOf({ prefix: bound('prefix'), from: bound('from'), to: bound('to') })
}

export const EVERYTHING: NamedRange = { range: ALL_KEYS, prefix: '' }
