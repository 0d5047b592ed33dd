// The peer port of one simulated process. Raft messages may be lost, doubled and overtaken; requests (forwards, questions, states)
// arrive once and in full, or their connection breaks.
import type {
  ControlKind,
  ForwardAnswer,
  PeerHandlers,
  PeerHello,
  PeerTransport,
  StateSnapshot,
} from '../../src/node/ports.ts'
import type { Message, NodeId, Term } from '../../src/raft/index.ts'
import type { Connection } from './connection.ts'
import type { Host } from './host.ts'
import { REDIAL_MS } from './network.ts'
import type { Network } from './network.ts'
import { SnapshotStream } from './snapshot-stream.ts'

/** Entries that a node lacks when it is far behind. */
const FAR = 8

/** Raft messages on their way from one node to another; past it they are dropped, as a full queue does. */
const IN_FLIGHT_MAX = 2_000

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
    const { observer, conduct, world } = this.#network.parts
    const { index, ranMs } = this.host
    for (const message of messages) {
      if (message.type === 'request-pre-vote' && this.host.isWaking)
        world.violate(`${this.name} campaigns because it stood still, before it has read what arrived meanwhile`)
      conduct.onSend(index, message, ranMs, observer.committedMax)
      observer.onSend(index, message)
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
    const { world, links, situations, conduct } = this.#network.parts
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
        conduct.onDelivered(peer.host.index, message, peer.host.ranMs)
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
    const { situations, links, world, observer } = this.#network.parts
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
        const arrive = (): void => {
          if (!questions.delete(lost)) return
          const isCovered = answer.kind === 'proposed' && answer.id.index <= observer.installedIndex(this.host.index)
          if (isCovered) situations.met('answer-across-install')
          done(answer)
        }
        // A node that is far behind is about to be sent a state, which its answers may cross.
        const isBehind = answer.kind === 'proposed' && answer.id.index > observer.appliedIndex(this.host.index) + FAR
        const lateMs = links.lateAnswerMs(isBehind)
        const leave = (): void => peer.reliably(connection, `forward-${answer.kind}`, arrive)
        if (lateMs === 0) return leave()
        situations.met('late-answer')
        world.after(lateMs, leave)
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
  const { type } = message
  if (type === 'append-entries') return message.prev.index * 1_000 + message.entries.length
  if (type === 'append-entries-response')
    return message.result.kind === 'accepted' ? message.result.matchIndex : -message.result.index - 1
  if (type === 'heartbeat') return message.commitIndex
  if (type === 'request-vote' || type === 'request-pre-vote') return message.last.index
  if (type === 'request-vote-response' || type === 'request-pre-vote-response') return message.isGranted ? 1 : 0
  return 0
}
