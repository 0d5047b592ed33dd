// The bodies of POST /v1/batch, `application/vnd.quorate.batch` (FORMAT.md): many commands and reads in one request, each with an
// answer of its own. Commands and results have the encodings that they have in the log and in sessions.
import { ByteReader, ByteWriter, DecodeError } from '../lib/bytes.ts'
import { decodeRead, decodeReadAnswer, encodeRead, encodeReadAnswer, OP_READ } from './batch-reads.ts'
import type { BatchRead, BatchReadAnswer } from './batch-reads.ts'
import { checkClientCommand } from './client-command.ts'
import { decodeCommand, encodeCommand } from './command-codec.ts'
import type { ClientCommand, Command, CommandResult } from './commands.ts'
import { ERRORS } from './errors.ts'
import type { ErrorCode, Outcome } from './errors.ts'
import * as f from './fields.ts'
import { WIRE_LIMITS } from './limits.ts'
import { appendResult, decodeResultIn } from './result-codec.ts'

export const BATCH_MEDIA_TYPE = 'application/vnd.quorate.batch'

/** The first byte of both bodies. Any other is refused. */
export const BATCH_FORMAT_VERSION = 1

export type BatchItem = ClientCommand | BatchRead

export type BatchAnswer =
  | { readonly kind: 'result'; readonly result: CommandResult }
  | BatchReadAnswer
  /** A read for whose value there was no room behind those of the others: it is to be asked for again. */
  | { readonly kind: 'left-out' }
  | {
      readonly kind: 'error'
      readonly code: ErrorCode
      readonly outcome: Outcome
      readonly retryAfterMs?: number
      readonly detail: string
    }

export function encodeBatchRequest(items: readonly BatchItem[]): Buffer {
  const writer = new ByteWriter(1024)
  writer.uint8(BATCH_FORMAT_VERSION)
  for (const item of items) {
    if (item.op === 'read') encodeRead(writer, item)
    else encodeCommand(writer, item)
  }
  return writer.finish()
}

/** Commands are validated as `decodeClientCommands` does. Values are views of `bytes`. */
export function decodeBatchRequest(bytes: Uint8Array): BatchItem[] {
  const reader = new ByteReader(bytes)
  checkVersion(reader)
  if (reader.remaining === 0) throw new DecodeError('a batch without a command or read')
  const { batchCommandsMax } = WIRE_LIMITS
  const items: BatchItem[] = []
  while (reader.remaining > 0) {
    if (items.length === batchCommandsMax)
      throw new DecodeError(`a batch of more than ${batchCommandsMax} commands and reads`)
    items.push(bytes[reader.offset] === OP_READ ? decodeRead(reader) : decodeClientCommand(reader))
  }
  return items
}

function decodeClientCommand(reader: ByteReader): ClientCommand {
  const command: Command = decodeCommand(reader)
  checkClientCommand(command)
  // Its scope is the caller's identity, which only the server may say.
  if ('once' in command && command.once?.kind === 'key')
    throw new DecodeError('commands of a batch are repeated by session, not by idempotency key')
  return command
}

function checkVersion(reader: ByteReader): void {
  const version = reader.uint8()
  if (version !== BATCH_FORMAT_VERSION)
    throw new DecodeError(`a batch of format version ${version}; this release reads version ${BATCH_FORMAT_VERSION}`)
}

const ANSWER_RESULT = 0
const ANSWER_ERROR = 1
const ANSWER_READ = 2
const ANSWER_LEFT_OUT = 3
const IS_UNKNOWN = 1
const HAS_RETRY_AFTER = 1 << 1

/** One answer for each command or read, in the same order. */
export function encodeBatchResponse(answers: readonly BatchAnswer[]): Buffer {
  const writer = new ByteWriter(1024)
  writer.uint8(BATCH_FORMAT_VERSION)
  for (const answer of answers) encodeAnswer(writer, answer)
  return writer.finish()
}

function encodeAnswer(writer: ByteWriter, answer: BatchAnswer): void {
  switch (answer.kind) {
    case 'result':
      return appendResult(writer.uint8(ANSWER_RESULT), answer.result)
    case 'error':
      return encodeError(writer.uint8(ANSWER_ERROR), answer)
    case 'read':
      return encodeReadAnswer(writer.uint8(ANSWER_READ), answer)
    case 'left-out':
      writer.uint8(ANSWER_LEFT_OUT)
  }
}

function encodeError(writer: ByteWriter, answer: BatchAnswer & { kind: 'error' }): void {
  const { outcome, retryAfterMs } = answer
  writer.uint8((outcome === 'unknown' ? IS_UNKNOWN : 0) | (retryAfterMs === undefined ? 0 : HAS_RETRY_AFTER))
  f.encodeText(writer, answer.code)
  if (retryAfterMs !== undefined) writer.varint(f.natural(retryAfterMs, 'a time to wait'))
  f.encodeText(writer, answer.detail)
}

export function decodeBatchResponse(bytes: Uint8Array): BatchAnswer[] {
  const reader = new ByteReader(bytes)
  checkVersion(reader)
  const answers: BatchAnswer[] = []
  while (reader.remaining > 0) answers.push(decodeAnswer(reader))
  return answers
}

function decodeAnswer(reader: ByteReader): BatchAnswer {
  const kind = reader.uint8()
  if (kind === ANSWER_RESULT) return { kind: 'result', result: decodeResultIn(reader, reader.varint()) }
  if (kind === ANSWER_READ) return decodeReadAnswer(reader)
  if (kind === ANSWER_LEFT_OUT) return LEFT_OUT
  if (kind !== ANSWER_ERROR) throw new DecodeError(`an unknown kind of answer ${kind} at offset ${reader.offset - 1}`)
  const flags = f.decodeFlags(reader, IS_UNKNOWN | HAS_RETRY_AFTER)
  const code = f.decodeText(reader)
  if (!isErrorCode(code)) throw new DecodeError(`an unknown error code: ${code}`)
  const retry = (flags & HAS_RETRY_AFTER) === 0 ? {} : { retryAfterMs: reader.varint() }
  const outcome = (flags & IS_UNKNOWN) === 0 ? 'not-applied' : 'unknown'
  return { kind: 'error', code, outcome, ...retry, detail: f.decodeText(reader) }
}

const LEFT_OUT: BatchAnswer = { kind: 'left-out' }

const isErrorCode = (code: string): code is ErrorCode => Object.hasOwn(ERRORS, code)
