// A copy of a range in memory, kept current by a watch. Where the history has been compacted under it, it reads the range again and tells the difference.
import { boundString, keyString } from './key-path.ts'
import type { Key } from './key-path.ts'
import type { KeyString } from '../lib/bytes.ts'
import { ClientError } from './client-error.ts'
import type { ClientCore } from './core.ts'
import type { Entry } from './entry.ts'
import { ALLOWED, checkOptions } from './option-checks.ts'
import type { CallOptions } from './options.ts'
import { Watcher } from './watch.ts'

export interface MirrorChange {
  readonly key: Key
  /** Undefined: the key was deleted. */
  readonly entry: Entry | undefined
  readonly previous: Entry | undefined
}

type Listener = (change: MirrorChange) => void

/** All entries whose keys begin with a prefix. Values are shared, not copied: do not change them. */
export class Mirror implements Iterable<readonly [Key, Entry]> {
  readonly #core: ClientCore
  readonly #prefix: Key
  readonly #timeoutMs: number | undefined
  readonly #entries = new Map<KeyString, Entry>()
  readonly #listeners = new Set<Listener>()
  readonly #controller = new AbortController()
  readonly #ready: Promise<void>
  readonly #ended: Promise<void>
  #revision = 0
  #onReady: () => void = () => {}
  #onFailure: (error: unknown) => void = () => {}

  constructor(core: ClientCore, prefix: Key, options: CallOptions) {
    checkOptions(options, ALLOWED.mirror)
    boundString(prefix)
    this.#core = core
    this.#prefix = prefix
    this.#timeoutMs = options.timeoutMs
    const { signal } = options
    const unlisten = signal && core.context.abortListeners.add(signal, () => this.#controller.abort(signal.reason))
    if (signal?.aborted === true) this.#controller.abort(signal.reason)
    this.#ready = new Promise((resolve, reject) => {
      this.#onReady = resolve
      this.#onFailure = reject
    })
    this.#ended = this.#run().finally(() => unlisten?.())
    // Both are for whoever asks; the failure is told by either.
    this.#ready.catch(() => {})
    this.#ended.catch(() => {})
  }

  /** Resolves once all entries are here. */
  get ready(): Promise<void> {
    return this.#ready
  }

  /** Resolves when the mirror was closed, rejects when it cannot be kept current any more. */
  get ended(): Promise<void> {
    return this.#ended
  }

  /** The mirror shows the store at this revision. */
  get revision(): number {
    return this.#revision
  }

  get size(): number {
    return this.#entries.size
  }

  get(key: Key): Entry | undefined {
    return this.#entries.get(keyString(key))
  }

  has(key: Key): boolean {
    return this.#entries.has(keyString(key))
  }

  /** In the order of their keys. */
  *[Symbol.iterator](): Generator<readonly [Key, Entry], void> {
    const keys = [...this.#entries.keys()].sort()
    for (const key of keys) {
      const entry = this.#entries.get(key)
      if (entry !== undefined) yield [entry.key, entry]
    }
  }

  /** Calls back after each change, also for the entries that there are in the beginning. Returns what takes the callback back. */
  onChange(listener: Listener): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  async close(): Promise<void> {
    this.#controller.abort()
    await this.#ended.catch(() => {})
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  async #run(): Promise<void> {
    try {
      for (;;) {
        try {
          await this.#follow()
        } catch (error) {
          if (!(error instanceof ClientError) || error.code !== 'COMPACTED') throw error
        }
      }
    } catch (error) {
      this.#onFailure(error)
      const isClosed = error instanceof ClientError && error.code === 'ABORTED' && this.#controller.signal.aborted
      if (!isClosed) throw error
    }
  }

  async #follow(): Promise<void> {
    const { signal } = this.#controller
    const options = { prefix: this.#prefix, initial: true, timeoutMs: this.#timeoutMs, signal }
    /** Until the range has been read: what was seen of it, so that what is gone can be told. */
    let seen: Set<KeyString> | undefined = new Set()
    for await (const event of new Watcher(this.#core, options)) {
      if (event.kind === 'sync') {
        for (const key of this.#entries.keys()) if (!seen!.has(key)) this.#change(key, undefined)
        seen = undefined
        this.#onReady()
      } else {
        const key = keyString(event.key)
        seen?.add(key)
        const entry = event.kind === 'put' ? event.entry : undefined
        if (entry === undefined || this.#entries.get(key)?.revision !== entry.revision)
          this.#change(key, entry, event.key)
      }
      if (seen === undefined) this.#revision = Math.max(this.#revision, event.revision)
    }
  }

  #change(name: KeyString, entry: Entry | undefined, key?: Key): void {
    const previous = this.#entries.get(name)
    if (entry === undefined) this.#entries.delete(name)
    else this.#entries.set(name, entry)
    const change = { key: key ?? previous!.key, entry, previous }
    for (const listener of this.#listeners) listener(change)
  }
}
