// Quorate as it is built and as users run it: `quorate serve` from dist, default settings, fresh data.
import { join } from 'node:path'
import { execPath } from 'node:process'
import { fileURLToPath } from 'node:url'
import { request } from 'undici'
import type { NodeStatus } from '../../../src/api/status.ts'
import { childEnvironment } from '../../../src/cli/dev-plan.ts'
import { VERSION } from '../../../src/version.ts'
import { freePorts, ServerProcess } from './server-process.ts'
import { peerDoors, startedSystem, until } from './system.ts'
import type { RunningNode, RunningSystem, StartOptions, System } from './system.ts'

/** As `quorate dev` and the image set it. */
const ENVIRONMENT = childEnvironment({})

const BIN = fileURLToPath(new URL('../../../dist/cli/quorate.cjs', import.meta.url))

export const quorate: System = {
  name: 'Quorate',
  version: `${VERSION} on Node.js ${process.version}`,
  promises:
    'a write is on the disks of a majority (O_DSYNC) and applied before the answer; reads are linearizable by a round of the majority; history, digests and sessions are on; default settings',
  start,
}

async function start(dir: string, options: StartOptions): Promise<RunningSystem> {
  const ports = await freePorts(2 * options.nodes)
  const doors = await peerDoors(ports, options)
  const members = doors.map((door, at) => `n${at + 1}=127.0.0.1:${door}`).join(',')
  const nodes = doors.map((door, at) => {
    const name = `n${at + 1}`
    const dataDir = join(dir, name)
    const [listen, peers] = [`127.0.0.1:${ports[2 * at]}`, `127.0.0.1:${ports[2 * at + 1]}`]
    const names = ['--name', name, '--data-dir', dataDir, '--initial-cluster', members]
    const addresses = ['--listen', listen, '--peer-listen', peers, '--peer-advertise', `127.0.0.1:${door}`]
    // The ballast is space set aside once, at the first start; it would count as bytes written.
    const rest = ['--ballast-size', '0', '--log-level', 'warn', ...(options.flags ?? [])]
    const runtime = options.nodeArguments?.(at) ?? []
    const args = [...runtime, BIN, 'serve', ...names, ...addresses, ...rest]
    const server = new ServerProcess(execPath, args, ENVIRONMENT)
    return node(name, `http://${listen}`, dataDir, server.start())
  })
  return startedSystem(dir, nodes, async (node) => (await statusOf(node.url))?.role === 'leader')
}

const node = (name: string, url: string, dataDir: string, process: ServerProcess): RunningNode => ({
  name,
  url,
  dataDir,
  process,
  ready: () =>
    until(`${name} at ${url} is ready`, async () => {
      process.assertRunning()
      return (await answers(`${url}/readyz`)) ? true : undefined
    }).then(() => undefined),
})

/** What a node says of itself; undefined while it does not answer. */
async function statusOf(url: string): Promise<NodeStatus | undefined> {
  try {
    const answer = await request(`${url}/v1/status`, { headersTimeout: 1_000, bodyTimeout: 1_000 })
    const status = (await answer.body.json()) as NodeStatus
    return answer.statusCode === 200 ? status : undefined
  } catch {
    // It is down, stopped or starting: whoever asks waits and asks again, up to a limit.
    return undefined
  }
}

async function answers(url: string): Promise<boolean> {
  try {
    const answer = await request(url, { headersTimeout: 1_000, bodyTimeout: 1_000 })
    await answer.body.dump()
    return answer.statusCode === 200
  } catch {
    // As above.
    return false
  }
}
