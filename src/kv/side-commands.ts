// What the commands beside keys do: leases, locks and elections, sessions, expiry.
import type {
  CommandResult,
  ExpireCommand,
  LeaseGrantCommand,
  LeaseId,
  LockCommand,
  ProclaimCommand,
  SessionId,
  SessionOpenCommand,
  UnlockCommand,
} from '../api/commands.ts'
import type { KeyCommands, Moment } from './key-commands.ts'
import type { Lease } from './lease-table.ts'
import { KV_LIMITS } from './limits.ts'
import type { RowWriter } from './rows.ts'
import type { SideTables } from './side-tables.ts'
import { KEYS_PER_SLICE } from './slices.ts'
import type { Steps } from './slices.ts'

export class SideCommands {
  readonly #tables: SideTables
  readonly #commands: KeyCommands
  readonly #moment: Moment
  readonly #writer: RowWriter
  #lastToken: number

  constructor(parts: {
    tables: SideTables
    commands: KeyCommands
    moment: Moment
    writer: RowWriter
    lastToken: number
  }) {
    this.#tables = parts.tables
    this.#commands = parts.commands
    this.#moment = parts.moment
    this.#writer = parts.writer
    this.#lastToken = parts.lastToken
  }

  get lastToken(): number {
    return this.#lastToken
  }

  // --------------------------------------------------------------------------------------------------------------- leases

  grant({ lease, ttlMs }: LeaseGrantCommand): CommandResult {
    const { leaseTable } = this.#tables
    if (leaseTable.get(lease) !== undefined) return this.#commands.refused('lease-exists')
    if (leaseTable.isFull) return this.#commands.refused('too-many-leases')
    leaseTable.create(lease, { ttlMs, expiresAtMs: this.#nowMs + ttlMs, isPrivate: false })
    return { kind: 'lease', revision: this.#revision, lease, ttlMs }
  }

  keepAlive(id: LeaseId): CommandResult {
    const { leaseTable } = this.#tables
    const lease = leaseTable.get(id)
    if (lease === undefined) return this.#commands.refused('lease-not-found')
    const { ttlMs } = lease
    // Who waits for a lock was given longer than that.
    leaseTable.setExpiry(lease, Math.max(lease.expiresAtMs, this.#nowMs + ttlMs))
    return { kind: 'lease', revision: this.#revision, lease: id, ttlMs }
  }

  *revoke(id: LeaseId): Steps<CommandResult> {
    const lease = this.#tables.leaseTable.get(id)
    if (lease === undefined) return this.#commands.refused('lease-not-found')
    const count = yield* this.#end(lease)
    return { kind: 'lease-revoked', revision: this.#revision, count }
  }

  // ---------------------------------------------------------------------------------------------------------------- locks

  lock(command: LockCommand): CommandResult {
    const { locks, leaseTable } = this.#tables
    const { kind, name, lease: id, ttlMs, waitMs, owner, value } = command
    if (leaseTable.get(id) !== undefined) return this.#commands.refused('lease-exists')
    const length = locks.queue(kind, name).length
    if (length > 0 && waitMs === 0) return this.#commands.refused('locked')
    if (length >= KV_LIMITS.lockPlacesMax) return this.#commands.refused('queue-full')
    if (leaseTable.isFull) return this.#commands.refused('too-many-leases')
    const expiresAtMs = this.#nowMs + ttlMs + (length > 0 ? waitMs : 0)
    const lease = leaseTable.create(id, { ttlMs, expiresAtMs, isPrivate: false })
    const token = ++this.#lastToken
    // The command's value is a view of the whole entry, which must not be kept for it.
    locks.join({ token, kind, name, lease, owner, value: Buffer.from(value) })
    return { kind: 'lock', revision: this.#revision, token, lease: id, isHeld: length === 0 }
  }

  *unlock({ kind, name, token, onlyWaiting }: UnlockCommand): Steps<CommandResult> {
    const { locks } = this.#tables
    const place = locks.find(kind, name, token)
    if (place === undefined) return this.#commands.refused('token-not-found')
    const wasHeld = locks.holder(kind, name) === place
    if (wasHeld && onlyWaiting === true) return this.#commands.refused('held')
    yield* this.#end(place.lease)
    return { kind: 'unlocked', revision: this.#revision, wasHeld }
  }

  proclaim({ name, token, value }: ProclaimCommand): CommandResult {
    const { locks } = this.#tables
    const place = locks.find('election', name, token)
    if (place === undefined) return this.#commands.refused('token-not-found')
    if (locks.holder('election', name) !== place) return this.#commands.refused('fenced')
    locks.proclaim(place, Buffer.from(value))
    return { kind: 'proclaimed', revision: this.#revision }
  }

  // ------------------------------------------------------------------------------------------------------------- sessions

  /** Of one that is open already, it is the repeat of an opening whose answer was lost. */
  openSession({ session: id, ttlMs }: SessionOpenCommand): CommandResult {
    const { sessions } = this.#tables
    const known = sessions.get(id)
    if (known === undefined && sessions.isFull) return this.#commands.refused('too-many-sessions')
    const session = known ?? sessions.open(id, ttlMs, this.#nowMs)
    sessions.setTtl(session, ttlMs)
    sessions.touch(session, this.#nowMs)
    return { kind: 'session', revision: this.#revision, session: id, ttlMs }
  }

  keepSessionAlive(id: SessionId): CommandResult {
    const { sessions } = this.#tables
    const session = sessions.get(id)
    if (session === undefined) return this.#commands.refused('session-gone')
    sessions.touch(session, this.#nowMs)
    return { kind: 'session', revision: this.#revision, session: id, ttlMs: session.ttlMs }
  }

  *closeSession(id: SessionId): Steps<CommandResult> {
    const { sessions } = this.#tables
    const session = sessions.get(id)
    if (session === undefined) return this.#commands.refused('session-gone')
    yield* sessions.close(session, this.#writer)
    return { kind: 'session-closed', revision: this.#revision }
  }

  // --------------------------------------------------------------------------------------------------------------- expiry

  /** Whatever was due when the leader proposed it may have been kept alive since: each is looked at again. */
  *expire({ leases, sessions }: ExpireCommand): Steps<CommandResult> {
    let count = 0
    for (const lease of this.#dueLeases(leases)) {
      // It was due before the first of them ended, but may hold a lock since: then its time began anew.
      if (lease.expiresAtMs > this.#nowMs) continue
      yield* this.#end(lease)
      count += 1
    }
    for (const id of sessions) {
      const session = this.#tables.sessions.get(id)
      if (session === undefined || session.expiresAtMs > this.#nowMs) continue
      yield* this.#tables.sessions.close(session, this.#writer)
      count += 1
    }
    return { kind: 'expired', revision: this.#revision, count }
  }

  /** Those of the leases that are due now, as far as one command may delete their keys; the others wait for the next. */
  #dueLeases(ids: readonly LeaseId[]): Lease[] {
    const due: Lease[] = []
    let keys = 0
    for (const id of ids) {
      const lease = this.#tables.leaseTable.get(id)
      if (lease === undefined || lease.expiresAtMs > this.#nowMs || due.includes(lease)) continue
      keys += lease.keys.size
      if (keys > KV_LIMITS.commandKeysMax) break
      due.push(lease)
    }
    return due
  }

  get #nowMs(): number {
    return this.#moment.clusterTimeMs
  }

  get #revision(): number {
    return this.#commands.keys.revision
  }

  /**
   * Its keys go in one revision, in byte order: the order of a Set is not the same on a node that was restarted. The lease stays
   * whole until the last of them is deleted.
   */
  *#end(lease: Lease): Steps<number> {
    const { keys } = this.#commands
    const { leaseTable } = this.#tables
    const found = [...lease.keys].sort()
    keys.beginTogether()
    for (let from = 0; from < found.length; from += KEYS_PER_SLICE) {
      const some = found.slice(from, from + KEYS_PER_SLICE)
      if (from > 0) yield 'pause'
      yield { pointers: some, records: [], ranges: [] }
      for (const key of some) this.#commands.bury(key, this.#commands.existing(key))
      leaseTable.writeDetached(lease, some, this.#writer)
    }
    keys.endTogether()
    leaseTable.detachAll(lease)
    this.#tables.removeLease(lease, this.#nowMs)
    return found.length
  }
}
