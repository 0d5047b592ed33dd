// What the naive model holds, and the few helpers that it needs.
import type { CommandResult, Condition, KeyEntry, LockKind, RefusalReason } from '../../src/api/commands.ts'

export type Entries = ReadonlyMap<string, KeyEntry>

export interface ModelLease {
  readonly ttlMs: number
  readonly expiresAtMs: number
  readonly isPrivate: boolean
}

export interface ModelPlace {
  readonly token: number
  readonly lock: string
  readonly lease: string
  readonly owner: string
  readonly value: Uint8Array
}

export interface ModelSession {
  readonly ttlMs: number
  readonly expiresAtMs: number
  readonly acknowledgedBelow: number
  readonly results: ReadonlyMap<number, CommandResult>
}

/** One change as watchers see it. */
export interface ModelChange {
  readonly key: string
  readonly revision: number
  readonly sub: number
  readonly entry: KeyEntry | undefined
}

/** Everything but the past. All of it is replaced, never changed in place. */
export interface State {
  live: Entries
  revision: number
  compactRevision: number
  lastToken: number
  leases: ReadonlyMap<string, ModelLease>
  places: readonly ModelPlace[]
  sessions: ReadonlyMap<string, ModelSession>
  idempotency: ReadonlyMap<string, { fingerprint: string; expiresAtMs: number; result: CommandResult }>
  changes: readonly ModelChange[]
}

export class Refusal extends Error {
  readonly reason: RefusalReason
  constructor(reason: RefusalReason) {
    super(reason)
    this.reason = reason
  }
}

export const initialState = (): State => ({
  live: new Map(),
  revision: 1,
  compactRevision: 0,
  lastToken: 0,
  leases: new Map(),
  places: [],
  sessions: new Map(),
  idempotency: new Map(),
  changes: [],
})

export const lockOf = (kind: LockKind, name: string): string => `${kind} ${name}`

export function without<K, V>(map: ReadonlyMap<K, V>, key: K): Map<K, V> {
  const copy = new Map(map)
  copy.delete(key)
  return copy
}

/** Numbers padded, so that texts order as they do. */
export function asText(value: number | string | Uint8Array): string {
  if (typeof value === 'number') return String(value).padStart(16, '0')
  return typeof value === 'string' ? value : Buffer.from(value).toString('latin1')
}

export function isMet(condition: Condition, currentRevision: number): boolean {
  if (condition.kind === 'revision') return condition.revision === currentRevision
  if (condition.kind === 'exists') return currentRevision > 0
  return condition.kind === 'none'
}
