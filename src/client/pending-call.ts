// One call that waits in a batch for its answer: its promise, its deadline, its caller's signal, and what has become of it so far.
import type { Outcome } from '../api/errors.ts'
import type { Failure } from './answers.ts'
import type { CallContext } from './call.ts'
import { ClientError, isRetryableHere } from './client-error.ts'
import type { OperationKind } from './retry-policy.ts'
import { decide } from './retry-policy.ts'

export interface PendingOptions {
  /** For messages: `put`. */
  readonly name: string
  readonly timeoutMs: number
  readonly signal?: AbortSignal | undefined
}

/** Who gathers calls: told once of each that has been settled, in whatever way. */
export interface Gatherer<T> {
  settled(pending: T): void
}

/** The request that a call is part of. */
export interface Carrier {
  settled(): void
}

const HINT_START = '; it may or may not'
const UNKNOWN_HINT = `${HINT_START} have been applied, now or later: read before you repeat it`

/** The request that carries it ends at the caller's deadline, and knows better why. Milliseconds. */
const GRACE_MS = 10

export abstract class PendingCall<T> {
  readonly name: string
  readonly promise: Promise<T>
  /** Of the caller. */
  readonly callerDeadlineMs: number
  isSettled = false
  place = -1
  carrier: Carrier | undefined
  readonly timeoutMs: number
  readonly #signal: AbortSignal | undefined
  #resolve!: (value: T) => void
  #reject!: (error: ClientError) => void
  #unlisten: (() => void) | undefined
  #attempts = 0
  #lastFailure: Failure | undefined

  constructor({ name, timeoutMs, signal }: PendingOptions, context: CallContext) {
    this.name = name
    this.timeoutMs = timeoutMs
    this.#signal = signal
    this.callerDeadlineMs = context.clock.now() + timeoutMs
    this.promise = new Promise((resolve, reject) => {
      this.#resolve = resolve
      this.#reject = reject
    })
  }

  /** The last thing that construction does: a signal that fired already settles it. */
  protected listen({ abortListeners }: CallContext): void {
    const signal = this.#signal
    if (signal === undefined) return
    if (signal.aborted) this.interrupt('ABORTED')
    else this.#unlisten = abortListeners.add(signal, () => this.interrupt('ABORTED'))
  }

  protected abstract readonly kind: OperationKind
  /** What can be said of its outcome now. */
  protected abstract get outcome(): Outcome
  /** It has been settled, and its caller will be told. */
  protected abstract leave(): void

  get deadlineMs(): number {
    return this.callerDeadlineMs + GRACE_MS
  }

  get attempts(): number {
    return this.#attempts
  }

  /** It is sent, again or for the first time. */
  attempted(): void {
    this.#attempts++
  }

  /** The node answered this one with an error. Gives the failure back if it is worth another attempt. */
  attemptFailed(failure: Failure): Failure | undefined {
    this.attemptEnded(failure)
    if (decide(this.kind, failure.kind, failure.outcome) !== 'fail') return failure
    this.#refuse(failure.code, `${this.name} failed: ${failure.message}`, failure)
    return undefined
  }

  /** The attempt came to nothing. */
  attemptEnded(failure: Failure): void {
    this.#lastFailure = failure
  }

  /** There will be no further attempt. */
  fail(error: ClientError): void {
    const { code, retryable, status, details, cause } = error
    // What the error says of the outcome is about all that went with this one.
    const [message = ''] = error.message.split(HINT_START)
    this.#attempts = Math.max(this.#attempts, error.attempts)
    this.#refuse(code, message, { retryable, status, details, cause })
  }

  /** Its time is over. */
  late(): void {
    const last = this.#lastFailure
    const why = last === undefined ? '' : `; before that: ${last.message}`
    const message = `${this.name} failed: no answer within ${this.timeoutMs} ms${why}`
    this.#refuse('TIMEOUT', message, { retryable: true, cause: last?.cause })
  }

  interrupt(code: 'ABORTED' | 'CLOSED'): void {
    const what = code === 'CLOSED' ? 'the client was closed' : 'the caller gave it up'
    const cause: unknown = code === 'ABORTED' ? this.#signal?.reason : undefined
    this.#refuse(code, `${this.name} ended early: ${what}`, { retryable: isRetryableHere(code), cause })
  }

  protected resolve(value: T): void {
    if (this.isSettled) return
    this.#settle()
    this.#resolve(value)
  }

  #refuse(
    code: ClientError['code'],
    message: string,
    facts: Pick<Failure, 'retryable' | 'status' | 'details' | 'cause'>,
  ): void {
    if (this.isSettled) return
    const { outcome } = this
    const text = outcome === 'unknown' ? `${message}${UNKNOWN_HINT}` : message
    const { retryable, status, details, cause } = facts
    this.#settle()
    this.#reject(new ClientError(code, text, { outcome, retryable, status, details, attempts: this.#attempts, cause }))
  }

  #settle(): void {
    this.isSettled = true
    this.#unlisten?.()
    this.leave()
    this.carrier?.settled()
  }
}

export const isWaiting = ({ isSettled }: { readonly isSettled: boolean }): boolean => !isSettled
