// What a data command touches of its process: streams, Ctrl-C and the exit code. Tests hand in their own.

export interface DataIo {
  readonly stdin: AsyncIterable<Uint8Array> & { destroy(): unknown }
  readonly stdout: Output
  readonly stderr: Output
  /** Calls back at the first Ctrl-C; a second one ends the process as ever. Returns what takes the callback back. */
  onInterrupt(callback: () => void): () => void
  exitWith(code: number): void
}

export interface Output {
  readonly isTTY?: boolean
  write(chunk: string | Uint8Array, done: (error?: Error | null) => void): boolean
  on(event: 'error', listener: (error: Error) => void): unknown
  off(event: 'error', listener: (error: Error) => void): unknown
}

export const processIo = (): DataIo => ({
  get stdin() {
    return process.stdin
  },
  stdout: process.stdout,
  stderr: process.stderr,
  onInterrupt(callback) {
    process.once('SIGINT', callback)
    return () => process.off('SIGINT', callback)
  },
  exitWith(code) {
    process.exitCode = code
  },
})

/** Resolves when the stream has taken it. A reader that went away, as `head` does, is no failure. */
export function write(output: Output, chunk: string | Uint8Array): Promise<void> {
  return new Promise((resolve, reject) => {
    const settle = (error?: Error | null): void => {
      output.off('error', settle)
      if (error && (error as NodeJS.ErrnoException).code !== 'EPIPE') reject(new OutputError(error))
      else resolve()
    }
    // A failed write is told twice, to the callback and as an event; without a listener the event would end the process.
    output.on('error', settle)
    output.write(chunk, (error) => {
      if (error) setImmediate(settle, error)
      else settle()
    })
  })
}

/** What a command had to say could not be written: a full disk behind a redirection, for one. */
export class OutputError extends Error {
  override readonly name = 'OutputError'

  constructor(cause: Error) {
    super(`the output cannot be written: ${cause.message}`, { cause })
  }
}
