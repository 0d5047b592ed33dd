// The real transport: one undici pool for each endpoint, given request targets byte by byte (URL parsers fold `..`).
// Sockets are bounded here and requests beyond them wait here, so that what never left is known never to have left.
import { errors, Pool } from 'undici'
import type { Dispatcher } from 'undici'
import { TransportError } from './transport.ts'
import type { Cancellation, Transport, TransportRequest, TransportResponse, TransportStream } from './transport.ts'

const LIMITS = {
  /** Sockets to one node. Each carries one request at a time: pipelining would let one slow answer hold up the others. */
  connectionsMax: 64,
  /** Streams to one node, on sockets of their own: a watch must not take the place of a call. */
  streamsMax: 256,
  /** A node that does not even accept is given up early: nothing was sent, so another can be asked. Milliseconds. */
  connectMsMax: 2_000,
  /** An entry in JSON: a value of 1 MiB, six bytes for each where everything must be escaped, and to spare. Bytes. */
  responseBytesMax: 8 * 1024 * 1024,
} as const

export class UndiciTransport implements Transport {
  readonly #lanes = new Map<string, Lane>()

  send(request: TransportRequest): Promise<TransportResponse> {
    return this.#lane(request.endpoint).send(request)
  }

  stream(request: TransportRequest): Promise<TransportStream> {
    return this.#lane(request.endpoint).stream(request)
  }

  #lane(endpoint: string): Lane {
    let lane = this.#lanes.get(endpoint)
    if (lane === undefined) this.#lanes.set(endpoint, (lane = new Lane(endpoint)))
    return lane
  }

  async close(): Promise<void> {
    const lanes = [...this.#lanes.values()]
    this.#lanes.clear()
    await Promise.all(lanes.map((lane) => lane.close()))
  }
}

/** The way to one endpoint. */
class Lane {
  readonly #origin: string
  readonly #pool: Pool
  #streamPool: Pool | undefined
  /** Those who wait for a socket, first come first served. The client bounds how many calls there can be. */
  readonly #waiting = new Set<(isTurn: boolean) => void>()
  #busy = 0
  /** Connections that ever came up; with none since a request began and none before, the request cannot have left. */
  #connects = 0

  constructor(origin: string) {
    this.#origin = origin
    this.#pool = new Pool(origin, {
      connections: LIMITS.connectionsMax,
      pipelining: 1,
      // Deadlines are the client's: these would measure something else.
      headersTimeout: 0,
      bodyTimeout: 0,
      connect: { timeout: LIMITS.connectMsMax },
      maxResponseSize: LIMITS.responseBytesMax,
    })
    this.#pool.on('connect', () => this.#connects++)
  }

  async send(request: TransportRequest): Promise<TransportResponse> {
    if (!(await this.#acquire(request.cancellation)))
      throw new TransportError('not-sent', `given up before anything was sent to ${request.endpoint}`)

    const connects = this.#connects
    const wasConnected = this.#pool.stats.connected > 0
    try {
      return await this.#exchange(request)
    } catch (error) {
      const isCertain = (!wasConnected && this.#connects === connects) || isConnectFailure(error)
      throw transportError(error, isCertain, request.endpoint)
    }
  }

  /** Nothing is claimed about what was sent: streams change nothing. */
  async stream({ method, path, headers, body, cancellation, endpoint }: TransportRequest): Promise<TransportStream> {
    this.#streamPool ??= new Pool(this.#origin, {
      connections: LIMITS.streamsMax,
      pipelining: 1,
      headersTimeout: 0,
      bodyTimeout: 0,
      connect: { timeout: LIMITS.connectMsMax },
    })
    const controller = new AbortController()
    cancellation.onCancel = () => controller.abort()
    if (cancellation.isCancelled) controller.abort()
    const { signal } = controller
    try {
      const request = this.#streamPool.request({ method, path, headers, body: body ?? null, signal })
      const response = await orAborted(request, signal)
      const stream = response.body
      // Whoever reads learns of a failure by reading; one that comes after the reader left concerns nobody.
      stream.on('error', ignore)
      const { statusCode: status, headers: answered } = response
      return { status, headers: answered, body: chunksOf(stream, endpoint), close: () => void stream.destroy() }
    } catch (error) {
      throw transportError(error, isConnectFailure(error), endpoint)
    }
  }

  async close(): Promise<void> {
    await Promise.all([this.#pool.destroy(), this.#streamPool?.destroy()])
  }

  #exchange({ method, path, headers, body, cancellation }: TransportRequest): Promise<TransportResponse> {
    return new Promise((resolve, reject) => {
      const exchange = new Exchange(cancellation, { resolve, reject, onDone: () => this.#release() })
      this.#pool.dispatch({ method, path, headers, body: body ?? null }, exchange)
    })
  }

  /** Takes a place, at once or in turn. False when it was cancelled first. */
  #acquire(cancellation: Cancellation): boolean | Promise<boolean> {
    if (cancellation.isCancelled) return false
    if (this.#busy < LIMITS.connectionsMax) {
      this.#busy++
      return true
    }
    return new Promise((resolve) => {
      const wake = (isTurn: boolean): void => {
        cancellation.onCancel = undefined
        this.#waiting.delete(wake)
        resolve(isTurn)
      }
      cancellation.onCancel = () => wake(false)
      this.#waiting.add(wake)
    })
  }

  /** Hands the place to the first who waits for one. */
  #release(): void {
    const [first] = this.#waiting
    if (first === undefined) this.#busy--
    else first(true)
  }
}

interface Settle {
  resolve(response: TransportResponse): void
  reject(error: unknown): void
  /** undici is done with the request, which after a cancellation may be later than our caller is. */
  onDone(): void
}

/** One request and its whole answer. To cancel it settles it at once; undici hears of that when it has a socket for the request. */
class Exchange implements Dispatcher.DispatchHandler {
  readonly #cancellation: Cancellation
  readonly #settle: Settle
  #controller: Dispatcher.DispatchController | undefined
  #status = 0
  #headers: TransportResponse['headers'] = {}
  readonly #chunks: Uint8Array[] = []

  constructor(cancellation: Cancellation, settle: Settle) {
    this.#cancellation = cancellation
    this.#settle = settle
    if (cancellation.isCancelled) settle.reject(GIVEN_UP)
    else cancellation.onCancel = () => this.#cancel()
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    if (this.#cancellation.isCancelled) controller.abort(GIVEN_UP)
    else this.#controller = controller
  }

  /** Of an informational answer, too: the last one counts. */
  onResponseStart(_: unknown, status: number, headers: TransportResponse['headers']): void {
    this.#status = status
    this.#headers = headers
  }

  onResponseData(_: unknown, chunk: Uint8Array): void {
    this.#chunks.push(chunk)
  }

  onResponseEnd(): void {
    this.#done()
    this.#settle.resolve({ status: this.#status, headers: this.#headers, body: joined(this.#chunks) })
  }

  onResponseError(_: unknown, error: Error): void {
    this.#done()
    this.#settle.reject(error)
  }

  #done(): void {
    this.#cancellation.onCancel = undefined
    this.#settle.onDone()
  }

  #cancel(): void {
    this.#settle.reject(GIVEN_UP)
    this.#controller?.abort(GIVEN_UP)
  }
}

const GIVEN_UP = new Error('given up')

/** In memory of its own. */
function joined(chunks: readonly Uint8Array[]): Uint8Array {
  let size = 0
  for (const chunk of chunks) size += chunk.length
  const whole = new Uint8Array(size)
  let at = 0
  for (const chunk of chunks) {
    whole.set(chunk, at)
    at += chunk.length
  }
  return whole
}

const ignore = (): void => {}

async function* chunksOf(stream: AsyncIterable<Uint8Array>, endpoint: string): AsyncGenerator<Uint8Array> {
  try {
    for await (const chunk of stream) yield chunk
  } catch (error) {
    throw transportError(error, false, endpoint)
  }
}

/** The answer, or a rejection as soon as the signal fires: undici notices an abort only once it has a socket. */
function orAborted<T>(answer: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => reject(new Error('given up'))
    if (signal.aborted) onAbort()
    signal.addEventListener('abort', onAbort, { once: true })
    answer.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort))
  })
}

function transportError(error: unknown, isCertain: boolean, endpoint: string): TransportError {
  const reason = reasonOf(error)
  if (isCertain) return new TransportError('not-sent', `${endpoint} cannot be reached: ${reason}`, error)
  if (isUnreadable(error))
    return new TransportError('unreadable', `${endpoint} does not answer in HTTP: ${reason}`, error)
  return new TransportError('broken', `the connection to ${endpoint} ended before its answer: ${reason}`, error)
}

/** The system calls before a connection exists; the same error codes from `read` or `write` say nothing. */
const CONNECT_CALLS: ReadonlySet<unknown> = new Set(['connect', 'getaddrinfo'])

function isConnectFailure(error: unknown): boolean {
  if (error instanceof AggregateError) return error.errors.length > 0 && error.errors.every(isConnectFailure)
  const { syscall, code } = facts(error)
  return CONNECT_CALLS.has(syscall) || code === 'UND_ERR_CONNECT_TIMEOUT'
}

const isUnreadable = (error: unknown): boolean =>
  error instanceof errors.HTTPParserError || error instanceof errors.ResponseExceededMaxSizeError

/** A short reason: a name with several addresses fails with a list of errors and no message of its own. */
function reasonOf(error: unknown): string {
  if (error instanceof AggregateError && error.errors.length > 0) return reasonOf(error.errors[0])
  return error instanceof Error && error.message !== '' ? error.message : String(facts(error).code ?? error)
}

const facts = (error: unknown): { readonly code?: unknown; readonly syscall?: unknown } =>
  typeof error === 'object' && error !== null ? error : {}
