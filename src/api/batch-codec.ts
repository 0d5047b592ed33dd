// The bodies of POST /v1/batch, `application/vnd.quorate.batch` (FORMAT.md): many commands in one request, each with an answer of
// its own. Commands and results have the encodings that they have in the log and in sessions.
import { ByteReader, ByteWriter, DecodeError } from '../lib/bytes.ts'
import { decodeClientCommands, encodeCommand } from './command-codec.ts'
import type { ClientCommand, CommandResult } from './commands.ts'
import { ERRORS } from './errors.ts'
import type { ErrorCode, Outcome } from './errors.ts'
import * as f from './fields.ts'
import { WIRE_LIMITS } from './limits.ts'
import { decodeResult, encodeResult } from './result-codec.ts'

export const BATCH_MEDIA_TYPE = 'application/vnd.quorate.batch'

/** The first byte of both bodies. Any other is refused. */
export const BATCH_FORMAT_VERSION = 1

export type BatchAnswer =
  | { readonly kind: 'result'; readonly result: CommandResult }
  | {
      readonly kind: 'error'
      readonly code: ErrorCode
      readonly outcome: Outcome
      readonly retryAfterMs?: number
      readonly detail: string
    }

export function encodeBatchRequest(commands: readonly ClientCommand[]): Buffer {
  const writer = new ByteWriter(1024)
  writer.uint8(BATCH_FORMAT_VERSION)
  for (const command of commands) encodeCommand(writer, command)
  return writer.finish()
}

/** Validates as `decodeClientCommands` does. Values are views of `bytes`. */
export function decodeBatchRequest(bytes: Uint8Array): ClientCommand[] {
  checkVersion(new ByteReader(bytes))
  const commands = decodeClientCommands(bytes.subarray(1))
  const { batchCommandsMax } = WIRE_LIMITS
  if (commands.length > batchCommandsMax)
    throw new DecodeError(`a batch of ${commands.length} commands; at most ${batchCommandsMax} are allowed`)
  for (const command of commands) {
    // Its scope is the caller's identity, which only the server may say.
    if ('once' in command && command.once?.kind === 'key')
      throw new DecodeError('commands of a batch are repeated by session, not by idempotency key')
  }
  return commands
}

function checkVersion(reader: ByteReader): void {
  const version = reader.uint8()
  if (version !== BATCH_FORMAT_VERSION)
    throw new DecodeError(`a batch of format version ${version}; this release reads version ${BATCH_FORMAT_VERSION}`)
}

const ANSWER_RESULT = 0
const ANSWER_ERROR = 1
const IS_UNKNOWN = 1
const HAS_RETRY_AFTER = 1 << 1

/** One answer for each command, in the same order. */
export function encodeBatchResponse(answers: readonly BatchAnswer[]): Buffer {
  const writer = new ByteWriter(1024)
  writer.uint8(BATCH_FORMAT_VERSION)
  for (const answer of answers) {
    if (answer.kind === 'result') f.encodeBytes(writer.uint8(ANSWER_RESULT), encodeResult(answer.result))
    else encodeError(writer.uint8(ANSWER_ERROR), answer)
  }
  return writer.finish()
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
  if (kind === ANSWER_RESULT) return { kind: 'result', result: decodeResult(f.decodeBytes(reader)) }
  if (kind !== ANSWER_ERROR) throw new DecodeError(`an unknown kind of answer ${kind} at offset ${reader.offset - 1}`)
  const flags = f.decodeFlags(reader, IS_UNKNOWN | HAS_RETRY_AFTER)
  const code = f.decodeText(reader)
  if (!isErrorCode(code)) throw new DecodeError(`an unknown error code: ${code}`)
  const retry = (flags & HAS_RETRY_AFTER) === 0 ? {} : { retryAfterMs: reader.varint() }
  const outcome = (flags & IS_UNKNOWN) === 0 ? 'not-applied' : 'unknown'
  return { kind: 'error', code, outcome, ...retry, detail: f.decodeText(reader) }
}

const isErrorCode = (code: string): code is ErrorCode => Object.hasOwn(ERRORS, code)
