// What clients saw: operations with the moment they were invoked and what became of them. And a recorder for tests that make
// such histories.
import { assert } from '../../src/lib/assert.ts'

/** What became of an operation. */
export type Outcome<Output> =
  /** It was answered at that moment, so it took effect somewhere between its invocation and `at`. */
  | { readonly kind: 'completed'; readonly at: number; readonly output: Output }
  /** Nobody knows: it may have taken effect at any moment after its invocation, may still do so, or never. */
  | { readonly kind: 'unknown' }
  /** It was promised that it never takes effect. */
  | { readonly kind: 'not-applied' }

/** Moments are numbers that only need to be ordered; events at equal moments count as concurrent. */
export interface Operation<Input, Output> {
  /** For words only: who asked. */
  readonly client: string
  readonly input: Input
  readonly invokedAt: number
  readonly outcome: Outcome<Output>
}

/** Names an operation between its invocation and its completion. */
export type OperationId = number

/**
 * Collects a history. Without a clock it numbers the events, which is the sharpest order there is: events that a clock shows
 * as simultaneous count as concurrent, and what is concurrent explains more.
 */
export class HistoryRecorder<Input, Output> {
  readonly #operations: Operation<Input, Output>[] = []
  readonly #open = new Set<OperationId>()
  readonly #now: () => number
  #events = 0

  constructor(now?: () => number) {
    this.#now = now ?? (() => ++this.#events)
  }

  /** Call it before the request can have had any effect. */
  invoke(client: string, input: Input): OperationId {
    const id = this.#operations.length
    this.#operations.push({ client, input, invokedAt: this.#now(), outcome: { kind: 'unknown' } })
    this.#open.add(id)
    return id
  }

  complete(id: OperationId, output: Output): void {
    this.#settle(id, { kind: 'completed', at: this.#now(), output })
  }

  /** The outcome is unknown, and stays so. An operation that is never settled has an unknown outcome too. */
  giveUp(id: OperationId): void {
    this.#settle(id, { kind: 'unknown' })
  }

  refuse(id: OperationId): void {
    this.#settle(id, { kind: 'not-applied' })
  }

  /** The history so far, in the order of invocation. */
  operations(): readonly Operation<Input, Output>[] {
    return [...this.#operations]
  }

  #settle(id: OperationId, outcome: Outcome<Output>): void {
    assert(this.#open.delete(id), `operation ${id} is not open: it was settled before or never invoked`)
    this.#operations[id] = { ...this.#operations[id]!, outcome }
  }
}

/** The output of a completed operation. */
export const outputOf = <Input, Output>({ outcome }: Operation<Input, Output>): Output | undefined =>
  outcome.kind === 'completed' ? outcome.output : undefined

/** The end of the interval in which an operation took effect; infinite when its outcome is unknown. */
export const completedAt = ({ outcome }: Operation<unknown, unknown>): number =>
  outcome.kind === 'completed' ? outcome.at : Infinity
