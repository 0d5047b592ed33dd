// Observing an election: an event for each new leader or proclaimed value. Only the latest one matters, so a slow observer
// skips what it missed, and nothing is queued for it.
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { LockPlace } from '../node/facade.ts'
import { EVENT_STREAM, NDJSON, preferredType } from './accept.ts'
import type { HttpContext } from './context.ts'
import { EventText } from './event-text.ts'
import { HTTP_LIMITS } from './limits.ts'
import { leaderDocument } from './locks.ts'
import { nameOf } from './target.ts'

const TEXTS = { [EVENT_STREAM]: new EventText(EVENT_STREAM), [NDJSON]: new EventText(NDJSON) }

export function observeElection({ edge, streams }: HttpContext, request: FastifyRequest, reply: FastifyReply): void {
  const name = nameOf(request.originalUrl)
  const text = TEXTS[preferredType(request.raw.headers.accept, [EVENT_STREAM, NDJSON]) ?? EVENT_STREAM]
  const response = reply.raw
  let latest: (() => string) | undefined
  let isBlocked = false

  const flow = (): void => {
    if (isBlocked || latest === undefined) return
    const next = latest()
    latest = undefined
    if (response.write(next)) return
    isBlocked = true
    response.once('drain', () => {
      isBlocked = false
      flow()
    })
  }
  // A stream that is silent for too long is cut on the way; and a client that is gone is noticed by writing to it.
  const alive = setInterval(() => {
    if (response.headersSent)
      latest ??= () => text.event('progress', JSON.stringify({ revision: edge.node.vitals().revision }))
    flow()
  }, HTTP_LIMITS.streamIdleMs)
  const stop = (): void => {
    clearInterval(alive)
    stay.leave()
    observation?.cancel()
  }
  const stay = streams.join(request, {
    onGone: stop,
    onDrain: () => {
      stop()
      if (!response.headersSent) begin()
      response.end()
    },
  })
  const begin = (): void => {
    const headers = edge.head(undefined)
    headers.push('Content-Type', text.type, 'Cache-Control', 'no-store', 'X-Content-Type-Options', 'nosniff')
    edge.begin(reply, 200, headers)
  }
  let observation: { cancel(): void } | undefined
  try {
    observation = edge.node.observe('election', name, (holder: LockPlace | undefined, revision) => {
      if (!response.headersSent) begin()
      latest = () => text.event('leader', JSON.stringify({ leader: leaderDocument(holder), revision }))
      flow()
    })
  } catch (error) {
    stop()
    throw error
  }
}
