// The routes of one key: PUT, GET, HEAD and DELETE. The hot path: callbacks instead of promises, nothing parsed that is not
// there, one call of the node for each request.
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { ClientCommand, CommandResult, Condition, KeyEntry } from '../api/commands.ts'
import { QuorateError } from '../api/errors.ts'
import { WIRE_LIMITS } from '../api/limits.ts'
import type { KeyString } from '../lib/bytes.ts'
import { asBuffer } from '../lib/bytes.ts'
import type { ReadAnswer, ReadOptions } from '../node/facade.ts'
import type { BodyReader, Continuations } from './body.ts'
import { checkReadConditions, entityTag, readVerdict, writeCondition } from './conditions.ts'
import { isRefusal } from './edge.ts'
import type { Edge, FlatHeaders } from './edge.ts'
import { entryDocument } from './entry-json.ts'
import { HTTP_LIMITS } from './limits.ts'
import type { Handler } from './pages.ts'
import { problem } from './problems.ts'
import { choice, duration, flag, integer, parseQuery, timeoutMs } from './query.ts'
import { keyOf, queryOf } from './target.ts'

const OCTET_STREAM = 'application/octet-stream'

/** What curl says of any body it is given no type for; it says nothing about the value. */
const FORM = /^application\/x-www-form-urlencoded[ \t]*(?:;|$)/i

const WRITE_PARAMETERS = ['cas', 'prev', 'timeout']
const READ_PARAMETERS = ['consistency', 'maxStale', 'minRevision', 'timeout']

interface WriteOptions {
  readonly condition: Condition
  readonly wantsPrevious: boolean
  readonly timeoutMs: number
}

export interface KeyRoutes {
  readonly get: Handler
  readonly put: Handler
  readonly delete: Handler
}

export function keyRoutes(edge: Edge, bodies: BodyReader, continuations: Continuations): KeyRoutes {
  return {
    get(request, reply) {
      const target = request.originalUrl
      const key = keyOf(target)
      const options = readOptions(queryOf(target))
      checkReadConditions(request.raw.headers)
      edge.node.read(key, options, (outcome) => {
        edge.guarded(request, reply, () => answerRead(edge, request, reply, outcome))
      })
    },

    put(request, reply) {
      const { raw } = request
      const target = request.originalUrl
      const key = keyOf(target)
      const options = writeOptions(raw.headers, queryOf(target))
      const contentType = contentTypeOf(raw.headers)
      continuations.admit(raw, reply.raw, WIRE_LIMITS.valueBytesMax)
      bodies.read(raw, WIRE_LIMITS.valueBytesMax, (body) => {
        edge.guarded(request, reply, () => {
          if (isRefusal(body)) throw body
          const { condition, wantsPrevious } = options
          write(edge, request, reply, { op: 'put', key, value: body, contentType, condition, wantsPrevious }, options)
        })
      })
    },

    delete(request, reply) {
      const { raw } = request
      const target = request.originalUrl
      const key: KeyString = keyOf(target)
      const options = writeOptions(raw.headers, queryOf(target))
      const { condition, wantsPrevious } = options
      const command: ClientCommand = { op: 'delete', key, condition, wantsPrevious }
      if (raw.headers['content-length'] === undefined && raw.headers['transfer-encoding'] === undefined) {
        write(edge, request, reply, command, options)
        return
      }
      // A body says nothing, but it must be there: a request that breaks off must be one that had no effect.
      continuations.admit(raw, reply.raw, WIRE_LIMITS.valueBytesMax)
      bodies.read(raw, WIRE_LIMITS.valueBytesMax, (body) => {
        edge.guarded(request, reply, () => {
          if (isRefusal(body)) throw body
          write(edge, request, reply, command, options)
        })
      })
    },
  }
}

// ------------------------------------------------------------------------------------------------------------- requests

type RequestHeaders = FastifyRequest['raw']['headers']

const DEFAULT_READ: ReadOptions = {
  consistency: 'linearizable',
  maxStaleMs: undefined,
  minRevision: undefined,
  timeoutMs: WIRE_LIMITS.timeoutMsDefault,
}

function readOptions(query: string | undefined): ReadOptions {
  if (query === undefined) return DEFAULT_READ
  const parameters = parseQuery(query, READ_PARAMETERS)
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

function writeOptions(headers: RequestHeaders, query: string | undefined): WriteOptions {
  const parameters = parseQuery(query, WRITE_PARAMETERS)
  return {
    condition: writeCondition(headers, integer(parameters, 'cas')),
    wantsPrevious: flag(parameters, 'prev'),
    timeoutMs: timeoutMs(parameters),
  }
}

/** What is stored as the entry's content type, after refusing what would make the body something else than the value. */
function contentTypeOf(headers: RequestHeaders): string {
  const encoding = headers['content-encoding']
  if (encoding !== undefined && encoding.trim().toLowerCase() !== 'identity')
    throw new QuorateError(
      'UNSUPPORTED_MEDIA_TYPE',
      'Content-Encoding is not supported: values are stored as they are sent.',
    )
  if (headers['content-range'] !== undefined)
    throw new QuorateError('BAD_REQUEST', 'Content-Range is not supported: a PUT replaces the whole value.')
  const type = headers['content-type']
  if (type === undefined || type.toLowerCase() === OCTET_STREAM || FORM.test(type)) return ''
  if (type.length > WIRE_LIMITS.contentTypeBytesMax)
    throw new QuorateError(
      'BAD_REQUEST',
      `Content-Type has ${type.length} bytes; at most ${WIRE_LIMITS.contentTypeBytesMax} are allowed.`,
    )
  return type
}

// -------------------------------------------------------------------------------------------------------------- answers

function write(
  edge: Edge,
  request: FastifyRequest,
  reply: FastifyReply,
  command: ClientCommand,
  options: WriteOptions,
): void {
  edge.node.write(command, options.timeoutMs, (outcome) => {
    edge.guarded(request, reply, () => {
      if (isRefusal(outcome)) throw outcome
      answerWrite(edge, reply, outcome, options.wantsPrevious)
    })
  })
}

function answerWrite(edge: Edge, reply: FastifyReply, result: CommandResult, wantsPrevious: boolean): void {
  switch (result.kind) {
    case 'put': {
      const status = result.isCreated ? 201 : 200
      const etag = entityTag(result.revision)
      if (wantsPrevious) {
        edge.json(reply, status, { prev: entryOrNull(result.previous) }, result.revision, ['ETag', etag])
        return
      }
      const headers = edge.head(result.revision)
      headers.push('ETag', etag, 'Cache-Control', 'no-store')
      edge.finish(reply, status, headers, '')
      return
    }
    case 'deleted': {
      const answer = { deleted: result.count, revision: result.revision }
      const document = wantsPrevious ? { ...answer, prev: entryOrNull(result.previous) } : answer
      edge.json(reply, 200, document, result.revision)
      return
    }
    case 'precondition-failed':
      refusePrecondition(edge, reply, result.currentRevision, result.revision)
      return
    case 'compacted':
      throw new Error('a write of one key was answered as a compaction')
  }
}

const entryOrNull = (entry: KeyEntry | undefined): object | null => (entry === undefined ? null : entryDocument(entry))

function refusePrecondition(edge: Edge, reply: FastifyReply, currentRevision: number, revision: number): void {
  const detail =
    currentRevision === 0 ? 'The key does not exist.' : `The current revision of the key is ${currentRevision}.`
  edge.problem(reply, problem('PRECONDITION_FAILED', detail, { details: { currentRevision } }), revision)
}

const KEY_NOT_FOUND = problem('KEY_NOT_FOUND', 'The key does not exist.')

function answerRead(
  edge: Edge,
  request: FastifyRequest,
  reply: FastifyReply,
  outcome: ReadAnswer | QuorateError,
): void {
  if (isRefusal(outcome)) throw outcome
  const { entry, revision, stalenessMs } = outcome
  const staleness: FlatHeaders = stalenessMs === undefined ? [] : ['Quorate-Staleness-Ms', String(stalenessMs)]
  if (entry === undefined) {
    edge.problem(reply, KEY_NOT_FOUND, revision, staleness)
    return
  }
  const verdict = readVerdict(request.raw.headers, entry.modRevision)
  if (verdict === 'precondition-failed') {
    refusePrecondition(edge, reply, entry.modRevision, revision)
    return
  }
  const headers = edge.head(revision)
  if (stalenessMs !== undefined) headers.push(...staleness)
  headers.push(
    'ETag',
    entityTag(entry.modRevision),
    'Cache-Control',
    'no-cache',
    'Quorate-Create-Revision',
    String(entry.createRevision),
    'Quorate-Key-Version',
    String(entry.version),
  )
  if (entry.lease !== '') headers.push('Quorate-Lease', entry.lease)
  if (verdict === 'not-modified') {
    edge.finish(reply, 304, headers, undefined)
    return
  }
  headers.push(
    'Content-Type',
    entry.contentType === '' ? OCTET_STREAM : entry.contentType,
    'X-Content-Type-Options',
    'nosniff',
    'Content-Security-Policy',
    'sandbox',
  )
  edge.finish(reply, 200, headers, inline(entry.value))
}

/** A small value joins the headers in one string and so in one write; copying it costs less than a second write. */
function inline(value: Uint8Array): string | Uint8Array {
  return value.length <= HTTP_LIMITS.inlineValueBytesMax ? asBuffer(value).toString('latin1') : value
}
