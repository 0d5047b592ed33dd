// The routes of locks and of elections, which are one mechanism: queue, look, release; and for elections, proclaim.
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { LockCommand, LockKind } from '../api/commands.ts'
import { WIRE_LIMITS } from '../api/limits.ts'
import { EMPTY_BYTES, keyToBytes } from '../lib/bytes.ts'
import type { KeyString } from '../lib/bytes.ts'
import type { LockPlace } from '../node/facade.ts'
import { afterBody, answerOutcome, hasBody, propose, refuseConditions, unexpected, withJson } from './commands.ts'
import type { HttpContext } from './context.ts'
import { namedBytes } from './entry-json.ts'
import { look } from './inspection.ts'
import type { JsonObject } from './json-object.ts'
import { HTTP_LIMITS } from './limits.ts'
import { observeElection } from './observe.ts'
import { checkIdempotencyKey, onceOf } from './once.ts'
import type { Handler } from './pages.ts'
import { flag, parseQuery, timeoutMs, token } from './query.ts'
import { READ_PARAMETERS, readOptions } from './read-options.ts'
import { refusal } from './refusals.ts'
import { allowIdle } from './streams.ts'
import { nameOf, queryOf } from './target.ts'

export interface LockRoutes {
  readonly get: Handler
  readonly post: Handler
  readonly delete: Handler
}

export function lockRoutes(context: HttpContext): LockRoutes {
  return {
    get: look(context, (target) => {
      const name = nameOf(target)
      return (facts) => {
        const { holder, queue } = facts.lock('lock', name)
        return {
          ...named(name),
          holder: holder === undefined ? null : placeDocument(holder),
          queue: queue.map(placeDocument),
        }
      }
    }),
    post(request, reply) {
      const name = nameOf(request.originalUrl)
      const timeout = timeoutMs(parseQuery(queryOf(request.originalUrl), ['timeout']))
      withJson(context, request, reply, { isRepeatable: true }, (document, body) => {
        const command = lockCommand(context, document, 'lock', name, EMPTY_BYTES)
        acquire(context, request, reply, { ...command, ...onceOf(request, body) }, timeout)
      })
    },
    delete: release(context, 'lock'),
  }
}

export function electionRoutes(context: HttpContext): LockRoutes {
  const get = look(
    context,
    (target) => {
      const name = nameOf(target)
      return (facts) => {
        const { holder, queue } = facts.lock('election', name)
        return { ...named(name), leader: leaderDocument(holder), candidates: queue.length + (holder ? 1 : 0) }
      }
    },
    ['watch'],
  )
  return {
    get(request, reply) {
      const query = queryOf(request.originalUrl)
      const parameters = query === undefined ? undefined : parseQuery(query, [...READ_PARAMETERS, 'watch'])
      if (parameters !== undefined && flag(parameters, 'watch') && request.method === 'GET')
        observeElection(context, request, reply, readOptions(parameters))
      else get(request, reply)
    },
    post(request, reply) {
      const query = parseQuery(queryOf(request.originalUrl), ['timeout', 'token'])
      const name = nameOf(request.originalUrl)
      const timeout = timeoutMs(query)
      const holding = query.has('token') ? token(query) : undefined
      withJson(context, request, reply, { isRepeatable: true }, (document, body) => {
        const once = onceOf(request, body)
        const value = document.bytes('value', WIRE_LIMITS.proclaimedBytesMax)
        if (holding === undefined) {
          const command = lockCommand(context, document, 'election', name, value ?? EMPTY_BYTES)
          acquire(context, request, reply, { ...command, ...once }, timeout)
          return
        }
        document.close()
        if (value === undefined) throw document.error('is missing: it is what to proclaim', 'value')
        const command = { op: 'proclaim', name, token: holding, value, ...once } as const
        propose(context.edge, request, reply, command, timeout, (result, extra) => {
          if (result.kind !== 'proclaimed') throw unexpected(result, command.op)
          context.edge.json(reply, 200, { revision: result.revision }, result.revision, extra)
        })
      })
    },
    delete: release(context, 'election'),
  }
}

/** What is said of an elected leader, or that there is none. */
export const leaderDocument = (holder: LockPlace | undefined): object | null =>
  holder === undefined
    ? null
    : { token: holder.token, lease: holder.lease, owner: holder.owner, ...namedBytes('value', holder.value) }

const placeDocument = ({ token, lease, owner }: LockPlace): object => ({ token, lease, owner })

const named = (name: KeyString): object => namedBytes('name', keyToBytes(name))

function lockCommand(
  context: HttpContext,
  document: JsonObject,
  kind: LockKind,
  name: KeyString,
  value: Uint8Array,
): LockCommand {
  const ttlMs = document.duration('ttl', 1, WIRE_LIMITS.ttlMsMax)
  const waitMs = document.duration('wait', 0, WIRE_LIMITS.waitMsMax) ?? 0
  const owner = document.text('owner', WIRE_LIMITS.ownerBytesMax) ?? ''
  document.close()
  if (ttlMs === undefined) throw document.error('is missing', 'ttl')
  return { op: 'lock', kind, name, lease: context.newLeaseId(), ttlMs, waitMs, owner, value }
}

/** Waits in the queue. A client that goes away gives up its place: nobody would ever release the lock. */
function acquire(
  { edge }: HttpContext,
  request: FastifyRequest,
  reply: FastifyReply,
  command: LockCommand,
  timeoutMs: number,
): void {
  const { socket } = request.raw
  if (socket.destroyed) return
  const abandon = (): void => waiting?.abandon()
  socket.on('close', abandon)
  if (command.waitMs > 0) allowIdle(request, command.waitMs)
  let waiting: { abandon(): void } | undefined
  waiting = edge.node.acquire(command, timeoutMs, (outcome) => {
    socket.removeListener('close', abandon)
    answerOutcome(edge, request, reply, outcome, (result, extra) => {
      if (result.kind !== 'lock') throw unexpected(result, command.op)
      if (result.isHeld) edge.json(reply, 200, { token: result.token, lease: result.lease }, result.revision, extra)
      else edge.problem(reply, refusal('locked'), result.revision, extra)
    })
  })
}

function release(context: HttpContext, kind: LockKind): Handler {
  const { edge } = context
  return (request, reply) => {
    const { headers } = request.raw
    const name = nameOf(request.originalUrl)
    const query = parseQuery(queryOf(request.originalUrl), ['token', 'timeout'])
    const timeout = timeoutMs(query)
    const holding = token(query)
    refuseConditions(headers)
    checkIdempotencyKey(headers)
    const go = (body?: Uint8Array): void => {
      const command = { op: 'unlock', kind, name, token: holding, ...onceOf(request, body) } as const
      propose(edge, request, reply, command, timeout, (result, extra) => {
        if (result.kind !== 'unlocked') throw unexpected(result, command.op)
        edge.json(reply, 200, { wasHeld: result.wasHeld, revision: result.revision }, result.revision, extra)
      })
    }
    if (hasBody(request)) afterBody(context, request, reply, HTTP_LIMITS.jsonBytesMax, go)
    else go()
  }
}
