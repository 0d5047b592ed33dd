// The limits that decide results of apply. They are part of the replicated cluster version: all nodes of one version have the
// same ones, and a release that changes one may do so only together with a new version. No flag or file can reach them.

export const KV_LIMITS = {
  /** Keys that one command may change, or look at in one range. */
  commandKeysMax: 50_000,
  /** Keys that all ranges of one transaction may look at together. */
  txnKeysMax: 100_000,
  /** Values that a transaction's compares and reads may look at, before any of them is answered. Bytes. */
  txnReadBytesMax: 4 * 1_048_576,
  /** Keys of one lease: they are deleted in one revision. */
  leaseKeysMax: 50_000,
  /** Keys with a lease, of all leases together: they are held in memory. */
  attachedKeysMax: 1_000_000,
  leasesMax: 100_000,
  /** Places in the queue of one lock, the holder's included. */
  lockPlacesMax: 1_000,
  sessionsMax: 10_000,
  /** Results of one session that its client has not acknowledged. */
  sessionResultsMax: 1_000,
  /** One result that is kept for a repeat. Bytes. */
  resultBytesMax: 16 * 1_024,
  /** All results that are kept, of sessions and of idempotency keys: they are held in memory. Bytes. */
  resultsBytesMax: 256 * 1_048_576,
  idempotencyKeysMax: 100_000,
  /** How long an idempotency key is remembered. Cluster time. Milliseconds. */
  idempotencyMs: 10 * 60 * 1_000,
  /** Leases and sessions that one expiry may name. */
  expireMax: 100,
} as const
