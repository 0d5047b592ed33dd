// Real processes on loopback, as users run them: starts, kills, pauses and restarts `quorate serve`, and waits on states.
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { request } from 'undici'
import type { NodeStatus } from '../../src/api/status.ts'
import { childEnvironment } from '../../src/cli/dev-plan.ts'

const BIN = fileURLToPath(new URL('../../dist/cli/quorate.cjs', import.meta.url))
/** Generous: machines are shared. A wait that takes this long has failed. */
const WAIT_MS = 60_000

export interface Answer {
  readonly status: number
  readonly body: Buffer
  readonly text: string
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
}

export interface ClusterOptions {
  readonly nodes?: number
  readonly flags?: readonly string[]
  /** Where a node's data lives; by default in a temporary directory that is removed at the end. */
  readonly dataDir?: (name: string) => string
}

/** Polls until the claim gives something; the error tells what was awaited, in words that may depend on what there is by then. */
export async function until<T>(
  what: string | (() => string),
  claim: () => T | undefined | false | Promise<T | undefined | false>,
): Promise<T> {
  const endMs = Date.now() + WAIT_MS
  for (;;) {
    const value = await claim()
    if (value !== undefined && value !== false) return value
    if (Date.now() > endMs) throw new Error(`waited ${WAIT_MS} ms in vain: ${typeof what === 'string' ? what : what()}`)
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

/**
 * Below those that the kernel gives out by itself: a node that is not up yet, or is down for a while, finds its port free when it comes.
 * A process has a block of them, because another one's cluster starts at the same time.
 */
const PORTS_FROM = 12_000
const PORTS_TO = 32_000
const PORTS_A_BLOCK = 200

/** Resolves with a server on the port, or with nothing where somebody has it. */
const listen = (port: number): Promise<Server | undefined> =>
  new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EADDRINUSE') resolve(undefined)
      else reject(error)
    })
    server.listen(port, '127.0.0.1', () => resolve(server))
  })

/** Resolves with the first port of a block. Who listens on it has the others, and does for as long as the process lives. */
async function claimBlock(): Promise<number> {
  for (let first = PORTS_FROM; first < PORTS_TO; first += PORTS_A_BLOCK) {
    const claim = await listen(first)
    if (claim === undefined) continue
    claim.unref()
    return first
  }
  throw new Error(`somebody listens on each ${PORTS_A_BLOCK}th port from ${PORTS_FROM} to ${PORTS_TO}`)
}

let block: Promise<number> | undefined
let portsTaken = 0

async function freePorts(count: number): Promise<number[]> {
  const first = await (block ??= claimBlock())
  const ports: number[] = []
  while (ports.length < count) {
    const port = first + 1 + (portsTaken++ % (PORTS_A_BLOCK - 1))
    // Whoever held the block before may have left nodes that run.
    const server = await listen(port)
    if (server === undefined) continue
    await new Promise((resolve) => server.close(resolve))
    ports.push(port)
  }
  return ports
}

/** One member: its process, when it runs, and its address. */
export class RealNode {
  readonly name: string
  readonly url: string
  readonly dataDir: string
  readonly args: readonly string[]
  #child: ChildProcess | undefined
  #output = ''
  #exited: Promise<number | string> = Promise.resolve(0)

  constructor(name: string, url: string, dataDir: string, args: readonly string[]) {
    this.name = name
    this.url = url
    this.dataDir = dataDir
    this.args = args
  }

  /** All that the process and its predecessors wrote to stderr. */
  get output(): string {
    return this.#output
  }

  get pid(): number {
    return this.#child?.pid ?? 0
  }

  /** A process that is stopped runs too. */
  get isRunning(): boolean {
    return this.#child !== undefined && this.#child.exitCode === null && this.#child.signalCode === null
  }

  start(extra: readonly string[] = [], env: Readonly<Record<string, string>> = {}): this {
    const child = spawn(process.execPath, [BIN, 'serve', ...this.args, ...extra], {
      stdio: ['ignore', 'ignore', 'pipe'],
      // The allocator's setting is that of `quorate dev` and of the image.
      env: { ...childEnvironment(process.env), NO_COLOR: '1', ...env },
    })
    child.stderr.on('data', (chunk: Buffer) => {
      this.#output += chunk.toString()
    })
    this.#child = child
    this.#exited = new Promise((resolve) => child.once('close', (code, signal) => resolve(code ?? signal ?? 0)))
    return this
  }

  signal(signal: NodeJS.Signals): void {
    this.#child?.kill(signal)
  }

  /** Resolves with the exit code, or the signal that ended it. */
  exit(): Promise<number | string> {
    return this.#exited
  }

  async stop(signal: NodeJS.Signals = 'SIGKILL'): Promise<number | string> {
    if (this.isRunning) {
      if (signal === 'SIGKILL') this.signal('SIGCONT')
      this.signal(signal)
    }
    return this.#exited
  }

  async http(method: 'GET' | 'PUT' | 'DELETE' | 'POST', path: string, body?: string | Uint8Array): Promise<Answer> {
    const answer = await request(`${this.url}${path}`, { method, body: body ?? null, headersTimeout: 70_000 })
    const bytes = Buffer.from(await answer.body.arrayBuffer())
    return { status: answer.statusCode, body: bytes, text: bytes.toString(), headers: answer.headers }
  }

  async status(): Promise<NodeStatus | undefined> {
    try {
      const answer = await this.http('GET', '/v1/status')
      return answer.status === 200 ? (JSON.parse(answer.text) as NodeStatus) : undefined
    } catch {
      return undefined
    }
  }

  ready(): Promise<unknown> {
    return until(
      () => `${this.name} is ready; its log ends with: ${this.#output.slice(-1_000)}`,
      async () => {
        const answer = await this.http('GET', '/readyz').catch(() => undefined)
        return answer?.status === 200
      },
    )
  }
}

export class RealCluster {
  readonly nodes: readonly RealNode[]
  readonly initialCluster: string
  readonly #folder: string

  private constructor(folder: string, nodes: readonly RealNode[], initialCluster: string) {
    this.#folder = folder
    this.nodes = nodes
    this.initialCluster = initialCluster
  }

  /** Prepares the members; `start` of each, or {@link RealCluster.start}, runs them. */
  static async create(options: ClusterOptions = {}): Promise<RealCluster> {
    const folder = await mkdtemp(join(tmpdir(), 'quorate-cluster-'))
    const count = options.nodes ?? 3
    const ports = await freePorts(2 * count)
    const names = Array.from({ length: count }, (_, at) => `n${at + 1}`)
    const initialCluster = names.map((name, at) => `${name}=127.0.0.1:${ports[2 * at + 1]}`).join(',')
    const nodes = names.map((name, at) => {
      const dataDir = options.dataDir?.(name) ?? join(folder, name)
      const [http, peer] = [`127.0.0.1:${ports[2 * at]}`, `127.0.0.1:${ports[2 * at + 1]}`]
      const args = [
        '--name',
        name,
        '--data-dir',
        dataDir,
        '--listen',
        http,
        '--peer-listen',
        peer,
        '--initial-cluster',
        initialCluster,
      ]
      return new RealNode(name, `http://${http}`, dataDir, [...args, '--ballast-size', '0', ...(options.flags ?? [])])
    })
    return new RealCluster(folder, nodes, initialCluster)
  }

  static async start(options: ClusterOptions = {}): Promise<RealCluster> {
    const cluster = await RealCluster.create(options)
    try {
      await cluster.whole()
    } catch (error) {
      await cluster.close()
      throw error
    }
    return cluster
  }

  /** As a test wants to find a cluster that others have used: all members run, and serve. */
  async whole(): Promise<void> {
    for (const node of this.nodes) {
      if (node.isRunning) node.signal('SIGCONT')
      else node.start()
    }
    await Promise.all(this.nodes.map((node) => node.ready()))
  }

  get urls(): string[] {
    return this.nodes.map((node) => node.url)
  }

  node(name: string): RealNode {
    const found = this.nodes.find((node) => node.name === name)
    if (found === undefined) throw new Error(`there is no node ${name}`)
    return found
  }

  /** The node that leads in the highest term that anybody reports. */
  leader(among: readonly RealNode[] = this.nodes): Promise<RealNode> {
    return until('there is a leader', async () => {
      const all = await Promise.all(among.map((node) => node.status()))
      const best = all.filter((status) => status !== undefined).sort((a, b) => b.term - a.term)[0]
      const leader = all.find((status) => status?.role === 'leader' && status.term === best?.term)
      return leader && this.node(leader.name)
    })
  }

  async followers(): Promise<RealNode[]> {
    const leader = await this.leader()
    return this.nodes.filter((node) => node !== leader)
  }

  /** All have applied the same, and are equal as far as a status can tell. */
  converged(): Promise<unknown> {
    return until('all nodes have applied the same', async () => {
      const all = await Promise.all(this.nodes.map((node) => node.status()))
      return all.every(
        (status) =>
          status !== undefined && status.appliedIndex === all[0]?.appliedIndex && status.revision === all[0].revision,
      )
    })
  }

  async close(): Promise<void> {
    await Promise.all(this.nodes.map((node) => node.stop()))
    await rm(this.#folder, { recursive: true, force: true })
  }
}
