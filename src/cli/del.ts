// `quorate del`: deletes one key, or a range in one revision. That it was not there is an answer, not a failure.
import { write } from './data-io.ts'
import type { DataIo } from './data-io.ts'
import { keysOf } from './data-options.ts'
import type { DelCommandOptions } from './data-options.ts'
import { CommandFailure, entryJson, EXIT, writeJson, writeValue } from './output.ts'
import { argumentBytes, boundsOf, runCommand } from './run-command.ts'
import type { CommandContext } from './run-command.ts'

export const del = (io: DataIo, key: string | undefined, options: DelCommandOptions): Promise<void> =>
  runCommand(io, options, async (context) => {
    const { client, signal } = context
    const { ifRevision, ifExists, prev, fence } = options
    const keys = keysOf(key, options)
    if (keys === undefined)
      throw new CommandFailure('BAD_PARAMETER', EXIT.usage, 'give one KEY, or a range: --prefix, --from or --to')
    if (keys === 'range') return delRange(context, options)
    const name = argumentBytes(key!, options.key64, 'KEY')
    const result = await client.delete(name, { signal, ifRevision, ifExists, prev, fence })
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

async function delRange({ client, io, signal }: CommandContext, options: DelCommandOptions): Promise<number> {
  for (const name of ['ifRevision', 'ifExists', 'prev'] as const) {
    if (options[name] !== undefined)
      throw new CommandFailure('BAD_PARAMETER', EXIT.usage, `${name} is for one key, not for a range`)
  }
  const { deleted, revision } = await client.deleteRange({ ...boundsOf(options), fence: options.fence, signal })
  if (options.json === true) await writeJson(io, { deleted, revision })
  else await write(io.stdout, `${deleted} ${deleted === 1 ? 'key' : 'keys'} deleted at revision ${revision}\n`)
  return EXIT.ok
}
