// Every bound of the links between nodes, with its reason. A full queue drops or refuses; nothing here grows without end.
import { LIMITS } from '../node/limits.ts'

const KiB = 1024

export const TRANSPORT_LIMITS = {
  /** One frame, its length field not counted. */
  frameBytesMax: LIMITS.peerFrameBytesMax,
  /** One frame before the handshake is over: nobody has proven anything yet. */
  handshakeBytesMax: 8 * KiB,
  /** What waits for one peer's socket; past it Raft messages are dropped and counted, as Raft repeats them. */
  queueBytesMax: LIMITS.peerQueueBytesMax,
  /** Handed to a socket at once; what is behind it has certainly not been sent. */
  writeBytesMax: 256 * KiB,

  /** Forwards sent to one peer and not yet answered. */
  forwardsMax: 4_096,
  /** Their bytes. */
  forwardBytesMax: LIMITS.inflightBytesMax,
  /** Control questions to one peer, or from one, not yet answered. */
  controlsMax: 64,
  /** Body of a control question or of its answer. */
  controlBytesMax: 64 * KiB,

  /** Received but not yet consumed; past it the socket is not read. Also what a sender queues ahead of its socket. */
  snapshotQueueBytesMax: 1024 * KiB,
  /** A snapshot that has not moved for this long is given up. */
  snapshotIdleMsMax: 60_000,

  /** Until the kernel has a connection. */
  connectMsMax: 2_000,
  /** From a connection to the end of its handshake. */
  handshakeMsMax: 5_000,
  /** Connections accepted and not yet through their handshake; more are closed at once. */
  handshakesMax: 64,
  /** Between two signs of life on an otherwise idle connection. */
  aliveMs: 1_000,
  /** A connection that says nothing for this long is closed: a dead machine sends no reset. */
  silenceMsMax: 5_000,
  /** How long the last frame before a close may take to leave. */
  farewellMsMax: 1_000,
  /** Before the first attempt to reconnect; doubled by each failure, and jittered. */
  backoffMsMin: 50,
  backoffMsMax: 1_000,
  /**
   * Where an attempt to come back fails by itself within this time, nobody is there any more. A machine that is there refuses within
   * a round trip; a network that swallows, or a process that hangs, keeps silent for longer than this.
   */
  goneMsMax: 30,
  /** A peer out of reach is worth a warning after this long, not while members start or stop together. */
  quietMs: 5_000,
  /** A message about the same cause is logged at most this often; what was left out is counted. */
  logMs: 30_000,
} as const

/** The same, with the values replaceable: tests shrink them. */
export type TransportLimits = { readonly [Name in keyof typeof TRANSPORT_LIMITS]: number }
