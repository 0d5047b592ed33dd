// All watches of this node: shows them what is applied, revision by revision, each revision whole, and to nobody twice. Any node
// serves watches, from its own applied state (design, section 7).
import { QuorateError } from '../api/errors.ts'
import type { Revision } from '../kv/types.ts'
import type { Applied } from './applier.ts'
import type { Freshness, ReadOptions, WatchHandle, WatchRequest, WatchSink } from './facade.ts'
import { LIMITS } from './limits.ts'
import type { WatchLimits } from './node-options.ts'
import type { PinPort } from './pinned-state.ts'
import type { Clock } from './ports.ts'
import { shuttingDown } from './reads.ts'
import { Slots } from './slots.ts'
import { byRevision, ownRecord } from './watch-events.ts'
import { WatchIndex } from './watch-index.ts'
import { WatchWindow } from './watch-window.ts'
import { Watcher, type WatchSource } from './watcher.ts'

export interface WatchPort extends PinPort {
  /** True while this node may serve from its state at all. */
  readonly canServe: boolean
  confirm(options: ReadOptions, done: (outcome: Freshness | QuorateError) => void): void
}

/** An idle watch hears how far it is this often. */
export const PROGRESS_MS = 5_000
/** How often idle watches are looked for. */
const REMIND_MS = 1_000

export class WatchHub {
  readonly #clock: Clock
  readonly #port: WatchPort
  readonly #index = new WatchIndex()
  readonly #watchers = new Set<Watcher>()
  readonly #window: WatchWindow
  readonly #lagBytesMax: number
  readonly #slots = new Slots(LIMITS.watchPagesMax)
  readonly #source: WatchSource
  #revision: Revision
  #compactRevision: Revision
  #nowMs: number
  #remindedAtMs: number
  #isClosed = false

  constructor(clock: Clock, port: WatchPort, limits: Partial<WatchLimits> = {}) {
    this.#clock = clock
    this.#port = port
    this.#window = new WatchWindow(limits)
    this.#lagBytesMax = limits.watcherLagBytesMax ?? LIMITS.watcherLagBytesMax
    this.#revision = port.store.meta.revision
    this.#compactRevision = port.store.meta.compactRevision
    this.#nowMs = clock.now()
    this.#remindedAtMs = this.#nowMs
    this.#source = this.#makeSource()
  }

  /** Watches that have not ended. */
  get watcherCount(): number {
    return this.#watchers.size
  }

  /** The sink hears nothing before this returns. */
  watch(request: WatchRequest, sink: WatchSink): WatchHandle {
    const refusal = this.#refusal()
    if (refusal !== undefined) return this.#refuse(sink, refusal)
    if (this.#watchers.size === 0) this.#window.reset(this.#revision)
    const watcher = new Watcher(request, sink, this.#source, (member) => this.#index.join(request, member))
    this.#watchers.add(watcher)
    this.#clock.soon(() => watcher.start())
    return watcher
  }

  onApplied({ changes, meta }: Applied): void {
    if (this.#watchers.size > 0) {
      for (const events of byRevision(changes.map((change) => ownRecord(change.record)))) {
        this.#window.push(events)
        this.#revision = events.revision
        this.#index.offer(events)
      }
    }
    this.#revision = meta.revision
    if (meta.compactRevision === this.#compactRevision) return
    this.#compactRevision = meta.compactRevision
    for (const watcher of this.#watchers) watcher.onCompacted(meta.compactRevision)
  }

  /** Another state is the current one: it holds the history of what was never applied here, unless that was compacted. */
  onInstalled(): void {
    const { meta } = this.#port.store
    const before = this.#revision
    this.#revision = meta.revision
    this.#compactRevision = meta.compactRevision
    this.#window.reset(meta.revision)
    for (const watcher of this.#watchers) watcher.onInstalled(before)
  }

  /** Called every few ticks. */
  sweep(): void {
    this.#nowMs = this.#clock.now()
    if (this.#nowMs - this.#remindedAtMs < REMIND_MS) return
    this.#remindedAtMs = this.#nowMs
    for (const watcher of this.#watchers) watcher.remind(this.#nowMs - PROGRESS_MS)
  }

  /** The node stops: nothing more will be applied. */
  close(): void {
    this.#isClosed = true
    for (const watcher of this.#watchers) watcher.shutDown(shuttingDown())
  }

  #refusal(): QuorateError | undefined {
    if (this.#isClosed) return shuttingDown()
    if (this.#watchers.size < LIMITS.watchersMax) return undefined
    return new QuorateError('OVERLOADED', 'Too many watches are open on this node; use another.')
  }

  #refuse(sink: WatchSink, refusal: QuorateError): WatchHandle {
    let isCancelled = false
    this.#clock.soon(() => {
      if (!isCancelled) sink.onFailure(refusal)
    })
    return { resume: () => {}, cancel: () => void (isCancelled = true) }
  }

  #makeSource(): WatchSource {
    // oxlint-disable-next-line no-this-alias -- getters of the source read this hub
    const hub = this
    return {
      get revision() {
        return hub.#revision
      },
      get store() {
        return hub.#port.store
      },
      get canServe() {
        return hub.#port.canServe
      },
      get nowMs() {
        return hub.#nowMs
      },
      window: this.#window,
      lagBytesMax: this.#lagBytesMax,
      slots: this.#slots,
      confirm: (options, done) => this.#port.confirm(options, done),
      fail: (error) => this.#port.fail(error),
      onEnded: (watcher) => {
        this.#index.leave(watcher.group, watcher)
        this.#watchers.delete(watcher)
      },
    }
  }
}
