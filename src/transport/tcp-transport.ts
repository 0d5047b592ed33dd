// The peer port over TCP. To each other member it keeps two connections of its own, one for Raft messages and one for
// forwarded commands and control questions, and opens a third while a snapshot streams. What comes in comes on theirs.
import { assert, unreachable } from '../lib/assert.ts'
import type {
  Clock,
  ControlKind,
  ForwardAnswer,
  Logger,
  MemberInfo,
  PeerHandlers,
  PeerHello,
  PeerTransport,
  StateSnapshot,
} from '../node/ports.ts'
import type { Message, NodeId, Term } from '../raft/index.ts'
import { Answers } from './answers.ts'
import type { Connection, FrameHandler } from './connection.ts'
import { Counters } from './counters.ts'
import { parseAddress } from './dial.ts'
import type { Environment } from './environment.ts'
import { checkIdentity } from './handshake-codec.ts'
import type { VersionRange } from './handshake-codec.ts'
import { PROTOCOL_VERSIONS } from './handshake.ts'
import { isNodeId } from './header.ts'
import { TRANSPORT_LIMITS } from './limits.ts'
import type { TransportLimits } from './limits.ts'
import { refuseFrame } from './link-codec.ts'
import { Link } from './link.ts'
import { decodeMessage, encodeMessage } from './message-codec.ts'
import { PeerServer } from './peer-server.ts'
import type { Accepted, ListenAddress } from './peer-server.ts'
import { RateLimitedLog } from './rate-limited-log.ts'
import { Requests } from './requests.ts'
import { SnapshotReceiver } from './snapshot-receiver.ts'
import { SnapshotSender } from './snapshot-sender.ts'

export interface TcpTransportOptions {
  /** 16 hex digits. */
  readonly clusterId: string
  readonly self: PeerHello
  readonly listen: ListenAddress
  /** The other members; this node itself is passed over if it is among them. */
  readonly members: readonly MemberInfo[]
  /** What all members know and nobody else. Undefined: the cluster trusts its network. */
  readonly secret: string | undefined
  readonly logger: Logger
  readonly clock: Clock
  /** Unpredictable bytes: nonces are made of them. */
  random(bytes: number): Uint8Array
  readonly limits?: Partial<TransportLimits>
  readonly versions?: VersionRange
}

interface Peer {
  readonly member: MemberInfo
  readonly raft: Link
  readonly requests: Requests
  readonly snapshots: SnapshotSender
}

interface Started {
  readonly environment: Environment
  readonly server: PeerServer
  readonly peers: ReadonlyMap<NodeId, Peer>
}

export class TcpTransport implements PeerTransport {
  readonly #options: TcpTransportOptions
  readonly #members: ReadonlyMap<NodeId, MemberInfo>
  readonly #counters = new Counters()
  /** Their ports refuse, but what they sent before has not all been read. */
  readonly #leaving = new Set<NodeId>()
  #started: Started | undefined
  #isClosed = false

  /** Throws when the options could not be said to a peer, or a member's address is none. */
  constructor(options: TcpTransportOptions) {
    const { clusterId } = options
    if (!isNodeId(clusterId)) throw new RangeError(`a cluster id is 16 hex digits, not "${String(clusterId)}"`)
    if (options.secret === '') throw new RangeError('an empty peer secret protects nothing: leave it out, or set one')
    checkIdentity(options.self)
    const others = options.members.filter((member) => member.id !== options.self.id)
    for (const member of others) parseAddress(member.peer)
    this.#options = options
    this.#members = new Map(others.map((member) => [member.id, member]))
  }

  /** Where it listens; once started. */
  get address(): ListenAddress {
    const address = this.#started?.server.address
    assert(address !== undefined, 'the transport does not listen')
    return address
  }

  /** Resolves when it listens; the peers come up by themselves. */
  async start(handlers: PeerHandlers): Promise<void> {
    assert(this.#started === undefined && !this.#isClosed, 'a transport is started once')
    const environment = this.#makeEnvironment(handlers)
    const server = new PeerServer(environment, (accepted) => this.#accepted(accepted))
    const peers = new Map<NodeId, Peer>()
    for (const [id, member] of this.#members) peers.set(id, this.#makePeer(environment, member))
    this.#started = { environment, server, peers }
    await server.listen(this.#options.listen)
    // Closed while the host name was looked up: then nothing has closed this server yet.
    if (this.#isClosed) return server.close()
    for (const { raft, requests } of peers.values()) {
      raft.start()
      requests.link.start()
    }
  }

  send(messages: readonly Message[]): void {
    for (const message of messages) this.#sendOne(message)
  }

  forward(to: NodeId, number: number, commands: Uint8Array, done: (answer: ForwardAnswer) => void): void {
    const peer = this.#peer(to)
    if (peer === undefined) queueMicrotask(() => done({ kind: 'unsent' }))
    else peer.requests.forward(number, commands, done)
  }

  control(to: NodeId, kind: ControlKind, body: unknown, timeoutMs: number): Promise<unknown> {
    const peer = this.#peer(to)
    return peer === undefined
      ? Promise.reject(new Error(`${to} is not a known member, or the transport is closed`))
      : peer.requests.control(kind, body, timeoutMs)
  }

  sendSnapshot(to: NodeId, term: Term, snapshot: StateSnapshot): Promise<void> {
    const peer = this.#peer(to)
    return peer === undefined
      ? Promise.reject(new Error(`${to} is not a known member, or the transport is closed`))
      : peer.snapshots.send(term, snapshot)
  }

  hello(peer: NodeId): PeerHello | undefined {
    return this.#peer(peer)?.raft.live?.peer
  }

  stats(): Readonly<Record<string, number>> {
    let queued = 0
    let live = 0
    for (const { raft } of this.#started?.peers.values() ?? []) {
      if (raft.live === undefined) continue
      live++
      queued += raft.live.connection.queuedBytes
    }
    return { ...this.#counters.snapshot(), connected_peers: live, queued_bytes: queued }
  }

  /** Ends every connection and answers every open question; leaves no timer and no socket. */
  async close(): Promise<void> {
    if (this.#isClosed) return
    this.#isClosed = true
    const started = this.#started
    if (started === undefined) return
    const { environment, server, peers } = started
    environment.log.mute()
    const stopped = server.close()
    for (const { raft, requests, snapshots } of peers.values()) {
      raft.close('this node is closing')
      requests.link.close('this node is closing')
      snapshots.close('this node is closing')
    }
    const connections = [...environment.connections]
    for (const connection of connections) connection.close('this node is closing')
    await Promise.all(connections.map((connection) => connection.closed))
    await stopped
  }

  /** Undefined for a stranger, and for everybody before the start and after the close. */
  #peer(id: NodeId): Peer | undefined {
    return this.#isClosed ? undefined : this.#started?.peers.get(id)
  }

  #makeEnvironment(handlers: PeerHandlers): Environment {
    const { clusterId, self, secret, logger, clock } = this.#options
    const limits: TransportLimits = { ...TRANSPORT_LIMITS, ...this.#options.limits }
    return {
      limits,
      clock,
      log: new RateLimitedLog(logger, clock, limits.logMs),
      logger,
      counters: this.#counters,
      handlers,
      connections: new Set(),
      handshake: {
        clusterId,
        self,
        secret,
        versions: this.#options.versions ?? PROTOCOL_VERSIONS,
        members: this.#members,
        random: (bytes) => this.#options.random(bytes),
        admit: (peer) => handlers.admit(peer),
      },
    }
  }

  #makePeer(environment: Environment, member: MemberInfo): Peer {
    return {
      member,
      raft: new Link(environment, member, 'raft', {
        onUp: ({ peer }) => this.#raftUp(peer),
        onGone: () => this.#missed(member.id),
      }),
      requests: new Requests(environment, member, (peer) => this.#noteBoot(peer)),
      snapshots: new SnapshotSender(environment, member),
    }
  }

  #sendOne(message: Message): void {
    const connection = this.#peer(message.to)?.raft.live?.connection
    if (!this.#members.has(message.to)) this.#counters.add('dropped_unknown_peer')
    else if (connection === undefined) this.#counters.add('dropped_not_connected')
    else if (message.type === 'install-snapshot') this.#counters.add('dropped_not_for_the_wire')
    else this.#sendOn(connection, message)
  }

  #sendOn(connection: Connection, message: Exclude<Message, { type: 'install-snapshot' }>): void {
    const { limits, log } = this.#started!.environment
    // Before encoding: a full queue must cost nothing.
    if (connection.queuedBytes >= limits.queueBytesMax) return this.#counters.add('dropped_queue_full')
    const frame = encodeMessage(message)
    if (frame.bytes > limits.frameBytesMax) {
      this.#counters.add('dropped_too_large')
      log.warn('too large', { type: message.type, bytes: frame.bytes }, 'a Raft message does not fit into a frame')
    } else if (connection.queuedBytes + frame.bytes > limits.queueBytesMax) {
      this.#counters.add('dropped_queue_full')
    } else {
      this.#counters.add('sent_messages')
      connection.send(frame)
    }
  }

  /**
   * Nobody listens at the peer's port. A process that is gone has lost its own connection to this node, too: while that is up, it
   * lives after all, or there is still to be read what it said last.
   */
  #missed(id: NodeId): void {
    const { environment, server } = this.#started!
    this.#leaving.add(id)
    if (server.isCalledBy(id, 'raft')) return
    this.#leaving.delete(id)
    this.#counters.add('peers_gone')
    environment.handlers.onGone(id)
  }

  #raftUp(peer: PeerHello): FrameHandler {
    const { environment } = this.#started!
    this.#leaving.delete(peer.id)
    this.#noteBoot(peer)
    environment.logger.info({ peer: peer.name, url: peer.url, version: peer.version }, `connected to ${peer.name}`)
    environment.handlers.onConnection(peer.id, true)
    return {
      onFrame: (frame) => refuseFrame(frame, 'raft'),
      onClose: () => {
        if (!this.#isClosed) environment.handlers.onConnection(peer.id, false)
      },
    }
  }

  #accepted({ connection, peer, channel }: Accepted): FrameHandler {
    const { environment, peers } = this.#started!
    this.#noteBoot(peer)
    const known = peers.get(peer.id)
    known?.raft.hasten()
    known?.requests.link.hasten()
    switch (channel) {
      case 'raft':
        return this.#receiveMessages(peer)
      case 'forward':
        return new Answers(environment, connection, peer)
      case 'snapshot':
        return new SnapshotReceiver(environment, connection, peer)
      default:
        return unreachable(channel)
    }
  }

  #receiveMessages(peer: PeerHello): FrameHandler {
    const { handlers } = this.#started!.environment
    const self = this.#options.self.id
    return {
      onFrame: (frame) => {
        const message = decodeMessage(frame)
        this.#counters.add('received_messages')
        if (message.from !== peer.id) this.#counters.add('dropped_wrong_sender')
        else if (message.to !== self) this.#counters.add('dropped_wrong_addressee')
        else handlers.onMessage(message)
      },
      onClose: () => {
        if (!this.#isClosed && this.#leaving.has(peer.id)) this.#missed(peer.id)
      },
    }
  }

  /** A peer that restarted: what connects us to its earlier life is dead, even if no reset ever told us so. */
  #noteBoot(peer: PeerHello): void {
    const { server, peers } = this.#started!
    server.closeOtherBoots(peer)
    const known = peers.get(peer.id)
    for (const link of [known?.raft, known?.requests.link]) {
      const live = link?.live
      if (live !== undefined && live.peer.boot !== peer.boot) live.connection.close(`${peer.name} has restarted`)
    }
  }
}
