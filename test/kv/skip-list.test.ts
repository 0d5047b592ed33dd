// The skip list: the chain is the one documented, for every length, and any past change is found in O(log² n) reads.
import { describe, expect, test } from 'vitest'
import { nextSkips, seekFromPointer, seekFromRecord } from '../../src/kv/skip-list.ts'
import type { SeekStep } from '../../src/kv/skip-list.ts'
import type { KeyPointer, KeyRecord } from '../../src/kv/types.ts'
import { ZERO_HASH } from '../../src/lib/hash.ts'

const LENGTH = 5_000
/** Change number v happens at this revision: gaps between them, so that most revisions fall between two changes. */
const revisionOf = (v: number): number => 10 + 3 * v
/** Every seventh change is a deletion. */
const isTombstone = (v: number): boolean => v % 7 === 0

interface History {
  readonly pointers: KeyPointer[]
  readonly records: Map<number, KeyRecord>
}

/** The pointers after 1, 2, ... changes and all records, built as apply builds them. */
function build(length: number): History {
  const pointers: KeyPointer[] = []
  const records = new Map<number, KeyRecord>()
  for (let v = 1; v <= length; v++) {
    const last = pointers.at(-1)
    const at = { revision: revisionOf(v), sub: 0 }
    const skips = nextSkips(last)
    const pointer = {
      at,
      createRevision: 1,
      version: 1,
      changes: v,
      isTombstone: isTombstone(v),
      skips,
      digest: ZERO_HASH,
    }
    pointers.push(pointer)
    records.set(at.revision, {
      at,
      key: 'k',
      value: isTombstone(v) ? undefined : Buffer.of(),
      contentType: '',
      createRevision: 1,
      version: 1,
      lease: '',
      predecessor: last && { ...last.at, isTombstone: last.isTombstone },
      skip: skips[0],
    })
  }
  return { pointers, records }
}

const { pointers, records } = build(LENGTH)

/** Clears the lowest set bits of v one after another: the definition. */
function chainBelow(v: number): number[] {
  const chain: number[] = []
  for (let rest = v & (v - 1); rest > 0; rest &= rest - 1) chain.push(rest)
  return chain
}

function seek(pointer: KeyPointer, revision: number): { step: SeekStep; reads: number } {
  let step = seekFromPointer(pointer, revision)
  let reads = 0
  for (; step.kind === 'read'; reads++) step = seekFromRecord(records.get(step.at.revision)!, revision)
  return { step, reads }
}

describe('the skips', () => {
  test('of every change number from 1 to 5,000 are its own with the lowest bits cleared one after another', () => {
    for (const { changes, skips } of pointers)
      expect(skips.map((skip) => (skip.revision - 10) / 3)).toEqual(chainBelow(changes))
  })

  test('are at most one for each bit', () => {
    for (const { changes, skips } of pointers) expect(skips.length).toBeLessThanOrEqual(Math.log2(changes))
  })

  test('go on beyond 2^31 changes', () => {
    const at = { revision: 1, sub: 0 }
    const skips = Array.from({ length: 31 }, (_, n) => ({ revision: n, sub: 0 }))
    const before = { ...pointers[0]!, at, skips }
    expect(nextSkips({ ...before, changes: 2 ** 32 - 1 })).toEqual([])
    expect(nextSkips({ ...before, changes: 2 ** 33, skips: [] })).toEqual([at])
  })

  test('that are too few for the change number are a broken invariant', () => {
    expect(() => nextSkips({ ...pointers[0]!, changes: 7, skips: [] })).toThrow(/too few/)
  })
})

describe('a search for the past', () => {
  test('finds the change that was current at every revision, in at most log² reads', () => {
    const bits = Math.ceil(Math.log2(LENGTH))
    let readsMax = 0
    for (const length of [1, 2, 3, 64, 127, 1_000, 4_096, LENGTH]) {
      const pointer = pointers[length - 1]!
      for (let revision = 0; revision <= revisionOf(length) + 2; revision++) {
        const current = Math.min(length, Math.floor((revision - 10) / 3))
        const { step, reads } = seek(pointer, revision)
        readsMax = Math.max(readsMax, reads)
        if (current < 1 || isTombstone(current)) expect(step, `${revision} of ${length}`).toEqual({ kind: 'absent' })
        else expect(step).toEqual({ kind: 'found', at: { revision: revisionOf(current), sub: 0 } })
      }
    }
    expect(readsMax).toBeLessThanOrEqual((bits * (bits + 1)) / 2)
  })

  test('never reads what compaction may have removed: a record at or below the revision', () => {
    const pointer = pointers.at(-1)!
    for (let revision = 0; revision <= pointer.at.revision; revision += 7) {
      let step = seekFromPointer(pointer, revision)
      while (step.kind === 'read') {
        expect(step.at.revision).toBeGreaterThan(revision)
        step = seekFromRecord(records.get(step.at.revision)!, revision)
      }
    }
  })
})
