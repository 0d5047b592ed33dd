// A program as users write them, over the client library: it watches through the deaths of nodes, and works under locks and under leases
// that keep themselves alive. What the library tells it is held against the model at every moment.
import { ClientError } from '../../src/client/client-error.ts'
import type { Client } from '../../src/client/client.ts'
import type { WatchEvent, Watcher } from '../../src/client/watch.ts'
import type { Prng } from '../../src/lib/prng.ts'
import type { ModelChange } from '../kv/model-state.ts'
import type { SimulatedCluster } from './cluster.ts'
import { simulatedClient } from './library-client.ts'
import { drawMs } from './links.ts'
import type { Member } from './member.ts'
import { SimulatedHttp } from './simulated-http.ts'

const PREFIXES = ['', 'k', 'x'] as const
const LOCK = 'program'
/** Counted up by transactions of all programs; between the keys that others use, and touched by nobody else. */
const COUNTER = 'p-counter'
/** How often a holder looks whether it still holds. */
const LOOK_MS = 20

export class LibraryProgram {
  readonly #cluster: SimulatedCluster
  readonly #prng: Prng
  readonly #name: string
  readonly #http: SimulatedHttp
  readonly #client: Client
  readonly #prefix: string
  #watcher: Watcher | undefined
  /** The next change that the watch must tell of: a revision, and how many of its changes were told. */
  #at: { revision: number; told: number } | undefined
  /** No two writes are of the same words. */
  #writes = 0
  #isStopped = false

  constructor(cluster: SimulatedCluster, prng: Prng, name: string) {
    this.#cluster = cluster
    this.#prng = prng
    this.#name = name
    this.#http = new SimulatedHttp(cluster, prng.fork('http'))
    this.#client = simulatedClient(cluster, prng, this.#http)
    this.#prefix = prng.pick(PREFIXES)
  }

  start(): void {
    this.#run(() => this.#watch())
    this.#run(() => this.#work())
  }

  /** No new locks and leases. */
  stop(): void {
    this.#isStopped = true
  }

  /** From now on it reaches nobody else, and its watch begins again where it was. */
  move(among: readonly Member[]): void {
    this.#http.reachOnly(among)
    this.#watcher?.close()
  }

  /** Its watch has told of all that there was up to here. */
  hasReached(revision: number): boolean {
    const at = this.#at
    if (at === undefined) return false
    for (let number = at.revision; number <= revision; number++) {
      const told = number === at.revision ? at.told : 0
      if (this.#changesOf(number).length > told) return false
    }
    return true
  }

  get where(): string {
    return `${this.#name} waits for change ${this.#at?.told} of revision ${this.#at?.revision}`
  }

  #run(part: () => Promise<void>): void {
    part().catch((error: unknown) => this.#violate(`fails: ${error instanceof Error ? error.stack : String(error)}`))
  }

  #pause(msMean: number): Promise<void> {
    return new Promise((resolve) => void this.#cluster.world.after(drawMs(this.#prng, 1, msMean), resolve))
  }

  #violate(what: string): void {
    this.#cluster.world.violate(`${this.#name} ${what}`)
  }

  // ---------------------------------------------------------------------------------------------------------- watching

  /** For as long as the world goes on; begins anew where history was compacted, and where it was moved or refused. */
  async #watch(): Promise<void> {
    const { situations } = this.#cluster
    for (;;) {
      try {
        await this.#follow()
      } catch (error) {
        if (!(error instanceof ClientError)) throw error
        this.#cluster.world.note('program-watch', this.#name, error.code)
        if (error.code === 'COMPACTED') this.#onCompacted()
        if (error.outcome !== 'not-applied') this.#violate(`watches, and is told ${error.outcome}`)
      }
      if (this.#at !== undefined) situations.met('program-resumed')
      await this.#pause(50)
    }
  }

  #onCompacted(): void {
    const { model } = this.#cluster.observer.oracle
    if (this.#at !== undefined && this.#at.revision >= model.compactRevision)
      this.#violate(`is told that history from ${this.#at.revision} on is compacted; only ${model.compactRevision} is`)
    this.#at = undefined
  }

  async #follow(): Promise<void> {
    const at = this.#at
    const start = at === undefined ? { initial: true } : { revision: at.revision }
    const watcher = this.#client.watch({ prefix: this.#prefix, timeoutMs: 5_000, ...start })
    this.#watcher = watcher
    // What was told of a revision before is told again to whoever asks for that revision.
    if (at !== undefined) this.#at = { revision: at.revision, told: 0 }
    for await (const event of watcher) {
      this.#onEvent(event)
      // It takes its time, until it has to show that it hears of everything.
      if (!this.#isStopped && this.#prng.chance(1, 10)) await this.#pause(300)
    }
  }

  #onEvent(event: WatchEvent): void {
    const { situations, world } = this.#cluster
    situations.met('program-event')
    world.note('program-event', this.#name, event.kind, event.revision)
    if (event.kind === 'sync') this.#at = { revision: event.revision + 1, told: 0 }
    const wanted = this.#at === undefined || event.kind === 'sync' ? undefined : this.#next(event.revision)
    if (wanted === undefined) return
    const value = event.kind === 'put' ? Buffer.from(event.entry.value).toString('latin1') : undefined
    const made = wanted.entry && Buffer.from(wanted.entry.value).toString('latin1')
    if (event.kind === 'sync' || event.key !== wanted.key || event.revision !== wanted.revision || value !== made)
      this.#violate(
        `is told of ${event.kind} at ${event.revision}; what comes next is ${wanted.key} at ${wanted.revision}`,
      )
  }

  /** The next change, and on to the one behind it. */
  #next(until: number): ModelChange | undefined {
    let { revision, told } = this.#at!
    while (revision < until && this.#changesOf(revision).length <= told) [revision, told] = [revision + 1, 0]
    const change = this.#changesOf(revision)[told]
    if (change === undefined) this.#violate(`is told of revision ${until}, which has no change ${told} for it`)
    this.#at = { revision, told: told + 1 }
    return change
  }

  #changesOf(revision: number): readonly ModelChange[] {
    return this.#cluster.observer.oracle.changesOf(revision).filter(({ key }) => key.startsWith(this.#prefix))
  }

  // ----------------------------------------------------------------------------------------------------------- working

  async #work(): Promise<void> {
    while (!this.#isStopped) {
      await this.#pause(300)
      try {
        const at = this.#prng.below(3)
        if (at === 0) await this.#underLock()
        else if (at === 1) await this.#underLease()
        else await this.#count()
      } catch (error) {
        if (!(error instanceof ClientError)) throw error
        this.#cluster.world.note('program-failed', this.#name, error.code)
      }
    }
  }

  async #underLock(): Promise<void> {
    const { oracle } = this.#cluster.observer
    const waitMs = this.#prng.between(0, 1_000)
    const lock = await this.#client.lock(LOCK, { ttlMs: this.#ttlMs(), waitMs, timeoutMs: 1_000 })
    this.#cluster.situations.met('program-locked')
    const { token } = lock
    const holds = (): boolean =>
      oracle.model.state.places.find(({ lock: at }) => at === `lock ${LOCK}`)?.token === token
    await this.#hold(lock.signal, holds, `token ${token} of a lock`)
    await lock.release({ timeoutMs: 2_000 })
  }

  async #underLease(): Promise<void> {
    const { oracle } = this.#cluster.observer
    const lease = await this.#client.lease({ ttlMs: this.#ttlMs(), timeoutMs: 1_000 })
    this.#cluster.situations.met('program-leased')
    const holds = (): boolean => oracle.model.state.leases.has(lease.id)
    await this.#hold(lease.signal, holds, `lease ${lease.id}`)
    await lease.revoke({ timeoutMs: 2_000 })
  }

  /** Reads, adds one and writes, in a transaction that is tried again when somebody was faster: each counts once or, refused, never. */
  async #count(): Promise<void> {
    const { tally } = this.#cluster
    tally.begun++
    try {
      await this.#client.transaction(
        async (tx) => {
          const entry = await tx.get(COUNTER)
          tx.put(COUNTER, `${countIn(entry?.text()) + 1} by ${this.#name}, ${++this.#writes}`)
        },
        { timeoutMs: 1_000 },
      )
      tally.done++
      this.#cluster.situations.met('program-counted')
    } catch (error) {
      if (error instanceof ClientError && error.outcome === 'not-applied') tally.begun--
      throw error
    } finally {
      this.#checkCount()
    }
  }

  #checkCount(): void {
    const { observer, tally } = this.#cluster
    const entry = observer.oracle.model.live.get(COUNTER)
    const count = countIn(entry && Buffer.from(entry.value).toString('latin1'))
    if (count < tally.done || count > tally.begun)
      this.#violate(`finds a count of ${count}, after ${tally.done} increments of ${tally.begun}`)
  }

  /** For a while, often longer than the time to live; the signal must fire before the store lets go. */
  async #hold(signal: AbortSignal, holds: () => boolean, what: string): Promise<void> {
    const { world, situations } = this.#cluster
    const untilMs = world.nowMs + this.#prng.between(10, 4_000)
    while (world.nowMs < untilMs && !this.#isStopped) {
      if (signal.aborted) return situations.met('program-lost')
      if (!holds()) return this.#violate(`was not told that ${what} is gone`)
      await new Promise<void>((resolve) => void world.after(LOOK_MS, resolve))
    }
  }

  #ttlMs(): number {
    return this.#prng.between(500, 3_000)
  }
}

const countIn = (text: string | undefined): number => Number(text?.split(' ')[0] ?? 0)
