// Debian's etcd as it comes, with default settings but for the quota, on fresh data.
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { request } from 'undici'
import { freePorts, ServerProcess } from './server-process.ts'
import { peerDoors, startedSystem, until } from './system.ts'
import type { RunningNode, RunningSystem, StartOptions, System } from './system.ts'

export const ETCD_INSTALL = 'apt-get install etcd-server etcd-client'

/** The default of 2 GiB would end the larger runs; this is the most that its authors advise. */
const QUOTA_BYTES = 8 * 1024 ** 3

/** Undefined where etcd is not installed. */
export async function findEtcd(): Promise<System | undefined> {
  try {
    const { stdout } = await promisify(execFile)('etcd', ['--version'])
    const version = /etcd Version: (\S+)/.exec(stdout)?.[1] ?? 'of unknown version'
    return {
      name: 'etcd',
      version,
      promises:
        'a write is on the disks of a majority (fdatasync of its log) and applied before the answer; reads are linearizable by a round of the majority; default settings, but a quota of 8 GiB and warnings only in its log',
      start,
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}

async function start(dir: string, options: StartOptions): Promise<RunningSystem> {
  const ports = await freePorts(2 * options.nodes)
  const doors = await peerDoors(ports, options)
  const members = doors.map((door, at) => `m${at + 1}=http://127.0.0.1:${door}`).join(',')
  const nodes = doors.map((door, at) => {
    const name = `m${at + 1}`
    const dataDir = join(dir, name)
    const url = `http://127.0.0.1:${ports[2 * at]}`
    const identity = ['--name', name, '--data-dir', dataDir, '--initial-cluster', members]
    const clients = ['--listen-client-urls', url, '--advertise-client-urls', url]
    const peers = ['--listen-peer-urls', `http://127.0.0.1:${ports[2 * at + 1]}`]
    const announced = ['--initial-advertise-peer-urls', `http://127.0.0.1:${door}`]
    const rest = ['--quota-backend-bytes', String(QUOTA_BYTES), '--logger', 'zap', '--log-level', 'warn']
    const server = new ServerProcess('etcd', [
      ...identity,
      ...clients,
      ...peers,
      ...announced,
      ...rest,
      ...(options.flags ?? []),
    ])
    return node(name, url, dataDir, server.start())
  })
  return startedSystem(dir, nodes, isLeader)
}

const node = (name: string, url: string, dataDir: string, process: ServerProcess): RunningNode => ({
  name,
  url,
  dataDir,
  process,
  ready: () =>
    until(`${name} at ${url} is healthy`, async () => {
      process.assertRunning()
      // Its health check is a linearizable read.
      const health = await ask(`${url}/health`, 'GET')
      return health?.['health'] === 'true' ? true : undefined
    }).then(() => undefined),
})

async function isLeader({ url }: RunningNode): Promise<boolean> {
  const status = await ask(`${url}/v3/maintenance/status`, 'POST')
  const header = status?.['header'] as Record<string, unknown> | undefined
  return header !== undefined && header['member_id'] === status?.['leader']
}

async function ask(url: string, method: 'GET' | 'POST'): Promise<Record<string, unknown> | undefined> {
  try {
    const body = method === 'POST' ? '{}' : null
    const answer = await request(url, { method, body, headersTimeout: 1_000, bodyTimeout: 1_000 })
    const json = (await answer.body.json()) as Record<string, unknown>
    return answer.statusCode === 200 ? json : undefined
  } catch {
    // It is down, stopped or starting: whoever asks waits and asks again, up to a limit.
    return undefined
  }
}
