// Every bound that admission and replication use, in one place, with its reason. A full queue refuses or drops; it never grows.
// These act at admission alone: a limit that can change a result of apply is replicated state instead.

const KiB = 1024
const MiB = 1024 * KiB

export const LIMITS = {
  /** An entry is closed once its commands reach this; a larger single command goes alone. */
  batchBytesMax: 1 * MiB,
  /**
   * Values that the commands of an entry may make apply read, as well: all of them are in memory until the entry is done. Scans of
   * ranges and ends of leases count as several (api/apply-cost.ts): applying one entry must stay bounded.
   */
  batchValueReadsMax: 64,
  /** One command, encoded: with its overhead it must fit into one frame between nodes. */
  commandBytesMax: 3 * MiB,
  /** Commands proposed or forwarded here and not yet answered; past it OVERLOADED. */
  inflightCommandsMax: 20_000,
  /** Bytes of the same; also bounds what a leader keeps uncommitted. */
  inflightBytesMax: 64 * MiB,
  /** Requests held while there is no leader. */
  heldRequestsMax: 10_000,
  /** Reads waiting for a round or for a revision. */
  waitingReadsMax: 20_000,

  /** Listings and streams of entries under way: each pins the state, so that what it shows stays together. */
  openListingsMax: 1_000,
  /** Keys and values of one page of a listing; at least one entry comes, however large. */
  pageBytesMax: 4 * MiB,
  /**
   * Items of one page of a stream, and their bytes. To encode and send one is a part of a turn of the event loop, for which all
   * other requests wait: a few hundred microseconds. The state looks at 128 keys a turn, some of which it has to spare.
   */
  streamPageItemsMax: 112,
  streamPageBytesMax: 256 * KiB,
  /** The same of a watch's initial entries: larger, because a reader that is busy has the state pinned anew for each page. */
  watchInitialItemsMax: 1_000,
  watchInitialBytesMax: 1 * MiB,

  /** Watches; past it OVERLOADED. */
  watchersMax: 10_000,
  /** Of a paused watcher's events; past it the watch ends with the revision to resume from. */
  watcherLagBytesMax: 1 * MiB,
  /** Recent revisions kept as events while anybody watches, for those who were paused for a moment. */
  watchWindowBytesMax: 4 * MiB,
  watchWindowRevisionsMax: 4_096,
  /** One page of history, read for a watch that starts in the past or was paused for long; and how many are read at a time. */
  watchPageRecordsMin: 32,
  watchPageRecordsMax: 1_000,
  watchPageBytesMax: 1 * MiB,
  watchPagesMax: 16,
  /** Previous values that the events of one revision carry together: a deleted range may have had any number of bytes. */
  watchPreviousBytesMax: 16 * MiB,

  /** Callers waiting for a lock; past it OVERLOADED. */
  waitingLocksMax: 10_000,
  /** Observers of locks and elections; past it OVERLOADED. */
  lockObserversMax: 10_000,

  /** Entries of one append message. */
  appendBytesMax: 1 * MiB,
  /** Unacknowledged appends a peer: enough to fill a link with a long round trip. */
  inflightAppendsMax: 512,
  inflightAppendBytesMax: 16 * MiB,
  /** The log's tail kept in memory; peers that are further behind are served from disk (decisions/memory.md). */
  memoryLogBytesMax: 8 * MiB,
  /** How far applying may fall behind before entries are refused. */
  unappliedBytesMax: 16 * MiB,
  /** What the log keeps beyond its retention for peers in transfer; past it another state is cheaper than a full disk. */
  logHeldBytesMax: 2 * 1024 * MiB,

  /** What one frame between nodes may hold: the largest single command with its overhead, and to spare. */
  peerFrameBytesMax: 4 * MiB,
  /** Raft messages waiting for one peer's socket; past it they are dropped and counted. */
  peerQueueBytesMax: 32 * MiB,

  /** How long a request waits for a leader before NO_LEADER: the lesser of this and half of its timeout. */
  leaderWaitMsMax: 2_000,
} as const
