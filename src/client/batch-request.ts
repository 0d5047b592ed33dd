// Requests to the batch endpoint: what all of them have in common, what is refused before it is sent, and how their answers are read.
import { BATCH_MEDIA_TYPE, decodeBatchResponse } from '../api/batch-codec.ts'
import type { BatchAnswer } from '../api/batch-codec.ts'
import type { BatchReadAnswer } from '../api/batch-reads.ts'
import { checkClientCommand } from '../api/client-command.ts'
import { encodedCommandLength } from '../api/command-codec.ts'
import type { ClientCommand, CommandResult } from '../api/commands.ts'
import { ERRORS } from '../api/errors.ts'
import { WIRE_LIMITS } from '../api/limits.ts'
import { DecodeError } from '../lib/bytes.ts'
import { expectStatus, header, unexpected } from './answers.ts'
import type { Failure } from './answers.ts'
import type { Carrier } from './pending-call.ts'
import { refusal } from './client-error.ts'
import { decide } from './retry-policy.ts'
import type { Operation } from './operations.ts'
import type { OperationKind } from './retry-policy.ts'
import type { TransportResponse } from './transport.ts'

const HEADERS = { 'content-type': BATCH_MEDIA_TYPE, accept: BATCH_MEDIA_TYPE } as const
const NO_QUERY: readonly string[] = []

/**
 * A request to the batch endpoint, of which a busy client makes thousands a second. Spelt out: from a literal with a spread or a getter V8
 * makes objects that live until a full collection, with all that they lead to (decisions/client-batches.md).
 */
export const batchOperation = <T>({
  name,
  kind,
  body,
  parse,
  onFailure,
}: Pick<Operation<T>, 'name' | 'kind' | 'body' | 'parse' | 'onFailure'>): Operation<T> => ({
  name,
  kind,
  method: 'POST',
  path: '/v1/batch',
  query: NO_QUERY,
  headers: HEADERS,
  body,
  takesTimeout: true,
  parse,
  onFailure,
})

/** Bytes of commands in one request, unless a single one is larger: as much as an entry of the log has. */
export const BATCH_BYTES_MAX = 1_048_576

/** Refuses early what a node would refuse. Gives how long the command is. */
export function checkCommand(command: ClientCommand): number {
  try {
    checkClientCommand(command)
  } catch (error) {
    if (!(error instanceof DecodeError)) throw error
    throw refusal('BAD_REQUEST', error.message)
  }
  const bytes = encodedCommandLength(command)
  if (bytes > COMMAND_BYTES_MAX)
    throw refusal('VALUE_TOO_LARGE', `the command has ${bytes} bytes; the limit is ${COMMAND_BYTES_MAX}`)
  return bytes
}

/** What a request can carry, with room for what stands around a command. Only a transaction can be larger. */
const COMMAND_BYTES_MAX = 2 * WIRE_LIMITS.valueBytesMax - 4_096

type Refused = Extract<BatchAnswer, { kind: 'error' }>
export type CommandAnswer = { readonly kind: 'result'; readonly result: CommandResult } | Refused
export type ReadAnswer = BatchReadAnswer | { readonly kind: 'left-out' } | Refused

/** The answers to a batch of that many commands. */
export function commandAnswers(response: TransportResponse, count: number): readonly CommandAnswer[] {
  const answers = batchAnswers(response, count)
  for (const { kind } of answers)
    if (kind !== 'result' && kind !== 'error') throw unexpected(response, `a command is answered with: ${kind}`)
  return answers as readonly CommandAnswer[]
}

/** The answers to a batch of that many reads. */
export function readAnswers(response: TransportResponse, count: number): readonly ReadAnswer[] {
  const answers = batchAnswers(response, count)
  for (const { kind } of answers) if (kind === 'result') throw unexpected(response, 'a read is answered with a result')
  return answers as readonly ReadAnswer[]
}

function batchAnswers(response: TransportResponse, count: number): readonly BatchAnswer[] {
  expectStatus(response, 200)
  if (!header(response, 'content-type')?.startsWith(BATCH_MEDIA_TYPE)) throw unexpected(response, 'no batch of answers')
  let answers: BatchAnswer[]
  try {
    answers = decodeBatchResponse(response.body)
  } catch (error) {
    if (!(error instanceof DecodeError)) throw error
    throw unexpected(response, error.message)
  }
  if (answers.length !== count) throw unexpected(response, `${answers.length} answers to a batch of ${count}`)
  return answers
}

export const failureOfAnswer = (answer: Refused): Failure => ({
  kind: answer.code,
  code: answer.code,
  outcome: answer.outcome,
  retryable: ERRORS[answer.code].isRetryable,
  message: answer.detail,
  status: ERRORS[answer.code].status,
  retryAfterMs: answer.retryAfterMs,
})

/** Of the failures inside an answer, the one that says best what to do next: to pause rather than to go on at once. */
export function worseOf(kind: OperationKind, a: Failure | undefined, b: Failure | undefined): Failure | undefined {
  if (a === undefined || b === undefined) return a ?? b
  return decide(kind, a.kind, a.outcome) === 'later' ? a : b
}

/** Ends a request whose callers have all been told, before its answer came. */
export function carrierOf(calls: number, close: () => void): Carrier {
  let left = calls
  return {
    settled: () => {
      left--
      if (left === 0) close()
    },
  }
}
