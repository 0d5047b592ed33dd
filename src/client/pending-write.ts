// One write that waits for its answer: its deadline, its number in a session, and what may have become of it so far.
import type { ClientCommand, CommandResult, Once } from '../api/commands.ts'
import type { Outcome } from '../api/errors.ts'
import { deferred } from '../lib/deferred.ts'
import type { Failure } from './answers.ts'
import type { CallContext } from './call.ts'
import { ClientError, isRetryableHere } from './client-error.ts'
import type { WriteOptions } from './core.ts'
import { decide } from './retry-policy.ts'
import type { Session } from './session.ts'

export interface Written {
  readonly result: CommandResult
  readonly attempts: number
}

export interface PendingOptions extends WriteOptions {
  readonly bytes: number
  readonly timeoutMs: number
}

const HINT_START = '; it may or may not'
const UNKNOWN_HINT = `${HINT_START} have been applied, now or later: read before you repeat it`

/** The request that carries it ends at the same deadline, and knows better why. Milliseconds. */
const GRACE_MS = 10

export class PendingWrite {
  readonly name: string
  readonly bytes: number
  readonly deadlineMs: number
  readonly #command: ClientCommand
  readonly #timeoutMs: number
  readonly #signal: AbortSignal | undefined
  readonly #result = deferred<Written>()
  readonly #cleanUp: (() => void)[] = []
  onSettled: () => void = () => {}
  onAnswered: () => void = () => {}
  isSettled = false
  #session: Session | undefined
  #sequence = 0
  #attempts = 0
  /** An attempt is under way: whatever the caller is told now, it may still be applied. */
  #isAtRisk = false
  /** An earlier attempt may have been applied. */
  #isUnknown = false
  #lastFailure: Failure | undefined

  constructor(command: ClientCommand, options: PendingOptions, context: CallContext) {
    const { name, bytes, timeoutMs, signal } = options
    this.#command = command
    this.name = name
    this.bytes = bytes
    this.#timeoutMs = timeoutMs
    this.#signal = signal
    this.deadlineMs = context.clock.now() + timeoutMs
    if (signal?.aborted === true) {
      this.#interrupted('ABORTED')
      return
    }
    const timer = context.clock.after(timeoutMs + GRACE_MS, () => this.#late())
    this.#cleanUp.push(() => timer.cancel())
    if (signal !== undefined) this.#cleanUp.push(context.abortListeners.add(signal, () => this.#interrupted('ABORTED')))
  }

  get promise(): Promise<Written> {
    return this.#result.promise
  }

  /** Gives it the session's next number. It keeps both for good. */
  number(session: Session): void {
    this.#session = session
    this.#sequence = session.take()
  }

  /** The command as the next attempt sends it. */
  numbered(session: Session): ClientCommand {
    this.#attempts++
    this.#isAtRisk = true
    const { id, acknowledgedBelow } = session
    const once: Once = { kind: 'session', session: id, sequence: this.#sequence, acknowledgedBelow }
    return { ...this.#command, once } as ClientCommand
  }

  // ------------------------------------------------------------------------------------------------------------ attempts

  succeed(result: CommandResult): void {
    this.#settle(() => this.#result.resolve({ result, attempts: this.#attempts }))
  }

  /** The node answered this one with an error. Gives the failure back if it is worth another attempt. */
  attemptFailed(failure: Failure): Failure | undefined {
    this.attemptEnded(failure)
    if (decide('repeatable', failure.kind, failure.outcome) !== 'fail') return failure
    this.#reject(failure.code, `${this.name} failed: ${failure.message}`, failure)
    return undefined
  }

  /** The attempt came to nothing. Told once for each attempt: what the answer said of this write counts before what the call says. */
  attemptEnded(failure: Failure): void {
    if (!this.#isAtRisk) return
    this.#isAtRisk = false
    this.#lastFailure = failure
    if (failure.outcome === 'unknown') this.#isUnknown = true
  }

  /** There will be no further attempt. */
  fail(error: ClientError): void {
    const { code, retryable, status, details, cause } = error
    // What the error says of the outcome is about all that went with this one.
    const [message = ''] = error.message.split(HINT_START)
    this.#attempts = Math.max(this.#attempts, error.attempts)
    this.#reject(code, this.#session === undefined ? `${this.name} failed: ${message}` : message, {
      retryable,
      status,
      details,
      cause,
    })
  }

  close(): void {
    this.#interrupted('CLOSED')
  }

  #late(): void {
    const last = this.#lastFailure
    const why = last === undefined ? '' : `; before that: ${last.message}`
    const message = `${this.name} failed: no answer within ${this.#timeoutMs} ms${why}`
    this.#reject('TIMEOUT', message, { retryable: true, cause: last?.cause })
  }

  #interrupted(code: 'ABORTED' | 'CLOSED'): void {
    const what = code === 'CLOSED' ? 'the client was closed' : 'the caller gave it up'
    const cause: unknown = code === 'ABORTED' ? this.#signal?.reason : undefined
    this.#reject(code, `${this.name} ended early: ${what}`, { retryable: isRetryableHere(code), cause })
  }

  #reject(
    code: ClientError['code'],
    message: string,
    facts: Pick<Failure, 'retryable' | 'status' | 'details' | 'cause'>,
  ): void {
    const outcome: Outcome = this.#isUnknown || this.#isAtRisk ? 'unknown' : 'not-applied'
    const text = outcome === 'unknown' ? `${message}${UNKNOWN_HINT}` : message
    const { retryable, status, details, cause } = facts
    const error = new ClientError(code, text, { outcome, retryable, status, details, attempts: this.#attempts, cause })
    this.#settle(() => this.#result.reject(error))
  }

  #settle(tell: () => void): void {
    if (this.isSettled) return
    this.isSettled = true
    for (const cleanUp of this.#cleanUp) cleanUp()
    // From now on the session need not remember it. A copy that is still on its way is then refused, and never applied.
    this.#session?.resolve(this.#sequence)
    tell()
    this.onSettled()
    this.onAnswered()
  }
}
