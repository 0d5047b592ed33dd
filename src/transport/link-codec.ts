// The frames that are not Raft messages: forwarded commands, control questions, snapshots. Encoded, and checked on arrival.
import { DecodeError } from '../lib/bytes.ts'
import type { ControlKind, ForwardAnswer } from '../node/ports.ts'
import type { Term } from '../raft/types.ts'
import { encodeFrame, FRAME } from './frame.ts'
import type { Frame, OutgoingFrame } from './frame.ts'
import { HeaderReader, packHeader } from './header.ts'

const CODE_LENGTH_MAX = 64
const DETAIL_LENGTH_MAX = 1_024
const KIND_LENGTH_MAX = 64

const CONTROL_KINDS: readonly string[] = ['register', 'cluster', 'transfer'] satisfies ControlKind[]

export const isControlKind = (kind: string): kind is ControlKind => CONTROL_KINDS.includes(kind)

/** What the leader may answer; the other two kinds are the asker's own conclusions. */
export type SentAnswer = Extract<ForwardAnswer, { kind: 'proposed' | 'not-proposed' }>

export const encodeForward = (request: number, number: number, commands: Uint8Array): OutgoingFrame =>
  encodeFrame(FRAME.forward, packHeader([request, number]), [commands])

export function decodeForward(frame: Frame): { request: number; number: number; commands: Uint8Array } {
  const header = new HeaderReader(frame.header, 'forward')
  const forward = { request: header.integer('request'), number: header.integer('number'), commands: frame.body }
  header.end()
  return forward
}

export const encodeForwardAnswer = (request: number, answer: SentAnswer): OutgoingFrame =>
  encodeFrame(
    FRAME.forwardAnswer,
    answer.kind === 'proposed'
      ? packHeader([request, true, answer.id.term, answer.id.index])
      : packHeader([request, false, clip(answer.code, CODE_LENGTH_MAX), clip(answer.detail, DETAIL_LENGTH_MAX)]),
  )

export function decodeForwardAnswer(frame: Frame): { request: number; answer: SentAnswer } {
  const header = new HeaderReader(frame.header, 'forward answer')
  const request = header.integer('request')
  const answer: SentAnswer = header.boolean('isProposed')
    ? { kind: 'proposed', id: header.entryId('id') }
    : {
        kind: 'not-proposed',
        code: header.text('code', CODE_LENGTH_MAX),
        detail: header.text('detail', DETAIL_LENGTH_MAX),
      }
  header.end()
  expectNoBody(frame, 'forward answer')
  return { request, answer }
}

export const encodeControl = (request: number, kind: ControlKind, body: Uint8Array): OutgoingFrame =>
  encodeFrame(FRAME.control, packHeader([request, kind]), [body])

export function decodeControl(frame: Frame, bytesMax: number): { request: number; kind: string; body: unknown } {
  const header = new HeaderReader(frame.header, 'control')
  const request = header.integer('request')
  const kind = header.text('kind', KIND_LENGTH_MAX)
  header.end()
  return { request, kind, body: decodeJson(frame.body, bytesMax, 'control') }
}

/** `body` is the result when it went well, and a text that says why when not. */
export const encodeControlAnswer = (request: number, isOk: boolean, body: Uint8Array): OutgoingFrame =>
  encodeFrame(FRAME.controlAnswer, packHeader([request, isOk]), [body])

export function decodeControlAnswer(frame: Frame, bytesMax: number): { request: number; isOk: boolean; body: unknown } {
  const header = new HeaderReader(frame.header, 'control answer')
  const request = header.integer('request')
  const isOk = header.boolean('isOk')
  header.end()
  return { request, isOk, body: decodeJson(frame.body, bytesMax, 'control answer') }
}

export const encodeSnapshotBegin = (term: Term): OutgoingFrame => encodeFrame(FRAME.snapshotBegin, packHeader([term]))

export function decodeSnapshotBegin(frame: Frame): Term {
  expectNoBody(frame, 'snapshot begin')
  return onlyInteger(frame, 'snapshot begin', 'term')
}

/** Numbered from 0. */
export const encodeSnapshotChunk = (sequence: number, chunk: Uint8Array): OutgoingFrame =>
  encodeFrame(FRAME.snapshotChunk, packHeader([sequence]), [chunk])

export const decodeSnapshotChunk = (frame: Frame): number => onlyInteger(frame, 'snapshot chunk', 'sequence')

/** `chunks`: how many there were. */
export const encodeSnapshotEnd = (chunks: number): OutgoingFrame => encodeFrame(FRAME.snapshotEnd, packHeader([chunks]))

export function decodeSnapshotEnd(frame: Frame): number {
  expectNoBody(frame, 'snapshot end')
  return onlyInteger(frame, 'snapshot end', 'chunks')
}

/** The sender cannot go on, and says why. */
export const encodeSnapshotAbort = (reason: string): OutgoingFrame =>
  encodeFrame(FRAME.snapshotAbort, packHeader([clip(reason, DETAIL_LENGTH_MAX)]))

export function decodeSnapshotAbort(frame: Frame): string {
  expectNoBody(frame, 'snapshot abort')
  const header = new HeaderReader(frame.header, 'snapshot abort')
  const reason = header.text('reason', DETAIL_LENGTH_MAX)
  header.end()
  return reason
}

/** The receiver's last word: undefined is success, a text says what went wrong. */
export const encodeSnapshotDone = (failure: string | undefined): OutgoingFrame =>
  encodeFrame(FRAME.snapshotDone, packHeader([failure === undefined, clip(failure ?? '', DETAIL_LENGTH_MAX)]))

export function decodeSnapshotDone(frame: Frame): string | undefined {
  expectNoBody(frame, 'snapshot done')
  const header = new HeaderReader(frame.header, 'snapshot done')
  const isOk = header.boolean('isOk')
  const detail = header.text('detail', DETAIL_LENGTH_MAX)
  header.end()
  return isOk ? undefined : detail
}

export const encodeJson = (value: unknown): Buffer => Buffer.from(JSON.stringify(value ?? null), 'utf8')

function decodeJson(bytes: Uint8Array, bytesMax: number, what: string): unknown {
  if (bytes.length > bytesMax) throw new DecodeError(`${what}: a body of ${bytes.length} bytes is above ${bytesMax}`)
  try {
    return JSON.parse(Buffer.from(bytes).toString('utf8')) as unknown
  } catch (cause) {
    throw new DecodeError(`${what}: the body is not JSON`, { cause })
  }
}

/** The answer of a frame that does not belong on this connection, in this direction. */
export function refuseFrame(frame: Frame, channel: string): never {
  throw new DecodeError(`a frame of type 0x${frame.type.toString(16)} does not belong on a ${channel} connection`)
}

function onlyInteger(frame: Frame, what: string, name: string): number {
  const header = new HeaderReader(frame.header, what)
  const value = header.integer(name)
  header.end()
  return value
}

function expectNoBody(frame: Frame, what: string): void {
  if (frame.body.length > 0) throw new DecodeError(`${what}: ${frame.body.length} bytes after the header`)
}

const clip = (text: string, lengthMax: number): string => text.slice(0, lengthMax)
