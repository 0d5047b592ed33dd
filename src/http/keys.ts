// The routes of one key: PUT, GET, HEAD, DELETE, and POST for counters. The hot path: callbacks instead of promises, nothing
// parsed that is not there, one call of the node for each request.
import type { FastifyReply, FastifyRequest } from 'fastify'
import { NO_CONDITION } from '../api/commands.ts'
import type { ClientCommand, Condition, Fence, LeaseId } from '../api/commands.ts'
import { QuorateError } from '../api/errors.ts'
import { WIRE_LIMITS } from '../api/limits.ts'
import type { KeyString } from '../lib/bytes.ts'
import { afterBody, hasBody, propose } from './commands.ts'
import { checkReadConditions, writeCondition } from './conditions.ts'
import type { HttpContext } from './context.ts'
import type { Answering, Asked, Edge } from './edge.ts'
import { answerRead, answerWrite, OCTET_STREAM } from './key-answers.ts'
import { waitForChange } from './long-poll.ts'
import { checkIdempotencyKey, onceOf } from './once.ts'
import type { Handler } from './pages.ts'
import { fence, flag, integer, parseQuery, timeoutMs, timeToLive, waitMs } from './query.ts'
import type { QueryParameters } from './query.ts'
import { DEFAULT_READ, READ_PARAMETERS, readOptions } from './read-options.ts'
import { isLeaseId, keyOf, queryOf } from './target.ts'

/** What curl says of any body it is given no type for; it says nothing about the value. */
const FORM = /^application\/x-www-form-urlencoded[ \t]*(?:;|$)/i

const GET_PARAMETERS = [...READ_PARAMETERS, 'revision', 'wait', 'after']
const PUT_PARAMETERS = ['cas', 'prev', 'timeout', 'ttl', 'lease', 'fence']
const DELETE_PARAMETERS = ['cas', 'prev', 'timeout', 'fence']
const ADD_PARAMETERS = ['add', 'cas', 'timeout', 'fence']

interface WriteOptions {
  readonly condition: Condition
  readonly wantsPrevious: boolean
  readonly timeoutMs: number
  /** What a plain write does not have; to be spread into the command. */
  readonly rest: WriteRest
}

interface WriteRest {
  readonly lease?: LeaseId
  readonly ttlMs?: number
  readonly fence?: Fence
}

export interface KeyRoutes {
  readonly get: Handler
  readonly put: Handler
  readonly post: Handler
  readonly delete: Handler
}

export function keyRoutes(context: HttpContext): KeyRoutes {
  const { edge, bodies, continuations } = context
  return {
    get(request, reply) {
      const target = request.originalUrl
      const key = keyOf(target)
      const query = queryOf(target)
      checkReadConditions(request.raw.headers)
      if (query !== undefined) {
        readWithParameters(context, request, reply, key, parseQuery(query, GET_PARAMETERS))
        return
      }
      readPlainly(edge, request, reply, key)
    },

    put(request, reply) {
      const { raw } = request
      const target = request.originalUrl
      const key = keyOf(target)
      const options = writeOptions(raw.headers, queryOf(target), PUT_PARAMETERS)
      const contentType = contentTypeOf(raw.headers)
      continuations.admit(raw, reply.raw, WIRE_LIMITS.valueBytesMax)
      bodies.read(raw, WIRE_LIMITS.valueBytesMax, (body) => {
        edge.guarded(request, reply, () => {
          if (body instanceof QuorateError) throw body
          const { condition, wantsPrevious, rest } = options
          const once = onceOf(request, body, contentType)
          const command: ClientCommand =
            rest === NO_REST && once.once === undefined
              ? { op: 'put', key, value: body, contentType, condition, wantsPrevious }
              : { op: 'put', key, value: body, contentType, condition, wantsPrevious, ...rest, ...once }
          write(edge, request, reply, command, options)
        })
      })
    },

    post: add(context),

    delete(request, reply) {
      const target = request.originalUrl
      const key: KeyString = keyOf(target)
      const options = writeOptions(request.raw.headers, queryOf(target), DELETE_PARAMETERS)
      const { condition, wantsPrevious, rest } = options
      emptied(context, request, reply, (body) => {
        const once = onceOf(request, body)
        write(edge, request, reply, { op: 'delete', key, condition, wantsPrevious, ...rest, ...once }, options)
      })
    },
  }
}

/** Counters: what the only POST of a key is for. */
function add(context: HttpContext): Handler {
  const { edge } = context
  return (request, reply) => {
    const target = request.originalUrl
    const key = keyOf(target)
    const query = queryOf(target)
    const parameters = parseQuery(query, ADD_PARAMETERS)
    const by = summand(parameters)
    const options = writeOptions(request.raw.headers, query, ADD_PARAMETERS)
    const { condition, rest } = options
    emptied(context, request, reply, (body) => {
      write(edge, request, reply, { op: 'add', key, by, condition, ...rest, ...onceOf(request, body) }, options)
    })
  }
}

/** A GET that asks for nothing but the key. */
export function readPlainly(edge: Edge, request: Asked, reply: Answering, key: KeyString): void {
  edge.node.read(key, DEFAULT_READ, (outcome) => {
    edge.guarded(request, reply, () => answerRead(edge, request, reply, outcome, true))
  })
}

/** A PUT of a value without a condition, a parameter or anything else. */
export function putPlainly(
  edge: Edge,
  request: Asked,
  reply: Answering,
  { key, value, contentType }: { readonly key: KeyString; readonly value: Uint8Array; readonly contentType: string },
): void {
  const command: ClientCommand = { op: 'put', key, value, contentType, condition: NO_CONDITION, wantsPrevious: false }
  write(edge, request, reply, command, PLAIN)
}

/** A DELETE of the same kind. */
export function deletePlainly(edge: Edge, request: Asked, reply: Answering, key: KeyString): void {
  write(edge, request, reply, { op: 'delete', key, condition: NO_CONDITION, wantsPrevious: false }, PLAIN)
}

function readWithParameters(
  context: HttpContext,
  request: FastifyRequest,
  reply: FastifyReply,
  key: KeyString,
  parameters: QueryParameters,
): void {
  const { edge } = context
  const options = readOptions(parameters)
  const revision = integer(parameters, 'revision')
  const wait = waitMs(parameters)
  const after = integer(parameters, 'after')
  if (wait === undefined && after !== undefined)
    throw new QuorateError('BAD_PARAMETER', 'The parameter after belongs to wait, which is missing.')
  if (wait !== undefined && revision !== undefined)
    throw new QuorateError('BAD_PARAMETER', 'The past does not change: wait and revision contradict each other.')
  if (wait !== undefined) waitForChange(context, request, reply, key, { waitMs: wait, after, options })
  else if (revision === undefined)
    edge.node.read(key, options, (outcome) => {
      edge.guarded(request, reply, () => answerRead(edge, request, reply, outcome, true))
    })
  else
    edge.node.readPast(key, revision, options, (outcome) => {
      edge.guarded(request, reply, () => answerRead(edge, request, reply, outcome, false))
    })
}

function write(edge: Edge, request: Asked, reply: Answering, command: ClientCommand, options: WriteOptions): void {
  propose(edge, request, reply, command, options.timeoutMs, (result, extra) =>
    answerWrite(edge, reply, result, options.wantsPrevious, extra),
  )
}

/** At once without a body, else after it, whatever it says. */
function emptied(
  context: HttpContext,
  request: FastifyRequest,
  reply: FastifyReply,
  then: (body?: Uint8Array) => void,
): void {
  if (hasBody(request)) afterBody(context, request, reply, WIRE_LIMITS.valueBytesMax, then)
  else then()
}

// ------------------------------------------------------------------------------------------------------------- requests

type RequestHeaders = FastifyRequest['raw']['headers']

const NO_REST: WriteRest = {}

const PLAIN: WriteOptions = {
  condition: NO_CONDITION,
  wantsPrevious: false,
  timeoutMs: WIRE_LIMITS.timeoutMsDefault,
  rest: NO_REST,
}

function writeOptions(headers: RequestHeaders, query: string | undefined, known: readonly string[]): WriteOptions {
  if (headers['idempotency-key'] !== undefined) checkIdempotencyKey(headers)
  const parameters = parseQuery(query, known)
  return {
    condition: writeCondition(headers, integer(parameters, 'cas')),
    wantsPrevious: flag(parameters, 'prev'),
    timeoutMs: timeoutMs(parameters),
    rest: parameters.size === 0 ? NO_REST : writeRest(parameters),
  }
}

function writeRest(parameters: QueryParameters): WriteRest {
  const lease = leaseParameter(parameters)
  const ttlMs = timeToLive(parameters)
  if (lease !== undefined && ttlMs !== undefined)
    throw new QuorateError('BAD_PARAMETER', 'A key has a lease or a ttl of its own, not both.')
  const guard = fence(parameters)
  if (lease === undefined && ttlMs === undefined && guard === undefined) return NO_REST
  return {
    ...(lease === undefined ? {} : { lease }),
    ...(ttlMs === undefined ? {} : { ttlMs }),
    ...(guard === undefined ? {} : { fence: guard }),
  }
}

function leaseParameter(parameters: QueryParameters): LeaseId | undefined {
  const lease = parameters.get('lease')
  if (lease === undefined) return undefined
  if (lease === null || !isLeaseId(lease))
    throw new QuorateError(
      'BAD_PARAMETER',
      'The parameter lease must be the id of one: 16 hexadecimal digits in lower case.',
    )
  return lease
}

function summand(parameters: QueryParameters): bigint {
  const text = parameters.get('add')
  if (text === undefined)
    throw new QuorateError('BAD_PARAMETER', 'POST on a key adds to it: the parameter add is missing.')
  const by = text !== null && /^-?\d{1,19}$/.test(text) ? BigInt(text) : undefined
  if (by === undefined || BigInt.asIntN(64, by) !== by)
    throw new QuorateError('BAD_PARAMETER', 'The parameter add must be a decimal 64-bit integer.')
  return by
}

/** What is stored as the entry's content type, after refusing what would make the body something else than the value. */
export function contentTypeOf(headers: RequestHeaders): string {
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
