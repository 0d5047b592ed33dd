// The state machine's state on disk: implements the driver's StateStore over an engine. This file is the joint of the parts:
// the entry being applied (staged), the table of what is committed but not yet on disk, the cache, the disk.
import { assert } from '../../lib/assert.ts'
import type { KeyString } from '../../lib/bytes.ts'
import type { Change, KeyPointer, KeyRecord, KvMeta, Revision } from '../../kv/types.ts'
import type { Clock, ClusterConfiguration, Found, Logger, StateSnapshot, StateStore } from '../../node/ports.ts'
import type { EntryId } from '../../raft/types.ts'
import { asError } from '../errors.ts'
import { Cache } from './cache.ts'
import type { CallGate } from './call-gate.ts'
import type { Engine } from './engine.ts'
import { StateClosedError, StateFailedError } from './errors.ts'
import { HistoryRemover } from './history.ts'
import { KeyReader } from './key-reader.ts'
import type { DigestCheckpoint } from './meta-codec.ts'
import { PointReader } from './point-reader.ts'
import type { Slot } from './slot.ts'
import { isWhole } from './slot.ts'
import { openStateSnapshot } from './snapshot-sender.ts'
import type { StoredState } from './stored-state.ts'
import { Table } from './table.ts'
import type { Generation } from './table.ts'
import { WriteBehind } from './write-behind.ts'

/** Digests are kept of every so many entries, and compared there. */
export const CHECKPOINT_INTERVAL = 1_024
export const CHECKPOINTS_KEPT = 16
const SIZE_REFRESH_MS = 5_000

export interface StateDbLimits {
  readonly cacheBytesMax: number
  /** Past it `room` waits. */
  readonly tableBytesMax: number
  /** A batch leaves when this much has gathered, or the oldest change has waited this long. */
  readonly batchBytes: number
  readonly batchDelayMs: number
}

export interface StateDbOptions {
  readonly engine: Engine
  readonly stored: StoredState
  /** For messages: where this state is. */
  readonly where: string
  readonly gate: CallGate
  readonly clock: Clock
  readonly logger: Logger
  readonly limits: StateDbLimits
}

export class StateDb implements StateStore {
  readonly configuration: ClusterConfiguration
  readonly #options: StateDbOptions
  readonly #table = new Table()
  readonly #cache: Cache
  readonly #keys: KeyReader
  readonly #writeBehind: WriteBehind
  readonly #history: HistoryRemover
  #meta: KvMeta
  #persistedMeta: KvMeta
  #checkpoints: readonly DigestCheckpoint[]
  /** The entry being applied: it becomes visible, and may become durable, at its commit. */
  #staged = new Map<KeyString, Slot>()
  #stagedRecords: KeyRecord[] = []
  /** What prefetch fetched, until the next commit: the cache might let it go before apply has asked. */
  readonly #pinned = new Map<KeyString, Slot>()
  #failure: StateFailedError | undefined
  #closing: Promise<void> | undefined
  readonly #snapshots = new Set<StateSnapshot>()
  #dbBytes = 0
  #sizedAtMs = -Infinity
  readonly #persistedCallbacks: ((persisted: EntryId) => void)[] = []
  readonly #failureCallbacks: ((error: Error) => void)[] = []
  /** Reads, slices and batches under way, to be waited for before the engine is closed. */
  readonly #calls = new Set<Promise<unknown>>()

  constructor(options: StateDbOptions) {
    const { engine, stored, gate, clock, limits, where } = options
    this.#options = options
    this.configuration = stored.configuration
    this.#meta = stored.meta
    this.#persistedMeta = stored.meta
    this.#checkpoints = stored.checkpoints
    this.#cache = new Cache(limits.cacheBytesMax)
    const table = this.#table
    this.#writeBehind = new WriteBehind({
      engine,
      gate,
      clock,
      table,
      batchBytes: limits.batchBytes,
      batchDelayMs: limits.batchDelayMs,
      tableBytesMax: limits.tableBytesMax,
      witnesses: stored.witnesses,
      onWritten: (generation) => this.#written(generation),
      onFailure: (error) => this.#fail(error),
    })
    this.#keys = new KeyReader({
      table,
      where,
      points: new PointReader(engine, gate),
      cache: this.#cache,
      onReadEnded: () => this.#writeBehind.checkRoom(),
    })
    this.#history = new HistoryRemover({
      engine,
      gate,
      clock,
      table,
      keys: this.#keys,
      tableBytesBusy: limits.tableBytesMax / 2,
      progress: stored.historyProgress,
      persistedRevision: () => this.#persistedMeta.revision,
      remove: (records, keys, progress) => {
        for (const key of keys) this.#cache.set(key, { pointer: undefined, record: undefined })
        this.#table.remove(records, keys, progress)
        this.#writeBehind.changed()
      },
      onFailure: (error) => this.#fail(error),
    })
    this.#refreshSize()
    this.#history.removeBelow(stored.meta.compactRevision)
  }

  get meta(): KvMeta {
    return this.#meta
  }

  get persisted(): EntryId {
    return { term: this.#persistedMeta.term, index: this.#persistedMeta.index }
  }

  /** The digests at the last checkpoints, oldest first: what members compare. */
  get checkpoints(): readonly DigestCheckpoint[] {
    return this.#checkpoints
  }

  // ------------------------------------------------------------------------------------------- what apply reads and writes

  pointer(key: KeyString): KeyPointer | undefined {
    return this.#fetched(key).pointer
  }

  latestRecord(key: KeyString): KeyRecord | undefined {
    const slot = this.#fetched(key)
    assert(isWhole(slot), 'apply asked for a record that was not fetched')
    return slot.record
  }

  put(change: Change): void {
    const { pointer } = change
    const { value } = change.record
    assert(
      pointer.at.revision === change.record.at.revision && pointer.at.sub === change.record.at.sub,
      `a pointer at revision ${pointer.at.revision} came with a record of revision ${change.record.at.revision}`,
    )
    // The value is a view of a whole entry's bytes: kept as it is, one small value would pin up to a megabyte.
    const record = value === undefined ? change.record : { ...change.record, value: Buffer.from(value) }
    this.#staged.set(record.key, { pointer, record })
    this.#stagedRecords.push(record)
  }

  commitEntry(meta: KvMeta): void {
    this.#assertUsable()
    assert(
      meta.index > this.#meta.index && meta.revision >= this.#meta.revision,
      `entry ${meta.index} at revision ${meta.revision} was committed after entry ${this.#meta.index} at revision ${this.#meta.revision}`,
    )
    this.#table.commit(this.#staged, this.#stagedRecords, meta)
    for (const [key, slot] of this.#staged) this.#cache.set(key, slot)
    this.#staged.clear()
    this.#stagedRecords = []
    this.#pinned.clear()
    this.#meta = meta
    if (meta.index % CHECKPOINT_INTERVAL === 0) {
      this.#checkpoints = [...this.#checkpoints, { index: meta.index, digest: meta.digest }].slice(-CHECKPOINTS_KEPT)
      this.#table.gathering.checkpoints = this.#checkpoints
    }
    this.#writeBehind.changed()
  }

  prefetch(wanted: { pointers: readonly KeyString[]; records: readonly KeyString[] }): Promise<void> | undefined {
    const isKnown =
      wanted.pointers.every((key) => this.#inMemory(key) !== undefined) &&
      wanted.records.every((key) => {
        const slot = this.#inMemory(key)
        return slot !== undefined && isWhole(slot)
      })
    return isKnown ? undefined : this.#run(() => this.#prefetch(wanted.pointers, wanted.records))
  }

  room(): Promise<void> | undefined {
    return this.#failure === undefined ? this.#writeBehind.room() : Promise.reject(this.#failure)
  }

  // ------------------------------------------------------------------------------------------------------ what others read

  get(key: KeyString): Found | Promise<Found> {
    if (this.#failure === undefined && this.#closing === undefined) {
      const slot = this.#keys.known(key)
      if (slot !== undefined && isWhole(slot)) return slot.record
    }
    return this.#run(async () => {
      const [slot] = await this.#keys.whole([key])
      return slot!.record
    })
  }

  async openSnapshot(): Promise<StateSnapshot> {
    return await this.#run(async () => {
      const { engine, gate, where } = this.#options
      const run = <T>(call: () => Promise<T>): Promise<T> => this.#run(() => gate.run(call))
      const onClosed = (closed: StateSnapshot): void => void this.#snapshots.delete(closed)
      const snapshot = await openStateSnapshot({ engine, where, run, onClosed })
      this.#snapshots.add(snapshot)
      return snapshot
    })
  }

  // ---------------------------------------------------------------------------------------------------------- housekeeping

  onPersisted(callback: (persisted: EntryId) => void): void {
    this.#persistedCallbacks.push(callback)
  }

  onFailure(callback: (error: Error) => void): void {
    this.#failureCallbacks.push(callback)
    if (this.#failure !== undefined) callback(this.#failure)
  }

  removeHistory(compactRevision: Revision): void {
    assert(
      compactRevision <= this.#meta.compactRevision,
      `history below ${compactRevision} is to be removed, but the store is compacted to ${this.#meta.compactRevision} only`,
    )
    this.#history.removeBelow(compactRevision)
  }

  async drain(): Promise<void> {
    this.#assertUsable()
    await this.#writeBehind.drain()
  }

  stats(): { readonly dbBytes: number; readonly tableBytes: number; readonly cacheBytes: number } {
    return { dbBytes: this.#dbBytes, tableBytes: this.#table.sizeBytes, cacheBytes: this.#cache.sizeBytes }
  }

  /** Writes what is committed, unless the store has failed; ends snapshots; lets running calls end; then closes. */
  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    await this.#history.stop()
    if (this.#failure === undefined) await this.#writeBehind.drain()
    while (this.#calls.size > 0) await Promise.allSettled(this.#calls)
    for (const snapshot of this.#snapshots) await snapshot.close()
    await this.#writeBehind.whenIdle()
    await this.#options.engine.close()
  }

  async #prefetch(pointers: readonly KeyString[], records: readonly KeyString[]): Promise<void> {
    const mark = this.#table.mark()
    try {
      // Both ask in the same breath, so one call fetches all missing pointers; a second one the records.
      const [slots, whole] = await Promise.all([this.#keys.slots(pointers), this.#keys.whole(records)])
      for (const [index, key] of pointers.entries()) this.#pin(mark, key, slots[index]!)
      for (const [index, key] of records.entries()) this.#pin(mark, key, whole[index]!)
    } finally {
      this.#table.release(mark)
      this.#writeBehind.checkRoom()
    }
  }

  #pin(mark: number, key: KeyString, slot: Slot): void {
    this.#pinned.set(key, this.#table.findSince(mark, key) ?? slot)
  }

  #inMemory(key: KeyString): Slot | undefined {
    return this.#staged.get(key) ?? this.#table.find(key) ?? this.#pinned.get(key) ?? this.#cache.get(key)
  }

  #fetched(key: KeyString): Slot {
    const slot = this.#inMemory(key)
    assert(slot !== undefined, 'apply asked for a key that was not fetched')
    return slot
  }

  #written(generation: Generation): void {
    if (generation.meta !== undefined) this.#persistedMeta = generation.meta
    for (const callback of this.#persistedCallbacks) callback(this.persisted)
    this.#history.wake()
    this.#refreshSize()
  }

  #refreshSize(): void {
    const nowMs = this.#options.clock.now()
    if (nowMs - this.#sizedAtMs < SIZE_REFRESH_MS || this.#closing !== undefined) return
    this.#sizedAtMs = nowMs
    const { engine, gate } = this.#options
    const measured = this.#run(() => gate.run(() => engine.approximateSize()))
    measured.then(
      (bytes) => void (this.#dbBytes = bytes),
      (error: unknown) => this.#fail(error),
    )
  }

  /** Runs something that may meet the disk: any error is the end of this store. */
  async #run<T>(call: () => Promise<T>): Promise<T> {
    this.#assertUsable()
    if (this.#closing !== undefined) throw new StateClosedError()
    const running = call()
    this.#calls.add(running)
    try {
      return await running
    } catch (error) {
      this.#fail(error)
      throw error
    } finally {
      this.#calls.delete(running)
    }
  }

  #assertUsable(): void {
    if (this.#failure !== undefined) throw this.#failure
  }

  /** Sticky: nothing is written after the first failure, because what a failed write left behind is unknown. */
  #fail(error: unknown): void {
    if (this.#failure !== undefined) return
    const cause = asError(error)
    this.#failure = new StateFailedError(cause)
    this.#options.logger.error({ error: cause, where: this.#options.where }, 'the state has failed')
    this.#writeBehind.fail(this.#failure)
    void this.#history.stop()
    for (const callback of this.#failureCallbacks) callback(cause)
  }
}
