// The route of batches: many commands and reads in one request, in their binary encoding. Each goes its own way and has its own
// answer; a batch is not a transaction.
import { BATCH_MEDIA_TYPE, decodeBatchRequest, encodeBatchResponse } from '../api/batch-codec.ts'
import type { BatchAnswer, BatchItem } from '../api/batch-codec.ts'
import { QuorateError } from '../api/errors.ts'
import { WIRE_LIMITS } from '../api/limits.ts'
import { valueReadsOf } from '../api/value-reads.ts'
import { DecodeError } from '../lib/bytes.ts'
import { answerBatch } from './batch-answers.ts'
import { afterBody, refuseConditions } from './commands.ts'
import type { HttpContext } from './context.ts'
import type { Answering, Asked, Edge } from './edge.ts'
import { HTTP_LIMITS } from './limits.ts'
import { refuseIdempotencyKey } from './once.ts'
import type { Handler } from './pages.ts'
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
      answerBody(edge, request, reply, body, timeout)
    })
  }
}

/** A batch on the fast lane: its media type is the right one. */
export function batchPlainly(edge: Edge, request: Asked, reply: Answering, target: string, body: Uint8Array): void {
  answerBody(edge, request, reply, body, timeoutMs(parseQuery(queryOf(target), ['timeout'])))
}

function answerBody(edge: Edge, request: Asked, reply: Answering, body: Uint8Array, timeout: number): void {
  answerBatch(edge.node, decode(body), timeout, (answers, revision) => {
    edge.guarded(request, reply, () => answer(edge, reply, answers, revision))
  })
}

function decode(body: Uint8Array): BatchItem[] {
  let items: BatchItem[]
  try {
    items = decodeBatchRequest(body)
  } catch (error) {
    if (!(error instanceof DecodeError)) throw error
    throw new QuorateError('BAD_REQUEST', `The batch is refused: ${error.message}.`)
  }
  checkValues(items)
  return items
}

/**
 * What a session remembers is small; other results may be as large as values are, and they are answered together. Reads are not
 * counted: what has no room in the answer is left out of it.
 */
function checkValues(items: readonly BatchItem[]): void {
  const { batchValuesMax } = WIRE_LIMITS
  let values = 0
  for (const item of items) if (item.op !== 'read' && !('once' in item)) values += valueReadsOf(item)
  if (items.length > 1 && values > batchValuesMax)
    throw new QuorateError(
      'BAD_REQUEST',
      `The batch asks for up to ${values} values; without a session at most ${batchValuesMax} are allowed.`,
    )
}

function answer(edge: Edge, reply: Answering, answers: readonly BatchAnswer[], revision: number): void {
  const headers = edge.head(revision)
  headers.push('Content-Type', BATCH_MEDIA_TYPE, 'Cache-Control', 'no-store')
  edge.finish(reply, 200, headers, encodeBatchResponse(answers))
}
