// Writes the table to disk behind the back of apply: one synced batch at a time, each a whole generation, each naming the last
// entry it holds. The next batch leaves when enough has gathered or the oldest change has waited long enough. Unsynced batches
// would not do: after a power cut they do not survive as a prefix (LevelDB changes log files without syncing the old one).
import { assert } from '../../lib/assert.ts'
import { ByteWriter } from '../../lib/bytes.ts'
import { deferred } from '../../lib/deferred.ts'
import type { Deferred } from '../../lib/deferred.ts'
import type { Clock, Timer } from '../../node/ports.ts'
import type { CallGate } from './call-gate.ts'
import type { Engine } from './engine.ts'
import { encodeGeneration } from './generation-encoder.ts'
import type { Generation, Table } from './table.ts'
import { addWitness } from './witness.ts'
import type { Witnesses } from './witness.ts'

export interface WriteBehindOptions {
  readonly engine: Engine
  readonly gate: CallGate
  readonly clock: Clock
  readonly table: Table
  readonly batchBytes: number
  readonly batchDelayMs: number
  readonly tableBytesMax: number
  readonly witnesses: Witnesses
  readonly onWritten: (generation: Generation) => void
  readonly onFailure: (error: unknown) => void
}

export class WriteBehind {
  readonly #options: WriteBehindOptions
  readonly #writer = new ByteWriter(4_096)
  #witnesses: Witnesses
  #isWriting = false
  #running: Promise<void> | undefined
  #hasFailed = false
  #isClosed = false
  #timer: Timer | undefined
  /** When the gathering generation got its first change. */
  #dirtySinceMs: number | undefined
  /** Generations up to here leave at once. */
  #drainTo = 0
  #drains: { readonly to: number; readonly done: Deferred<void> }[] = []
  #roomWaiters: Deferred<void>[] = []

  constructor(options: WriteBehindOptions) {
    this.#options = options
    this.#witnesses = options.witnesses
  }

  /** Something was added to the gathering generation. */
  changed(): void {
    this.#maybeStart()
  }

  room(): Promise<void> | undefined {
    if (!this.#isFull) return undefined
    const waiter = deferred<void>()
    this.#roomWaiters.push(waiter)
    return waiter.promise
  }

  /** Lets those go on who wait for room, if there is some. */
  checkRoom(): void {
    if (this.#roomWaiters.length === 0 || this.#isFull) return
    const waiters = this.#roomWaiters
    this.#roomWaiters = []
    for (const waiter of waiters) waiter.resolve()
  }

  /** Resolves when everything gathered so far is on disk. */
  async drain(): Promise<void> {
    const { gathering, writing } = this.#options.table
    const to = gathering.isEmpty ? writing?.number : gathering.number
    if (to === undefined) return
    const done = deferred<void>()
    this.#drains.push({ to, done })
    this.#drainTo = to
    this.#maybeStart()
    await done.promise
  }

  /**
   * Starts no further batch; resolves when none is under way, whatever became of it. What a drain left gathering are removals that had
   * to wait for the batch before them: history finds them again.
   */
  async close(): Promise<void> {
    this.#isClosed = true
    this.#timer?.cancel()
    await this.#running
  }

  /** Nothing more is written; who waits learns why. */
  fail(error: Error): void {
    this.#hasFailed = true
    this.#timer?.cancel()
    for (const waiter of [...this.#roomWaiters, ...this.#drains.map((drain) => drain.done)]) waiter.reject(error)
    this.#roomWaiters = []
    this.#drains = []
  }

  get #isFull(): boolean {
    return this.#options.table.sizeBytes >= this.#options.tableBytesMax
  }

  /** Starts the next batch if it is due, or a timer for when it will be. */
  #maybeStart(): void {
    const { table, clock, batchBytes, batchDelayMs } = this.#options
    if (this.#hasFailed || this.#isClosed || table.gathering.isEmpty) return
    this.#dirtySinceMs ??= clock.now()
    if (this.#isWriting) return
    const waitMs = this.#dirtySinceMs + batchDelayMs - clock.now()
    const isDue = table.gathering.sizeBytes >= batchBytes || table.gathering.number <= this.#drainTo || waitMs <= 0
    if (isDue) this.#start()
    else this.#timer ??= clock.after(waitMs, () => this.#timerFired())
  }

  #timerFired(): void {
    this.#timer = undefined
    this.#maybeStart()
  }

  #start(): void {
    this.#timer?.cancel()
    this.#timer = undefined
    this.#dirtySinceMs = undefined
    this.#isWriting = true
    const generation = this.#options.table.cut()
    this.#running = this.#write(generation).then(
      () => this.#written(generation),
      (error: unknown) => {
        this.#isWriting = false
        this.#options.onFailure(error)
      },
    )
  }

  async #write(generation: Generation): Promise<void> {
    const { engine, gate, clock } = this.#options
    const batch = engine.batch()
    for (const _turn of encodeGeneration(generation, batch)) {
      await new Promise<void>((resolve) => clock.soon(resolve))
    }
    const witnesses = addWitness(batch, this.#writer, this.#witnesses, generation.changes.records)
    await gate.run(() => batch.write())
    this.#witnesses = witnesses
  }

  #written(generation: Generation): void {
    assert(this.#isWriting, 'a batch completed that was never started')
    this.#isWriting = false
    if (this.#hasFailed) return
    this.#options.table.written()
    this.#options.onWritten(generation)
    const drained = this.#drains.filter((drain) => drain.to <= generation.number)
    this.#drains = this.#drains.filter((drain) => drain.to > generation.number)
    for (const drain of drained) drain.done.resolve()
    this.checkRoom()
    this.#maybeStart()
  }
}
