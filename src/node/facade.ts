// What a node offers to its edges (HTTP today): commands in, answers out, errors from the table. No promises on the hot path.
import type { ClientCommand, CommandResult, KeyEntry } from '../api/commands.ts'
import type { QuorateError } from '../api/errors.ts'
import type { ClusterStatus, HealthReport, NodeStatus } from '../api/status.ts'
import type { KeyString } from '../lib/bytes.ts'

export interface ReadOptions {
  readonly consistency: 'linearizable' | 'stale'
  /** Only with `stale`: older than this is TOO_STALE. Milliseconds. */
  readonly maxStaleMs: number | undefined
  /** Wait until this node has applied that revision. */
  readonly minRevision: number | undefined
  readonly timeoutMs: number
}

export interface ReadAnswer {
  readonly entry: KeyEntry | undefined
  /** Of the state that was read. */
  readonly revision: number
  /** With `stale`: how far behind the answer may be; undefined when unknown. Whole milliseconds. */
  readonly stalenessMs: number | undefined
}

/** The revision and leader that every answer names. */
export interface Vitals {
  readonly name: string
  readonly revision: number
  readonly term: number
  readonly leaderName: string | undefined
}

export interface NodeFacade {
  vitals(): Vitals
  /** Calls back exactly once; a refusal by the state machine is a result, not an error. */
  write(command: ClientCommand, timeoutMs: number, done: (outcome: CommandResult | QuorateError) => void): void
  /** Calls back exactly once, maybe before it returns. */
  read(key: KeyString, options: ReadOptions, done: (outcome: ReadAnswer | QuorateError) => void): void
  status(): NodeStatus
  /** Asked of the leader; nulls where there is none. Rejects with a QuorateError. */
  cluster(): Promise<ClusterStatus>
  /** Hands leadership to the named member, or to the most up to date one. Rejects with a QuorateError. */
  transferLeadership(to: string | undefined): Promise<void>
  liveness(): HealthReport
  readiness(): HealthReport
}
