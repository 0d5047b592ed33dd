// The nodes of `quorate dev` as child processes: started, restarted when they die, and stopped together. Each child has a
// process group of its own, so that Ctrl-C reaches it once, through us; and a channel to us, so that it notices our end.
import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import type { Writable } from 'node:stream'
import { prefixLines } from './dev-output.ts'
import type { DevNode } from './dev-plan.ts'

export interface SupervisorOptions {
  readonly nodes: readonly DevNode[]
  /** The program and the arguments before a node's own. */
  readonly command: readonly [string, ...string[]]
  readonly env: NodeJS.ProcessEnv
  readonly restart: boolean
  readonly output: Writable
  /** `n1|`, perhaps coloured. */
  prefix(name: string, at: number): string
}

export const RESTART_DELAY_MS = 2_000
/** Longer than a node's own deadline for closing. */
const KILL_AFTER_MS = 12_000

export class DevSupervisor {
  readonly #options: SupervisorOptions
  readonly #running = new Map<string, ChildProcess>()
  readonly #restarts = new Map<string, NodeJS.Timeout>()
  #isStopping = false
  #onEnd!: (exitCode: number) => void
  /** Resolves with an exit code when no node runs and none will. */
  readonly ended: Promise<number>

  constructor(options: SupervisorOptions) {
    this.#options = options
    this.ended = new Promise((resolve) => {
      this.#onEnd = resolve
    })
    // Two pipes a node, each with a few listeners: more than the ten that Node takes for a leak.
    options.output.setMaxListeners(0)
  }

  start(): void {
    for (const [at, node] of this.#options.nodes.entries()) this.#spawn(node, at)
  }

  /** Asks each node once to close; kills what has not ended in time. */
  stop(): void {
    if (this.#isStopping) return
    this.#isStopping = true
    for (const timer of this.#restarts.values()) clearTimeout(timer)
    this.#restarts.clear()
    for (const child of this.#running.values()) child.kill('SIGTERM')
    setTimeout(() => this.kill(), KILL_AFTER_MS).unref()
    this.#endIfDone()
  }

  kill(): void {
    for (const child of this.#running.values()) child.kill('SIGKILL')
  }

  #spawn(node: DevNode, at: number): void {
    const { command, env, output } = this.#options
    const [program, ...before] = command
    const child = spawn(program, [...before, ...node.args], {
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
      detached: true,
      env,
    })
    this.#running.set(node.name, child)
    const prefix = this.#options.prefix(node.name, at)
    child.stdout?.pipe(prefixLines(prefix)).pipe(output, { end: false })
    child.stderr?.pipe(prefixLines(prefix)).pipe(output, { end: false })
    let hasEnded = false
    const end = (how: string): void => {
      if (hasEnded) return
      hasEnded = true
      this.#ended(node, at, how)
    }
    child.once('error', (error) => end(`could not be started: ${error.message}`))
    child.once('exit', (code, signal) => end(signal === null ? `ended with code ${code}` : `was ended by ${signal}`))
    if (child.pid !== undefined) this.#say(prefix, `pid ${child.pid}`)
  }

  #ended(node: DevNode, at: number, how: string): void {
    const pid = this.#running.get(node.name)?.pid
    this.#running.delete(node.name)
    const prefix = this.#options.prefix(node.name, at)
    const which = pid === undefined ? 'the node' : `pid ${pid}`
    if (this.#isStopping || !this.#options.restart) {
      this.#say(prefix, `${which} ${how}`)
      this.#endIfDone()
      return
    }
    this.#say(prefix, `${which} ${how}; starting it again in ${RESTART_DELAY_MS / 1_000} s`)
    const timer = setTimeout(() => {
      this.#restarts.delete(node.name)
      this.#spawn(node, at)
    }, RESTART_DELAY_MS)
    this.#restarts.set(node.name, timer)
  }

  #endIfDone(): void {
    if (this.#running.size === 0 && this.#restarts.size === 0) this.#onEnd(this.#isStopping ? 0 : 1)
  }

  #say(prefix: string, text: string): void {
    this.#options.output.write(`${prefix} ${text}\n`)
  }
}
