// One member of a cluster in memory: its disk, which outlives its processes, and the clock that ends with each of them.
import { type Deferred, deferred } from '../../src/lib/deferred.ts'
import type { AmnesiaNote, Clock, IncarnationRegistry, Timer } from '../../src/node/ports.ts'
import { SimulatedFileSystem } from '../../src/storage/simulated-file-system.ts'
import { MemoryStore, type ScheduleWork } from '../../src/storage/state-db/index.ts'
import { MemoryLogDisk } from '../../src/storage/wal/memory-raft-log.ts'

/** Holds back whatever passes while it is shut, or fails it. */
export class Gate {
  #shut: Deferred<void> | undefined
  failure: Error | undefined
  /** How many wait. */
  waiting = 0

  shut(): void {
    this.#shut ??= deferred()
  }

  open(): void {
    this.#shut?.resolve()
    this.#shut = undefined
  }

  async pass(): Promise<void> {
    if (this.#shut !== undefined) {
      this.waiting++
      await this.#shut.promise
      this.waiting--
    }
    if (this.failure !== undefined) throw this.failure
  }
}

class MemoryRegistry implements IncarnationRegistry {
  readonly own: string
  isRegistered = false
  readonly members = new Map<string, string>()

  constructor(own: string) {
    this.own = own
  }

  markRegistered(): Promise<void> {
    this.isRegistered = true
    return Promise.resolve()
  }

  get(member: string): string | undefined {
    return this.members.get(member)
  }

  record(member: string, incarnation: string): Promise<void> {
    this.members.set(member, incarnation)
    return Promise.resolve()
  }
}

class MemoryAmnesiaNote implements AmnesiaNote {
  isSet = false

  set(): Promise<void> {
    this.isSet = true
    return Promise.resolve()
  }

  clear(): Promise<void> {
    this.isSet = false
    return Promise.resolve()
  }
}

/** What a node's disk holds: it outlives the node. */
export class MemberDisk {
  log = new MemoryLogDisk()
  store: MemoryStore
  readonly fileSystem = new SimulatedFileSystem()
  registry: MemoryRegistry
  readonly amnesia = new MemoryAmnesiaNote()
  freeBytes = 1e12
  hasDirectory = false
  /** Of an append, or of a read of the log. */
  latencyMs: () => number = () => 0
  appends = new Gate()
  stateWork = new Gate()

  constructor(number: number) {
    this.registry = new MemoryRegistry(number.toString(16).padStart(32, '0'))
    this.store = this.#storeFrom(undefined)
  }

  /** What was in flight never completes; what was done is there for the next life. */
  crash(): void {
    this.appends = new Gate()
    this.stateWork = new Gate()
    this.store = this.#storeFrom(this.store)
  }

  #storeFrom(store: MemoryStore | undefined): MemoryStore {
    const { stateWork } = this
    const schedule: ScheduleWork = async (_kind, work) => {
      await stateWork.pass()
      return work()
    }
    return new MemoryStore(store === undefined ? { schedule } : { from: store, schedule })
  }
}

/** The clock of one process: it stops with it, and what falls due while the process is suspended comes when it goes on. */
export class ProcessClock implements Clock {
  isDead = false
  readonly #clock: Clock
  #suspended: (() => void)[] | undefined

  constructor(clock: Clock) {
    this.#clock = clock
  }

  now(): number {
    return this.#clock.now()
  }

  after(delayMs: number, callback: () => void): Timer {
    return this.#clock.after(delayMs, () => this.#run(callback))
  }

  soon(callback: () => void): void {
    this.#clock.soon(() => this.#run(callback))
  }

  /** Resolves after a while, or never if the process ends first. */
  wait(delayMs: number): Promise<void> {
    return new Promise((resolve) => void this.after(delayMs, resolve))
  }

  suspend(): void {
    this.#suspended ??= []
  }

  continue(): void {
    const due = this.#suspended ?? []
    this.#suspended = undefined
    for (const callback of due) this.#run(callback)
  }

  #run(callback: () => void): void {
    if (this.isDead) return
    if (this.#suspended === undefined) callback()
    else this.#suspended.push(callback)
  }
}
