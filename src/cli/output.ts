// How data commands speak: data on stdout; errors on stderr, one line and a hint; the exit code says the same to scripts.
import { isUtf8 } from 'node:buffer'
import { asBuffer } from '../lib/bytes.ts'
import type { ClientError, ClientErrorCode, Entry } from '../client/index.ts'
import { write } from './data-io.ts'
import type { DataIo } from './data-io.ts'

export const EXIT = {
  ok: 0,
  notApplied: 1,
  usage: 2,
  notFound: 3,
  precondition: 4,
  unavailable: 5,
  outcomeUnknown: 6,
  /** By convention, 128 and the number of SIGINT: Ctrl-C before anything was changed. */
  interrupted: 130,
} as const

export type ExitCode = (typeof EXIT)[keyof typeof EXIT]

/** A command that cannot go on for a reason of its own. */
export class CommandFailure extends Error {
  override readonly name = 'CommandFailure'
  readonly code: string
  readonly exitCode: ExitCode

  constructor(code: string, exitCode: ExitCode, message: string) {
    super(message)
    this.code = code
    this.exitCode = exitCode
  }
}

/** The command line's own codes: wrong usage that only the client can see. */
const USAGE_CODES: ReadonlySet<string> = new Set([
  'BAD_REQUEST',
  'BAD_PARAMETER',
  'KEY_REQUIRED',
  'KEY_TOO_LONG',
  'VALUE_TOO_LARGE',
  'RANGE_TOO_LARGE',
  'UNSUPPORTED_MEDIA_TYPE',
])

export function exitCodeOf(error: ClientError): ExitCode {
  if (error.outcome === 'unknown') return EXIT.outcomeUnknown
  if (error.code === 'ABORTED') return EXIT.interrupted
  if (error.code === 'PRECONDITION_FAILED') return EXIT.precondition
  if (error.status === 404) return EXIT.notFound
  if (USAGE_CODES.has(error.code)) return EXIT.usage
  // An answer that is none of ours is no service of ours either.
  return error.retryable || error.code === 'UNEXPECTED_ANSWER' ? EXIT.unavailable : EXIT.notApplied
}

const NOBODY_THERE = 'is a node running there? Start a cluster with quorate dev, or name another with --endpoints'
const NO_MAJORITY = 'a majority of the nodes must be up; quorate status shows which are'
const LATER = 'try again later, or give it more time with --timeout'

const HINTS: Readonly<Partial<Record<ClientErrorCode, string>>> = {
  UNAVAILABLE: NOBODY_THERE,
  CONNECTION_LOST: NOBODY_THERE,
  NO_LEADER: NO_MAJORITY,
  NOT_READY: NO_MAJORITY,
  TIMEOUT: LATER,
  OVERLOADED: LATER,
  UNEXPECTED_ANSWER: "--endpoints must name HTTP ports of Quorate nodes: not their peer ports, nor another service's",
}

/** What to do about it, where there is something to say. */
export function hintOf(error: ClientError): string | undefined {
  if (error.outcome === 'unknown')
    return 'see what holds now (quorate get KEY, or quorate status) before you repeat the command'
  if (error.code === 'COMPACTED') return 'that history is gone: read what is there now, and watch from its revision'
  if (error.code === 'PRECONDITION_FAILED') return hintOfPrecondition(error.details['currentRevision'])
  return HINTS[error.code]
}

function hintOfPrecondition(currentRevision: unknown): string | undefined {
  if (typeof currentRevision !== 'number') return undefined
  return currentRevision === 0 ? 'the key does not exist' : `the key is at revision ${currentRevision}`
}

/** One line on stderr and maybe a hint; with --json one object. */
export async function reportError(io: DataIo, error: ClientError | CommandFailure, isJson: boolean): Promise<void> {
  if (isJson) {
    await write(io.stderr, `${JSON.stringify({ error: errorJson(error) })}\n`)
    return
  }
  const hint = 'outcome' in error ? hintOf(error) : undefined
  await write(io.stderr, `error: ${printable(error.message)}\n${hint === undefined ? '' : `hint: ${hint}\n`}`)
}

/** The names of the HTTP interface, with what only a client knows. */
export function errorJson(error: ClientError | CommandFailure): Readonly<Record<string, unknown>> {
  const { code, message } = error
  if (!('outcome' in error)) return { code, message, outcome: 'not-applied', retryable: false }
  const { outcome, retryable, status, attempts, details } = error
  return { ...details, code, message, outcome, retryable, ...(status === undefined ? {} : { status }), attempts }
}

/** An entry as the HTTP interface spells it in JSON: text where the bytes are UTF-8, else base64url. */
export function entryJson(entry: Entry): Readonly<Record<string, unknown>> {
  const { contentType, createRevision, revision, version, lease, ttlMs } = entry
  return {
    ...bytesJson('key', typeof entry.key === 'string' ? Buffer.from(entry.key) : entry.key),
    ...bytesJson('value', entry.value),
    ...(contentType === 'application/octet-stream' ? {} : { contentType }),
    createRevision,
    modRevision: revision,
    version,
    ...(lease === undefined ? {} : { lease }),
    ...(ttlMs === undefined ? {} : { ttlMs }),
  }
}

/** A key or a value on a line with others. */
export function shownBytes(bytes: string | Uint8Array): string {
  if (typeof bytes === 'string') return printable(bytes)
  return isUtf8(bytes)
    ? printable(asBuffer(bytes).toString('utf8'))
    : `base64url:${asBuffer(bytes).toString('base64url')}`
}

export const keyJson = (key: string | Uint8Array): Readonly<Record<string, string>> =>
  bytesJson('key', typeof key === 'string' ? Buffer.from(key) : key)

export const bytesJson = (name: string, bytes: Uint8Array): Readonly<Record<string, string>> =>
  isUtf8(bytes)
    ? { [name]: asBuffer(bytes).toString('utf8') }
    : { [`${name}64`]: asBuffer(bytes).toString('base64url') }

export const writeJson = (io: DataIo, value: unknown): Promise<void> => write(io.stdout, `${JSON.stringify(value)}\n`)

/** A value as it is, byte for byte; a newline only where a person reads. */
export async function writeValue(io: DataIo, value: Uint8Array): Promise<void> {
  await write(io.stdout, value)
  if (io.stdout.isTTY === true) await write(io.stdout, '\n')
}

/** Text that others chose (nodes, keys), safe for a terminal: control characters are shown, not obeyed. */
export function printable(text: string): string {
  return text.replaceAll(/[\p{Cc}\p{Cf}]/gu, (character) => {
    const code = character.codePointAt(0)!
    return code <= 0xff ? `\\x${code.toString(16).padStart(2, '0')}` : `\\u{${code.toString(16)}}`
  })
}
