// Watches: every change of a range, in order, once, whatever becomes of single nodes. A new connection begins at the first revision that was not
// delivered whole; what was delivered of that revision already is skipped, since all nodes give its events in the same order.
import { rangeOfKey } from '../api/ranges.ts'
import { keyToBytes } from '../lib/bytes.ts'
import { ClientError, isRetryableHere, refusal } from './client-error.ts'
import { rangeOf } from './commands.ts'
import type { ClientCore } from './core.ts'
import type { Entry } from './entry.ts'
import { entryOfJson, isCount, isObject, keyOfJson } from './json.ts'
import type { JsonObject } from './json.ts'
import { keyString } from './key-path.ts'
import type { Key } from './key-path.ts'
import { keyParameter, listEntries, rangeQuery } from './listing.ts'
import { ALLOWED, checkOptions } from './option-checks.ts'
import type { RangeOptions } from './options.ts'
import { isErrorCode } from './retry-policy.ts'
import { streamDocuments } from './streams.ts'

export interface WatchOptions extends RangeOptions {
  /** Only this key. */
  readonly key?: Key | undefined
  /** Begins with the changes of this revision. Default: from now. COMPACTED where they are no longer known. */
  readonly revision?: number | undefined
  /** First all entries as they are, as events of the kind `put`, then one of the kind `sync`, then what changes. */
  readonly initial?: boolean | undefined
  /** Events carry the entry that was replaced or deleted. */
  readonly prev?: boolean | undefined
  /** For the first connection. Later ones may take as long as the cluster needs. Milliseconds. */
  readonly timeoutMs?: number | undefined
  /** Ends the watch with ABORTED. */
  readonly signal?: AbortSignal | undefined
}

export type WatchEvent =
  | {
      readonly kind: 'put'
      readonly key: Key
      /** Of the store, with this change. Several events share one where a transaction made them. */
      readonly revision: number
      readonly entry: Entry
      readonly previous: Entry | undefined
    }
  | { readonly kind: 'delete'; readonly key: Key; readonly revision: number; readonly previous: Entry | undefined }
  /** With `initial`: the entries before were all that there was at this revision. */
  | { readonly kind: 'sync'; readonly revision: number }

/** Read by `for await`, by one reader. Leaving the loop ends it. */
export class Watcher implements AsyncIterableIterator<WatchEvent, void> {
  readonly #core: ClientCore
  readonly #options: WatchOptions
  readonly #controller = new AbortController()
  readonly #events: AsyncGenerator<WatchEvent, void>
  readonly #leave: () => void
  /** The first connection begins at once, so that "from now" is when the watch was asked for. */
  #first: Promise<IteratorResult<WatchEvent, void>> | undefined
  #end: 'aborted' | 'client closed' | 'closed' | undefined
  /** Where the next connection begins; undefined: from now. */
  #next: number | undefined
  /** Events of the revision `#next` that were delivered already. */
  #delivered = 0

  constructor(core: ClientCore, options: WatchOptions) {
    checkOptions(options, ALLOWED.watch)
    const { key, revision, initial, signal } = options
    const range = rangeOf(options)
    if (key !== undefined && (range.from !== '' || range.to !== undefined))
      throw refusal('BAD_PARAMETER', 'a watch is of one key or of a range')
    if (key !== undefined) keyString(key)
    if (initial === true && revision !== undefined)
      throw refusal('BAD_PARAMETER', 'a watch begins with the entries as they are, or at a revision')
    this.#core = core
    this.#options = options
    this.#next = revision
    const leaveCore = core.accompany({ close: () => this.#finish('client closed') })
    const { abortListeners } = core.context
    const unlisten = signal && abortListeners.add(signal, () => this.#finish('aborted'))
    this.#leave = () => {
      leaveCore()
      unlisten?.()
    }
    if (signal?.aborted === true) this.#finish('aborted')
    this.#events = this.#run()
    this.#first = this.#events.next()
    // Whoever reads is told.
    this.#first.catch(() => {})
  }

  /** All changes up to this revision were delivered: a watch from the next one on goes on where this one ends. Undefined before it began. */
  get revision(): number | undefined {
    return this.#next === undefined ? undefined : this.#next - 1
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  next(): Promise<IteratorResult<WatchEvent, void>> {
    const first = this.#first
    this.#first = undefined
    return first ?? this.#events.next()
  }

  async return(): Promise<IteratorResult<WatchEvent, void>> {
    this.close()
    return this.#events.return()
  }

  close(): void {
    this.#finish('closed')
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.return()
  }

  #finish(why: 'aborted' | 'client closed' | 'closed'): void {
    this.#end ??= why
    this.#controller.abort()
  }

  async *#run(): AsyncGenerator<WatchEvent, void> {
    try {
      if (this.#options.initial === true) yield* this.#initial()
      yield* this.#changes()
    } finally {
      this.#leave()
    }
    const reason: unknown = this.#options.signal?.reason
    const facts = { outcome: 'not-applied', retryable: false } as const
    if (this.#end === 'aborted') throw new ClientError('ABORTED', 'watch ended early', { ...facts, cause: reason })
    if (this.#end === 'client closed') throw new ClientError('CLOSED', 'watch ended: the client was closed', facts)
  }

  /** Pages at one revision, any node can go on with them: nothing is told twice, whatever happens meanwhile. */
  async *#initial(): AsyncGenerator<WatchEvent, void> {
    const { key, prefix, from, to, timeoutMs } = this.#options
    const { signal } = this.#controller
    const bounds = key === undefined ? { prefix, from, to } : boundsOfKey(key)
    let listed = 0
    try {
      for await (const entry of listEntries(
        this.#core,
        { ...bounds, timeoutMs, signal },
        (revision) => (listed = revision),
      ))
        yield { kind: 'put', key: key ?? entry.key, revision: entry.revision, entry, previous: undefined }
    } catch (error) {
      if (this.#end === undefined) throw error
      return
    }
    this.#next = listed + 1
    yield { kind: 'sync', revision: listed }
  }

  async *#changes(): AsyncGenerator<WatchEvent, void> {
    const timeoutMs = this.#options.timeoutMs ?? this.#core.timeoutMs
    const { signal } = this.#controller
    const request = { name: 'watch', path: '/v1/watch', query: () => this.#query(), signal, timeoutMs }
    /** Where the connection stands: the revision of its last event, and which one of that revision it was. */
    let at = { revision: -1, count: 0 }
    for await (const document of streamDocuments(this.#core, request)) {
      const { event, revision } = document
      if (event === 'connected') at = { revision: -1, count: 0 }
      else if (event === 'progress' || event === 'sync') this.#whole(counted(revision))
      else if (event === 'put' || event === 'delete') {
        const number = counted(revision)
        at = number === at.revision ? { revision: number, count: at.count + 1 } : { revision: number, count: 1 }
        if (!this.#isNew(at)) continue
        const change = changeOf(document, event, number, this.#options.key)
        // Before it is handed over: a consumer that leaves has had it.
        this.#advance(at, document['id'] === number)
        yield change
      } else if (event === 'compacted' || event === 'problem') throw endOf(document)
      // `lagging`: the connection ends, and the next one goes on. What a later release adds is left alone.
    }
  }

  #query(): readonly string[] {
    const { key, prev } = this.#options
    const query = key === undefined ? rangeQuery(this.#options) : [keyParameter('key', key)]
    if (this.#next !== undefined) query.push(`revision=${this.#next}`)
    if (prev === true) query.push('prev')
    return query
  }

  #isNew({ revision, count }: { revision: number; count: number }): boolean {
    if (this.#next === undefined || revision > this.#next) return true
    return revision === this.#next && count > this.#delivered
  }

  #advance({ revision, count }: { revision: number; count: number }, isLast: boolean): void {
    this.#next = isLast ? revision + 1 : revision
    this.#delivered = isLast ? 0 : count
  }

  /** Everything up to here was on this connection. */
  #whole(revision: number): void {
    if (this.#next !== undefined && revision < this.#next) return
    this.#next = revision + 1
    this.#delivered = 0
  }
}

function boundsOfKey(key: Key): RangeOptions {
  const { from, to } = rangeOfKey(keyString(key))
  return { from: keyToBytes(from), to: keyToBytes(to!) }
}

function changeOf(document: JsonObject, event: 'put' | 'delete', revision: number, asked: Key | undefined): WatchEvent {
  const key = asked ?? keyOfJson(document)
  const previous = isObject(document['prev']) ? entryOfJson(document['prev'], key) : undefined
  if (key === undefined) throw unreadable('an event without a key')
  if (event === 'delete') return { kind: 'delete', key, revision, previous }
  const entry = entryOfJson(document, key)
  if (entry === undefined) throw unreadable('an event without an entry')
  return { kind: 'put', key, revision, entry, previous }
}

function counted(revision: unknown): number {
  if (isCount(revision)) return revision
  throw unreadable('an event without a revision')
}

const unreadable = (why: string): ClientError =>
  new ClientError('UNEXPECTED_ANSWER', `watch failed: the stream has ${why}`, {
    outcome: 'not-applied',
    retryable: isRetryableHere('UNEXPECTED_ANSWER'),
  })

/** What the last line of a stream says of its end. */
function endOf(document: JsonObject): ClientError {
  const { event, code, detail, compactRevision } = document
  if (event === 'compacted') {
    const message = 'watch failed: the history that comes next has been compacted; read the range and watch from there'
    const facts = { outcome: 'not-applied', retryable: false, status: 410 } as const
    return new ClientError('COMPACTED', message, { ...facts, details: { compactRevision } })
  }
  const known = typeof code === 'string' && isErrorCode(code) ? code : 'INTERNAL'
  return new ClientError(known, `watch failed: ${typeof detail === 'string' ? detail : known}`, {
    outcome: 'not-applied',
    retryable: document['retryable'] === true,
  })
}
