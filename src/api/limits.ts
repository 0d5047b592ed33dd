// The limits that callers see: of keys, values, media types and waiting. Servers refuse what is larger, clients refuse early.

export const WIRE_LIMITS = {
  /** A key must fit into a request line of 16 KiB, percent-encoded. Bytes. */
  keyBytesMax: 4_096,
  /** One entry travels whole: a larger value would delay heartbeats on a slow link. Bytes. */
  valueBytesMax: 1_048_576,
  /** Bytes. */
  contentTypeBytesMax: 255,
  /** How long a request may take unless it says otherwise. Milliseconds. */
  timeoutMsDefault: 5_000,
  /** The longest that a request may ask for. Milliseconds. */
  timeoutMsMax: 60_000,
} as const
