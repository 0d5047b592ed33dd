// Debian's NATS server with JetStream, whose key-value interface is a further column of throughput. It promises less, and says so.
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { request } from 'undici'
import { freePorts, ServerProcess } from './server-process.ts'
import { startedSystem, until } from './system.ts'
import type { RunningNode, RunningSystem, StartOptions, System } from './system.ts'

export const NATS_INSTALL = 'apt-get install nats-server'

/** Undefined where it is not installed. */
export async function findNats(): Promise<System | undefined> {
  try {
    const { stdout } = await promisify(execFile)('nats-server', ['--version'])
    return {
      name: 'NATS JetStream KV',
      version: /v(\d\S*)/.exec(stdout)?.[1] ?? 'of unknown version',
      promises:
        'less than the others: a put is in the files of a majority before the answer, but these are synced every two minutes only, so that a power cut loses acknowledged writes; a get is answered by any replica, and not linearizable; default settings, three replicas',
      start,
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}

async function start(dir: string, { nodes: count }: StartOptions): Promise<RunningSystem> {
  const ports = await freePorts(3 * count)
  const routes = Array.from({ length: count }, (_, at) => `nats://127.0.0.1:${ports[3 * at + 1]}`)
  const nodes = routes.map((route, at) => {
    const [client, monitor] = [ports[3 * at], ports[3 * at + 2]]
    const name = `s${at + 1}`
    const dataDir = join(dir, name)
    const identity = ['--server_name', name, '--addr', '127.0.0.1', '--port', String(client)]
    const cluster = ['--cluster_name', 'bench', '--cluster', route, '--routes', routes.join(',')]
    const rest = ['--jetstream', '--store_dir', dataDir, '--http_port', String(monitor)]
    const process = new ServerProcess('nats-server', [...identity, ...cluster, ...rest]).start()
    return node({ name, url: `nats://127.0.0.1:${client}`, dataDir, process }, `http://127.0.0.1:${monitor}`)
  })
  return startedSystem(dir, nodes, (each) => each.isLeading())
}

interface NatsNode extends RunningNode {
  /** The cluster's own state; the replicas of a bucket elect theirs, which the generator finds. */
  isLeading(): Promise<boolean>
}

const node = (given: Omit<RunningNode, 'ready'>, monitor: string): NatsNode => ({
  ...given,
  ready: () =>
    until(`${given.name} at ${given.url} is healthy`, async () => {
      given.process.assertRunning()
      return (await ask(`${monitor}/healthz`))?.['status'] === 'ok' ? true : undefined
    }).then(() => undefined),
  isLeading: async () => {
    const meta = (await ask(`${monitor}/jsz`))?.['meta_cluster'] as { readonly leader?: string } | undefined
    return meta?.leader === given.name
  },
})

async function ask(url: string): Promise<Record<string, unknown> | undefined> {
  try {
    const answer = await request(url, { headersTimeout: 1_000, bodyTimeout: 1_000 })
    const json = (await answer.body.json()) as Record<string, unknown>
    return answer.statusCode === 200 ? json : undefined
  } catch {
    // It is down or starting: whoever asks waits and asks again, up to a limit.
    return undefined
  }
}
