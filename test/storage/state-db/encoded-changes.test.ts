// Changes that wait for their batch, as bytes: what is decoded is what was added, in the order and at the places of its revisions.
import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Change } from '../../../src/kv/types.ts'
import { EncodedChanges, recordsOf } from '../../../src/storage/state-db/encoded-changes.ts'
import { pointerKey, recordKey } from '../../../src/storage/state-db/keys.ts'
import { decodePointer, decodeRecord } from '../../../src/storage/state-db/record-codec.ts'

interface Written {
  readonly key: string
  readonly value: Buffer | undefined
  readonly step: number
  readonly isSameRevision: boolean
}

const written: fc.Arbitrary<Written> = fc.record({
  key: fc.constantFrom('a', 'b', 'a longer key', '\u00ff\u0000'),
  value: fc.option(
    fc.uint8Array({ maxLength: 6_000 }).map((bytes) => Buffer.from(bytes)),
    { nil: undefined },
  ),
  step: fc.integer({ min: 1, max: 3 }),
  isSameRevision: fc.boolean(),
})

function changesOf(steps: readonly Written[]): Change[] {
  let at = { revision: 2 ** 33, sub: 0 }
  return steps.map(({ key, value, step, isSameRevision }) => {
    at = isSameRevision ? { ...at, sub: at.sub + step } : { revision: at.revision + step, sub: 0 }
    const isTombstone = value === undefined
    const common = { at, createRevision: isTombstone ? 0 : 7, version: isTombstone ? 0 : 3 }
    const skips = [{ revision: 5, sub: 1 }]
    return {
      pointer: { ...common, changes: 4, isTombstone, skips, digest: { hi: -5, lo: 9 } },
      record: { ...common, key, value, contentType: 'text/plain', lease: '', predecessor: undefined, skip: skips[0] },
    }
  })
}

/** Some of them added one by one, the rest by way of another list that was in use before. */
function encoded(changes: readonly Change[], own: number): EncodedChanges {
  const all = new EncodedChanges()
  for (const change of changes.slice(0, own)) all.add(change)
  const others = new EncodedChanges()
  for (const change of changes) others.add(change)
  others.clear(4_096)
  for (const change of changes.slice(own)) others.add(change)
  all.append(others)
  others.clear(4_096)
  for (const change of changes) others.add(change)
  return all
}

const steps = fc.array(written, { minLength: 1, maxLength: 40 })

describe('encoded changes', () => {
  it('give back every change, decoded and as it will be stored', () => {
    fc.assert(
      fc.property(steps, fc.nat({ max: 40 }), (all, own) => {
        const changes = changesOf(all)
        const list = encoded(changes, own)
        expect(list.count).toBe(changes.length)
        for (const [n, { pointer, record }] of changes.entries()) {
          expect(list.key(n)).toBe(record.key)
          expect(list.at(n)).toEqual(record.at)
          expect(list.slot(n).pointer).toEqual(pointer)
          expect(list.slot(n).record).toEqual(record)
          expect(list.recordKey(n)).toEqual(recordKey(record.at))
          expect(list.pointerKey(n)).toEqual(pointerKey(record.key))
          expect(decodeRecord(list.recordKey(n), list.storedRecord(n))).toEqual(record)
          expect(decodePointer(list.pointerKey(n), list.storedPointer(n))).toEqual(pointer)
        }
        expect([...recordsOf([{ changes: list, from: 0, to: list.count }])]).toEqual(
          changes.map(({ record }) => record),
        )
      }),
    )
  })

  it('find a change by its revision, and where those from a revision on begin', () => {
    fc.assert(
      fc.property(steps, fc.nat({ max: 40 }), fc.nat({ max: 120 }), fc.nat({ max: 3 }), (all, own, ahead, sub) => {
        const changes = changesOf(all)
        const list = encoded(changes, own)
        const at = { revision: 2 ** 33 + ahead, sub }
        const isBelow = ({ record }: Change): boolean =>
          record.at.revision < at.revision || (record.at.revision === at.revision && record.at.sub < at.sub)
        expect(list.lowerBound(at)).toBe(changes.filter(isBelow).length)
        const there = changes.find(({ record }) => record.at.revision === at.revision && record.at.sub === at.sub)
        expect(list.find(at)).toEqual(there?.record)
      }),
    )
  })

  it('give records that do not change when the list begins anew', () => {
    const [change] = changesOf([{ key: 'a', value: Buffer.from('before'), step: 1, isSameRevision: false }])
    const list = new EncodedChanges()
    list.add(change!)
    const { record } = list.slot(0)
    list.clear(4_096)
    for (const other of changesOf([{ key: 'b', value: Buffer.from('behind'), step: 1, isSameRevision: false }]))
      list.add(other)
    expect(record).toEqual(change!.record)
  })

  it('count the bytes of what they hold', () => {
    const list = new EncodedChanges()
    const before = list.sizeBytes
    for (const change of changesOf([{ key: 'a', value: Buffer.alloc(5_000), step: 1, isSameRevision: false }]))
      list.add(change)
    expect(list.sizeBytes - before).toBeGreaterThan(5_000)
    expect(list.sizeBytes - before).toBeLessThan(5_500)
  })
})
