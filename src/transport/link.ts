// A connection to one peer for one kind of traffic that comes back whenever it breaks: at once, then with growing, jittered pauses.
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

export interface LinkEvents {
  /** Makes the handler of what arrives on a new connection; its onClose is told when that connection is gone. */
  onUp(live: LiveLink): FrameHandler
  /** At most once for each connection that was lost: the peer's process is evidently gone. */
  onGone?(): void
}

export class Link {
  readonly #environment: Environment
  readonly #member: MemberInfo
  readonly #channel: Channel
  readonly #events: LinkEvents
  #live: LiveLink | undefined
  #dialled: Dialled | undefined
  #timer: Timer | undefined
  #backoffMs: number
  /** Since when there has been no connection. */
  #downAtMs: number
  /** The first attempt after a loss makes no pause, but comes no more often than any other one. */
  #soonestDialMs: number
  /** A connection was lost, none has taken its place, and nothing has been said of it. */
  #isMissing = false
  #isRefused = false
  #isClosed = false

  constructor(environment: Environment, member: MemberInfo, channel: Channel, events: LinkEvents) {
    this.#environment = environment
    this.#member = member
    this.#channel = channel
    this.#events = events
    this.#backoffMs = environment.limits.backoffMsMin
    this.#downAtMs = environment.clock.now()
    this.#soonestDialMs = this.#downAtMs
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

  /**
   * The peer's machine knows at once whether the process is still there: it refuses the port of one that is not. Two processes that
   * push each other out, though, must not do so as fast as they can.
   */
  #redial(): void {
    const { clock, limits } = this.#environment
    const now = clock.now()
    if (now < this.#soonestDialMs) return this.#retry()
    this.#soonestDialMs = now + limits.backoffMsMax
    this.#dial()
  }

  #dial(): void {
    if (this.#isClosed) return
    this.#dialled = dial(this.#environment, this.#member, this.#channel, {
      onAccepted: (connection, peer) => this.#up({ connection, peer }),
      onRefused: () => {
        this.#isRefused = true
        this.#retry()
      },
      onFailed: (reason, isGone) => {
        this.#isRefused = false
        this.#reportFailure(reason)
        this.#retry()
        if (isGone) this.#tellGone()
      },
    })
  }

  #up(live: LiveLink): FrameHandler {
    this.#live = live
    this.#isMissing = false
    this.#isRefused = false
    this.#backoffMs = this.#environment.limits.backoffMsMin
    this.#environment.log.forget(this.#cause)
    this.#environment.log.forget(`refused/${this.#member.name}/`)
    const handler = this.#events.onUp(live)
    return {
      onFrame: (frame) => handler.onFrame(frame),
      onClose: (reason) => {
        this.#live = undefined
        this.#isMissing = true
        this.#downAtMs = this.#environment.clock.now()
        const { name } = this.#member
        this.#environment.log.info(`${this.#cause}lost`, this.#fields, `lost the connection to ${name}: ${reason}`)
        // Before the handler: it may ask this link for something, which must find it down.
        this.#redial()
        handler.onClose(reason)
      },
    }
  }

  /** Not always by the first attempt: a process that is dying may lose its connections a moment before its port. */
  #tellGone(): void {
    if (!this.#isMissing || this.#isClosed) return
    this.#isMissing = false
    this.#events.onGone?.()
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

  get #fields(): Readonly<Record<string, unknown>> {
    return { peer: this.#member.name, channel: this.#channel }
  }

  /** Members that start, restart or stop together miss each other for a moment: that is no trouble before it lasts. */
  #reportFailure(reason: string): void {
    const { clock, limits, log, logger } = this.#environment
    const { name, peer } = this.#member
    const downMs = clock.now() - this.#downAtMs
    if (downMs < limits.quietMs) {
      logger.debug(this.#fields, `cannot reach ${name} at ${peer}, trying again: ${reason}`)
      return
    }
    const message = `${name} at ${peer} has been out of reach for ${Math.round(downMs / 1_000)} s, trying again: ${reason}`
    log.warn(`${this.#cause}out of reach`, this.#fields, message)
  }
}
