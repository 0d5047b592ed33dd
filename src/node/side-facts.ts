// Leases and locks as callers see them. How long a lease still lasts is an estimate, for display: only the leader knows cluster
// time, the others add what has passed here since they last heard of it. What expires is decided in the log alone.
import type { LeaseId } from '../api/commands.ts'
import type { SideState } from '../kv/index.ts'
import type { LeaseInfo, LeaseSummary, SideFacts } from './facade.ts'

/**
 * While anything can expire the log hears the time every five seconds. Where it does not there is no leader, and cluster time
 * stands still: no more than this is added. Milliseconds.
 */
const SILENCE_MS_MAX = 6_000

/** Cluster time on any node, as far as it knows. */
export class TimeEstimate {
  #timeMs: number
  #heardAtMs: number

  constructor(timeMs: number, nowMs: number) {
    this.#timeMs = timeMs
    this.#heardAtMs = nowMs
  }

  /** An entry with this time was applied. */
  heard(timeMs: number, nowMs: number): void {
    if (timeMs <= this.#timeMs) return
    this.#timeMs = timeMs
    this.#heardAtMs = nowMs
  }

  at(nowMs: number): number {
    const silentMs = Math.min(Math.max(0, Math.floor(nowMs - this.#heardAtMs)), SILENCE_MS_MAX)
    return this.#timeMs + silentMs
  }
}

type Lease = NonNullable<ReturnType<SideState['lease']>>

/** Without the keys: sorting those of every lease would stop all else. */
const summaryOf = ({ lease, ttlMs, expiresAtMs, keyCount }: Lease, timeMs: number): LeaseSummary => ({
  lease,
  ttlMs,
  remainingMs: remaining(expiresAtMs, timeMs),
  keyCount,
})

const infoOf = ({ lease, ttlMs, expiresAtMs, keys }: Lease, timeMs: number): LeaseInfo => ({
  lease,
  ttlMs,
  remainingMs: remaining(expiresAtMs, timeMs),
  keys,
})

const remaining = (expiresAtMs: number, timeMs: number): number => Math.max(0, expiresAtMs - timeMs)

export function remainingOf(side: SideState, lease: LeaseId, timeMs: number): number | undefined {
  const found = side.lease(lease)
  return found && remaining(found.expiresAtMs, timeMs)
}

export function sideFacts(side: SideState, timeMs: number): SideFacts {
  return {
    leases: (after, max) => side.leases(after, max).map((lease) => summaryOf(lease, timeMs)),
    lease: (id) => {
      const lease = side.lease(id)
      return lease && infoOf(lease, timeMs)
    },
    lock: (kind, name) => side.lock(kind, name),
  }
}
