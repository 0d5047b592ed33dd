// The replicated log in memory, for tests and simulations that are not about disks: the same behaviour through the same plan
// of each write, and nothing that can tear. A MemoryLogDisk outlives the logs opened on it, as a disk outlives processes.
import { assert } from '../../lib/assert.ts'
import type { LogWrite, RaftStorage, RecoveredLog } from '../../node/ports.ts'
import type { Entry, EntryId, HardState, LogIndex, LogSlice, SnapshotMeta, Term } from '../../raft/index.ts'
import { ORIGIN } from './log-positions.ts'
import type { ReadRange } from './log-reader.ts'
import { checkCompaction, planWrite } from './plan-write.ts'
import type { LogRecord } from './records.ts'
import { INITIAL_HARD_STATE } from './recovery.ts'

/** What has been made durable. */
export class MemoryLogDisk {
  hardState: HardState = INITIAL_HARD_STATE
  marker: SnapshotMeta | undefined
  entries: Entry[] = []

  get base(): EntryId {
    return this.marker ?? ORIGIN
  }

  get last(): EntryId {
    const { term, index } = this.entries.at(-1) ?? this.base
    return { term, index }
  }

  termAt(index: LogIndex): Term | undefined {
    return index === this.base.index ? this.base.term : this.entries[index - this.base.index - 1]?.term
  }

  take(record: LogRecord): void {
    switch (record.kind) {
      case 'hard-state':
        this.hardState = record.hardState
        return
      case 'entries':
        this.entries.length = record.entries[0]!.index - this.base.index - 1
        for (const entry of record.entries) this.entries.push({ ...entry, data: Uint8Array.from(entry.data) })
        return
      case 'compaction':
        return this.#dropTo(record.marker)
      case 'restart':
        if (!record.keepsSuffix) this.entries = []
        return this.#dropTo(record.marker)
    }
  }

  #dropTo(marker: SnapshotMeta): void {
    this.entries = this.entries.filter(({ index }) => index > marker.index)
    this.marker = marker
  }
}

export interface MemoryRaftLogOptions {
  /** Opening again what an earlier log wrote. */
  readonly disk?: MemoryLogDisk
  /** Awaited before an append is durable, and before a read answers; rejecting fails the log. */
  readonly delay?: (operation: 'append' | 'read') => Promise<void>
}

export function openMemoryRaftLog(options: MemoryRaftLogOptions = {}): RaftStorage {
  return new MemoryRaftLog(options.disk ?? new MemoryLogDisk(), options.delay ?? (() => Promise.resolve()))
}

class MemoryRaftLog implements RaftStorage {
  readonly recovered: RecoveredLog
  readonly #disk: MemoryLogDisk
  readonly #delay: (operation: 'append' | 'read') => Promise<void>
  #compaction: SnapshotMeta | undefined
  #outstanding: Promise<void> | undefined
  #failure: Error | undefined
  #isClosed = false

  constructor(disk: MemoryLogDisk, delay: (operation: 'append' | 'read') => Promise<void>) {
    this.#disk = disk
    this.#delay = delay
    const { hardState, marker, base, last } = disk
    const commitIndex = Math.min(hardState.commitIndex, last.index)
    const prev = { term: base.term, index: base.index }
    this.recovered = { hardState: { ...hardState, commitIndex }, marker, tail: { prev, entries: [...disk.entries] } }
  }

  get firstIndex(): LogIndex {
    return (this.#compaction ?? this.#disk.base).index + 1
  }

  get sizeBytes(): number {
    let bytes = 0
    for (const { data } of this.#disk.entries) bytes += data.length
    return bytes
  }

  /** Only references to what the disk holds anyway. */
  releaseRecovered(): void {}

  append(write: LogWrite): Promise<void> {
    assert(!this.#isClosed, 'append to a closed log')
    assert(this.#outstanding === undefined, 'append while another one is outstanding')
    if (this.#failure !== undefined) return Promise.reject(this.#failure)
    const records = planWrite(this.#disk, write, this.#compaction)
    this.#compaction = undefined
    this.#outstanding = this.#persist(records)
    return this.#outstanding
  }

  async read(range: ReadRange): Promise<LogSlice | undefined> {
    assert(!this.#isClosed, 'read from a closed log')
    if (this.#failure !== undefined) throw this.#failure
    const slice = range.first < this.firstIndex ? undefined : this.#slice(range)
    await this.#delay('read')
    return slice
  }

  compactTo(marker: SnapshotMeta): void {
    assert(!this.#isClosed, 'compaction of a closed log')
    if (this.#failure !== undefined) return
    const compaction = checkCompaction(this.#disk, marker)
    if (compaction !== undefined && compaction.index >= this.firstIndex) this.#compaction = compaction
  }

  async close(): Promise<void> {
    this.#isClosed = true
    await this.#outstanding?.catch(() => {}) // Whoever appended has learned of it.
  }

  async #persist(records: readonly LogRecord[]): Promise<void> {
    try {
      await this.#delay('append')
      for (const record of records) this.#disk.take(record)
      if (records.some(({ kind }) => kind === 'restart')) this.#compaction = undefined
    } catch (error) {
      this.#failure = error instanceof Error ? error : new Error(String(error))
      throw error
    } finally {
      this.#outstanding = undefined
    }
  }

  #slice({ first, last, bytesMax }: ReadRange): LogSlice | undefined {
    const term = this.#disk.termAt(first - 1)
    if (term === undefined) return undefined
    const entries: Entry[] = []
    let bytes = 0
    for (const entry of this.#disk.entries) {
      if (entry.index < first || entry.index > last) continue
      bytes += entry.data.length
      if (entries.length > 0 && bytes > bytesMax) break
      entries.push(entry)
    }
    return { prev: { term, index: first - 1 }, entries }
  }
}
