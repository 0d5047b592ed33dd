// The peer port in one process: the same promises, no sockets. Whoever makes the network decides when a delivery happens
// (or that it never does), so a simulation can delay, reorder and lose; without chance or time of its own, it is deterministic.
import { assert } from '../lib/assert.ts'
import type {
  ControlKind,
  ForwardAnswer,
  PeerHandlers,
  PeerHello,
  PeerRefusal,
  PeerTransport,
  StateSnapshot,
} from '../node/ports.ts'
import type { Message, NodeId, Term } from '../raft/index.ts'

/** Something on its way. A message may be lost by never delivering it; the rest is lost by cutting the link. */
export interface Delivery {
  readonly from: NodeId
  readonly to: NodeId
  readonly kind:
    | 'connect'
    | 'gone'
    | 'message'
    | 'forward'
    | 'forward-answer'
    | 'control'
    | 'control-answer'
    | 'snapshot'
  deliver(): void
}

export interface MemoryNetworkOptions {
  /** Calls `delivery.deliver()` later, never at once. */
  schedule(delivery: Delivery): void
  /** For the time limits of control questions. */
  after(delayMs: number, callback: () => void): { cancel(): void }
}

/** One pair of nodes being able to talk, until the link is cut or one of them ends. */
interface Connection {
  isUp: boolean
  /** What to do when it breaks, for each open question. */
  readonly onCut: Set<() => void>
}

const pairOf = (a: NodeId, b: NodeId): string => (a < b ? `${a}/${b}` : `${b}/${a}`)

export class MemoryNetwork {
  readonly #options: MemoryNetworkOptions
  readonly #nodes = new Map<NodeId, MemoryTransport>()
  readonly #connections = new Map<string, Connection>()
  readonly #cut = new Set<string>()

  constructor(options: MemoryNetworkOptions) {
    this.#options = options
  }

  /** The end of one process; make a new one for each start of a node. */
  transport(self: PeerHello): PeerTransport {
    return new MemoryTransport(this, this.#options, self)
  }

  /** Cuts or mends the link between two nodes. Open questions on a cut link are lost, and so is what is on its way. */
  setLink(a: NodeId, b: NodeId, isUp: boolean): void {
    const pair = pairOf(a, b)
    if (isUp) {
      this.#cut.delete(pair)
      this.#connect(a, b)
    } else {
      this.#cut.add(pair)
      this.#disconnect(a, b)
    }
  }

  /** @internal */
  join(node: MemoryTransport): void {
    assert(!this.#nodes.has(node.self.id), `${node.self.name} runs already`)
    this.#nodes.set(node.self.id, node)
    for (const id of [...this.#nodes.keys()].sort()) if (id !== node.self.id) this.#connect(node.self.id, id)
  }

  /** @internal */
  leave(node: MemoryTransport): void {
    if (this.#nodes.get(node.self.id) !== node) return
    this.#nodes.delete(node.self.id)
    for (const id of [...this.#nodes.keys()].sort()) {
      if (!this.#connections.has(pairOf(node.self.id, id))) continue
      this.#disconnect(node.self.id, id)
      this.#tellGone(node.self.id, id)
    }
  }

  /** Nobody listens where the node was. */
  #tellGone(gone: NodeId, to: NodeId): void {
    const peer = this.#nodes.get(to)
    const deliver = (): void => {
      if (!this.#nodes.has(gone) && peer !== undefined && this.#nodes.get(to) === peer) peer.handlers.onGone(gone)
    }
    this.#options.schedule({ from: gone, to, kind: 'gone', deliver })
  }

  /** @internal */
  connection(a: NodeId, b: NodeId): Connection | undefined {
    return this.#connections.get(pairOf(a, b))
  }

  /** @internal */
  node(id: NodeId): MemoryTransport | undefined {
    return this.#nodes.get(id)
  }

  /** Both admit each other, or the one that is refused is told so. */
  #connect(a: NodeId, b: NodeId): void {
    const deliver = (): void => {
      const [one, other] = [this.#nodes.get(a), this.#nodes.get(b)]
      const pair = pairOf(a, b)
      if (one === undefined || other === undefined || this.#cut.has(pair) || this.#connections.has(pair)) return
      const isAdmitted = [other.judge(one), one.judge(other)].every((refusal) => refusal === undefined)
      if (!isAdmitted) return
      this.#connections.set(pair, { isUp: true, onCut: new Set() })
      one.handlers.onConnection(b, true)
      other.handlers.onConnection(a, true)
    }
    this.#options.schedule({ from: a, to: b, kind: 'connect', deliver })
  }

  #disconnect(a: NodeId, b: NodeId): void {
    const pair = pairOf(a, b)
    const connection = this.#connections.get(pair)
    if (connection === undefined) return
    this.#connections.delete(pair)
    connection.isUp = false
    for (const cut of connection.onCut) cut()
    connection.onCut.clear()
    this.#nodes.get(a)?.handlers.onConnection(b, false)
    this.#nodes.get(b)?.handlers.onConnection(a, false)
  }
}

class MemoryTransport implements PeerTransport {
  readonly self: PeerHello
  readonly #network: MemoryNetwork
  readonly #options: MemoryNetworkOptions
  #handlers: PeerHandlers | undefined
  #dropped = 0
  #sent = 0

  constructor(network: MemoryNetwork, options: MemoryNetworkOptions, self: PeerHello) {
    this.#network = network
    this.#options = options
    this.self = self
  }

  get handlers(): PeerHandlers {
    assert(this.#handlers !== undefined, 'the transport is not started')
    return this.#handlers
  }

  /** Whether this node admits a peer; tells the peer when not. */
  judge(peer: MemoryTransport): PeerRefusal | undefined {
    const refusal = this.handlers.admit(peer.self)
    if (refusal !== undefined)
      peer.handlers.onRefused(this.self.id, refusal, `${this.self.name} does not admit ${peer.self.name}: ${refusal}`)
    return refusal
  }

  start(handlers: PeerHandlers): Promise<void> {
    this.#handlers = handlers
    this.#network.join(this)
    return Promise.resolve()
  }

  send(messages: readonly Message[]): void {
    for (const message of messages) {
      const connection = this.#connection(message.to)
      if (connection === undefined || message.type === 'install-snapshot') {
        this.#dropped++
        continue
      }
      this.#sent++
      this.#schedule(connection, message.to, 'message', (peer) => peer.handlers.onMessage(message))
    }
  }

  forward(to: NodeId, number: number, commands: Uint8Array, done: (answer: ForwardAnswer) => void): void {
    const connection = this.#connection(to)
    if (connection === undefined) return queueMicrotask(() => done({ kind: 'unsent' }))
    const cut = (): void => done({ kind: 'lost' })
    connection.onCut.add(cut)
    this.#schedule(connection, to, 'forward', (peer) =>
      peer.handlers.onForward(this.self, number, commands, (answer) =>
        peer.#schedule(connection, this.self.id, 'forward-answer', () => {
          connection.onCut.delete(cut)
          done(answer)
        }),
      ),
    )
  }

  control(to: NodeId, kind: ControlKind, body: unknown, timeoutMs: number): Promise<unknown> {
    const connection = this.#connection(to)
    if (connection === undefined) return Promise.reject(new Error(`there is no connection to ${to}`))
    return new Promise((resolve, reject) => {
      const end = (settle: () => void): void => {
        connection.onCut.delete(cut)
        timer.cancel()
        settle()
      }
      const cut = (): void => end(() => reject(new Error(`the connection to ${to} broke before it answered`)))
      const timer = this.#options.after(timeoutMs, () =>
        end(() => reject(new Error(`${to} did not answer within ${timeoutMs} ms`))),
      )
      connection.onCut.add(cut)
      const question = copyJson(body)
      this.#schedule(connection, to, 'control', (peer) => {
        const answer = (settle: () => void): void =>
          peer.#schedule(connection, this.self.id, 'control-answer', () => end(settle))
        peer.handlers.onControl(this.self, kind, question).then(
          (result) => answer(() => resolve(copyJson(result))),
          (error: Error) => answer(() => reject(new Error(error.message))),
        )
      })
    })
  }

  sendSnapshot(to: NodeId, term: Term, snapshot: StateSnapshot): Promise<void> {
    const connection = this.#connection(to)
    if (connection === undefined) return Promise.reject(new Error(`there is no connection to ${to}`))
    return new Promise((resolve, reject) => {
      const end = (settle: () => void): void => {
        connection.onCut.delete(cut)
        settle()
      }
      const cut = (): void => end(() => reject(new Error(`the connection to ${to} broke`)))
      connection.onCut.add(cut)
      this.#schedule(connection, to, 'snapshot', (peer) => {
        const chunks = this.#stream(connection, snapshot)
        peer.handlers.onSnapshot(this.self, term, chunks).then(
          () => peer.#schedule(connection, this.self.id, 'snapshot', () => end(resolve)),
          (error: Error) => peer.#schedule(connection, this.self.id, 'snapshot', () => end(() => reject(error))),
        )
      })
    })
  }

  hello(peer: NodeId): PeerHello | undefined {
    return this.#connection(peer) === undefined ? undefined : this.#network.node(peer)?.self
  }

  stats(): Readonly<Record<string, number>> {
    return { sent_messages: this.#sent, dropped_not_connected: this.#dropped }
  }

  close(): Promise<void> {
    this.#network.leave(this)
    return Promise.resolve()
  }

  #connection(to: NodeId): Connection | undefined {
    return this.#network.node(this.self.id) === this ? this.#network.connection(this.self.id, to) : undefined
  }

  /** What is on its way when the link is cut, or either end stops, never arrives. */
  #schedule(connection: Connection, to: NodeId, kind: Delivery['kind'], arrive: (peer: MemoryTransport) => void): void {
    const deliver = (): void => {
      const peer = this.#network.node(to)
      if (connection.isUp && peer !== undefined) arrive(peer)
    }
    this.#options.schedule({ from: this.self.id, to, kind, deliver })
  }

  async *#stream(connection: Connection, snapshot: StateSnapshot): AsyncGenerator<Uint8Array, void, undefined> {
    for await (const chunk of snapshot.chunks()) {
      if (!connection.isUp) throw new Error(`the snapshot from ${this.self.name} broke off`)
      yield chunk
    }
  }
}

/** As if it had travelled. */
const copyJson = (value: unknown): unknown => JSON.parse(JSON.stringify(value ?? null)) as unknown
