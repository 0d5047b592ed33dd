// The state machine's state on disk: implements the driver's StateStore over an engine. This file is the joint of the parts:
// the entry being applied (staged), the table of what is committed but not yet on disk, the cache, the disk.
import { assert, present } from '../../lib/assert.ts'
import type { KeyString } from '../../lib/bytes.ts'
import { TransientMap } from '../../lib/transient.ts'
import type {
  Change,
  KeyPointer,
  KeyRecord,
  KvMeta,
  RangeRead,
  ReadSet,
  Revision,
  RevisionId,
  RowKey,
  StateRow,
} from '../../kv/types.ts'
import type {
  Clock,
  ClusterConfiguration,
  Found,
  HistoryPage,
  Logger,
  StateSnapshot,
  StateStore,
  StateView,
} from '../../node/ports.ts'
import type { EntryId } from '../../raft/types.ts'
import { asError } from '../errors.ts'
import { Cache } from './cache.ts'
import type { CallGate } from './call-gate.ts'
import { ChangeReader } from './change-reader.ts'
import type { HistoryBounds } from './change-reader.ts'
import type { Engine } from './engine.ts'
import { StateClosedError, StateFailedError } from './errors.ts'
import { HistoryRemover } from './history.ts'
import { KeyCensus } from './key-census.ts'
import { KeyFilter } from './key-filter.ts'
import { KeyReader } from './key-reader.ts'
import type { DigestCheckpoint } from './meta-codec.ts'
import { Pace } from './pace.ts'
import { PinnedState } from './pinned-state.ts'
import { PointReader } from './point-reader.ts'
import { isWhole } from './slot.ts'
import { openStateSnapshot } from './snapshot-sender.ts'
import { Staging } from './staging.ts'
import type { StoredState } from './stored-state.ts'
import { Table } from './table.ts'
import type { Generation } from './table.ts'
import { PinnedView } from './view.ts'
import { WriteBehind } from './write-behind.ts'

/** Digests are kept of every so many entries, and compared there. */
export const CHECKPOINT_INTERVAL = 1_024
export const CHECKPOINTS_KEPT = 16
const SIZE_REFRESH_MS = 5_000
/** The filter of keys has this share of the cache's bound, beside it. */
const FILTER_SHARE = 1 / 16

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
  readonly #filter: KeyFilter
  readonly #census: KeyCensus
  readonly #cache: Cache
  readonly #pace: Pace
  readonly #keys: KeyReader
  readonly #writeBehind: WriteBehind
  readonly #history: HistoryRemover
  #meta: KvMeta
  #persistedMeta: KvMeta
  #checkpoints: readonly DigestCheckpoint[]
  readonly #staging: Staging
  readonly #changes: ChangeReader
  /** Until they are taken. */
  #rows: ReadonlyMap<RowKey, Uint8Array> | undefined
  #failure: StateFailedError | undefined
  #closing: Promise<void> | undefined
  readonly #snapshots = new Set<StateSnapshot>()
  readonly #views = new Set<PinnedView>()
  #changesMade = 0
  #dbBytes = 0
  #sizedAtMs = -Infinity
  readonly #persistedCallbacks: ((persisted: EntryId) => void)[] = []
  readonly #failureCallbacks: ((error: Error) => void)[] = []
  /** Reads, slices and batches under way, to be waited for before the engine is closed. */
  readonly #calls = new TransientMap<Promise<unknown>>()
  #lastCall = 0

  constructor(options: StateDbOptions) {
    const { engine, stored, gate, clock, limits, where } = options
    this.#options = options
    this.configuration = stored.configuration
    this.#meta = stored.meta
    this.#persistedMeta = stored.meta
    this.#checkpoints = stored.checkpoints
    this.#rows = stored.rows
    this.#filter = new KeyFilter(Math.max(1, limits.cacheBytesMax * FILTER_SHARE))
    this.#cache = new Cache(limits.cacheBytesMax, this.#filter)
    this.#pace = new Pace(clock)
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
    const points = new PointReader(engine, gate)
    const onReadEnded = (): void => this.#writeBehind.checkRoom()
    this.#keys = new KeyReader({ table, where, points, cache: this.#cache, onReadEnded })
    const gated = <T>(call: () => Promise<T>): Promise<T> => gate.run(call)
    const pause = (): Promise<void> => new Promise((resolve) => clock.soon(resolve))
    this.#staging = new Staging({
      table,
      cache: this.#cache,
      keys: this.#keys,
      pin: (staged) => new PinnedState({ engine, where, run: gated, pause }, table.freeze(), staged),
      onReadEnded,
    })
    this.#changes = new ChangeReader({ engine, points, table, where, meta: () => this.#meta, gated })
    this.#history = new HistoryRemover({
      engine,
      where,
      gate,
      clock,
      table,
      keys: this.#keys,
      tableBytesBusy: limits.tableBytesMax / 2,
      progress: stored.historyProgress,
      changesMade: () => this.#changesMade,
      persistedRevision: () => this.#persistedMeta.revision,
      remove: (removal) => {
        this.#table.remove(removal)
        for (const key of removal.keys) this.#cache.set(key)
        this.#writeBehind.changed()
      },
      onFailure: (error) => this.#fail(error),
    })
    this.#census = new KeyCensus({ engine, gate, clock, filter: this.#filter, onFailure: (error) => this.#fail(error) })
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

  takeRows(): ReadonlyMap<RowKey, Uint8Array> {
    const rows = present(this.#rows, 'what was taken once already: the rows of this state')
    this.#rows = undefined
    return rows
  }

  pointer(key: KeyString): KeyPointer | undefined {
    return this.#staging.pointer(key)
  }

  latestRecord(key: KeyString): KeyRecord | undefined {
    return this.#staging.latestRecord(key)
  }

  keysOf(read: RangeRead): readonly KeyString[] {
    return this.#staging.keysOf(read)
  }

  put(change: Change): void {
    this.#staging.put(change)
  }

  putRow(row: StateRow, value: Uint8Array | undefined, isNew: boolean): void {
    this.#staging.putRow(row, value, isNew)
  }

  commitEntry(meta: KvMeta): void {
    this.#assertUsable()
    assert(
      meta.index > this.#meta.index && meta.revision >= this.#meta.revision,
      `entry ${meta.index} at revision ${meta.revision} was committed after entry ${this.#meta.index} at revision ${this.#meta.revision}`,
    )
    this.#changesMade += this.#staging.changes.length
    this.#staging.commit(meta)
    this.#meta = meta
    if (meta.index % CHECKPOINT_INTERVAL === 0) {
      this.#checkpoints = [...this.#checkpoints, { index: meta.index, digest: meta.digest }].slice(-CHECKPOINTS_KEPT)
      this.#table.gathering.checkpoints = this.#checkpoints
    }
    this.#writeBehind.changed()
  }

  prefetch(wanted: ReadSet): Promise<void> | undefined {
    return this.#staging.isKnown(wanted) ? undefined : this.#run(() => this.#staging.fetch(wanted))
  }

  room(): Promise<void> | undefined {
    return this.#failure === undefined ? this.#writeBehind.room() : Promise.reject(this.#failure)
  }

  // ------------------------------------------------------------------------------------------------------ what others read

  get(key: KeyString): Found | Promise<Found> {
    if (this.#failure === undefined && this.#closing === undefined) {
      const slot = this.#keys.known(key, true)
      if (slot !== undefined && isWhole(slot)) return slot.record
    }
    return this.#run(async () => {
      const [slot] = await this.#keys.whole([key])
      return slot!.record
    })
  }

  openView(): StateView {
    this.#assertUsable()
    if (this.#closing !== undefined) throw new StateClosedError()
    const { engine, gate, clock, where } = this.#options
    const run = <T>(call: () => Promise<T>): Promise<T> => this.#run(() => gate.run(call))
    const pause = (): Promise<void> => new Promise((resolve) => clock.soon(resolve))
    const state = new PinnedState({ engine, where, run, pause }, this.#table.freeze())
    const view = new PinnedView(state, this.#meta, this.#pace, (closed) => void this.#views.delete(closed))
    this.#views.add(view)
    return view
  }

  changesFrom(from: Revision, bounds: HistoryBounds): Promise<HistoryPage | undefined> {
    return this.#run(() => this.#changes.changesFrom(from, bounds))
  }

  recordAt(at: RevisionId): Promise<KeyRecord | undefined> {
    return this.#run(() => this.#changes.recordAt(at))
  }

  async openSnapshot(): Promise<StateSnapshot> {
    return await this.#run(async () => {
      const { engine, gate, clock, where } = this.#options
      const run = <T>(call: () => Promise<T>): Promise<T> => this.#run(() => gate.run(call))
      const onClosed = (closed: StateSnapshot): void => void this.#snapshots.delete(closed)
      const snapshot = await openStateSnapshot({ engine, where, run, clock, onClosed })
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
    return {
      dbBytes: this.#dbBytes,
      tableBytes: this.#table.sizeBytes,
      cacheBytes: this.#cache.sizeBytes + this.#filter.sizeBytes,
    }
  }

  /** Writes what is committed, unless the store has failed; ends views and snapshots; lets running calls end; then closes. */
  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    await this.#history.stop()
    await this.#census.stop()
    if (this.#failure === undefined) await this.#writeBehind.drain()
    while (this.#calls.size > 0) await Promise.allSettled(this.#calls.values())
    for (const pinned of [...this.#views, ...this.#snapshots]) await pinned.close()
    await this.#writeBehind.close()
    await this.#options.engine.close()
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
    const number = ++this.#lastCall
    this.#calls.set(number, running)
    try {
      return await running
    } catch (error) {
      this.#fail(error)
      throw error
    } finally {
      void this.#calls.delete(number)
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
    void this.#census.stop()
    for (const callback of this.#failureCallbacks) callback(cause)
  }
}
