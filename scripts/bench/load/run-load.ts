// Runs the load generator in a process of its own and collects what it reports.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { execPath } from 'node:process'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { killAtExit } from '../cleanup.ts'
import type { Target } from './http-connection.ts'
import type { LoadResult } from './load-result.ts'
import type { LoadOptions } from './load.ts'

const GENERATOR = fileURLToPath(new URL('./http-load.ts', import.meta.url))

const DEFAULTS = {
  rate: 0,
  connections: 64,
  seconds: 5,
  keys: 20_000,
  valueBytes: 128,
  seed: 1,
  timeoutMs: 10_000,
  isPrecise: true,
} as const

export type LoadRequest = Pick<LoadOptions, 'targets' | 'dialect' | 'kind'> & Partial<LoadOptions>

export async function runLoad(request: LoadRequest, onStart?: () => void): Promise<LoadResult> {
  const options: LoadOptions = { ...DEFAULTS, ...request }
  const child = spawn(execPath, ['--import', 'tsx', GENERATOR, JSON.stringify(options)], {
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const forget = killAtExit(child)
  let complaint = ''
  child.stderr.on('data', (chunk: Buffer) => {
    complaint = (complaint + chunk.toString()).slice(-2_000)
  })
  const closed = once(child, 'close')
  let result: LoadResult | undefined
  for await (const line of createInterface({ input: child.stdout })) {
    const message = JSON.parse(line) as LoadResult | { readonly started: true }
    if ('started' in message) onStart?.()
    else result = message
  }
  await closed
  forget()
  if (result === undefined) throw new Error(`the load generator ended without a result: ${complaint}`)
  return result
}

/** Writes every key once, through transactions, and fails unless all of them were acknowledged. */
export async function fill(request: Omit<LoadRequest, 'kind'>): Promise<LoadResult> {
  return assertFilled(await runLoad({ connections: 8, timeoutMs: 60_000, ...request, kind: 'fill' }))
}

export function assertFilled(result: LoadResult): LoadResult {
  if (result.errors > 0) throw new Error(`filling failed: ${result.firstError}`)
  return result
}

export const targetOf = (url: string): Target => {
  const { hostname, port } = new URL(url)
  return { host: hostname, port: Number(port) }
}
