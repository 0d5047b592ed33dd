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
  /** Request bodies that are still arriving, all together; past it OVERLOADED. Ten thousand slow uploads must not fill the memory. */
  receivingBytesMax: 128 * 1_048_576,
  /** How long a refused connection is drained before it is cut, so that its client can read why. */
  lingerMs: 1_000,
  /** Values up to this size leave in one write together with their headers, as a string. Bytes. */
  inlineValueBytesMax: 16_384,
} as const
