// `quorate get`: reads one key, or lists a range. The value of one key goes to stdout byte for byte, everything else to stderr.
import type { GetResult, ReadOptions } from '../client/index.ts'
import { write } from './data-io.ts'
import type { DataIo } from './data-io.ts'
import { keysOf } from './data-options.ts'
import type { GetCommandOptions } from './data-options.ts'
import { CommandFailure, entryJson, EXIT, printable, shownBytes, writeJson, writeValue } from './output.ts'
import { argumentBytes, boundsOf, runCommand } from './run-command.ts'
import type { CommandContext } from './run-command.ts'

export const get = (io: DataIo, key: string | undefined, options: GetCommandOptions): Promise<void> =>
  runCommand(io, options, async (context) => {
    const keys = keysOf(key, options)
    if (keys === undefined)
      throw new CommandFailure('BAD_PARAMETER', EXIT.usage, 'give one KEY, or a range: --prefix, --from or --to')
    if (keys === 'range') return getRange(context, options)
    return getOne(context, key!, options)
  })

async function getOne(
  { client, io, signal }: CommandContext,
  key: string,
  options: GetCommandOptions,
): Promise<number> {
  for (const name of ['limit', 'keysOnly', 'count', 'reverse'] as const) {
    if (options[name] !== undefined)
      throw new CommandFailure('BAD_PARAMETER', EXIT.usage, `${name} is for ranges: --prefix, --from or --to`)
  }
  const entry = await client.get(argumentBytes(key, options.key64, 'KEY'), {
    signal,
    revision: options.revision,
    ...freshness(options),
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
}

/** One line for each entry: for people and for pipes. Values byte for byte are what --json is for. */
async function getRange({ client, io, signal }: CommandContext, options: GetCommandOptions): Promise<number> {
  const { limit, keysOnly, reverse, revision } = options
  const range = { ...boundsOf(options), signal, revision, ...freshness(options) }
  if (options.count === true) {
    const count = await client.count(range)
    if (options.json === true) await writeJson(io, { count })
    else await write(io.stdout, `${count}\n`)
    return EXIT.ok
  }
  for await (const entry of client.list({ ...range, limit, keysOnly, reverse })) {
    if (options.json === true) {
      const { value: _value, value64: _value64, ...meta } = entryJson(entry)
      await writeJson(io, keysOnly === true ? meta : entryJson(entry))
    } else {
      const key = shownBytes(entry.key)
      await write(io.stdout, keysOnly === true ? `${key}\n` : `${key}\t${shownBytes(entry.value)}\n`)
    }
  }
  return EXIT.ok
}

const freshness = ({ consistency, maxStale, minRevision }: GetCommandOptions): ReadOptions => ({
  consistency,
  maxStaleMs: maxStale,
  minRevision,
})

function metaText(entry: GetResult): string {
  const lines: readonly (readonly [string, string | number | undefined])[] = [
    ['revision', entry.revision],
    ['created at revision', entry.createRevision],
    ['version', entry.version],
    ['content type', printable(entry.contentType)],
    ['size', `${entry.value.length} bytes`],
    ['lease', entry.lease],
    ['time to live', entry.ttlMs === undefined ? undefined : `${entry.ttlMs} ms`],
    ['read at store revision', entry.storeRevision],
    ['staleness', entry.stalenessMs === undefined ? undefined : `${entry.stalenessMs} ms`],
  ]
  return lines.flatMap(([name, value]) => (value === undefined ? [] : [`${name}: ${value}\n`])).join('')
}
