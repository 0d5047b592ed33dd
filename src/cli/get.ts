// `quorate get`: reads one key. The value goes to stdout byte for byte, everything else to stderr.
import type { GetResult } from '../client/index.ts'
import { write } from './data-io.ts'
import type { DataIo } from './data-io.ts'
import type { GetCommandOptions } from './data-options.ts'
import { CommandFailure, entryJson, EXIT, printable, writeJson, writeValue } from './output.ts'
import { argumentBytes, runCommand } from './run-command.ts'

export const get = (io: DataIo, key: string, options: GetCommandOptions): Promise<void> =>
  runCommand(io, options, async ({ client, signal }) => {
    const { consistency, maxStale, minRevision } = options
    const entry = await client.get(argumentBytes(key, options.key64, 'KEY'), {
      signal,
      consistency,
      maxStaleMs: maxStale,
      minRevision,
    })
    if (entry === undefined)
      throw new CommandFailure('KEY_NOT_FOUND', EXIT.notFound, `there is no key ${JSON.stringify(key)}`)
    if (options.json === true) {
      const { storeRevision, stalenessMs } = entry
      await writeJson(io, { ...entryJson(entry), storeRevision, ...(stalenessMs === undefined ? {} : { stalenessMs }) })
      return EXIT.ok
    }
    if (options.meta === true) await write(io.stderr, metaText(entry))
    await writeValue(io, entry.value)
    return EXIT.ok
  })

function metaText(entry: GetResult): string {
  const lines: readonly (readonly [string, string | number | undefined])[] = [
    ['revision', entry.revision],
    ['created at revision', entry.createRevision],
    ['version', entry.version],
    ['content type', printable(entry.contentType)],
    ['size', `${entry.value.length} bytes`],
    ['read at store revision', entry.storeRevision],
    ['staleness', entry.stalenessMs === undefined ? undefined : `${entry.stalenessMs} ms`],
  ]
  return lines.flatMap(([name, value]) => (value === undefined ? [] : [`${name}: ${value}\n`])).join('')
}
