// `quorate del`: deletes one key. That it was not there is an answer, not a failure.
import { write } from './data-io.ts'
import type { DataIo } from './data-io.ts'
import type { DelCommandOptions } from './data-options.ts'
import { entryJson, EXIT, writeJson, writeValue } from './output.ts'
import { argumentBytes, runCommand } from './run-command.ts'

export const del = (io: DataIo, key: string, options: DelCommandOptions): Promise<void> =>
  runCommand(io, options, async ({ client, signal }) => {
    const { ifRevision, ifExists, prev } = options
    const result = await client.delete(argumentBytes(key, options.key64, 'KEY'), { signal, ifRevision, ifExists, prev })
    const { deleted, revision, previous } = result
    if (options.json === true) {
      const body = { deleted: deleted ? 1 : 0, revision }
      await writeJson(io, prev === true ? { ...body, prev: previous === undefined ? null : entryJson(previous) } : body)
      return EXIT.ok
    }
    const summary = deleted ? `deleted at revision ${revision}\n` : 'there was no such key\n'
    await write(prev === true ? io.stderr : io.stdout, summary)
    if (previous !== undefined) await writeValue(io, previous.value)
    return EXIT.ok
  })
