// `quorate put`: writes one key, from the command line or from standard input.
import { WIRE_LIMITS } from '../api/limits.ts'
import type { PutOptions } from '../client/index.ts'
import { write } from './data-io.ts'
import type { DataIo } from './data-io.ts'
import type { PutCommandOptions } from './data-options.ts'
import { entryJson, EXIT, writeJson, writeValue } from './output.ts'
import { readStdin } from './read-stdin.ts'
import { argumentBytes, runCommand } from './run-command.ts'

export const put = (io: DataIo, key: string, value: string, options: PutCommandOptions): Promise<void> =>
  runCommand(io, options, async ({ client, signal }) => {
    const bytes =
      value === '-' && options.value64 !== true
        ? await readStdin(io, signal, WIRE_LIMITS.valueBytesMax)
        : argumentBytes(value, options.value64, 'VALUE')
    const putOptions: PutOptions = {
      signal,
      ifRevision: options.ifRevision,
      ifAbsent: options.ifAbsent,
      ifExists: options.ifExists,
      contentType: options.contentType,
      prev: options.prev,
      ttlMs: options.ttl,
      lease: options.lease,
      fence: options.fence,
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
