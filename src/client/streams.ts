// Answers that go on, line by line, over the deaths of nodes: connects, reads, notices silence, and connects again elsewhere.
// What the lines mean, and from where to go on, is the business of whoever reads them.
import { problem, FailedAnswer, header, parseJson, unexpected } from './answers.ts'
import type { Failure } from './answers.ts'
import { failureOf, learn } from './call.ts'
import { ClientError, isRetryableHere } from './client-error.ts'
import type { ClientCore } from './core.ts'
import type { Endpoint } from './endpoints.ts'
import { isObject } from './json.ts'
import type { JsonObject } from './json.ts'
import { decide, isEndpointDown, pauseMs } from './retry-policy.ts'
import { pause } from './pause.ts'
import { Cancellation } from './transport.ts'
import type { TransportStream } from './transport.ts'

export const STREAM = {
  /** A node that does not even begin to answer is given up. Milliseconds. */
  connectMsMax: 5_000,
  /** Nodes send a sign of life every five seconds; three of them missing, the connection is dead. Milliseconds. */
  silenceMsMax: 16_000,
  /** An event with two values of 1 MiB, six bytes for each byte that must be escaped, and to spare. Bytes. */
  lineBytesMax: 16 * 1_048_576,
  /** The body of an error. Bytes. */
  problemBytesMax: 65_536,
} as const

export interface StreamRequest {
  /** For messages: `watch`. */
  readonly name: string
  readonly path: string
  /** Asked for before each connection. */
  readonly query: () => readonly string[]
  /** Ends it all. */
  readonly signal: AbortSignal
  /** The first connection must begin within this time; later ones may take as long as the cluster needs. Milliseconds. */
  readonly timeoutMs: number
}

const NEW_CONNECTION = { event: 'connected' } as const

/**
 * All documents of all connections, one behind another; `{ event: 'connected' }` before those of each connection. Ends only by
 * `return`, by a failure that no other node would mend, and by the signal (then without an error).
 */
export async function* streamDocuments(core: ClientCore, request: StreamRequest): AsyncGenerator<JsonObject, void> {
  const { clock, endpoints } = core.context
  const tried = new Set<Endpoint>()
  const giveUpMs = clock.now() + request.timeoutMs
  let hasBegun = false
  let pauses = 0
  for (;;) {
    if (request.signal.aborted) return
    const endpoint = endpoints.choose({ wantsLeader: false, tried, nowMs: clock.now() })
    let failure: Failure
    try {
      for await (const document of oneConnection(core, request, endpoint)) {
        if (document !== NEW_CONNECTION) {
          hasBegun = true
          pauses = 0
          tried.clear()
        }
        yield document
      }
      failure = ENDED
    } catch (error) {
      failure = failureOf(error, undefined)
      if (isEndpointDown(failure.kind)) endpoints.down(endpoint, clock.now())
    }
    if (request.signal.aborted) return
    tried.add(endpoint)
    const decision = decide('read', failure.kind, failure.outcome)
    const isTooLate = !hasBegun && clock.now() >= giveUpMs
    if (decision === 'fail' || isTooLate) throw streamError(request.name, failure)
    if (decision === 'elsewhere' && endpoints.hasUntried(tried, clock.now())) continue
    tried.clear()
    await pause(core.context, pauseMs(pauses++, failure.retryAfterMs ?? 0, core.context.prng), request.signal)
  }
}

/** A node that closes ends its streams in order. */
const ENDED: Failure = {
  kind: 'broken',
  code: 'CONNECTION_LOST',
  outcome: 'not-applied',
  retryable: true,
  message: 'the stream ended',
}

function streamError(name: string, failure: Failure): ClientError {
  const { code, message, retryable, status, details, cause } = failure
  return new ClientError(code, `${name} failed: ${message}`, {
    outcome: 'not-applied',
    retryable,
    status,
    details,
    cause,
  })
}

async function* oneConnection(
  core: ClientCore,
  request: StreamRequest,
  endpoint: Endpoint,
): AsyncGenerator<JsonObject, void> {
  const { context } = core
  const cancellation = new Cancellation()
  const unlisten = context.abortListeners.add(request.signal, () => cancellation.cancel())
  let stream: TransportStream | undefined
  try {
    stream = await within(core, cancellation, STREAM.connectMsMax, () => connect(core, request, endpoint, cancellation))
    learn(context, endpoint, stream)
    await checkHead(stream)
    context.endpoints.up(endpoint)
    yield NEW_CONNECTION
    const chunks = stream.body[Symbol.asyncIterator]()
    const lines = new LineReader()
    for (;;) {
      // Only waiting counts: a consumer may take its time.
      const chunk = await within(core, cancellation, STREAM.silenceMsMax, () => chunks.next())
      if (chunk.done === true) return
      for (const line of lines.push(chunk.value)) yield documentOf(line)
    }
  } finally {
    unlisten()
    stream?.close()
    cancellation.cancel()
  }
}

function connect(
  { context }: ClientCore,
  request: StreamRequest,
  { url }: Endpoint,
  cancellation: Cancellation,
): Promise<TransportStream> {
  const { transport } = context
  if (transport.stream === undefined) {
    const facts = { outcome: 'not-applied', retryable: false } as const
    throw new ClientError('UNAVAILABLE', `${request.name} failed: this client's transport has no streams`, facts)
  }
  const query = request.query()
  const path = query.length === 0 ? request.path : `${request.path}?${query.join('&')}`
  const headers = { accept: 'application/x-ndjson' }
  return transport.stream({ endpoint: url, method: 'GET', path, headers, body: undefined, cancellation })
}

/** Breaks the connection off when a step takes longer than this. */
async function within<T>(core: ClientCore, cancellation: Cancellation, ms: number, step: () => Promise<T>): Promise<T> {
  const timer = core.context.clock.after(ms, () => cancellation.cancel())
  try {
    return await step()
  } finally {
    timer.cancel()
  }
}

async function checkHead(stream: TransportStream): Promise<void> {
  const { status, headers } = stream
  if (status !== 200) {
    const body = await firstBytes(stream.body)
    throw new FailedAnswer(problem({ status, headers, body }))
  }
  if (!header(stream, 'content-type')?.startsWith('application/x-ndjson'))
    throw unexpected({ status, headers, body: new Uint8Array(0) }, 'no stream of lines')
}

async function firstBytes(body: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const chunks: Uint8Array[] = []
  let length = 0
  for await (const chunk of body) {
    chunks.push(chunk)
    length += chunk.length
    if (length > STREAM.problemBytesMax) break
  }
  return Buffer.concat(chunks)
}

function documentOf(line: Uint8Array): JsonObject {
  const document = parseJson(line)
  if (isObject(document)) return document
  throw new FailedAnswer({
    kind: 'unreadable',
    code: 'UNEXPECTED_ANSWER',
    outcome: 'not-applied',
    retryable: isRetryableHere('UNEXPECTED_ANSWER'),
    message: 'a line of the stream is no JSON object',
  })
}

/** Cuts a stream of bytes into lines. */
export class LineReader {
  #parts: Uint8Array[] = []
  #length = 0

  /** The lines that this chunk completes, without their ends. */
  push(chunk: Uint8Array): Uint8Array[] {
    const lines: Uint8Array[] = []
    let start = 0
    for (let end = chunk.indexOf(NEWLINE); end !== -1; end = chunk.indexOf(NEWLINE, start)) {
      lines.push(Buffer.concat([...this.#parts, chunk.subarray(start, end)]))
      this.#parts = []
      this.#length = 0
      start = end + 1
    }
    if (start < chunk.length) {
      this.#parts.push(chunk.subarray(start))
      this.#length += chunk.length - start
      if (this.#length > STREAM.lineBytesMax)
        throw new FailedAnswer({
          kind: 'unreadable',
          code: 'UNEXPECTED_ANSWER',
          outcome: 'not-applied',
          retryable: false,
          message: `a line of the stream has more than ${STREAM.lineBytesMax} bytes`,
        })
    }
    return lines
  }
}

const NEWLINE = 0x0a
