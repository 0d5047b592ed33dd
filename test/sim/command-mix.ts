// What clients ask for beside puts, deletes and reads of one key: transactions, ranges, counters, leases, locks, fenced writes,
// compaction. Where it costs nothing a command carries a word that no other has, so that it can be told from all others in the log.
import type {
  ClientCommand,
  CommandResult,
  Compare,
  LockKind,
  PutCommand,
  TxnOperation,
} from '../../src/api/commands.ts'
import { NO_CONDITION } from '../../src/api/commands.ts'
import type { KeyRange } from '../../src/api/commands.ts'
import type { Prng } from '../../src/lib/prng.ts'

export interface MixedCommand {
  readonly command: ClientCommand
  /** Nobody asks for the same in the same words, but as a repeat. */
  readonly isUnique: boolean
  /** A lock is waited for on the node. */
  readonly isAcquired: boolean
}

interface Place {
  readonly kind: LockKind
  readonly name: string
  readonly token: number
}

export const LOCKS = ['la', 'lb'] as const
const KEYS_BESIDE = 6
/** Milliseconds. */
export const TTL_MS_MAX = 6_000
export const WAIT_MS_MAX = 2_000
const KNOWN_MAX = 8

export class CommandMix {
  readonly #prng: Prng
  readonly #keys: number
  readonly #value: () => Uint8Array
  readonly #revision: () => number
  #nonces = 0
  readonly #leases: string[] = []
  readonly #places: Place[] = []

  constructor(prng: Prng, parts: { keys: number; value: () => Uint8Array; revision: () => number }) {
    this.#prng = prng
    this.#keys = parts.keys
    this.#value = parts.value
    this.#revision = parts.revision
  }

  /** Some are all that the client library is asked for here. */
  simple(): MixedCommand {
    return this.#prng.chance(1, 2) ? this.#add() : this.#deleteRange()
  }

  next(): MixedCommand {
    const at = this.#prng.below(100)
    if (at < 34) return { command: this.#txn(0, this.#pool()), isUnique: true, isAcquired: false }
    if (at < 41) return this.#deleteRange()
    if (at < 50) return this.#add()
    if (at < 62) return this.#mortal()
    if (at < 68) return { command: { op: 'lease-grant', ...this.#newLease() }, isUnique: true, isAcquired: false }
    if (at < 76) return this.#ofLease()
    if (at < 86) return this.#lock()
    if (at < 92) return this.#unlock()
    if (at < 98) return this.#fenced()
    return { command: { op: 'compact', revision: this.#someRevision() }, isUnique: false, isAcquired: false }
  }

  /** What an answer tells is used later. */
  learn(command: ClientCommand, result: CommandResult): void {
    if (command.op === 'lock' && result.kind === 'lock')
      remember(this.#places, { kind: command.kind, name: command.name, token: result.token })
    if (command.op === 'lease-grant' && result.kind === 'lease') remember(this.#leases, result.lease)
  }

  #key(): string {
    return this.#prng.chance(1, 2) ? `k${this.#prng.below(this.#keys)}` : `x${this.#prng.below(KEYS_BESIDE)}`
  }

  #put(key: string, more: Partial<PutCommand> = {}): PutCommand {
    const wantsPrevious = this.#prng.chance(1, 4)
    const value = this.#value()
    return { op: 'put', key, value, contentType: '', condition: NO_CONDITION, wantsPrevious, ...more }
  }

  /** Dies with a lease: its own, or one that was granted. */
  #mortal(): MixedCommand {
    const lease = this.#prng.chance(1, 2) ? this.#knownLease() : undefined
    const more = lease === undefined ? { ttlMs: this.#ttlMs() } : { lease }
    return { command: this.#put(this.#key(), more), isUnique: true, isAcquired: false }
  }

  #fenced(): MixedCommand {
    const place = this.#place()
    if (place === undefined) return this.#lock()
    const fence = { lock: place.name, token: place.token }
    return { command: this.#put(this.#key(), { fence }), isUnique: true, isAcquired: false }
  }

  #add(): MixedCommand {
    const by = BigInt(++this.#nonces) * (this.#prng.chance(1, 3) ? -1n : 1n)
    const key = this.#prng.chance(1, 8) ? this.#key() : `n${this.#prng.below(2)}`
    return { command: { op: 'add', key, by, condition: NO_CONDITION }, isUnique: true, isAcquired: false }
  }

  #deleteRange(): MixedCommand {
    const letter = this.#prng.chance(1, 4) ? 'k' : this.#prng.pick(['n', 'x', 'x'])
    const range = { from: letter, to: `${letter}~${++this.#nonces}` }
    return { command: { op: 'delete-range', range }, isUnique: true, isAcquired: false }
  }

  #ofLease(): MixedCommand {
    const lease = this.#knownLease()
    if (lease === undefined) return this.#mortal()
    const op = this.#prng.chance(1, 3) ? 'lease-revoke' : 'lease-keep-alive'
    return { command: { op, lease }, isUnique: false, isAcquired: false }
  }

  #lock(): MixedCommand {
    const kind = this.#prng.chance(3, 4) ? 'lock' : 'election'
    const value = kind === 'lock' ? new Uint8Array(0) : Buffer.from(`leader ${++this.#nonces}`)
    const waitMs = this.#prng.chance(1, 3) ? 0 : this.#prng.between(1, WAIT_MS_MAX)
    const name = this.#prng.pick(LOCKS)
    const command = { op: 'lock' as const, kind, name, ...this.#newLease(), waitMs, owner: 'sim', value } as const
    return { command, isUnique: true, isAcquired: this.#prng.chance(1, 2) }
  }

  #unlock(): MixedCommand {
    const place = this.#place()
    if (place === undefined) return this.#lock()
    const { kind, name, token } = place
    if (kind === 'election' && this.#prng.chance(1, 2)) {
      const value = Buffer.from(`leader ${++this.#nonces}`)
      return { command: { op: 'proclaim', name, token, value }, isUnique: true, isAcquired: false }
    }
    return { command: { op: 'unlock', kind, name, token }, isUnique: false, isAcquired: false }
  }

  // --------------------------------------------------------------------------------------------------- transactions

  /** Each key at most once in a transaction, in a random order. */
  #pool(): string[] {
    const keys = Array.from({ length: this.#keys }, (_, at) => `k${at}`)
    for (let at = 0; at < KEYS_BESIDE; at++) keys.push(`x${at}`)
    keys.push('n0', 'n1')
    for (let at = keys.length - 1; at > 0; at--) {
      const other = this.#prng.below(at + 1)
      ;[keys[at], keys[other]] = [keys[other]!, keys[at]!]
    }
    return keys
  }

  #txn(depth: number, pool: string[]): Extract<ClientCommand, { op: 'txn' }> {
    const compares = Array.from({ length: this.#prng.below(3) }, () => this.#compare())
    const success = Array.from({ length: this.#prng.between(0, 3) }, () => this.#operation(depth, pool))
    const failure = Array.from({ length: this.#prng.between(0, 2) }, () => this.#operation(depth, pool))
    // The word of its own: a read of a key that is never there.
    const mark = `mark ${++this.#nonces}`
    success.push({ ...GET, range: { from: mark, to: `${mark}\0` } })
    const place = depth === 0 && this.#prng.chance(1, 10) ? this.#place() : undefined
    const fence = place === undefined ? {} : { fence: { lock: place.name, token: place.token } }
    return { op: 'txn', compares, success, failure, ...fence }
  }

  #operation(depth: number, pool: string[]): TxnOperation {
    const prng = this.#prng
    const key = pool.pop()
    if (key === undefined || prng.chance(1, 5)) return this.#get()
    if (key.startsWith('n')) return { op: 'add', key, by: BigInt(prng.between(1, 9)), condition: NO_CONDITION }
    if (depth < 2 && prng.chance(1, 6)) return this.#txn(depth + 1, pool)
    if (prng.chance(1, 3)) return { op: 'delete', key, condition: NO_CONDITION, wantsPrevious: prng.chance(1, 3) }
    return this.#put(key, prng.chance(1, 6) ? { ttlMs: this.#ttlMs() } : {})
  }

  #get(): TxnOperation {
    const prng = this.#prng
    const range = this.#range()
    const limit = prng.pick([1, 3, 1_000])
    return {
      ...GET,
      range,
      limit,
      reverse: prng.chance(1, 2),
      keysOnly: prng.chance(1, 4),
      countOnly: prng.chance(1, 8),
    }
  }

  #range(): KeyRange {
    const key = this.#key()
    if (this.#prng.chance(1, 2)) return { from: key, to: `${key}\0` }
    return this.#prng.chance(1, 3) ? { from: key, to: undefined } : { from: key.slice(0, 1), to: `${key.slice(0, 1)}~` }
  }

  #compare(): Compare {
    const range = this.#prng.chance(1, 6) ? this.#range() : oneKey(this.#key())
    const operator = this.#prng.pick(['=', '!=', '<', '>'] as const)
    const target = this.#prng.pick(['version', 'createRevision', 'modRevision', 'value', 'lease'] as const)
    if (target === 'value') return { range, operator, target, operand: Buffer.from('v5') }
    if (target === 'lease')
      return { range, operator, target, operand: this.#prng.chance(1, 2) ? '' : '8'.padStart(16, '0') }
    return { range, operator, target, operand: target === 'version' ? this.#prng.below(3) : this.#someRevision() }
  }

  // ------------------------------------------------------------------------------------------------------- words

  #ttlMs(): number {
    return this.#prng.between(300, TTL_MS_MAX)
  }

  #newLease(): { lease: string; ttlMs: number } {
    return { lease: (++this.#nonces + 0x10_0000).toString(16).padStart(16, '0'), ttlMs: this.#ttlMs() }
  }

  #knownLease(): string | undefined {
    return this.#leases[this.#prng.below(Math.max(1, this.#leases.length))]
  }

  #place(): Place | undefined {
    return this.#places[this.#prng.below(Math.max(1, this.#places.length))]
  }

  #someRevision(): number {
    return Math.max(0, this.#revision() - this.#prng.below(40))
  }
}

const GET = { op: 'get', limit: 1, reverse: false, keysOnly: false, countOnly: false } as const

const oneKey = (key: string): KeyRange => ({ from: key, to: `${key}\0` })

function remember<T>(list: T[], item: T): void {
  list.push(item)
  if (list.length > KNOWN_MAX) list.shift()
}
