// The simulated network: who runs, who is connected to whom, how connections come up and break. Each end learns in its own time
// that a connection has broken: what was under way may still arrive after its sender has given it up for lost.
import type { PeerHello } from '../../src/node/ports.ts'
import type { NodeId } from '../../src/raft/index.ts'
import type { Conduct } from './conduct.ts'
import { Connection } from './connection.ts'
import type { Host } from './host.ts'
import type { Links } from './links.ts'
import type { Observer } from './observer.ts'
import { SimulatedTransport } from './simulated-transport.ts'
import type { Situations } from './situations.ts'
import type { World } from './world.ts'

/** How long a cut way may last before its connections break. Milliseconds. */
const PATIENCE_MS = 1_500
export const REDIAL_MS = 100

export interface NetworkParts {
  readonly world: World
  readonly links: Links
  readonly situations: Situations
  readonly observer: Observer
  readonly conduct: Conduct
}

export class Network {
  readonly parts: NetworkParts
  readonly #running = new Map<NodeId, SimulatedTransport>()
  readonly #connections = new Map<string, Connection>()
  /** Machines without power: they do not even refuse. */
  readonly #dark = new Set<NodeId>()

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
    this.#dark.delete(transport.id)
    for (const id of [...this.#running.keys()].sort()) if (id !== transport.id) this.#dial(transport.id, id)
  }

  /** A process has ended: its peers learn of it in a moment, or, when the machine went with it, by silence. */
  leave(transport: SimulatedTransport, isSilent: boolean): void {
    if (this.#running.get(transport.id) !== transport) return
    this.#running.delete(transport.id)
    if (isSilent) this.#dark.add(transport.id)
    for (const connection of this.#connections.values()) {
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
          this.#callAgain(end, connection.other(end))
        })
        if (!end.host.isAlive) connection.down(end)
        if (--open > 0) return
        const pair = pairOf(one.id, other.id)
        if (this.#connections.get(pair) === connection) this.#connections.delete(pair)
        this.#dial(one.id, other.id)
      })
    }
  }

  /** Whoever has lost a peer calls it at once. Where its process has ended and the machine is there, that is refused, as a rule. */
  #callAgain(end: SimulatedTransport, lost: SimulatedTransport): void {
    const { world, links, situations } = this.parts
    world.after(links.delayMs(end.id, lost.id) + links.delayMs(lost.id, end.id), () => {
      const isRefused = !this.#running.has(lost.id) && !this.#dark.has(lost.id) && this.#isOpen(end.id, lost.id)
      if (!isRefused || links.isRefusalLost()) return
      end.host.input(() => {
        situations.met('evidence')
        world.note('gone', end.name, lost.name)
        end.handlers.onGone(lost.id)
      })
    })
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
