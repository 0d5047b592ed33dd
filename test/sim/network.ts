// The peer port in the simulated world. Raft messages may be lost, doubled and overtaken; requests (forwards, questions, states)
// arrive once and in full, or their connection breaks. Each end learns in its own time that a connection has broken: what was
// under way may still arrive after its sender has given it up for lost.
import type {
  ControlKind,
  ForwardAnswer,
  PeerHandlers,
  PeerHello,
  PeerTransport,
  StateSnapshot,
} from '../../src/node/ports.ts'
import type { Message, NodeId, Term } from '../../src/raft/index.ts'
import type { Links } from './links.ts'
import type { Host } from './host.ts'
import type { Observer } from './observer.ts'
import { SnapshotStream } from './snapshot-stream.ts'
import type { Situations } from './situations.ts'
import type { World } from './world.ts'

/** Raft messages on their way from one node to another; past it they are dropped, as a full queue does. */
const IN_FLIGHT_MAX = 2_000
/** How long a cut way may last before its connections break. Milliseconds. */
const PATIENCE_MS = 1_500
const REDIAL_MS = 100

/** One connection of two processes. Each end has its own view of whether it is up. */
export class Connection {
  readonly ends: readonly [SimulatedTransport, SimulatedTransport]
  readonly #up = [true, true]
  /** For each end, what becomes of its open questions when it learns that the connection has broken. */
  readonly onDown: readonly [Set<() => void>, Set<() => void>] = [new Set(), new Set()]
  isBreaking = false

  constructor(a: SimulatedTransport, b: SimulatedTransport) {
    this.ends = [a, b]
  }

  #side(transport: SimulatedTransport): 0 | 1 {
    return this.ends[0] === transport ? 0 : 1
  }

  isUpAt(transport: SimulatedTransport): boolean {
    return this.#up[this.#side(transport)] === true
  }

  other(transport: SimulatedTransport): SimulatedTransport {
    return this.ends[this.#side(transport) === 0 ? 1 : 0]
  }

  questions(transport: SimulatedTransport): Set<() => void> {
    return this.onDown[this.#side(transport)]
  }

  /** One end learns of it. */
  down(transport: SimulatedTransport): void {
    const side = this.#side(transport)
    if (!this.#up[side]) return
    this.#up[side] = false
    const open = [...this.onDown[side]]
    this.onDown[side].clear()
    for (const lost of open) lost()
  }
}

export interface NetworkParts {
  readonly world: World
  readonly links: Links
  readonly situations: Situations
  readonly observer: Observer
}

export class Network {
  readonly parts: NetworkParts
  readonly #running = new Map<NodeId, SimulatedTransport>()
  readonly #connections = new Map<string, Connection>()

  constructor(parts: NetworkParts) {
    this.parts = parts
  }

  transport(host: Host, hello: PeerHello): SimulatedTransport {
    return new SimulatedTransport(this, host, hello)
  }

  running(id: NodeId): SimulatedTransport | undefined {
    return this.#running.get(id)
  }

  connection(a: SimulatedTransport, to: NodeId): Connection | undefined {
    const connection = this.#connections.get(pairOf(a.id, to))
    return connection?.ends.includes(a) === true && connection.isUpAt(a) ? connection : undefined
  }

  join(transport: SimulatedTransport): void {
    this.#running.set(transport.id, transport)
    for (const id of [...this.#running.keys()].sort()) if (id !== transport.id) this.#dial(transport.id, id)
  }

  /** A process has ended: its peers learn of it in a moment, or, when the machine went with it, by silence. */
  leave(transport: SimulatedTransport, isSilent: boolean): void {
    if (this.#running.get(transport.id) !== transport) return
    this.#running.delete(transport.id)
    for (const connection of [...this.#connections.values()]) {
      if (!connection.ends.includes(transport)) continue
      this.break(connection, isSilent ? PATIENCE_MS : 0)
    }
  }

  /** Breaks the connection between two nodes if there is one. */
  breakBetween(a: NodeId, b: NodeId): void {
    const connection = this.#connections.get(pairOf(a, b))
    if (connection !== undefined) this.break(connection, 0)
  }

  /** After a way was cut: if it stays so for long, the connection does not survive it. */
  suspect(a: NodeId, b: NodeId): void {
    const connection = this.#connections.get(pairOf(a, b))
    if (connection === undefined) return
    this.parts.world.after(PATIENCE_MS, () => {
      if (!this.#isOpen(a, b)) this.break(connection, 0)
    })
  }

  break(connection: Connection, latestMs: number): void {
    if (connection.isBreaking) return
    connection.isBreaking = true
    const { world, links, situations } = this.parts
    const [one, other] = connection.ends
    situations.met('connection-broken')
    world.note('break', one.name, other.name)
    let open = 2
    for (const end of connection.ends) {
      const delayMs = links.delayMs(connection.other(end).id, end.id) + latestMs
      world.after(delayMs, () => {
        end.host.input(() => {
          if (!connection.isUpAt(end)) return
          connection.down(end)
          end.handlers.onConnection(connection.other(end).id, false)
        })
        if (!end.host.isAlive) connection.down(end)
        if (--open > 0) return
        const pair = pairOf(one.id, other.id)
        if (this.#connections.get(pair) === connection) this.#connections.delete(pair)
        this.#dial(one.id, other.id)
      })
    }
  }

  #isOpen(a: NodeId, b: NodeId): boolean {
    return this.parts.links.isOpen(a, b) && this.parts.links.isOpen(b, a)
  }

  #dial(a: NodeId, b: NodeId): void {
    const { world, links } = this.parts
    const [one, other] = [this.#running.get(a), this.#running.get(b)]
    if (one === undefined || other === undefined || this.#connections.has(pairOf(a, b))) return
    const again = (): void => void world.after(REDIAL_MS, () => this.#dial(a, b))
    if (!this.#isOpen(a, b)) return again()
    world.after(links.delayMs(a, b) + links.delayMs(b, a), () => {
      if (this.#running.get(a) !== one || this.#running.get(b) !== other) return
      if (this.#connections.has(pairOf(a, b))) return
      if (!this.#isOpen(a, b) || one.host.isPaused || other.host.isPaused) return again()
      if (!other.judge(one) || !one.judge(other)) return again()
      world.note('connect', one.name, other.name)
      this.#connections.set(pairOf(a, b), new Connection(one, other))
      one.host.input(() => one.handlers.onConnection(b, true))
      other.host.input(() => other.handlers.onConnection(a, true))
    })
  }
}

const pairOf = (a: NodeId, b: NodeId): string => (a < b ? `${a}/${b}` : `${b}/${a}`)

export class SimulatedTransport implements PeerTransport {
  readonly host: Host
  readonly self: PeerHello
  readonly #network: Network
  #handlers: PeerHandlers | undefined
  readonly #inFlight = new Map<NodeId, number>()
  readonly #latest = new Map<NodeId, number>()
  #sent = 0

  constructor(network: Network, host: Host, self: PeerHello) {
    this.#network = network
    this.host = host
    this.self = self
  }

  get id(): NodeId {
    return this.self.id
  }

  get name(): string {
    return this.self.name
  }

  get handlers(): PeerHandlers {
    if (this.#handlers === undefined) throw new Error('the transport was not started')
    return this.#handlers
  }

  /** Whether a peer is admitted. One that is not is told so. */
  judge(peer: SimulatedTransport): boolean {
    const refusal = this.handlers.admit(peer.self)
    if (refusal === undefined) return true
    const detail = `${this.name} does not admit ${peer.name}: ${refusal}`
    peer.host.input(() => peer.handlers.onRefused(this.id, refusal, detail))
    return false
  }

  start(handlers: PeerHandlers): Promise<void> {
    this.#handlers = handlers
    if (this.host.isAlive) this.#network.join(this)
    return Promise.resolve()
  }

  send(messages: readonly Message[]): void {
    if (!this.host.isAlive) return
    for (const message of messages) {
      this.#network.parts.observer.onSend(this.host.index, message)
      this.#sendOne(message)
    }
  }

  #sendOne(message: Message): void {
    const { links, situations } = this.#network.parts
    const { to } = message
    const connection = this.#network.connection(this, to)
    const count = this.#inFlight.get(to) ?? 0
    if (connection === undefined || count >= IN_FLIGHT_MAX) return
    if (!links.isOpen(this.id, to) || links.isLost()) return situations.met('message-lost')
    this.#fly(connection, message)
    if (!links.isDoubled()) return
    situations.met('message-doubled')
    this.#fly(connection, message)
  }

  #fly(connection: Connection, message: Message): void {
    const { world, links, situations } = this.#network.parts
    const { to } = message
    const peer = connection.other(this)
    const number = ++this.#sent
    this.#inFlight.set(to, (this.#inFlight.get(to) ?? 0) + 1)
    world.after(links.delayMs(this.id, to), () => {
      this.#inFlight.set(to, (this.#inFlight.get(to) ?? 1) - 1)
      if (!links.isOpen(this.id, to) || !connection.isUpAt(peer)) return
      peer.host.input(() => {
        if (!connection.isUpAt(peer)) return
        if (number < (this.#latest.get(to) ?? 0)) situations.met('message-overtaken')
        else this.#latest.set(to, number)
        world.note(message.type, this.name, peer.name, message.term, weightOf(message))
        peer.handlers.onMessage(message)
      })
    })
  }

  /** Something that arrives once, in order, or not at all because the connection broke. A cut way holds it up. */
  reliably(connection: Connection, what: string, arrive: (peer: SimulatedTransport) => void): void {
    const { world, links } = this.#network.parts
    const peer = connection.other(this)
    const attempt = (): void => {
      if (!connection.isUpAt(peer)) return
      if (!links.isOpen(this.id, peer.id)) return void world.after(REDIAL_MS, attempt)
      peer.host.input(() => {
        if (!connection.isUpAt(peer)) return
        world.note(what, this.name, peer.name)
        arrive(peer)
      })
    }
    world.after(links.orderedDelayMs(this.id, peer.id), attempt)
  }

  forward(to: NodeId, number: number, commands: Uint8Array, done: (answer: ForwardAnswer) => void): void {
    const { situations } = this.#network.parts
    const connection = this.#network.connection(this, to)
    if (connection === undefined) return queueMicrotask(() => done({ kind: 'unsent' }))
    situations.met('forward')
    const questions = connection.questions(this)
    const lost = (): void => {
      situations.met('forward-lost')
      done({ kind: 'lost' })
    }
    questions.add(lost)
    this.reliably(connection, 'forward', (peer) => {
      peer.handlers.onForward(this.self, number, commands, (answer) => {
        peer.reliably(connection, `forward-${answer.kind}`, () => {
          if (questions.delete(lost)) done(answer)
        })
      })
    })
  }

  control(to: NodeId, kind: ControlKind, body: unknown, timeoutMs: number): Promise<unknown> {
    const connection = this.#network.connection(this, to)
    if (connection === undefined) return Promise.reject(new Error(`there is no connection to ${to}`))
    const questions = connection.questions(this)
    return new Promise((resolve, reject) => {
      const lost = (): void => end(() => reject(new Error(`the connection to ${to} broke before it answered`)))
      const end = (settle: () => void): void => {
        questions.delete(lost)
        timer.cancel()
        settle()
      }
      const late = (): void => end(() => reject(new Error(`${to} did not answer within ${timeoutMs} ms`)))
      const timer = this.host.clock.after(timeoutMs, late)
      questions.add(lost)
      const question = travelled(body)
      this.reliably(connection, kind, (peer) => {
        const answer = (settle: () => void): void => peer.reliably(connection, `${kind}-answer`, () => end(settle))
        peer.handlers.onControl(this.self, kind, question).then(
          (result) => answer(() => resolve(travelled(result))),
          (error: Error) => answer(() => reject(new Error(error.message))),
        )
      })
    })
  }

  sendSnapshot(to: NodeId, term: Term, snapshot: StateSnapshot): Promise<void> {
    const connection = this.#network.connection(this, to)
    if (connection === undefined) return Promise.reject(new Error(`there is no connection to ${to}`))
    this.#network.parts.situations.met('snapshot-sent')
    return new SnapshotStream(this, connection, snapshot).run(term)
  }

  hello(peer: NodeId): PeerHello | undefined {
    return this.#network.connection(this, peer)?.other(this).self
  }

  stats(): Readonly<Record<string, number>> {
    return { sent_messages: this.#sent }
  }

  close(): Promise<void> {
    this.#network.leave(this, false)
    return Promise.resolve()
  }
}

/** As if it had travelled. */
const travelled = (value: unknown): unknown => JSON.parse(JSON.stringify(value ?? null)) as unknown

/** A number for the trace that tells messages of one kind apart. */
function weightOf(message: Message): number {
  switch (message.type) {
    case 'append-entries':
      return message.prev.index * 1_000 + message.entries.length
    case 'append-entries-response':
      return message.result.kind === 'accepted' ? message.result.matchIndex : -message.result.index - 1
    case 'heartbeat':
      return message.commitIndex
    case 'request-vote':
    case 'request-pre-vote':
      return message.last.index
    case 'request-vote-response':
    case 'request-pre-vote-response':
      return message.isGranted ? 1 : 0
    default:
      return 0
  }
}
