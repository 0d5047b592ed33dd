// The route of watches: what to watch, from where on, and in which format. The stream itself is in watch-stream.ts.
import type { FastifyRequest } from 'fastify'
import type { KeyRange } from '../api/commands.ts'
import { QuorateError } from '../api/errors.ts'
import { WIRE_LIMITS } from '../api/limits.ts'
import { rangeOfKey } from '../api/ranges.ts'
import type { WatchRequest } from '../node/facade.ts'
import { EVENT_STREAM, NDJSON, preferredType } from './accept.ts'
import type { HttpContext } from './context.ts'
import { eventTexts } from './event-text.ts'
import type { Handler } from './pages.ts'
import { bytesParameter, choice, flag, integer, parseQuery, timeoutMs } from './query.ts'
import type { QueryParameters } from './query.ts'
import { EVERYTHING, RANGE_PARAMETERS, rangeParameters } from './range-parameters.ts'
import { queryOf } from './target.ts'
import { WatchStream } from './watch-stream.ts'

const WATCH_PARAMETERS = ['key', 'key64', ...RANGE_PARAMETERS, 'revision', 'initial', 'prev', 'only', 'timeout']

export function watchRoute(context: HttpContext): Handler {
  const texts = eventTexts()
  return (request, reply) => {
    const parameters = parseQuery(queryOf(request.originalUrl), WATCH_PARAMETERS)
    const type = preferredType(request.raw.headers.accept, [EVENT_STREAM, NDJSON]) ?? EVENT_STREAM
    new WatchStream(context, request, reply, texts[type]).start(watchOf(request, parameters))
  }
}

function watchOf(request: FastifyRequest, parameters: QueryParameters): WatchRequest {
  const revision = integer(parameters, 'revision')
  const wantsInitial = flag(parameters, 'initial')
  if (wantsInitial && revision !== undefined)
    throw new QuorateError('BAD_PARAMETER', 'A watch starts with the current entries or at a revision, not both.')
  const last = lastEventId(request)
  // A client that reconnects by itself repeats the query of its first request; what it has seen since counts.
  const resumed = last === undefined ? undefined : Math.max(last + 1, revision ?? 0)
  return {
    range: watchedRange(parameters),
    fromRevision: resumed ?? revision,
    wantsInitial: wantsInitial && resumed === undefined,
    wantsPrevious: flag(parameters, 'prev'),
    only: choice(parameters, 'only', ['put', 'delete']),
    timeoutMs: timeoutMs(parameters),
  }
}

function watchedRange(parameters: QueryParameters): KeyRange {
  const key = bytesParameter(parameters, 'key', WIRE_LIMITS.keyBytesMax)
  const named = rangeParameters(parameters)
  if (key === undefined) return (named ?? EVERYTHING).range
  if (named !== undefined) throw new QuorateError('BAD_PARAMETER', 'A watch is of one key or of a range, not both.')
  if (key === '') throw new QuorateError('KEY_REQUIRED', 'The parameter key is empty.')
  return rangeOfKey(key)
}

function lastEventId(request: FastifyRequest): number | undefined {
  const text = request.raw.headers['last-event-id']
  if (text === undefined) return undefined
  if (typeof text !== 'string' || !/^\d{1,15}$/.test(text))
    throw new QuorateError('BAD_REQUEST', 'Last-Event-ID must be the id of an event: 1 to 15 decimal digits.')
  return Number(text)
}
