// The routes about the node and its cluster: status, members, health, version, leadership and what there is.
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { HealthReport } from '../api/status.ts'
import type { Edge } from './edge.ts'
import { flag, parseQuery } from './query.ts'
import { queryOf } from './target.ts'

export interface Versions {
  /** The release, such as 0.1.0. */
  readonly release: string
  /** Of Node.js, such as v20.19.0. */
  readonly node: string
}

export type Handler = (request: FastifyRequest, reply: FastifyReply) => void

export interface Pages {
  readonly root: Handler
  readonly version: Handler
  readonly openApi: Handler
  readonly livez: Handler
  readonly readyz: Handler
  readonly status: Handler
  readonly cluster: Handler
}

const LINKS = {
  openapi: '/v1/openapi.json',
  status: '/v1/status',
  cluster: '/v1/cluster',
  livez: '/livez',
  readyz: '/readyz',
  version: '/version',
}

export function pages(edge: Edge, versions: Versions): Pages {
  let description: Promise<string> | undefined
  return {
    root: plain((_, reply) => edge.json(reply, 200, { name: 'quorate', version: versions.release, links: LINKS })),
    version: plain((_, reply) => edge.json(reply, 200, { version: versions.release, node: versions.node, api: 1 })),
    openApi: plain((request, reply) => {
      // Loaded when somebody asks: its hundreds of small modules are a fifth of what a node's start would load.
      description ??= import('./openapi.ts').then(({ openApiText }) => openApiText(versions.release))
      description.then(
        (text) => edge.guarded(request, reply, () => edge.jsonText(reply, 200, text)),
        (error: unknown) => edge.fail(request, reply, error),
      )
    }),
    livez: (request, reply) => answerHealth(edge, request, reply, edge.node.liveness()),
    readyz: (request, reply) => {
      const report = edge.node.readiness()
      const checks = { ...report.checks, http: edge.isDraining ? 'shutting down' : 'ok' }
      answerHealth(edge, request, reply, { ok: report.ok && !edge.isDraining, checks })
    },
    status: plain((_, reply) => {
      const status = edge.node.status()
      edge.json(reply, 200, status, status.revision)
    }),
    cluster: plain((request, reply) => {
      edge.node.cluster().then(
        (cluster) => edge.guarded(request, reply, () => edge.json(reply, 200, cluster)),
        (error: unknown) => edge.fail(request, reply, error),
      )
    }),
  }
}

/** A page without parameters. */
function plain(handler: Handler): Handler {
  return (request, reply) => {
    parseQuery(queryOf(request.originalUrl), [])
    handler(request, reply)
  }
}

/** Without `verbose`, only the checks that fail. */
function answerHealth(edge: Edge, request: FastifyRequest, reply: FastifyReply, report: HealthReport): void {
  const isVerbose = flag(parseQuery(queryOf(request.originalUrl), ['verbose']), 'verbose')
  const checks = Object.entries(report.checks).filter(([, state]) => isVerbose || state !== 'ok')
  const document = { ok: report.ok, checks: Object.fromEntries(checks) }
  edge.json(reply, report.ok ? 200 : 503, document, undefined, report.ok ? [] : ['Retry-After', '1'])
}
