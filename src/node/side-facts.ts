// Leases and locks as callers see them. How long a lease still lasts is an estimate, for display: only the leader knows cluster
// time, the others add what has passed here since they last heard of it. What expires is decided in the log alone.
import type { LeaseId } from '../api/commands.ts'
import type { SideState } from '../kv/index.ts'
import type { SideFacts } from './facade.ts'

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

const timesOf = ({ lease, ttlMs, expiresAtMs }: Lease, timeMs: number) => ({
  lease,
  ttlMs,
  remainingMs: remaining(expiresAtMs, timeMs),
})

const remaining = (expiresAtMs: number, timeMs: number): number => Math.max(0, expiresAtMs - timeMs)

export function remainingOf(side: SideState, lease: LeaseId, timeMs: number): number | undefined {
  const found = side.lease(lease)
  return found && remaining(found.expiresAtMs, timeMs)
}

export function sideFacts(side: SideState, timeMs: number): SideFacts {
  return {
    leases: () => side.leases().map((lease) => ({ ...timesOf(lease, timeMs), keyCount: lease.keyCount })),
    lease: (id) => {
      const lease = side.lease(id)
      return lease && { ...timesOf(lease, timeMs), keys: lease.keys }
    },
    lock: (kind, name) => side.lock(kind, name),
  }
}
