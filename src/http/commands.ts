// From a request to a command and back: reading the body, asking the node, and answering what every write may be answered.
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { ClientCommand, CommandResult } from '../api/commands.ts'
import { QuorateError } from '../api/errors.ts'
import type { BodyReader } from './body.ts'
import type { HttpContext } from './context.ts'
import { isRefusal } from './edge.ts'
import type { Answering, Asked, Edge, FlatHeaders } from './edge.ts'
import { checkJsonType, parseJson } from './json.ts'
import { JsonObject } from './json-object.ts'
import { HTTP_LIMITS } from './limits.ts'
import { checkIdempotencyKey, refuseIdempotencyKey } from './once.ts'
import { answerRefusal, refusePrecondition } from './refusals.ts'

/** Answers a result that is neither a refusal nor a failed condition. `extra` are headers that it must carry. */
export type Answer = (result: CommandResult, extra: FlatHeaders) => void

const REPLAYED: FlatHeaders = ['Quorate-Replayed', 'true']
const NONE: FlatHeaders = []

/** Proposes the command and answers. */
export function propose(
  edge: Edge,
  request: Asked,
  reply: Answering,
  command: ClientCommand,
  timeoutMs: number,
  answer: Answer,
): void {
  edge.node.write(command, timeoutMs, (outcome) => answerOutcome(edge, request, reply, outcome, answer))
}

export function answerOutcome(
  edge: Edge,
  request: Asked,
  reply: Answering,
  outcome: CommandResult | QuorateError,
  answer: Answer,
): void {
  edge.guarded(request, reply, () => {
    if (isRefusal(outcome)) throw outcome
    const isReplayed = outcome.kind === 'replayed'
    const result = isReplayed ? outcome.result : outcome
    const extra = isReplayed ? REPLAYED : NONE
    if (result.kind === 'refused') answerRefusal(edge, reply, result, extra)
    else if (result.kind === 'precondition-failed')
      refusePrecondition(edge, reply, result.currentRevision, Math.max(outcome.revision, result.currentRevision), extra)
    else answer(result, extra)
  })
}

/** A result of a kind that the command cannot have: a bug, not a request's error. */
export const unexpected = (result: CommandResult, command: string): Error =>
  new Error(`a ${command} was answered with a result of the kind ${result.kind}`)

/** Whether the request has a body, however long. */
export const hasBody = ({ raw }: FastifyRequest): boolean =>
  raw.headers['content-length'] !== undefined || raw.headers['transfer-encoding'] !== undefined

/** Reads a body that says nothing to its end: a request that breaks off must be one that had no effect. */
export function afterBody(
  { edge, bodies, continuations }: Pick<HttpContext, 'edge' | 'bodies' | 'continuations'>,
  request: FastifyRequest,
  reply: FastifyReply,
  bytesMax: number,
  then: (body: Uint8Array) => void,
): void {
  const { raw } = request
  continuations.admit(raw, reply.raw, bytesMax)
  readBody(bodies, edge, request, reply, bytesMax, then)
}

function readBody(
  bodies: BodyReader,
  edge: Edge,
  request: FastifyRequest,
  reply: FastifyReply,
  bytesMax: number,
  then: (body: Uint8Array) => void,
): void {
  bodies.read(request.raw, bytesMax, (body) => {
    edge.guarded(request, reply, () => {
      if (isRefusal(body)) throw body
      then(body)
    })
  })
}

export interface JsonOptions {
  readonly bytesMax?: number
  /** Whether the request is a write that `Idempotency-Key` makes sense for. */
  readonly isRepeatable?: boolean
}

/** The body as a JSON object, after everything else about the request was found good; `then` closes it. */
export function withJson(
  context: HttpContext,
  request: FastifyRequest,
  reply: FastifyReply,
  options: JsonOptions,
  then: (document: JsonObject, body: Uint8Array) => void,
): void {
  const { headers } = request.raw
  checkJsonType(headers)
  refuseConditions(headers)
  if (options.isRepeatable === true) checkIdempotencyKey(headers)
  else refuseIdempotencyKey(headers)
  afterBody(context, request, reply, options.bytesMax ?? HTTP_LIMITS.jsonBytesMax, (body) => {
    then(new JsonObject(parseJson(body), ''), body)
  })
}

/** A condition on what takes none is refused: ignored, it would be an unconditional write. */
export function refuseConditions(headers: FastifyRequest['raw']['headers']): void {
  if (headers['if-match'] !== undefined || headers['if-none-match'] !== undefined)
    throw new QuorateError(
      'BAD_REQUEST',
      'If-Match and If-None-Match are for single keys; here they would mean nothing.',
    )
}
