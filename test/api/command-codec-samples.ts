// What the codec's tests share: arbitrary commands and batches, and the plain way from a batch to its bytes.
import * as fc from 'fast-check'
import { encodeCommand, encodeEntry } from '../../src/api/command-codec.ts'
import { NO_CONDITION } from '../../src/api/commands.ts'
import type {
  ClientCommand,
  Command,
  Compare,
  Condition,
  EntryBatch,
  GroupTag,
  KeyRange,
  Once,
  TxnCommand,
  TxnGet,
  TxnOperation,
} from '../../src/api/commands.ts'
import { ByteWriter, keyFromBytes } from '../../src/lib/bytes.ts'

const latin1 = (size: { minLength: number; maxLength: number }): fc.Arbitrary<string> =>
  fc.uint8Array(size).map((bytes) => keyFromBytes(bytes))

const condition: fc.Arbitrary<Condition> = fc.oneof(
  fc.constant<Condition>({ kind: 'none' }),
  fc.constant<Condition>({ kind: 'exists' }),
  fc.constant<Condition>({ kind: 'never' }),
  fc.maxSafeNat().map((revision): Condition => ({ kind: 'revision', revision })),
)

const id = fc.uint8Array({ minLength: 8, maxLength: 8 }).map((bytes) => Buffer.from(bytes).toString('hex'))
const lease = fc.bigInt({ min: 1n, max: 2n ** 63n - 1n }).map((id) => id.toString(16).padStart(16, '0'))
const key = latin1({ minLength: 1, maxLength: 200 })
const name = latin1({ minLength: 1, maxLength: 50 })
const value = fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes))
const ttlMs = fc.integer({ min: 1, max: 315_360_000_000 })
const positive = fc.maxSafeNat().filter((number) => number > 0)

/** The fields that may be left out. */
const perhaps = <T extends object>(fields: fc.Arbitrary<T>): fc.Arbitrary<T | object> =>
  fc.oneof({ weight: 2, arbitrary: fc.constant({}) }, { weight: 1, arbitrary: fields })

export const once: fc.Arbitrary<Once> = fc.oneof(
  fc.tuple(id, positive, fc.maxSafeNat()).map(([session, a, b]): Once => ({
    kind: 'session',
    session,
    sequence: Math.max(a, b),
    acknowledgedBelow: Math.min(a, b),
  })),
  fc.record({ kind: fc.constant('key' as const), key: latin1({ minLength: 1, maxLength: 384 }), fingerprint: id }),
)
const fence = fc.record({ lock: name, token: positive })
const repeatable = perhaps(fc.record({ once }))
const guarded = perhaps(fc.oneof(fc.record({ once }), fc.record({ fence }), fc.record({ once, fence })))

/** Puts the parts of a command together; only these commands are ever spelled in parts. */
const merge = <T>(...parts: fc.Arbitrary<object>[]): fc.Arbitrary<T> =>
  fc.tuple(...parts).map((parts) => Object.assign({}, ...parts) as T)

const range: fc.Arbitrary<KeyRange> = fc.record({
  from: latin1({ minLength: 0, maxLength: 50 }),
  to: fc.oneof(fc.constant(undefined), key),
})

const plainPut = fc.record({
  op: fc.constant('put' as const),
  key,
  value,
  contentType: latin1({ minLength: 0, maxLength: 255 }),
  wantsPrevious: fc.boolean(),
})
const mortal = perhaps(fc.oneof(fc.record({ lease }), fc.record({ ttlMs })))
const plainDelete = fc.record({ op: fc.constant('delete' as const), key, wantsPrevious: fc.boolean() })
const plainDeleteRange = fc.record({ op: fc.constant('delete-range' as const), range })
const plainAdd = fc.record({
  op: fc.constant('add' as const),
  key,
  by: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
})
const conditional = fc.record({ condition })
const unconditional = fc.constant({ condition: NO_CONDITION })

const get: fc.Arbitrary<TxnGet> = fc.record({
  op: fc.constant('get' as const),
  range,
  limit: fc.integer({ min: 1, max: 1000 }),
  reverse: fc.boolean(),
  keysOnly: fc.constant(false),
  countOnly: fc.boolean(),
})
const operator = fc.constantFrom('=' as const, '!=' as const, '<' as const, '>' as const)
const compare: fc.Arbitrary<Compare> = fc.oneof(
  fc.record({
    range,
    operator,
    target: fc.constantFrom('version' as const, 'createRevision' as const, 'modRevision' as const),
    operand: fc.maxSafeNat(),
  }),
  fc.record({ range, operator, target: fc.constant('value' as const), operand: value }),
  fc.record({ range, operator, target: fc.constant('lease' as const), operand: fc.oneof(lease, fc.constant('')) }),
)

/** Of any shape; most of them write some key twice. */
const { txn } = fc.letrec<{ txn: TxnCommand; operation: TxnOperation }>((tie) => ({
  operation: fc.oneof(
    { maxDepth: 3 },
    merge<TxnOperation>(plainPut, mortal, unconditional),
    merge<TxnOperation>(plainDelete, unconditional),
    plainDeleteRange,
    merge<TxnOperation>(plainAdd, unconditional),
    get,
    tie('txn'),
  ),
  txn: fc.record({
    op: fc.constant('txn' as const),
    compares: fc.array(compare, { maxLength: 3 }),
    success: fc.array(tie('operation'), { maxLength: 4 }),
    failure: fc.array(tie('operation'), { maxLength: 3 }),
  }),
}))

/** What checks nothing but its own fields. */
export const singleCommand: fc.Arbitrary<ClientCommand> = fc.oneof(
  { weight: 6, arbitrary: merge<ClientCommand>(plainPut, conditional) },
  { weight: 3, arbitrary: merge<ClientCommand>(plainDelete, conditional) },
  merge<ClientCommand>(plainPut, conditional, mortal, guarded),
  merge<ClientCommand>(plainDelete, conditional, guarded),
  merge<ClientCommand>(plainDeleteRange, guarded),
  merge<ClientCommand>(plainAdd, conditional, guarded),
  merge<ClientCommand>(fc.record({ op: fc.constant('compact'), revision: fc.maxSafeNat() }), repeatable),
  merge<ClientCommand>(fc.record({ op: fc.constant('lease-grant'), lease, ttlMs }), repeatable),
  merge<ClientCommand>(fc.record({ op: fc.constantFrom('lease-keep-alive', 'lease-revoke'), lease }), repeatable),
  merge<ClientCommand>(
    fc.record({ op: fc.constant('lock'), name, lease, ttlMs, owner: fc.string({ maxLength: 50, unit: 'grapheme' }) }),
    fc.record({ waitMs: fc.nat({ max: 86_400_000 }) }),
    fc.oneof(
      fc.record({ kind: fc.constant('election'), value }),
      fc.constant({ kind: 'lock', value: Buffer.alloc(0) }),
    ),
    repeatable,
  ),
  merge<ClientCommand>(
    fc.record(
      {
        op: fc.constant('unlock'),
        kind: fc.constantFrom('lock', 'election'),
        name,
        token: positive,
        onlyWaiting: fc.constant(true),
      },
      { requiredKeys: ['op', 'kind', 'name', 'token'] },
    ),
    repeatable,
  ),
  merge<ClientCommand>(fc.record({ op: fc.constant('proclaim'), name, token: positive, value }), repeatable),
  merge<ClientCommand>(
    fc.record({ op: fc.constant('session-open'), session: id, ttlMs: fc.integer({ min: 1, max: 86_400_000 }) }),
  ),
  merge<ClientCommand>(fc.record({ op: fc.constantFrom('session-keep-alive', 'session-close'), session: id })),
)

export const command: fc.Arbitrary<Command> = fc.oneof(
  { weight: 8, arbitrary: singleCommand },
  { weight: 2, arbitrary: merge<Command>(txn, guarded) },
  {
    weight: 1,
    arbitrary: fc.record({
      op: fc.constant('expire' as const),
      leases: fc.array(id, { maxLength: 3 }),
      sessions: fc.array(id, { maxLength: 3 }),
    }),
  },
)

const tag: fc.Arbitrary<GroupTag> = fc.record({
  member: fc.uint8Array({ minLength: 8, maxLength: 8 }).map((bytes) => Buffer.from(bytes).toString('hex')),
  boot: fc.integer({ min: 0, max: 2 ** 48 - 1 }),
  number: fc.maxSafeNat(),
})

export const batch: fc.Arbitrary<EntryBatch> = fc.record({
  clusterTimeMs: fc.maxSafeNat(),
  groups: fc.array(fc.record({ tag, commands: fc.array(command, { minLength: 1, maxLength: 5 }) }), { maxLength: 4 }),
})

export function encodeCommands(commands: readonly Command[]): Buffer {
  const writer = new ByteWriter(1)
  for (const command of commands) encodeCommand(writer, command)
  return writer.finish()
}

export const encodeBatch = ({ clusterTimeMs, groups }: EntryBatch): Buffer =>
  encodeEntry({ clusterTimeMs, groups: groups.map(({ tag, commands }) => ({ tag, body: encodeCommands(commands) })) })
