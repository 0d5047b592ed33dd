// The ceiling as a system of one node that promises nothing: what the HTTP server itself costs on this machine.
import { execPath } from 'node:process'
import { fileURLToPath } from 'node:url'
import { request } from 'undici'
import { freePorts, ServerProcess } from './server-process.ts'
import { startedSystem, until } from './system.ts'
import type { RunningNode, System } from './system.ts'

const SERVER = fileURLToPath(new URL('../ceiling-server.ts', import.meta.url))

export const ceiling: System = {
  name: 'ceiling',
  version: `Fastify on Node.js ${process.version}`,
  promises: 'none: one process, a Map in memory',
  start: async (dir) => {
    const [port] = await freePorts(1)
    const url = `http://127.0.0.1:${port}`
    const server = new ServerProcess(execPath, ['--import', 'tsx', SERVER, String(port)]).start()
    const node: RunningNode = {
      name: 'ceiling',
      url,
      dataDir: dir,
      process: server,
      ready: () =>
        until(`the ceiling at ${url} answers`, async () => {
          server.assertRunning()
          return (await isAnswering(url)) ? true : undefined
        }).then(() => undefined),
    }
    return startedSystem(dir, [node], () => Promise.resolve(true))
  },
}

async function isAnswering(url: string): Promise<boolean> {
  try {
    const answer = await request(url, { headersTimeout: 1_000 })
    await answer.body.dump()
    return true
  } catch {
    // It is starting: whoever asks waits and asks again, up to a limit.
    return false
  }
}
