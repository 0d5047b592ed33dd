// One server of a system under measurement: starts it, keeps the end of what it logs, signals it, waits for its end.
import { type ChildProcess, spawn } from 'node:child_process'
import { createServer } from 'node:net'
import { killAtExit } from '../cleanup.ts'

/** Enough of a log to see why a process ended. */
const OUTPUT_KEPT = 4_000

export class ServerProcess {
  readonly command: string
  readonly args: readonly string[]
  readonly #environment: Readonly<NodeJS.ProcessEnv>
  #child: ChildProcess | undefined
  #exited: Promise<void> = Promise.resolve()
  #output = ''

  constructor(command: string, args: readonly string[], environment: Readonly<NodeJS.ProcessEnv> = {}) {
    this.command = command
    this.args = args
    this.#environment = environment
  }

  /** 0 before the first start. */
  get pid(): number {
    return this.#child?.pid ?? 0
  }

  get isRunning(): boolean {
    return this.#child !== undefined && this.#child.exitCode === null && this.#child.signalCode === null
  }

  /** The end of what it and its predecessors wrote. */
  get output(): string {
    return this.#output
  }

  start(extra: readonly string[] = []): this {
    if (this.isRunning) throw new Error(`${this.command} ${this.pid} is running already`)
    const child = spawn(this.command, [...this.args, ...extra], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, NO_COLOR: '1', ...this.#environment },
    })
    const keep = (chunk: Buffer): void => {
      this.#output = (this.#output + chunk.toString()).slice(-OUTPUT_KEPT)
    }
    child.stdout.on('data', keep)
    child.stderr.on('data', keep)
    this.#child = child
    const forget = killAtExit(child)
    this.#exited = new Promise((resolve) => {
      child.once('error', (error) => {
        this.#output += String(error)
        forget()
        resolve()
      })
      child.once('close', () => {
        forget()
        resolve()
      })
    })
    return this
  }

  signal(signal: NodeJS.Signals): void {
    this.#child?.kill(signal)
  }

  /** Resolves when the process has ended. */
  exit(): Promise<void> {
    return this.#exited
  }

  /** Ends it, stopped or not, and waits until it is gone. */
  async stop(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    if (this.isRunning) {
      this.signal('SIGCONT')
      this.signal(signal)
    }
    await this.#exited
  }

  /** Throws, with the end of its log, when it has ended of itself. */
  assertRunning(): void {
    if (!this.isRunning) throw new Error(`${this.command} ended; its log ends with: ${this.#output.slice(-1_500)}`)
  }
}

/** Ports of loopback that nothing listens on. All are held until the last is found, so that they differ. */
export async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(
    Array.from(
      { length: count },
      () =>
        new Promise<ReturnType<typeof createServer>>((resolve, reject) => {
          const server = createServer().once('error', reject)
          server.listen(0, '127.0.0.1', () => resolve(server))
        }),
    ),
  )
  const ports = servers.map((server) => {
    const address = server.address()
    if (address === null || typeof address === 'string') throw new Error('a listening socket has no port')
    return address.port
  })
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))))
  return ports
}
