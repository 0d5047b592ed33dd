// The guard in front of every route: who may call (Host and Origin), what is not HTTP as we take it, what has no route, and
// the refusal of everything new while the node shuts down. It runs before a body is read.
import type { FastifyReply, FastifyRequest } from 'fastify'
import { QuorateError } from '../api/errors.ts'
import { ALLOW, ALLOW_ANYWHERE, KEY_ROUTE } from '../api/routes.ts'
import type { Edge } from './edge.ts'
import { HTTP_LIMITS } from './limits.ts'
import type { Streams } from './streams.ts'
import { keyOf } from './target.ts'

export interface GuardOptions {
  /** Whether the server listens on a loopback address. */
  readonly isLoopback: boolean
  /** Names that the node goes by besides localhost and IP addresses, such as the advertised one. Without ports. */
  readonly allowedHosts: readonly string[]
}

const HOST = /^(\[[0-9a-f:.]+\]|[^:[\]/?#@,\s]+)(?::\d{1,5})?$/i
const IPV4 = /^\d{1,3}(?:\.\d{1,3}){3}$/

/** A web page must not reach a local store through its visitor's browser, not even by giving its own name our address. */
export class HostRule {
  readonly #isLoopback: boolean
  readonly #names: ReadonlySet<string>
  /** The last Host that passed: clients repeat theirs. */
  #passed = ''

  constructor(options: GuardOptions) {
    this.#isLoopback = options.isLoopback
    this.#names = new Set(['localhost', ...options.allowedHosts.map((name) => name.toLowerCase())])
  }

  checkHost(host: string): void {
    if (host === this.#passed) return
    const name = HOST.exec(host)?.[1]
    if (name === undefined) throw new QuorateError('MALFORMED_HTTP', 'The Host header is not a host with maybe a port.')
    if (this.#isLoopback && !this.#isOwn(name))
      throw new QuorateError(
        'FORBIDDEN',
        'This node listens on loopback only: Host must be localhost, an IP address or the advertised name.',
      )
    this.#passed = host
  }

  checkOrigin(origin: string, host: string | undefined): void {
    const name = host === undefined ? undefined : HOST.exec(host)?.[1]
    const isOwn = host !== undefined && name !== undefined && origin.toLowerCase() === `http://${host.toLowerCase()}`
    if (!isOwn || !this.#isOwn(name))
      throw new QuorateError('FORBIDDEN', 'Requests from web pages of another origin are refused.')
  }

  #isOwn(name: string): boolean {
    return name.startsWith('[') || IPV4.test(name) || this.#names.has(name.toLowerCase())
  }
}

/** Answered even while shutting down: an orchestrator that asks must not take the pause for a death. */
const ALWAYS = new Set(['/livez', '/readyz'])

export type GuardHook = (request: FastifyRequest, reply: FastifyReply, done: (error?: Error) => void) => void

/** The hook that Fastify runs first for each request, also for those without a route. */
export function guard(edge: Edge, streams: Streams, rule: HostRule): GuardHook {
  return (request, reply, done) => {
    try {
      streams.arrived(request)
      checkRequest(request, rule)
      if (edge.isDraining && !ALWAYS.has(request.raw.url ?? ''))
        throw new QuorateError('SHUTTING_DOWN', 'This node is shutting down; ask another one.')
    } catch (error) {
      done(error as Error)
      return
    }
    if (request.is404) refuseUnrouted(edge, request, reply)
    else done()
  }
}

function checkRequest(request: FastifyRequest, rule: HostRule): void {
  const { headers, rawHeaders, httpVersionMinor } = request.raw
  if (rawHeaders.length > 2 * HTTP_LIMITS.headersMax)
    throw new QuorateError('HEADERS_TOO_LARGE', `There are more than ${HTTP_LIMITS.headersMax} headers.`)
  const { host, origin } = headers
  if (host !== undefined) rule.checkHost(host)
  else if (httpVersionMinor > 0) throw new QuorateError('MALFORMED_HTTP', 'The Host header is missing.')
  if (origin !== undefined) rule.checkOrigin(origin, host)
  if (request.originalUrl.includes('#'))
    throw new QuorateError('BAD_REQUEST', 'The request target holds a raw #; in a key, write it as %23.')
}

/** Wrong methods and unknown paths. `raw.url` is the path that `routeOf` made. */
function refuseUnrouted(edge: Edge, request: FastifyRequest, reply: FastifyReply): void {
  const route = request.raw.url ?? ''
  const isServerWide = request.originalUrl === '*'
  const allow = isServerWide ? ALLOW_ANYWHERE : ALLOW.get(route)
  if (allow === undefined) {
    edge.fail(request, reply, new QuorateError('NOT_FOUND', 'There is no such path; GET / lists what there is.'))
    return
  }
  try {
    if (route === KEY_ROUTE) keyOf(request.originalUrl)
  } catch (error) {
    edge.fail(request, reply, error)
    return
  }
  if (request.method === 'OPTIONS') {
    const headers = edge.head(undefined)
    headers.push('Allow', allow, 'Cache-Control', 'no-store')
    edge.finish(reply, 204, headers, undefined)
    return
  }
  const refusal = new QuorateError('METHOD_NOT_ALLOWED', `The method ${request.method} is not allowed here (${allow}).`)
  edge.fail(request, reply, refusal, ['Allow', allow])
}
