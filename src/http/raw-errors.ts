// Errors below Fastify: what Node's HTTP parser refuses, requests that take too long to arrive, CONNECT, and expectations.
// They get the same problem documents and headers as all others, written by hand onto the socket where there is no response.
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { ALLOW_ANYWHERE } from '../api/routes.ts'
import type { Continuations } from './body.ts'
import type { Edge } from './edge.ts'
import { HTTP_LIMITS } from './limits.ts'
import { problem, retryHeaders } from './problems.ts'
import type { Problem } from './problems.ts'

type RawRequest = FastifyRequest['raw']
type RawResponse = FastifyReply['raw']
type Socket = RawRequest['socket']

interface ParserError extends Error {
  readonly code?: string
  readonly reason?: string
}

const REASONS: Readonly<Record<number, string>> = {
  400: 'Bad Request',
  405: 'Method Not Allowed',
  408: 'Request Timeout',
  431: 'Request Header Fields Too Large',
}

function refusalOf(error: ParserError): Problem {
  if (error.code === 'HPE_HEADER_OVERFLOW') {
    const detail = `The request line and the headers have more than ${HTTP_LIMITS.headerBytesMax} bytes.`
    return problem('HEADERS_TOO_LARGE', detail)
  }
  if (error.code === 'ERR_HTTP_REQUEST_TIMEOUT')
    return problem('REQUEST_TIMEOUT', 'The request did not arrive in time.')
  const reason = error.reason === undefined || error.reason === '' ? '' : ` The parser says: ${error.reason}.`
  return problem('MALFORMED_HTTP', `This is not well-formed HTTP/1.1.${reason}`)
}

/** The listeners of the server that Fastify has no part in. */
export class RawErrors {
  readonly #edge: Edge
  /** Once refused, a socket's remaining bytes make further errors of the parser; they are the same refusal. */
  readonly #refused = new WeakSet<Socket>()

  constructor(edge: Edge) {
    this.#edge = edge
  }

  /** For Fastify's `clientErrorHandler`. */
  onClientError(error: ParserError, socket: Socket): void {
    if (this.#refused.has(socket)) return
    if (error.code === 'ECONNRESET' || !socket.writable || isAnswering(socket)) {
      socket.destroy()
      return
    }
    this.#refuse(socket, refusalOf(error), [])
  }

  attach(app: FastifyInstance, continuations: Continuations): void {
    app.server.on('connect', (_request: RawRequest, socket: Socket) => {
      const refusal = problem('METHOD_NOT_ALLOWED', 'This is not a proxy.')
      this.#refuse(socket, refusal, ['Allow', ALLOW_ANYWHERE])
    })
    // `100 Continue` is sent only when the body is really wanted, so that a refusal comes instead of it.
    app.server.on('checkContinue', (request: RawRequest, response: RawResponse) => {
      continuations.expect(request)
      app.routing(request, response)
    })
    app.server.on('checkExpectation', (_request: RawRequest, response: RawResponse) => {
      const refusal = problem('EXPECTATION_FAILED', 'The only expectation that is understood is 100-continue.')
      const headers = this.#headers(refusal)
      response.writeHead(refusal.status, headers).end(refusal.body)
    })
  }

  #headers(refusal: Problem): string[] {
    const headers = this.#edge.head(undefined)
    headers.push('Content-Type', 'application/problem+json', 'Cache-Control', 'no-store', ...retryHeaders(refusal))
    headers.push('Content-Length', String(Buffer.byteLength(refusal.body)))
    return headers
  }

  /** Answers and closes, but goes on reading a while: a socket closed over unread bytes may lose the answer on its way. */
  #refuse(socket: Socket, refusal: Problem, extra: readonly string[]): void {
    this.#refused.add(socket)
    const headers = [...this.#headers(refusal), ...extra, 'Date', new Date().toUTCString()]
    if (!headers.includes('Connection')) headers.push('Connection', 'close')
    let text = `HTTP/1.1 ${refusal.status} ${REASONS[refusal.status] ?? 'Error'}\r\n`
    for (let i = 0; i < headers.length; i += 2) text += `${headers[i]}: ${headers[i + 1]}\r\n`
    socket.on('error', () => socket.destroy())
    socket.end(`${text}\r\n${refusal.body}`)
    socket.resume()
    const cut = setTimeout(() => socket.destroy(), HTTP_LIMITS.lingerMs).unref()
    socket.on('end', () => socket.destroy())
    socket.on('close', () => clearTimeout(cut))
  }
}

/**
 * Whether an answer written now would be taken for that of an earlier, complete request: one that still waits for its result
 * must not be told `not-applied` because something malformed came after it. `_httpMessage` is Node's response in progress.
 */
function isAnswering(socket: Socket): boolean {
  const { _httpMessage: response } = socket as Socket & { readonly _httpMessage?: RawResponse | null }
  return response !== undefined && response !== null && (response.headersSent || response.req.complete)
}
