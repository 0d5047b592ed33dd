// The HTTP server, put together and not started: Fastify with our routes, limits and error handling. It knows the node only
// through its facade, and neither the process nor the environment.
import Fastify from 'fastify'
import type { FastifyBaseLogger, FastifyInstance } from 'fastify'
import type { LeaseId } from '../api/commands.ts'
import { ELECTION_ROUTE, KEEP_ALIVE_ROUTE, KEY_ROUTE, LEASE_ROUTE, LOCK_ROUTE, ROUTES } from '../api/routes.ts'
import type { RoutePath } from '../api/routes.ts'
import { assert } from '../lib/assert.ts'
import type { AssertionError } from '../lib/assert.ts'
import type { NodeFacade } from '../node/facade.ts'
import { batchRoute } from './batch.ts'
import { BodyReader, Continuations } from './body.ts'
import type { HttpContext } from './context.ts'
import { Edge } from './edge.ts'
import { FastLane } from './fast-lane.ts'
import { guard, HostRule } from './guard.ts'
import { keyRoutes } from './keys.ts'
import { leaseRoutes } from './leases.ts'
import { HTTP_LIMITS } from './limits.ts'
import { electionRoutes, lockRoutes } from './locks.ts'
import { maintenanceRoutes } from './maintenance.ts'
import { pages } from './pages.ts'
import type { Handler, Versions } from './pages.ts'
import { rangeRoutes } from './ranges.ts'
import { RawErrors } from './raw-errors.ts'
import { Streams } from './streams.ts'
import { authorityOf, isLeaseId, routeOf } from './target.ts'
import { txnRoute } from './txn.ts'
import { watchRoute } from './watch.ts'

export interface AppOptions {
  readonly node: NodeFacade
  readonly log: FastifyBaseLogger
  readonly versions: Versions
  /** Whether the server will listen on a loopback address. */
  readonly isLoopback: boolean
  /** Names that the node goes by besides localhost and IP addresses, such as the advertised one. Without ports. */
  readonly allowedHosts: readonly string[]
  /** A claim of the node about its own state broke within a request. Unless given, the error is thrown uncaught. */
  readonly onBrokenClaim?: (error: AssertionError) => void
  /** Ids for leases whose callers name none. Unless given, they are random. */
  readonly newLeaseId?: () => LeaseId
}

export interface App {
  /** Unstarted: `listen` it, `close` it, or `inject` into it. */
  readonly server: FastifyInstance
  /** From now on new requests get SHUTTING_DOWN, and streams end with where to go on; call `server.close()` once nothing more is to be answered. */
  drain(): void
}

export function buildApp(options: AppOptions): App {
  const edge = new Edge(options.node, options.log, options.onBrokenClaim)
  const rawErrors = new RawErrors(edge)
  const continuations = new Continuations()
  const server = createServer(rawErrors)
  const streams = new Streams()
  const hosts = new HostRule(options)
  server.addHook('onRequest', guard(edge, streams, hosts))
  server.setErrorHandler((error, request, reply) => edge.fail(request, reply, error))
  const isLogging = logRequests(server, options.log)

  const newLeaseId = options.newLeaseId ?? randomLeaseId
  const context: HttpContext = { edge, bodies: new BodyReader(), continuations, streams, newLeaseId }
  addRoutes(server, handlersOf(context, options.versions))
  rawErrors.attach(server, continuations)
  if (!isLogging) addFastLane(server, edge, hosts)
  const drain = (): void => {
    edge.drain()
    streams.drain()
  }
  return { server, drain }
}

/** A positive int64; that two are equal is as good as impossible, and refused when it happens. */
function randomLeaseId(): LeaseId {
  const bytes = crypto.getRandomValues(new Uint8Array(8))
  bytes[0]! &= 0x7f
  const id = Buffer.from(bytes).toString('hex')
  return isLeaseId(id) ? id : randomLeaseId()
}

interface MethodHandlers {
  readonly get?: Handler
  readonly put?: Handler
  readonly post?: Handler
  readonly delete?: Handler
}

type Handlers = Readonly<Record<RoutePath, MethodHandlers>>

function createServer(rawErrors: RawErrors): FastifyInstance {
  const server: FastifyInstance = Fastify({
    // With a logger, Fastify makes a child of it and listeners for each request. Whatever is worth a line passes through the
    // edge, which logs it.
    logger: false,
    // The target is parsed by us alone, and the router sees a path of our making.
    rewriteUrl: (request) => {
      const target = request.url ?? ''
      const authority = authorityOf(target)
      if (authority !== undefined) request.headers.host = authority
      return routeOf(target)
    },
    http: {
      maxHeaderSize: HTTP_LIMITS.headerBytesMax,
      headersTimeout: HTTP_LIMITS.headersTimeoutMs,
      connectionsCheckingInterval: HTTP_LIMITS.connectionsCheckingIntervalMs,
      // Node would answer a missing Host by itself, without a problem document.
      requireHostHeader: false,
      // A repeated header is a list, which our checks refuse where there must be one; Node would drop the second one silently.
      joinDuplicateHeaders: true,
    },
    requestTimeout: HTTP_LIMITS.requestTimeoutMs,
    keepAliveTimeout: HTTP_LIMITS.keepAliveTimeoutMs,
    connectionTimeout: HTTP_LIMITS.idleTimeoutMs,
    bodyLimit: HTTP_LIMITS.jsonBytesMax,
    exposeHeadRoutes: false,
    return503OnClosing: false,
    // No route of ours has a schema, and a hundred modules that compile them need not be loaded, which is a fifth of a start.
    schemaController: { compilersFactory: { buildValidator: noSchemas, buildSerializer: noSchemas } },
    clientErrorHandler: (error, socket) => rawErrors.onClientError(error, socket),
  })
  server.server.maxConnections = HTTP_LIMITS.connectionsMax
  // One more than allowed, so that the guard sees that there were too many.
  server.server.maxHeadersCount = HTTP_LIMITS.headersMax + 1
  return server
}

function noSchemas(): never {
  assert(false, 'a route has a schema, and nothing compiles it')
}

/** Only where the log shows it: at `info` a request leaves no line. */
function logRequests(server: FastifyInstance, log: FastifyBaseLogger): boolean {
  if (log.level !== 'debug' && log.level !== 'trace') return false
  server.addHook('onResponse', (request, reply, done) => {
    const { method, originalUrl: target } = request
    log.debug({ method, target, status: reply.statusCode, ms: Math.round(reply.elapsedTime) }, 'request')
    done()
  })
  return true
}

/** Requests on the fast lane pass no hooks: not where each is to be logged. */
function addFastLane(server: FastifyInstance, edge: Edge, hosts: HostRule): void {
  const lane = new FastLane(server.server, edge, hosts)
  server.addHook('preClose', (done) => {
    lane.close()
    done()
  })
}

/** Each route's handlers; HEAD is GET, and whoever answers leaves out the body. */
function handlersOf(context: HttpContext, versions: Versions): Handlers {
  const { root, version, openApi, livez, readyz, status, cluster } = pages(context.edge, versions)
  const leases = leaseRoutes(context)
  const maintenance = maintenanceRoutes(context)
  return {
    [KEY_ROUTE]: keyRoutes(context),
    '/v1/kv': rangeRoutes(context),
    '/v1/txn': { post: txnRoute(context) },
    '/v1/batch': { post: batchRoute(context) },
    '/v1/watch': { get: watchRoute(context) },
    '/v1/leases': { get: leases.list, post: leases.grant },
    [LEASE_ROUTE]: { get: leases.get, delete: leases.revoke },
    [KEEP_ALIVE_ROUTE]: { post: leases.keepAlive },
    [LOCK_ROUTE]: lockRoutes(context),
    [ELECTION_ROUTE]: electionRoutes(context),
    '/v1/compact': { post: maintenance.compact },
    '/v1/digest': { get: maintenance.digest },
    '/v1/leader/transfer': { post: maintenance.transfer },
    '/v1/openapi.json': { get: openApi },
    '/v1/status': { get: status },
    '/v1/cluster': { get: cluster },
    '/livez': { get: livez },
    '/readyz': { get: readyz },
    '/version': { get: version },
    '/': { get: root },
  }
}

function addRoutes(server: FastifyInstance, handlers: Handlers): void {
  // Declared bodiless to Fastify: handlers read the body themselves, after they have checked everything else. That is an eighth
  // cheaper than a content type parser, and indifferent to malformed content types.
  for (const method of ['PUT', 'POST', 'DELETE'])
    server.addHttpMethod(method, { hasBody: false, overrideExisting: true })
  for (const [path, methods] of Object.entries(ROUTES)) {
    for (const method of methods) {
      const name = method === 'HEAD' ? 'get' : (method.toLowerCase() as keyof MethodHandlers)
      const handler = handlers[path as RoutePath][name]
      assert(handler !== undefined, `${method} ${path} has no handler`)
      server.route({ method, url: path, handler })
    }
  }
}
