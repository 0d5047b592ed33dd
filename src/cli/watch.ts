// `quorate watch`: changes as they happen, one line each, until Ctrl-C. Goes on over the death of nodes.
import { ClientError } from '../client/index.ts'
import type { WatchEvent } from '../client/index.ts'
import { write } from './data-io.ts'
import type { DataIo } from './data-io.ts'
import type { WatchCommandOptions } from './data-options.ts'
import { CommandFailure, entryJson, EXIT, keyJson, shownBytes } from './output.ts'
import { argumentBytes, boundsOf, runCommand } from './run-command.ts'

export const watch = (io: DataIo, key: string | undefined, options: WatchCommandOptions): Promise<void> =>
  runCommand(io, options, async ({ client, signal }) => {
    const { revision, initial, prev, prefix, from, to } = options
    if (key !== undefined && (prefix ?? from ?? to) !== undefined)
      throw new CommandFailure('BAD_PARAMETER', EXIT.usage, 'give one KEY, or a range: --prefix, --from or --to')
    if (initial === true && revision !== undefined)
      throw new CommandFailure(
        'BAD_PARAMETER',
        EXIT.usage,
        '--initial begins with what is there now: not with --revision',
      )
    const one = key === undefined ? {} : { key: argumentBytes(key, options.key64, 'KEY') }
    const watcher = client.watch({ ...one, ...boundsOf(options), revision, initial, prev, signal })
    const line = options.json === true ? jsonLine : prettyLine
    try {
      for await (const event of watcher) await write(io.stdout, line(event))
    } catch (error) {
      // Ctrl-C is how a watch ends.
      if (!(error instanceof ClientError) || error.code !== 'ABORTED') throw error
    }
    return EXIT.ok
  })

/** As the HTTP interface spells it. */
function jsonLine(event: WatchEvent): string {
  const { kind, revision } = event
  if (kind === 'sync') return `${JSON.stringify({ event: 'sync', revision })}\n`
  const entry = kind === 'put' ? entryJson(event.entry) : keyJson(event.key)
  const prev = event.previous === undefined ? {} : { prev: entryJson(event.previous) }
  return `${JSON.stringify({ event: kind, revision, ...entry, ...prev })}\n`
}

function prettyLine(event: WatchEvent): string {
  if (event.kind === 'sync') return `${event.revision}\tsync\n`
  const before = event.previous === undefined ? '' : `\t(was ${shownBytes(event.previous.value)})`
  const value = event.kind === 'put' ? `\t${shownBytes(event.entry.value)}` : ''
  return `${event.revision}\t${event.kind}\t${shownBytes(event.key)}${value}${before}\n`
}
