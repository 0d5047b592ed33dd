// The state as it was at one moment, held while writes go on: a snapshot of the engine, and all that had been committed but was
// not known to be on disk when it was taken. What is in both is equal, so nothing is lost or seen twice; what comes later is in
// neither. Keys, records and the way back through a key's history are read through it.
import type { KeyRange } from '../../api/commands.ts'
import { assert } from '../../lib/assert.ts'
import type { KeyString } from '../../lib/bytes.ts'
import { seekFromPointer, seekFromRecord } from '../../kv/skip-list.ts'
import type { SeekStep } from '../../kv/skip-list.ts'
import type { KeyPointer, KeyRecord, Revision, RevisionId } from '../../kv/types.ts'
import { checkRecord, decodeStored } from './decode-stored.ts'
import type { Engine, EngineSnapshot } from './engine.ts'
import { KeyScan } from './key-scan.ts'
import type { ScannedKey } from './key-scan.ts'
import { pointerKey, recordKey } from './keys.ts'
import { findSlot } from './overlay.ts'
import type { Overlay } from './overlay.ts'
import { decodePointer, decodeRecord } from './record-codec.ts'
import type { Slot } from './slot.ts'
import type { FrozenTable } from './table.ts'

/**
 * What one call for records should bring: their sizes are known only afterwards, so the last ones are the guide. To take over and
 * to decode that much costs about a third of a millisecond.
 */
const CALL_BYTES = 256 * 1024
const RECORDS_FIRST = 16
const RECORDS_MAX = 128

export interface PinnedSource {
  readonly engine: Engine
  readonly where: string
  /** Runs a call of the engine when its turn comes, and whatever else may find damage. */
  readonly run: <T>(call: () => Promise<T>) => Promise<T>
  /** Lets others have their turn. */
  readonly pause: () => Promise<void>
}

/** Where a record is; it may be in memory already. */
export interface RecordPlace {
  readonly key: KeyString
  readonly at: RevisionId
  readonly record: KeyRecord | undefined
}

export class PinnedState {
  readonly #source: PinnedSource
  readonly #snapshot: EngineSnapshot
  /** Newest first. */
  readonly #layers: readonly Overlay[]
  readonly #changes: FrozenTable['changes']
  #recordsPerCall = RECORDS_FIRST

  /** Pins at once. `staged` comes on top of what was committed. */
  constructor(source: PinnedSource, table: FrozenTable, staged?: Overlay) {
    this.#source = source
    this.#snapshot = source.engine.snapshot()
    this.#layers = staged === undefined ? table.layers : [staged, ...table.layers]
    this.#changes = table.changes
  }

  scan(range: KeyRange, isReverse: boolean): KeyScan {
    const { engine, where, run, pause } = this.#source
    return new KeyScan({ engine, where, run, pause, snapshot: this.#snapshot, layers: this.#layers }, range, isReverse)
  }

  async slot(key: KeyString): Promise<Slot | undefined> {
    for (const layer of this.#layers) {
      const slot = findSlot(layer, key)
      if (slot !== undefined) return slot
    }
    const { engine, where, run } = this.#source
    const name = pointerKey(key)
    return await run(async () => {
      const [stored] = await engine.getMany([name], this.#snapshot)
      if (stored === undefined) return undefined
      return { pointer: decodeStored(where, name, stored, decodePointer), record: undefined }
    })
  }

  /** Of each key the record that was current at `revision`; undefined where the key did not exist then. */
  async placesAt(keys: readonly ScannedKey[], revision: Revision): Promise<readonly (RecordPlace | undefined)[]> {
    const places: (RecordPlace | undefined)[] = []
    const seeks: Seek[] = []
    for (const [nth, { key, slot }] of keys.entries()) {
      const pointer = slot.pointer!
      const step = seekFromPointer(pointer, revision)
      if (step.kind === 'read') seeks.push({ nth, key, at: step.at })
      places.push(placeOf(key, step, slot.record, pointer))
    }
    for (let open = seeks; open.length > 0;) {
      const again: Seek[] = []
      const records = await this.records(open.map(({ key, at }) => ({ key, at, record: undefined })))
      for (const [index, { nth, key }] of open.entries()) {
        const step = seekFromRecord(records[index]!, revision)
        if (step.kind === 'read') again.push({ nth, key, at: step.at })
        else places[nth] = placeOf(key, step, undefined, undefined)
      }
      open = again
    }
    return places
  }

  /** The records, all of which must be there. Their number is the caller's to bound; a call brings about a quarter of a megabyte. */
  async records(places: readonly RecordPlace[]): Promise<readonly KeyRecord[]> {
    const records: KeyRecord[] = []
    for (let from = 0; from < places.length;) {
      const some = await this.someRecords(places, from)
      records.push(...some)
      from += some.length
    }
    return records
  }

  /** The first records from `from` on: at least one, as many as one call brings. */
  async someRecords(places: readonly RecordPlace[], from: number): Promise<readonly KeyRecord[]> {
    const { where } = this.#source
    const found: (KeyRecord | undefined)[] = []
    const missing: RevisionId[] = []
    let at = from
    for (; at < places.length && at - from < RECORDS_MAX && missing.length < this.#recordsPerCall; at++) {
      const place = places[at]!
      const record = place.record ?? this.#inMemory(place.at)
      found.push(record)
      if (record === undefined) missing.push(place.at)
    }
    if (missing.length === 0) await this.#source.pause()
    const fetched = missing.length === 0 ? [] : await this.#fetch(missing)
    let next = 0
    return found.map((record, nth) => {
      const { key, at: place } = places[from + nth]!
      return checkRecord(where, key, place, record ?? fetched[next++])
    })
  }

  async close(): Promise<void> {
    await this.#snapshot.close()
  }

  #inMemory(at: RevisionId): KeyRecord | undefined {
    for (const changes of this.#changes) {
      const record = changes.find(at)
      if (record !== undefined) return record
    }
    return undefined
  }

  async #fetch(ats: readonly RevisionId[]): Promise<readonly (KeyRecord | undefined)[]> {
    const { engine, where, run } = this.#source
    const keys = ats.map(recordKey)
    return await run(async () => {
      let bytes = 0
      const stored = await engine.getMany(keys, this.#snapshot)
      const records = stored.map((value, nth) => {
        if (value === undefined) return undefined
        bytes += value.length
        return decodeStored(where, keys[nth]!, value, decodeRecord)
      })
      const fitting = Math.floor((CALL_BYTES * keys.length) / Math.max(1, bytes))
      this.#recordsPerCall = Math.min(Math.max(fitting, 1), RECORDS_MAX, this.#recordsPerCall * 4)
      return records
    })
  }
}

interface Seek {
  readonly nth: number
  readonly key: KeyString
  readonly at: RevisionId
}

function placeOf(
  key: KeyString,
  step: SeekStep,
  record: KeyRecord | undefined,
  pointer: KeyPointer | undefined,
): RecordPlace | undefined {
  if (step.kind !== 'found') return undefined
  const isLatest = pointer !== undefined && pointer.at.revision === step.at.revision
  assert(!isLatest || pointer.at.sub === step.at.sub, 'a key was found at a place that its pointer does not name')
  return { key, at: step.at, record: isLatest ? record : undefined }
}
