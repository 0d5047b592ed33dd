// Runs data commands as a shell would, without a process: arguments in; stdout, stderr and exit code out.
import { Readable } from 'node:stream'
import { Command, CommanderError } from 'commander'
import { registerDataCommands } from '../../src/cli/data-commands.ts'
import type { DataIo, Output } from '../../src/cli/data-io.ts'

export interface Run {
  readonly stdout: Buffer
  readonly stderr: string
  readonly exitCode: number | undefined
}

export interface RunOptions {
  readonly stdin?: Readable | Uint8Array | string
  readonly isTTY?: boolean
  /** Called with what a Ctrl-C does, once the command listens for it. */
  readonly onReady?: (interrupt: () => void) => void
  /** Replaces stdout. */
  readonly stdout?: Output
}

/** A commander that is not allowed to end the process. */
function programFor(io: DataIo, onText: (text: string) => void): Command {
  const program = new Command('quorate').exitOverride().configureOutput({ writeOut: onText, writeErr: onText })
  registerDataCommands(program, io)
  return program
}

export async function run(args: readonly string[], options: RunOptions = {}): Promise<Run> {
  const stdout: Buffer[] = []
  let stderr = ''
  let exitCode: number | undefined
  const io: DataIo = {
    stdin: options.stdin instanceof Readable ? options.stdin : Readable.from([Buffer.from(options.stdin ?? '')]),
    stdout: options.stdout ?? sink(options.isTTY === true, (chunk) => stdout.push(chunk)),
    stderr: sink(false, (chunk) => (stderr += chunk.toString())),
    onInterrupt(callback) {
      options.onReady?.(callback)
      return () => {}
    },
    exitWith: (code) => (exitCode = code),
  }
  try {
    await programFor(io, (text) => (stderr += text)).parseAsync([...args], { from: 'user' })
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error
    exitCode = error.exitCode === 0 ? 0 : 2
  }
  return { stdout: Buffer.concat(stdout), stderr, exitCode }
}

const sink = (isTTY: boolean, take: (chunk: Buffer) => void): Output => ({
  isTTY,
  write(chunk, done) {
    take(Buffer.from(chunk))
    done()
    return true
  },
  on: () => undefined,
  off: () => undefined,
})
