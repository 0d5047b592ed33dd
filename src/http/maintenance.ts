// The routes of whoever runs the cluster: hand leadership over, compact history, compare digests.
import type { ClientCommand } from '../api/commands.ts'
import { propose, unexpected, withJson } from './commands.ts'
import type { HttpContext } from './context.ts'
import { onceOf } from './once.ts'
import type { Handler } from './pages.ts'
import { parseQuery, timeoutMs } from './query.ts'
import { queryOf } from './target.ts'

const NODE_NAME = /^[A-Za-z0-9._-]{1,64}$/

export interface MaintenanceRoutes {
  readonly transfer: Handler
  readonly compact: Handler
  readonly digest: Handler
}

export function maintenanceRoutes(context: HttpContext): MaintenanceRoutes {
  const { edge } = context
  return {
    transfer(request, reply) {
      parseQuery(queryOf(request.originalUrl), [])
      withJson(context, request, reply, {}, (document) => {
        const to = document.text('to', 64)
        document.close()
        if (to !== undefined && !NODE_NAME.test(to)) throw document.error('must be the name of a node', 'to')
        edge.node.transferLeadership(to).then(
          () =>
            edge.guarded(request, reply, () => {
              const headers = edge.head(undefined)
              headers.push('Cache-Control', 'no-store')
              edge.finish(reply, 204, headers, undefined)
            }),
          (error: unknown) => edge.fail(request, reply, error),
        )
      })
    },

    compact(request, reply) {
      const timeout = timeoutMs(parseQuery(queryOf(request.originalUrl), ['timeout']))
      withJson(context, request, reply, { isRepeatable: true }, (document, body) => {
        const revision = document.integer('revision', 1, Number.MAX_SAFE_INTEGER)
        document.close()
        if (revision === undefined) throw document.error('is missing', 'revision')
        const command: ClientCommand = { op: 'compact', revision, ...onceOf(request, body) }
        propose(edge, request, reply, command, timeout, (result, extra) => {
          if (result.kind !== 'compacted') throw unexpected(result, command.op)
          edge.json(reply, 200, { compactRevision: result.revision }, undefined, extra)
        })
      })
    },

    digest(request, reply) {
      parseQuery(queryOf(request.originalUrl), [])
      const { digest, appliedIndex, revision, version } = edge.node.digest()
      edge.json(reply, 200, { digest, appliedIndex, revision, version }, revision)
    },
  }
}
