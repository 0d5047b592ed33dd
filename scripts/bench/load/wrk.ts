// Closed-loop load over HTTP with wrk, the same for each store: requests that are prepared beforehand and chosen uniformly, so that
// the generator stays cheap.
import { execFile } from 'node:child_process'
import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { fileURLToPath } from 'node:url'
import { runText } from './run-json.ts'
import type { LoadResult } from './load-result.ts'
import { keyName, randomFrom, Requests } from './requests.ts'
import type { Dialect } from './requests.ts'

export const WRK_INSTALL = 'apt-get install wrk'

const SCRIPT = fileURLToPath(new URL('./prepared.lua', import.meta.url))

export async function isWrkInstalled(): Promise<boolean> {
  try {
    await promisify(execFile)('wrk', ['--version'])
    return true
  } catch (error) {
    // It prints its version, and ends with 1.
    return (error as NodeJS.ErrnoException).code !== 'ENOENT'
  }
}

export interface WrkOptions {
  /** Where the prepared requests lie; they are written at the first use. */
  readonly folder: string
  readonly url: string
  readonly dialect: Dialect
  readonly kind: 'put' | 'get'
  readonly keys: number
  readonly valueBytes: number
  readonly connections: number
  readonly seconds: number
  readonly seed: number
}

export async function runWrk(options: WrkOptions): Promise<LoadResult> {
  const file = prepare(options)
  const { url, connections, seconds, seed } = options
  const args = ['-t1', `-c${connections}`, `-d${seconds}s`, '--timeout', '10s', '--latency', '-s', SCRIPT]
  const output = await runText('wrk', [...args, url, '--', file, String(seed)])
  const line = output.split('\n').find((text) => text.startsWith('{'))
  if (line === undefined) throw new Error(`wrk printed no result: ${output.slice(-1_000)}`)
  return JSON.parse(line) as LoadResult
}

function prepare(options: WrkOptions): string {
  const { folder, dialect, kind, keys, valueBytes } = options
  const file = join(folder, `${dialect}-${kind}-${keys}-${valueBytes}.requests`)
  if (existsSync(file)) return file
  const requests = new Requests(dialect, valueBytes, randomFrom(keys))
  const lines = Array.from({ length: keys }, (_, at) => {
    const request = kind === 'put' ? requests.put(keyName(at)) : requests.get(keyName(at))
    return `${request.length}\n${request}`
  })
  writeFileSync(file, lines.join(''), 'latin1')
  return file
}
