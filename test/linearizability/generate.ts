// Makes small and large histories from a seed: clients that overlap, answers that get lost, and, when asked, answers that are
// wrong. The moment at which each operation takes effect is drawn within its interval.
import type { Prng } from '../../src/lib/prng.ts'
import type { Operation, Outcome } from './history.ts'

/** An object that executes operations one at a time. */
export interface Executor<Input, Output> {
  execute(input: Input): Output
}

export interface GeneratorOptions<Input, Output> {
  readonly prng: Prng
  readonly clients: number
  readonly operations: number
  readonly executor: Executor<Input, Output>
  input(prng: Prng): Input
  /** Of 100 operations, how many lose their answer; half of these never take effect. */
  readonly lostPercent: number
  /** Of 100 answers, how many are replaced by `corrupt`. */
  readonly corruptPercent?: number
  corrupt?(output: Output, prng: Prng): Output
}

interface Running<Input, Output> {
  readonly input: Input
  readonly invokedAt: number
  output: Output | undefined
}

/** Each event is at a moment of its own: an invocation, an operation taking effect, or an answer. */
export function generateHistory<Input, Output>(options: GeneratorOptions<Input, Output>): Operation<Input, Output>[] {
  const { prng, executor } = options
  const operations: Operation<Input, Output>[] = []
  const running = new Map<number, Running<Input, Output>>()
  const adrift: { at: number; running: Running<Input, Output> }[] = []
  const settle = (client: number, { input, invokedAt }: Running<Input, Output>, outcome: Outcome<Output>): void => {
    running.delete(client)
    operations.push({ client: String(client), input, invokedAt, outcome })
  }
  for (let at = 1, invoked = 0; invoked < options.operations || running.size > 0; at++) {
    for (const late of adrift) if (late.at === at) executor.execute(late.running.input)
    const client = prng.below(options.clients)
    const own = running.get(client)
    if (own === undefined) {
      if (invoked === options.operations) continue
      running.set(client, { input: options.input(prng), invokedAt: at, output: undefined })
      invoked += 1
    } else if (prng.below(100) < options.lostPercent && own.output === undefined) {
      if (prng.chance(1, 2)) adrift.push({ at: at + 1 + prng.below(30), running: own })
      settle(client, own, { kind: 'unknown' })
    } else if (own.output === undefined) {
      own.output = executor.execute(own.input)
    } else {
      const isCorrupt = prng.below(100) < (options.corruptPercent ?? 0)
      const output = isCorrupt ? (options.corrupt?.(own.output, prng) ?? own.output) : own.output
      settle(client, own, { kind: 'completed', at, output })
    }
  }
  return operations
}
