// Builds the load generator that drives a store with the store's own Go client, from what Debian packages, and runs it.
import { execFile } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { fileURLToPath } from 'node:url'
import { runJson } from './run-json.ts'
import type { LoadResult } from './load-result.ts'

export type GoStore = 'etcd' | 'nats' | 'zookeeper'

export const GO_LOAD_INSTALL: Readonly<Record<GoStore, string>> = {
  etcd: 'apt-get install golang-go golang-etcd-server-dev',
  nats: 'apt-get install golang-go golang-github-nats-io-go-nats-dev',
  zookeeper: 'apt-get install golang-go golang-github-samuel-go-zookeeper-dev',
}

const SOURCE = fileURLToPath(new URL('./go', import.meta.url))
const DEBIAN_LIBRARIES = '/usr/share/gocode'

/** Gives the program's path, or says why there is none. */
export async function buildGoLoad(
  store: GoStore,
  folder: string,
): Promise<{ readonly path: string } | { readonly absent: string }> {
  const workspace = join(folder, 'go')
  mkdirSync(join(workspace, 'src'), { recursive: true })
  const path = join(folder, `${store}-load`)
  const env = {
    ...process.env,
    GO111MODULE: 'off',
    GOFLAGS: '',
    GOPATH: `${workspace}:${DEBIAN_LIBRARIES}`,
    GOTOOLCHAIN: 'local',
  }
  try {
    await promisify(execFile)('go', ['build', '-tags', store, '-o', path, '.'], { cwd: SOURCE, env })
    return { path }
  } catch (error) {
    const { code, stderr } = error as NodeJS.ErrnoException & { readonly stderr?: string }
    if (code === 'ENOENT') return { absent: 'Go is not installed' }
    return { absent: `it does not build: ${(stderr ?? String(error)).split('\n').slice(0, 3).join(' ')}` }
  }
}

export interface GoLoadOptions {
  readonly endpoints: readonly string[]
  readonly op: 'put' | 'get' | 'txn' | 'fill'
  readonly clients?: number
  readonly connections?: number
  readonly seconds?: number
  readonly keys?: number
  /** Of a fill: the first key's number. */
  readonly from?: number
  readonly keyBytes?: number
  readonly valueBytes?: number
  readonly batch?: number
  /** Operations a second, open loop. */
  readonly rate?: number
  readonly timeoutMs?: number
  readonly seed?: number
}

const FLAGS: Readonly<Record<string, string>> = {
  keyBytes: 'key-bytes',
  valueBytes: 'value-bytes',
  timeoutMs: 'timeout-ms',
}

export function runGoLoad(path: string, options: GoLoadOptions): Promise<LoadResult> {
  const args = Object.entries(options).flatMap(([name, value]) => [
    `-${FLAGS[name] ?? name}`,
    Array.isArray(value) ? value.join(',') : String(value),
  ])
  return runJson<LoadResult>(path, args)
}
