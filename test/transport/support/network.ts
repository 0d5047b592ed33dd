// Transports on loopback for tests: each node is reached through a proxy of this process, whose port is known before the
// node starts, and which can cut, hold and count what passes. Handlers record what they are told.
import { randomBytes } from 'node:crypto'
import type { Clock, ForwardAnswer, Logger, MemberInfo, PeerHandlers, PeerHello } from '../../../src/node/ports.ts'
import type { PeerRefusal } from '../../../src/node/ports.ts'
import type { Message, NodeId } from '../../../src/raft/index.ts'
import { TcpTransport } from '../../../src/transport/tcp-transport.ts'
import type { TcpTransportOptions } from '../../../src/transport/tcp-transport.ts'
import { TcpProxy } from './tcp-proxy.ts'

export const CLUSTER = '00000000000000c1'

export const idOf = (number: number): NodeId => number.toString(16).padStart(16, '0')

export const helloOf = (number: number, extra: Partial<PeerHello> = {}): PeerHello => ({
  id: idOf(number),
  name: `n${number}`,
  boot: 1_000 + number,
  incarnation: String(number).padStart(32, '0'),
  url: `http://127.0.0.1:77${number}0`,
  version: '0.1.0',
  ...extra,
})

export const realClock: Clock = {
  now: () => performance.now(),
  after: (delayMs, callback) => {
    const timer = setTimeout(callback, delayMs)
    return { cancel: () => clearTimeout(timer) }
  },
  soon: (callback) => void setImmediate(callback),
}

/** Collects lines instead of printing them. */
export class RecordingLogger implements Logger {
  readonly lines: string[] = []
  readonly fields: object[] = []
  readonly warnings: string[] = []

  debug(fields: object, message: string): void {
    this.#record(fields, message)
  }

  info(fields: object, message: string): void {
    this.#record(fields, message)
  }

  warn(fields: object, message: string): void {
    this.warnings.push(message)
    this.#record(fields, message)
  }

  error(fields: object, message: string): void {
    this.#record(fields, message)
  }

  #record(fields: object, message: string): void {
    this.lines.push(message)
    this.fields.push(fields)
  }
}

/** Resolves when the claim holds, looked at after each turn of the event loop; rejects, and says what, after twenty seconds. */
export async function until(what: string, claim: () => boolean): Promise<void> {
  const giveUpAt = performance.now() + 20_000
  while (!claim()) {
    if (performance.now() > giveUpAt) throw new Error(`not within twenty seconds: ${what}`)
    await new Promise((resolve) => {
      setTimeout(resolve, 1)
    })
  }
}

/** A driver that only remembers. Single answers can be replaced. */
export class RecordingHandlers implements PeerHandlers {
  readonly messages: Message[] = []
  readonly refusals: { peer: NodeId; refusal: PeerRefusal; detail: string }[] = []
  readonly connections: string[] = []
  readonly up = new Set<NodeId>()
  /** Peers whose processes are evidently gone, as often as that was said. */
  readonly gone: NodeId[] = []
  admit: PeerHandlers['admit'] = () => undefined
  onForward: PeerHandlers['onForward'] = (_from, number, _commands, answer) =>
    answer({ kind: 'proposed', id: { term: 1, index: number } })
  onControl: PeerHandlers['onControl'] = async (_from, kind, body) => ({ kind, body })
  onSnapshot: PeerHandlers['onSnapshot'] = async (_from, _term, chunks) => {
    for await (const chunk of chunks) void chunk
  }

  onRefused(peer: NodeId, refusal: PeerRefusal, detail: string): void {
    this.refusals.push({ peer, refusal, detail })
  }

  onMessage(message: Message): void {
    this.messages.push(message)
  }

  onConnection(peer: NodeId, isUp: boolean): void {
    this.connections.push(`${Number.parseInt(peer, 16)} ${isUp ? 'up' : 'down'}`)
    if (isUp) this.up.add(peer)
    else this.up.delete(peer)
  }

  onGone(peer: NodeId): void {
    this.gone.push(peer)
  }
}

export interface TestNode {
  readonly id: NodeId
  readonly transport: TcpTransport
  readonly handlers: RecordingHandlers
  readonly logger: RecordingLogger
  /** What stands between this node and those that call it. */
  readonly proxy: TcpProxy
}

export type NodeOptions = Partial<Omit<TcpTransportOptions, 'self'>> & {
  readonly self?: Partial<PeerHello>
  readonly handlers?: RecordingHandlers
}

/** Nodes numbered from 1 that know each other by the addresses of their proxies. */
export class TestCluster {
  readonly members: MemberInfo[] = []
  readonly #proxies: TcpProxy[] = []
  readonly #nodes: TestNode[] = []

  static async open(size: number): Promise<TestCluster> {
    const cluster = new TestCluster()
    for (let number = 1; number <= size; number++) {
      const proxy = await TcpProxy.open()
      cluster.#proxies.push(proxy)
      cluster.members.push({ id: idOf(number), name: `n${number}`, peer: `127.0.0.1:${proxy.port}` })
    }
    return cluster
  }

  proxyOf(number: number): TcpProxy {
    return this.#proxies[number - 1]!
  }

  async start(number: number, options: NodeOptions = {}): Promise<TestNode> {
    const { self, handlers = new RecordingHandlers(), limits, ...rest } = options
    const proxy = this.#proxies[number - 1]!
    const logger = new RecordingLogger()
    const transport = new TcpTransport({
      clusterId: CLUSTER,
      self: helloOf(number, self),
      listen: { host: '127.0.0.1', port: 0 },
      members: this.members,
      secret: undefined,
      logger,
      clock: realClock,
      random: (bytes) => randomBytes(bytes),
      limits: { backoffMsMin: 5, backoffMsMax: 20, aliveMs: 50, ...limits },
      ...rest,
    })
    await transport.start(handlers)
    proxy.target = transport.address.port
    const node = { id: idOf(number), transport, handlers, logger, proxy }
    this.#nodes.push(node)
    return node
  }

  /** Starts all of them and waits until each has reached each other. */
  async startAll(options: NodeOptions = {}): Promise<TestNode[]> {
    const nodes: TestNode[] = []
    for (const [at] of this.members.entries()) nodes.push(await this.start(at + 1, { ...options }))
    await until('all connections are up', () => nodes.every(({ handlers }) => handlers.up.size === nodes.length - 1))
    for (const node of nodes)
      for (const peer of nodes) if (peer !== node) await askUntilAnswered(node.transport, peer.id)
    return nodes
  }

  async close(): Promise<void> {
    await Promise.all(this.#nodes.map(({ transport }) => transport.close()))
    await Promise.all(this.#proxies.map((proxy) => proxy.close()))
  }
}

/** The forward connection is up once a question is answered on it. */
export async function askUntilAnswered(transport: TcpTransport, to: NodeId): Promise<void> {
  let isAnswered = false
  await until('the forward connection is up', () => {
    transport.control(to, 'cluster', null, 1_000).then(
      () => (isAnswered = true),
      () => {},
    )
    return isAnswered
  })
}

export function forward(
  transport: TcpTransport,
  to: NodeId,
  number: number,
  commands: Uint8Array,
): Promise<ForwardAnswer> {
  return new Promise((resolve) => {
    transport.forward(to, number, commands, resolve)
  })
}

export function heartbeat(from: NodeId, to: NodeId, term: number): Message {
  return { type: 'heartbeat', from, to, term, commitIndex: 1, readRound: 2, lastIndex: 3 }
}
