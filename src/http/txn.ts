// The route of transactions: from JSON to one command, and from its result back to JSON.
import type { TxnCommand, TxnOperation, TxnOperationResult, TxnResult } from '../api/commands.ts'
import { checkClientCommand } from '../api/client-command.ts'
import { QuorateError } from '../api/errors.ts'
import { DecodeError } from '../lib/bytes.ts'
import { propose, unexpected, withJson } from './commands.ts'
import type { HttpContext } from './context.ts'
import { entryDocument, entryOrNull } from './entry-json.ts'
import { HTTP_LIMITS } from './limits.ts'
import { onceOf } from './once.ts'
import type { Handler } from './pages.ts'
import { fence, parseQuery, timeoutMs } from './query.ts'
import { queryOf } from './target.ts'
import { txnOf } from './txn-request.ts'

export function txnRoute(context: HttpContext): Handler {
  const { edge } = context
  return (request, reply) => {
    const query = parseQuery(queryOf(request.originalUrl), ['fence', 'timeout'])
    const timeout = timeoutMs(query)
    const guard = fence(query)
    const fenced = guard === undefined ? {} : { fence: guard }
    const options = { bytesMax: HTTP_LIMITS.txnBytesMax, isRepeatable: true }
    withJson(context, request, reply, options, (document, body) => {
      const command: TxnCommand = { ...txnOf(document), ...fenced, ...onceOf(request, body) }
      checkWhole(command)
      propose(edge, request, reply, command, timeout, (result, extra) => {
        if (result.kind !== 'txn') throw unexpected(result, command.op)
        const { succeeded, revision } = result
        edge.json(reply, 200, { succeeded, revision, results: resultsOf(command, result) }, revision, extra)
      })
    })
  }
}

/** What no single part of it can see: how many operations there are, and that none writes what another one writes. */
function checkWhole(command: TxnCommand): void {
  try {
    checkClientCommand(command)
  } catch (error) {
    if (!(error instanceof DecodeError)) throw error
    throw new QuorateError('BAD_REQUEST', `The transaction is refused: ${error.message}.`)
  }
}

/** One for each operation of the branch that was taken. */
function resultsOf(command: TxnCommand, { succeeded, results }: TxnResult): object[] {
  const operations = succeeded ? command.success : command.failure
  return results.map((result, at) => resultOf(operations[at]!, result))
}

function resultOf(operation: TxnOperation, result: TxnOperationResult): object {
  if (result.kind === 'put') return { put: { created: result.isCreated, ...previousOf(operation, result.previous) } }
  if (result.kind === 'deleted') return { delete: { deleted: result.count, ...previousOf(operation, result.previous) } }
  if (result.kind === 'added') return { add: { value: String(result.value) } }
  if (result.kind === 'txn')
    return { txn: { succeeded: result.succeeded, results: resultsOf(operation as TxnCommand, result) } }
  const { keysOnly, countOnly } = operation as TxnOperation & { op: 'get' }
  const counted = { count: result.count, more: result.isMore }
  if (countOnly) return { get: counted }
  return { get: { ...counted, entries: result.entries.map((entry) => entryDocument(entry, { keysOnly })) } }
}

const previousOf = (operation: TxnOperation, previous: Parameters<typeof entryOrNull>[0]): object =>
  'wantsPrevious' in operation && operation.wantsPrevious ? { prev: entryOrNull(previous) } : {}
