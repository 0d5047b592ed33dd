// The parameters that all reads take: how fresh the answer must be, and how long it may take.
import { QuorateError } from '../api/errors.ts'
import { WIRE_LIMITS } from '../api/limits.ts'
import type { ReadOptions } from '../node/facade.ts'
import { choice, duration, integer, timeoutMs } from './query.ts'
import type { QueryParameters } from './query.ts'

export const READ_PARAMETERS = ['consistency', 'maxStale', 'minRevision', 'timeout']

export const DEFAULT_READ: ReadOptions = {
  consistency: 'linearizable',
  maxStaleMs: undefined,
  minRevision: undefined,
  timeoutMs: WIRE_LIMITS.timeoutMsDefault,
}

export function readOptions(parameters: QueryParameters): ReadOptions {
  const consistency = choice(parameters, 'consistency', ['linearizable', 'stale'])
  const maxStaleMs = duration(parameters, 'maxStale')
  if (maxStaleMs !== undefined && consistency === 'linearizable')
    throw new QuorateError('BAD_PARAMETER', 'The parameter maxStale means a stale read; it contradicts linearizable.')
  return {
    consistency: consistency ?? (maxStaleMs === undefined ? 'linearizable' : 'stale'),
    maxStaleMs,
    minRevision: integer(parameters, 'minRevision'),
    timeoutMs: timeoutMs(parameters),
  }
}

/** The header of a stale answer, if it is known how stale. */
export const stalenessHeaders = (stalenessMs: number | undefined): string[] =>
  stalenessMs === undefined ? [] : ['Quorate-Staleness-Ms', String(stalenessMs)]
