// Applies committed entries, strictly one after another: decodes, fetches what apply will read, applies, ends the entry.
// Synchronous while everything is in memory; otherwise it waits for the state store and then goes on where it was.
import type { CommandResult, EntryBatch } from '../api/commands.ts'
import { decodeEntry } from '../api/command-codec.ts'
import { assert } from '../lib/assert.ts'
import { type Deferred, deferred } from '../lib/deferred.ts'
import { type Execution, KvStateMachine, type LockChange, type SideState } from '../kv/index.ts'
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
  /** Locks whose holder, or what it proclaims, is another now. */
  readonly lockChanges: readonly LockChange[]
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
  /** An entry is applied in part: it waits for what it reads, or gives others their turn. */
  #isMidEntry = false
  /** Those who will look at the tables when that entry has ended. As many as reads may wait. */
  #looking: ((isWhole: boolean) => void)[] = []

  constructor(clock: Clock, store: StateStore, port: ApplierPort) {
    this.#clock = clock
    this.#store = store
    this.#machine = new KvStateMachine(store.meta, store.takeRows())
    this.#port = port
  }

  get appliedIndex(): LogIndex {
    return this.#store.meta.index
  }

  /** Leases, sessions and locks as of the last applied entry. */
  get side(): SideState {
    return this.#machine.side
  }

  /**
   * Calls back when what is beside the keys may be looked at as a whole: at once, or at the end of the entry under way; with false
   * if that does not come any more.
   */
  betweenEntries(look: (isWhole: boolean) => void): void {
    if (!this.#isMidEntry) look(true)
    else if (this.#isStopped) look(false)
    else this.#looking.push(look)
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
    this.#machine = new KvStateMachine(store.meta, store.takeRows())
    this.#queue = []
    this.#head = 0
    this.#isPaused = false
    this.#port.onProgress(this.appliedIndex)
    this.#run()
  }

  stop(): void {
    this.#isStopped = true
    this.#show(false)
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
      this.#end(entry, { batch: undefined, results: [], changes: [], lockChanges: [], meta })
      return undefined
    }
    const batch = decodeEntry(entry.data)
    const execution = this.#machine.begin(batch, entry, this.#store)
    const fetching = this.#execute(execution)
    if (fetching !== undefined) return this.#finishAfter(fetching, execution, entry, batch)
    this.#end(entry, { batch, ...execution.finish() })
    return undefined
  }

  /** Executes what is in memory. Returns what must be waited for before the next sub-batch, or undefined when all were executed. */
  #execute(execution: Execution): Promise<void> | undefined {
    for (let wanted = execution.next(); wanted !== undefined; wanted = execution.next()) {
      const fetching = wanted === 'pause' ? this.#turnOfOthers() : this.#store.prefetch(wanted)
      if (fetching !== undefined) return fetching
      execution.execute()
    }
    return undefined
  }

  /** A command with tens of thousands of keys takes many turns. What it has changed is seen by nobody before the entry ends. */
  #turnOfOthers(): Promise<void> {
    return new Promise((resolve) => this.#clock.soon(resolve))
  }

  async #finishAfter(first: Promise<void>, execution: Execution, entry: Entry, batch: EntryBatch): Promise<void> {
    this.#isMidEntry = true
    for (let fetching: Promise<void> | undefined = first; fetching !== undefined;) {
      await fetching
      if (this.#isStopped) return
      execution.execute()
      fetching = this.#execute(execution)
    }
    this.#end(entry, { batch, ...execution.finish() })
    this.#isMidEntry = false
    this.#show(true)
  }

  #show(isWhole: boolean): void {
    const looking = this.#looking
    this.#looking = []
    for (const look of looking) look(isWhole)
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
    this.stop()
    this.#isRunning = false
    this.#pausing?.reject(error instanceof Error ? error : new Error(String(error)))
    this.#pausing = undefined
    this.#port.fail(error)
  }
}
