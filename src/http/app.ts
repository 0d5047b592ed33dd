// The HTTP server, put together and not started: Fastify with our routes, limits and error handling. It knows the node only
// through its facade, and neither the process nor the environment.
import Fastify from 'fastify'
import type { FastifyBaseLogger, FastifyInstance } from 'fastify'
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import { KEY_ROUTE, ROUTES } from '../api/routes.ts'
import type { RoutePath } from '../api/routes.ts'
import { TransferRequest } from '../api/schemas.ts'
import type { AssertionError } from '../lib/assert.ts'
import type { NodeFacade } from '../node/facade.ts'
import { BodyReader, Continuations } from './body.ts'
import { Edge } from './edge.ts'
import { guard } from './guard.ts'
import { checkJsonType, parseJson } from './json.ts'
import { keyRoutes } from './keys.ts'
import { HTTP_LIMITS } from './limits.ts'
import { pages } from './pages.ts'
import type { Handler, Versions } from './pages.ts'
import { RawErrors } from './raw-errors.ts'
import { authorityOf, queryOf, routeOf } from './target.ts'
import { parseQuery } from './query.ts'

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
}

export interface App {
  /** Unstarted: `listen` it, `close` it, or `inject` into it. */
  readonly server: FastifyInstance
  /** From now on new requests get SHUTTING_DOWN; call `server.close()` once nothing more is to be answered. */
  drain(): void
}

export function buildApp(options: AppOptions): App {
  const edge = new Edge(options.node, options.log, options.onBrokenClaim)
  const rawErrors = new RawErrors(edge)
  const continuations = new Continuations()
  const server = createServer(rawErrors)
  server.addHook('onRequest', guard(edge, options))
  server.setErrorHandler((error, request, reply) => edge.fail(request, reply, error))
  logRequests(server, options.log)

  addKeyRoutes(server, edge, continuations)
  addPages(server, edge, options.versions)
  addTransfer(server, edge, continuations)
  rawErrors.attach(server, continuations)
  return { server, drain: () => edge.drain() }
}

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
    ajv: { customOptions: { coerceTypes: false, removeAdditional: false, useDefaults: false, allErrors: false } },
    clientErrorHandler: (error, socket) => rawErrors.onClientError(error, socket),
  })
  server.server.maxConnections = HTTP_LIMITS.connectionsMax
  // One more than allowed, so that the guard sees that there were too many.
  server.server.maxHeadersCount = HTTP_LIMITS.headersMax + 1
  return server
}

/** Only where the log shows it: at `info` a request leaves no line. */
function logRequests(server: FastifyInstance, log: FastifyBaseLogger): void {
  if (log.level !== 'debug' && log.level !== 'trace') return
  server.addHook('onResponse', (request, reply, done) => {
    const { method, originalUrl: target } = request
    log.debug({ method, target, status: reply.statusCode, ms: Math.round(reply.elapsedTime) }, 'request')
    done()
  })
}

function addKeyRoutes(server: FastifyInstance, edge: Edge, continuations: Continuations): void {
  // Declared bodiless to Fastify: handlers read the raw value themselves, after they have checked everything else. That is an
  // eighth cheaper than a content type parser, and indifferent to malformed content types.
  server.addHttpMethod('PUT', { hasBody: false, overrideExisting: true })
  server.addHttpMethod('DELETE', { hasBody: false, overrideExisting: true })
  const routes = keyRoutes(edge, new BodyReader(), continuations)
  server.get(KEY_ROUTE, routes.get)
  server.head(KEY_ROUTE, routes.get)
  server.put(KEY_ROUTE, routes.put)
  server.delete(KEY_ROUTE, routes.delete)
}

function addPages(server: FastifyInstance, edge: Edge, versions: Versions): void {
  const { root, version, openApi, livez, readyz, status, cluster } = pages(edge, versions)
  const add = (url: RoutePath, handler: Handler): void => {
    server.route({ method: [...ROUTES[url]], url, handler })
  }
  add('/', root)
  add('/version', version)
  add('/v1/openapi.json', openApi)
  add('/livez', livez)
  add('/readyz', readyz)
  add('/v1/status', status)
  add('/v1/cluster', cluster)
}

function addTransfer(server: FastifyInstance, edge: Edge, continuations: Continuations): void {
  void server.register((scope, _, done) => {
    scope.removeAllContentTypeParsers()
    scope.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, parsed) => {
      // The types allow for `parseAs: 'string'`, too.
      parsed(null, parseJson(typeof body === 'string' ? Buffer.from(body) : body))
    })
    scope.withTypeProvider<TypeBoxTypeProvider>().post(
      '/v1/leader/transfer',
      {
        schema: { body: TransferRequest },
        onRequest: (request, reply, next) => {
          parseQuery(queryOf(request.originalUrl), [])
          checkJsonType(request.headers)
          continuations.admit(request.raw, reply.raw, HTTP_LIMITS.jsonBytesMax)
          next()
        },
        preValidation: (request, _reply, next) => {
          // Without a body at all, nothing was parsed.
          if (request.body === undefined) request.body = {}
          next()
        },
      },
      (request, reply) => {
        edge.node.transferLeadership(request.body.to).then(
          () =>
            edge.guarded(request, reply, () => {
              const headers = edge.head(undefined)
              headers.push('Cache-Control', 'no-store')
              edge.finish(reply, 204, headers, undefined)
            }),
          (error: unknown) => edge.fail(request, reply, error),
        )
      },
    )
    done()
  })
}
