// The asking end of a forward connection: forwarded commands and control questions, and what became of each.
// A forward is sent at most once. `unsent` is said only when not one byte of it can have reached a socket.
import { deferred } from '../lib/deferred.ts'
import type { Deferred } from '../lib/deferred.ts'
import { TransientMap } from '../lib/transient.ts'
import type { ControlKind, ForwardAnswer, MemberInfo, PeerHello, Timer } from '../node/ports.ts'
import type { Environment } from './environment.ts'
import { FRAME } from './frame.ts'
import type { Frame, OutgoingFrame } from './frame.ts'
import type { LiveLink } from './link.ts'
import { Link } from './link.ts'
import {
  decodeControlAnswer,
  decodeForwardAnswer,
  encodeControl,
  encodeForward,
  encodeJson,
  refuseFrame,
} from './link-codec.ts'

interface PendingForward {
  readonly frame: OutgoingFrame
  readonly done: (answer: ForwardAnswer) => void
}

interface PendingControl {
  readonly answer: Deferred<unknown>
  readonly timer: Timer
}

export class Requests {
  readonly #environment: Environment
  readonly #member: MemberInfo
  readonly #link: Link
  /** By request number, which is never used twice: a late answer meets nothing. */
  readonly #forwards = new TransientMap<PendingForward>()
  readonly #controls = new TransientMap<PendingControl>()
  #forwardBytes = 0
  #lastRequest = 0

  /** `onUp` is told of each new connection. */
  constructor(environment: Environment, member: MemberInfo, onUp: (peer: PeerHello) => void) {
    this.#environment = environment
    this.#member = member
    this.#link = new Link(environment, member, 'forward', {
      onUp: ({ peer }) => {
        onUp(peer)
        return { onFrame: (frame) => this.#received(frame), onClose: () => this.#lost() }
      },
    })
  }

  get link(): Link {
    return this.#link
  }

  forward(number: number, commands: Uint8Array, done: (answer: ForwardAnswer) => void): void {
    const { counters } = this.#environment
    const live = this.#link.live
    if (live === undefined) {
      counters.add('forwards_unsent')
      queueMicrotask(() => done({ kind: 'unsent' }))
      return
    }
    const frame = encodeForward(this.#nextRequest(), number, commands)
    const refusal = this.#refusalOf(frame, live)
    if (refusal !== undefined) {
      counters.add('forwards_overloaded')
      queueMicrotask(() => done(refusal))
      return
    }
    counters.add('forwards_sent')
    this.#forwards.set(this.#lastRequest, { frame, done })
    this.#forwardBytes += frame.bytes
    live.connection.send(frame)
  }

  control(kind: ControlKind, body: unknown, timeoutMs: number): Promise<unknown> {
    const { limits, clock, counters } = this.#environment
    const name = this.#member.name
    const live = this.#link.live
    if (live === undefined) return Promise.reject(new Error(`there is no connection to ${name}`))
    if (this.#controls.size >= limits.controlsMax)
      return Promise.reject(new Error(`${limits.controlsMax} questions to ${name} are unanswered already`))
    const json = encodeJson(body)
    if (json.length > limits.controlBytesMax)
      return Promise.reject(new Error(`a question of ${json.length} bytes is above ${limits.controlBytesMax}`))
    const request = this.#nextRequest()
    const answer = deferred<unknown>()
    const timer = clock.after(timeoutMs, () => {
      this.#controls.delete(request)
      answer.reject(new Error(`${name} did not answer within ${timeoutMs} ms`))
    })
    this.#controls.set(request, { answer, timer })
    counters.add('controls_sent')
    live.connection.send(encodeControl(request, kind, json))
    return answer.promise
  }

  #nextRequest(): number {
    this.#lastRequest++
    return this.#lastRequest
  }

  /** Nothing was proposed, as nothing was sent. */
  #refusalOf(frame: OutgoingFrame, live: LiveLink): ForwardAnswer | undefined {
    const { limits } = this.#environment
    const name = this.#member.name
    if (frame.bytes > limits.frameBytesMax)
      return notProposed('VALUE_TOO_LARGE', `${frame.bytes} bytes do not fit into a frame of ${limits.frameBytesMax}`)
    if (this.#forwards.size >= limits.forwardsMax)
      return notProposed('OVERLOADED', `${this.#forwards.size} batches forwarded to ${name} are unanswered already`)
    const isFull =
      this.#forwardBytes + frame.bytes > limits.forwardBytesMax ||
      live.connection.queuedBytes + frame.bytes > limits.queueBytesMax
    return isFull ? notProposed('OVERLOADED', `too many bytes wait to be forwarded to ${name}`) : undefined
  }

  #received(frame: Frame): void {
    if (frame.type === FRAME.forwardAnswer) this.#forwardAnswered(frame)
    else if (frame.type === FRAME.controlAnswer) this.#controlAnswered(frame)
    else refuseFrame(frame, 'forward')
  }

  #forwardAnswered(frame: Frame): void {
    const { request, answer } = decodeForwardAnswer(frame)
    const pending = this.#forwards.delete(request)
    if (pending === undefined) return this.#environment.counters.add('late_answers')
    this.#forwardBytes -= pending.frame.bytes
    pending.done(answer)
  }

  #controlAnswered(frame: Frame): void {
    const { limits, counters } = this.#environment
    const { request, isOk, body } = decodeControlAnswer(frame, limits.controlBytesMax)
    const pending = this.#controls.delete(request)
    if (pending === undefined) return counters.add('late_answers')
    pending.timer.cancel()
    if (isOk) pending.answer.resolve(body)
    else pending.answer.reject(new Error(typeof body === 'string' ? body : `${this.#member.name} did not say why`))
  }

  #lost(): void {
    const { counters } = this.#environment
    const forwards = this.#forwards.values()
    const controls = this.#controls.values()
    this.#forwards.clear()
    this.#controls.clear()
    this.#forwardBytes = 0
    for (const { answer, timer } of controls) {
      timer.cancel()
      answer.reject(new Error(`the connection to ${this.#member.name} broke before it answered`))
    }
    for (const { frame, done } of forwards) {
      counters.add(frame.isStarted ? 'forwards_lost' : 'forwards_unsent')
      done({ kind: frame.isStarted ? 'lost' : 'unsent' })
    }
  }
}

const notProposed = (code: string, detail: string): ForwardAnswer => ({ kind: 'not-proposed', code, detail })
