// What the codec's tests share: arbitrary commands and batches, and the plain way from a batch to its bytes.
import * as fc from 'fast-check'
import { encodeCommand, encodeEntry } from '../../src/api/command-codec.ts'
import type { ClientCommand, Command, Condition, EntryBatch, GroupTag } from '../../src/api/commands.ts'
import { ByteWriter, keyFromBytes } from '../../src/lib/bytes.ts'

const latin1 = (size: { minLength: number; maxLength: number }): fc.Arbitrary<string> =>
  fc.uint8Array(size).map((bytes) => keyFromBytes(bytes))

const condition: fc.Arbitrary<Condition> = fc.oneof(
  fc.constant<Condition>({ kind: 'none' }),
  fc.constant<Condition>({ kind: 'exists' }),
  fc.constant<Condition>({ kind: 'never' }),
  fc.maxSafeNat().map((revision): Condition => ({ kind: 'revision', revision })),
)

export const clientCommand: fc.Arbitrary<ClientCommand> = fc.oneof(
  fc.record({
    op: fc.constant('put' as const),
    key: latin1({ minLength: 1, maxLength: 200 }),
    value: fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes)),
    contentType: latin1({ minLength: 0, maxLength: 255 }),
    condition,
    wantsPrevious: fc.boolean(),
  }),
  fc.record({
    op: fc.constant('delete' as const),
    key: latin1({ minLength: 1, maxLength: 200 }),
    condition,
    wantsPrevious: fc.boolean(),
  }),
)

export const command: fc.Arbitrary<Command> = fc.oneof(
  { weight: 5, arbitrary: clientCommand },
  { weight: 1, arbitrary: fc.record({ op: fc.constant('compact' as const), revision: fc.maxSafeNat() }) },
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
