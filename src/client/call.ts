// One call: attempts, pauses between them, and the one deadline over all of it. What to do after a failure is the policy's.
// The outcome of a call is the worst over its attempts (design, section 8).
import type { Outcome } from '../api/errors.ts'
import { WIRE_LIMITS } from '../api/limits.ts'
import type { Prng } from '../lib/prng.ts'
import type { Placed } from '../lib/transient.ts'
import type { AbortListeners } from './abort-listeners.ts'
import { FailedAnswer, sighting, storeRevision } from './answers.ts'
import type { Failure } from './answers.ts'
import { ClientError, isRetryableHere } from './client-error.ts'
import type { Endpoint, Endpoints } from './endpoints.ts'
import type { Operation } from './operations.ts'
import { decide, isEndpointDown, pauseMs } from './retry-policy.ts'
import { Cancellation, TransportError } from './transport.ts'
import type { ClientClock, Transport, TransportResponse } from './transport.ts'

/** What all calls of one client share. */
export interface CallContext {
  readonly transport: Transport
  readonly clock: ClientClock
  readonly prng: Prng
  readonly endpoints: Endpoints
  readonly readFrom: 'leader' | 'any'
  readonly abortListeners: AbortListeners
  /** An answer named this revision. */
  readonly onRevision: (revision: number) => void
  /** The highest that any answer named. */
  readonly lastRevision: () => number
}

export interface CallSettings {
  readonly timeoutMs: number
  readonly signal: AbortSignal | undefined
  /** Ask this one, once, and nobody else. */
  readonly only?: Endpoint | undefined
}

const ATTEMPT = {
  /**
   * What may be repeated gives one silent node a third of the time, within these bounds. A write that may not gets all that is
   * left: after it was sent there is nothing better to do than to wait for its answer. Milliseconds.
   */
  readMsMin: 500,
  readMsMax: 5_000,
  /** A node is given a little less time than the attempt, so that its own, more exact answer still arrives. */
  marginMsMax: 250,
} as const

interface FailedAttempt {
  readonly endpoint: Endpoint
  readonly failure: Failure
  /** Its time was over before anything was sent, so that it tells less than the failure before it. */
  readonly isCutShort: boolean
}

/** Why a call ends before its answer came. */
type Interruption = 'aborted' | 'closed'

export class Call<T> implements Placed {
  place = -1
  readonly #context: CallContext
  readonly #operation: Operation<T>
  readonly #settings: CallSettings
  readonly #startedMs: number
  readonly #deadlineMs: number
  readonly #tried = new Set<Endpoint>()
  #attempts = 0
  #pauses = 0
  #worst: Outcome = 'not-applied'
  #interruption: Interruption | undefined
  /** Ends the attempt or the pause that is under way. */
  #interrupt: (() => void) | undefined

  constructor(context: CallContext, operation: Operation<T>, settings: CallSettings) {
    this.#context = context
    this.#operation = operation
    this.#settings = settings
    this.#startedMs = context.clock.now()
    this.#deadlineMs = this.#startedMs + settings.timeoutMs
  }

  async run(): Promise<T> {
    const { signal } = this.#settings
    if (signal === undefined) return this.#attemptUntilDone()
    if (signal.aborted) this.#interruption = 'aborted'
    const unlisten = this.#context.abortListeners.add(signal, () => this.#end('aborted'))
    try {
      return await this.#attemptUntilDone()
    } finally {
      unlisten()
    }
  }

  /** The client is closing. */
  close(): void {
    this.#end('closed')
  }

  #end(why: Interruption): void {
    this.#interruption ??= why
    this.#interrupt?.()
  }

  async #attemptUntilDone(): Promise<T> {
    const { endpoints, clock } = this.#context
    let told: FailedAttempt | undefined
    for (;;) {
      if (this.#interruption !== undefined) throw this.#interrupted(told?.failure)
      const wantsLeader = this.#operation.kind !== 'read' || this.#context.readFrom === 'leader'
      const endpoint = this.#settings.only ?? endpoints.choose({ wantsLeader, tried: this.#tried, nowMs: clock.now() })
      const result = await this.#attempt(endpoint)
      if ('value' in result) return result.value

      const { failure } = result
      if (told === undefined || !result.isCutShort) told = result
      this.#worst = this.#operation.kind !== 'read' && failure.outcome === 'unknown' ? 'unknown' : this.#worst
      if (this.#interruption !== undefined) throw this.#interrupted(failure)
      if (!(await this.#shouldGoOn(endpoint, failure))) throw this.#failed(told)
    }
  }

  /** Decides what follows a failure, and pauses if that is what it takes. False: tell the caller. */
  async #shouldGoOn(endpoint: Endpoint, failure: Failure): Promise<boolean> {
    const { endpoints, clock, prng } = this.#context
    if (this.#settings.only !== undefined) return false
    const decision = decide(this.#operation.kind, failure.kind, failure.outcome)
    if (decision === 'fail') return false

    this.#tried.add(endpoint)
    const nowMs = clock.now()
    if (decision === 'elsewhere' && endpoints.hasUntried(this.#tried, nowMs)) return nowMs < this.#deadlineMs

    // After a pause everybody may be asked again.
    this.#tried.clear()
    const pause = pauseMs(this.#pauses++, failure.retryAfterMs ?? 0, prng)
    if (nowMs + pause >= this.#deadlineMs) return false
    await this.#pause(pause)
    return true
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = this.#context.clock.after(ms, resolve)
      this.#interrupt = () => {
        timer.cancel()
        resolve()
      }
    })
  }

  async #attempt(endpoint: Endpoint): Promise<{ value: T } | FailedAttempt> {
    const { transport, clock, endpoints } = this.#context
    const { method, headers } = this.#operation
    const budgetMs = this.#attemptBudgetMs()
    const cancellation = new Cancellation()
    let isLate = false
    const timer = clock.after(budgetMs, () => {
      isLate = true
      cancellation.cancel()
    })
    this.#interrupt = () => cancellation.cancel()
    this.#attempts++
    try {
      const path = this.#target(budgetMs)
      const body = this.#operation.body?.()
      const response = await transport.send({ endpoint: endpoint.url, method, path, headers, body, cancellation })
      // Whoever is told by the answer may close the call: there is nothing left to break off.
      this.#interrupt = undefined
      learn(this.#context, endpoint, response)
      const value = this.#operation.parse(response)
      endpoints.up(endpoint)
      return { value }
    } catch (error) {
      const failure = failureOf(error, isLate ? budgetMs : undefined)
      // Being interrupted says nothing about the endpoint.
      if (this.#interruption === undefined) this.#judge(endpoint, failure)
      this.#operation.onFailure?.(failure)
      return { endpoint, failure, isCutShort: isLate && failure.kind === 'not-sent' }
    } finally {
      timer.cancel()
    }
  }

  #attemptBudgetMs(): number {
    const leftMs = Math.max(1, this.#deadlineMs - this.#context.clock.now())
    const isOnlyChance = this.#settings.only !== undefined || this.#context.endpoints.all.length === 1
    const { kind } = this.#operation
    if (kind === 'write' || kind === 'admin' || isOnlyChance) return leftMs
    const third = this.#settings.timeoutMs / 3
    return Math.min(leftMs, Math.max(ATTEMPT.readMsMin, Math.min(ATTEMPT.readMsMax, third)))
  }

  #target(budgetMs: number): string {
    const { path, query, takesTimeout } = this.#operation
    if (!takesTimeout) return query.length === 0 ? path : `${path}?${query.join('&')}`
    const marginMs = Math.min(ATTEMPT.marginMsMax, budgetMs / 10)
    const timeoutMs = Math.max(1, Math.min(WIRE_LIMITS.timeoutMsMax, Math.floor(budgetMs - marginMs)))
    return `${path}?${[...query, `timeout=${timeoutMs}ms`].join('&')}`
  }

  #judge(endpoint: Endpoint, failure: Failure): void {
    const { endpoints, clock } = this.#context
    if (isEndpointDown(failure.kind)) endpoints.down(endpoint, clock.now())
    else endpoints.up(endpoint)
  }

  // -------------------------------------------------------------------------------------------------- telling the caller

  #failed({ endpoint, failure }: FailedAttempt): ClientError {
    const hint =
      this.#worst === 'unknown' ? '; it may or may not have been applied, now or later: read before you repeat it' : ''
    const where = failure.message.includes(endpoint.url) ? '' : `, last at ${endpoint.url}`
    return new ClientError(
      failure.code,
      `${this.#operation.name} failed: ${failure.message} (${this.#effort()}${where})${hint}`,
      {
        outcome: this.#worst,
        retryable: failure.retryable,
        status: failure.status,
        details: failure.details,
        attempts: this.#attempts,
        cause: failure.cause,
      },
    )
  }

  #interrupted(last: Failure | undefined): ClientError {
    const code = this.#interruption === 'closed' ? 'CLOSED' : 'ABORTED'
    const what = code === 'CLOSED' ? 'the client was closed' : 'the caller gave it up'
    const hint = this.#worst === 'unknown' ? '; it may or may not have been applied, now or later' : ''
    return new ClientError(code, `${this.#operation.name} ended early: ${what} (${this.#effort()})${hint}`, {
      outcome: this.#worst,
      retryable: isRetryableHere(code),
      attempts: this.#attempts,
      cause: code === 'ABORTED' ? this.#settings.signal?.reason : last?.cause,
    })
  }

  #effort(): string {
    const elapsedMs = Math.round(this.#context.clock.now() - this.#startedMs)
    return `${this.#attempts} ${this.#attempts === 1 ? 'attempt' : 'attempts'} in ${elapsedMs} ms`
  }
}

/** Who answered, who leads, and how far the store is. */
export function learn(
  context: Pick<CallContext, 'endpoints' | 'onRevision'>,
  endpoint: Endpoint,
  response: Pick<TransportResponse, 'headers'>,
): void {
  const seen = sighting(response)
  if (seen !== undefined) context.endpoints.saw(endpoint, seen)
  const revision = storeRevision(response)
  if (revision !== undefined) context.onRevision(revision)
}

/** What an attempt died of. Anything that neither transport nor parsers throw is a bug, and goes up as it is. */
export function failureOf(error: unknown, lateAfterMs: number | undefined): Failure {
  if (error instanceof FailedAnswer) return error.failure
  if (!(error instanceof TransportError)) throw error
  if (error.kind === 'not-sent') {
    return {
      kind: 'not-sent',
      code: 'UNAVAILABLE',
      outcome: 'not-applied',
      retryable: isRetryableHere('UNAVAILABLE'),
      message: error.message,
      cause: error,
    }
  }
  if (lateAfterMs !== undefined) {
    return {
      kind: 'timeout',
      code: 'TIMEOUT',
      outcome: 'unknown',
      retryable: true,
      message: `no answer within ${Math.round(lateAfterMs)} ms`,
      cause: error,
    }
  }
  const code = error.kind === 'broken' ? 'CONNECTION_LOST' : 'UNEXPECTED_ANSWER'
  return {
    kind: error.kind,
    code,
    outcome: 'unknown',
    retryable: isRetryableHere(code),
    message: error.message,
    cause: error,
  }
}
