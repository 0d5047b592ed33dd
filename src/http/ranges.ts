// The routes of ranges: pages of a listing, the whole of it as a stream of lines, and the deletion of all that is in it.
import type { FastifyReply, FastifyRequest } from 'fastify'
import { QuorateError } from '../api/errors.ts'
import { WIRE_LIMITS } from '../api/limits.ts'
import type { ListAnswer, ListRequest, ReadOptions } from '../node/facade.ts'
import { NDJSON, preferredType } from './accept.ts'
import { afterBody, hasBody, propose, refuseConditions, unexpected } from './commands.ts'
import type { HttpContext } from './context.ts'
import { decodeCursor, encodeCursor } from './cursor.ts'
import type { ListingParameters } from './cursor.ts'
import { isRefusal } from './edge.ts'
import type { Edge } from './edge.ts'
import { listedEntry, namedKeys } from './entry-json.ts'
import { checkIdempotencyKey, onceOf } from './once.ts'
import type { Handler } from './pages.ts'
import { bytesParameter, fence, flag, integer, limitOf, parseQuery, timeoutMs } from './query.ts'
import type { QueryParameters } from './query.ts'
import { EVERYTHING, RANGE_PARAMETERS, rangeParameters } from './range-parameters.ts'
import { streamRange } from './range-stream.ts'
import { READ_PARAMETERS, readOptions, stalenessHeaders } from './read-options.ts'
import { queryOf } from './target.ts'

const LIST_PARAMETERS = [
  ...RANGE_PARAMETERS,
  ...READ_PARAMETERS,
  'limit',
  'cursor',
  'keysOnly',
  'countOnly',
  'reverse',
  'separator',
  'revision',
]
const DELETE_PARAMETERS = [...RANGE_PARAMETERS, 'fence', 'timeout']

const refuse = (detail: string): QuorateError => new QuorateError('BAD_PARAMETER', detail)

export interface RangeRoutes {
  readonly get: Handler
  readonly delete: Handler
}

export function rangeRoutes(context: HttpContext): RangeRoutes {
  const { edge } = context
  return {
    get(request, reply) {
      const parameters = parseQuery(queryOf(request.originalUrl), LIST_PARAMETERS)
      const options = readOptions(parameters)
      const listing = listingOf(parameters)
      const isStream = preferredType(request.raw.headers.accept, [NDJSON, 'application/json']) === NDJSON
      if (isStream && request.method === 'GET') {
        for (const name of ['limit', 'cursor', 'countOnly'])
          if (parameters.has(name)) throw refuse(`A stream of the whole range takes no ${name}.`)
        streamRange(context, request, reply, listing.request, listing.parameters.keysOnly, options)
        return
      }
      list(edge, request, reply, listing, options)
    },

    delete(request, reply) {
      const { headers } = request.raw
      const parameters = parseQuery(queryOf(request.originalUrl), DELETE_PARAMETERS)
      refuseConditions(headers)
      checkIdempotencyKey(headers)
      const named = rangeParameters(parameters)
      if (named === undefined)
        throw new QuorateError(
          'BAD_REQUEST',
          'Name a range to delete: ?prefix=, or from and to; ?prefix= is everything.',
        )
      const guard = fence(parameters)
      const fenced = guard === undefined ? {} : { fence: guard }
      const timeout = timeoutMs(parameters)
      const go = (body?: Uint8Array): void => {
        const command = { op: 'delete-range', range: named.range, ...fenced, ...onceOf(request, body) } as const
        propose(edge, request, reply, command, timeout, (result, extra) => {
          if (result.kind !== 'deleted') throw unexpected(result, command.op)
          edge.json(reply, 200, { deleted: result.count, revision: result.revision }, result.revision, extra)
        })
      }
      if (hasBody(request)) afterBody(context, request, reply, WIRE_LIMITS.valueBytesMax, go)
      else go()
    },
  }
}

interface Listing {
  readonly request: ListRequest
  readonly parameters: ListingParameters
  /** Whether the answer has prefixes besides entries. */
  readonly isRolledUp: boolean
  /** The revision of the pages before this one. */
  readonly cursorRevision: number | undefined
}

function listingOf(query: QueryParameters): Listing {
  const { range, prefix } = rangeParameters(query) ?? EVERYTHING
  const separator = bytesParameter(query, 'separator', WIRE_LIMITS.keyBytesMax)
  if (separator === '') throw refuse('The parameter separator must not be empty.')
  const countOnly = flag(query, 'countOnly')
  for (const name of ['cursor', 'separator', 'limit'])
    if (countOnly && query.has(name)) throw refuse(`countOnly counts the whole range; it takes no ${name}.`)
  const parameters: ListingParameters = {
    range,
    reverse: flag(query, 'reverse'),
    keysOnly: flag(query, 'keysOnly'),
    separator,
    revision: integer(query, 'revision'),
  }
  const token = query.get('cursor')
  const cursor = token === undefined ? undefined : decodeCursor(token ?? '', parameters)
  return {
    parameters,
    isRolledUp: separator !== undefined,
    cursorRevision: cursor?.revision,
    request: {
      range: cursor?.rest ?? range,
      limit: countOnly ? 0 : limitOf(query, WIRE_LIMITS.pageEntriesDefault),
      reverse: parameters.reverse,
      countOnly,
      separator: separator === undefined ? undefined : { text: separator, offset: prefix.length },
      revision: cursor?.revision ?? parameters.revision,
    },
  }
}

function list(edge: Edge, request: FastifyRequest, reply: FastifyReply, listing: Listing, options: ReadOptions): void {
  const { cursorRevision } = listing
  // A later page on a node that is behind waits until it is not: the revision exists.
  const waiting =
    cursorRevision === undefined
      ? options
      : { ...options, minRevision: Math.max(cursorRevision, options.minRevision ?? 0) }
  edge.node.list(listing.request, waiting, (outcome) => {
    edge.guarded(request, reply, () => {
      if (isRefusal(outcome)) throw outcome
      answerPage(edge, reply, listing, outcome)
    })
  })
}

function answerPage(edge: Edge, reply: FastifyReply, listing: Listing, answer: ListAnswer): void {
  const { revision, listedRevision, items, rest, stalenessMs } = answer
  const { parameters, request } = listing
  const isNow = parameters.revision === undefined
  const entries = items.flatMap((item) =>
    item.kind === 'entry' ? [listedEntry(edge.node, item.entry, parameters.keysOnly, isNow)] : [],
  )
  const prefixes = items.flatMap((item) => (item.kind === 'prefix' ? [item.prefix] : []))
  const document = {
    revision: listedRevision,
    count: request.countOnly ? answer.count : entries.length,
    more: rest !== undefined,
    ...(rest === undefined ? {} : { cursor: encodeCursor({ revision: listedRevision, rest }, parameters) }),
    ...(request.countOnly ? {} : { entries }),
    ...(listing.isRolledUp ? namedKeys('prefixes', prefixes) : {}),
  }
  edge.json(reply, 200, document, Math.max(revision, listedRevision), stalenessHeaders(stalenessMs))
}
