// One write that waits for its answer: its number in a session, and what may have become of it so far.
import type { ClientCommand, CommandResult, PutCommand } from '../api/commands.ts'
import type { Outcome } from '../api/errors.ts'
import type { Failure } from './answers.ts'
import type { CallContext } from './call.ts'
import { ClientError } from './client-error.ts'
import { PendingCall } from './pending-call.ts'
import type { Gatherer, PendingOptions } from './pending-call.ts'
import type { Session } from './session.ts'

export interface Written {
  readonly result: CommandResult
  readonly attempts: number
}

export class PendingWrite extends PendingCall<Written> {
  readonly bytes: number
  protected readonly kind = 'repeatable'
  readonly #command: ClientCommand
  #gatherer: Gatherer<PendingWrite> | undefined
  #session: Session | undefined
  #sequence = 0
  /** An attempt is under way: whatever the caller is told now, it may still be applied. */
  #isAtRisk = false
  /** An earlier attempt may have been applied. */
  #isUnknown = false

  constructor(command: ClientCommand, options: PendingOptions & { readonly bytes: number }, context: CallContext) {
    super(options, context)
    this.#command = command
    this.bytes = options.bytes
    this.listen(context)
  }

  /** From now on it waits with the others. */
  join(gatherer: Gatherer<PendingWrite>): void {
    this.#gatherer = gatherer
  }

  /** Gives it the session's next number. It keeps both for good. */
  number(session: Session): void {
    this.#session = session
    this.#sequence = session.take()
  }

  /** The command as the next attempt sends it. */
  numbered(session: string, acknowledgedBelow: number): ClientCommand {
    this.attempted()
    this.#isAtRisk = true
    const once = { kind: 'session', session, sequence: this.#sequence, acknowledgedBelow } as const
    const command = this.#command
    if (command.op !== 'put' || hasMore(command)) return { once, ...command } as ClientCommand
    // The most frequent command, spelt out: a copy by spreading costs as much as encoding it.
    const { key, value, contentType, condition, wantsPrevious } = command
    return { op: 'put', key, value, contentType, condition, wantsPrevious, once }
  }

  succeed(result: CommandResult): void {
    this.resolve({ result, attempts: this.attempts })
  }

  /** Told once for each attempt: what the answer said of this write counts before what the call says. */
  override attemptEnded(failure: Failure): void {
    if (!this.#isAtRisk) return
    this.#isAtRisk = false
    super.attemptEnded(failure)
    if (failure.outcome === 'unknown') this.#isUnknown = true
  }

  /** The session that it waited for could not be opened. */
  failUnsent(error: ClientError): void {
    const { code, outcome, retryable, status, details, attempts, cause } = error
    const message = `${this.name} failed: ${error.message}`
    this.fail(new ClientError(code, message, { outcome, retryable, status, details, attempts, cause }))
  }

  protected get outcome(): Outcome {
    return this.#isUnknown || this.#isAtRisk ? 'unknown' : 'not-applied'
  }

  protected leave(): void {
    // From now on the session need not remember it. A copy that is still on its way is then refused, and never applied.
    this.#session?.resolve(this.#sequence)
    this.#gatherer?.settled(this)
  }
}

/** Beyond what every put has. */
const hasMore = ({ ttlMs, lease, fence }: PutCommand): boolean =>
  ttlMs !== undefined || lease !== undefined || fence !== undefined
