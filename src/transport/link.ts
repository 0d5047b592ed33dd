// A connection to one peer for one kind of traffic that comes back whenever it breaks, with growing, jittered pauses.
import type { MemberInfo, PeerHello, Timer } from '../node/ports.ts'
import type { Connection, FrameHandler } from './connection.ts'
import { dial } from './dial.ts'
import type { Dialled } from './dial.ts'
import type { Environment } from './environment.ts'
import type { Channel } from './handshake-codec.ts'

export interface LiveLink {
  readonly connection: Connection
  readonly peer: PeerHello
}

/** Makes the handler of what arrives on a new connection; its onClose is told when that connection is gone. */
export type OnUp = (live: LiveLink) => FrameHandler

export class Link {
  readonly #environment: Environment
  readonly #member: MemberInfo
  readonly #channel: Channel
  readonly #onUp: OnUp
  #live: LiveLink | undefined
  #dialled: Dialled | undefined
  #timer: Timer | undefined
  #backoffMs: number
  #isRefused = false
  #isClosed = false

  constructor(environment: Environment, member: MemberInfo, channel: Channel, onUp: OnUp) {
    this.#environment = environment
    this.#member = member
    this.#channel = channel
    this.#onUp = onUp
    this.#backoffMs = environment.limits.backoffMsMin
  }

  /** The connection, while it is up. */
  get live(): LiveLink | undefined {
    return this.#live
  }

  start(): void {
    this.#dial()
  }

  /** The peer has just shown that it is there: no need to wait on. A peer that refuses us is left its pause. */
  hasten(): void {
    if (this.#timer === undefined || this.#isRefused || this.#isClosed) return
    this.#timer.cancel()
    this.#timer = undefined
    this.#dial()
  }

  close(reason: string): void {
    this.#isClosed = true
    this.#timer?.cancel()
    this.#timer = undefined
    this.#dialled?.close(reason)
  }

  #dial(): void {
    if (this.#isClosed) return
    this.#dialled = dial(this.#environment, this.#member, this.#channel, {
      onAccepted: (connection, peer) => this.#up({ connection, peer }),
      onRefused: () => {
        this.#isRefused = true
        this.#retry()
      },
      onFailed: (reason) => {
        this.#isRefused = false
        this.#warn(`cannot reach ${this.#member.name} at ${this.#member.peer}, trying again: ${reason}`)
        this.#retry()
      },
    })
  }

  #up(live: LiveLink): FrameHandler {
    this.#live = live
    this.#isRefused = false
    this.#backoffMs = this.#environment.limits.backoffMsMin
    this.#environment.log.forget(this.#cause)
    this.#environment.log.forget(`refused/${this.#member.name}/`)
    const handler = this.#onUp(live)
    return {
      onFrame: (frame) => handler.onFrame(frame),
      onClose: (reason) => {
        this.#live = undefined
        this.#warn(`lost the connection to ${this.#member.name}: ${reason}`)
        // Before the handler: it may ask this link for something, which must find it down.
        this.#retry()
        handler.onClose(reason)
      },
    }
  }

  /** Half of the pause is fixed, half is chance: nodes that lost each other together do not return together. */
  #retry(): void {
    if (this.#isClosed) return
    const { limits, clock, handshake } = this.#environment
    const chance = (handshake.random(1)[0] ?? 0) / 256
    const delayMs = (this.#backoffMs * (1 + chance)) / 2
    this.#backoffMs = Math.min(this.#backoffMs * 2, limits.backoffMsMax)
    this.#timer = clock.after(delayMs, () => {
      this.#timer = undefined
      this.#dial()
    })
  }

  /** The same for all kinds of traffic: it is one trouble. */
  get #cause(): string {
    return `unreachable/${this.#member.name}/`
  }

  #warn(message: string): void {
    this.#environment.log.warn(this.#cause, { peer: this.#member.name, channel: this.#channel }, message)
  }
}
