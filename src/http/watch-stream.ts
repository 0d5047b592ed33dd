// One watch as a stream of events. The node says what happens and in which order; here it becomes text, the socket says when it
// has had enough, and the end says where to go on.
import type { FastifyReply, FastifyRequest } from 'fastify'
import { QuorateError } from '../api/errors.ts'
import type { KeyEntry } from '../api/commands.ts'
import type { WatchEvent, WatchHandle, WatchRequest, WatchSink } from '../node/facade.ts'
import type { HttpContext } from './context.ts'
import type { EventText } from './event-text.ts'
import { problemOf } from './problems.ts'

export class WatchStream implements WatchSink {
  readonly #context: HttpContext
  readonly #request: FastifyRequest
  readonly #reply: FastifyReply
  readonly #text: EventText
  #handle: WatchHandle | undefined
  /** Until the first word of the node, the answer may still be a problem document. */
  #hasBegun = false
  #isOver = false
  /** The initial entries are on their way: a client that is cut off now has to begin anew. */
  #isSyncing = false
  /** Every event up to here was written; undefined while that cannot be said. */
  #through: number | undefined
  #leave = (): void => {}

  constructor(context: HttpContext, request: FastifyRequest, reply: FastifyReply, text: EventText) {
    this.#context = context
    this.#request = request
    this.#reply = reply
    this.#text = text
  }

  start(watch: WatchRequest): void {
    this.#isSyncing = watch.wantsInitial
    const stay = this.#context.streams.join(this.#request, {
      onGone: () => this.#stop(),
      onDrain: () => this.#end(this.#resumeMark()),
    })
    this.#leave = () => stay.leave()
    this.#handle = this.#context.edge.node.watch(watch, this)
    if (this.#isOver) this.#handle.cancel()
  }

  onInitial(items: readonly KeyEntry[]): boolean {
    return this.#write(items.map((entry) => this.#text.initial(entry)).join(''))
  }

  onSync(revision: number): boolean {
    this.#isSyncing = false
    this.#through = revision
    return this.#write(this.#text.mark('sync', revision))
  }

  onEvents(revision: number, events: readonly WatchEvent[]): boolean {
    if (events.length === 0) return true
    this.#through = revision
    return this.#write(this.#text.revision(revision, events))
  }

  onProgress(revision: number): boolean {
    if (this.#isSyncing) return this.#write('')
    this.#through = revision
    return this.#write(this.#text.mark('progress', revision))
  }

  onCompacted(compactRevision: number): void {
    if (this.#hasBegun) this.#end(this.#text.event('compacted', JSON.stringify({ compactRevision })))
    else {
      const detail = `The history up to revision ${compactRevision} has been compacted; read the range and watch from there.`
      this.#refuse(new QuorateError('COMPACTED', detail, { details: { compactRevision } }))
    }
  }

  onLagging(revision: number): void {
    this.#end(this.#text.event('lagging', JSON.stringify({ revision })))
  }

  onFailure(error: QuorateError): void {
    if (!this.#hasBegun) this.#refuse(error)
    else if (error.code === 'SHUTTING_DOWN') this.#end(this.#resumeMark())
    else this.#end(this.#text.event('problem', problemOf(error, true).body))
  }

  /** Where to go on, if that can be said. */
  #resumeMark(): string {
    return this.#through === undefined || !this.#hasBegun ? '' : this.#text.mark('progress', this.#through)
  }

  #write(text: string | Buffer): boolean {
    if (this.#isOver) return false
    this.#begin()
    if (text.length === 0 || this.#reply.raw.write(text)) return true
    this.#reply.raw.once('drain', () => {
      if (!this.#isOver) this.#handle?.resume()
    })
    return false
  }

  #begin(): void {
    if (this.#hasBegun) return
    this.#hasBegun = true
    const { edge } = this.#context
    const headers = edge.head(undefined)
    headers.push('Content-Type', this.#text.type, 'Cache-Control', 'no-store', 'X-Content-Type-Options', 'nosniff')
    edge.begin(this.#reply, 200, headers)
  }

  #refuse(error: QuorateError): void {
    if (this.#isOver) return
    this.#stop()
    this.#context.edge.fail(this.#request, this.#reply, error)
  }

  /** The last words. A stream that had not begun has an empty body. */
  #end(text: string): void {
    if (this.#isOver) return
    this.#begin()
    this.#stop()
    this.#reply.raw.end(text)
  }

  #stop(): void {
    this.#isOver = true
    this.#leave()
    this.#handle?.cancel()
  }
}
