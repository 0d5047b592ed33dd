// The listening end: accepts connections, takes each through its handshake, and keeps one a peer and kind of traffic.
import { createServer } from 'node:net'
import type { Server, Socket } from 'node:net'
import type { PeerHello } from '../node/ports.ts'
import type { NodeId } from '../raft/index.ts'
import { Connection } from './connection.ts'
import type { FrameHandler, Refused } from './connection.ts'
import { track } from './environment.ts'
import type { Environment } from './environment.ts'
import type { Channel } from './handshake-codec.ts'
import { CalleeHandshake } from './handshake.ts'

export interface Accepted {
  readonly connection: Connection
  readonly peer: PeerHello
  readonly channel: Channel
}

export interface ListenAddress {
  readonly host: string
  readonly port: number
}

export class PeerServer {
  readonly #environment: Environment
  readonly #onUp: (accepted: Accepted) => FrameHandler
  readonly #server: Server
  /** By channel and peer. A new one takes the place of the old: its dialler has given that one up. */
  readonly #current = new Map<string, Accepted>()
  #handshakes = 0

  constructor(environment: Environment, onUp: (accepted: Accepted) => FrameHandler) {
    this.#environment = environment
    this.#onUp = onUp
    this.#server = createServer({ noDelay: true }, (socket) => this.#accept(socket))
  }

  /** Where it listens; its port is the real one also when 0 was asked for. */
  get address(): ListenAddress | undefined {
    const address = this.#server.address()
    return address === null || typeof address === 'string' ? undefined : { host: address.address, port: address.port }
  }

  listen(address: ListenAddress): Promise<void> {
    return new Promise((resolve, reject) => {
      const onError = (error: Error): void =>
        reject(
          new Error(`cannot listen for peers on ${address.host}:${address.port}: ${error.message}`, { cause: error }),
        )
      this.#server.once('error', onError)
      this.#server.listen(address.port, address.host, () => {
        this.#server.off('error', onError)
        // Such as too many open files: that connection is lost, the server goes on.
        this.#server.on('error', (error) =>
          this.#environment.log.warn('accept', { error: error.message }, `cannot accept a peer: ${error.message}`),
        )
        resolve()
      })
    })
  }

  /** Whether the peer's own connection of this kind is up. */
  isCalledBy(peer: NodeId, channel: Channel): boolean {
    return this.#current.has(keyOf(peer, channel))
  }

  /** Ends the connections of earlier lives of a peer. */
  closeOtherBoots(peer: PeerHello): void {
    for (const { connection, peer: known } of this.#current.values())
      if (known.id === peer.id && known.boot !== peer.boot) connection.close(`${peer.name} has restarted`)
  }

  /** Stops listening. The connections are the transport's to close. */
  close(): Promise<void> {
    return new Promise((resolve) => {
      this.#server.close(() => resolve())
    })
  }

  #accept(socket: Socket): void {
    const { limits, clock, counters, log, handshake } = this.#environment
    if (this.#handshakes >= limits.handshakesMax) {
      counters.add('connections_overloaded')
      socket.on('error', () => {})
      socket.destroy()
      return
    }
    const remote = `${socket.remoteAddress ?? '?'}:${socket.remotePort ?? '?'}`
    let known: Accepted | undefined
    this.#handshakes++
    const connection = new Connection(socket, {
      limits,
      clock,
      counters,
      makeHandshake: (send) => new CalleeHandshake(handshake, send),
      onAccepted: ({ peer, channel }) => {
        this.#handshakes--
        counters.add('connections_accepted')
        known = { connection, peer, channel }
        return this.#register(known)
      },
      onRefused: (refused) => {
        this.#handshakes--
        this.#logRefusal(refused, remote)
      },
      onFailed: (reason) => {
        this.#handshakes--
        counters.add('connections_failed')
        log.warn(
          'incoming',
          { remote, reason },
          `a connection from ${remote} did not get through its handshake: ${reason}`,
        )
      },
      onCorrupt: (reason) => {
        const from = known === undefined ? 'a stranger' : known.peer.name
        log.warn(
          `corrupt/in/${from}/${known?.channel ?? ''}`,
          { remote, reason },
          `closing a connection from ${from} at ${remote}: what it sent makes no sense (${reason})`,
        )
      },
    })
    track(this.#environment, connection)
  }

  #register(accepted: Accepted): FrameHandler {
    const key = keyOf(accepted.peer.id, accepted.channel)
    const earlier = this.#current.get(key)
    this.#current.set(key, accepted)
    earlier?.connection.close(`${accepted.peer.name} has opened another connection`)
    const handler = this.#onUp(accepted)
    return {
      onFrame: (frame) => handler.onFrame(frame),
      onClose: (reason) => {
        if (this.#current.get(key) === accepted) this.#current.delete(key)
        handler.onClose(reason)
      },
    }
  }

  #logRefusal(refused: Refused, remote: string): void {
    const { counters, log } = this.#environment
    counters.add(refused.by === 'us' ? 'handshakes_refused_by_us' : 'handshakes_refused_by_peer')
    const who = refused.by === 'us' ? `refusing a connection from ${remote}` : `${remote} refuses this node`
    // Its code is one of ours, or a stranger's: only the former may become a cause of its own.
    const cause = refused.by === 'us' ? refused.code : 'peer'
    log.warn(`refused/in/${cause}`, { remote, refusal: refused.code }, `${who}: ${refused.detail}`)
  }
}

const keyOf = (peer: NodeId, channel: Channel): string => `${channel}/${peer}`
