// Tells the filter of keys which are on disk, once after opening: walks through all pointers in small slices with longer rests, because
// nobody waits for it. What is written meanwhile the filter learns from the batches, so the walk needs no view of one moment.
import type { Clock, Timer } from '../../node/ports.ts'
import type { CallGate } from './call-gate.ts'
import type { Engine, EngineRow } from './engine.ts'
import type { KeyFilter } from './key-filter.ts'
import { hashOf } from './key-index.ts'
import { KEYSPACE, keyspaceRange, userKeyOf } from './keys.ts'

/** Half a millisecond of the event loop. */
const KEYS_PER_SLICE = 256
/** How long it rests for the time that a slice took. */
const RESTS = 4

export interface KeyCensusOptions {
  readonly engine: Engine
  readonly gate: CallGate
  readonly clock: Clock
  readonly filter: KeyFilter
  readonly onFailure: (error: unknown) => void
}

export class KeyCensus {
  readonly #options: KeyCensusOptions
  readonly #running: Promise<void>
  #isStopped = false
  #rest: { readonly timer: Timer; readonly end: () => void } | undefined

  /** Begins. */
  constructor(options: KeyCensusOptions) {
    this.#options = options
    this.#running = this.#walk().catch(options.onFailure)
  }

  /** No slice runs once this has resolved. */
  async stop(): Promise<void> {
    this.#isStopped = true
    this.#rest?.timer.cancel()
    this.#rest?.end()
    await this.#running
  }

  async #walk(): Promise<void> {
    const { clock, filter } = this.#options
    const { gte, lt } = keyspaceRange(KEYSPACE.pointers)
    for (let from = gte; !this.#isStopped;) {
      const beganMs = clock.now()
      const rows = await this.#slice(from, lt)
      const last = rows.at(-1)
      if (last === undefined) return filter.complete()
      for (const [key] of rows) filter.add(hashOf(userKeyOf(key)))
      from = Buffer.concat([last[0], Buffer.of(0)])
      await this.#restFor(Math.max(1, RESTS * (clock.now() - beganMs)))
    }
  }

  async #slice(gte: Buffer, lt: Buffer): Promise<readonly EngineRow[]> {
    const { engine, gate } = this.#options
    const range = engine.range({ gte, lt, snapshot: undefined })
    try {
      return await gate.run(() => range.next(KEYS_PER_SLICE))
    } finally {
      await range.close()
    }
  }

  async #restFor(ms: number): Promise<void> {
    if (this.#isStopped) return
    await new Promise<void>((end) => {
      this.#rest = { timer: this.#options.clock.after(ms, end), end }
    })
    this.#rest = undefined
  }
}
