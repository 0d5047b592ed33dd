// Reads of single keys: those of one turn leave as one request, to the leader or spread, and each has its own answer. What shares a
// request shares its fate, so only reads that would wait for the same things do: of the same freshness, with the same time.
import { encodeBatchRequest } from '../api/batch-codec.ts'
import { WIRE_LIMITS } from '../api/limits.ts'
import { FailedAnswer } from './answers.ts'
import type { Failure } from './answers.ts'
import { BATCH_BYTES_MAX, batchOperation, carrierOf, failureOfAnswer, readAnswers, worseOf } from './batch-request.ts'
import { Call } from './call.ts'
import { ClientError } from './client-error.ts'
import type { ClientCore } from './core.ts'
import { Deadlines } from './deadlines.ts'
import type { GetResult } from './entry.ts'
import { Gate } from './gate.ts'
import type { Key } from './key-path.ts'
import type { Operation } from './operations.ts'
import type { GetOptions } from './options.ts'
import { isWaiting } from './pending-call.ts'
import type { Carrier, Gatherer } from './pending-call.ts'
import { PendingRead } from './pending-read.ts'

/** Requests of one lane, to all nodes together. */
const REQUESTS_MAX = 64

/** Most programs need one or two, over and over. */
const LANES_KEPT = 16

export class ReadGatherer implements Gatherer<PendingRead> {
  readonly #core: ClientCore
  readonly #all: Deadlines<PendingRead>
  /** Of those in which nobody waits, a few are kept. */
  readonly #lanes = new Map<string | number, Lane>()

  constructor(core: ClientCore) {
    this.#core = core
    this.#all = new Deadlines(core.context.clock)
  }

  /** Reads whose callers wait. */
  get pending(): number {
    return this.#all.size
  }

  /** `knownRevision`: that the store has reached, as far as this client has heard. */
  read(key: Key, options: GetOptions, knownRevision: number): Promise<GetResult | undefined> {
    const { context, timeoutMs } = this.#core
    this.#core.admit()
    const pending = new PendingRead(key, options, options.timeoutMs ?? timeoutMs, context)
    if (pending.isSettled) return pending.promise
    pending.join(this)
    this.#all.add(pending)
    this.#laneOf(pending, knownRevision).add(pending)
    return pending.promise
  }

  settled(pending: PendingRead): void {
    this.#all.delete(pending)
  }

  /** The client is closing: no caller waits any longer. */
  end(): void {
    for (const pending of this.#all.all()) pending.interrupt('CLOSED')
  }

  /**
   * A linearizable read waits for a leader, one of a revision for a node to catch up, a stale one for nothing. A revision that nobody
   * has told us of may never come: such a read shares with none but its like.
   */
  #laneOf({ item, timeoutMs }: PendingRead, knownRevision: number): Lane {
    const { consistency, minRevision = 0 } = item
    const isUnheardOf = minRevision > knownRevision
    const awaits = isUnheardOf ? minRevision : consistency === 'stale' && minRevision > 0 ? 'known' : 'nothing'
    // The name of most reads costs nothing to make.
    const isPlain = consistency === 'linearizable' && !isUnheardOf
    const name = isPlain ? timeoutMs : `${consistency} ${awaits} ${timeoutMs}`
    let lane = this.#lanes.get(name)
    if (lane === undefined) {
      if (this.#lanes.size >= LANES_KEPT) this.#dropIdleLanes()
      lane = new Lane(this.#core)
      this.#lanes.set(name, lane)
    }
    return lane
  }

  #dropIdleLanes(): void {
    for (const [name, lane] of this.#lanes) if (lane.isIdle) this.#lanes.delete(name)
  }
}

/** Reads that may share a request. */
class Lane {
  readonly #core: ClientCore
  readonly #gate: Gate
  #queue: PendingRead[] = []
  #isPlanned = false

  constructor(core: ClientCore) {
    this.#core = core
    this.#gate = new Gate(core.context.clock, REQUESTS_MAX, () => this.#plan())
  }

  get isIdle(): boolean {
    return this.#queue.length === 0 && this.#gate.isIdle
  }

  add(pending: PendingRead): void {
    this.#queue.push(pending)
    this.#plan()
  }

  /** Once for all reads of this turn. */
  #plan(): void {
    if (this.#isPlanned) return
    this.#isPlanned = true
    queueMicrotask(() => {
      this.#isPlanned = false
      this.#send()
    })
  }

  #send(): void {
    for (;;) {
      this.#queue = this.#queue.filter(isWaiting)
      if (this.#queue.length === 0) return
      if (!this.#gate.enter()) return
      void this.#sendBatch(this.#takeBatch())
    }
  }

  #takeBatch(): PendingRead[] {
    let bytes = 0
    let count = 0
    for (const { item } of this.#queue) {
      bytes += item.key.length
      if (count > 0 && (bytes > BATCH_BYTES_MAX || count === WIRE_LIMITS.batchCommandsMax)) break
      count++
    }
    return this.#queue.splice(0, count)
  }

  async #sendBatch(batch: readonly PendingRead[]): Promise<void> {
    const { context } = this.#core
    // They have the same time, so the one that came last has the most of it.
    const timeoutMs = batch.at(-1)!.callerDeadlineMs - context.clock.now()
    const carrier = carrierOf(batch.length, () => call.close())
    const operation = this.#operation(batch, carrier)
    const call = new Call(context, operation, { timeoutMs: Math.max(1, timeoutMs), signal: undefined })
    for (const pending of batch) pending.carrier = carrier
    try {
      await this.#core.track(call)
    } catch (error) {
      if (!(error instanceof ClientError)) throw error
      for (const pending of batch) if (pending.carrier === carrier) pending.fail(error)
    } finally {
      this.#core.discovery?.consider()
      this.#gate.leave()
    }
  }

  /** The request for a batch, made anew for each attempt of those that are still waiting for it. */
  #operation(batch: readonly PendingRead[], carrier: Carrier): Operation<void> {
    let sent: readonly PendingRead[] = []
    const leaveOut = (pending: PendingRead): void => {
      pending.carrier = undefined
      carrier.settled()
      this.#queue.push(pending)
    }
    return batchOperation({
      name: batch.length === 1 ? 'get' : `a batch of ${batch.length} gets`,
      kind: 'read',
      body: () => {
        sent = batch.filter((pending) => isWaiting(pending) && pending.carrier === carrier)
        for (const pending of sent) pending.attempted()
        return encodeBatchRequest(sent.map(({ item }) => item))
      },
      parse: (response) => {
        const answers = readAnswers(response, sent.length)
        let failure: Failure | undefined
        for (const [at, answer] of answers.entries()) {
          const pending = sent[at]!
          if (answer.kind === 'read') pending.found(answer)
          else if (answer.kind === 'left-out') leaveOut(pending)
          else failure = worseOf('read', failure, pending.attemptFailed(failureOfAnswer(answer)))
        }
        if (failure !== undefined) throw new FailedAnswer(failure)
      },
      onFailure: (failure) => {
        for (const pending of sent) pending.attemptEnded(failure)
      },
    })
  }
}
