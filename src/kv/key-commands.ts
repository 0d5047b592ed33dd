// What puts, deletes and additions do, alone or inside a transaction: conditions, the change, and the key's lease. A command that
// is refused has changed nothing.
import type {
  AddCommand,
  AddedResult,
  CommandResult,
  Condition,
  DeleteCommand,
  DeletedResult,
  KeyRange,
  LeaseId,
  PutCommand,
  PutResult,
  RefusalReason,
} from '../api/commands.ts'
import { singleKeyOf } from '../api/ranges.ts'
import { assert, unreachable } from '../lib/assert.ts'
import type { KeyString } from '../lib/bytes.ts'
import { Hasher64, hashToHex } from '../lib/hash.ts'
import { KeyWriter, living } from './key-writer.ts'
import type { LeaseTable } from './lease-table.ts'
import { KV_LIMITS } from './limits.ts'
import { KEYS_PER_SLICE } from './slices.ts'
import type { Steps } from './slices.ts'
import type { KeyPointer, RangeRead } from './types.ts'

export type Refused = CommandResult & { kind: 'refused' }
export type PreconditionFailed = CommandResult & { kind: 'precondition-failed' }

/** Which entry is applied, and when. */
export interface Moment {
  readonly index: number
  readonly clusterTimeMs: number
}

/** A decimal int64 as `add` writes it: no sign but a minus, no zeros in front. */
const DECIMAL = /^(?:0|-?[1-9][0-9]{0,18})$/
const DECIMAL_BYTES_MAX = 20

export class KeyCommands {
  readonly keys: KeyWriter
  readonly #leases: LeaseTable
  readonly #moment: Moment
  #privateLeases = 0

  constructor(keys: KeyWriter, leases: LeaseTable, moment: Moment) {
    this.keys = keys
    this.#leases = leases
    this.#moment = moment
  }

  put(command: PutCommand): PutResult | PreconditionFailed | Refused {
    const { keys } = this
    const last = keys.last(command.key)
    const current = living(last)
    if (!holds(command.condition, current)) return this.#failed(current)
    let lease: LeaseId = ''
    if (command.lease !== undefined || command.ttlMs !== undefined) {
      const reason = this.#leaseRefusal(command)
      if (reason !== undefined) return this.refused(reason)
      lease = this.#leaseFor(command)
    }
    const previous = command.wantsPrevious && current ? keys.entry(command.key, current) : undefined
    keys.change(last, command, lease)
    this.#attach(command.key, lease)
    return { kind: 'put', revision: keys.revision, isCreated: current === undefined, previous }
  }

  delete(command: DeleteCommand): DeletedResult | PreconditionFailed {
    const { key } = command
    const current = this.keys.current(key)
    if (!holds(command.condition, current)) return this.#failed(current)
    const previous = command.wantsPrevious && current ? this.keys.entry(key, current) : undefined
    if (current !== undefined) this.deleteKey(key, current)
    return { kind: 'deleted', revision: this.keys.revision, count: current === undefined ? 0 : 1, previous }
  }

  /** `read` is the range as it was fetched; one key alone needs none. Nothing is deleted if it is refused. */
  *deleteRange(range: KeyRange, read: RangeRead | undefined): Steps<DeletedResult | Refused> {
    const found = this.keysIn(range, read)
    if (found.length > KV_LIMITS.commandKeysMax) return this.refused('range-too-large')
    for (const [nth, key] of found.entries()) {
      if (nth > 0 && nth % KEYS_PER_SLICE === 0) yield 'pause'
      this.deleteKey(key, this.existing(key))
    }
    return { kind: 'deleted', revision: this.keys.revision, count: found.length, previous: undefined }
  }

  add(command: AddCommand): AddedResult | PreconditionFailed | Refused {
    const { key, by } = command
    const last = this.keys.last(key)
    const current = living(last)
    if (!holds(command.condition, current)) return this.#failed(current)
    const record = current && this.keys.record(key, current)
    const before = record === undefined ? 0n : parseDecimal(record.value)
    const value = before === undefined ? undefined : before + by
    if (value === undefined || !isInt64(value)) return this.refused('not-a-number')
    const content = { key, value: Buffer.from(value.toString(), 'latin1'), contentType: record?.contentType ?? '' }
    this.keys.change(last, content, record?.lease ?? '')
    return { kind: 'added', revision: this.keys.revision, value }
  }

  refused(reason: RefusalReason): Refused {
    return { kind: 'refused', revision: this.keys.revision, reason }
  }

  keysIn(range: KeyRange, read: RangeRead | undefined): readonly KeyString[] {
    if (read !== undefined) return this.keys.keysOf(read)
    const key = singleKeyOf(range)
    assert(key !== undefined, 'a range of many keys was not fetched')
    return this.keys.current(key) === undefined ? [] : [key]
  }

  leaseOf(key: KeyString): LeaseId {
    return this.#leases.leaseOf(key)
  }

  /** The pointer of a key that is known to exist. */
  existing(key: KeyString): KeyPointer {
    const current = this.keys.current(key)
    assert(current !== undefined, 'a key to be deleted does not exist')
    return current
  }

  deleteKey(key: KeyString, current: KeyPointer): void {
    this.bury(key, current)
    this.#attach(key, '')
  }

  /** Deletes the key and leaves its lease as it is, which is about to end. */
  bury(key: KeyString, current: KeyPointer): void {
    this.keys.change(current, { key, value: undefined, contentType: '' }, '')
  }

  #failed(current: KeyPointer | undefined): PreconditionFailed {
    return { kind: 'precondition-failed', revision: this.keys.revision, currentRevision: current?.at.revision ?? 0 }
  }

  #attach(key: KeyString, lease: LeaseId): void {
    if (lease === '') {
      if (this.#leases.attachedCount > 0) this.#leases.attach(key, undefined)
      return
    }
    this.#leases.attach(key, this.#leases.get(lease))
  }

  #leaseRefusal({ key, lease, ttlMs }: PutCommand): RefusalReason | undefined {
    if (ttlMs !== undefined) return this.#leases.isFull ? 'too-many-leases' : undefined
    if (lease === undefined || lease === '') return undefined
    const found = this.#leases.get(lease)
    if (found === undefined) return 'lease-not-found'
    return this.#leases.hasRoom(found, key) ? undefined : 'lease-full'
  }

  /** The lease that was asked for, or a new one for this key alone. */
  #leaseFor({ lease, ttlMs }: PutCommand): LeaseId {
    if (ttlMs === undefined) return lease ?? ''
    const { index, clusterTimeMs } = this.#moment
    let id = privateLeaseId(index, this.#privateLeases++)
    while (this.#leases.get(id) !== undefined) id = privateLeaseId(index, this.#privateLeases++)
    this.#leases.create(id, { ttlMs, expiresAtMs: clusterTimeMs + ttlMs, isPrivate: true })
    return id
  }
}

/** A positive int64 that nobody chose: the same on all nodes, and hardly ever one that is taken. */
export function privateLeaseId(index: number, ordinal: number): LeaseId {
  const { hi, lo } = new Hasher64().number(index).number(ordinal).finish()
  return hashToHex({ hi: hi & 0x7fffffff, lo: lo | 1 })
}

function parseDecimal(value: Uint8Array): bigint | undefined {
  if (value.length > DECIMAL_BYTES_MAX) return undefined
  const text = Buffer.from(value).toString('latin1')
  if (!DECIMAL.test(text)) return undefined
  const number = BigInt(text)
  return isInt64(number) ? number : undefined
}

const isInt64 = (number: bigint): boolean => BigInt.asIntN(64, number) === number

export function holds(condition: Condition, current: KeyPointer | undefined): boolean {
  switch (condition.kind) {
    case 'none':
      return true
    case 'revision':
      return condition.revision === (current?.at.revision ?? 0)
    case 'exists':
      return current !== undefined
    case 'never':
      return false
    default:
      return unreachable(condition)
  }
}
