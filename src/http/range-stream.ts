// A whole range as lines of JSON, at one revision: page after page as the client takes them, so that the memory it needs does
// not depend on how much there is. What breaks in the middle breaks the connection: an end that looks like one is the end.
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { EntryStream, ListRequest, ReadOptions } from '../node/facade.ts'
import { NDJSON } from './accept.ts'
import type { HttpContext } from './context.ts'
import { isRefusal } from './edge.ts'
import { listedLine } from './entry-json.ts'
import { stalenessHeaders } from './read-options.ts'
import type { Stay } from './streams.ts'

export function streamRange(
  context: HttpContext,
  request: FastifyRequest,
  reply: FastifyReply,
  listing: ListRequest,
  keysOnly: boolean,
  options: ReadOptions,
): void {
  const { edge, streams } = context
  let isGone = false
  let wake: (() => void) | undefined
  const stay = streams.join(request, {
    onGone: () => {
      isGone = true
      wake?.()
    },
    // A listing that is under way is finished: it has an end.
    onDrain: () => {},
  })
  edge.node.stream(listing, options, (outcome) => {
    if (isRefusal(outcome)) {
      stay.leave()
      edge.fail(request, reply, outcome)
      return
    }
    const isNow = listing.revision === undefined
    const roomAgain = (): Promise<void> =>
      new Promise((resolve) => {
        wake = resolve
        reply.raw.once('drain', resolve)
      })
    const lines: Lines = {
      isGone: () => isGone,
      roomAgain,
      encode: (items) => items.map((item) => listedLine(edge.node, item, keysOnly, isNow)).join(''),
    }
    void send(context, request, reply, outcome, lines, stay)
  })
}

interface Lines {
  isGone(): boolean
  /** Resolves when the socket takes more, or the client is gone. */
  roomAgain(): Promise<void>
  encode(items: NonNullable<Awaited<ReturnType<EntryStream['next']>>>): string
}

/** Never rejects: what goes wrong ends the answer. */
async function send(
  { edge }: HttpContext,
  request: FastifyRequest,
  reply: FastifyReply,
  stream: EntryStream,
  lines: Lines,
  stay: Stay,
): Promise<void> {
  const response = reply.raw
  try {
    const headers = edge.head(Math.max(stream.revision, stream.listedRevision))
    headers.push('Content-Type', NDJSON, 'Cache-Control', 'no-store', ...stalenessHeaders(stream.stalenessMs))
    // The first page before the headers: what fails at once is a problem document.
    let items = await stream.next()
    if (!lines.isGone()) edge.begin(reply, 200, headers)
    while (items !== undefined && !lines.isGone()) {
      if (!response.write(lines.encode(items))) await lines.roomAgain()
      if (!lines.isGone()) items = await stream.next()
    }
    if (!lines.isGone()) response.end()
  } catch (error) {
    if (!lines.isGone()) edge.fail(request, reply, error)
  } finally {
    stay.leave()
    await stream.close().catch((error: unknown) => edge.report(error))
  }
}
