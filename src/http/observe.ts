// Observing an election: an event for each new leader or proclaimed value. Only the latest one matters, so a slow observer
// skips what it missed, and nothing is queued for it.
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { LockPlace, ReadOptions } from '../node/facade.ts'
import { EVENT_STREAM, NDJSON, preferredType } from './accept.ts'
import type { HttpContext } from './context.ts'
import { isRefusal } from './edge.ts'
import { EventText } from './event-text.ts'
import { HTTP_LIMITS } from './limits.ts'
import { leaderDocument } from './locks.ts'
import { nameOf } from './target.ts'

const TEXTS = { [EVENT_STREAM]: new EventText(EVENT_STREAM), [NDJSON]: new EventText(NDJSON) }

/** `options` say how fresh the state must be that it begins with. */
export function observeElection(
  context: HttpContext,
  request: FastifyRequest,
  reply: FastifyReply,
  options: ReadOptions,
): void {
  new ElectionStream(context, request, reply).start(options)
}

class ElectionStream {
  readonly #context: HttpContext
  readonly #request: FastifyRequest
  readonly #reply: FastifyReply
  readonly #text: EventText
  /** What is to be told next, once the socket has room. */
  #latest: (() => string) | undefined
  #isBlocked = false
  #isOver = false
  #observation: { cancel(): void } | undefined
  #leave = (): void => {}

  constructor(context: HttpContext, request: FastifyRequest, reply: FastifyReply) {
    this.#context = context
    this.#request = request
    this.#reply = reply
    this.#text = TEXTS[preferredType(request.raw.headers.accept, [EVENT_STREAM, NDJSON]) ?? EVENT_STREAM]
  }

  /** Like a watch from now on, behind a read index: whoever observed on another node before is never told what was earlier. */
  start(options: ReadOptions): void {
    const { edge, streams } = this.#context
    const stay = streams.join(this.#request, { onGone: () => this.#stop(), onDrain: () => this.#end() })
    // A stream that is silent for too long is cut on the way; and a client that is gone is noticed by writing to it.
    const alive = setInterval(() => this.#remind(), HTTP_LIMITS.streamIdleMs)
    this.#leave = () => {
      clearInterval(alive)
      stay.leave()
    }
    edge.node.inspect(
      options,
      () => undefined,
      (outcome) => {
        if (!this.#isOver) edge.guarded(this.#request, this.#reply, () => this.#observe(outcome))
      },
    )
  }

  #observe(outcome: object): void {
    try {
      if (isRefusal(outcome)) throw outcome
      const name = nameOf(this.#request.originalUrl)
      this.#observation = this.#context.edge.node.observe('election', name, (holder, revision) =>
        this.#tell(holder, revision),
      )
    } catch (error) {
      this.#stop()
      throw error
    }
  }

  #tell(holder: LockPlace | undefined, revision: number): void {
    if (!this.#reply.raw.headersSent) this.#begin()
    this.#latest = () => this.#text.event('leader', JSON.stringify({ leader: leaderDocument(holder), revision }))
    this.#flow()
  }

  #remind(): void {
    const { edge } = this.#context
    if (this.#reply.raw.headersSent)
      this.#latest ??= () => this.#text.event('progress', JSON.stringify({ revision: edge.node.vitals().revision }))
    this.#flow()
  }

  #begin(): void {
    const { edge } = this.#context
    const headers = edge.head(undefined)
    headers.push('Content-Type', this.#text.type, 'Cache-Control', 'no-store', 'X-Content-Type-Options', 'nosniff')
    edge.begin(this.#reply, 200, headers)
  }

  #flow(): void {
    const response = this.#reply.raw
    if (this.#isBlocked || this.#latest === undefined) return
    const next = this.#latest()
    this.#latest = undefined
    if (response.write(next)) return
    this.#isBlocked = true
    response.once('drain', () => {
      this.#isBlocked = false
      this.#flow()
    })
  }

  #end(): void {
    this.#stop()
    if (!this.#reply.raw.headersSent) this.#begin()
    this.#reply.raw.end()
  }

  #stop(): void {
    this.#isOver = true
    this.#leave()
    this.#observation?.cancel()
  }
}
