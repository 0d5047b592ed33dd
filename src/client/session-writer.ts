// Writes in a session: gathered per turn into one request each, numbered, repeated until answered, applied once.
// A session that the store has forgotten makes its unanswered writes `unknown`; they are never sent again under another.
import { encodeBatchRequest } from '../api/batch-codec.ts'
import type { ClientCommand, CommandResult } from '../api/commands.ts'
import { WIRE_LIMITS } from '../api/limits.ts'
import { FailedAnswer } from './answers.ts'
import type { Failure } from './answers.ts'
import {
  BATCH_BYTES_MAX,
  batchOperation,
  carrierOf,
  checkCommand,
  commandAnswers,
  failureOfAnswer,
  worseOf,
} from './batch-request.ts'
import { Call } from './call.ts'
import { ClientError } from './client-error.ts'
import type { ClientCore, WriteOptions } from './core.ts'
import { Deadlines } from './deadlines.ts'
import { Gate } from './gate.ts'
import type { Operation } from './operations.ts'
import { isWaiting } from './pending-call.ts'
import type { Gatherer } from './pending-call.ts'
import { PendingWrite } from './pending-write.ts'
import type { Written } from './pending-write.ts'
import { SessionDoor } from './session-door.ts'
import type { Session } from './session.ts'

const REQUESTS_MAX = 8

export class SessionWriter implements Gatherer<PendingWrite> {
  readonly #core: ClientCore
  readonly #door: SessionDoor
  /** Not yet sent, in order. */
  #queue: PendingWrite[] = []
  readonly #all: Deadlines<PendingWrite>
  readonly #gate: Gate
  #isPlanned = false

  constructor(core: ClientCore) {
    this.#core = core
    this.#door = new SessionDoor(core)
    this.#all = new Deadlines(core.context.clock)
    this.#gate = new Gate(core.context.clock, REQUESTS_MAX, () => this.#plan())
  }

  /** Writes whose callers wait. */
  get pending(): number {
    return this.#all.size
  }

  write(command: ClientCommand, options: WriteOptions): Promise<Written> {
    const { context, timeoutMs } = this.#core
    const { name, signal } = options
    const bytes = checkCommand(command)
    const pending = new PendingWrite(
      command,
      { name, signal, bytes, timeoutMs: options.timeoutMs ?? timeoutMs },
      context,
    )
    if (pending.isSettled) return pending.promise
    pending.join(this)
    this.#all.add(pending)
    this.#queue.push(pending)
    this.#plan()
    return pending.promise
  }

  settled(pending: PendingWrite): void {
    this.#all.delete(pending)
    if (this.#all.size === 0) this.#door.giveUp()
  }

  /** The client is closing: no caller waits any longer. */
  end(): void {
    for (const pending of this.#all.all()) pending.interrupt('CLOSED')
  }

  /** Tells the store that the session can be forgotten. */
  leave(): Promise<void> {
    return this.#door.leave()
  }

  /** Once for all writes of this turn. */
  #plan(): void {
    if (this.#isPlanned || this.#queue.length === 0) return
    this.#isPlanned = true
    queueMicrotask(() => {
      this.#isPlanned = false
      this.#send()
    })
  }

  #send(): void {
    this.#queue = this.#queue.filter(isWaiting)
    if (this.#queue.length === 0) return
    const session = this.#door.session
    if (session === undefined) {
      void this.#open()
      return
    }
    while (this.#queue.length > 0 && session.hasRoom && this.#gate.enter()) {
      void this.#sendBatch(session, this.#takeBatch(session))
    }
  }

  async #open(): Promise<void> {
    if (this.#door.isOpening) return
    const waiting = [...this.#queue]
    try {
      await this.#door.open(Math.max(...waiting.map(({ callerDeadlineMs }) => callerDeadlineMs)))
    } catch (error) {
      if (!(error instanceof ClientError)) throw error
      // Whoever came later may have more time.
      for (const pending of waiting) pending.failUnsent(error)
    }
    this.#plan()
  }

  #takeBatch(session: Session): PendingWrite[] {
    let bytes = 0
    let count = 0
    for (const pending of this.#queue) {
      bytes += pending.bytes
      const isFull = bytes > BATCH_BYTES_MAX || count === WIRE_LIMITS.batchCommandsMax
      if (count > 0 && (isFull || !session.hasRoom)) break
      pending.number(session)
      count++
    }
    return this.#queue.splice(0, count)
  }

  async #sendBatch(session: Session, batch: readonly PendingWrite[]): Promise<void> {
    const { context } = this.#core
    let deadlineMs = 0
    for (const { callerDeadlineMs } of batch) deadlineMs = Math.max(deadlineMs, callerDeadlineMs)
    const timeoutMs = deadlineMs - context.clock.now()
    const call = new Call(context, this.#operation(session, batch), { timeoutMs, signal: undefined })
    const carrier = carrierOf(batch.length, () => call.close())
    for (const pending of batch) pending.carrier = carrier
    try {
      await this.#core.track(call)
    } catch (error) {
      if (!(error instanceof ClientError)) throw error
      for (const pending of batch) pending.fail(error)
    } finally {
      this.#core.discovery?.consider()
      this.#gate.leave()
    }
  }

  /** The request for a batch, made anew for each attempt of those that are still waiting. */
  #operation(session: Session, batch: readonly PendingWrite[]): Operation<void> {
    let sent: readonly PendingWrite[] = []
    let sentAtMs = 0
    const { clock } = this.#core.context
    return batchOperation({
      name: batch.length === 1 ? batch[0]!.name : `a batch of ${batch.length} writes`,
      kind: 'repeatable',
      body: () => {
        sent = batch.filter(({ isSettled }) => !isSettled)
        sentAtMs = clock.now()
        const { id, acknowledgedBelow } = session
        return encodeBatchRequest(sent.map((pending) => pending.numbered(id, acknowledgedBelow)))
      },
      parse: (response) => {
        const answers = commandAnswers(response, sent.length)
        session.used(sentAtMs)
        let failure: Failure | undefined
        for (let at = 0; at < answers.length; at++) {
          const answer = answers[at]!
          if (answer.kind === 'result') this.#answered(session, sent[at]!, answer.result)
          else failure = worseOf('repeatable', failure, sent[at]!.attemptFailed(failureOfAnswer(answer)))
        }
        if (failure !== undefined) throw new FailedAnswer(failure)
      },
      onFailure: (failure) => {
        for (const pending of sent) pending.attemptEnded(failure)
      },
    })
  }

  #answered(session: Session, pending: PendingWrite, result: CommandResult): void {
    if (result.kind === 'refused' && result.reason === 'session-gone') this.#door.lost(session)
    pending.succeed(result)
  }
}
