// The builder of transactions: if all comparisons hold, then these operations, else those; atomic, in one revision.
import type { Compare, TxnCommand, TxnOperation, TxnResult } from '../api/commands.ts'
import { ClientError, refusal } from './client-error.ts'
import { fenceOf } from './commands.ts'
import { wrongResult } from './core.ts'
import type { ClientCore } from './core.ts'
import { ALLOWED, checkOptions } from './option-checks.ts'
import type { CallOptions, FenceOption } from './options.ts'
import type { TxnStep } from './txn-steps.ts'

export interface CommitOptions extends CallOptions {
  /** Only while this lock is held. */
  readonly fence?: FenceOption | undefined
}

type Steps = readonly TxnStep<unknown>[]

/** For each operation, in order, what it gave. */
export type ResultsOf<S extends Steps> = { -readonly [At in keyof S]: S[At] extends TxnStep<infer R> ? R : never }

/** `succeeded`: all comparisons held, and the results are those of `then`. */
export type TxnOutcome<Then extends Steps, Else extends Steps> =
  | { readonly succeeded: true; readonly revision: number; readonly results: ResultsOf<Then> }
  | { readonly succeeded: false; readonly revision: number; readonly results: ResultsOf<Else> }

/** Immutable: each step gives another builder, and nothing is sent before `commit`. */
export class Txn<Then extends Steps = readonly [], Else extends Steps = readonly []> {
  readonly #core: ClientCore
  readonly #compares: readonly Compare[]
  readonly #then: Then
  readonly #else: Else

  constructor(core: ClientCore, compares: readonly Compare[], then: Then, otherwise: Else) {
    this.#core = core
    this.#compares = compares
    this.#then = then
    this.#else = otherwise
  }

  /** All of them must hold. Without any, `then` is what happens. */
  if(...compares: readonly Compare[]): Txn<Then, Else> {
    for (const compare of compares as readonly unknown[]) {
      const isMade = typeof compare === 'object' && compare !== null && 'operand' in compare
      if (!isMade) throw refusal('BAD_REQUEST', 'a comparison is made by when(key), such as when(key).exists')
    }
    return new Txn(this.#core, [...this.#compares, ...compares], this.#then, this.#else)
  }

  // The word is the interface's. It makes `await` take a builder for a promise; whoever forgets `commit` is told so below.
  // oxlint-disable-next-line unicorn/no-thenable
  then<const S extends Steps>(...steps: S): Txn<S, Else> {
    for (const step of steps as readonly unknown[]) {
      if (typeof step === 'function') throw refusal('BAD_REQUEST', 'a transaction runs with commit(), which is missing')
    }
    checkSteps(steps)
    return new Txn(this.#core, this.#compares, steps, this.#else)
  }

  else<const S extends Steps>(...steps: S): Txn<Then, S> {
    checkSteps(steps)
    return new Txn(this.#core, this.#compares, this.#then, steps)
  }

  /** As an operation inside another transaction. */
  nested(): TxnStep<TxnOutcome<Then, Else>> {
    return {
      operation: this.#command(),
      read: (result) => {
        if (result.kind !== 'txn') throw wrongResult('txn', result)
        return this.#outcome(result)
      },
    }
  }

  async commit(options: CommitOptions = {}): Promise<TxnOutcome<Then, Else>> {
    checkOptions(options, ALLOWED.commit)
    const { timeoutMs, signal, fence } = options
    const command: TxnCommand = { ...this.#command(), ...fenceOf(fence) }
    const result = await this.#core.write(command, { name: 'txn', timeoutMs, signal })
    if (result.kind !== 'txn') throw wrongResult('txn', result)
    return this.#outcome(result)
  }

  #command(): TxnCommand {
    const success = this.#then.map(operationOf)
    return { op: 'txn', compares: this.#compares, success, failure: this.#else.map(operationOf) }
  }

  #outcome({ succeeded, revision, results }: TxnResult): TxnOutcome<Then, Else> {
    const steps: Steps = succeeded ? this.#then : this.#else
    if (results.length !== steps.length) {
      const message = `a transaction of ${steps.length} operations was answered with ${results.length} results`
      throw new ClientError('UNEXPECTED_ANSWER', message, { outcome: 'unknown', retryable: false })
    }
    const read = steps.map((step, at) => step.read(results[at]!))
    return { succeeded, revision, results: read } as TxnOutcome<Then, Else>
  }
}

function checkSteps(steps: readonly unknown[]): void {
  for (const step of steps) {
    const isMade = typeof step === 'object' && step !== null && 'operation' in step
    if (!isMade) throw refusal('BAD_REQUEST', 'an operation is made by op, such as op.put(key, value), or by nested()')
  }
}

const operationOf = ({ operation }: TxnStep<unknown>): TxnOperation => operation
