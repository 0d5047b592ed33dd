// The leases: their keys, and when they expire. In memory and bounded; rows are written at the end of the entry for what changed.
// Nothing here depends on the order in which Maps and Sets were filled: after a restart it is another one.
import type { LeaseId } from '../api/commands.ts'
import { assert } from '../lib/assert.ts'
import type { KeyString } from '../lib/bytes.ts'
import { rowShare } from './digest.ts'
import { ExpiryQueue } from './expiry-queue.ts'
import type { Expiring } from './expiry-queue.ts'
import { KV_LIMITS } from './limits.ts'
import type { Place } from './lock-table.ts'
import { ATTACHMENT_VALUE, attachmentPrefix, attachmentRow, encodeLease, leaseRow, rowOf } from './rows.ts'
import type { LeaseFields, Row, RowWriter } from './rows.ts'
import type { UndoLog } from './undo-log.ts'

export interface Lease extends Expiring, LeaseFields {
  readonly id: LeaseId
  expiresAtMs: number
  readonly keys: Set<KeyString>
  /** The place in a lock's queue that lives with it. */
  place: Place | undefined
  readonly row: Row
}

export class LeaseTable {
  readonly #leases = new Map<LeaseId, Lease>()
  readonly #leaseOf = new Map<KeyString, Lease>()
  readonly #expiries = new ExpiryQueue<Lease>()
  readonly #undo: UndoLog
  /** Changed in this entry, also what is gone. */
  readonly #dirty = new Set<Lease>()
  /** Attachments touched in this entry, with their rows as the state has them. */
  readonly #dirtyAttachments = new Map<string, { readonly id: LeaseId; readonly key: KeyString; readonly row: Row }>()

  constructor(undo: UndoLog) {
    this.#undo = undo
  }

  get size(): number {
    return this.#leases.size
  }

  get isFull(): boolean {
    return this.#leases.size >= KV_LIMITS.leasesMax
  }

  /** Keys that have a lease. Zero in most stores, and then nobody needs to ask which. */
  get attachedCount(): number {
    return this.#leaseOf.size
  }

  get(id: LeaseId): Lease | undefined {
    return this.#leases.get(id)
  }

  leaseOf(key: KeyString): LeaseId {
    return this.#leaseOf.get(key)?.id ?? ''
  }

  /** By id, from behind `after` on, at most so many: without sorting all of them for each page. */
  page(after: LeaseId, max: number): Lease[] {
    let page: Lease[] = []
    let end: LeaseId | undefined
    for (const lease of this.#leases.values()) {
      if (lease.id <= after || (end !== undefined && lease.id > end)) continue
      page.push(lease)
      if (page.length < 4 * max) continue
      page = page.sort(byId).slice(0, max)
      end = page.at(-1)?.id
    }
    return page.sort(byId).slice(0, max)
  }

  get nextExpiryMs(): number | undefined {
    return this.#expiries.nextMs
  }

  due(nowMs: number, take: (lease: Lease) => boolean): void {
    this.#expiries.due(nowMs, take)
  }

  /** There is room for this key on that lease. */
  hasRoom(lease: Lease, key: KeyString): boolean {
    if (lease.keys.has(key)) return true
    if (lease.keys.size >= KV_LIMITS.leaseKeysMax) return false
    return this.#leaseOf.size < KV_LIMITS.attachedKeysMax || this.#leaseOf.has(key)
  }

  create(id: LeaseId, fields: LeaseFields): Lease {
    const lease = newLease(id, fields)
    this.#insert(lease)
    if (this.#undo.isNoting) this.#undo.note(() => this.#drop(lease))
    return lease
  }

  remove(lease: Lease): void {
    assert(lease.keys.size === 0, `lease ${lease.id} still has ${lease.keys.size} keys`)
    this.#drop(lease)
    if (this.#undo.isNoting) this.#undo.note(() => this.#insert(lease))
  }

  setExpiry(lease: Lease, expiresAtMs: number): void {
    if (lease.expiresAtMs === expiresAtMs) return
    lease.expiresAtMs = expiresAtMs
    this.#expiries.track(lease)
    this.#dirty.add(lease)
  }

  /** From now on the key dies with this lease, or with none. A private lease goes with its last key. */
  attach(key: KeyString, lease: Lease | undefined): void {
    const current = this.#leaseOf.get(key)
    if (current === lease) return
    this.#setLease(key, lease)
    if (this.#undo.isNoting) this.#undo.note(() => this.#setLease(key, current))
    if (current?.isPrivate === true && current.keys.size === 0 && current.place === undefined) this.remove(current)
  }

  /** Of a lease that ends: takes back the rows of these keys. Those touched in this entry are written at its end. */
  writeDetached(lease: Lease, keys: readonly KeyString[], writer: RowWriter): void {
    const prefix = attachmentPrefix(lease.id)
    for (const key of keys) {
      const row = prefix + key
      if (this.#dirtyAttachments.has(row)) continue
      writer.write(rowOf(row, rowShare(row, ATTACHMENT_VALUE)), undefined)
    }
  }

  /** Of a lease that ends: it has no keys any more. Their rows have been taken back. */
  detachAll(lease: Lease): void {
    assert(!this.#undo.isNoting, 'a lease ends within a transaction')
    for (const key of lease.keys) this.#leaseOf.delete(key)
    lease.keys.clear()
  }

  /** Attachments whose rows are still to be written. */
  get dirtyCount(): number {
    return this.#dirtyAttachments.size
  }

  /** Once all commands of the entry are executed: writes the rows of some attachments, at most so many. */
  writeAttachments(writer: RowWriter, max: number): void {
    let left = max
    for (const [rowKey, { id, key, row }] of this.#dirtyAttachments) {
      if (left-- === 0) return
      this.#dirtyAttachments.delete(rowKey)
      const isAttached = this.leaseOf(key) === id
      if (isAttached !== (row.share !== undefined)) writer.write(row, isAttached ? ATTACHMENT_VALUE : undefined)
    }
  }

  /** Ends the entry: writes the rows of what changed. */
  writeRows(writer: RowWriter): void {
    for (const lease of this.#dirty) writer.write(lease.row, lease.isGone ? undefined : encodeLease(lease))
    this.#dirty.clear()
    this.writeAttachments(writer, Infinity)
  }

  /** From a row that the state has. */
  load(row: Row, id: LeaseId, fields: LeaseFields): void {
    this.#insert({ ...newLease(id, fields), row })
    this.#dirty.clear()
  }

  loadAttachment(id: LeaseId, key: KeyString): void {
    const lease = this.#leases.get(id)
    assert(lease !== undefined, `a row attaches a key to lease ${id}, which is not there`)
    assert(!this.#leaseOf.has(key), `rows attach one key to two leases, one of them ${id}`)
    this.#leaseOf.set(key, lease)
    lease.keys.add(key)
  }

  #insert(lease: Lease): void {
    assert(!this.#leases.has(lease.id), `lease ${lease.id} is there already`)
    lease.isGone = false
    this.#leases.set(lease.id, lease)
    this.#expiries.track(lease)
    this.#dirty.add(lease)
  }

  #drop(lease: Lease): void {
    lease.isGone = true
    this.#leases.delete(lease.id)
    this.#dirty.add(lease)
  }

  #setLease(key: KeyString, lease: Lease | undefined): void {
    const current = this.#leaseOf.get(key)
    if (current !== undefined) {
      this.#touch(current.id, key, true)
      current.keys.delete(key)
      this.#leaseOf.delete(key)
    }
    if (lease === undefined) return
    this.#touch(lease.id, key, false)
    lease.keys.add(key)
    this.#leaseOf.set(key, lease)
  }

  /** The first touch of an entry knows whether the state has the row. */
  #touch(id: LeaseId, key: KeyString, isAttached: boolean): void {
    const rowKey = attachmentRow(id, key)
    if (this.#dirtyAttachments.has(rowKey)) return
    const share = isAttached ? rowShare(rowKey, ATTACHMENT_VALUE) : undefined
    this.#dirtyAttachments.set(rowKey, { id, key, row: rowOf(rowKey, share) })
  }
}

const byId = (a: Lease, b: Lease): number => (a.id < b.id ? -1 : 1)

function newLease(id: LeaseId, { ttlMs, expiresAtMs, isPrivate }: LeaseFields): Lease {
  return {
    id,
    ttlMs,
    expiresAtMs,
    isPrivate,
    keys: new Set(),
    place: undefined,
    isGone: false,
    queuedAtMs: undefined,
    row: rowOf(leaseRow(id)),
  }
}
