// The routes of leases: grant, keep alive, look, list and revoke.
import type { ClientCommand } from '../api/commands.ts'
import { QuorateError } from '../api/errors.ts'
import { WIRE_LIMITS } from '../api/limits.ts'
import type { LeaseSummary, SideFacts } from '../node/facade.ts'
import { afterBody, hasBody, propose, refuseConditions, unexpected, withJson } from './commands.ts'
import type { HttpContext } from './context.ts'
import { look } from './inspection.ts'
import { namedKeys } from './entry-json.ts'
import { HTTP_LIMITS } from './limits.ts'
import { checkIdempotencyKey, onceOf } from './once.ts'
import type { Handler } from './pages.ts'
import { limitOf, parseQuery, timeoutMs } from './query.ts'
import { READ_PARAMETERS } from './read-options.ts'
import { isLeaseId, leaseOf, queryOf } from './target.ts'

export interface LeaseRoutes {
  readonly grant: Handler
  readonly keepAlive: Handler
  readonly get: Handler
  readonly list: Handler
  readonly revoke: Handler
}

const NOT_FOUND = new QuorateError('LEASE_NOT_FOUND', 'The lease does not exist: it expired or was revoked.')

export function leaseRoutes(context: HttpContext): LeaseRoutes {
  return {
    grant: grant(context),
    keepAlive: keepAlive(context),
    revoke: revoke(context),
    get: look(context, (target) => {
      const id = leaseOf(target)
      return (facts) => {
        const lease = facts.lease(id)
        if (lease === undefined) return NOT_FOUND
        return { ...summary({ ...lease, keyCount: lease.keys.length }), ...namedKeys('keys', lease.keys) }
      }
    }),
    list: look(context, listing, ['limit', 'cursor']),
  }
}

/** All leases, by id; with a limit, a page of them. Leases are not of a revision: each page shows those that are there when it is read. */
function listing(target: string): (facts: SideFacts) => object {
  const query = parseQuery(queryOf(target), [...READ_PARAMETERS, 'limit', 'cursor'])
  const limit = query.has('limit') ? limitOf(query, WIRE_LIMITS.pageEntriesMax) : Infinity
  const after = query.get('cursor') ?? ''
  if (query.has('cursor') && !isLeaseId(after))
    throw new QuorateError('BAD_PARAMETER', 'The cursor is not one that this API gave out.')
  return (facts) => {
    const found = facts.leases(after, limit + 1)
    const leases = found.slice(0, limit)
    const more = found.length > limit
    return { leases: leases.map(summary), more, ...(more ? { cursor: leases.at(-1)?.lease } : {}) }
  }
}

const summary = ({ lease, ttlMs, remainingMs, keyCount }: LeaseSummary): object => ({
  id: lease,
  ttlMs,
  remainingMs,
  keyCount,
})

function grant(context: HttpContext): Handler {
  const { edge } = context
  return (request, reply) => {
    const timeout = timeoutMs(parseQuery(queryOf(request.originalUrl), ['timeout']))
    withJson(context, request, reply, { isRepeatable: true }, (document, body) => {
      const ttlMs = document.duration('ttl', 1, WIRE_LIMITS.ttlMsMax)
      const id = document.text('id', 16)
      document.close()
      if (ttlMs === undefined) throw document.error('is missing', 'ttl')
      if (id !== undefined && !isLeaseId(id))
        throw document.error('must be 16 hexadecimal digits in lower case, a positive int64', 'id')
      const lease = id ?? context.newLeaseId()
      const command: ClientCommand = { op: 'lease-grant', lease, ttlMs, ...onceOf(request, body) }
      propose(edge, request, reply, command, timeout, (result, extra) => {
        if (result.kind !== 'lease') throw unexpected(result, command.op)
        edge.json(reply, 201, { id: result.lease, ttlMs: result.ttlMs }, result.revision, extra)
      })
    })
  }
}

function keepAlive(context: HttpContext): Handler {
  const { edge } = context
  return (request, reply) => {
    const lease = leaseOf(request.originalUrl)
    const timeout = timeoutMs(parseQuery(queryOf(request.originalUrl), ['timeout']))
    withJson(context, request, reply, { isRepeatable: true }, (document, body) => {
      document.close()
      const command: ClientCommand = { op: 'lease-keep-alive', lease, ...onceOf(request, body) }
      propose(edge, request, reply, command, timeout, (result, extra) => {
        if (result.kind !== 'lease') throw unexpected(result, command.op)
        edge.json(reply, 200, { ttlMs: result.ttlMs }, result.revision, extra)
      })
    })
  }
}

function revoke(context: HttpContext): Handler {
  const { edge } = context
  return (request, reply) => {
    const { headers } = request.raw
    const lease = leaseOf(request.originalUrl)
    const timeout = timeoutMs(parseQuery(queryOf(request.originalUrl), ['timeout']))
    refuseConditions(headers)
    checkIdempotencyKey(headers)
    const go = (body?: Uint8Array): void => {
      const command: ClientCommand = { op: 'lease-revoke', lease, ...onceOf(request, body) }
      propose(edge, request, reply, command, timeout, (result, extra) => {
        if (result.kind !== 'lease-revoked') throw unexpected(result, command.op)
        edge.json(reply, 200, { deleted: result.count, revision: result.revision }, result.revision, extra)
      })
    }
    if (hasBody(request)) afterBody(context, request, reply, HTTP_LIMITS.jsonBytesMax, go)
    else go()
  }
}
