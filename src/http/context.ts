// What the handlers of routes share. One for each server.
import type { LeaseId } from '../api/commands.ts'
import type { BodyReader, Continuations } from './body.ts'
import type { Edge } from './edge.ts'
import type { Streams } from './streams.ts'

export interface HttpContext {
  readonly edge: Edge
  readonly bodies: BodyReader
  readonly continuations: Continuations
  readonly streams: Streams
  /** A random id, for leases that callers do not name. */
  readonly newLeaseId: () => LeaseId
}
