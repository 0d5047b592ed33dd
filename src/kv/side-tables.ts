// All that the state machine keeps beside keys, in one place: built from the rows of an opened state, looked at by the node.
import type { ExpireCommand, LeaseId, LockKind, SessionId } from '../api/commands.ts'
import { assert, present } from '../lib/assert.ts'
import type { KeyString } from '../lib/bytes.ts'
import { rowShare } from './digest.ts'
import { IdempotencyTable } from './idempotency-table.ts'
import { LeaseTable } from './lease-table.ts'
import type { Lease } from './lease-table.ts'
import { KV_LIMITS } from './limits.ts'
import { LockTable } from './lock-table.ts'
import type { Place } from './lock-table.ts'
import { decodeIdempotency, decodeLease, decodePlace, decodeSession, parseRow, rowOf } from './rows.ts'
import type { IdempotencyFields, ParsedRow, Row } from './rows.ts'
import { SessionTable } from './session-table.ts'
import type { LeaseState, LockPlaceState, RowKey, SideState } from './types.ts'
import { UndoLog } from './undo-log.ts'

interface LoadedRow<K extends ParsedRow['kind']> {
  readonly parsed: ParsedRow & { kind: K }
  readonly row: Row
  readonly value: Uint8Array
}

type Loaded = { [K in ParsedRow['kind']]: LoadedRow<K>[] }

export class SideTables implements SideState {
  readonly undo = new UndoLog()
  readonly leaseTable = new LeaseTable(this.undo)
  readonly locks = new LockTable()
  readonly sessions = new SessionTable()
  readonly idempotency = new IdempotencyTable()

  constructor(rows: ReadonlyMap<RowKey, Uint8Array>) {
    const loaded = sortRows(rows)
    for (const { parsed, row, value } of loaded.lease) this.leaseTable.load(row, parsed.lease, decodeLease(value))
    for (const { parsed } of loaded.attachment) this.leaseTable.loadAttachment(parsed.lease, parsed.key)
    for (const { parsed, row, value } of loaded.session) this.sessions.load(row, parsed.session, decodeSession(value))
    for (const { parsed, row, value } of loaded.result)
      this.sessions.loadResult(parsed.session, parsed.sequence, { ...row, result: Buffer.from(value) })
    this.idempotency.load(
      loaded.idempotency.map(({ parsed, value }): [string, IdempotencyFields] => [
        parsed.key,
        decodeIdempotency(value),
      ]),
    )
    for (const place of loaded.place.sort((a, b) => a.parsed.token - b.parsed.token)) this.#loadPlace(place)
  }

  // ------------------------------------------------------------------------------------------------- what the node sees

  lease(id: LeaseId): LeaseState | undefined {
    const lease = this.leaseTable.get(id)
    return lease && leaseState(lease)
  }

  leases(after = '', max = Infinity): readonly LeaseState[] {
    return this.leaseTable.page(after, max).map(leaseState)
  }

  lock(kind: LockKind, name: KeyString): { holder: LockPlaceState | undefined; queue: readonly LockPlaceState[] } {
    const [holder, ...queue] = this.locks.queue(kind, name).map(placeState)
    return { holder, queue }
  }

  session(id: SessionId): { readonly expiresAtMs: number } | undefined {
    const session = this.sessions.get(id)
    return session && { expiresAtMs: session.expiresAtMs }
  }

  get nextExpiryMs(): number | undefined {
    const [lease, session] = [this.leaseTable.nextExpiryMs, this.sessions.nextExpiryMs]
    if (lease === undefined || session === undefined) return lease ?? session
    return Math.min(lease, session)
  }

  due(clusterTimeMs: number): ExpireCommand | undefined {
    const leases: LeaseId[] = []
    const sessions: SessionId[] = []
    let keys = 0
    this.leaseTable.due(clusterTimeMs, (lease) => {
      keys += lease.keys.size
      // One lease never has more keys than a command may change, so the first always fits.
      if (keys > KV_LIMITS.commandKeysMax) return false
      leases.push(lease.id)
      return leases.length < KV_LIMITS.expireMax
    })
    if (leases.length < KV_LIMITS.expireMax) {
      this.sessions.due(clusterTimeMs, (session) => {
        sessions.push(session.id)
        return leases.length + sessions.length < KV_LIMITS.expireMax
      })
    }
    return leases.length + sessions.length === 0 ? undefined : { op: 'expire', leases, sessions }
  }

  // ------------------------------------------------------------------------------------------------------ what apply uses

  /** All results that are kept for a repeat. */
  get resultBytes(): number {
    return this.sessions.resultBytes + this.idempotency.resultBytes
  }

  /** Removes a lease that has no keys any more, and its place in a queue. Whoever holds the lock now gets its whole time. */
  removeLease(lease: Lease, nowMs: number): void {
    const { place } = lease
    if (!lease.isGone) this.leaseTable.remove(lease)
    if (place !== undefined) this.leave(place, nowMs)
  }

  leave(place: Place, nowMs: number): void {
    const promoted = this.locks.leave(place)
    if (promoted !== undefined) this.leaseTable.setExpiry(promoted.lease, nowMs + promoted.lease.ttlMs)
  }

  #loadPlace({ parsed, row, value }: LoadedRow<'place'>): void {
    const { leaseId, owner, value: proclaimed } = decodePlace(value)
    const lease = present(this.leaseTable.get(leaseId), `lease ${leaseId} of the place ${parsed.token}`)
    const { token, lock, name } = parsed
    this.locks.load(row, { token, kind: lock, name, lease, owner, value: proclaimed })
  }
}

/** By kind: some need others to be there before them. */
function sortRows(rows: ReadonlyMap<RowKey, Uint8Array>): Loaded {
  const loaded: Loaded = { lease: [], attachment: [], session: [], result: [], idempotency: [], place: [] }
  for (const [key, value] of rows) {
    const parsed = parseRow(key)
    assert(parsed !== undefined, `a row of an unknown kind: ${JSON.stringify(key.slice(0, 2))}`)
    const list: { parsed: ParsedRow; row: Row; value: Uint8Array }[] = loaded[parsed.kind]
    list.push({ parsed, row: rowOf(key, rowShare(key, value)), value })
  }
  return loaded
}

const leaseState = ({ id, ttlMs, expiresAtMs, keys }: Lease): LeaseState => ({
  lease: id,
  ttlMs,
  expiresAtMs,
  keyCount: keys.size,
  get keys() {
    return [...keys].sort()
  },
})

const placeState = ({ token, lease, owner, value }: Place): LockPlaceState => ({ token, lease: lease.id, owner, value })
