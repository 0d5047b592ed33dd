// What all parts of one transport share: its limits, clock, counters, log, and what the driver wants to be told.
import type { Clock, Logger, PeerHandlers } from '../node/ports.ts'
import type { Connection } from './connection.ts'
import type { Counters } from './counters.ts'
import type { HandshakeContext } from './handshake.ts'
import type { TransportLimits } from './limits.ts'
import type { RateLimitedLog } from './rate-limited-log.ts'

export interface Environment {
  readonly limits: TransportLimits
  readonly clock: Clock
  readonly logger: Logger
  /** For what repeats. */
  readonly log: RateLimitedLog
  readonly counters: Counters
  readonly handlers: PeerHandlers
  readonly handshake: HandshakeContext
  /** All whose sockets are not gone yet. */
  readonly connections: Set<Connection>
}

/** Remembers a connection until its socket is gone, so that closing the transport leaves none behind. */
export function track(environment: Environment, connection: Connection): void {
  environment.connections.add(connection)
  void connection.closed.then(() => environment.connections.delete(connection))
}

export const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))
