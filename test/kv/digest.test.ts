// The digest of the state: every logical field counts, nothing physical does, and equal sums mean equal content.
import { describe, expect, test } from 'vitest'
import type { Command } from '../../src/api/commands.ts'
import { recordShare } from '../../src/kv/digest.ts'
import type { KeyRecord } from '../../src/kv/types.ts'
import { hashToHex, ZERO_HASH } from '../../src/lib/hash.ts'
import { deletion, put, Replica } from './replica.ts'

const record: KeyRecord = {
  at: { revision: 7, sub: 1 },
  key: 'key',
  value: Buffer.from('value'),
  contentType: 'text/plain',
  createRevision: 5,
  version: 2,
  lease: '',
  predecessor: undefined,
  skip: undefined,
}
const shareOf = (fields: Partial<KeyRecord>): string => hashToHex(recordShare({ ...record, ...fields }))
const after = (...commands: Command[]): Replica => {
  const replica = new Replica()
  for (const command of commands) replica.do(command)
  return replica
}
const digestOf = (replica: Replica): { live: string; history: string } => ({
  live: hashToHex(replica.meta.digest.live),
  history: hashToHex(replica.meta.digest.history),
})

describe('a record’s share', () => {
  test('is pinned: stored digests and those of other nodes are compared with it', () => {
    expect(shareOf({})).toBe('9371e9655d3546d6')
  })

  test.each<[string, Partial<KeyRecord>]>([
    ['key', { key: 'kez' }],
    ['value', { value: Buffer.from('valuf') }],
    ['emptiness of the value', { value: Buffer.alloc(0) }],
    ['deletion', { value: undefined }],
    ['content type', { contentType: '' }],
    ['createRevision', { createRevision: 6 }],
    ['revision', { at: { revision: 8, sub: 1 } }],
    ['sub', { at: { revision: 7, sub: 0 } }],
    ['version', { version: 3 }],
    ['lease', { lease: '00000000000000aa' }],
  ])('depends on the %s', (_what, fields) => {
    expect(shareOf(fields)).not.toBe(shareOf({}))
  })

  test('does not depend on references, which compaction cuts', () => {
    const predecessor = { revision: 5, sub: 0, isTombstone: false }
    expect(shareOf({ predecessor, skip: { revision: 2, sub: 0 } })).toBe(shareOf({}))
  })

  test('tells an empty value from a deletion', () => {
    expect(shareOf({ value: Buffer.alloc(0) })).not.toBe(shareOf({ value: undefined }))
  })

  test('keeps its fields apart', () => {
    expect(shareOf({ key: 'ab', value: Buffer.from('c') })).not.toBe(shareOf({ key: 'a', value: Buffer.from('bc') }))
    expect(shareOf({ contentType: 'x', lease: '' })).not.toBe(shareOf({ contentType: '', lease: 'x' }))
    expect(shareOf({ createRevision: 2, version: 5 })).not.toBe(shareOf({}))
  })
})

describe('the digest', () => {
  test('changes when two values are swapped', () => {
    for (const [x, y] of [
      ['1', '2'],
      ['aaaa', 'aaab'],
      ['', 'x'],
    ] as const) {
      const straight = digestOf(after(put('a', x), put('b', y)))
      const swapped = digestOf(after(put('a', y), put('b', x)))
      expect(swapped.live).not.toBe(straight.live)
      expect(swapped.history).not.toBe(straight.history)
    }
  })

  test('of live keys is zero again when all are gone, that of history is not', () => {
    const replica = after(put('a', '1'), put('b', '2'), put('a', '3'), deletion('a'), deletion('b'))
    expect(replica.meta.digest.live).toEqual(ZERO_HASH)
    expect(replica.meta.digest.history).not.toEqual(ZERO_HASH)
  })

  test('of live keys forgets what was overwritten, and of deletions all but their revision', () => {
    const kept = put('b', '2')
    const overwritten = after(put('x', '1'), deletion('x'), kept)
    const other = after(put('y', 'other'), deletion('y'), kept)
    expect(digestOf(overwritten).live).toBe(digestOf(other).live)
    expect(digestOf(overwritten).history).not.toBe(digestOf(other).history)
  })

  test('of history counts tombstones', () => {
    const before = after(put('a', '1'))
    const deleted = after(put('a', '1'), deletion('a'))
    expect(digestOf(deleted).history).not.toBe(digestOf(before).history)
  })

  test('does not change by what changes nothing', () => {
    const replica = after(put('a', '1'))
    const before = digestOf(replica)
    replica.entry([deletion('b'), put('a', '2', { condition: { kind: 'never' } })])
    expect(digestOf(replica)).toEqual(before)
  })
})
