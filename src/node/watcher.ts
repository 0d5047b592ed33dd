// One watch: where it is, and how it gets from there to now. It holds no events of its own: what it has not delivered is read
// again, from the window of recent revisions or from the state's history, so a slow reader costs no memory.
import { QuorateError } from '../api/errors.ts'
import { assert } from '../lib/assert.ts'
import { type Deferred, deferred } from '../lib/deferred.ts'
import type { Revision } from '../kv/types.ts'
import type { Freshness, ReadOptions, WatchEvent, WatchHandle, WatchRequest, WatchSink } from './facade.ts'
import { LIMITS } from './limits.ts'
import { Pages } from './listings.ts'
import { type PinPort, PinnedState } from './pinned-state.ts'
import type { ListItem } from './ports.ts'
import { notReady, toEntry } from './reads.ts'
import type { Slots } from './slots.ts'
import { byRevision, type RevisionEvents } from './watch-events.ts'
import type { GroupMember, WatchGroup } from './watch-index.ts'
import type { WatchWindow } from './watch-window.ts'

/** What a watch needs of those who feed it. */
export interface WatchSource extends PinPort {
  /** Everything up to here was shown to all live watches. */
  readonly revision: Revision
  readonly window: WatchWindow
  /** Of events that wait for a paused reader. */
  readonly lagBytesMax: number
  /** For pages of the past. */
  readonly slots: Slots
  readonly canServe: boolean
  /** The clock as of the last sweep: exact enough to tell who is idle. */
  readonly nowMs: number
  confirm(options: ReadOptions, done: (outcome: Freshness | QuorateError) => void): void
  /** The watch has ended, whatever the reason. */
  onEnded(watcher: Watcher): void
}

const INITIAL_PAGE = { itemsMax: LIMITS.watchInitialItemsMax, bytesMax: LIMITS.watchInitialBytesMax }

/**
 * `starting`: waits for its read index. `listing`: delivers the initial entries. `catching-up`: delivers what is behind.
 * `live`: gets what is applied, at once. `paused`: its reader is busy.
 */
type Stage = 'starting' | 'listing' | 'catching-up' | 'live' | 'paused' | 'ended'

export class Watcher implements WatchHandle, GroupMember {
  readonly group: WatchGroup
  readonly #request: WatchRequest
  readonly #sink: WatchSink
  readonly #source: WatchSource
  #stage: Stage = 'starting'
  /** Everything up to here was delivered. While live, or paused with nothing missed, everything up to now. */
  #position: Revision = 0
  /** While paused: something after the position waits. */
  #isBehind = false
  #waitingBytes = 0
  #isCatchingUp = false
  /** Records in the next page of the past: few for a reader that takes few at a time, since what it does not take is read again. */
  #pageRecords: number = LIMITS.watchPageRecordsMin
  #sentAtMs = 0
  /** The pause in the middle of the initial entries. */
  #listingPause: Deferred<void> | undefined

  constructor(request: WatchRequest, sink: WatchSink, source: WatchSource, join: (member: GroupMember) => WatchGroup) {
    this.#request = request
    this.#sink = sink
    this.#source = source
    this.group = join(this)
  }

  start(): void {
    if (this.#stage !== 'starting') return
    const { fromRevision, wantsInitial, timeoutMs } = this.#request
    if (fromRevision !== undefined) return this.#startAt(fromRevision)
    const options = { consistency: 'linearizable', maxStaleMs: undefined, minRevision: undefined, timeoutMs } as const
    this.#source.confirm(options, (outcome) => {
      if (this.#stage !== 'starting') return
      if (outcome instanceof QuorateError) return this.fail(outcome)
      if (wantsInitial) void this.#list()
      else this.#begin(outcome.revision)
    })
  }

  resume(): void {
    this.#listingPause?.resolve()
    if (this.#stage !== 'paused') return
    this.#position = this.#reached
    this.#stage = 'catching-up'
    void this.#catchUp()
  }

  cancel(): void {
    if (this.#stage === 'ended') return
    this.#stage = 'ended'
    this.#listingPause?.resolve()
    this.#source.onEnded(this)
  }

  fail(error: QuorateError): void {
    this.#end(() => this.#sink.onFailure(error))
  }

  onApplied({ revision }: RevisionEvents, events: readonly WatchEvent[], sizeBytes: number): void {
    if (revision <= this.#position) return
    if (this.#stage === 'live') {
      if (!this.group.wantsPrevious) return this.#send(revision, events)
      this.#position = Math.max(this.#position, revision - 1)
      this.#stage = 'catching-up'
      void this.#catchUp()
    } else if (this.#stage === 'paused') {
      if (!this.#isBehind) this.#position = Math.max(this.#position, revision - 1)
      this.#isBehind = true
      this.#waitingBytes += sizeBytes
      if (this.#waitingBytes > this.#source.lagBytesMax) this.#end(() => this.#sink.onLagging(this.#position + 1))
    }
  }

  /** Another state took the place of the one that was read so far; `revision` was the last that was shown before. */
  onInstalled(revision: Revision): void {
    const missedNothing = this.#stage === 'live' || (this.#stage === 'paused' && !this.#isBehind)
    if (missedNothing) this.#position = Math.max(this.#position, revision)
    if (this.#stage === 'paused') this.#isBehind = true
    if (this.#stage !== 'live') return
    this.#stage = 'catching-up'
    void this.#catchUp()
  }

  /** History below this revision is going: a paused watch that still needs it cannot go on exactly. */
  onCompacted(compactRevision: Revision): void {
    const isStranded = this.#stage === 'paused' && this.#isBehind && this.#position + 1 < compactRevision
    if (isStranded && !this.#source.window.covers(this.#position)) this.#endCompacted(compactRevision)
  }

  /** Says how far an idle watch is, when it has heard nothing since. */
  remind(silentSinceMs: number): void {
    if (this.#stage === 'live' && this.#sentAtMs <= silentSinceMs) this.#progress()
  }

  /** The node stops: the last word is where to go on, for whoever can take it. */
  shutDown(error: QuorateError): void {
    if (this.#stage === 'live') this.#progress()
    this.fail(error)
  }

  get #reached(): Revision {
    const missedNothing = this.#stage === 'live' || (this.#stage === 'paused' && !this.#isBehind)
    return missedNothing ? Math.max(this.#position, this.#source.revision) : this.#position
  }

  #startAt(fromRevision: Revision): void {
    const { canServe, store } = this.#source
    if (!canServe) return this.fail(notReady())
    const { compactRevision } = store.meta
    if (fromRevision < compactRevision) return this.#endCompacted(compactRevision)
    this.#begin(Math.max(0, fromRevision - 1))
  }

  #begin(position: Revision): void {
    this.#position = position
    this.#stage = 'catching-up'
    this.#progress()
    void this.#catchUp()
  }

  /** Delivers the entries that there are at one revision, then goes on from there. */
  async #list(): Promise<void> {
    this.#stage = 'listing'
    let state: PinnedState | undefined
    try {
      state = new PinnedState(this.#source, undefined)
      this.#position = state.revision
      const shape = { range: this.#request.range, reverse: false, separator: undefined }
      const pages = new Pages(state, shape, INITIAL_PAGE)
      while (await this.#source.slots.run(() => this.#sendPage(pages))) await this.#whilePaused(state)
    } catch (error) {
      this.#failWith(error)
    } finally {
      await state?.end()
    }
    void this.#catchUp()
  }

  /** Returns whether there may be more to list. */
  async #sendPage(pages: Pages): Promise<boolean> {
    if (this.#stage !== 'listing') return false
    const items = await pages.next()
    if (this.#isEnded()) return false
    this.#sentAtMs = this.#source.nowMs
    if (items === undefined) {
      this.#stage = 'catching-up'
      if (!this.#sink.onSync(this.#position)) this.#pause()
      return false
    }
    if (!this.#sink.onInitial(items.flatMap(entriesOf))) this.#listingPause = deferred()
    return true
  }

  /** A pinned state keeps space from being reclaimed, so a reader that is busy does without; what is compacted meanwhile ends the watch. */
  async #whilePaused(state: PinnedState): Promise<void> {
    const pause = this.#listingPause
    if (pause === undefined || this.#isEnded()) return
    await state.release()
    await pause.promise
    this.#listingPause = undefined
  }

  /** Delivers what is behind, then goes live. Runs once at a time, and without waiting while the window has everything. */
  async #catchUp(): Promise<void> {
    if (this.#isCatchingUp) return
    this.#isCatchingUp = true
    try {
      while (this.#stage === 'catching-up') {
        if (this.#position >= this.#source.revision) {
          this.#stage = 'live'
          break
        }
        const next = this.#source.window.after(this.#position)
        if (next === undefined) await this.#source.slots.run(() => this.#readPage())
        else if (this.group.wantsPrevious) await this.#sendWithPrevious(next)
        else this.#send(next.revision, this.group.pick(next))
      }
    } catch (error) {
      this.#failWith(error)
    } finally {
      this.#isCatchingUp = false
    }
  }

  async #readPage(): Promise<void> {
    if (this.#stage !== 'catching-up') return
    const { store } = this.#source
    const bounds = { recordsMax: this.#pageRecords, bytesMax: LIMITS.watchPageBytesMax }
    const page = await this.#reading(store, () => store.changesFrom(this.#position + 1, bounds))
    if (page === 'replaced' || this.#stage !== 'catching-up') return
    if (page === undefined) return this.#endCompacted(store.meta.compactRevision)
    assert(page.through > this.#position, `history after revision ${this.#position} ends at ${page.through}`)
    for (const events of byRevision(page.records)) {
      if (events.revision <= this.#position) continue
      if (this.group.wantsPrevious) await this.#sendWithPrevious(events)
      else this.#send(events.revision, this.group.pick(events))
      // Nothing was sent if the state was replaced while previous values were fetched: the page is of no use then.
      if (this.#stage !== 'catching-up' || this.#position < events.revision) return
    }
    this.#position = Math.max(this.#position, page.through)
    this.#pageRecords = Math.min(2 * this.#pageRecords, LIMITS.watchPageRecordsMax)
  }

  async #sendWithPrevious(revision: RevisionEvents): Promise<void> {
    const { store } = this.#source
    const events = await this.#reading(store, () => revision.withPrevious((event) => this.group.wants(event), store))
    if (events !== 'replaced' && this.#stage === 'catching-up') this.#send(revision.revision, events)
  }

  /** A state that was replaced in the middle is read again, from the new one. */
  async #reading<T>(store: WatchSource['store'], read: () => Promise<T>): Promise<T | 'replaced'> {
    try {
      return await read()
    } catch (error) {
      if (store !== this.#source.store) return 'replaced'
      throw error
    }
  }

  #send(revision: Revision, events: readonly WatchEvent[]): void {
    this.#position = revision
    if (events.length === 0) return
    this.#sentAtMs = this.#source.nowMs
    if (!this.#sink.onEvents(revision, events)) this.#pause()
  }

  #progress(): void {
    this.#position = this.#reached
    this.#sentAtMs = this.#source.nowMs
    if (!this.#sink.onProgress(this.#position)) this.#pause()
  }

  #pause(): void {
    if (this.#isEnded()) return
    this.#isBehind = this.#position < this.#source.revision
    this.#waitingBytes = 0
    this.#pageRecords = LIMITS.watchPageRecordsMin
    this.#stage = 'paused'
  }

  /** A method, because the sink changes the stage behind the type checker's back. */
  #isEnded(): boolean {
    return this.#stage === 'ended'
  }

  #endCompacted(compactRevision: Revision): void {
    this.#end(() => this.#sink.onCompacted(compactRevision))
  }

  #failWith(error: unknown): void {
    if (error instanceof QuorateError) {
      if (error.code === 'COMPACTED') return this.#endCompacted(this.#source.store.meta.compactRevision)
      return this.fail(error)
    }
    this.#source.fail(error)
    this.fail(new QuorateError('INTERNAL', 'The state could not be read; this node stops.', { outcome: 'not-applied' }))
  }

  #end(say: () => void): void {
    if (this.#isEnded()) return
    this.cancel()
    say()
  }
}

const entriesOf = (item: ListItem) => {
  const entry = item.kind === 'record' ? toEntry(item.record) : undefined
  return entry === undefined ? [] : [entry]
}
