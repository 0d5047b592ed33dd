// Waiting for locks and elections, and watching who holds them. The queue itself is replicated state; this file only waits on this
// node for a place in it to come first, and gives the place back when the caller's patience ends.
import type { CommandResult, LockCommand, LockKind } from '../api/commands.ts'
import { QuorateError } from '../api/errors.ts'
import { equalBytes, type KeyString } from '../lib/bytes.ts'
import type { LockChange, SideState } from '../kv/index.ts'
import type { LockPlace } from './facade.ts'
import { LIMITS } from './limits.ts'
import type { Clock, Timer } from './ports.ts'
import { shuttingDown } from './reads.ts'
import type { Writes } from './writes.ts'

export interface LockPort {
  readonly side: SideState
  readonly revision: number
  readonly writes: Pick<Writes, 'submit'>
}

type Outcome = CommandResult | QuorateError
type OnHolder = (holder: LockPlace | undefined, revision: number) => void

/** `asking`: the place is being asked for. `waiting`: others hold the lock. `leaving`: the place is being given back. */
interface Waiter {
  readonly command: LockCommand
  readonly timeoutMs: number
  readonly done: (outcome: Outcome) => void
  stage: 'asking' | 'waiting' | 'leaving' | 'done'
  token: number
  /** What to answer once the lock is held. */
  result: CommandResult | undefined
  /** The caller is gone: nobody is answered, and the place is given back as soon as it is known. */
  isAbandoned: boolean
  timer: Timer | undefined
}

interface Observer {
  readonly onHolder: OnHolder
  /** What it was told last; nothing yet while `isNew`. */
  last: LockPlace | undefined
  isNew: boolean
}

/** Everybody here whom one lock concerns. */
interface Audience {
  readonly kind: LockKind
  readonly name: KeyString
  readonly waiters: Set<Waiter>
  readonly observers: Set<Observer>
}

export class Locks {
  readonly #clock: Clock
  readonly #port: LockPort
  readonly #audiences = new Map<string, Audience>()
  readonly #all = new Set<Waiter>()
  #observerCount = 0
  #isClosed = false

  constructor(clock: Clock, port: LockPort) {
    this.#clock = clock
    this.#port = port
  }

  /** Callers that wait for a lock, or whose place is being given back. */
  get waitingCount(): number {
    return this.#all.size
  }

  acquire(command: LockCommand, timeoutMs: number, done: (outcome: Outcome) => void): { abandon(): void } {
    const refusal = this.#isClosed ? shuttingDown() : this.#isFull() ? overloaded() : undefined
    if (refusal !== undefined) {
      done(refusal)
      return { abandon: () => {} }
    }
    const waiter: Waiter = {
      command,
      timeoutMs,
      done,
      stage: 'asking',
      token: 0,
      result: undefined,
      isAbandoned: false,
      timer: undefined,
    }
    this.#all.add(waiter)
    const patientUntilMs = this.#clock.now() + command.waitMs
    this.#port.writes.submit(command, timeoutMs, (outcome) => this.#onPlace(waiter, outcome, patientUntilMs))
    return { abandon: () => this.#abandon(waiter) }
  }

  /** Throws OVERLOADED when there are too many. */
  observe(kind: LockKind, name: KeyString, onHolder: OnHolder): { cancel(): void } {
    if (this.#observerCount >= LIMITS.lockObserversMax) throw overloaded()
    this.#observerCount++
    const audience = this.#audience(kind, name)
    const observer: Observer = { onHolder, last: undefined, isNew: true }
    audience.observers.add(observer)
    this.#clock.soon(() => {
      if (audience.observers.has(observer) && observer.isNew) this.#tell(audience, observer)
    })
    return {
      cancel: () => {
        if (!audience.observers.delete(observer)) return
        this.#observerCount--
        this.#forget(audience)
      },
    }
  }

  /** An entry was applied that gave these locks another holder, or changed what it proclaims. */
  onApplied(changes: readonly LockChange[]): void {
    for (const { kind, name } of changes) {
      const audience = this.#audiences.get(idOf(kind, name))
      if (audience !== undefined) this.#look(audience)
    }
  }

  /** Another state is the current one: any lock may have changed. */
  onInstalled(): void {
    for (const audience of this.#audiences.values()) this.#look(audience)
  }

  /** Nobody waits any longer: places are given back while writes still go on. */
  close(): void {
    this.#isClosed = true
    for (const waiter of this.#all) if (waiter.stage === 'waiting') this.#leave(waiter, shuttingDown())
  }

  #isFull(): boolean {
    return this.#all.size >= LIMITS.waitingLocksMax
  }

  /** The command was applied here, or its outcome will not be known. */
  #onPlace(waiter: Waiter, outcome: Outcome, patientUntilMs: number): void {
    const place = outcome instanceof QuorateError ? undefined : placeOf(outcome)
    if (place === undefined) return this.#answer(waiter, outcome)
    waiter.token = place.token
    waiter.result = outcome as CommandResult
    if (waiter.isAbandoned) return this.#leave(waiter, shuttingDown())
    // Other commands of the same entry, or a repeat of an old one, may have moved the queue since.
    if (this.#isHolder(waiter)) return this.#answerHeld(waiter)
    // It was held when it was asked for just now. Of a repeat that is long ago: whoever was told then may have lost it.
    if (place.isHeld && waiter.result.kind === 'lock') return this.#answer(waiter, outcome)
    if (!this.#isQueued(waiter)) return this.#answer(waiter, lostPlace(outcome as CommandResult, this.#port.revision))
    if (this.#isClosed) return this.#leave(waiter, shuttingDown())
    waiter.stage = 'waiting'
    this.#audience(waiter.command.kind, waiter.command.name).waiters.add(waiter)
    const patienceMs = patientUntilMs - this.#clock.now()
    waiter.timer = this.#clock.after(patienceMs, () => this.#leave(waiter, undefined))
  }

  /**
   * Gives the place back, then answers: with the error, or that the lock was not to be had in time. A place that can be asked for
   * again is kept when its caller goes: another node may have told the repeat by now that it holds the lock.
   */
  #leave(waiter: Waiter, error: QuorateError | undefined): void {
    if (waiter.stage === 'leaving' || waiter.stage === 'done') return
    if (error !== undefined && waiter.command.once !== undefined)
      return this.#answer(waiter, new QuorateError(error.code, STILL_QUEUED, { outcome: 'unknown' }))
    waiter.stage = 'leaving'
    this.#unlist(waiter)
    this.#giveBack(waiter, error)
  }

  /**
   * Patience that ends takes only a place that still waits: once it has come first, a repeat of this request may have been told
   * that it holds the lock, on this node or on another. Apply decides which it was.
   */
  #giveBack(waiter: Waiter, error: QuorateError | undefined): void {
    const { kind, name, once } = waiter.command
    const limits = error === undefined ? { onlyWaiting: true } : {}
    const unlock = { op: 'unlock', kind, name, token: waiter.token, ...limits } as const
    this.#port.writes.submit(unlock, waiter.timeoutMs, (outcome) => {
      if (!(outcome instanceof QuorateError)) {
        if (outcome.kind === 'refused' && outcome.reason === 'held') {
          // Nobody else can ask for it, and its caller has gone while it was being given back.
          if (waiter.isAbandoned && once === undefined) return this.#giveBack(waiter, shuttingDown())
          return this.#answerHeld(waiter)
        }
        const { revision } = outcome
        return this.#answer(waiter, error ?? { kind: 'refused', revision, reason: 'locked' })
      }
      const isKept = outcome.outcome === 'not-applied'
      // It came first in that very moment, and nothing will take it away again.
      if (isKept && error === undefined && this.#isHolder(waiter)) return this.#answerHeld(waiter)
      this.#answer(waiter, new QuorateError((error ?? outcome).code, STILL_QUEUED, { outcome: 'unknown' }))
    })
  }

  #abandon(waiter: Waiter): void {
    waiter.isAbandoned = true
    if (waiter.stage === 'waiting') this.#leave(waiter, shuttingDown())
  }

  #look(audience: Audience): void {
    const holder = this.#port.side.lock(audience.kind, audience.name).holder
    for (const waiter of audience.waiters) if (waiter.token === holder?.token) this.#answerHeld(waiter)
    for (const observer of audience.observers) {
      if (observer.isNew || !isSame(observer.last, holder)) this.#tell(audience, observer)
    }
  }

  #tell({ kind, name }: Audience, observer: Observer): void {
    observer.isNew = false
    observer.last = this.#port.side.lock(kind, name).holder
    observer.onHolder(observer.last, this.#port.revision)
  }

  #isHolder({ command, token }: Waiter): boolean {
    return this.#port.side.lock(command.kind, command.name).holder?.token === token
  }

  #isQueued({ command, token }: Waiter): boolean {
    return this.#port.side.lock(command.kind, command.name).queue.some((place) => place.token === token)
  }

  #answerHeld(waiter: Waiter): void {
    this.#answer(waiter, withHeld(waiter.result!, this.#port.revision))
  }

  #answer(waiter: Waiter, outcome: Outcome): void {
    if (waiter.stage === 'done') return
    waiter.stage = 'done'
    this.#unlist(waiter)
    this.#all.delete(waiter)
    if (!waiter.isAbandoned) waiter.done(outcome)
  }

  #unlist(waiter: Waiter): void {
    waiter.timer?.cancel()
    waiter.timer = undefined
    const audience = this.#audiences.get(idOf(waiter.command.kind, waiter.command.name))
    if (audience?.waiters.delete(waiter) === true) this.#forget(audience)
  }

  #audience(kind: LockKind, name: KeyString): Audience {
    const id = idOf(kind, name)
    let audience = this.#audiences.get(id)
    if (audience === undefined) {
      audience = { kind, name, waiters: new Set(), observers: new Set() }
      this.#audiences.set(id, audience)
    }
    return audience
  }

  #forget({ kind, name, waiters, observers }: Audience): void {
    if (waiters.size + observers.size === 0) this.#audiences.delete(idOf(kind, name))
  }
}

const STILL_QUEUED =
  'It is not known whether the place in the queue was given back; it is at the latest when its lease expires.'

const idOf = (kind: LockKind, name: KeyString): string => `${kind}/${name}`

const overloaded = (): QuorateError =>
  new QuorateError('OVERLOADED', 'Too many callers wait for locks on this node; retry after a pause.')

type Place = Extract<CommandResult, { kind: 'lock' }>

/** The place in the queue that a command got, now or when it was first asked for. */
function placeOf(result: CommandResult): Place | undefined {
  if (result.kind === 'replayed') return placeOf(result.result)
  return result.kind === 'lock' ? result : undefined
}

function withHeld(result: CommandResult, revision: number): CommandResult {
  if (result.kind === 'replayed') return { ...result, revision, result: withHeld(result.result, revision) }
  return result.kind === 'lock' ? { ...result, revision, isHeld: true } : result
}

/** The place was given back, or has expired, since it was first asked for: to wait for it would be in vain. */
function lostPlace(result: CommandResult, revision: number): CommandResult {
  const refused: CommandResult = { kind: 'refused', revision, reason: 'locked' }
  return result.kind === 'replayed' ? { ...result, result: refused } : refused
}

function isSame(a: LockPlace | undefined, b: LockPlace | undefined): boolean {
  if (a === undefined || b === undefined) return a === b
  return a.token === b.token && equalBytes(a.value, b.value)
}
