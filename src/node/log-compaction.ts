// When the log on disk may forget: by size and by count, never above what the state has made durable, never what a snapshot
// in transfer will need next. Keeps marks of how large the log was at which entry, about one a MiB.
import type { EntryId, LogIndex } from '../raft/index.ts'

interface Mark {
  readonly id: EntryId
  /** Bytes appended up to and with this entry. */
  readonly bytes: number
}

const MARK_BYTES = 1_048_576
/** What an entry costs on disk besides its data. */
const ENTRY_OVERHEAD_BYTES = 64

export interface RetentionOptions {
  /** Bytes of entries kept on disk at least. */
  readonly retainBytes: number
  readonly retainEntries: number
}

export class LogCompaction {
  readonly #options: RetentionOptions
  #marks: Mark[] = []
  #bytes = 0
  #lastIndex: LogIndex = 0

  constructor(options: RetentionOptions) {
    this.#options = options
  }

  /** An entry was appended (again, after a conflict: then marks from there on are void). */
  onAppended(id: EntryId, dataBytes: number): void {
    while (this.#marks.length > 0 && this.#marks.at(-1)!.id.index >= id.index) this.#marks.pop()
    this.#bytes += dataBytes + ENTRY_OVERHEAD_BYTES
    this.#lastIndex = id.index
    const last = this.#marks.at(-1)
    const entriesSince = id.index - (last?.id.index ?? 0)
    const markEntries = Math.max(1, Math.floor(this.#options.retainEntries / 8))
    const markBytes = Math.min(MARK_BYTES, Math.max(1, Math.floor(this.#options.retainBytes / 8)))
    if (last === undefined || this.#bytes - last.bytes >= markBytes || entriesSince >= markEntries) {
      // A copy: what comes as `id` is the entry itself, whose data may be a part of a whole message.
      this.#marks.push({ id: { term: id.term, index: id.index }, bytes: this.#bytes })
    }
  }

  /** The log was restarted from a snapshot. */
  reset(): void {
    this.#marks = []
  }

  /** The latest entry that may be compacted, or undefined when nothing is due. `floor`: nothing above it may go. */
  target(floor: LogIndex): EntryId | undefined {
    const { retainBytes, retainEntries } = this.#options
    let target: number | undefined
    for (let at = 0; at < this.#marks.length; at++) {
      const mark = this.#marks[at]!
      const isOld = this.#bytes - mark.bytes >= retainBytes || this.#lastIndex - mark.id.index >= retainEntries
      if (!isOld || mark.id.index > floor) break
      target = at
    }
    if (target === undefined) return undefined
    const { id } = this.#marks[target]!
    this.#marks.splice(0, target + 1)
    return id
  }
}
