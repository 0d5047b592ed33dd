// The production routes of locks, listings and watches over a connection of the simulated world: their requests and answers are objects in memory,
// which have of Node's what the routes touch. The rest of the server, its framework and its sockets, has suites of its own.
import { EventEmitter } from 'node:events'
import { LOCK_ROUTE } from '../../src/api/routes.ts'
import { assert } from '../../src/lib/assert.ts'
import type { Prng } from '../../src/lib/prng.ts'
import type { QuorateNode } from '../../src/node/quorate-node.ts'
import type { HttpContext } from '../../src/http/context.ts'
import { BodyReader, Continuations } from '../../src/http/body.ts'
import { Edge } from '../../src/http/edge.ts'
import { lockRoutes } from '../../src/http/locks.ts'
import { rangeRoutes } from '../../src/http/ranges.ts'
import type { Handler } from '../../src/http/pages.ts'
import { Streams } from '../../src/http/streams.ts'
import { routeOf } from '../../src/http/target.ts'
import { watchRoute } from '../../src/http/watch.ts'
import type { TransportRequest } from '../../src/client/transport.ts'
import type { World } from './world.ts'

type Request = Parameters<Handler>[0]
type Reply = Parameters<Handler>[1]
type Log = ConstructorParameters<typeof Edge>[1]

/** Where an answer goes. `onChunk` says whether there is room for more; then `resume` is called once there is. */
export interface AnswerSink {
  onHead(status: number, headers: Readonly<Record<string, string>>): void
  onChunk(bytes: Uint8Array): boolean
  onEnd(): void
}

export interface Exchange {
  resume(): void
  /** The client is gone. */
  hangUp(): void
}

/** One for each life of a node. */
export class SimulatedEdge {
  readonly #edge: Edge
  readonly #watch: Handler
  readonly #locks: ReturnType<typeof lockRoutes>
  readonly #ranges: ReturnType<typeof rangeRoutes>

  constructor(node: QuorateNode, world: World, prng: Prng) {
    const failed = (fields: { err?: unknown }): void => world.violate(`a request failed: ${String(fields.err)}`)
    // The two of its methods that the edge calls.
    const log = { debug: () => {}, error: failed } as unknown as Log
    this.#edge = new Edge(node, log, (error) => world.violate(`a claim broke in a request: ${error.message}`))
    const newLeaseId = (): string =>
      [prng.uint32() >>> 1, prng.uint32()].map((part) => part.toString(16).padStart(8, '0')).join('')
    const parts = { edge: this.#edge, bodies: new BodyReader(), continuations: new Continuations() }
    const context: HttpContext = { ...parts, streams: new Streams(), newLeaseId }
    this.#watch = watchRoute(context)
    this.#locks = lockRoutes(context)
    this.#ranges = rangeRoutes(context)
  }

  serve({ method, path, headers, body }: TransportRequest, sink: AnswerSink): Exchange {
    const socket = Object.assign(new EventEmitter(), { destroyed: false })
    const length = body === undefined ? {} : { 'content-length': String(body.length) }
    const raw = Object.assign(new EventEmitter(), { headers: { ...headers, ...length }, socket, resume: () => {} })
    const response = new MemoryResponse(sink)
    // What routes touch of Fastify's own objects, and no more.
    const request = { method, originalUrl: path, raw } as unknown as Request
    const reply = { raw: response, request, hijack: () => {} } as unknown as Reply
    try {
      this.#handler(method, path)(request, reply)
      if (body !== undefined) raw.emit('data', Buffer.from(body))
      raw.emit('end')
    } catch (error) {
      this.#edge.fail(request, reply, error)
    }
    return {
      resume: () => void response.emit('drain'),
      hangUp: () => {
        if (socket.destroyed) return
        socket.destroyed = true
        response.destroyed = true
        socket.emit('close')
      },
    }
  }

  #handler(method: string, path: string): Handler {
    const route = routeOf(path)
    if (route === '/v1/watch') return this.#watch
    if (route === '/v1/kv' && method === 'GET') return this.#ranges.get
    if (method === 'POST') return this.#locks.post
    assert(route === LOCK_ROUTE && method === 'GET', `no route for ${method} ${path}`)
    return this.#locks.get
  }
}

/** A response that is written at once, as far as its sink has room. */
class MemoryResponse extends EventEmitter {
  headersSent = false
  destroyed = false
  readonly #sink: AnswerSink

  constructor(sink: AnswerSink) {
    super()
    this.#sink = sink
  }

  writeHead(status: number, flat: readonly string[]): this {
    this.headersSent = true
    const headers: Record<string, string> = {}
    for (let at = 0; at < flat.length; at += 2) headers[flat[at]!.toLowerCase()] = flat[at + 1]!
    if (!this.destroyed) this.#sink.onHead(status, headers)
    return this
  }

  flushHeaders(): void {}

  write(chunk: string | Uint8Array): boolean {
    return this.destroyed || this.#sink.onChunk(bytesOf(chunk))
  }

  end(chunk?: string | Uint8Array): void {
    if (this.destroyed) return
    if (chunk !== undefined && chunk.length > 0) this.#sink.onChunk(bytesOf(chunk))
    this.#sink.onEnd()
  }

  destroy(): void {
    this.destroyed = true
  }
}

const bytesOf = (chunk: string | Uint8Array): Uint8Array => (typeof chunk === 'string' ? Buffer.from(chunk) : chunk)
