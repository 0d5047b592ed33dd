// A second state machine, written to be obvious and slow: it keeps the whole map as it was at every revision, copies everything
// before each command, and takes it back on a refusal. The production one must answer exactly the same.
import type {
  Command,
  CommandResult,
  Compare,
  KeyEntry,
  KeyRange,
  LockKind,
  Once,
  PutCommand,
  RefusalReason,
  TxnCommand,
  TxnGet,
  TxnOperation,
  TxnOperationResult,
} from '../../src/api/commands.ts'
import { isInRange } from '../../src/api/ranges.ts'
import { encodeResult } from '../../src/api/result-codec.ts'
import { unreachable } from '../../src/lib/assert.ts'
import { privateLeaseId } from '../../src/kv/key-commands.ts'
import { KV_LIMITS } from '../../src/kv/limits.ts'
import { asText, initialState, isMet, lockOf, Refusal, without } from './model-state.ts'
import type { Entries, ModelLease, ModelPlace, State } from './model-state.ts'

export class Model {
  /** By revision. */
  readonly #past: Entries[] = [new Map(), new Map()]
  state: State = initialState()
  #index = 0
  #nowMs = 0
  #privateLeases = 0
  #isInTxn = false
  #subs = 0
  readonly #decided = new Map<TxnCommand, boolean>()

  get revision(): number {
    return this.state.revision
  }

  get compactRevision(): number {
    return this.state.compactRevision
  }

  get live(): Entries {
    return this.state.live
  }

  at(revision: number): Entries {
    return this.#past[revision]!
  }

  entry(commands: readonly Command[], clusterTimeMs = 0): CommandResult[] {
    this.#index += 1
    this.#nowMs = Math.max(this.#nowMs, clusterTimeMs)
    this.#privateLeases = 0
    return commands.map((command) => this.execute(command))
  }

  execute(command: Command): CommandResult {
    return 'once' in command && command.once ? this.#once(command, command.once) : this.#run(command)
  }

  #run(command: Command, bytesMax = Infinity): CommandResult {
    const before = { ...this.state }
    try {
      const result = this.#perform(command)
      if (encodeResult(result).length > bytesMax) throw new Refusal('result-too-large')
      return result
    } catch (error) {
      if (!(error instanceof Refusal)) throw error
      this.state = before
      this.#isInTxn = false
      const revision = command.op === 'compact' ? this.compactRevision : this.revision
      return { kind: 'refused', revision, reason: error.reason }
    }
  }

  #once(command: Command, once: Once): CommandResult {
    const { revision } = this
    const refused = (reason: RefusalReason): CommandResult => ({ kind: 'refused', revision, reason })
    if (once.kind === 'key') {
      const known = this.state.idempotency.get(once.key)
      if (known !== undefined && known.expiresAtMs > this.#nowMs) {
        if (known.fingerprint !== once.fingerprint) return refused('idempotency-mismatch')
        return { kind: 'replayed', revision, result: known.result }
      }
      const result = this.#run(command, KV_LIMITS.resultBytesMax)
      const expiresAtMs = this.#nowMs + KV_LIMITS.idempotencyMs
      const { fingerprint } = once
      this.state.idempotency = new Map(this.state.idempotency).set(once.key, { fingerprint, expiresAtMs, result })
      return result
    }
    const session = this.state.sessions.get(once.session)
    if (session === undefined) return refused('session-gone')
    const acknowledgedBelow = Math.max(session.acknowledgedBelow, once.acknowledgedBelow)
    const results = new Map([...session.results].filter(([sequence]) => sequence >= acknowledgedBelow))
    const used = { ...session, expiresAtMs: this.#nowMs + session.ttlMs, acknowledgedBelow, results }
    this.state.sessions = new Map(this.state.sessions).set(once.session, used)
    if (once.sequence < acknowledgedBelow) return refused('sequence-forgotten')
    const known = results.get(once.sequence)
    if (known !== undefined) return { kind: 'replayed', revision, result: known }
    const result = this.#run(command, KV_LIMITS.resultBytesMax)
    results.set(once.sequence, result)
    return result
  }

  #perform(command: Command): CommandResult {
    if ('fence' in command && command.fence !== undefined) {
      if (this.#queue('lock', command.fence.lock)[0]?.token !== command.fence.token) throw new Refusal('fenced')
    }
    switch (command.op) {
      case 'put':
      case 'delete':
      case 'add': {
        const currentRevision = this.live.get(command.key)?.modRevision ?? 0
        if (!isMet(command.condition, currentRevision))
          return { kind: 'precondition-failed', revision: this.revision, currentRevision }
        return this.#operation(command) as CommandResult
      }
      case 'delete-range':
      case 'txn':
        return this.#inOneRevision(() => this.#operation(command)) as CommandResult
      case 'compact':
        if (command.revision > this.revision) throw new Refusal('future-revision')
        if (command.revision <= this.compactRevision) throw new Refusal('compacted')
        this.state.compactRevision = command.revision
        return { kind: 'compacted', revision: command.revision }
      case 'expire':
      case 'lease-grant':
      case 'lease-keep-alive':
      case 'lease-revoke':
      case 'lock':
      case 'proclaim':
      case 'session-close':
      case 'session-keep-alive':
      case 'session-open':
      case 'unlock':
      default:
        return this.#side(command)
    }
  }

  // ----------------------------------------------------------------------------------------------------------------- keys

  #inOneRevision<T>(perform: () => T): T {
    this.#isInTxn = true
    this.#subs = 0
    const result = perform()
    this.#isInTxn = false
    return result
  }

  #operation(operation: TxnOperation): TxnOperationResult {
    switch (operation.op) {
      case 'put':
        return this.#put(operation)
      case 'delete': {
        const previous = this.live.get(operation.key)
        if (previous) this.#change(operation.key, undefined)
        const count = previous ? 1 : 0
        return {
          kind: 'deleted',
          revision: this.revision,
          count,
          previous: operation.wantsPrevious ? previous : undefined,
        }
      }
      case 'delete-range': {
        const keys = this.#keysIn(operation.range)
        for (const key of keys) this.#change(key, undefined)
        return { kind: 'deleted', revision: this.revision, count: keys.length, previous: undefined }
      }
      case 'add': {
        const current = this.live.get(operation.key)
        const text = current === undefined ? '0' : Buffer.from(current.value).toString('latin1')
        if (!/^-?\d{1,19}$/.test(text) || BigInt(text).toString() !== text) throw new Refusal('not-a-number')
        const value = BigInt(text) + operation.by
        if (BigInt.asIntN(64, value) !== value || BigInt.asIntN(64, BigInt(text)) !== BigInt(text))
          throw new Refusal('not-a-number')
        const content = { contentType: current?.contentType ?? '', lease: current?.lease ?? '' }
        this.#change(operation.key, { value: Buffer.from(String(value)), ...content })
        return { kind: 'added', revision: this.revision, value }
      }
      case 'get':
        return this.#get(operation)
      case 'txn': {
        if (!this.#decided.has(operation)) this.#decide(operation)
        const succeeded = this.#decided.get(operation)!
        const results = (succeeded ? operation.success : operation.failure).map((inner) => this.#operation(inner))
        return { kind: 'txn', revision: this.revision, succeeded, results }
      }
      default:
        return unreachable(operation)
    }
  }

  /** All compares, those of nested transactions too, see the state before the outermost one. */
  #decide(txn: TxnCommand): void {
    const succeeded = txn.compares.every((compare) => this.#compare(compare))
    this.#decided.set(txn, succeeded)
    for (const inner of succeeded ? txn.success : txn.failure) if (inner.op === 'txn') this.#decide(inner)
  }

  #put(command: PutCommand): TxnOperationResult {
    const { key, value, contentType, ttlMs } = command
    let lease = command.lease ?? ''
    if (lease !== '' && !this.state.leases.has(lease)) throw new Refusal('lease-not-found')
    if (ttlMs !== undefined) {
      do lease = privateLeaseId(this.#index, this.#privateLeases++)
      while (this.state.leases.has(lease))
      const expiresAtMs = this.#nowMs + ttlMs
      this.state.leases = new Map(this.state.leases).set(lease, { ttlMs, expiresAtMs, isPrivate: true })
    }
    const previous = this.live.get(key)
    this.#change(key, { value, contentType, lease })
    const isCreated = previous === undefined
    return { kind: 'put', revision: this.revision, isCreated, previous: command.wantsPrevious ? previous : undefined }
  }

  #change(key: string, content: Pick<KeyEntry, 'value' | 'contentType' | 'lease'> | undefined): void {
    const sub = this.#isInTxn ? this.#subs++ : 0
    if (sub === 0) this.state.revision += 1
    const { revision } = this
    const current = this.live.get(key)
    const live = new Map(this.live)
    if (content === undefined) live.delete(key)
    else {
      const createRevision = current?.createRevision ?? revision
      live.set(key, { key, ...content, createRevision, modRevision: revision, version: (current?.version ?? 0) + 1 })
    }
    this.state.live = live
    this.#past[revision] = live
    this.state.changes = [...this.state.changes, { key, revision, sub, entry: live.get(key) }]
    const { lease } = current ?? { lease: '' }
    const isLeft = lease !== '' && [...live.values()].every((entry) => entry.lease !== lease)
    if (isLeft && this.state.leases.get(lease)?.isPrivate === true)
      this.state.leases = without(this.state.leases, lease)
  }

  #keysIn(range: KeyRange): string[] {
    return [...this.live.keys()].filter((key) => isInRange(range, key)).sort()
  }

  #get({ range, reverse, limit, keysOnly, countOnly }: TxnGet): TxnOperationResult {
    const keys = this.#keysIn(range)
    const { revision } = this
    if (countOnly) return { kind: 'range', revision, entries: [], count: keys.length, isMore: false }
    if (reverse) keys.reverse()
    const entries = keys.slice(0, limit).map((key) => this.live.get(key)!)
    const shown = keysOnly ? entries.map((entry) => ({ ...entry, value: new Uint8Array(0) })) : entries
    return { kind: 'range', revision, entries: shown, count: shown.length, isMore: keys.length > shown.length }
  }

  #compare(compare: Compare): boolean {
    const keys = this.#keysIn(compare.range)
    const found: (KeyEntry | undefined)[] = keys.length === 0 ? [undefined] : keys.map((key) => this.live.get(key))
    return found.every((entry) => {
      const missing = { version: 0, createRevision: 0, modRevision: 0, lease: '', value: undefined }
      const actual = (entry ?? missing)[compare.target]
      if (actual === undefined) return false
      const [a, b] = [asText(actual), asText(compare.operand)]
      switch (compare.operator) {
        case '=':
          return a === b
        case '!=':
          return a !== b
        case '<':
          return a < b
        case '>':
          return a > b
        default:
          return unreachable(compare.operator)
      }
    })
  }

  // ----------------------------------------------------------------------------------------------------------------- side

  #side(
    command: Exclude<Command, { op: 'put' | 'delete' | 'delete-range' | 'add' | 'txn' | 'compact' }>,
  ): CommandResult {
    const { revision, state } = this
    switch (command.op) {
      case 'lease-grant': {
        const { lease, ttlMs } = command
        this.#grant(lease, ttlMs, ttlMs)
        return { kind: 'lease', revision, lease, ttlMs }
      }
      case 'lease-keep-alive': {
        const lease = this.#lease(command.lease)
        this.#setExpiry(command.lease, Math.max(lease.expiresAtMs, this.#nowMs + lease.ttlMs))
        return { kind: 'lease', revision, lease: command.lease, ttlMs: lease.ttlMs }
      }
      case 'lease-revoke': {
        this.#lease(command.lease)
        const count = this.#end(command.lease)
        return { kind: 'lease-revoked', revision: this.revision, count }
      }
      case 'session-open':
      case 'session-keep-alive': {
        const { session } = command
        const known = state.sessions.get(session)
        if (known === undefined && command.op === 'session-keep-alive') throw new Refusal('session-gone')
        const ttlMs = command.op === 'session-open' ? command.ttlMs : known!.ttlMs
        const fields = { acknowledgedBelow: 0, results: new Map(), ...known, ttlMs, expiresAtMs: this.#nowMs + ttlMs }
        state.sessions = new Map(state.sessions).set(session, fields)
        return { kind: 'session', revision, session, ttlMs }
      }
      case 'session-close':
        if (!state.sessions.has(command.session)) throw new Refusal('session-gone')
        state.sessions = without(state.sessions, command.session)
        return { kind: 'session-closed', revision }
      case 'expire':
        return this.#expire(command.leases, command.sessions)
      case 'lock':
      case 'proclaim':
      case 'unlock':
      default:
        return this.#lockCommand(command)
    }
  }

  #lockCommand(command: Extract<Command, { op: 'lock' | 'unlock' | 'proclaim' }>): CommandResult {
    const { revision, state } = this
    const queue = this.#queue(command.op === 'proclaim' ? 'election' : command.kind, command.name)
    if (command.op === 'lock') {
      const { lease, owner, value, ttlMs, waitMs } = command
      if (state.leases.has(lease)) throw new Refusal('lease-exists')
      const isHeld = queue.length === 0
      if (!isHeld && waitMs === 0) throw new Refusal('locked')
      this.#grant(lease, ttlMs, isHeld ? ttlMs : waitMs + ttlMs)
      const token = ++state.lastToken
      state.places = [...state.places, { token, lock: lockOf(command.kind, command.name), lease, owner, value }]
      return { kind: 'lock', revision, token, lease, isHeld }
    }
    const place = queue.find(({ token }) => token === command.token)
    if (place === undefined) throw new Refusal('token-not-found')
    if (command.op === 'unlock') {
      if (command.onlyWaiting === true && place === queue[0]) throw new Refusal('held')
      this.#end(place.lease)
      return { kind: 'unlocked', revision: this.revision, wasHeld: place === queue[0] }
    }
    if (place !== queue[0]) throw new Refusal('fenced')
    state.places = state.places.map((other) =>
      other === place ? Object.assign({}, place, { value: command.value }) : other,
    )
    return { kind: 'proclaimed', revision }
  }

  #expire(leases: readonly string[], sessions: readonly string[]): CommandResult {
    let count = 0
    for (const id of leases) {
      const lease = this.state.leases.get(id)
      if (lease === undefined || lease.expiresAtMs > this.#nowMs) continue
      this.#end(id)
      count++
    }
    for (const id of sessions) {
      const session = this.state.sessions.get(id)
      if (session === undefined || session.expiresAtMs > this.#nowMs) continue
      this.state.sessions = without(this.state.sessions, id)
      count++
    }
    return { kind: 'expired', revision: this.revision, count }
  }

  #queue(kind: LockKind, name: string): ModelPlace[] {
    return this.state.places.filter(({ lock }) => lock === lockOf(kind, name))
  }

  #lease(id: string): ModelLease {
    const lease = this.state.leases.get(id)
    if (lease === undefined) throw new Refusal('lease-not-found')
    return lease
  }

  #grant(id: string, ttlMs: number, livesMs: number): void {
    if (this.state.leases.has(id)) throw new Refusal('lease-exists')
    const lease = { ttlMs, expiresAtMs: this.#nowMs + livesMs, isPrivate: false }
    this.state.leases = new Map(this.state.leases).set(id, lease)
  }

  #setExpiry(id: string, expiresAtMs: number): void {
    this.state.leases = new Map(this.state.leases).set(id, { ...this.#lease(id), expiresAtMs })
  }

  #end(id: string): number {
    const keys = [...this.live.values()].filter(({ lease }) => lease === id).map(({ key }) => key)
    this.#inOneRevision(() => keys.sort().forEach((key) => this.#change(key, undefined)))
    this.state.leases = without(this.state.leases, id)
    const place = this.state.places.find(({ lease }) => lease === id)
    if (!place) return keys.length
    const wasFirst = this.state.places.find(({ lock }) => lock === place.lock) === place
    this.state.places = this.state.places.filter((other) => other !== place)
    const next = this.state.places.find(({ lock }) => lock === place.lock)
    if (wasFirst && next) this.#setExpiry(next.lease, this.#nowMs + this.#lease(next.lease).ttlMs)
    return keys.length
  }
}
