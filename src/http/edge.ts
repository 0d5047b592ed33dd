// The way out: every answer leaves through here, with the headers that every answer has. Answers are written straight to
// Node's response: a flat list of headers and a body of known length cost a tenth less than Fastify's own way of replying.
import type { IncomingHttpHeaders } from 'node:http'
import type { FastifyBaseLogger, FastifyReply } from 'fastify'
import { QuorateError } from '../api/errors.ts'
import { AssertionError } from '../lib/assert.ts'
import type { NodeFacade } from '../node/facade.ts'
import { fromFastify, problem, problemOf, retryHeaders } from './problems.ts'
import type { Problem } from './problems.ts'

/** Names and values in turn. */
export type FlatHeaders = string[]

/** What an answer depends on of its request: Fastify's, or one that the fast lane read. */
export interface Asked {
  readonly method: string
  readonly raw: { readonly headers: IncomingHttpHeaders }
}

/** Where an answer goes: Fastify's reply, or a connection on the fast lane. */
export interface Answering {
  hijack(): unknown
  readonly request: { readonly method: string }
  readonly raw: {
    readonly headersSent: boolean
    readonly destroyed: boolean
    writeHead(status: number, headers: FlatHeaders): unknown
    end(): unknown
    end(body: string, encoding: 'latin1'): unknown
    end(body: Uint8Array): unknown
    destroy(): unknown
  }
}

export class Edge {
  readonly node: NodeFacade
  readonly #log: FastifyBaseLogger
  readonly #onBrokenClaim: (error: AssertionError) => void
  #isDraining = false

  constructor(node: NodeFacade, log: FastifyBaseLogger, onBrokenClaim: (error: AssertionError) => void = rethrow) {
    this.node = node
    this.#log = log
    this.#onBrokenClaim = onBrokenClaim
  }

  get isDraining(): boolean {
    return this.#isDraining
  }

  /** From now on new requests are refused; those under way are finished, and connections close with their answer. */
  drain(): void {
    this.#isDraining = true
  }

  /** The headers of every answer. `revision` is that of the state the answer was read from, where it was read from one. */
  head(revision: number | undefined): FlatHeaders {
    const vitals = this.node.vitals()
    const headers = [
      'Quorate-Revision',
      String(revision ?? vitals.revision),
      'Quorate-Term',
      String(vitals.term),
      'Quorate-Node',
      vitals.name,
    ]
    if (vitals.leaderName !== undefined) headers.push('Quorate-Leader', vitals.leaderName)
    if (this.#isDraining) headers.push('Connection', 'close')
    return headers
  }

  /** A string body is latin1: one byte a code unit. Without a body there is no Content-Length either. */
  finish(reply: Answering, status: number, headers: FlatHeaders, body: string | Uint8Array | undefined): void {
    reply.hijack()
    const response = reply.raw
    if (response.headersSent || response.destroyed) return
    if (body === undefined) {
      response.writeHead(status, headers)
      response.end()
      return
    }
    headers.push('Content-Length', String(body.length))
    response.writeHead(status, headers)
    if (reply.request.method === 'HEAD') response.end()
    else if (typeof body === 'string') response.end(body, 'latin1')
    else response.end(body)
  }

  /** Sends the head of an answer whose body comes in pieces; whoever calls it ends the answer. */
  begin(reply: FastifyReply, status: number, headers: FlatHeaders): void {
    reply.hijack()
    reply.raw.writeHead(status, headers)
    reply.raw.flushHeaders()
  }

  json(reply: Answering, status: number, document: unknown, revision?: number, extra: FlatHeaders = []): void {
    this.jsonText(reply, status, JSON.stringify(document), revision, extra)
  }

  jsonText(reply: Answering, status: number, text: string, revision?: number, extra: FlatHeaders = []): void {
    const headers = this.head(revision)
    headers.push('Content-Type', 'application/json', 'Cache-Control', 'no-store', ...extra)
    this.finish(reply, status, headers, Buffer.from(text))
  }

  problem(reply: Answering, refusal: Problem, revision?: number, extra: FlatHeaders = []): void {
    const headers = this.head(revision)
    headers.push('Content-Type', 'application/problem+json', 'Cache-Control', 'no-store')
    headers.push(...retryHeaders(refusal), ...extra)
    this.finish(reply, refusal.status, headers, Buffer.from(refusal.body))
  }

  /** Any error at all, as a problem. What is not the caller's doing is logged here, whole, and answered without a word of it. */
  fail(request: Asked, reply: Answering, error: unknown, extra: FlatHeaders = []): void {
    const isRead = request.method === 'GET' || request.method === 'HEAD'
    const known = fromFastify(error)
    // A body that is under way cannot become a problem document; that it breaks off is all that can be said.
    if (known !== undefined && reply.raw.headersSent) {
      reply.raw.destroy()
      return
    }
    if (known !== undefined) {
      this.problem(reply, problemOf(known, isRead), undefined, extra)
      return
    }
    if (error instanceof AssertionError) this.#onBrokenClaim(error)
    if (reply.raw.destroyed) {
      this.#log.debug({ err: error }, 'the client went away')
      return
    }
    this.#log.error({ err: error, method: request.method }, 'a request failed')
    if (reply.raw.headersSent) {
      reply.raw.destroy()
      return
    }
    const outcome = isRead ? 'not-applied' : 'unknown'
    this.problem(reply, problem('INTERNAL', 'The node met an error of its own; its log says more.', { outcome }))
  }

  /** What went wrong where no answer depends on it any more. */
  report(error: unknown): void {
    if (error instanceof AssertionError) this.#onBrokenClaim(error)
    this.#log.error({ err: error }, 'what an answer had used could not be closed')
  }

  /** Runs what answers a request outside of Fastify's reach, in a callback: its errors are this request's, not the caller's. */
  guarded(request: Asked, reply: Answering, answer: () => void): void {
    try {
      answer()
    } catch (error) {
      this.fail(request, reply, error)
    }
  }
}

/** Out of reach of whoever catches errors of requests: a broken claim is nobody's to survive but the composition root's. */
function rethrow(error: AssertionError): void {
  queueMicrotask(() => {
    throw error
  })
}

/** Narrows what a facade calls back with. */
export const isRefusal = (outcome: object): outcome is QuorateError => outcome instanceof QuorateError
