// Leases that keep themselves alive. Time is counted from sending, and 90 % of a time to live is treated as all of it: whoever works under a lease
// is told to stop before the store can have let it go.
import { WIRE_LIMITS } from '../api/limits.ts'
import { ClientError, refusal } from './client-error.ts'
import { wrongResult } from './core.ts'
import type { Answer, ClientCore } from './core.ts'
import { ALLOWED, checkOptions } from './option-checks.ts'
import type { CallOptions } from './options.ts'
import { randomId } from './random-id.ts'

export interface LeaseOptions extends CallOptions {
  /** The lease expires when it was not kept alive for this long. Milliseconds. */
  readonly ttlMs: number
}

const KEEPING = {
  /** However long the time to live: timers must not overflow, and a lost lease should be noticed. Milliseconds. */
  everyMsMax: 600_000,
  /** Between attempts that failed. Milliseconds. */
  againMsMin: 50,
  againMsMax: 1_000,
} as const

/**
 * A lease: keys that were put with it are deleted when it ends. Keeps itself alive until `revoke`, and until the client is closed;
 * after that it expires in its time.
 */
export class Lease {
  readonly id: string
  readonly ttlMs: number
  readonly #core: ClientCore
  readonly #controller = new AbortController()
  readonly #leave: () => void
  /** From here on the store may have let it go. */
  #expiresMs: number
  #expiry: { cancel(): void } | undefined
  #renewal: { cancel(): void } | undefined

  /** `sentAtMs`: when the request that granted or renewed it left. */
  constructor(core: ClientCore, id: string, ttlMs: number, sentAtMs: number) {
    this.#core = core
    this.id = id
    this.ttlMs = ttlMs
    this.#expiresMs = sentAtMs + ttlMs * 0.9
    this.#leave = core.accompany({ close: () => this.#end('the client was closed; the lease expires in its time') })
    this.#planExpiry()
    this.#planRenewal(sentAtMs + Math.min(ttlMs / 3, KEEPING.everyMsMax))
  }

  /** Fires when the lease is lost, before anybody else can have got what it protects; and when it was revoked. */
  get signal(): AbortSignal {
    return this.#controller.signal
  }

  /** How long it lasts if nothing more is heard from the cluster; 0 when it is lost. Milliseconds. */
  get remainingMs(): number {
    return this.signal.aborted ? 0 : Math.max(0, this.#expiresMs - this.#core.context.clock.now())
  }

  /** Ends it now: its keys are deleted, in one revision. That it is gone already is no error. */
  async revoke(options: CallOptions = {}): Promise<void> {
    this.#end('the lease was revoked')
    try {
      await this.#core.write({ op: 'lease-revoke', lease: this.id }, { ...options, name: 'revoke', isRepeatable: true })
    } catch (error) {
      if (!(error instanceof ClientError) || error.code !== 'LEASE_NOT_FOUND') throw error
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.revoke()
  }

  /** Stops keeping it alive, without a word to the store. */
  abandon(why: string): void {
    this.#end(why)
  }

  /** At once, if its time is over: an answer may take longer than the lease lasts. */
  #planExpiry(): void {
    const { clock } = this.#core.context
    this.#expiry?.cancel()
    const leftMs = this.#expiresMs - clock.now()
    if (leftMs <= 0) return this.#end('the lease could not be kept alive in time')
    this.#expiry = clock.after(Math.min(leftMs, KEEPING.everyMsMax), () => this.#planExpiry())
  }

  #planRenewal(atMs: number): void {
    if (this.signal.aborted) return
    const { clock } = this.#core.context
    this.#renewal?.cancel()
    this.#renewal = clock.after(Math.max(0, atMs - clock.now()), () => void this.#renew())
  }

  async #renew(): Promise<void> {
    const { clock } = this.#core.context
    const sentAtMs = clock.now()
    const timeoutMs = Math.max(1, Math.min(WIRE_LIMITS.timeoutMsMax, Math.floor(this.#expiresMs - sentAtMs)))
    try {
      const result = await keepAlive(this.#core, this.id, { timeoutMs, signal: this.signal })
      this.#expiresMs = Math.max(this.#expiresMs, sentAtMs + result.ttlMs * 0.9)
      if (this.signal.aborted) return
      this.#planExpiry()
      this.#planRenewal(sentAtMs + Math.min(result.ttlMs / 3, KEEPING.everyMsMax))
    } catch (error) {
      if (this.signal.aborted) return
      if (!(error instanceof ClientError)) throw error
      if (error.code === 'LEASE_NOT_FOUND') this.#end('the lease is gone', error)
      else this.#planRenewal(clock.now() + Math.min(KEEPING.againMsMax, Math.max(KEEPING.againMsMin, this.ttlMs / 20)))
    }
  }

  #end(why: string, cause?: ClientError): void {
    if (this.signal.aborted) return
    this.#expiry?.cancel()
    this.#renewal?.cancel()
    this.#leave()
    const facts = { outcome: 'not-applied', retryable: false, cause } as const
    this.#controller.abort(new ClientError('LEASE_NOT_FOUND', why, facts))
  }
}

/** The id is chosen here, so that a repeat is known as such. */
export async function grantLease(core: ClientCore, options: LeaseOptions): Promise<Lease> {
  checkOptions(options, ALLOWED.lease)
  const { ttlMs, timeoutMs, signal } = options
  if (ttlMs === undefined) throw refusal('BAD_PARAMETER', 'a lease needs a time to live: ttlMs')
  for (;;) {
    const lease = randomId(core.prng)
    const sentAtMs = core.context.clock.now()
    try {
      await core.write({ op: 'lease-grant', lease, ttlMs }, { name: 'lease', isRepeatable: true, timeoutMs, signal })
    } catch (error) {
      // After an attempt without an answer the lease that exists is ours; at the first it is somebody else's, of the same id.
      if (!(error instanceof ClientError) || error.code !== 'CONFLICT') throw error
      if (error.attempts === 1) continue
    }
    return heldLease(core, lease, ttlMs, sentAtMs)
  }
}

/** A lease whose grant was answered. @throws {ClientError} `LEASE_NOT_FOUND` when the answer took longer than it lasts. */
export function heldLease(core: ClientCore, id: string, ttlMs: number, sentAtMs: number): Lease {
  const lease = new Lease(core, id, ttlMs, sentAtMs)
  if (!lease.signal.aborted) return lease
  throw new ClientError('LEASE_NOT_FOUND', 'it was lost before the answer came', {
    outcome: 'unknown',
    retryable: true,
  })
}

/** A repeat of it changes nothing, so that it needs no session; and it does not wait its turn behind other calls. */
export async function keepAlive(
  core: ClientCore,
  lease: string,
  options: CallOptions,
): Promise<Extract<Answer, { kind: 'lease' }>> {
  const result = await core.write(
    { op: 'lease-keep-alive', lease },
    { ...options, name: 'keepAlive', isRepeatable: true, isUrgent: true },
  )
  if (result.kind !== 'lease') throw wrongResult('keepAlive', result)
  return result
}
