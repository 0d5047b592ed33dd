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

export function answerRequests(environment: Environment, connection: Connection, peer: PeerHello): FrameHandler {
  const { limits, counters, handlers } = environment
  let controls = 0

  /** Answers are small, and bounded by what the asker may have outstanding; an asker that does not read them is cut off. */
  const reply = (frame: OutgoingFrame): void => {
    if (!connection.isOpen) counters.add('late_answers')
    else if (connection.queuedBytes > limits.queueBytesMax) connection.close('the asker does not read its answers')
    else connection.send(frame)
  }

  const onForward = (frame: Frame): void => {
    const { request, number, commands } = decodeForward(frame)
    let isAnswered = false
    counters.add('forwards_received')
    handlers.onForward(peer, number, commands, (answer) => {
      assert(!isAnswered, `forward ${number} of ${peer.name} was answered twice`)
      isAnswered = true
      assert(
        answer.kind === 'proposed' || answer.kind === 'not-proposed',
        `a forward can be answered proposed or not-proposed, not ${answer.kind}`,
      )
      reply(encodeForwardAnswer(request, answer))
    })
  }

  const answerControl = async (kind: string, body: unknown): Promise<Buffer> => {
    if (!isControlKind(kind)) throw new Error(`this node does not know the question "${kind.slice(0, 64)}"`)
    const json = encodeJson(await handlers.onControl(peer, kind, body))
    if (json.length > limits.controlBytesMax) throw new Error(`the answer would take ${json.length} bytes`)
    return json
  }

  const onControl = (frame: Frame): void => {
    const { request, kind, body } = decodeControl(frame, limits.controlBytesMax)
    counters.add('controls_received')
    if (controls < limits.controlsMax) void answerOne(request, kind, body)
    else reply(encodeControlAnswer(request, false, encodeJson('too many questions are unanswered already')))
  }

  const answerOne = async (request: number, kind: string, body: unknown): Promise<void> => {
    controls++
    try {
      reply(encodeControlAnswer(request, true, await answerControl(kind, body)))
    } catch (error) {
      if (error instanceof AssertionError) throw error
      const text = messageOf(error).slice(0, CONTROL_ERROR_LENGTH_MAX)
      reply(encodeControlAnswer(request, false, encodeJson(text)))
    } finally {
      controls--
    }
  }

  return {
    onFrame: (frame) => {
      if (frame.type === FRAME.forward) onForward(frame)
      else if (frame.type === FRAME.control) onControl(frame)
      else refuseFrame(frame, 'forward')
    },
    onClose: () => {},
  }
}
