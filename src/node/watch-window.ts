// The latest revisions as events, for watchers that were paused for a moment or start a little in the past. Bounded in bytes and
// in number; what is older is read from the state.
import type { Revision } from '../kv/types.ts'
import { LIMITS } from './limits.ts'
import type { WatchLimits } from './node-options.ts'
import type { RevisionEvents } from './watch-events.ts'

export class WatchWindow {
  /** One for each revision after `#base`, without gaps. Those before `#head` are gone. */
  #revisions: (RevisionEvents | undefined)[] = []
  #head = 0
  #base: Revision = 0
  #bytes = 0
  readonly #bytesMax: number
  readonly #revisionsMax: number

  constructor(limits: Partial<WatchLimits> = {}) {
    this.#bytesMax = limits.watchWindowBytesMax ?? LIMITS.watchWindowBytesMax
    this.#revisionsMax = limits.watchWindowRevisionsMax ?? LIMITS.watchWindowRevisionsMax
  }

  /** Forgets everything up to this revision. */
  reset(revision: Revision): void {
    this.#revisions = []
    this.#head = 0
    this.#base = revision
    this.#bytes = 0
  }

  push(events: RevisionEvents): void {
    if (events.revision !== this.#base + this.#revisions.length + 1) this.reset(events.revision - 1)
    this.#revisions.push(events)
    this.#bytes += events.sizeBytes
    while (this.#isTooLarge()) {
      this.#bytes -= this.#revisions[this.#head]!.sizeBytes
      this.#revisions[this.#head++] = undefined
    }
    if (this.#head >= this.#revisionsMax) {
      this.#revisions = this.#revisions.slice(this.#head)
      this.#base += this.#head
      this.#head = 0
    }
  }

  /** Everything after this revision is here. */
  covers(position: Revision): boolean {
    return position >= this.#base + this.#head
  }

  /** The next revision after this one; undefined when the window does not reach back so far, or there is none yet. */
  after(position: Revision): RevisionEvents | undefined {
    return this.covers(position) ? this.#revisions[position - this.#base] : undefined
  }

  #isTooLarge(): boolean {
    const count = this.#revisions.length - this.#head
    return count > 0 && (this.#bytes > this.#bytesMax || count > this.#revisionsMax)
  }
}
