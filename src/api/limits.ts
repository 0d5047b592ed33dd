// The limits that callers see: of keys, values, media types, transactions and waiting. Servers refuse what is larger, clients
// refuse early. They act at admission: what is in the log already was admitted, and is never looked at with them again.

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
  /** Operations of a transaction, those of both branches and of nested transactions together; and as many compares. */
  txnOperationsMax: 128,
  /** A transaction, one inside it, and so on down: each is a call deeper when it is applied. */
  txnDepthMax: 8,
  /** Commands and reads of one batch: each has an answer of its own in one response. */
  batchCommandsMax: 1_000,
  /** Values that a batch may ask for where no session bounds its results: all of them wait in memory for the last answer. */
  batchValuesMax: 64,
  /** Values that the reads of one batch are answered with, unless a single one is larger; the other reads are left out. Bytes. */
  batchReadBytesMax: 2_097_152,
  /** Entries of one page of a listing, and of one read in a transaction. */
  pageEntriesMax: 1_000,
  pageEntriesDefault: 100,
  /** Ten years: added to any cluster time it stays a safe integer. Of leases and keys. Milliseconds. */
  ttlMsMax: 315_360_000_000,
  /** A session that nobody uses holds its results for as long. One day. Milliseconds. */
  sessionTtlMsMax: 86_400_000,
  /** How long a place in a lock's queue may be kept. One day. Milliseconds. */
  waitMsMax: 86_400_000,
  /** An `Idempotency-Key` as the caller wrote it. Bytes. */
  idempotencyKeyBytesMax: 128,
  /** The same together with the caller's scope, as the state machine remembers it. Bytes. */
  onceKeyBytesMax: 384,
  /** Bytes. */
  lockNameBytesMax: 1_024,
  /** Who asks for a lock, in words for people. Bytes of UTF-8. */
  ownerBytesMax: 256,
  /** What an elected leader proclaims: an address, not data. All of them are held in memory. Bytes. */
  proclaimedBytesMax: 4_096,
} as const
