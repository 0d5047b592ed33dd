// The engine in memory: a sorted map with snapshots. What a batch wrote becomes visible and durable when the injected
// scheduler lets the write complete, so that a simulated crash loses the one that was in flight and nothing else.
import { assert, present } from '../../lib/assert.ts'
import type {
  Engine,
  EngineBatch,
  EngineRange,
  EngineRow,
  EngineSnapshot,
  EngineStore,
  RangeOptions,
} from './engine.ts'
import { StateDirectoryError } from './errors.ts'
import { SplitEngine } from './split-engine.ts'

/** Runs one piece of disk work, now or later: the simulator decides when. It may reject instead, as a failed disk does. */
export type ScheduleWork = <T>(kind: 'read' | 'write', work: () => T) => Promise<T>

export const soonest: ScheduleWork = async (_kind, work) => {
  await Promise.resolve()
  return work()
}

/** Keys as strings of one code unit a byte: their order is that of the bytes. */
class Contents {
  #values: Map<string, Buffer>
  #sorted: string[]
  /** Someone else reads the same map and list: they are copied before the next change. */
  #isShared = false

  constructor(values = new Map<string, Buffer>(), sorted: string[] = []) {
    this.#values = values
    this.#sorted = sorted
  }

  get values(): ReadonlyMap<string, Buffer> {
    return this.#values
  }

  get sorted(): readonly string[] {
    return this.#sorted
  }

  copy(): Contents {
    return new Contents(new Map(this.#values), [...this.#sorted])
  }

  /** These contents as they are now, whatever changes later. It costs nothing until something does. */
  pinned(): Contents {
    this.#isShared = true
    return new Contents(this.#values, this.#sorted)
  }

  put(key: string, value: Buffer): void {
    this.#own()
    if (!this.#values.has(key)) this.#sorted.splice(this.lowerBound(key), 0, key)
    this.#values.set(key, value)
  }

  delete(key: string): void {
    this.#own()
    if (this.#values.delete(key)) this.#sorted.splice(this.lowerBound(key), 1)
  }

  #own(): void {
    if (!this.#isShared) return
    this.#values = new Map(this.#values)
    this.#sorted = [...this.#sorted]
    this.#isShared = false
  }

  /** Where the first key at or above `key` is. */
  lowerBound(key: string): number {
    let low = 0
    let high = this.sorted.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.sorted[middle]! < key) low = middle + 1
      else high = middle
    }
    return low
  }
}

const text = (key: Uint8Array): string => Buffer.from(key).toString('latin1')

/** Each reader gets its own bytes, as from a disk. */
const own = (value: Buffer): Buffer => Buffer.from(value)

class MemorySnapshot implements EngineSnapshot {
  readonly contents: Contents

  constructor(contents: Contents) {
    this.contents = contents.pinned()
  }

  async close(): Promise<void> {}
}

class MemoryRange implements EngineRange {
  readonly #contents: Contents
  readonly #schedule: ScheduleWork
  readonly #isReverse: boolean
  /** What is left: at or above `low`, below `high`. */
  #low: string
  #high: string

  constructor(contents: Contents, options: RangeOptions, schedule: ScheduleWork) {
    this.#contents = contents
    this.#schedule = schedule
    this.#isReverse = options.isReverse ?? false
    this.#low = text(options.gte)
    this.#high = text(options.lt)
  }

  async next(rowsMax: number): Promise<readonly EngineRow[]> {
    return await this.#schedule('read', () => {
      const { sorted } = this.#contents
      const from = this.#contents.lowerBound(this.#low)
      const to = Math.max(from, this.#contents.lowerBound(this.#high))
      if (this.#isReverse) {
        const keys = sorted.slice(Math.max(from, to - rowsMax), to).toReversed()
        this.#high = keys.at(-1) ?? this.#low
        return keys.map((key) => this.#row(key))
      }
      const keys = sorted.slice(from, Math.min(to, from + rowsMax))
      const last = keys.at(-1)
      this.#low = last === undefined ? this.#high : `${last}\0`
      return keys.map((key) => this.#row(key))
    })
  }

  async close(): Promise<void> {}

  #row(key: string): EngineRow {
    return [Buffer.from(key, 'latin1'), own(present(this.#contents.values.get(key), 'a value'))]
  }
}

type Operation = { readonly key: string; readonly value: Buffer | undefined }

export class MemoryEngine implements Engine {
  readonly #contents: Contents
  readonly #schedule: ScheduleWork
  #isWriting = false
  #isClosed = false

  constructor(contents: Contents, schedule: ScheduleWork) {
    this.#contents = contents
    this.#schedule = schedule
  }

  async getMany(keys: readonly Buffer[], snapshot?: EngineSnapshot): Promise<readonly (Buffer | undefined)[]> {
    this.#assertOpen()
    const contents = snapshot === undefined ? this.#contents : (snapshot as MemorySnapshot).contents
    const names = keys.map(text)
    return await this.#schedule('read', () =>
      names.map((name) => {
        const value = contents.values.get(name)
        return value === undefined ? undefined : own(value)
      }),
    )
  }

  batch(): EngineBatch {
    const operations: Operation[] = []
    return {
      put: (key, value) => void operations.push({ key: text(key), value: Buffer.from(value) }),
      delete: (key) => void operations.push({ key: text(key), value: undefined }),
      write: async () => await this.#write(operations),
    }
  }

  range(options: RangeOptions): EngineRange {
    this.#assertOpen()
    const snapshot = options.snapshot as MemorySnapshot | undefined
    return new MemoryRange(snapshot?.contents ?? this.#contents, options, this.#schedule)
  }

  snapshot(): EngineSnapshot {
    this.#assertOpen()
    return new MemorySnapshot(this.#contents)
  }

  async approximateSize(): Promise<number> {
    let size = 0
    for (const [key, value] of this.#contents.values) size += key.length + value.length
    return size
  }

  async close(): Promise<void> {
    this.#assertOpen()
    assert(!this.#isWriting, 'the engine is closed during a write')
    this.#isClosed = true
  }

  async #write(operations: readonly Operation[]): Promise<void> {
    this.#assertOpen()
    if (operations.length === 0) return
    assert(!this.#isWriting, 'two writes at a time')
    this.#isWriting = true
    try {
      await this.#schedule('write', () => {
        for (const { key, value } of operations) {
          if (value === undefined) this.#contents.delete(key)
          else this.#contents.put(key, value)
        }
      })
    } finally {
      this.#isWriting = false
    }
  }

  #assertOpen(): void {
    assert(!this.#isClosed, 'the engine is used after it was closed')
  }
}

/** What one state has on its disk. */
interface StoredContents {
  readonly records: Contents
  readonly rest: Contents
}

/** Numbered states in memory. After a crash, a store made `from` it holds what had become durable. */
export class MemoryStore implements EngineStore {
  readonly #states = new Map<number, StoredContents>()
  readonly #schedule: ScheduleWork

  constructor(options: { schedule?: ScheduleWork; from?: MemoryStore } = {}) {
    this.#schedule = options.schedule ?? soonest
    for (const [number, contents] of options.from?.states() ?? []) this.#states.set(number, contents)
  }

  describe(number: number): string {
    return `memory/${number}`
  }

  async list(): Promise<readonly number[]> {
    return [...this.#states.keys()].sort((a, b) => a - b)
  }

  async isBlank(number: number): Promise<boolean> {
    return (this.#states.get(number)?.rest.values.size ?? 0) === 0
  }

  async open(number: number, mode: 'existing' | 'new'): Promise<Engine> {
    const found = this.#states.get(number)
    if ((found !== undefined) !== (mode === 'existing')) {
      const what = found === undefined ? 'is missing' : 'exists already'
      throw new StateDirectoryError('INCOMPLETE', `the state in ${this.describe(number)} ${what}`)
    }
    const { records, rest } = found ?? { records: new Contents(), rest: new Contents() }
    this.#states.set(number, { records, rest })
    return new SplitEngine(new MemoryEngine(records, this.#schedule), new MemoryEngine(rest, this.#schedule))
  }

  async sync(): Promise<void> {}

  async remove(number: number): Promise<void> {
    this.#states.delete(number)
  }

  /** Copies: the crashed process may still hold the originals. */
  *states(): Generator<readonly [number, StoredContents]> {
    for (const [number, { records, rest }] of this.#states) {
      yield [number, { records: records.copy(), rest: rest.copy() }]
    }
  }

  /** Changes stored bytes behind the state's back, as a failing disk does. Says how many values there are to change. */
  damage(number: number, change: (key: Buffer, value: Buffer) => Buffer | undefined): number {
    const { records, rest } = present(this.#states.get(number), 'the state')
    for (const contents of [rest, records]) {
      for (const [key, value] of contents.values) {
        const changed = change(Buffer.from(key, 'latin1'), own(value))
        if (changed === undefined) contents.delete(key)
        else contents.put(key, changed)
      }
    }
    return rest.values.size + records.values.size
  }
}
