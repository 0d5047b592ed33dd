// The driver: pumps the consensus core. Every input (a message, a tick, a finished write) changes the core; at the end of the turn
// `#pump` does what the core says must be done: send, persist, apply, confirm reads. It never waits and never re-enters itself.
import type { StepOutcome, Write } from '../raft/index.ts'
import {
  RaftNode,
  type Load,
  type LogIndex,
  type Message,
  type NodeId,
  type RaftConfig,
  type RaftInit,
  type RoleChange,
  type Term,
} from '../raft/index.ts'
import { type Applied, Applier } from './applier.ts'
import { LIMITS } from './limits.ts'
import { LogCompaction, type RetentionOptions } from './log-compaction.ts'
import type { AmnesiaNote, Clock, Logger, PeerTransport, RaftStorage, StateStorage, Timer } from './ports.ts'
import { type SnapshotPort, Snapshots } from './snapshots.ts'
import { Turn } from './turn.ts'

/** One tick of the core. Milliseconds. */
export const TICK_MS = 10
/** A timer this late fired after a stall: the sockets are read before it counts, so that no election starts because *we* slept. */
const LATE_MS = 2 * TICK_MS

export interface DriverDeps {
  readonly clock: Clock
  readonly log: RaftStorage
  readonly states: StateStorage
  readonly transport: PeerTransport
  readonly amnesia: AmnesiaNote
  readonly logger: Logger
  readonly raft: RaftConfig
  readonly init: RaftInit
  readonly logRetention: RetentionOptions
}

/** What the driver tells the rest of the node. */
export interface DriverListener {
  onApplied(applied: Applied): void
  onProgress(appliedIndex: LogIndex): void
  onReads(confirmed: readonly { id: number; index: LogIndex }[], aborted: readonly number[]): void
  onRoleChange(change: RoleChange): void
  onInstalled(index: LogIndex): void
  onTick(): void
  /** The turn ends: the last moment to propose, or to ask for a read index, before the core's messages leave. */
  onTurnEnd(): void
  onFailure(error: Error): void
}

export class NodeDriver {
  readonly raft: RaftNode
  readonly applier: Applier
  readonly #deps: DriverDeps
  readonly #listener: DriverListener
  readonly #snapshots: Snapshots
  readonly #compaction: LogCompaction
  readonly #turn: Turn
  #isPumping = false
  #isActive = false
  #isStopped = false
  #isForgetting = false
  #tickTimer: Timer | undefined
  #nextTickMs = 0
  /** The write in flight, so that stopping can wait for it. */
  #writing: Promise<void> = Promise.resolve()
  #isPersisting = false
  #lostConnectionAtMs = -Infinity
  readonly dropped: Record<string, number> = {}

  constructor(deps: DriverDeps, listener: DriverListener) {
    this.#deps = deps
    this.#listener = listener
    this.raft = new RaftNode(deps.raft, deps.init)
    this.#turn = new Turn(
      deps.clock,
      () => this.#gather(),
      () => this.#pump(),
    )
    this.applier = new Applier(deps.clock, deps.states.current, {
      onApplied: (applied) => {
        this.raft.applied(applied.id.index)
        listener.onApplied(applied)
      },
      onProgress: (index) => listener.onProgress(index),
      fail: (error) => this.fail(error),
    })
    this.#compaction = new LogCompaction(deps.logRetention)
    for (const entry of deps.init.entries) this.#compaction.onAppended(entry, entry.data.length)
    this.#snapshots = new Snapshots(deps.states, deps.transport, this.#snapshotPort(), deps.logger)
    this.#watchState()
  }

  /** Takes part from now on: ticks run, messages count. */
  activate(): void {
    if (this.#isActive || this.#isStopped) return
    this.#isActive = true
    this.#nextTickMs = this.#deps.clock.now()
    this.#scheduleTick()
    this.requestTurn()
  }

  get isActive(): boolean {
    return this.#isActive && !this.#isStopped
  }

  /** When the connection to some peer broke last. Clock milliseconds. */
  get lostConnectionAtMs(): number {
    return this.#lostConnectionAtMs
  }

  /** Whether a write of the log is in flight. */
  get isPersisting(): boolean {
    return this.#isPersisting
  }

  /** Has `onTurnEnd` called and the core pumped once this turn has brought all that it brings. */
  requestTurn(): void {
    this.#turn.request()
  }

  onMessage(message: Message): void {
    if (!this.isActive) return
    this.#input(() => this.#count(this.raft.step(message)))
  }

  /** Messages were lost with the old connection, or before the new one. */
  onConnection(peer: NodeId, isUp: boolean): void {
    if (!isUp) this.#lostConnectionAtMs = this.#deps.clock.now()
    if (this.isActive) this.#input(() => this.raft.reportUnreachable(peer))
  }

  /** Says whether it was the leader that this node followed. */
  onGone(peer: NodeId): boolean {
    if (!this.isActive) return false
    let isNews = false
    this.#input(() => (isNews = this.raft.reportGone(peer)))
    return isNews
  }

  onSnapshot(from: NodeId, term: Term, chunks: AsyncIterable<Uint8Array>): Promise<void> {
    return this.#snapshots.receive(from, term, chunks)
  }

  #gather(): void {
    if (this.isActive) this.#listener.onTurnEnd()
  }

  /** Does what the core says until it says nothing more. */
  #pump(): void {
    if (this.#isPumping || !this.isActive) return
    this.#isPumping = true
    try {
      for (let ready = this.raft.takeReady(); ready !== undefined; ready = this.raft.takeReady()) {
        if (ready.roleChange !== undefined) this.#listener.onRoleChange(ready.roleChange)
        if (ready.messages.length > 0) this.#deps.transport.send(ready.messages)
        if (ready.write !== undefined) this.#writing = this.#persist(ready.write)
        if (ready.committed.length > 0) this.applier.enqueue(ready.committed)
        if (ready.confirmedReads.length > 0 || ready.abortedReads.length > 0) {
          this.#listener.onReads(ready.confirmedReads, ready.abortedReads)
        }
        for (const load of ready.loads) void this.#load(load)
        for (const peer of ready.snapshotsWanted) void this.#snapshots.send(peer)
        if (this.#isStopped) return
      }
    } catch (error) {
      this.fail(error)
    } finally {
      this.#isPumping = false
    }
  }

  /** Something is broken that must not be: this node takes no further part. */
  fail(cause: unknown): void {
    if (this.#isStopped) return
    this.#halt()
    this.#listener.onFailure(cause instanceof Error ? cause : new Error(String(cause)))
  }

  /** Stops ticking and taking messages; resolves when the write in flight is over. */
  async stop(): Promise<void> {
    this.#halt()
    await this.#writing
  }

  #halt(): void {
    this.#isStopped = true
    this.#tickTimer?.cancel()
    this.applier.stop()
    this.#snapshots.abort()
  }

  #input(change: () => void): void {
    try {
      change()
    } catch (error) {
      this.fail(error)
    }
    this.requestTurn()
  }

  #count(outcome: StepOutcome): void {
    if (outcome.kind === 'dropped') this.dropped[outcome.reason] = (this.dropped[outcome.reason] ?? 0) + 1
  }

  #scheduleTick(): void {
    const { clock } = this.#deps
    this.#nextTickMs = Math.max(this.#nextTickMs + TICK_MS, clock.now())
    this.#tickTimer = clock.after(this.#nextTickMs - clock.now(), () => {
      if (clock.now() - this.#nextTickMs > LATE_MS) clock.soon(() => this.#tick())
      else this.#tick()
    })
  }

  #tick(): void {
    if (!this.isActive) return
    this.#input(() => this.raft.tick())
    this.#listener.onTick()
    this.#forgetAmnesia()
    if (this.isActive) this.#scheduleTick()
  }

  /** The log has caught up with what it had lost: this node may vote again, also after a restart. */
  #forgetAmnesia(): void {
    const { amnesia } = this.#deps
    if (!amnesia.isSet || this.#isForgetting || this.raft.standing === 'amnesiac') return
    this.#isForgetting = true
    amnesia.clear().catch((error: unknown) => this.fail(error))
  }

  /** One durable append; with a snapshot, the state is swapped first and the pointer's note cleared after. */
  async #persist(write: Write): Promise<void> {
    this.#isPersisting = true
    try {
      if (write.snapshot !== undefined) await this.#snapshots.swap(write.snapshot, this.applier)
      await this.#deps.log.append(write)
      if (write.snapshot !== undefined) await this.#finishInstall()
      this.#isPersisting = false
      if (this.#isStopped) return
      for (const entry of write.entries) this.#compaction.onAppended(entry, entry.data.length)
      this.#input(() => this.raft.persisted(write.id))
    } catch (error) {
      this.fail(error)
    }
  }

  async #finishInstall(): Promise<void> {
    await this.#snapshots.finishSwap()
    this.#compaction.reset()
    this.#watchState()
  }

  async #load(load: Load): Promise<void> {
    try {
      const slice = await this.#deps.log.read(load)
      if (this.isActive) this.#input(() => this.raft.loaded(load.peer, slice))
    } catch (error) {
      this.fail(error)
    }
  }

  #watchState(): void {
    const store = this.#deps.states.current
    store.onPersisted(() => this.#compactLog())
    store.onFailure((error) => this.fail(error))
    store.removeHistory(store.meta.compactRevision)
  }

  #compactLog(): void {
    if (!this.isActive) return
    const { log, states, logRetention } = this.#deps
    try {
      const isHeldTooLong = log.sizeBytes > logRetention.retainBytes + LIMITS.logHeldBytesMax
      const neededFrom = isHeldTooLong ? Infinity : this.#snapshots.neededFrom()
      const target = this.#compaction.target(Math.min(states.current.persisted.index, neededFrom))
      if (target !== undefined)
        log.compactTo({ index: target.index, term: target.term, confState: this.raft.confState })
    } catch (error) {
      this.fail(error)
    }
  }

  #snapshotPort(): SnapshotPort {
    const { raft } = this
    const { clock } = this.#deps
    return {
      get term() {
        return raft.term
      },
      get nowMs() {
        return clock.now()
      },
      get lastIndex() {
        return raft.lastIndex
      },
      matchIndex: (peer) => raft.status().peers.find(({ id }) => id === peer)?.matchIndex,
      onSwapped: (index) => this.#listener.onInstalled(index),
      offer: (from, term, snapshot) => {
        if (!this.isActive) return false
        let outcome: StepOutcome | undefined
        this.#input(() => {
          outcome = raft.step({ type: 'install-snapshot', from, to: raft.id, term, snapshot })
          this.#count(outcome)
        })
        return outcome?.kind === 'accepted'
      },
      reportSent: (peer, outcome) => {
        if (this.isActive) this.#input(() => raft.reportSnapshot(peer, outcome))
      },
    }
  }
}
