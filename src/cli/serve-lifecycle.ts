// The life of a serving process: start, run, and one way out. A signal closes the node within a deadline, a second one
// exits at once; whatever nobody caught stops the process with its reason in the log. It never limps on.
import type { Address, NodeConfig } from '../config/index.ts'
import { formatAddress } from '../config/addresses.ts'
import type { NodeLog } from '../observability/logger.ts'

/** What `startNode` gives. */
export interface StoppableNode {
  readonly httpAddress: Address
  readonly peerAddress: Address
  /** Resolves if the node had to stop itself. */
  readonly failed: Promise<Error>
  close(): Promise<void>
}

/** The part of `process` that is used here. `send` is there when the parent opened a channel. */
export type Host = Pick<NodeJS.Process, 'pid' | 'send' | 'connected' | 'on'> & { exit(code: number): void }

export interface Supervision {
  readonly nodeLog: NodeLog
  readonly host: Host
  readonly version: string
  readonly config: Pick<NodeConfig, 'name' | 'dataDir' | 'listen' | 'peerListen'>
  readonly start: () => Promise<StoppableNode>
}

/** Below the ten seconds that container engines wait before they kill. */
export const CLOSE_DEADLINE_MS = 8_000

const PARENT_GONE = 'the parent process is gone'
const SIGNALS = ['SIGTERM', 'SIGINT', 'SIGHUP'] as const

/** Returns at once; the process ends through `host.exit`. */
export function superviseNode(supervision: Supervision): void {
  const lifecycle = new Lifecycle(supervision)
  if (lifecycle.watch()) void lifecycle.run()
}

class Lifecycle {
  readonly #supervision: Supervision
  #node: StoppableNode | undefined
  #isClosing = false

  constructor(supervision: Supervision) {
    this.#supervision = supervision
  }

  /** Listens for all that can end the process; false when one of it has happened already. */
  watch(): boolean {
    const { host } = this.#supervision
    host.on('uncaughtException', (error) => this.#die(error, 'uncaught exception: stopping'))
    host.on('unhandledRejection', (reason) => this.#die(reason, 'unhandled rejection: stopping'))
    for (const signal of SIGNALS) host.on(signal, () => this.#stop(signal))
    if (host.send === undefined) return true
    host.on('disconnect', () => this.#stop(PARENT_GONE))
    if (host.connected) return true
    this.#stop(PARENT_GONE)
    return false
  }

  async run(): Promise<void> {
    const { config, host, nodeLog, version, start } = this.#supervision
    let node
    try {
      node = await start()
    } catch (error) {
      this.#die(error, `${config.name} cannot start: ${explainStart(error, config)}`)
      return
    }
    this.#node = node
    const http = `http://${formatAddress(node.httpAddress)}`
    const peer = formatAddress(node.peerAddress)
    nodeLog.log.info(
      { dataDir: config.dataDir },
      `quorate ${version}: ${config.name} (pid ${host.pid}) serves ${http}, peers on ${peer}`,
    )
    const error = await node.failed
    this.#die(error, `${config.name} had to stop: ${error.message}`)
  }

  #stop(reason: string): void {
    const { log } = this.#supervision.nodeLog
    if (this.#isClosing) {
      log.warn(`${reason}, once more: exiting at once`)
      this.#exit(1)
      return
    }
    this.#isClosing = true
    if (this.#node === undefined) {
      // Nothing is in flight yet, and a crash at any step of starting is harmless.
      log.info(`${reason} while starting: stopped`)
      this.#exit(0)
      return
    }
    log.info(`${reason}: handing over, finishing what is in flight, stopping`)
    void this.#close(this.#node)
  }

  async #close(node: StoppableNode): Promise<void> {
    const late = setTimeout(
      () => this.#die(undefined, `not closed after ${CLOSE_DEADLINE_MS} ms: exiting`),
      CLOSE_DEADLINE_MS,
    )
    try {
      await node.close()
    } catch (error) {
      this.#die(error, 'closing failed')
      return
    } finally {
      clearTimeout(late)
    }
    this.#supervision.nodeLog.log.info('stopped')
    this.#exit(0)
  }

  #die(error: unknown, message: string): void {
    const code = codeOf(error)
    // Where in our code a refusal of the system, the disk or the directory surfaced helps nobody; its code may.
    this.#supervision.nodeLog.log.fatal(code === undefined ? { err: error } : { code }, message)
    this.#exit(1)
  }

  #exit(code: number): void {
    this.#supervision.nodeLog.flush()
    this.#supervision.host.exit(code)
  }
}

/** An address that is taken or not ours is the usual reason, and the operating system does not know the flag. */
function explainStart(error: unknown, config: Supervision['config']): string {
  if (!(error instanceof Error)) return String(error)
  const { code, port } = (error.cause ?? error) as { code?: unknown; port?: unknown }
  const isPeer = port === config.peerListen.port && port !== config.listen.port
  const flag = `--${isPeer ? 'peer-listen' : 'listen'} ${formatAddress(isPeer ? config.peerListen : config.listen)}`
  if (port === undefined) return error.message
  if (code === 'EADDRINUSE') return `${flag}: another process has that port`
  if (code === 'EADDRNOTAVAIL') return `${flag}: that is not an address of this machine`
  if (code === 'EACCES') return `${flag}: this user may not listen on that port`
  return error.message
}

/** Of what is no fault in our code: all such errors, the system's and ours, carry one. */
function codeOf(error: unknown): string | undefined {
  if (!(error instanceof Error)) return undefined
  const { code } = error as { code?: unknown }
  return typeof code === 'string' ? code : codeOf(error.cause)
}
