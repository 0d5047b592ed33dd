// Reads of ranges and of the past. Each waits for its read index like any other read, then looks at a pinned state, so that what
// it shows is of one revision while writes go on.
import { QuorateError } from '../api/errors.ts'
import { isEmptyRange } from '../api/ranges.ts'
import type { KeyRange } from '../api/commands.ts'
import { present } from '../lib/assert.ts'
import type { KeyString } from '../lib/bytes.ts'
import type { Revision } from '../kv/types.ts'
import type { EntryStream, Freshness, ListAnswer, ListedItem, ListRequest, ReadAnswer, ReadOptions } from './facade.ts'
import { LIMITS } from './limits.ts'
import { type PinPort, PinnedState } from './pinned-state.ts'
import type { Clock, ListItem, ListPage, StateView } from './ports.ts'
import { shuttingDown, toEntry } from './reads.ts'

export interface ListingPort extends PinPort {
  /** Calls back when the state may be looked at under these options, at that very moment. */
  confirm(options: ReadOptions, done: (outcome: Freshness | QuorateError) => void): void
}

type Done<T> = (outcome: T | QuorateError) => void

/** A listing that looks at the state. */
interface Pending {
  readonly deadlineMs: number
  readonly timeoutMs: number
  readonly fail: (error: QuorateError) => void
}

/** What a listing needs to go on with. */
type Looking<T> = (state: PinnedState, freshness: Freshness) => Promise<T>

export class Listings {
  readonly #clock: Clock
  readonly #port: ListingPort
  readonly #pending = new Set<Pending>()
  readonly #streams = new Set<Stream>()
  /** States pinned, also by listings that were given up but have not come to an end. */
  #pinnedCount = 0
  #isClosed = false

  constructor(clock: Clock, port: ListingPort) {
    this.#clock = clock
    this.#port = port
  }

  /** Listings that look at the state and are not yet answered. */
  get pendingCount(): number {
    return this.#pending.size
  }

  readPast(key: KeyString, revision: Revision, options: ReadOptions, done: Done<ReadAnswer>): void {
    this.#begin(revision, options, done, async (state, freshness) => {
      const record = await state.use((view) => view.get(key, revision))
      return { ...freshness, entry: toEntry(record) }
    })
  }

  list(request: ListRequest, options: ReadOptions, done: Done<ListAnswer>): void {
    this.#begin(request.revision, options, done, async (state, freshness) => {
      if (request.countOnly) {
        const count = await state.use((view) => countIn(view, request.range, state.revision))
        return { ...listedAt(state, freshness), items: [], count, rest: undefined }
      }
      const bounds = { itemsMax: Math.max(1, request.limit), bytesMax: LIMITS.pageBytesMax }
      const { items, rest } = await state.use((view) => pageOf(view, request, request.range, state.revision, bounds))
      return { ...listedAt(state, freshness), items: items.map(toListed), count: items.length, rest }
    })
  }

  stream(request: ListRequest, options: ReadOptions, done: Done<EntryStream>): void {
    this.#port.confirm(options, (outcome) => {
      if (outcome instanceof QuorateError) return done(outcome)
      // The revision of a stream is told before its first entry: it stays.
      const state = this.#pin(request.revision, { isFloating: false })
      if (state instanceof QuorateError) return done(state)
      const stream = new Stream(state, request, outcome, () => {
        if (this.#streams.delete(stream)) this.#pinnedCount--
      })
      this.#streams.add(stream)
      done(stream)
    })
  }

  /** Answers what has waited long enough. */
  sweep(): void {
    const now = this.#clock.now()
    for (const pending of this.#pending) {
      if (now >= pending.deadlineMs) pending.fail(late(pending.timeoutMs))
    }
  }

  /** The node stops: streams end where they are, and whoever waits hears so. Resolves when nothing is pinned any more. */
  async close(): Promise<void> {
    this.#isClosed = true
    for (const pending of this.#pending) pending.fail(shuttingDown())
    for (const stream of this.#streams) await stream.close()
  }

  #begin<T>(revision: Revision | undefined, options: ReadOptions, done: Done<T>, look: Looking<T>): void {
    const deadlineMs = this.#clock.now() + options.timeoutMs
    this.#port.confirm(options, (outcome) => {
      if (outcome instanceof QuorateError) return done(outcome)
      const state = this.#pin(revision, { isFloating: true })
      if (state instanceof QuorateError) return done(state)
      const answer = (result: T | QuorateError): void => {
        if (this.#pending.delete(pending)) done(result)
      }
      const pending: Pending = { deadlineMs, timeoutMs: options.timeoutMs, fail: answer }
      this.#pending.add(pending)
      void this.#run(state, () => look(state, outcome), answer)
    })
  }

  async #run<T>(state: PinnedState, look: () => Promise<T>, answer: Done<T>): Promise<void> {
    try {
      answer(await look().catch((error: unknown) => this.#asError(error)))
    } finally {
      await state.end()
      this.#pinnedCount--
    }
  }

  #pin(revision: Revision | undefined, options: { isFloating: boolean }): PinnedState | QuorateError {
    if (this.#isClosed) return shuttingDown()
    if (this.#pinnedCount >= LIMITS.openListingsMax) {
      return new QuorateError('OVERLOADED', 'Too many listings are under way on this node; retry after a pause.')
    }
    try {
      const state = new PinnedState(this.#port, revision, options)
      this.#pinnedCount++
      return state
    } catch (error) {
      return this.#asError(error)
    }
  }

  #asError(error: unknown): QuorateError {
    if (error instanceof QuorateError) return error
    this.#port.fail(error)
    return new QuorateError('INTERNAL', 'The state could not be read; this node stops.', { outcome: 'not-applied' })
  }
}

/** All entries of a range at one revision, a page at a time. */
class Stream implements EntryStream {
  readonly revision: number
  readonly stalenessMs: number | undefined
  readonly listedRevision: number
  readonly #pages: Pages
  readonly #state: PinnedState
  readonly #onClosed: () => void
  #isClosed = false

  constructor(state: PinnedState, request: ListRequest, freshness: Freshness, onClosed: () => void) {
    this.revision = freshness.revision
    this.stalenessMs = freshness.stalenessMs
    this.listedRevision = state.revision
    this.#state = state
    this.#pages = new Pages(state, request, STREAM_PAGE)
    this.#onClosed = onClosed
  }

  async next(): Promise<readonly ListedItem[] | undefined> {
    if (this.#isClosed) throw shuttingDown()
    return (await this.#pages.next())?.map(toListed)
  }

  async close(): Promise<void> {
    if (this.#isClosed) return
    this.#isClosed = true
    await this.#state.end()
    this.#onClosed()
  }
}

type Shape = Pick<ListRequest, 'range' | 'reverse' | 'separator'>

interface Bounds {
  readonly itemsMax: number
  readonly bytesMax: number
}

const STREAM_PAGE: Bounds = { itemsMax: LIMITS.streamPageItemsMax, bytesMax: LIMITS.streamPageBytesMax }

/** Pages of bounded size through a range, none of them empty. */
export class Pages {
  readonly #state: PinnedState
  readonly #shape: Shape
  readonly #bounds: Bounds
  #rest: KeyRange | undefined

  constructor(state: PinnedState, shape: Shape, bounds: Bounds) {
    this.#state = state
    this.#shape = shape
    this.#bounds = bounds
    this.#rest = shape.range
  }

  async next(): Promise<readonly ListItem[] | undefined> {
    while (this.#rest !== undefined) {
      const range = this.#rest
      const page = await this.#state.use((view) => pageOf(view, this.#shape, range, this.#state.revision, this.#bounds))
      this.#rest = page.rest
      if (page.items.length > 0) return page.items
    }
    return undefined
  }
}

function pageOf(
  view: StateView,
  { reverse, separator }: Shape,
  range: KeyRange,
  revision: Revision,
  bounds: Bounds,
): Promise<ListPage> {
  if (isEmptyRange(range)) return Promise.resolve({ items: [], rest: undefined })
  return view.list({ range, revision, reverse, separator, ...bounds })
}

const countIn = (view: StateView, range: KeyRange, revision: Revision): Promise<number> =>
  isEmptyRange(range) ? Promise.resolve(0) : view.count(range, revision)

/** A state that took the place of ours is the fresher one. */
const listedAt = (state: PinnedState, freshness: Freshness): Freshness & { readonly listedRevision: Revision } => ({
  ...freshness,
  revision: Math.max(freshness.revision, state.revision),
  listedRevision: state.revision,
})

function toListed(item: ListItem): ListedItem {
  if (item.kind === 'prefix') return item
  return { kind: 'entry', entry: present(toEntry(item.record), 'the entry that a listing found') }
}

const late = (timeoutMs: number): QuorateError =>
  new QuorateError('TIMEOUT', `The listing was not done within ${timeoutMs} ms.`, { outcome: 'not-applied' })
