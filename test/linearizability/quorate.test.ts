// The Quorate model: planted anomalies give a counterexample that a person can read; honest histories pass, large ones too.
import { describe, expect, test } from 'vitest'
import { Prng } from '../../src/lib/prng.ts'
import { checkHistory } from './checker.ts'
import { generateHistory } from './generate.ts'
import { HistoryRecorder } from './history.ts'
import type { Operation } from './history.ts'
import { quorateModel } from './models/quorate.ts'
import { entryOf, inputOfCommand, outputOfRead, outputOfResult, valueText } from './models/quorate-types.ts'
import type { QuorateInput, QuorateOutput } from './models/quorate-types.ts'
import { QuorateStore } from './quorate-store.ts'

type Recorder = HistoryRecorder<QuorateInput, QuorateOutput>
type History = readonly Operation<QuorateInput, QuorateOutput>[]

const key = 'a'
const none = { kind: 'none' } as const
const atRevision = (revision: number) => ({ kind: 'revision', revision }) as const
const put = (
  value: string,
  condition: { kind: 'none' } | { kind: 'revision'; revision: number } = none,
): QuorateInput => ({
  op: 'put',
  key,
  value,
  contentType: '',
  condition,
})
const get: QuorateInput = { op: 'get', key }
const remove: QuorateInput = { op: 'delete', key, condition: none }
const made = (revision: number, isCreated = false): QuorateOutput => ({ kind: 'put', revision, isCreated })
const refused = (currentRevision: number): QuorateOutput => ({
  kind: 'precondition-failed',
  currentRevision,
  revision: undefined,
})

/** An answer as a client sees it that looks at the entry only; `at` is the store's revision, where it looks at that too. */
const got = (
  value: string,
  modRevision: number,
  createRevision: number,
  version: number,
  at?: number,
): QuorateOutput => ({
  kind: 'got',
  entry: { value, contentType: '', createRevision, modRevision, version },
  revision: at,
})
const absent: QuorateOutput = { kind: 'got', entry: undefined, revision: undefined }

/** Operations one after another; null for an answer that was lost. */
function sequence(...steps: readonly (readonly [QuorateInput, QuorateOutput | null])[]): History {
  const recorder: Recorder = new HistoryRecorder()
  steps.forEach(([input, output], at) => {
    const id = recorder.invoke(`c${at}`, input)
    if (output === null) recorder.giveUp(id)
    else recorder.complete(id, output)
  })
  return recorder.operations()
}

/** Asserts that it is refused, with few operations, and returns the words. */
function refusal(history: History, isComplete = true): string {
  const result = checkHistory(quorateModel({ isComplete }), history)
  if (result.verdict !== 'not-linearizable') throw new Error(`verdict ${result.verdict}`)
  expect(result.operations.length).toBeLessThan(4)
  return result.explanation
}

const isFine = (history: History, isComplete = true): void => {
  const result = checkHistory(quorateModel({ isComplete }), history)
  expect(result, 'explanation' in result ? result.explanation : '').toMatchObject({ verdict: 'linearizable' })
}

describe('a counterexample names', () => {
  test('a stale read, by what the entry tells', () => {
    const words = refusal(sequence([put('x'), made(2, true)], [put('y'), made(3)], [get, got('x', 2, 2, 1)]))
    expect(words).toContain('stale read')
    expect(words).toContain('client c2: get "a" -> "x", revision 2')
  })

  test('a stale read, by the revision of the store', () => {
    const words = refusal(sequence([put('x'), made(2, true)], [put('y'), made(3)], [get, got('x', 2, 2, 1, 2)]))
    expect(words).toMatch(
      /stale read: revision 3 had been seen before it was invoked, but it was answered from revision 2/i,
    )
  })

  test('a stale read of a key that was deleted or not yet there', () => {
    expect(refusal(sequence([put('x'), made(2, true)], [get, absent]))).toContain('stale read')
    const deleted: QuorateOutput = { kind: 'deleted', count: 1, revision: 3 }
    expect(refusal(sequence([put('x'), made(2, true)], [remove, deleted], [get, got('x', 2, 2, 1)]))).toContain(
      'absent',
    )
  })

  test('a lost update, by two writes on one revision', () => {
    const words = refusal(
      sequence([put('x'), made(2, true)], [put('y', atRevision(2)), made(3)], [put('z', atRevision(2)), made(4)]),
    )
    expect(words).toContain('lost update')
    expect(words).toContain('its condition names revision 2')
  })

  test('a lost update, by a version that counts too little', () => {
    const words = refusal(sequence([put('x'), made(2, true)], [put('y'), made(3)], [get, got('y', 3, 2, 1)]))
    expect(words).toContain('lost update')
  })

  test('a double apply, by a version that counts too much', () => {
    const words = refusal(sequence([put('x'), made(2, true)], [put('y'), made(4)], [get, got('y', 4, 2, 3)]), false)
    expect(words).toContain('double apply')
  })

  test('a double apply, by a value that comes back', () => {
    const words = refusal(sequence([put('x'), made(2, true)], [get, got('x', 3, 2, 2)]), false)
    expect(words).toContain('double apply: the value was put at revision 2, and is there again at 3')
  })

  test('a double apply, by a revision that nobody made', () => {
    const words = refusal(sequence([put('x'), made(2, true)], [put('y'), made(4)]))
    expect(words).toContain('No write accounts for revision 3')
    expect(words).toContain('double apply')
  })

  test('a revision that two writes were given', () => {
    const other: QuorateInput = { op: 'put', key: 'b', value: 'y', contentType: '', condition: none }
    expect(refusal(sequence([put('x'), made(2, true)], [other, made(2, true)]))).toContain('given to two writes')
  })

  test('revisions of two keys that go against real time', () => {
    const other: QuorateInput = { op: 'put', key: 'b', value: 'y', contentType: '', condition: none }
    expect(refusal(sequence([put('x'), made(3, true)], [other, made(2, true)]))).toContain(
      'seen before the write was invoked',
    )
  })

  test('a stale refusal', () => {
    const words = refusal(
      sequence([put('x'), made(2, true)], [put('y'), made(3)], [put('z', atRevision(9)), refused(2)]),
    )
    expect(words).toContain('stale answer')
  })
})

describe('an anomaly is found among hundreds of honest operations', () => {
  test('and the window holds only what shows it', () => {
    const history = [...honest(500, 3, 4, 0)]
    const last = Math.max(...history.map(({ outcome }) => (outcome.kind === 'completed' ? outcome.at : 0)))
    const read = history.find(
      ({ input, outcome }) => input.op === 'put' && outcome.kind === 'completed' && outcome.output.kind === 'put',
    )!
    const { input, outcome } = read
    if (input.op !== 'put' || outcome.kind !== 'completed') throw new Error('not a put')
    const output = got(input.value ?? '', outcome.output.revision ?? 0, outcome.output.revision ?? 0, 1)
    const stale: History[number] = {
      client: 'late',
      input: { op: 'get', key: input.key },
      invokedAt: last + 1,
      outcome: { kind: 'completed', at: last + 2, output },
    }
    expect(refusal([...history, stale])).toContain('stale read')
  })
})

describe('an operation', () => {
  test('of unknown outcome may have taken effect, at once or late, or not at all', () => {
    isFine(sequence([put('x'), made(2, true)], [put('y'), null], [get, got('x', 2, 2, 1)]))
    isFine(sequence([put('x'), made(2, true)], [put('y'), null], [get, got('y', 3, 2, 2)]))
    isFine(sequence([put('y'), null], [put('x'), made(2, true)], [get, got('x', 2, 2, 1)], [get, got('y', 3, 2, 2)]))
    isFine(sequence([put('x'), made(2, true)], [remove, null], [get, got('x', 2, 2, 1)], [get, absent]))
  })

  test('of unknown outcome takes effect once', () => {
    const history = sequence(
      [put('x'), null],
      [get, got('x', 2, 2, 1)],
      [remove, { kind: 'deleted', count: 1, revision: 3 }],
    )
    isFine(history)
    const output = got('x', 4, 4, 1)
    const again: History[number] = {
      client: 'late',
      input: get,
      invokedAt: 90,
      outcome: { kind: 'completed', at: 99, output },
    }
    expect(refusal([...history, again])).toContain('No write accounts for revision 4')
  })

  test('that was not applied never takes effect', () => {
    const recorder: Recorder = new HistoryRecorder()
    const id = recorder.invoke('c1', put('x'))
    recorder.refuse(id)
    isFine(recorder.operations())
    recorder.complete(recorder.invoke('c2', get), got('x', 2, 2, 1))
    expect(refusal(recorder.operations(), false)).toContain('the key is absent by then')
  })

  test('settled twice is a mistake of the recorder', () => {
    const recorder: Recorder = new HistoryRecorder()
    const id = recorder.invoke('c1', get)
    recorder.complete(id, absent)
    expect(() => recorder.giveUp(id)).toThrow('not open')
  })

  test('completed before it was invoked is a mistake of the history', () => {
    const history: History = [
      { client: 'c', input: get, invokedAt: 2, outcome: { kind: 'completed', at: 1, output: absent } },
    ]
    expect(() => checkHistory(quorateModel(), history)).toThrow(RangeError)
  })
})

const SEED = process.env['QUORATE_SEED'] ?? 'large histories'

/** Made by a store that is right, with values that are unique. */
function honest(operations: number, keys: number, clients: number, lostPercent: number): History {
  const prng = new Prng(`${SEED}/${operations}/${keys}/${clients}/${lostPercent}`)
  let values = 0
  const store = new QuorateStore()
  return generateHistory<QuorateInput, QuorateOutput>({
    prng,
    clients,
    operations,
    executor: store,
    lostPercent,
    input: (dice) => {
      const name = `k${dice.below(keys)}`
      const current = store.state.entries[name]?.modRevision ?? 0
      const condition = dice.chance(1, 4) ? atRevision(current) : none
      if (dice.chance(2, 5)) return { op: 'get', key: name }
      if (dice.chance(1, 6)) return { op: 'delete', key: name, condition }
      return { op: 'put', key: name, value: `v${values++}`, contentType: '', condition }
    },
  })
}

/** As a client sees it that looks at entries only. */
function withoutStoreRevision(operation: History[number]): History[number] {
  const { client, input, invokedAt, outcome } = operation
  if (outcome.kind !== 'completed' || outcome.output.kind !== 'got') return operation
  const { at, output } = outcome
  return { client, input, invokedAt, outcome: { kind: 'completed', at, output: { ...output, revision: undefined } } }
}

describe(`honest histories (QUORATE_SEED='${SEED}')`, () => {
  test.each([
    [2_000, 1, 16, 0],
    [2_000, 1, 16, 5],
    [2_000, 1, 16, 10],
    [500, 1, 4, 25],
    [2_000, 20, 16, 10],
    [200, 3, 4, 40],
  ])(
    'of %i operations on %i keys by %i clients, %i in 100 answers lost, are decided',
    (operations, keys, clients, lost) => {
      isFine(honest(operations, keys, clients, lost))
    },
  )

  test('are decided without the revision of the store too', () => {
    isFine(honest(1_000, 2, 8, 10).map(withoutStoreRevision))
  })
})

test('a budget that runs out is an honest answer', () => {
  const result = checkHistory(quorateModel(), honest(500, 2, 8, 20), { stepsMax: 50 })
  expect(result).toMatchObject({ verdict: 'undecided', steps: 50 })
  expect('reason' in result && result.reason).toContain('After 50 steps')
})

describe('what a node is asked and answers', () => {
  const value = Uint8Array.of(0, 255, 65)
  const entry = { key: 'a', value, contentType: 'text/plain', createRevision: 2, modRevision: 3, version: 2, lease: '' }

  test('becomes operations of the model', () => {
    const command = { op: 'put', key: 'a', value, contentType: '', condition: none, wantsPrevious: true } as const
    expect(inputOfCommand(command)).toEqual({
      op: 'put',
      key: 'a',
      value: '\u0000\u00ffA',
      contentType: '',
      condition: none,
    })
    const result = { kind: 'put', revision: 4, isCreated: false, previous: entry } as const
    expect(outputOfResult(result, true)).toEqual({
      kind: 'put',
      revision: 4,
      isCreated: false,
      previous: entryOf(entry),
    })
    expect(outputOfResult(result, false)).toEqual({ kind: 'put', revision: 4, isCreated: false })
    expect(outputOfRead({ entry: undefined, revision: 7, stalenessMs: undefined })).toEqual({
      kind: 'got',
      entry: undefined,
      revision: 7,
    })
  })

  test('tells long values apart', () => {
    const long = new Uint8Array(100_000)
    const other = Uint8Array.from(long)
    other[77_777] = 1
    expect(valueText(long)).not.toBe(valueText(other))
    expect(valueText(long)).toBe(valueText(Uint8Array.from(long)))
  })
})
