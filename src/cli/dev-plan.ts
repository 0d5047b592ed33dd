// What `quorate dev` is going to run: names, ports, command lines and environments of its nodes. Pure, apart from the look
// into the data directory and at the ports, which both happen before anything is started.
import { readdirSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { makeDirectories } from '../storage/make-directories.ts'

export interface DevOptions {
  readonly nodes: number
  readonly dataDir: string
  readonly basePort: number
  readonly logLevel: string
}

export interface DevNode {
  readonly name: string
  readonly httpPort: number
  readonly peerPort: number
  readonly url: string
  /** Of `quorate serve`. */
  readonly args: readonly string[]
}

/** Wrong usage, or a machine that is not as it must be; the message says what to do. */
export class DevError extends Error {
  override readonly name = 'DevError'
}

export const NODES_MAX = 7
const HOST = '127.0.0.1'
const PORT_STEP = 10

/** For glibc: two arenas, and what is at least a mebibyte goes back to the system when it is freed. */
const GLIBC_MEMORY = { MALLOC_ARENA_MAX: '2', MALLOC_MMAP_THRESHOLD_: '1048576', MALLOC_TRIM_THRESHOLD_: '8388608' }

/** For V8: one thread helps it, and the halves of its young generation have 16 MiB, the default of Node.js 20, on later ones, too. */
const V8_OPTIONS = ['--v8-pool-size=1', '--max-semi-space-size=16']

/** Settings that each node has for itself. Inherited from the environment they would be the same for all, and wrong. */
const OWN_VARIABLES = [
  'QUORATE_CONFIG',
  'QUORATE_NAME',
  'QUORATE_DATA_DIR',
  'QUORATE_LISTEN',
  'QUORATE_PEER_LISTEN',
  'QUORATE_INITIAL_CLUSTER',
  'QUORATE_ADVERTISE',
  'QUORATE_PEER_ADVERTISE',
  'QUORATE_LOG_FORMAT',
]

export function planNodes(options: DevOptions): readonly DevNode[] {
  const { nodes, basePort, dataDir, logLevel } = options
  const lastPort = basePort + (nodes - 1) * PORT_STEP + 1
  if (lastPort > 65_535) {
    throw new DevError(`--base-port ${basePort} leaves no room: ${nodes} nodes need ports up to ${lastPort}`)
  }
  const numbers = Array.from({ length: nodes }, (_, at) => at)
  const httpPort = (at: number): number => basePort + at * PORT_STEP
  const initialCluster = numbers.map((at) => `n${at + 1}=${HOST}:${httpPort(at) + 1}`).join(',')
  return numbers.map((at) => {
    const name = `n${at + 1}`
    const own = [`--name=${name}`, `--data-dir=${join(dataDir, name)}`]
    const listen = [`--listen=${HOST}:${httpPort(at)}`, `--peer-listen=${HOST}:${httpPort(at) + 1}`]
    const shared = [`--initial-cluster=${initialCluster}`, `--log-level=${logLevel}`, '--log-format=pretty']
    return {
      name,
      httpPort: httpPort(at),
      peerPort: httpPort(at) + 1,
      url: `http://${HOST}:${httpPort(at)}`,
      args: [...own, ...listen, ...shared],
    }
  })
}

/**
 * The environment of the nodes: this process's, without what each node has for itself, and with what is read before any code of ours
 * runs. In each of many arenas glibc keeps what threads gave back, and in their midst the holes that large buffers left, together a
 * sixth of a node's memory, and in a young generation as large as that of Node.js 24 what is dead keeps buffers alive
 * (decisions/memory.md); several threads that help V8 to collect garbage keep the one that serves from its processor
 * (decisions/one-helper-for-v8.md).
 */
export function childEnvironment(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  // Of an option that is given twice the last one counts.
  const nodeOptions = [...V8_OPTIONS, env['NODE_OPTIONS'] ?? ''].join(' ').trim()
  const copy: NodeJS.ProcessEnv = { ...GLIBC_MEMORY, ...env, NODE_OPTIONS: nodeOptions }
  for (const variable of OWN_VARIABLES) delete copy[variable]
  return copy
}

/**
 * Makes the nodes' directories. A cluster's size is fixed when it is founded: nodes that are started with another list
 * would wait for each other for ever, so a directory of another size is refused.
 */
export function prepareDirectory(options: DevOptions): void {
  const { dataDir, nodes } = options
  try {
    makeDirectories(dataDir, 0o777)
    const found = readdirSync(dataDir).filter((name) => /^n[1-9]$/.test(name))
    if (found.length > 0 && found.length !== nodes) {
      const folders = found.sort().map((name) => shellQuote(join(dataDir, name)))
      throw new DevError(
        `${dataDir} holds a cluster of ${found.length} (${found.join(', ')}), but --nodes is ${nodes}.\n` +
          `Start it with --nodes ${found.length}, choose another --data-dir, or give that cluster up:\n  rm -r ${folders.join(' ')}`,
      )
    }
    for (let number = 1; number <= nodes; number++) makeDirectories(join(dataDir, `n${number}`), 0o777)
  } catch (error) {
    if (error instanceof DevError) throw error
    throw new DevError(
      `--data-dir ${dataDir} cannot be used: ${error instanceof Error ? error.message : String(error)}`,
    )
  }
}

/** Finds a taken port before any node runs into it, and says which flag moves all of them. */
export async function checkPorts(nodes: readonly DevNode[]): Promise<void> {
  for (const { name, httpPort, peerPort } of nodes) {
    for (const port of [httpPort, peerPort]) {
      const reason = await tryListen(port)
      if (reason === undefined) continue
      throw new DevError(
        `port ${port}, which ${name} needs, cannot be used (${reason}). Stop the process that has it, or choose other ports with --base-port`,
      )
    }
  }
}

function tryListen(port: number): Promise<string | undefined> {
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message))
    server.listen({ host: HOST, port, exclusive: true }, () => server.close(() => resolve(undefined)))
  })
}

export const shellQuote = (text: string): string =>
  /^[A-Za-z0-9_./@%+=:,-]+$/.test(text) ? text : `'${text.replaceAll("'", String.raw`'\''`)}'`
