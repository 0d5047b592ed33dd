// Arbitrary commands over so few keys, leases, sessions and locks that they meet each other all the time.
import * as fc from 'fast-check'
import { NO_CONDITION } from '../../src/api/commands.ts'
import type { Command, Compare, Condition, KeyRange, Once, TxnOperation } from '../../src/api/commands.ts'
import { rangeOfKey, rangeOfPrefix } from '../../src/api/ranges.ts'

export const KEYS = ['a', 'ab', 'b', 'c', '__proto__', '\xff'] as const
export const SESSIONS = ['00000000000000a1', 'ffffffffffffffff'] as const
export const LEASES = ['0000000000000001', '7fffffffffffffff', '00000000000000ff'] as const
const key = fc.constantFrom(...KEYS)
const lease = fc.constantFrom(...LEASES)
const session = fc.constantFrom(...SESSIONS)
const ttlMs = fc.oneof(fc.integer({ min: 1, max: 40 }), fc.integer({ min: 100, max: 5_000 }))
const bytes = (text: string): Buffer => Buffer.from(text, 'latin1')
const value = fc.constantFrom('', '1', '-7', 'x', '9223372036854775807', 'zz').map(bytes)
const contentType = fc.constantFrom('', 'text/plain')

const rarely = <T>(arbitrary: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> =>
  fc.oneof({ weight: 4, arbitrary: fc.constant(undefined) }, { weight: 1, arbitrary })

const range: fc.Arbitrary<KeyRange> = fc.oneof(
  key.map(rangeOfKey),
  fc.constantFrom('', 'a', '_').map(rangeOfPrefix),
  fc.tuple(key, key).map(([from, to]) => ({ from, to })),
  key.map((from) => ({ from, to: undefined })),
)

const condition: fc.Arbitrary<Condition> = fc.oneof(
  { weight: 6, arbitrary: fc.constant(NO_CONDITION) },
  { weight: 2, arbitrary: fc.nat({ max: 20 }).map((revision): Condition => ({ kind: 'revision', revision })) },
  { weight: 1, arbitrary: fc.constant<Condition>({ kind: 'exists' }) },
  { weight: 1, arbitrary: fc.constant<Condition>({ kind: 'never' }) },
)

const mortal = fc.oneof(
  { weight: 3, arbitrary: fc.constant({}) },
  { weight: 1, arbitrary: lease.map((lease) => ({ lease })) },
  { weight: 1, arbitrary: ttlMs.map((ttlMs) => ({ ttlMs })) },
)

const innerPut = fc
  .tuple(key, value, contentType, fc.boolean(), mortal)
  .map(([key, value, contentType, wantsPrevious, mortal]) =>
    Object.assign({ op: 'put' as const, key, value, contentType, condition: NO_CONDITION, wantsPrevious }, mortal),
  )
const innerDelete = fc.record({
  op: fc.constant('delete' as const),
  key,
  condition: fc.constant(NO_CONDITION),
  wantsPrevious: fc.boolean(),
})
const innerAdd = fc.record({
  op: fc.constant('add' as const),
  key,
  by: fc.constantFrom(1n, -1n, 9223372036854775807n),
  condition: fc.constant(NO_CONDITION),
})
const deleteRange = fc.record({ op: fc.constant('delete-range' as const), range })
const get = fc.record({
  op: fc.constant('get' as const),
  range,
  limit: fc.integer({ min: 1, max: 4 }),
  reverse: fc.boolean(),
  keysOnly: fc.boolean(),
  countOnly: fc.boolean(),
})

const operator = fc.constantFrom('=' as const, '!=' as const, '<' as const, '>' as const)
const compare: fc.Arbitrary<Compare> = fc.oneof(
  fc.record({
    range,
    operator,
    target: fc.constantFrom('version' as const, 'createRevision' as const, 'modRevision' as const),
    operand: fc.nat({ max: 9 }),
  }),
  fc.record({ range, operator, target: fc.constant('value' as const), operand: value }),
  fc.record({ range, operator, target: fc.constant('lease' as const), operand: fc.oneof(lease, fc.constant('')) }),
)

const { txn } = fc.letrec<{ txn: TxnOperation & { op: 'txn' }; operation: TxnOperation }>((tie) => ({
  operation: fc.oneof(
    { maxDepth: 2, withCrossShrink: true },
    innerPut,
    innerPut,
    innerDelete,
    deleteRange,
    get,
    get,
    innerAdd,
    tie('txn'),
  ),
  txn: fc.record({
    op: fc.constant('txn' as const),
    compares: fc.array(compare, { maxLength: 2 }),
    success: fc.array(tie('operation'), { maxLength: 5 }),
    failure: fc.array(tie('operation'), { maxLength: 3 }),
  }),
}))

const fence = fc.record({ lock: fc.constantFrom('l', 'm'), token: fc.integer({ min: 1, max: 4 }) })

const once: fc.Arbitrary<Once> = fc.oneof(
  fc.tuple(session, fc.integer({ min: 1, max: 30 }), fc.nat({ max: 30 })).map(([session, sequence, below]): Once => {
    const acknowledgedBelow = Math.min(sequence, below) % 12
    return { kind: 'session', session, sequence, acknowledgedBelow }
  }),
  fc.record({
    kind: fc.constant('key' as const),
    key: fc.constantFrom('u/1', 'u/2', '__proto__'),
    fingerprint: fc.constantFrom('00000000000000f1', '00000000000000f2'),
  }),
)

const keyCommand: fc.Arbitrary<Command> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.tuple(innerPut, condition).map(([put, condition]) => Object.assign({}, put, { condition })),
  },
  {
    weight: 2,
    arbitrary: fc
      .tuple(innerDelete, condition)
      .map(([deletion, condition]) => Object.assign({}, deletion, { condition })),
  },
  {
    weight: 2,
    arbitrary: fc.tuple(innerAdd, condition).map(([add, condition]) => Object.assign({}, add, { condition })),
  },
  { weight: 1, arbitrary: deleteRange },
  { weight: 5, arbitrary: txn },
)
const guarded = fc
  .tuple(keyCommand, rarely(fence))
  .map(([command, fence]): Command =>
    fence === undefined ? command : (Object.assign({}, command, { fence }) as Command),
  )

const kind = fc.constantFrom('lock' as const, 'lock' as const, 'election' as const)
const name = fc.constantFrom('l', 'l', 'l', 'm')
const token = fc.integer({ min: 1, max: 4 })
const repeatableSide: fc.Arbitrary<Command> = fc.oneof(
  fc.record({ op: fc.constant('lease-grant' as const), lease, ttlMs }),
  fc.record({ op: fc.constant('lease-keep-alive' as const), lease }),
  fc.record({ op: fc.constant('lease-revoke' as const), lease }),
  fc.record({
    op: fc.constant('lock' as const),
    kind,
    name,
    lease: fc.constantFrom('00000000000000c1', '00000000000000c2', '00000000000000c3', LEASES[0]),
    ttlMs,
    waitMs: fc.constantFrom(0, 20, 60),
    owner: fc.constantFrom('', 'ö'),
    value: fc.constant(bytes('')),
  }),
  fc.record({ op: fc.constant('unlock' as const), kind, name, token }),
  fc.record({ op: fc.constant('unlock' as const), kind, name, token, onlyWaiting: fc.constant(true as const) }),
  fc.record({ op: fc.constant('proclaim' as const), name, token, value: fc.constantFrom('x', 'y').map(bytes) }),
  fc.record({ op: fc.constant('compact' as const), revision: fc.nat({ max: 20 }) }),
)
const side: fc.Arbitrary<Command> = fc.oneof(
  { weight: 5, arbitrary: fc.record({ op: fc.constant('session-open' as const), session, ttlMs }) },
  { weight: 1, arbitrary: fc.record({ op: fc.constant('session-keep-alive' as const), session }) },
  { weight: 1, arbitrary: fc.record({ op: fc.constant('session-close' as const), session }) },
)

export const anyCommand: fc.Arbitrary<Command> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc
      .tuple(fc.oneof({ weight: 3, arbitrary: guarded }, { weight: 2, arbitrary: repeatableSide }), rarely(once))
      .map(([command, once]) => (once === undefined ? command : (Object.assign({}, command, { once }) as Command))),
  },
  { weight: 1, arbitrary: side },
)
