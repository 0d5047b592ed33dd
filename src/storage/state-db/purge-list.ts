// Purge lists: what the removal of history needs to know of each change, written in the same batch as the change. They spare it from
// reading every record with its value once more (decisions/purge-lists.md). A list holds some changes that follow each
// other, and lies under the revision of the last of them: so the first list at or above a revision is the one that goes on from there.
import { type ByteReader, ByteWriter, DecodeError } from '../../lib/bytes.ts'
import type { KeyString } from '../../lib/bytes.ts'
import type { RevisionId } from '../../kv/types.ts'
import type { EngineBatch } from './engine.ts'
import { isRevisionBefore, purgeListKey } from './keys.ts'
import { beginValue, sealValue } from './stored-value.ts'

/** A list has about a kilobyte then. */
const CHANGES_PER_LIST = 128

/** What one change leaves to be removed once history is compacted beyond it. */
export interface PurgeItem {
  readonly at: RevisionId
  /** The record that it replaced; undefined if there was none, or a tombstone, which goes for its own item's sake. */
  readonly replaced: RevisionId | undefined
  /** Of a tombstone: its key. */
  readonly tombstoneOf: KeyString | undefined
}

const FLAG = { replaced: 1, tombstone: 2 } as const
const FLAGS_KNOWN = 3

/** Puts items into lists and full lists into a batch. Items come in order. */
export class PurgeListWriter {
  readonly #writer = new ByteWriter(2_048)
  #count = 0
  #last: RevisionId = { revision: 0, sub: 0 }

  add(item: PurgeItem, batch: EngineBatch): void {
    const { at, replaced, tombstoneOf } = item
    if (this.#count === 0) beginValue(this.#writer.reset())
    const flags = (replaced === undefined ? 0 : FLAG.replaced) | (tombstoneOf === undefined ? 0 : FLAG.tombstone)
    const before = this.#count === 0 ? 0 : this.#last.revision
    this.#writer
      .uint8(flags)
      .varint(at.revision - before)
      .varint(at.sub)
    if (replaced !== undefined) this.#writer.varint(at.revision - replaced.revision).varint(replaced.sub)
    if (tombstoneOf !== undefined) this.#writer.varint(tombstoneOf.length).latin1(tombstoneOf)
    this.#last = at
    if (++this.#count === CHANGES_PER_LIST) this.finish(batch)
  }

  /** Puts what was added since the last full list into the batch. */
  finish(batch: EngineBatch): void {
    if (this.#count === 0) return
    const key = purgeListKey(this.#last)
    batch.put(key, sealValue(this.#writer, key))
    this.#count = 0
  }
}

/** The items of one list: at least one. */
export function readPurgeList(reader: ByteReader): readonly PurgeItem[] {
  const items: PurgeItem[] = []
  let last: RevisionId | undefined
  do {
    const flags = reader.uint8()
    if ((flags & ~FLAGS_KNOWN) !== 0) throw new DecodeError(`unknown flags ${flags} in a purge list`)
    const at: RevisionId = { revision: (last?.revision ?? 0) + reader.varint(), sub: reader.varint() }
    if (last !== undefined && !isRevisionBefore(last, at)) throw new DecodeError('a purge list is out of order')
    const replaced =
      (flags & FLAG.replaced) === 0 ? undefined : { revision: at.revision - reader.varint(), sub: reader.varint() }
    if (replaced !== undefined && !(replaced.revision > 0 && isRevisionBefore(replaced, at)))
      throw new DecodeError('a purge list names a record that is not before its own')
    const tombstoneOf = (flags & FLAG.tombstone) === 0 ? undefined : reader.latin1(reader.varint())
    items.push({ at, replaced, tombstoneOf })
    last = at
  } while (reader.remaining > 0)
  return items
}
