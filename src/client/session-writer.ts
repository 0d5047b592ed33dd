// Writes in a session: gathered per turn into one request each, numbered, repeated until answered, applied once.
// A session that the store has forgotten makes its unanswered writes `unknown`; they are never sent again under another.
import { encodeBatchRequest } from '../api/batch-codec.ts'
import type { ClientCommand, CommandResult } from '../api/commands.ts'
import { WIRE_LIMITS } from '../api/limits.ts'
import { FailedAnswer } from './answers.ts'
import type { Failure } from './answers.ts'
import { Call } from './call.ts'
import { ClientError } from './client-error.ts'
import { BATCH_BYTES_MAX, BATCH_REQUEST, batchAnswers, checkCommand, failureOfAnswer } from './core.ts'
import type { ClientCore, WriteOptions } from './core.ts'
import type { Operation } from './operations.ts'
import { PendingWrite } from './pending-write.ts'
import type { Written } from './pending-write.ts'
import { decide } from './retry-policy.ts'
import { SessionDoor } from './session-door.ts'
import type { Session } from './session.ts'

/** Requests in flight at once. While they are, further writes gather: larger batches just when there is much to do. */
const REQUESTS_MAX = 8

export class SessionWriter {
  readonly #core: ClientCore
  readonly #door: SessionDoor
  /** Not yet sent, in order. */
  readonly #queue = new Set<PendingWrite>()
  readonly #all = new Set<PendingWrite>()
  #requests = 0
  #isPlanned = false

  constructor(core: ClientCore) {
    this.#core = core
    this.#door = new SessionDoor(core)
  }

  /** Writes whose callers wait. */
  get pending(): number {
    return this.#all.size
  }

  write(command: ClientCommand, options: WriteOptions): Promise<Written> {
    const { context, timeoutMs } = this.#core
    const bytes = checkCommand(command)
    const pending = new PendingWrite(command, { ...options, bytes, timeoutMs: options.timeoutMs ?? timeoutMs }, context)
    if (pending.isSettled) return pending.promise
    this.#all.add(pending)
    this.#queue.add(pending)
    pending.onSettled = () => {
      this.#all.delete(pending)
      this.#queue.delete(pending)
      if (this.#all.size === 0) this.#door.giveUp()
    }
    this.#plan()
    return pending.promise
  }

  /** The client is closing: no caller waits any longer. */
  end(): void {
    for (const pending of this.#all) pending.close()
  }

  /** Tells the store that the session can be forgotten. */
  leave(): Promise<void> {
    return this.#door.leave()
  }

  /** Once for all writes of this turn. */
  #plan(): void {
    if (this.#isPlanned) return
    this.#isPlanned = true
    queueMicrotask(() => {
      this.#isPlanned = false
      this.#send()
    })
  }

  #send(): void {
    if (this.#queue.size === 0) return
    const session = this.#door.session
    if (session === undefined) {
      void this.#open()
      return
    }
    while (this.#queue.size > 0 && this.#requests < REQUESTS_MAX && session.hasRoom) {
      void this.#sendBatch(session, this.#takeBatch(session))
    }
  }

  async #open(): Promise<void> {
    if (this.#door.isOpening) return
    const waiting = [...this.#queue]
    try {
      await this.#door.open(Math.max(...waiting.map(({ deadlineMs }) => deadlineMs)))
    } catch (error) {
      if (!(error instanceof ClientError)) throw error
      // Whoever came later may have more time.
      for (const pending of waiting) pending.fail(error)
    }
    this.#plan()
  }

  #takeBatch(session: Session): PendingWrite[] {
    const batch: PendingWrite[] = []
    let bytes = 0
    for (const pending of this.#queue) {
      const isFull = bytes + pending.bytes > BATCH_BYTES_MAX || batch.length === WIRE_LIMITS.batchCommandsMax
      if (batch.length > 0 && (isFull || !session.hasRoom)) break
      this.#queue.delete(pending)
      pending.number(session)
      bytes += pending.bytes
      batch.push(pending)
    }
    return batch
  }

  async #sendBatch(session: Session, batch: readonly PendingWrite[]): Promise<void> {
    const { context } = this.#core
    const timeoutMs = Math.max(...batch.map(({ deadlineMs }) => deadlineMs)) - context.clock.now()
    const call = new Call(context, this.#operation(session, batch), { timeoutMs, signal: undefined })
    // Their callers may all have been told before an answer comes.
    let left = batch.length
    for (const pending of batch) pending.onAnswered = () => --left === 0 && call.close()
    this.#requests++
    try {
      await this.#core.track(call)
    } catch (error) {
      if (!(error instanceof ClientError)) throw error
      for (const pending of batch) pending.fail(error)
    } finally {
      this.#requests--
      this.#core.discovery?.consider()
      this.#plan()
    }
  }

  /** The request for a batch, made anew for each attempt of those that are still waiting. */
  #operation(session: Session, batch: readonly PendingWrite[]): Operation<void> {
    let sent: readonly PendingWrite[] = []
    let sentAtMs = 0
    const { clock } = this.#core.context
    return {
      ...BATCH_REQUEST,
      name: batch.length === 1 ? batch[0]!.name : `a batch of ${batch.length} writes`,
      kind: 'repeatable',
      get body() {
        sent = batch.filter(({ isSettled }) => !isSettled)
        sentAtMs = clock.now()
        return encodeBatchRequest(sent.map((pending) => pending.numbered(session)))
      },
      parse: (response) => {
        const answers = batchAnswers(response, sent.length)
        session.used(sentAtMs)
        let failure: Failure | undefined
        for (const [at, answer] of answers.entries()) {
          if (answer.kind === 'result') this.#answered(session, sent[at]!, answer.result)
          else failure = worseOf(failure, sent[at]!.attemptFailed(failureOfAnswer(answer)))
        }
        if (failure !== undefined) throw new FailedAnswer(failure)
      },
      onFailure: (failure) => {
        for (const pending of sent) pending.attemptEnded(failure)
      },
    }
  }

  #answered(session: Session, pending: PendingWrite, result: CommandResult): void {
    if (result.kind === 'refused' && result.reason === 'session-gone') this.#door.lost(session)
    pending.succeed(result)
  }
}

/** Of the failures inside an answer, the one that says best what to do next: to pause rather than to go on at once. */
function worseOf(a: Failure | undefined, b: Failure | undefined): Failure | undefined {
  if (a === undefined || b === undefined) return a ?? b
  return decide('repeatable', a.kind, a.outcome) === 'later' ? a : b
}
