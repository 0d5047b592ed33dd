// The fast lane: plain GET, PUT and DELETE of one key, and the client's batches, read and answered on the socket itself. Node's HTTP
// server and Fastify cost more than all that the node does for such a request (decisions/fast-lane.md). Only what is exactly as expected
// is taken: one whole request in one piece, a plain target, a few known headers. Anything else goes to Node's server, with its
// connection, for good; so every refusal, every limit and every header that means something is dealt with there and in one way only.
import { STATUS_CODES } from 'node:http'
import type { IncomingHttpHeaders, Server } from 'node:http'
import type { Socket } from 'node:net'
import { BATCH_MEDIA_TYPE } from '../api/batch-codec.ts'
import { batchPlainly } from './batch.ts'
import type { Answering, Asked, Edge, FlatHeaders } from './edge.ts'
import type { HostRule } from './guard.ts'
import { contentTypeOf, deletePlainly, putPlainly, readPlainly } from './keys.ts'
import { HTTP_LIMITS } from './limits.ts'
import { keyOf } from './target.ts'

const HEADERS_END = '\r\n\r\n'
const KEY_LINE = /^(GET|PUT|DELETE) (\/v1\/kv\/[\w/.~:@!$&'()*+,;=-]+) HTTP\/1\.1$/
const BATCH_LINE = /^(POST) (\/v1\/batch(?:\?timeout=\d{1,7}ms)?) HTTP\/1\.1$/
const HEADER = /^([\w-]+):[ \t]*([\x20-\x7e]*?)[ \t]*$/
const LENGTH = /^(?:0|[1-9]\d{0,6})$/

/** Headers that change nothing about the answer, whatever they say. */
const IDLE_HEADERS = new Set(['user-agent', 'accept', 'accept-encoding', 'accept-language', 'sec-fetch-mode'])

/** What a block of headers says that matters here. */
interface Heading {
  readonly block: string
  readonly length: number | undefined
  readonly contentType: string
}

export class FastLane {
  readonly edge: Edge
  readonly #rule: HostRule
  readonly #toNode: (socket: Socket) => void
  readonly #connections = new Set<LaneConnection>()
  #dateText = ''
  #dateAtMs = 0

  /** Takes over the server's new connections. */
  constructor(server: Server, edge: Edge, rule: HostRule) {
    this.edge = edge
    this.#rule = rule
    const listeners = server.listeners('connection') as ((socket: Socket) => void)[]
    this.#toNode = (socket) => {
      for (const listener of listeners) listener.call(server, socket)
    }
    server.removeAllListeners('connection')
    server.on('connection', (socket: Socket) => void this.#connections.add(new LaneConnection(this, socket)))
  }

  /** Connections without a request under way end now, the others with their answer. */
  close(): void {
    for (const connection of this.#connections) connection.close()
  }

  forget(connection: LaneConnection): void {
    this.#connections.delete(connection)
  }

  /** From here on the connection is Node's, beginning with these bytes. */
  handOver(connection: LaneConnection, socket: Socket, bytes: Buffer | undefined): void {
    this.forget(connection)
    socket.pause()
    if (bytes !== undefined) socket.unshift(bytes)
    this.#toNode(socket)
    socket.resume()
  }

  /** The block with what it says; undefined when something in it is Node's business. */
  read(block: string): Heading | undefined {
    let host: string | undefined
    const headers: IncomingHttpHeaders = {}
    for (const line of block.split('\r\n')) {
      const [, name = '', value = ''] = HEADER.exec(line) ?? []
      const known = name.toLowerCase()
      if (known === 'host' && host === undefined) host = value
      else if (known === 'content-length' && headers[known] === undefined && LENGTH.test(value)) headers[known] = value
      else if (known === 'content-type' && headers[known] === undefined) headers[known] = value
      else if (!IDLE_HEADERS.has(known) && !(known === 'connection' && value.toLowerCase() === 'keep-alive'))
        return undefined
    }
    if (host === undefined) return undefined
    try {
      this.#rule.checkHost(host)
      const { 'content-length': length } = headers
      return { block, length: length === undefined ? undefined : Number(length), contentType: contentTypeOf(headers) }
    } catch {
      // Node's way refuses it as it refuses all others.
      return undefined
    }
  }

  /** The headers that Node's server would add. */
  ending(isClosing: boolean): string {
    const now = Date.now()
    if (now - this.#dateAtMs >= 1_000) {
      this.#dateAtMs = now - (now % 1_000)
      this.#dateText = `Date: ${new Date(now).toUTCString()}\r\n`
    }
    return this.#dateText + (isClosing ? CLOSE : KEEP_ALIVE)
  }
}

const CLOSE = 'Connection: close\r\n\r\n'
const KEEP_ALIVE = `Connection: keep-alive\r\nKeep-Alive: timeout=${HTTP_LIMITS.keepAliveTimeoutMs / 1_000}\r\n\r\n`

/** One connection, with one request at a time: it stands for the request and for the reply. */
class LaneConnection implements Asked, Answering {
  readonly #lane: FastLane
  readonly #socket: Socket
  readonly headers: IncomingHttpHeaders = {}
  method = ''
  #heading: Heading | undefined
  #isBusy = false
  #isClosing = false
  /** What arrived while a request was under way. */
  #waiting: Buffer | undefined
  #head = ''
  headersSent = false

  constructor(lane: FastLane, socket: Socket) {
    this.#lane = lane
    this.#socket = socket
    socket.setTimeout(HTTP_LIMITS.headersTimeoutMs)
    socket.on('data', this.#onData)
    socket.on('end', this.#onEnd)
    socket.on('timeout', this.#onTimeout)
    socket.on('error', this.#onError)
    socket.on('close', this.#onClose)
  }

  close(): void {
    this.#isClosing = true
    if (!this.#isBusy) this.#socket.destroy()
  }

  // ------------------------------------------------------------------------------------------------------------- requests

  readonly #onData = (bytes: Buffer): void => {
    if (!this.#isBusy) return this.#take(bytes)
    this.#waiting = this.#waiting === undefined ? bytes : Buffer.concat([this.#waiting, bytes])
    this.#socket.pause()
  }

  #take(bytes: Buffer): void {
    const headEnd = bytes.indexOf(HEADERS_END)
    if (headEnd === -1 || headEnd > HTTP_LIMITS.headerBytesMax || this.#lane.edge.isDraining)
      return this.#handOver(bytes)
    const head = bytes.toString('latin1', 0, headEnd)
    const lineEnd = head.indexOf('\r\n')
    const firstLine = lineEnd === -1 ? head : head.slice(0, lineEnd)
    const line = KEY_LINE.exec(firstLine) ?? BATCH_LINE.exec(firstLine)
    const block = head.slice(lineEnd + 2)
    // Clients repeat their headers to the letter.
    const heading = this.#heading?.block === block ? this.#heading : this.#lane.read(block)
    if (line === null || heading === undefined) return this.#handOver(bytes)
    const [, method, target] = line as unknown as [string, string, string]
    const hasBody = method === 'PUT' || method === 'POST'
    const isWhole = bytes.length === headEnd + HEADERS_END.length + (heading.length ?? 0)
    const isOfType = method !== 'POST' || heading.contentType === BATCH_MEDIA_TYPE
    if (!isWhole || !isOfType || hasBody !== (heading.length !== undefined)) return this.#handOver(bytes)
    if (this.#heading === undefined) this.#socket.setTimeout(HTTP_LIMITS.keepAliveTimeoutMs)
    this.#heading = heading
    this.method = method
    this.#isBusy = true
    const { edge } = this.#lane
    edge.guarded(this, this, () => {
      const body = bytes.subarray(headEnd + HEADERS_END.length)
      if (method === 'POST') return batchPlainly(edge, this, this, target, body)
      const key = keyOf(target)
      if (method === 'GET') readPlainly(edge, this, this, key)
      else if (method === 'DELETE') deletePlainly(edge, this, this, key)
      else putPlainly(edge, this, this, { key, value: body, contentType: heading.contentType })
    })
  }

  #handOver(bytes: Buffer | undefined): void {
    const socket = this.#socket
    socket.removeListener('data', this.#onData)
    socket.removeListener('end', this.#onEnd)
    socket.removeListener('timeout', this.#onTimeout)
    socket.removeListener('error', this.#onError)
    socket.removeListener('close', this.#onClose)
    this.#lane.handOver(this, socket, bytes)
  }

  // -------------------------------------------------------------------------------------------------------------- answers

  get raw(): this {
    return this
  }

  get request(): this {
    return this
  }

  hijack(): void {}

  get destroyed(): boolean {
    return this.#socket.destroyed
  }

  destroy(): void {
    this.#socket.destroy()
  }

  writeHead(status: number, headers: FlatHeaders): void {
    this.headersSent = true
    let text = `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}\r\n`
    for (let at = 0; at < headers.length; at += 2) {
      if (headers[at] === 'Connection') this.#isClosing = true
      else text += `${headers[at]}: ${headers[at + 1]}\r\n`
    }
    this.#head = text + this.#lane.ending(this.#isClosing)
  }

  end(body: string | Uint8Array = '', _encoding?: 'latin1'): void {
    const socket = this.#socket
    let isTaken: boolean
    if (typeof body === 'string') isTaken = socket.write(this.#head + body, 'latin1')
    else {
      socket.cork()
      socket.write(this.#head, 'latin1')
      isTaken = socket.write(body)
      socket.uncork()
    }
    // A client that does not read its answers gets no further ones.
    if (isTaken || socket.destroyed) this.#answered()
    else socket.once('drain', () => this.#answered())
  }

  #answered(): void {
    this.headersSent = false
    this.#isBusy = false
    if (this.#isClosing) {
      this.#socket.end()
      return
    }
    const bytes = this.#waiting
    if (bytes === undefined) return
    this.#waiting = undefined
    this.#socket.resume()
    this.#take(bytes)
  }

  // ------------------------------------------------------------------------------------------------------------- the socket

  /** The client says nothing more; an answer that it waits for still goes out. */
  readonly #onEnd = (): void => {
    this.#isClosing = true
    if (!this.#isBusy) this.#socket.end()
  }

  /** Before the first request, it is Node's server that says what took too long. */
  readonly #onTimeout = (): void => {
    if (this.#isBusy) return
    if (this.#heading === undefined) this.#handOver(undefined)
    else this.#socket.destroy()
  }

  readonly #onError = (): void => {
    this.#socket.destroy()
  }

  readonly #onClose = (): void => this.#lane.forget(this)
}
