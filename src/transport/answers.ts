// The answering end of a forward connection: hands commands and questions to the driver, and its answers back.
import { assert, AssertionError } from '../lib/assert.ts'
import type { PeerHello } from '../node/ports.ts'
import type { Connection, FrameHandler } from './connection.ts'
import { messageOf } from './environment.ts'
import type { Environment } from './environment.ts'
import { FRAME } from './frame.ts'
import type { Frame, OutgoingFrame } from './frame.ts'
import {
  decodeControl,
  decodeForward,
  encodeControlAnswer,
  encodeForwardAnswer,
  encodeJson,
  isControlKind,
  refuseFrame,
} from './link-codec.ts'

const CONTROL_ERROR_LENGTH_MAX = 1_024

export class Answers implements FrameHandler {
  readonly #environment: Environment
  readonly #connection: Connection
  readonly #peer: PeerHello
  /** Questions under way. */
  #controls = 0

  constructor(environment: Environment, connection: Connection, peer: PeerHello) {
    this.#environment = environment
    this.#connection = connection
    this.#peer = peer
  }

  onFrame(frame: Frame): void {
    if (frame.type === FRAME.forward) this.#forwarded(frame)
    else if (frame.type === FRAME.control) this.#asked(frame)
    else refuseFrame(frame, 'forward')
  }

  /** The driver goes on with what it was given; its answers will meet nothing. */
  onClose(): void {}

  #forwarded(frame: Frame): void {
    const { counters, handlers } = this.#environment
    const { request, number, commands } = decodeForward(frame)
    let isAnswered = false
    counters.add('forwards_received')
    handlers.onForward(this.#peer, number, commands, (answer) => {
      assert(!isAnswered, `forward ${number} of ${this.#peer.name} was answered twice`)
      isAnswered = true
      assert(
        answer.kind === 'proposed' || answer.kind === 'not-proposed',
        `a forward can be answered proposed or not-proposed, not ${answer.kind}`,
      )
      this.#reply(encodeForwardAnswer(request, answer))
    })
  }

  #asked(frame: Frame): void {
    const { limits, counters } = this.#environment
    const { request, kind, body } = decodeControl(frame, limits.controlBytesMax)
    counters.add('controls_received')
    if (this.#controls < limits.controlsMax) void this.#answer(request, kind, body)
    else this.#reply(encodeControlAnswer(request, false, encodeJson('too many questions are unanswered already')))
  }

  async #answer(request: number, kind: string, body: unknown): Promise<void> {
    this.#controls++
    try {
      this.#reply(encodeControlAnswer(request, true, await this.#ask(kind, body)))
    } catch (error) {
      if (error instanceof AssertionError) throw error
      const text = messageOf(error).slice(0, CONTROL_ERROR_LENGTH_MAX)
      this.#reply(encodeControlAnswer(request, false, encodeJson(text)))
    } finally {
      this.#controls--
    }
  }

  async #ask(kind: string, body: unknown): Promise<Buffer> {
    const { limits, handlers } = this.#environment
    if (!isControlKind(kind)) throw new Error(`this node does not know the question "${kind}"`)
    const json = encodeJson(await handlers.onControl(this.#peer, kind, body))
    if (json.length > limits.controlBytesMax) throw new Error(`the answer would take ${json.length} bytes`)
    return json
  }

  /** Answers are small, and bounded by what the asker may have outstanding; one that does not read them is cut off. */
  #reply(frame: OutgoingFrame): void {
    const connection = this.#connection
    const { limits, counters } = this.#environment
    if (!connection.isOpen) counters.add('late_answers')
    else if (connection.queuedBytes > limits.queueBytesMax) connection.close('the asker does not read its answers')
    else connection.send(frame)
  }
}
