// The route of batches: many commands in one request, in their binary encoding. Each goes its own way to the log and has its own
// answer; a batch is not a transaction.
import type { FastifyReply, FastifyRequest } from 'fastify'
import { BATCH_MEDIA_TYPE, decodeBatchRequest, encodeBatchResponse } from '../api/batch-codec.ts'
import type { BatchAnswer } from '../api/batch-codec.ts'
import type { ClientCommand, CommandResult } from '../api/commands.ts'
import { QuorateError } from '../api/errors.ts'
import { WIRE_LIMITS } from '../api/limits.ts'
import { valueReadsOf } from '../api/value-reads.ts'
import { DecodeError } from '../lib/bytes.ts'
import { afterBody, refuseConditions } from './commands.ts'
import type { HttpContext } from './context.ts'
import { isRefusal } from './edge.ts'
import type { Edge } from './edge.ts'
import { HTTP_LIMITS } from './limits.ts'
import { refuseIdempotencyKey } from './once.ts'
import type { Handler } from './pages.ts'
import { problemOf } from './problems.ts'
import { parseQuery, timeoutMs } from './query.ts'
import { queryOf } from './target.ts'

export function batchRoute(context: HttpContext): Handler {
  const { edge } = context
  return (request, reply) => {
    const { headers } = request.raw
    const timeout = timeoutMs(parseQuery(queryOf(request.originalUrl), ['timeout']))
    const encoding = headers['content-encoding']
    const isPlain = encoding === undefined || encoding.trim().toLowerCase() === 'identity'
    if (headers['content-type']?.split(';', 1)[0]!.trim().toLowerCase() !== BATCH_MEDIA_TYPE || !isPlain)
      throw new QuorateError('UNSUPPORTED_MEDIA_TYPE', `This endpoint takes ${BATCH_MEDIA_TYPE}, not encoded further.`)
    refuseConditions(headers)
    refuseIdempotencyKey(headers)
    afterBody(context, request, reply, HTTP_LIMITS.batchBytesMax, (body) => {
      proposeAll(edge, request, reply, decode(body), timeout)
    })
  }
}

function decode(body: Uint8Array): ClientCommand[] {
  let commands: ClientCommand[]
  try {
    commands = decodeBatchRequest(body)
  } catch (error) {
    if (!(error instanceof DecodeError)) throw error
    throw new QuorateError('BAD_REQUEST', `The batch is refused: ${error.message}.`)
  }
  checkValues(commands)
  return commands
}

/** What a session remembers is small; other results may be as large as values are, and they are answered together. */
function checkValues(commands: readonly ClientCommand[]): void {
  const { batchValuesMax } = WIRE_LIMITS
  let values = 0
  for (const command of commands) if (!('once' in command)) values += valueReadsOf(command)
  if (commands.length > 1 && values > batchValuesMax)
    throw new QuorateError(
      'BAD_REQUEST',
      `The batch asks for up to ${values} values; without a session at most ${batchValuesMax} are allowed.`,
    )
}

/** Proposed in the order of the batch; answered together, once the last one is known. */
function proposeAll(
  edge: Edge,
  request: FastifyRequest,
  reply: FastifyReply,
  commands: readonly ClientCommand[],
  timeoutMs: number,
): void {
  const answers: BatchAnswer[] = Array.from({ length: commands.length })
  let waiting = commands.length
  for (const [at, command] of commands.entries()) {
    edge.node.write(command, timeoutMs, (outcome) => {
      edge.guarded(request, reply, () => {
        answers[at] = answerOf(outcome)
        waiting--
        if (waiting === 0) answer(edge, reply, answers)
      })
    })
  }
}

function answerOf(outcome: CommandResult | QuorateError): BatchAnswer {
  if (!isRefusal(outcome)) return { kind: 'result', result: outcome }
  const { retryAfterMs } = problemOf(outcome, false)
  return {
    kind: 'error',
    code: outcome.code,
    outcome: outcome.outcome,
    detail: outcome.message,
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
  }
}

function answer(edge: Edge, reply: FastifyReply, answers: readonly BatchAnswer[]): void {
  const revisions = answers.map((each) => (each.kind === 'result' ? each.result.revision : 0))
  const headers = edge.head(Math.max(edge.node.vitals().revision, ...revisions))
  headers.push('Content-Type', BATCH_MEDIA_TYPE, 'Cache-Control', 'no-store')
  edge.finish(reply, 200, headers, encodeBatchResponse(answers))
}
