// Answers that last: watches, observers, listings without an end in sight, long polls. Counted for each connection, and ended
// when the server shuts down.
import type { FastifyRequest } from 'fastify'
import { QuorateError } from '../api/errors.ts'
import { HTTP_LIMITS } from './limits.ts'

type Socket = FastifyRequest['raw']['socket']

/** One lasting answer: `leave` it when it is over, however it came to that. */
export interface Stay {
  leave(): void
}

export class Streams {
  readonly #enders = new Set<() => void>()
  readonly #held = new WeakMap<Socket, number>()

  get size(): number {
    return this.#enders.size
  }

  /**
   * A request came. Where answers pile up behind a lasting one, Node stops reading the connection, and would hear of a client that
   * goes only by the idle timeout: such a connection is cut instead.
   */
  arrived(request: FastifyRequest): void {
    const { socket } = request.raw
    if ((this.#held.get(socket) ?? 0) > 0 && socket.isPaused()) socket.destroy()
  }

  /**
   * Joins until `leave`. `onGone` is called when the client goes away before that, `onDrain` when the server shuts down: then
   * the answer is to be ended. HTTP/1.1 answers in order, so a second stream on a connection would never be heard.
   */
  join(request: FastifyRequest, handlers: { readonly onGone: () => void; readonly onDrain: () => void }): Stay {
    const { socket } = request.raw
    const held = this.#held.get(socket) ?? 0
    if (held >= HTTP_LIMITS.streamsPerConnectionMax)
      throw new QuorateError('OVERLOADED', 'This connection carries a stream already; open another one.')
    this.#held.set(socket, held + 1)
    const { onGone, onDrain } = handlers
    let isOver = false
    const leave = (): void => {
      if (isOver) return
      isOver = true
      this.#enders.delete(onDrain)
      this.#held.set(socket, (this.#held.get(socket) ?? 1) - 1)
      socket.removeListener('close', gone)
    }
    const gone = (): void => {
      leave()
      onGone()
    }
    this.#enders.add(onDrain)
    // A client that went away while something was looked up has closed already, and is not heard to close again.
    if (socket.destroyed) queueMicrotask(gone)
    else socket.on('close', gone)
    return { leave }
  }

  /** Ends them all. */
  drain(): void {
    for (const end of this.#enders) end()
  }
}

/** For a request that waits so long: until the next one, its connection may be idle for that and a little longer. */
export function allowIdle(request: FastifyRequest, waitMs: number): void {
  // Injected requests have no socket that could be idle.
  const socket: Partial<Socket> = request.raw.socket
  socket.setTimeout?.(Math.max(HTTP_LIMITS.idleTimeoutMs, waitMs + HTTP_LIMITS.waitGraceMs))
}
