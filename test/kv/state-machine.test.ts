// The rules of puts, deletes, conditions and compaction, one claim each. The model test covers their combinations.
import { afterEach, describe, expect, test, vi } from 'vitest'
import type { GroupTag } from '../../src/api/commands.ts'
import { DecodeError } from '../../src/lib/bytes.ts'
import { ZERO_HASH } from '../../src/lib/hash.ts'
import { initialMeta, KvStateMachine } from '../../src/kv/index.ts'
import { encodeBatch } from '../api/command-codec-samples.ts'
import { atRevision, compact, deletion, put, Replica } from './replica.ts'

const tag = (number: number): GroupTag => ({ member: '00000000000000b2', boot: 2, number })
const poison = (): never => {
  throw new Error('apply is not deterministic')
}
afterEach(() => {
  vi.restoreAllMocks()
  vi.unstubAllGlobals()
})

describe('a new store', () => {
  test('is at revision 1, and the first write makes 2', () => {
    const replica = new Replica()
    expect(replica.meta).toEqual({ ...initialMeta(), revision: 1, compactRevision: 0, clusterVersion: 1, liveKeys: 0 })
    expect(replica.do(put('a', '1'))).toEqual({ kind: 'put', revision: 2, isCreated: true, previous: undefined })
  })
})

describe('a put', () => {
  test('counts revisions for the store and versions for the key', () => {
    const replica = new Replica()
    replica.entry([put('a', '1'), put('b', '1'), put('a', '2')])
    expect(replica.state.peek('a')).toMatchObject({ at: { revision: 4, sub: 0 }, createRevision: 2, version: 2 })
    expect(replica.state.peek('b')).toMatchObject({ at: { revision: 3, sub: 0 }, createRevision: 3, version: 1 })
    expect(replica.meta).toMatchObject({ revision: 4, liveKeys: 2 })
  })

  test('replaces the content type along with the value', () => {
    const replica = new Replica()
    replica.entry([put('a', '1', { contentType: 'text/plain' }), put('a', '2')])
    expect(replica.state.record({ revision: 3, sub: 0 })).toMatchObject({ contentType: '' })
  })

  test('of the same value is a change like any other', () => {
    const replica = new Replica()
    replica.entry([put('a', '1'), put('a', '1')])
    expect(replica.meta.revision).toBe(3)
  })

  test('answers with the previous entry when asked, also one of the same batch', () => {
    const replica = new Replica()
    const previous = {
      key: 'a',
      value: Buffer.from('1'),
      contentType: 'x/y',
      createRevision: 2,
      modRevision: 2,
      version: 1,
      lease: '',
    }
    const results = replica.entry([
      put('a', '0', { wantsPrevious: true, contentType: 'x/y', value: previous.value }),
      put('a', '2', { wantsPrevious: true }),
    ])
    expect(results).toMatchObject([{ previous: undefined }, { previous }])
    expect(replica.do(put('a', '3', { wantsPrevious: true }))).toMatchObject({ previous: { modRevision: 3 } })
  })

  test('of an empty value is not a deletion', () => {
    const replica = new Replica()
    replica.do(put('a', ''))
    expect(replica.state.peek('a')).toMatchObject({ isTombstone: false, version: 1 })
    expect(replica.meta.liveKeys).toBe(1)
  })
})

describe('a delete', () => {
  test('takes a revision and leaves a tombstone', () => {
    const replica = new Replica()
    replica.do(put('a', '1'))
    expect(replica.do(deletion('a', { wantsPrevious: true }))).toMatchObject({
      kind: 'deleted',
      revision: 3,
      count: 1,
      previous: { key: 'a', modRevision: 2 },
    })
    expect(replica.state.peek('a')).toMatchObject({ isTombstone: true, version: 0, changes: 2, digest: ZERO_HASH })
    expect(replica.state.record({ revision: 3, sub: 0 })).toMatchObject({
      value: undefined,
      version: 0,
      createRevision: 0,
      predecessor: { revision: 2, sub: 0, isTombstone: false },
    })
    expect(replica.meta.liveKeys).toBe(0)
  })

  test.each(['never written', 'already deleted'])('of a key %s changes nothing', (what) => {
    const replica = new Replica()
    if (what === 'already deleted') replica.entry([put('a', '1'), deletion('a')])
    const before = replica.meta
    expect(replica.do(deletion('a', { wantsPrevious: true }))).toEqual({
      kind: 'deleted',
      revision: before.revision,
      count: 0,
      previous: undefined,
    })
    expect(replica.meta).toEqual({ ...before, term: 1, index: before.index + 1 })
  })

  test('checks its condition first, also for a key that is not there', () => {
    const replica = new Replica()
    for (const condition of [{ kind: 'exists' }, { kind: 'never' }, atRevision(7)] as const)
      expect(replica.do(deletion('a', { condition })), condition.kind).toMatchObject({ kind: 'precondition-failed' })
    expect(replica.do(deletion('a', { condition: atRevision(0) }))).toMatchObject({ kind: 'deleted', count: 0 })
  })
})

describe('a condition', () => {
  test('A13: on revision 0 means that the key is absent: never written or deleted', () => {
    const replica = new Replica()
    const create = put('a', '1', { condition: atRevision(0) })
    expect(replica.do(create)).toMatchObject({ kind: 'put', isCreated: true })
    expect(replica.do(create)).toEqual({ kind: 'precondition-failed', revision: 2, currentRevision: 2 })
    replica.do(deletion('a'))
    expect(replica.do(create)).toMatchObject({ kind: 'put', revision: 4, isCreated: true })
  })

  test('A13: holds for the current modRevision only, not for a past one or the version', () => {
    const replica = new Replica()
    replica.entry([put('a', '1'), put('a', '2')])
    for (const wrong of [0, 1, 2, 4])
      expect(replica.do(put('a', 'x', { condition: atRevision(wrong) }))).toMatchObject({ currentRevision: 3 })
    expect(replica.do(put('a', '3', { condition: atRevision(3) }))).toMatchObject({ kind: 'put', revision: 4 })
  })

  test('A13: on the revision of a tombstone does not hold', () => {
    const replica = new Replica()
    replica.entry([put('a', '1'), deletion('a')])
    const refused = { kind: 'precondition-failed', revision: 3, currentRevision: 0 }
    expect(replica.do(put('a', '2', { condition: atRevision(3) }))).toEqual(refused)
    expect(replica.do(put('a', '2', { condition: { kind: 'exists' } }))).toEqual(refused)
  })

  test('A13: delete then create restarts the version and the createRevision', () => {
    const replica = new Replica()
    replica.entry([put('a', '1'), put('a', '2'), deletion('a'), put('a', '3')])
    expect(replica.state.peek('a')).toMatchObject({ createRevision: 5, version: 1, changes: 4 })
  })

  test('that can never hold is refused with the current revision', () => {
    const replica = new Replica()
    replica.do(put('a', '1'))
    const never = { condition: { kind: 'never' } } as const
    expect(replica.do(put('a', '2', never))).toMatchObject({ kind: 'precondition-failed', currentRevision: 2 })
    expect(replica.do(put('b', '2', never))).toMatchObject({ kind: 'precondition-failed', currentRevision: 0 })
    expect(replica.meta.revision).toBe(2)
  })

  test('sees what earlier commands of the same entry did', () => {
    const create = put('a', '1', { condition: atRevision(0) })
    expect(new Replica().entry([create, create, deletion('a'), create]).map((result) => result.kind)).toEqual([
      'put',
      'precondition-failed',
      'deleted',
      'put',
    ])
  })
})

describe('a compaction', () => {
  test.each([
    ['raises the mark', 3],
    ['to the current revision is allowed', 4],
  ])('%s', (_claim, revision) => {
    const replica = new Replica()
    replica.entry([put('a', '1'), put('a', '2'), put('a', '3'), compact(2)])
    expect(replica.meta).toMatchObject({ revision: 4, compactRevision: 2 })
    expect(replica.do(compact(revision))).toEqual({ kind: 'compacted', revision })
    expect(replica.meta).toMatchObject({ revision: 4, compactRevision: revision })
  })

  test.each([
    ['into the future', 5, 'future-revision'],
    ['to the mark', 2, 'compacted'],
    ['below the mark', 1, 'compacted'],
    ['to 0', 0, 'compacted'],
  ])('%s is refused with the mark that is in force', (_claim, revision, reason) => {
    const replica = new Replica()
    replica.entry([put('a', '1'), put('a', '2'), put('a', '3'), compact(2)])
    expect(replica.do(compact(revision))).toEqual({ kind: 'refused', revision: 2, reason })
    expect(replica.meta).toMatchObject({ revision: 4, compactRevision: 2 })
  })

  test('touches no record, no digest and no key', () => {
    const replica = new Replica()
    replica.entry([put('a', '1'), put('a', '2')])
    const before = replica.meta
    expect(replica.entry([compact(3)])).toHaveLength(1)
    expect(replica.meta).toEqual({ ...before, index: 2, compactRevision: 3 })
    expect(replica.changes).toHaveLength(2)
  })

  test('makes a tombstone below it count as absent, and one at it not', () => {
    for (const { mark, predecessor, changes } of [
      { mark: 3, predecessor: { revision: 3, sub: 0, isTombstone: true }, changes: 3 },
      { mark: 4, predecessor: undefined, changes: 1 },
    ]) {
      const replica = new Replica()
      replica.entry([put('a', '1'), deletion('a'), put('b', '1'), compact(mark), put('a', '2')])
      expect(replica.changes.at(-1)?.record.predecessor).toEqual(predecessor)
      expect(replica.changes.at(-1)?.pointer).toMatchObject({ changes, version: 1, createRevision: 5 })
    }
  })
})

describe('apply', () => {
  test('answers group by group and command by command', () => {
    const replica = new Replica()
    const data = encodeBatch({
      clusterTimeMs: 0,
      groups: [
        { tag: tag(1), commands: [put('a', '1'), deletion('a')] },
        { tag: tag(2), commands: [deletion('a')] },
      ],
    })
    expect(replica.apply(data).results).toMatchObject([
      [{ kind: 'put' }, { kind: 'deleted', count: 1 }],
      [{ kind: 'deleted', count: 0 }],
    ])
  })

  test('lists its changes in order, one revision each', () => {
    const replica = new Replica()
    replica.entry([put('b', '1'), deletion('missing'), put('a', '1'), deletion('b')])
    expect(replica.changes.map(({ record }) => [record.key, record.at.revision, record.at.sub])).toEqual([
      ['b', 2, 0],
      ['a', 3, 0],
      ['b', 4, 0],
    ])
  })

  test('takes cluster time forward and never back', () => {
    const replica = new Replica()
    replica.entry([], 500)
    replica.entry([put('a', '1')], 300)
    expect(replica.meta).toMatchObject({ clusterTimeMs: 500, index: 2 })
    replica.machine.applyNonNormal({ term: 2, index: 3 })
    expect(replica.meta).toMatchObject({ clusterTimeMs: 500, index: 3, term: 2, revision: 2 })
  })

  test('refuses an entry out of order, and one of a term gone by', () => {
    const machine = new KvStateMachine({ ...initialMeta(), index: 7, term: 3 }, new Map())
    expect(() => machine.applyNonNormal({ term: 3, index: 7 })).toThrow('entry 7 cannot follow entry 7')
    expect(() => machine.applyNonNormal({ term: 3, index: 9 })).toThrow('entry 9 cannot follow entry 7')
    expect(() => machine.applyNonNormal({ term: 2, index: 8 })).toThrow(/of term 2 cannot follow/)
    expect(machine.applyNonNormal({ term: 3, index: 8 })).toMatchObject({ index: 8, term: 3 })
  })

  test('A9: an entry of a later release stops it before anything has changed', () => {
    const replica = new Replica()
    replica.do(put('a', '1'))
    const before = replica.meta
    const data = encodeBatch({
      clusterTimeMs: 9,
      groups: [{ tag: { member: '00000000000000a1', boot: 1, number: 0 }, commands: [put('a', '2'), deletion('b')] }],
    })
    data[data.indexOf(Buffer.of(2, 0, 1, 0x62))] = 99
    expect(() => replica.apply(data)).toThrow(DecodeError)
    expect(replica.meta).toBe(before)
    expect(replica.changes).toHaveLength(1)
  })

  test('A9: a state that contradicts itself stops it', () => {
    const replica = new Replica()
    replica.do(put('a', '1'))
    vi.spyOn(replica.state, 'latestRecord').mockReturnValue(undefined)
    expect(() => replica.do(put('a', '2', { wantsPrevious: true }))).toThrow(
      'the record that a pointer names is missing',
    )
  })

  test('A4: asks neither clock nor chance nor environment', () => {
    const replica = new Replica()
    vi.spyOn(Math, 'random').mockImplementation(poison)
    vi.spyOn(performance, 'now').mockImplementation(poison)
    vi.spyOn(String.prototype, 'localeCompare').mockImplementation(poison)
    vi.stubGlobal('Date', poison)
    vi.stubGlobal('Intl', undefined)
    vi.stubGlobal('setTimeout', poison)
    const kinds = replica.entry([put('a', '1'), deletion('a'), compact(2)], 5).map((result) => result.kind)
    vi.unstubAllGlobals()
    expect(kinds).toEqual(['put', 'deleted', 'compacted'])
  })

  test.each(['__proto__', 'constructor', 'toString', 'hasOwnProperty', '..', '\0', '1', '\xff\xfe'])(
    'N12, N13: treats %j as an ordinary key',
    (key) => {
      const replica = new Replica()
      expect(replica.do(put(key, '1', { wantsPrevious: true }))).toMatchObject({ isCreated: true, previous: undefined })
      expect(replica.do(put(key, '2', { wantsPrevious: true }))).toMatchObject({ previous: { key, version: 1 } })
      expect(replica.do(deletion(key))).toMatchObject({ count: 1 })
    },
  )
})

describe('what an entry reads', () => {
  test('is each key once, in the order of first use, and all of it in one step', () => {
    const replica = new Replica()
    replica.entry([put('b', ''), put('a', ''), put('b', '')])
    expect(replica.reads).toEqual([{ pointers: ['b', 'a'], records: [], ranges: [] }])
  })

  test('is a whole record only where the previous entry is wanted', () => {
    const replica = new Replica()
    replica.entry([put('a', ''), put('b', '', { wantsPrevious: true }), put('b', '')])
    expect(replica.reads).toEqual([{ pointers: ['a', 'b'], records: ['b'], ranges: [] }])
  })

  test('is no more than a few dozen records in one step, for values may be large', () => {
    const replica = new Replica()
    replica.entry(Array.from({ length: 150 }, (_, at) => put(`k${at}`, '', { wantsPrevious: true })))
    expect(replica.reads.map(({ records }) => records.length)).toEqual([64, 64, 22])
  })

  test('is nothing for a compaction or an empty batch', () => {
    const replica = new Replica()
    replica.entry([compact(5)])
    expect(replica.reads).toEqual([{ pointers: [], records: [], ranges: [] }])
    replica.entry([])
    expect(replica.reads).toEqual([])
  })
})
