// How the client reaches a node: one HTTP request, and one whole answer or a stream. undici implements it; a simulation replaces it.
// A transport never repeats a request, follows no redirect and sets no deadline of its own: all that is the client's.

/**
 * Of one attempt. What an AbortController is, for one listener: a new one of those for each attempt took a fifth of the CPU time of a small
 * call (decisions/client-batches.md).
 */
export class Cancellation {
  #isCancelled = false
  /** Called when it is cancelled, if that is still to come. */
  onCancel: (() => void) | undefined

  get isCancelled(): boolean {
    return this.#isCancelled
  }

  cancel(): void {
    if (this.#isCancelled) return
    this.#isCancelled = true
    this.onCancel?.()
  }
}

export interface TransportRequest {
  /** The endpoint's origin, such as http://127.0.0.1:7700. */
  readonly endpoint: string
  readonly method: 'GET' | 'PUT' | 'DELETE' | 'POST'
  /** The request target exactly as it is to be sent; nothing may normalise it. */
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: Uint8Array | undefined
  /** Ends the attempt: `send` must reject soon after, whatever state the connection is in. */
  readonly cancellation: Cancellation
}

export interface TransportResponse {
  readonly status: number
  /** By lower-case name; a repeated header is a list. */
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>
  readonly body: Uint8Array
}

/** An answer that goes on: of watches. */
export interface TransportStream {
  readonly status: number
  readonly headers: TransportResponse['headers']
  /**
   * The body as it comes, read once. Nothing is read ahead of what is taken, beyond a bounded buffer. Throws a {@link TransportError} when
   * the connection ends before the body does, or when the request is cancelled.
   */
  readonly body: AsyncIterable<Uint8Array>
  /** Breaks the answer off. May be called at any time, more than once. */
  close(): void
}

/**
 * `not-sent`: not one byte of the request can have reached the node. Claim it only when it is certain, because a write is
 * repeated on it. `broken`: the connection ended before a whole answer. `unreadable`: what came back is not HTTP, or
 * is larger than any answer of ours.
 */
export type TransportFailure = 'not-sent' | 'broken' | 'unreadable'

export class TransportError extends Error {
  override readonly name = 'TransportError'
  readonly kind: TransportFailure

  constructor(kind: TransportFailure, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause })
    this.kind = kind
  }
}

export interface Transport {
  /** Rejects with a {@link TransportError}, and nothing else. */
  send(request: TransportRequest): Promise<TransportResponse>
  /**
   * Resolves when the head of the answer has come; rejects with a {@link TransportError}, and nothing else. Cancelling the request
   * ends the stream, too. A transport without streams cannot watch.
   */
  stream?(request: TransportRequest): Promise<TransportStream>
  /** Breaks off what is in flight and closes every connection. */
  close(): Promise<void>
}

/** Monotonic time in milliseconds and one-shot timers. The driver's clock fits, and so does a simulated one. */
export interface ClientClock {
  now(): number
  after(delayMs: number, callback: () => void): { cancel(): void }
}

export const SYSTEM_CLOCK: ClientClock = {
  now: () => performance.now(),
  after(delayMs, callback) {
    const timer = setTimeout(callback, delayMs)
    return { cancel: () => clearTimeout(timer) }
  },
}
