// What all data commands share: one client for one command, Ctrl-C, and failures turned into words and exit codes.
import { Client, ClientError } from '../client/index.ts'
import type { RangeOptions } from '../client/index.ts'
import { fromBase64url } from '../lib/bytes.ts'
import { OutputError } from './data-io.ts'
import type { DataIo } from './data-io.ts'
import type { CommonOptions, RangeCommandOptions } from './data-options.ts'
import { CommandFailure, EXIT, exitCodeOf, reportError } from './output.ts'

export interface CommandContext {
  readonly client: Client
  readonly io: DataIo
  /** Fires at Ctrl-C; the command then gives up, and says what became of its write. */
  readonly signal: AbortSignal
}

/** Runs a command with a client of its own. Never rejects for what a user or a cluster did: that ends in an exit code. */
export async function runCommand(
  io: DataIo,
  options: CommonOptions,
  command: (context: CommandContext) => Promise<number>,
): Promise<void> {
  const controller = new AbortController()
  const unlisten = io.onInterrupt(() => controller.abort())
  // One write is not worth a session: opening and closing it would be two more.
  const client = new Client({ endpoints: options.endpoints, timeoutMs: options.timeout, sessions: false })
  try {
    io.exitWith(await command({ client, io, signal: controller.signal }))
  } catch (error) {
    const failure = error instanceof OutputError ? new CommandFailure('OUTPUT', EXIT.notApplied, error.message) : error
    if (!(failure instanceof ClientError) && !(failure instanceof CommandFailure)) throw failure
    await reportError(io, failure, options.json === true)
    io.exitWith(failure instanceof ClientError ? exitCodeOf(failure) : failure.exitCode)
  } finally {
    unlisten()
    await client.close()
  }
}

/** The bounds of a range as given, spelt like KEY: with --key64 all of them are base64url. */
export function boundsOf(options: RangeCommandOptions & { readonly key64?: true }): RangeOptions {
  const bound = (name: 'prefix' | 'from' | 'to'): { [name: string]: string | Uint8Array } => {
    const text = options[name]
    return text === undefined ? {} : { [name]: argumentBytes(text, options.key64, `--${name}`) }
  }
  return { ...bound('prefix'), ...bound('from'), ...bound('to') }
}

/** An argument as it is, or the bytes that it spells. */
export function argumentBytes(text: string, isBase64: boolean | undefined, what: string): string | Uint8Array {
  if (isBase64 !== true) return text
  const bytes = fromBase64url(text)
  if (bytes !== undefined) return bytes
  throw new CommandFailure(
    'BAD_PARAMETER',
    EXIT.usage,
    `${what} is not base64url: letters, digits, - and _ only, without = at the end`,
  )
}
