// The table of what is not known to be on disk: what a batch writes of it, and what those keep who were given a part of it.
import { describe, expect, it } from 'vitest'
import type { Change, KeyRecord, KvMeta } from '../../../src/kv/types.ts'
import { EncodedChanges, recordsOf } from '../../../src/storage/state-db/encoded-changes.ts'
import { encodeGeneration } from '../../../src/storage/state-db/generation-encoder.ts'
import { pointerKey, recordKey } from '../../../src/storage/state-db/keys.ts'
import { decodePointer } from '../../../src/storage/state-db/record-codec.ts'
import { Table } from '../../../src/storage/state-db/table.ts'
import { INITIAL_META } from './support.ts'

const at = (revision: number): { revision: number; sub: number } => ({ revision, sub: 0 })

function changeOf(key: string, revision: number, predecessor?: number): Change {
  const common = { at: at(revision), createRevision: predecessor ?? revision, version: 1 }
  const before = predecessor === undefined ? undefined : { ...at(predecessor), isTombstone: false }
  const rest = { contentType: '', lease: '', predecessor: before, skip: undefined }
  return {
    pointer: { ...common, changes: 1, isTombstone: false, skips: [], digest: { hi: 1, lo: 2 } },
    record: { ...common, key, value: Buffer.from(`${key}@${revision}`), ...rest },
  }
}

function commit(table: Table, changes: readonly Change[]): void {
  const encoded = new EncodedChanges()
  for (const change of changes) encoded.add(change)
  const meta: KvMeta = { ...INITIAL_META, index: changes.at(-1)!.record.at.revision }
  table.commit({ changes, encoded, rows: [] }, meta)
}

/** What the batch of the gathering generation says, by key in hex; undefined deletes. The generation is on disk then. */
function write(table: Table): Map<string, Buffer | undefined> {
  const written = new Map<string, Buffer | undefined>()
  const put = (key: Uint8Array, value?: Uint8Array): void => {
    const name = Buffer.from(key).toString('hex')
    if (key[0] !== 'm'.charCodeAt(0)) expect(written.has(name)).toBe(false)
    written.set(name, value && Buffer.from(value))
  }
  const batch = { put, delete: put, write: () => Promise.resolve() }
  for (const _turn of encodeGeneration(table.cut(), batch)) continue
  table.written()
  return written
}

const values = (records: Iterable<KeyRecord>): string[] =>
  [...records].map(({ value }) => Buffer.from(value!).toString())

describe('the table', () => {
  it('gives a batch every record, and of each key the last pointer alone', () => {
    const table = new Table()
    commit(table, [changeOf('a', 2), changeOf('b', 3), changeOf('a', 4, 2)])
    commit(table, [changeOf('a', 7, 4), changeOf('c', 9)])
    const batch = write(table)
    for (const revision of [2, 3, 4, 7, 9]) expect(batch.has(recordKey(at(revision)).toString('hex'))).toBe(true)
    for (const [key, revision] of [
      ['a', 7],
      ['b', 3],
      ['c', 9],
    ] as const) {
      const name = pointerKey(key)
      expect(decodePointer(name, batch.get(name.toString('hex'))!).at).toEqual(at(revision))
    }
    commit(table, [changeOf('a', 10, 7)])
    expect([...write(table).keys()].filter((name) => name.startsWith(pointerKey('').toString('hex')))).toEqual([
      pointerKey('a').toString('hex'),
    ])
  })

  it('removes the pointer of a key, unless it was written anew since', () => {
    const table = new Table()
    const removal = { records: [at(1)], purgedLists: [], progress: at(2) }
    commit(table, [changeOf('b', 2)])
    table.remove({ ...removal, keys: ['a', 'c'] })
    commit(table, [changeOf('a', 3)])
    expect(table.find('a')?.pointer?.at).toEqual(at(3))
    expect(table.find('c')).toEqual({ pointer: undefined, record: undefined })
    expect(table.find('d')).toBeUndefined()
    const batch = write(table)
    expect(batch.get(pointerKey('a').toString('hex'))).toBeDefined()
    expect(batch.has(pointerKey('c').toString('hex'))).toBe(true)
    expect(batch.get(pointerKey('c').toString('hex'))).toBeUndefined()
  })

  it('leaves what it gave away as it was, however many batches come after it', () => {
    const table = new Table()
    commit(table, [changeOf('a', 2), changeOf('b', 3)])
    const frozen = table.freeze()
    const slot = table.find('a')!
    write(table)
    commit(table, [changeOf('c', 4)])
    const page = table.recordsFrom(4)
    write(table)
    for (let revision = 5; revision < 40; revision++) {
      commit(table, [changeOf(`key-${revision}`, revision)])
      write(table)
    }
    expect(values(frozen.changes.map((changes) => changes.find(at(3))!))).toEqual(['b@3'])
    expect(frozen.layers.map(({ keys }) => keys)).toEqual([['a', 'b']])
    expect(values(frozen.layers[0]!.slots.map((frozenSlot) => frozenSlot.record!))).toEqual(['a@2', 'b@3'])
    expect(values([slot.record!])).toEqual(['a@2'])
    expect(values(recordsOf(page))).toEqual(['c@4'])
  })

  it('tells what was written since a mark, also when it is on disk by now, and forgets it afterwards', () => {
    const table = new Table()
    const mark = table.mark()
    commit(table, [changeOf('a', 2)])
    write(table)
    commit(table, [changeOf('b', 3)])
    write(table)
    expect(table.find('a')).toBeUndefined()
    expect(table.find('a', mark)?.pointer?.at).toEqual(at(2))
    expect(table.find('b', table.mark())).toBeUndefined()
    table.release(mark)
    for (let revision = 4; revision < 8; revision++) {
      commit(table, [changeOf('c', revision, revision === 4 ? undefined : revision - 1)])
      expect(values([table.recordAt(at(revision))!])).toEqual([`c@${revision}`])
      write(table)
    }
    expect(table.find('a', mark)).toBeUndefined()
  })
})
