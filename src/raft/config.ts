// What a core is started with: its tuning (RaftConfig) and what recovery found on disk (RaftInit). Both are the driver's
// own data, so nonsense here is a bug and asserted, not refused.
import { assert } from '../lib/assert.ts'
import type { Prng } from '../lib/prng.ts'
import type { Boot, ConfState, Entry, EntryId, HardState, LogIndex, NodeId, Standing } from './types.ts'

export interface RaftConfig {
  readonly id: NodeId
  readonly boot: Boot
  /** The only source of chance. Nodes must not share a seed, or their election timeouts coincide for ever. */
  readonly prng: Prng
  /** Redrawn in [n, 2n) at each election (§3.4). */
  readonly electionTimeoutTicks: number
  readonly heartbeatTicks: number
  /** Entries in one append, and in one write; a larger single entry goes alone. */
  readonly appendBytesMax: number
  readonly inflightMessagesMax: number
  readonly inflightBytesMax: number
  /** The tail of the log kept in memory, besides what is not applied. */
  readonly memoryLogBytesMax: number
  /** How far applying may fall behind before appends are refused. */
  readonly unappliedBytesMax: number
  /** What a leader accepts beyond its commit index. */
  readonly uncommittedBytesMax: number
}

export interface RaftInit {
  readonly hardState: HardState
  /** The entry before `entries`. Entries up to it are on disk or compacted. */
  readonly base: EntryId
  readonly entries: readonly Entry[]
  readonly confState: ConfState
  readonly appliedIndex: LogIndex
  readonly standing: Standing
}

export function assertConfig(config: RaftConfig): void {
  assert(config.heartbeatTicks >= 1, `heartbeatTicks is ${config.heartbeatTicks}`)
  assert(
    config.electionTimeoutTicks > config.heartbeatTicks,
    `electionTimeoutTicks ${config.electionTimeoutTicks} must exceed heartbeatTicks ${config.heartbeatTicks}`,
  )
  assert(config.inflightMessagesMax >= 1, `inflightMessagesMax is ${config.inflightMessagesMax}`)
}

export function assertInit(init: RaftInit): void {
  const { base, entries, hardState, appliedIndex, standing } = init
  let before = base
  for (const entry of entries) {
    assert(entry.index === before.index + 1, `recovered entry ${entry.index} follows entry ${before.index}`)
    assert(entry.term >= before.term, `the term falls from ${before.term} to ${entry.term} at ${entry.index}`)
    before = entry
  }
  assert(hardState.term >= before.term, `the hard state's term ${hardState.term} is behind the log's ${before.term}`)
  if (standing === 'stateless') return
  assert(
    base.index <= appliedIndex && appliedIndex <= before.index,
    `applied ${appliedIndex} must lie in the recovered log (${base.index}, ${before.index}]`,
  )
}
