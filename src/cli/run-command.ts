// What all data commands share: one client for one command, Ctrl-C, and failures turned into words and exit codes.
import { Client, ClientError } from '../client/index.ts'
import { fromBase64url } from '../lib/bytes.ts'
import { OutputError } from './data-io.ts'
import type { DataIo } from './data-io.ts'
import type { CommonOptions } from './data-options.ts'
import { CommandFailure, EXIT, exitCodeOf, reportError } from './output.ts'
import type { ExitCode } from './output.ts'

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
  command: (context: CommandContext) => Promise<ExitCode>,
): Promise<void> {
  const controller = new AbortController()
  const unlisten = io.onInterrupt(() => controller.abort())
  const client = new Client({ endpoints: options.endpoints, timeoutMs: options.timeout })
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
