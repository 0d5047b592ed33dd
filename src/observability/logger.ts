// The log: JSON lines on stderr for machines, readable lines for people. stdout stays free for data.
// Text that callers control cannot forge lines, and secrets are blanked before anything is written.
import { pino } from 'pino'
import type { DestinationStream, Logger, LoggerOptions } from 'pino'
import { prettyFactory } from 'pino-pretty'

export interface LoggerSettings {
  readonly level: string
  /** Readable lines instead of JSON. */
  readonly pretty: boolean
  /** With `pretty`: colours. */
  readonly color?: boolean
  /** The node's name, in every line. */
  readonly node?: string
  /** Where lines go; stderr unless a test says otherwise. */
  readonly destination?: DestinationStream
}

export interface NodeLog {
  readonly log: Logger
  /** Writes what is still in memory, synchronously: the last thing before the process exits. */
  flush(): void
}

const STDERR = 2

const CONTROLS = /[\p{Cc}\u2028\u2029]/gu
/** What JSON does not escape in the fields, of which no line of ours consists itself. */
const LATE = /[\u0080-\u009f\u2028\u2029]/g

/** Fixed paths only: a wildcard would cost half of the logging's speed. */
const REDACTED = [
  'peerSecret',
  'config.peerSecret',
  'headers.authorization',
  'req.headers.authorization',
  'request.headers.authorization',
]

export function createLogger(settings: LoggerSettings): NodeLog {
  const options: LoggerOptions = {
    level: settings.level,
    base: settings.node === undefined ? { pid: process.pid } : { pid: process.pid, node: settings.node },
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label) => ({ level: label }) },
    redact: { paths: REDACTED, censor: '[redacted]' },
  }
  if (settings.pretty) return { log: pino(options, readable(settings)), flush: () => {} }
  if (settings.destination !== undefined) return { log: pino(options, settings.destination), flush: () => {} }
  const stderr = unbuffered()
  return { log: pino(options, stderr), flush: () => stderr.flushSync() }
}

/**
 * Formatted and written synchronously, so that the last line before an exit is there. A stalled terminal stops the node,
 * which is why this is for people and not for production.
 */
function readable(settings: LoggerSettings): DestinationStream {
  const destination = settings.destination ?? pino.destination({ dest: STDERR, sync: true })
  const format = prettyFactory({
    colorize: settings.color ?? false,
    translateTime: 'SYS:HH:MM:ss.l',
    // What the message says already.
    ignore: 'pid,hostname,node,role,leader,channel',
    singleLine: true,
    messageFormat: (entry, messageKey) =>
      escaped(typeof entry[messageKey] === 'string' ? entry[messageKey] : '', CONTROLS),
    errorLikeObjectKeys: ['err', 'error'],
  })
  return { write: (line) => destination.write(escaped(format(line), LATE)) }
}

/**
 * Asynchronous, so that a slow reader of the log does not stop heartbeats, but without a buffer to fill first: a node
 * logs little, and a line that waits for 4 KiB of others comes too late. Flushed by pino at exit and on `fatal`.
 */
const unbuffered = (): ReturnType<typeof pino.destination> =>
  pino.destination({ dest: STDERR, sync: false, minLength: 0 })

/** As JSON escapes: a line break or a terminal's command in a message cannot pose as another line. */
const escaped = (text: string, characters: RegExp): string =>
  text.replaceAll(characters, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`)
