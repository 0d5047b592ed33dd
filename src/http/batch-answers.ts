// What becomes of the items of a batch: each command goes its own way to the log, the reads share the read index of the turn, and all
// are answered together, once the last one is known. Knows nothing of HTTP; the simulation serves batches with it, too.
import type { BatchAnswer, BatchItem } from '../api/batch-codec.ts'
import type { BatchRead } from '../api/batch-reads.ts'
import type { CommandResult } from '../api/commands.ts'
import type { QuorateError } from '../api/errors.ts'
import { WIRE_LIMITS } from '../api/limits.ts'
import type { NodeFacade, ReadAnswer } from '../node/facade.ts'
import { isRefusal } from './edge.ts'
import { problemOf } from './problems.ts'

/** `revision`: the highest that any of the answers, or the node, knows. */
export type BatchDone = (answers: readonly BatchAnswer[], revision: number) => void

type BatchNode = Pick<NodeFacade, 'write' | 'read' | 'leaseTtlMs' | 'vitals'>

/** Begins with all items in the order of the batch; calls back once, maybe before it returns. */
export function answerBatch(node: BatchNode, items: readonly BatchItem[], timeoutMs: number, done: BatchDone): void {
  const batch = new PendingBatch(node, items.length, done)
  for (const [at, item] of items.entries()) {
    if (item.op === 'read') read(node, item, timeoutMs, (outcome) => batch.wasRead(at, outcome))
    else node.write(item, timeoutMs, (outcome) => batch.wasWritten(at, outcome))
  }
}

function read(node: BatchNode, item: BatchRead, timeoutMs: number, done: Parameters<NodeFacade['read']>[2]): void {
  const { key, consistency, maxStaleMs, minRevision } = item
  node.read(key, { consistency, maxStaleMs, minRevision, timeoutMs }, done)
}

class PendingBatch {
  readonly #node: BatchNode
  readonly #answers: BatchAnswer[]
  readonly #done: BatchDone
  #waiting: number
  /** Of the values that reads found and that wait here for the last answer. */
  #readBytes = 0
  #revision = 0

  constructor(node: BatchNode, count: number, done: BatchDone) {
    this.#node = node
    this.#answers = Array.from({ length: count })
    this.#waiting = count
    this.#done = done
  }

  wasWritten(at: number, outcome: CommandResult | QuorateError): void {
    if (isRefusal(outcome)) return this.#settle(at, errorOf(outcome, false))
    this.#saw(outcome.revision)
    this.#settle(at, { kind: 'result', result: outcome })
  }

  wasRead(at: number, outcome: ReadAnswer | QuorateError): void {
    if (isRefusal(outcome)) return this.#settle(at, errorOf(outcome, true))
    const { entry, revision, stalenessMs } = outcome
    this.#saw(revision)
    if (entry === undefined) return this.#settle(at, { kind: 'read', revision, stalenessMs, entry, ttlMs: undefined })
    // The first value always has room, so that whoever asks again comes to an end.
    const bytes = this.#readBytes + entry.value.length
    if (this.#readBytes > 0 && bytes > WIRE_LIMITS.batchReadBytesMax) return this.#settle(at, LEFT_OUT)
    this.#readBytes = bytes
    const ttlMs = entry.lease === '' ? undefined : this.#node.leaseTtlMs(entry.lease)
    this.#settle(at, { kind: 'read', revision, stalenessMs, entry, ttlMs })
  }

  #saw(revision: number): void {
    if (revision > this.#revision) this.#revision = revision
  }

  #settle(at: number, answer: BatchAnswer): void {
    this.#answers[at] = answer
    this.#waiting--
    if (this.#waiting === 0) this.#done(this.#answers, Math.max(this.#revision, this.#node.vitals().revision))
  }
}

const LEFT_OUT: BatchAnswer = { kind: 'left-out' }

function errorOf(error: QuorateError, isRead: boolean): BatchAnswer {
  const { retryAfterMs } = problemOf(error, isRead)
  const outcome = isRead ? 'not-applied' : error.outcome
  const again = retryAfterMs === undefined ? {} : { retryAfterMs }
  return { kind: 'error', code: error.code, outcome, detail: error.message, ...again }
}
