// Runs the load generator with the TypeScript client in a process of its own.
import { execPath } from 'node:process'
import { fileURLToPath } from 'node:url'
import type { ClientLoadOptions } from './client-load.ts'
import type { LoadResult } from './load-result.ts'
import { BENCH_KEYS, BENCH_VALUE_BYTES } from './requests.ts'
import { runJson } from './run-json.ts'

const GENERATOR = fileURLToPath(new URL('./client-load.ts', import.meta.url))

const DEFAULTS = {
  callers: 64,
  batch: 128,
  seconds: 5,
  keys: BENCH_KEYS,
  keyBytes: 0,
  valueBytes: BENCH_VALUE_BYTES,
  rate: 0,
  seed: 1,
} as const

export type ClientLoadRequest = Pick<ClientLoadOptions, 'endpoints' | 'kind'> & Partial<ClientLoadOptions>

export function runClientLoad(request: ClientLoadRequest): Promise<LoadResult> {
  const options: ClientLoadOptions = { ...DEFAULTS, ...request }
  return runJson(execPath, ['--import', 'tsx', GENERATOR, JSON.stringify(options)])
}
