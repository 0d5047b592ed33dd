// Standard input as a whole, with a limit and an end at Ctrl-C.
import type { DataIo } from './data-io.ts'
import { CommandFailure, EXIT } from './output.ts'

/** All of it, but never more than that. */
export async function readStdin(io: DataIo, signal: AbortSignal, bytesMax: number): Promise<Uint8Array> {
  const { stdin } = io
  const chunks: Uint8Array[] = []
  let length = 0
  const onAbort = (): void => void stdin.destroy()
  signal.addEventListener('abort', onAbort, { once: true })
  try {
    for await (const chunk of stdin) {
      chunks.push(chunk)
      length += chunk.length
      if (length > bytesMax) break
    }
  } catch (error) {
    if (!signal.aborted)
      throw new CommandFailure('BAD_REQUEST', EXIT.usage, `standard input cannot be read: ${String(error)}`)
  } finally {
    signal.removeEventListener('abort', onAbort)
  }
  if (signal.aborted) throw new CommandFailure('ABORTED', EXIT.interrupted, 'interrupted; nothing was written')
  if (length > bytesMax) {
    const limit = `the limit is ${bytesMax} bytes`
    throw new CommandFailure('VALUE_TOO_LARGE', EXIT.usage, `what came on standard input is too large; ${limit}`)
  }
  return Buffer.concat(chunks)
}
