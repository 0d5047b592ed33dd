// `quorate status`: what each node says of itself, and which ones do not answer.
import { ClientError } from '../client/index.ts'
import type { Client, NodeStatus } from '../client/index.ts'
import { write } from './data-io.ts'
import type { DataIo } from './data-io.ts'
import type { CommonOptions } from './data-options.ts'
import { errorJson, EXIT, printable, writeJson } from './output.ts'
import { runCommand } from './run-command.ts'
import { tableText } from './table.ts'
import type { Cell } from './table.ts'

interface Answer {
  readonly endpoint: string
  readonly result: NodeStatus | ClientError
}

const HEAD = [
  'ENDPOINT',
  'NODE',
  'ROLE',
  'TERM',
  'LEADER',
  'REVISION',
  'APPLIED',
  'COMMITTED',
  'LOG',
  'STATE',
  'UPTIME',
  'VERSION',
]

export const status = (io: DataIo, options: CommonOptions): Promise<void> =>
  runCommand(io, options, async ({ client, signal }) => {
    const answers = await Promise.all(client.endpoints.map((endpoint) => ask(client, endpoint, signal)))
    const failures = answers.flatMap(({ endpoint, result }) =>
      result instanceof ClientError ? [`${endpoint}: ${printable(result.message)}\n`] : [],
    )
    if (options.json === true) await writeJson(io, answers.map(answerJson))
    else {
      await write(io.stdout, tableText(HEAD, answers.map(row)))
      if (failures.length > 0) await write(io.stderr, failures.join(''))
    }
    return failures.length === answers.length ? EXIT.unavailable : EXIT.ok
  })

async function ask(client: Client, endpoint: string, signal: AbortSignal): Promise<Answer> {
  try {
    return { endpoint, result: await client.status(endpoint, { signal }) }
  } catch (error) {
    if (!(error instanceof ClientError) || error.code === 'ABORTED') throw error
    return { endpoint, result: error }
  }
}

const answerJson = ({ endpoint, result }: Answer): unknown =>
  result instanceof ClientError ? { endpoint, error: errorJson(result) } : { endpoint, ...result }

function row({ endpoint, result }: Answer): Cell[] {
  if (result instanceof ClientError) return [endpoint, null, 'no answer', ...HEAD.slice(3).map(() => null)]
  const { name, role, term, leader, revision, appliedIndex, commitIndex, logBytes, dbBytes, uptimeMs, version } = result
  return [
    endpoint,
    name,
    role,
    term,
    leader?.name ?? 'none',
    revision,
    appliedIndex,
    commitIndex,
    sizeText(logBytes),
    sizeText(dbBytes),
    uptimeText(uptimeMs),
    version,
  ]
}

const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB'] as const

/** 1536 is 1.5 KiB. */
export function sizeText(bytes: number): string {
  let size = bytes
  let unit = 0
  while (size >= 1024 && unit < UNITS.length - 1) {
    size /= 1024
    unit++
  }
  return `${unit === 0 || size >= 100 ? Math.round(size) : size.toFixed(1)} ${UNITS[unit]}`
}

/** The two largest units: 1h 2m, 3d 4h, 12s. */
export function uptimeText(ms: number): string {
  const seconds = Math.floor(ms / 1_000)
  const parts: readonly (readonly [number, string])[] = [
    [Math.floor(seconds / 86_400), 'd'],
    [Math.floor(seconds / 3_600) % 24, 'h'],
    [Math.floor(seconds / 60) % 60, 'm'],
    [seconds % 60, 's'],
  ]
  const first = parts.findIndex(([count]) => count > 0)
  if (first === -1) return '0s'
  return parts
    .slice(first, first + 2)
    .map(([count, unit]) => `${count}${unit}`)
    .join(' ')
}
