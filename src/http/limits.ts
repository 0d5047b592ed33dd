// The limits of the HTTP server, each with its reason. What callers see of keys and values is in api/limits.ts.

export const HTTP_LIMITS = {
  /** Request line and headers together: a key of 4,096 bytes, percent-encoded, and room for the rest. Bytes. */
  headerBytesMax: 16_384,
  /** Past it Node would drop headers silently, a condition among them, so that such a request is refused. */
  headersMax: 100,
  /** Nobody needs longer to send a request's headers; also what a client that sends a byte a second gets. */
  headersTimeoutMs: 10_000,
  /** The same for the whole request, its body included. */
  requestTimeoutMs: 30_000,
  /** Longer than the 60 s after which common load balancers drop idle connections, so that they close first. */
  keepAliveTimeoutMs: 72_000,
  /** How often the timeouts above are looked at, and so their precision. */
  connectionsCheckingIntervalMs: 2_000,
  /** A connection without a byte in either direction: longer than the longest wait, ends clients that never read. */
  idleTimeoutMs: 90_000,
  connectionsMax: 10_000,
  /** Of a JSON request. Bytes. */
  jsonBytesMax: 65_536,
  jsonDepthMax: 32,
  /** Of a transaction as JSON: one value of the largest size as base64url, and room for the rest. As bytes it is smaller. */
  txnBytesMax: 2 * 1_048_576,
  /** Of a batch: as much; each of its commands goes its own way. */
  batchBytesMax: 2 * 1_048_576,
  /** How much longer than its wait the connection of a request that waits may be idle. */
  waitGraceMs: 30_000,
  /** Answers that last, on one connection: HTTP/1.1 could not deliver a second one. */
  streamsPerConnectionMax: 1,
  /** Between signs of life on a stream that has nothing to say. */
  streamIdleMs: 5_000,
  /** Request bodies that are still arriving, all together; past it OVERLOADED. Ten thousand slow uploads must not fill the memory. */
  receivingBytesMax: 128 * 1_048_576,
  /** How long a refused connection is drained before it is cut, so that its client can read why. */
  lingerMs: 1_000,
  /** Values up to this size leave in one write together with their headers, as a string. Bytes. */
  inlineValueBytesMax: 16_384,
} as const
