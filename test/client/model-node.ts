// The node in memory with what clients need besides: sessions, leases and transactions, the plain way. One command after the other.
import type {
  ClientCommand,
  CommandResult,
  Compare,
  LockCommand,
  Once,
  TxnCommand,
  TxnOperation,
  TxnOperationResult,
} from '../../src/api/commands.ts'
import { QuorateError } from '../../src/api/errors.ts'
import { isInRange } from '../../src/api/ranges.ts'
import type { LockPlace } from '../../src/node/facade.ts'
import { MemoryNode } from '../support/memory-node.ts'

type Outcome = CommandResult | QuorateError

interface RememberedSession {
  readonly results: Map<number, Outcome>
  acknowledgedBelow: number
}

export class ModelNode extends MemoryNode {
  readonly sessions = new Map<string, RememberedSession>()
  /** Commands that had an effect, or could have had: not those answered from memory. */
  readonly executed: ClientCommand[] = []
  /** The errors that the next commands are answered with after they were executed. */
  readonly lostAnswers: QuorateError[] = []
  #tokens = 0
  #waiting: { place: LockPlace; done: (outcome: Outcome) => void; key: string }[] = []

  override write(command: ClientCommand, _timeoutMs: number, done: (outcome: Outcome) => void): void {
    const once = 'once' in command ? command.once : undefined
    setImmediate(() => {
      const outcome = once?.kind === 'session' ? this.#once(command, once) : this.#run(command)
      done(this.lostAnswers.shift() ?? outcome)
    })
  }

  override acquire(command: LockCommand, _timeoutMs: number, done: (outcome: Outcome) => void): { abandon(): void } {
    const key = `${command.kind}/${command.name}`
    const { lease, owner, value, ttlMs, waitMs } = command
    const place: LockPlace = { token: ++this.#tokens, lease, owner, value }
    this.leaseInfos.push({ lease, ttlMs, remainingMs: ttlMs, keys: [] })
    const info = this.locks.get(key) ?? { holder: undefined, queue: [] }
    if (info.holder === undefined) {
      this.#hold(key, place, [])
      setImmediate(() => done(this.#locked(place, true)))
    } else if (waitMs === 0) {
      setImmediate(() => done({ kind: 'refused', revision: this.revision, reason: 'locked' }))
    } else {
      this.locks.set(key, { ...info, queue: [...info.queue, place] })
      this.#waiting.push({ place, done, key })
    }
    return { abandon: () => this.#leave(key, place.token) }
  }

  #once(command: ClientCommand, once: Once & { kind: 'session' }): Outcome {
    const { revision } = this
    const session = this.sessions.get(once.session)
    if (session === undefined) return { kind: 'refused', revision, reason: 'session-gone' }
    session.acknowledgedBelow = Math.max(session.acknowledgedBelow, once.acknowledgedBelow)
    for (const sequence of session.results.keys())
      if (sequence < session.acknowledgedBelow) session.results.delete(sequence)
    if (once.sequence < session.acknowledgedBelow) return { kind: 'refused', revision, reason: 'sequence-forgotten' }
    const first = session.results.get(once.sequence)
    if (first !== undefined && 'kind' in first) return { kind: 'replayed', revision, result: first }
    const outcome = this.#run(command)
    session.results.set(once.sequence, outcome)
    return outcome
  }

  #run(command: ClientCommand): Outcome {
    const { revision } = this
    switch (command.op) {
      case 'session-open':
        this.sessions.set(command.session, { results: new Map(), acknowledgedBelow: 0 })
        return { kind: 'session', revision, session: command.session, ttlMs: command.ttlMs }
      case 'session-close':
        this.sessions.delete(command.session)
        return { kind: 'session-closed', revision }
      case 'lease-grant': {
        const { lease, ttlMs } = command
        if (this.#lease(lease) !== undefined) return { kind: 'refused', revision, reason: 'lease-exists' }
        this.leaseInfos.push({ lease, ttlMs, remainingMs: ttlMs, keys: [] })
        return { kind: 'lease', revision, lease, ttlMs }
      }
      case 'lease-keep-alive': {
        const found = this.#lease(command.lease)
        if (found === undefined) return { kind: 'refused', revision, reason: 'lease-not-found' }
        return { kind: 'lease', revision, lease: found.lease, ttlMs: found.ttlMs }
      }
      case 'lease-revoke':
        return this.#revoke(command.lease)
      case 'unlock':
        return this.#leave(`${command.kind}/${command.name}`, command.token)
      case 'proclaim':
        return this.#proclaim(`election/${command.name}`, command.token, command.value)
      case 'txn':
        this.executed.push(command)
        return this.#txn(command)
      case 'put':
      case 'delete':
      case 'delete-range':
      case 'add':
      case 'compact':
        this.executed.push(command)
        return this.applyNow(command)
      case 'lock':
      case 'session-keep-alive':
    }
    return new QuorateError('INTERNAL', `no client of ours sends ${command.op} in a batch`)
  }

  /** What the node in memory makes of it, at once. */
  applyNow(command: ClientCommand): Outcome {
    let outcome: Outcome | undefined
    const immediate = globalThis.setImmediate
    globalThis.setImmediate = ((callback: () => void) => callback()) as unknown as typeof setImmediate
    try {
      super.write(command, 0, (answer) => (outcome = answer))
    } finally {
      globalThis.setImmediate = immediate
    }
    return outcome!
  }

  #lease(id: string) {
    return this.leaseInfos.find(({ lease }) => lease === id)
  }

  /** As an expiry does, too. */
  #revoke(id: string): CommandResult {
    const at = this.leaseInfos.findIndex(({ lease }) => lease === id)
    if (at === -1) return { kind: 'refused', revision: this.revision, reason: 'lease-not-found' }
    this.leaseInfos.splice(at, 1)
    const keys = [...this.entries.values()].filter(({ lease }) => lease === id).map(({ key }) => key)
    const condition = { kind: 'none' } as const
    for (const key of keys) this.applyNow({ op: 'delete', key, condition, wantsPrevious: false })
    return { kind: 'lease-revoked', revision: this.revision, count: keys.length }
  }

  expireLease(id: string): void {
    this.#revoke(id)
    for (const [key, { holder }] of this.locks) if (holder?.lease === id) this.#leave(key, holder.token)
  }

  #hold(key: string, holder: LockPlace | undefined, queue: readonly LockPlace[]): void {
    this.locks.set(key, { holder, queue })
    for (const { kind, name, onHolder } of this.observations)
      if (`${kind}/${name}` === key) onHolder(holder, this.revision)
  }

  #locked({ token, lease }: LockPlace, isHeld: boolean): CommandResult {
    return { kind: 'lock', revision: this.revision, token, lease, isHeld }
  }

  #leave(key: string, token: number): CommandResult {
    const { holder, queue } = this.locks.get(key) ?? { holder: undefined, queue: [] }
    const { revision } = this
    if (holder?.token === token) {
      const [next, ...rest] = queue
      this.#hold(key, next, rest)
      const waiting = this.#waiting.find(({ place }) => place === next)
      this.#waiting = this.#waiting.filter((other) => other !== waiting)
      if (next !== undefined) setImmediate(() => waiting?.done(this.#locked(next, true)))
      return { kind: 'unlocked', revision, wasHeld: true }
    }
    if (!queue.some((place) => place.token === token)) return { kind: 'refused', revision, reason: 'token-not-found' }
    this.locks.set(key, { holder, queue: queue.filter((place) => place.token !== token) })
    return { kind: 'unlocked', revision, wasHeld: false }
  }

  #proclaim(key: string, token: number, value: Uint8Array): CommandResult {
    const { holder, queue } = this.locks.get(key) ?? { holder: undefined, queue: [] }
    if (holder?.token !== token) return { kind: 'refused', revision: this.revision, reason: 'token-not-found' }
    this.#hold(key, { ...holder, value: Uint8Array.from(value) }, queue)
    return { kind: 'proclaimed', revision: this.revision }
  }

  #txn(command: TxnCommand): CommandResult & { kind: 'txn' } {
    const succeeded = command.compares.every((compare) => this.#holds(compare))
    const results = (succeeded ? command.success : command.failure).map((operation) => this.#operate(operation))
    return { kind: 'txn', revision: this.revision, succeeded, results }
  }

  #operate(operation: TxnOperation): TxnOperationResult {
    if (operation.op === 'txn') return this.#txn(operation)
    if (operation.op !== 'get') return this.applyNow(operation) as TxnOperationResult
    const all = [...this.entries.values()].filter(({ key }) => isInRange(operation.range, key))
    const entries = operation.countOnly ? [] : all.slice(0, operation.limit)
    const count = operation.countOnly ? all.length : entries.length
    return { kind: 'range', revision: this.revision, entries, count, isMore: count < all.length }
  }

  #holds(compare: Compare): boolean {
    const found = [...this.entries.values()].filter(({ key }) => isInRange(compare.range, key))
    const entries = found.length === 0 ? [undefined] : found
    return entries.every((entry) => {
      if (compare.target === 'value')
        return entry !== undefined && compared(compare.operator, Buffer.compare(entry.value, compare.operand))
      if (compare.target === 'lease') return (entry?.lease ?? '') === compare.operand
      return compared(compare.operator, (entry?.[compare.target] ?? 0) - compare.operand)
    })
  }
}

function compared(operator: Compare['operator'], difference: number): boolean {
  if (operator === '=') return difference === 0
  if (operator === '!=') return difference !== 0
  return operator === '<' ? difference < 0 : difference > 0
}
