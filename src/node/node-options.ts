// What a node is given when it is opened: who it is, how it behaves, and the world it runs in.
import type { Prng } from '../lib/prng.ts'
import type { RetentionLimits } from '../kv/index.ts'
import type { Boot, RaftConfig } from '../raft/index.ts'
import type { LIMITS } from './limits.ts'
import type { RetentionOptions } from './log-compaction.ts'
import type {
  AmnesiaNote,
  Clock,
  DiskSpace,
  IncarnationRegistry,
  Logger,
  MemberInfo,
  PeerTransport,
  RaftStorage,
  StateStorage,
} from './ports.ts'

/** What is kept for watches that fall behind. */
export type WatchLimits = Record<
  keyof Pick<typeof LIMITS, 'watcherLagBytesMax' | 'watchWindowBytesMax' | 'watchWindowRevisionsMax'>,
  number
>

export interface NodeOptions {
  readonly clusterId: string
  readonly self: MemberInfo
  /** All members, this one included. */
  readonly members: readonly MemberInfo[]
  readonly boot: Boot
  /** The advertised base URL, or ''. */
  readonly url: string
  readonly version: string
  readonly pid: number
  readonly heartbeatMs: number
  readonly electionTimeoutMs: number
  /** Where the bounds of replication differ from LIMITS. */
  readonly replication?: Partial<Pick<RaftConfig, 'appendBytesMax' | 'inflightMessagesMax'>>
  /** Likewise of watches. */
  readonly watching?: Partial<WatchLimits>
  readonly logRetention: RetentionOptions
  readonly historyRetention: RetentionLimits
  readonly spaceReserveBytes: number
}

export interface NodePorts {
  readonly clock: Clock
  readonly prng: Prng
  readonly log: RaftStorage
  readonly states: StateStorage
  readonly transport: PeerTransport
  readonly registry: IncarnationRegistry
  readonly amnesia: AmnesiaNote
  readonly diskSpace: DiskSpace
  readonly logger: Logger
}
