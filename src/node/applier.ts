// Applies committed entries, strictly one after another: decodes, fetches what apply will read, applies, ends the entry.
// Synchronous while everything is in memory; otherwise it waits for the state store and then goes on where it was.
import type { CommandResult, EntryBatch } from '../api/commands.ts'
import { decodeEntry } from '../api/command-codec.ts'
import { assert } from '../lib/assert.ts'
import { type Deferred, deferred } from '../lib/deferred.ts'
import { KvStateMachine, reads } from '../kv/index.ts'
import type { Change, KvMeta } from '../kv/types.ts'
import type { Entry, EntryId, LogIndex } from '../raft/index.ts'
import type { Clock, StateStore } from './ports.ts'

/** What one entry did, told to the rest of the node right after it was applied. */
export interface Applied {
  readonly id: EntryId
  /** Undefined for entries of the core's own (no-op, configuration). */
  readonly batch: EntryBatch | undefined
  readonly results: readonly (readonly CommandResult[])[]
  readonly changes: readonly Change[]
  readonly meta: KvMeta
  readonly dataBytes: number
}

export interface ApplierPort {
  onApplied(applied: Applied): void
  /** The queue ran empty, or the applier yields: whoever waits for the applied index may look. */
  onProgress(appliedIndex: LogIndex): void
  fail(error: unknown): void
}

/** One turn applies for at most this long before others get a turn. Milliseconds. */
const SLICE_MS = 8
/** Applied entries stay in the queue's array until there are this many: shifting an array costs its length. */
const COMPACT_AFTER = 1_024

export class Applier {
  readonly #clock: Clock
  readonly #port: ApplierPort
  #store: StateStore
  #machine: KvStateMachine
  #queue: Entry[] = []
  #head = 0
  #isRunning = false
  /** Set while a state swap waits for the current entry to end. */
  #pausing: Deferred<void> | undefined
  #isPaused = false
  #isStopped = false

  constructor(clock: Clock, store: StateStore, port: ApplierPort) {
    this.#clock = clock
    this.#store = store
    this.#machine = new KvStateMachine(store.meta)
    this.#port = port
  }

  get appliedIndex(): LogIndex {
    return this.#store.meta.index
  }

  /** Entries committed and not yet applied. */
  get backlog(): number {
    return this.#queue.length - this.#head
  }

  enqueue(committed: readonly Entry[]): void {
    for (const entry of committed) this.#queue.push(entry)
    this.#run()
  }

  /** Resolves at an entry boundary; nothing is applied until `resume`. Rejects if the entry under way cannot be applied. */
  pause(): Promise<void> {
    this.#isPaused = true
    if (!this.#isRunning) return Promise.resolve()
    this.#pausing = deferred()
    return this.#pausing.promise
  }

  /** Goes on with another state: what was committed before it is part of it, or will be committed again. */
  resume(store: StateStore): void {
    assert(this.#isPaused, 'the applier was not paused')
    this.#store = store
    this.#machine = new KvStateMachine(store.meta)
    this.#queue = []
    this.#head = 0
    this.#isPaused = false
    this.#port.onProgress(this.appliedIndex)
    this.#run()
  }

  stop(): void {
    this.#isStopped = true
  }

  #run(): void {
    if (this.#isRunning || this.#isPaused || this.#isStopped) return
    this.#isRunning = true
    this.#continue()
  }

  /** Applies until the queue is empty, something must be waited for, or this turn's slice is used up. */
  #continue(): void {
    try {
      const sliceEndMs = this.#clock.now() + SLICE_MS
      while (this.#head < this.#queue.length) {
        if (this.#isPaused || this.#isStopped) break
        const wait = this.#step()
        if (wait !== undefined) return this.#continueAfter(wait)
        if (this.#clock.now() >= sliceEndMs && this.#head < this.#queue.length) {
          this.#port.onProgress(this.appliedIndex)
          return this.#clock.soon(() => this.#continue())
        }
      }
    } catch (error) {
      return this.#stopWith(error)
    }
    this.#isRunning = false
    if (this.#head > 0 && this.#head === this.#queue.length) {
      this.#queue = []
      this.#head = 0
    }
    this.#port.onProgress(this.appliedIndex)
    this.#pausing?.resolve()
    this.#pausing = undefined
  }

  #continueAfter(wait: Promise<void>): void {
    this.#port.onProgress(this.appliedIndex)
    wait.then(
      () => this.#continue(),
      (error: unknown) => this.#stopWith(error),
    )
  }

  /** Applies the next entry, or says what to wait for first. */
  #step(): Promise<void> | undefined {
    const entry = this.#queue[this.#head]!
    assert(
      entry.index === this.appliedIndex + 1,
      `entry ${entry.index} cannot be applied to a state at index ${this.appliedIndex}: one was skipped or repeated`,
    )
    const room = this.#store.room()
    if (room !== undefined) return room
    if (entry.kind !== 'normal') {
      const meta = this.#machine.applyNonNormal(entry)
      this.#end(entry, { batch: undefined, results: [], changes: [], meta })
      return undefined
    }
    const batch = decodeEntry(entry.data)
    const fetching = this.#store.prefetch(reads(batch, this.#store))
    if (fetching !== undefined) return this.#applyAfter(fetching, entry, batch)
    this.#apply(entry, batch)
    return undefined
  }

  async #applyAfter(fetching: Promise<void>, entry: Entry, batch: EntryBatch): Promise<void> {
    await fetching
    if (!this.#isStopped) this.#apply(entry, batch)
  }

  #apply(entry: Entry, batch: EntryBatch): void {
    this.#end(entry, { batch, ...this.#machine.apply(batch, entry, this.#store) })
  }

  #end(entry: Entry, applied: Omit<Applied, 'id' | 'dataBytes'>): void {
    this.#store.commitEntry(applied.meta)
    this.#queue[this.#head++] = undefined as never
    if (this.#head >= COMPACT_AFTER && this.#head * 2 >= this.#queue.length) {
      this.#queue = this.#queue.slice(this.#head)
      this.#head = 0
    }
    this.#port.onApplied({ id: entry, dataBytes: entry.data.length, ...applied })
  }

  #stopWith(error: unknown): void {
    this.#isStopped = true
    this.#isRunning = false
    this.#pausing?.reject(error instanceof Error ? error : new Error(String(error)))
    this.#pausing = undefined
    this.#port.fail(error)
  }
}
