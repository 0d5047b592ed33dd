// Every bound that admission and replication use, in one place, with its reason. A full queue refuses or drops; it never grows.
// These act at admission alone: a limit that can change a result of apply is replicated state instead.

const KiB = 1024
const MiB = 1024 * KiB

export const LIMITS = {
  /** An entry is closed once its commands reach this; a larger single command goes alone. */
  batchBytesMax: 1 * MiB,
  /** Commands proposed or forwarded here and not yet answered; past it OVERLOADED. */
  inflightCommandsMax: 20_000,
  /** Bytes of the same; also bounds what a leader keeps uncommitted. */
  inflightBytesMax: 64 * MiB,
  /** Requests held while there is no leader. */
  heldRequestsMax: 10_000,
  /** Reads waiting for a round or for a revision. */
  waitingReadsMax: 20_000,

  /** Entries of one append message. */
  appendBytesMax: 1 * MiB,
  /** Unacknowledged appends a peer: enough to fill a link with a long round trip. */
  inflightAppendsMax: 512,
  inflightAppendBytesMax: 16 * MiB,
  /** The log's tail kept in memory; peers that are further behind are served from disk (decisions/memory.md). */
  memoryLogBytesMax: 16 * MiB,
  /** What the log keeps beyond its retention for peers in transfer; past it another state is cheaper than a full disk. */
  logHeldBytesMax: 2 * 1024 * MiB,

  /** What one frame between nodes may hold: the largest single command with its overhead, and to spare. */
  peerFrameBytesMax: 4 * MiB,
  /** Raft messages waiting for one peer's socket; past it they are dropped and counted. */
  peerQueueBytesMax: 32 * MiB,

  /** How long a request waits for a leader before NO_LEADER: the lesser of this and half of its timeout. */
  leaderWaitMsMax: 2_000,
} as const
