// Random logs against the naive model, and replicas against each other: whatever differs between nodes (how commands fell into
// entries, what was removed, in which order Maps were filled) must not show. fast-check prints the seed of a failure.
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Command, Condition } from '../../src/api/commands.ts'
import { recordShare } from '../../src/kv/digest.ts'
import { seekFromPointer, seekFromRecord } from '../../src/kv/skip-list.ts'
import type { SeekStep } from '../../src/kv/skip-list.ts'
import { addHash, hashToHex, ZERO_HASH } from '../../src/lib/hash.ts'
import type { KeyEntry } from '../../src/api/commands.ts'
import type { Hash64 } from '../../src/lib/hash.ts'
import { Model } from './model.ts'
import { compact, deletion, put, Replica } from './replica.ts'

const key = fc.constantFrom('a', 'b', 'c', '__proto__', '\xff')
const wantsPrevious = fc.boolean()
const condition: fc.Arbitrary<Condition> = fc.oneof(
  { weight: 6, arbitrary: fc.constant<Condition>({ kind: 'none' }) },
  { weight: 2, arbitrary: fc.nat({ max: 20 }).map((revision): Condition => ({ kind: 'revision', revision })) },
  { weight: 1, arbitrary: fc.constant<Condition>({ kind: 'exists' }) },
  { weight: 1, arbitrary: fc.constant<Condition>({ kind: 'never' }) },
)
const options = fc.record({ condition, wantsPrevious })
const command: fc.Arbitrary<Command> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc
      .tuple(key, fc.string({ maxLength: 3 }), fc.constantFrom('', 'text/plain'), options)
      .map(([key, value, contentType, options]) => put(key, value, { contentType, ...options })),
  },
  { weight: 3, arbitrary: fc.tuple(key, options).map(([key, options]) => deletion(key, options)) },
  { weight: 1, arbitrary: fc.nat({ max: 40 }).map(compact) },
)
const log = fc.array(fc.array(command, { minLength: 1, maxLength: 6 }), { maxLength: 20 })

/** A key as it was at a revision, found through the skip list. */
function readAt(replica: Replica, key: string, revision: number): KeyEntry | undefined {
  const pointer = replica.state.peek(key)
  let step: SeekStep = pointer === undefined ? { kind: 'absent' } : seekFromPointer(pointer, revision)
  while (step.kind === 'read') step = seekFromRecord(replica.state.record(step.at)!, revision)
  if (step.kind === 'absent') return undefined
  const record = replica.state.record(step.at)!
  return {
    key,
    value: record.value!,
    contentType: record.contentType,
    createRevision: record.createRevision,
    modRevision: record.at.revision,
    version: record.version,
    lease: '',
  }
}

function liveSum(replica: Replica): Hash64 {
  let sum = ZERO_HASH
  for (const key of replica.state.keys()) {
    const pointer = replica.state.peek(key)!
    if (!pointer.isTombstone) sum = addHash(sum, recordShare(replica.state.record(pointer.at)!))
  }
  return sum
}

describe('a random log', () => {
  test('has the results, the present and the past of the model', () => {
    fc.assert(
      fc.property(log, fc.boolean(), (log, isRemoving) => {
        const model = new Model()
        const replica = new Replica()
        for (const commands of log) {
          const expected = commands.map((command) => model.execute(command))
          expect(replica.entry(commands)).toEqual(expected)
          if (isRemoving) replica.state.removeHistory(replica.meta.compactRevision)
        }
        expect(replica.meta).toMatchObject({
          index: log.length,
          revision: model.revision,
          compactRevision: model.compactRevision,
          liveKeys: model.live.size,
        })
        expect(hashToHex(replica.meta.digest.live)).toBe(hashToHex(liveSum(replica)))
        for (let revision = Math.max(1, model.compactRevision); revision <= model.revision; revision++) {
          for (const key of ['a', 'b', 'c', '__proto__', '\xff'])
            expect(readAt(replica, key, revision), `${key} at ${revision}`).toEqual(model.at(revision).get(key))
        }
      }),
      { numRuns: 300 },
    )
  })

  test('A11: gives equal replicas however its commands fall into entries', () => {
    fc.assert(
      fc.property(log, (log) => {
        const commands = log.flat()
        const [batched, single, whole] = [new Replica(), new Replica(), new Replica()]
        const results = log.flatMap((commands) => batched.entry(commands))
        expect(commands.map((command) => single.do(command))).toEqual(results)
        expect(whole.entry(commands)).toEqual(results)
        for (const other of [single, whole]) {
          expect(other.changes).toEqual(batched.changes)
          expect(other.meta.digest).toEqual(batched.meta.digest)
          expect({ ...other.meta, index: 0, term: 0 }).toEqual({ ...batched.meta, index: 0, term: 0 })
        }
      }),
    )
  })

  test('A5: gives equal replicas whatever order their Maps were filled in, and whenever history is removed', () => {
    fc.assert(
      fc.property(log, log, (before, after) => {
        const plain = new Replica()
        for (const commands of before) plain.entry(commands)
        const restored = new Replica(plain.state.reversed(), plain.meta)
        plain.changes.length = 0
        for (const commands of after) {
          expect(restored.entry(commands)).toEqual(plain.entry(commands))
          restored.state.removeHistory(restored.meta.compactRevision)
        }
        expect(restored.changes).toEqual(plain.changes)
        expect(restored.meta).toEqual(plain.meta)
      }),
    )
  })
})
