// Runs the load generator with the TypeScript client in a process of its own.
import { execPath } from 'node:process'
import { fileURLToPath } from 'node:url'
import type { ClientLoadOptions } from './client-load.ts'
import type { LoadResult } from './load-result.ts'
import { BENCH_KEYS, BENCH_VALUE_BYTES } from './requests.ts'
import { runText } from './run-json.ts'

const GENERATOR = fileURLToPath(new URL('./client-load.ts', import.meta.url))

const DEFAULTS = {
  callers: 64,
  batch: 128,
  from: 0,
  seconds: 5,
  warmsUp: true,
  keys: BENCH_KEYS,
  keyBytes: 0,
  valueBytes: BENCH_VALUE_BYTES,
  rate: 0,
  seed: 1,
} as const

export type ClientLoadRequest = Pick<ClientLoadOptions, 'endpoints' | 'kind'> & Partial<ClientLoadOptions>

/** Calls `onStart` when it has connected and warmed up, and the measurement begins. `nodeArguments` are for Node.js itself. */
export async function runClientLoad(
  request: ClientLoadRequest,
  onStart?: () => void,
  nodeArguments: readonly string[] = [],
): Promise<LoadResult> {
  const options: ClientLoadOptions = { ...DEFAULTS, ...request }
  const output = await runText(
    execPath,
    [...nodeArguments, '--import', 'tsx', GENERATOR, JSON.stringify(options)],
    onStart,
  )
  return JSON.parse(output.trimEnd().split('\n').at(-1)!) as LoadResult
}
