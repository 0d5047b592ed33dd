// Random logs against the naive model, and replicas against each other: whatever differs between nodes (how commands fell into
// entries, what was removed, when one was restarted, in which order Maps were filled) must not show. fast-check prints the seed.
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Command, CommandResult, KeyEntry } from '../../src/api/commands.ts'
import { decodeResult, encodeResult } from '../../src/api/result-codec.ts'
import { recordShare, rowShare } from '../../src/kv/digest.ts'
import { seekFromPointer, seekFromRecord } from '../../src/kv/skip-list.ts'
import type { SeekStep } from '../../src/kv/skip-list.ts'
import { addHash, hashToHex, ZERO_HASH } from '../../src/lib/hash.ts'
import type { Hash64 } from '../../src/lib/hash.ts'
import type { KvMeta } from '../../src/kv/types.ts'
import { anyCommand, KEYS, LEASES, SESSIONS } from './command-samples.ts'
import { Model } from './model.ts'
import { Replica } from './replica.ts'

interface Step {
  readonly commands: readonly Command[]
  readonly elapsedMs: number
  readonly isExpiring: boolean
  readonly isRestarting: boolean
}

const log = fc.array(
  fc.record<Step>({
    commands: fc.array(anyCommand, { minLength: 1, maxLength: 8 }),
    elapsedMs: fc.oneof(fc.constant(0), fc.nat({ max: 30 }), fc.constant(600_000)),
    isExpiring: fc.boolean(),
    isRestarting: fc.boolean(),
  }),
  { maxLength: 12 },
)

/** A repeat is answered from bytes; the kind of array that a value is in must not matter. */
const asDecoded = (result: CommandResult): CommandResult => decodeResult(encodeResult(result))

/** What the leader would propose: first what is due, then the commands. */
function commandsOf(step: Step, replica: Replica, nowMs: number): readonly Command[] {
  const due = step.isExpiring ? replica.machine.side.due(nowMs) : undefined
  return due === undefined ? step.commands : [due, ...step.commands]
}

/** A key as it was at a revision, found through the skip list. */
function readAt(replica: Replica, key: string, revision: number): KeyEntry | undefined {
  const pointer = replica.state.peek(key)
  let step: SeekStep = pointer === undefined ? { kind: 'absent' } : seekFromPointer(pointer, revision)
  while (step.kind === 'read') step = seekFromRecord(replica.state.record(step.at)!, revision)
  if (step.kind === 'absent') return undefined
  const { value, contentType, createRevision, at, version, lease } = replica.state.record(step.at)!
  return { key, value: value!, contentType, createRevision, modRevision: at.revision, version, lease }
}

function liveSum(replica: Replica): Hash64 {
  let sum = ZERO_HASH
  for (const key of replica.state.keys()) {
    const pointer = replica.state.peek(key)!
    if (!pointer.isTombstone) sum = addHash(sum, recordShare(replica.state.record(pointer.at)!))
  }
  for (const [key, value] of replica.state.rows()) sum = addHash(sum, rowShare(key, value))
  return sum
}

function expectSide(replica: Replica, model: Model): void {
  const { side } = replica.machine
  const { leases, places, sessions, live } = model.state
  expect(side.leases()).toEqual(
    [...leases]
      .map(([lease, { ttlMs, expiresAtMs }]) => {
        const keys = [...live.values()].filter((entry) => entry.lease === lease).map(({ key }) => key)
        return { lease, ttlMs, expiresAtMs, keyCount: keys.length, keys: keys.sort() }
      })
      .sort((a, b) => (a.lease < b.lease ? -1 : 1)),
  )
  for (const id of SESSIONS) expect(side.session(id)?.expiresAtMs).toBe(sessions.get(id)?.expiresAtMs)
  for (const id of LEASES) expect(side.lease(id)?.expiresAtMs).toBe(leases.get(id)?.expiresAtMs)
  for (const kind of ['lock', 'election'] as const) {
    for (const name of ['l', 'm']) {
      const [holder, ...queue] = places.filter(({ lock }) => lock === `${kind} ${name}`)
      const shown = [holder, ...queue].map(
        (place) => place && { token: place.token, lease: place.lease, owner: place.owner, value: place.value },
      )
      const actual = side.lock(kind, name)
      expect([actual.holder, ...actual.queue]).toEqual(shown)
    }
  }
  const expiries = [...leases.values(), ...sessions.values()].map(({ expiresAtMs }) => expiresAtMs)
  expect(side.nextExpiryMs).toBe(expiries.length === 0 ? undefined : Math.min(...expiries))
}

const counters = (meta: KvMeta): KvMeta => ({ ...meta, index: 0, term: 0 })

/** Ids of private leases and the order of idempotency keys follow from the index of the entry. */
function isIndependent(command: Command): boolean {
  const text = JSON.stringify(command, (_key, value: unknown) => (typeof value === 'bigint' ? String(value) : value))
  return !text.includes('"ttlMs"') && !('once' in command && command.once?.kind === 'key')
}

describe('a random log', () => {
  test('A3, A14: has the results, the changes, the present and the past of the model, also through restarts', () => {
    fc.assert(
      fc.property(log, fc.boolean(), (log, isRemoving) => {
        const model = new Model()
        const replica = new Replica()
        let nowMs = 0
        for (const step of log) {
          nowMs += step.elapsedMs
          const commands = commandsOf(step, replica, nowMs)
          expect(replica.entry(commands, nowMs).map(asDecoded)).toEqual(model.entry(commands, nowMs).map(asDecoded))
          expectSide(replica, model)
          if (isRemoving) replica.state.removeHistory(replica.meta.compactRevision)
          if (step.isRestarting) replica.restart()
        }
        expect(replica.meta).toMatchObject({
          index: log.length,
          revision: model.revision,
          compactRevision: model.compactRevision,
          liveKeys: model.live.size,
          lastToken: model.state.lastToken,
        })
        expect(
          replica.changes.map(({ record }) => [
            record.key,
            record.at.revision,
            record.at.sub,
            record.value,
            record.lease,
          ]),
        ).toEqual(
          model.state.changes.map(({ key, revision, sub, entry }) => [
            key,
            revision,
            sub,
            entry?.value,
            entry?.lease ?? '',
          ]),
        )
        expect(hashToHex(replica.meta.digest.live)).toBe(hashToHex(liveSum(replica)))
        for (let revision = Math.max(1, model.compactRevision); revision <= model.revision; revision++) {
          for (const key of KEYS)
            expect(readAt(replica, key, revision), `${key} at ${revision}`).toEqual(model.at(revision).get(key))
        }
      }),
      { numRuns: 100 },
    )
  })

  test('A3, A5: gives a replica that was restarted anywhere, with its Maps filled in another order, no other state', () => {
    fc.assert(
      fc.property(log, (log) => {
        const plain = new Replica()
        let restored = new Replica()
        let nowMs = 0
        for (const step of log) {
          nowMs += step.elapsedMs
          const commands = commandsOf(step, plain, nowMs)
          expect(commandsOf(step, restored, nowMs)).toEqual(commands)
          const { length } = plain.changes
          expect(restored.entry(commands, nowMs)).toEqual(plain.entry(commands, nowMs))
          expect(restored.changes).toEqual(plain.changes.slice(length))
          expect(restored.lockChanges).toEqual(plain.lockChanges)
          expect(restored.meta).toEqual(plain.meta)
          expect([...restored.state.rows()]).toEqual([...plain.state.rows()])
          restored.state.removeHistory(restored.meta.compactRevision)
          restored = new Replica(restored.state.reversed(), restored.meta)
          plain.lockChanges.length = 0
        }
      }),
      { numRuns: 60 },
    )
  })

  test('A11: gives equal replicas however its commands fall into entries', () => {
    fc.assert(
      fc.property(fc.array(fc.array(anyCommand, { minLength: 1, maxLength: 6 }), { maxLength: 10 }), (log) => {
        const entries = log.map((commands) => commands.filter(isIndependent)).filter(({ length }) => length > 0)
        const [batched, single, whole] = [new Replica(), new Replica(), new Replica()]
        const results: CommandResult[] = entries.flatMap((commands) => batched.entry(commands))
        expect(entries.flat().map((command) => single.do(command))).toEqual(results)
        expect(whole.entry(entries.flat())).toEqual(results)
        for (const other of [single, whole]) {
          expect(other.changes).toEqual(batched.changes)
          expect(counters(other.meta)).toEqual(counters(batched.meta))
          expect([...other.state.rows()]).toEqual([...batched.state.rows()])
        }
      }),
      { numRuns: 60 },
    )
  })
})
