// `quorate put`: writes one key, from the command line or from standard input.
import { WIRE_LIMITS } from '../api/limits.ts'
import type { PutOptions } from '../client/index.ts'
import { write } from './data-io.ts'
import type { DataIo } from './data-io.ts'
import type { PutCommandOptions } from './data-options.ts'
import { CommandFailure, entryJson, EXIT, writeJson, writeValue } from './output.ts'
import { argumentBytes, runCommand } from './run-command.ts'

export const put = (io: DataIo, key: string, value: string, options: PutCommandOptions): Promise<void> =>
  runCommand(io, options, async ({ client, signal }) => {
    const bytes =
      value === '-' && options.value64 !== true
        ? await readStdin(io, signal)
        : argumentBytes(value, options.value64, 'VALUE')
    const putOptions: PutOptions = {
      signal,
      ifRevision: options.ifRevision,
      ifAbsent: options.ifAbsent,
      ifExists: options.ifExists,
      contentType: options.contentType,
      prev: options.prev,
    }
    const { revision, created, previous } = await client.put(
      argumentBytes(key, options.key64, 'KEY'),
      bytes,
      putOptions,
    )
    if (options.json === true) {
      const prev = options.prev === true ? { prev: previous === undefined ? null : entryJson(previous) } : {}
      await writeJson(io, { revision, created, ...prev })
      return EXIT.ok
    }
    // With --prev the data is the previous value, and the summary a message beside it.
    await write(
      options.prev === true ? io.stderr : io.stdout,
      `${created ? 'created' : 'replaced'} at revision ${revision}\n`,
    )
    if (previous !== undefined) await writeValue(io, previous.value)
    return EXIT.ok
  })

/** All of it, but never more than a value may have. */
async function readStdin(io: DataIo, signal: AbortSignal): Promise<Uint8Array> {
  const { stdin } = io
  const chunks: Uint8Array[] = []
  let length = 0
  const onAbort = (): void => void stdin.destroy()
  signal.addEventListener('abort', onAbort, { once: true })
  try {
    for await (const chunk of stdin) {
      chunks.push(chunk)
      length += chunk.length
      if (length > WIRE_LIMITS.valueBytesMax) break
    }
  } catch (error) {
    if (!signal.aborted)
      throw new CommandFailure('BAD_REQUEST', EXIT.usage, `standard input cannot be read: ${String(error)}`)
  } finally {
    signal.removeEventListener('abort', onAbort)
  }
  if (signal.aborted) throw new CommandFailure('ABORTED', EXIT.interrupted, 'interrupted; nothing was written')
  if (length > WIRE_LIMITS.valueBytesMax) {
    const limit = `the limit is ${WIRE_LIMITS.valueBytesMax} bytes`
    throw new CommandFailure('VALUE_TOO_LARGE', EXIT.usage, `the value on standard input is too large; ${limit}`)
  }
  return Buffer.concat(chunks)
}
