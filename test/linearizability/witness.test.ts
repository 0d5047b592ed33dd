// A proposed order is believed only after it was verified: no order makes a history pass that is not linearizable, and the order of
// the log makes an honest one pass without a search.
import { expect, test } from 'vitest'
import { Prng } from '../../src/lib/prng.ts'
import { checkHistory } from './checker.ts'
import { generateHistory } from './generate.ts'
import { completedAt, HistoryRecorder } from './history.ts'
import type { Operation } from './history.ts'
import { proposeOrder } from './models/quorate-order.ts'
import type { LoggedChange } from './models/quorate-order.ts'
import { quorateModel } from './models/quorate.ts'
import type { QuorateInput, QuorateOutput } from './models/quorate-types.ts'
import { QuorateStore } from './quorate-store.ts'
import { explains } from './witness.ts'

/** Prints with every failure; QUORATE_SEED repeats it. */
const SEED = process.env['QUORATE_SEED'] ?? 'witness'

type History = readonly Operation<QuorateInput, QuorateOutput>[]

/** A store that keeps a log of what it changed, as the simulator's oracle does. */
class LoggedStore extends QuorateStore {
  readonly log: LoggedChange[] = []

  override execute(input: QuorateInput): QuorateOutput {
    const before = this.state.revision
    const output = super.execute(input)
    const { revision } = this.state
    if (revision > before)
      this.log.push({ key: input.key, revision, value: input.op === 'put' ? (input.value ?? '') : undefined })
    return output
  }
}

function recorded(prng: Prng, operations: number, corruptPercent: number): { history: History; log: LoggedChange[] } {
  const store = new LoggedStore()
  let values = 0
  const condition = (dice: Prng) =>
    dice.pick([
      { kind: 'none' } as const,
      { kind: 'none' } as const,
      { kind: 'exists' } as const,
      { kind: 'revision', revision: dice.below(store.state.revision + 1) } as const,
    ])
  const history = generateHistory<QuorateInput, QuorateOutput>({
    prng,
    clients: 5,
    operations,
    executor: store,
    input: (dice) => {
      const key = dice.pick(['a', 'b'])
      if (dice.chance(1, 3)) return { op: 'get', key }
      if (dice.chance(1, 3)) return { op: 'delete', key, condition: condition(dice) }
      return { op: 'put', key, value: `v${++values}`, contentType: '', condition: condition(dice) }
    },
    lostPercent: 20,
    corruptPercent,
    corrupt: (output, dice) =>
      output.kind === 'got' && output.revision !== undefined
        ? { ...output, entry: undefined, revision: dice.below(output.revision + 1) }
        : output,
  })
  return { history: history.map((operation) => forgetful(operation, prng)), log: store.log }
}

/** As the client library sees it: that there is no entry, or that a condition fails, but not at which revision of the store. */
function forgetful(
  operation: Operation<QuorateInput, QuorateOutput>,
  prng: Prng,
): Operation<QuorateInput, QuorateOutput> {
  const { outcome } = operation
  if (outcome.kind !== 'completed' || prng.chance(1, 2)) return operation
  const { output } = outcome
  const isVague = output.kind === 'precondition-failed' || (output.kind === 'got' && output.entry === undefined)
  return isVague ? { ...operation, outcome: { ...outcome, output: { ...output, revision: undefined } } } : operation
}

test('the order of the log explains an honest history without a search, with a fifth of the answers lost', () => {
  for (let number = 0; number < 60; number++) {
    const { history, log } = recorded(new Prng(`${SEED}/${number}`), 300, 0)
    const result = checkHistory(quorateModel(), history, { propose: () => proposeOrder(history, log) })
    expect(result, `QUORATE_SEED='${SEED}', history ${number}`).toEqual({
      verdict: 'linearizable',
      steps: 0,
      isWitnessed: true,
    })
  }
})

test('no order makes a history pass that the search refuses', () => {
  const verdicts = { linearizable: 0, refused: 0 }
  for (let number = 0; number < 500; number++) {
    const prng = new Prng(`${SEED}/false/${number}`)
    const { history, log } = recorded(prng, 12, 30)
    // Without the rules for the whole, which come before any order and would refuse most of these.
    const model = { ...quorateModel({ isComplete: false }), checkWhole: () => undefined }
    const isTrue = checkHistory(model, history).verdict === 'linearizable'
    verdicts[isTrue ? 'linearizable' : 'refused']++
    const order = proposeOrder(history, log)
    for (const proposed of [order, shuffled(order, prng), byCompletion(history), byInvocation(history)]) {
      const hint = `QUORATE_SEED='${SEED}', history ${number}`
      if (explains(model, history, proposed)) expect(isTrue, hint).toBe(true)
    }
  }
  expect(Math.min(verdicts.linearizable, verdicts.refused)).toBeGreaterThan(50)
})

const everything = (history: History): number[] => history.map((_, at) => at)

const byCompletion = (history: History): number[] =>
  everything(history).sort((a, b) => Math.min(1e9, completedAt(history[a]!)) - Math.min(1e9, completedAt(history[b]!)))

const byInvocation = (history: History): number[] =>
  everything(history).sort((a, b) => history[a]!.invokedAt - history[b]!.invokedAt)

function shuffled(order: readonly number[], prng: Prng): number[] {
  const left = [...order]
  return order.map(() => left.splice(prng.below(left.length), 1)[0]!)
}

// ------------------------------------------------------------------------------------------------- what is refused, and why

const put = (value: string): QuorateInput => ({
  op: 'put',
  key: 'a',
  value,
  contentType: '',
  condition: { kind: 'none' },
})
const made = (revision: number, isCreated: boolean): QuorateOutput => ({ kind: 'put', revision, isCreated })

function twoPuts(): HistoryRecorder<QuorateInput, QuorateOutput> {
  const recorder = new HistoryRecorder<QuorateInput, QuorateOutput>()
  recorder.complete(recorder.invoke('c1', put('x')), made(2, true))
  recorder.complete(recorder.invoke('c2', put('y')), made(3, false))
  return recorder
}

test.each([
  { what: 'all is there, in its order', order: [0, 1], isRight: true },
  { what: 'one that was answered is missing', order: [0], isRight: false },
  { what: 'one comes twice', order: [0, 1, 1], isRight: false },
  { what: 'one comes before what was over when it began', order: [1, 0], isRight: false },
  { what: 'there is no such operation', order: [0, 1, 2], isRight: false },
])('$what: $isRight', ({ order, isRight }) => {
  expect(explains(quorateModel(), twoPuts().operations(), order)).toBe(isRight)
})

test('what was refused has no place, and what was not answered may have one or none', () => {
  const recorder = twoPuts()
  recorder.refuse(recorder.invoke('c3', put('z')))
  recorder.giveUp(recorder.invoke('c4', put('w')))
  const operations = recorder.operations()
  expect(explains(quorateModel(), operations, [0, 1])).toBe(true)
  expect(explains(quorateModel(), operations, [0, 1, 3])).toBe(true)
  expect(explains(quorateModel(), operations, [0, 1, 2])).toBe(false)
})
