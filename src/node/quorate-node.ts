// One node, put together: the driver under the write and read paths, the peers' handlers, registration, and the facade that
// the edges use. It owns no socket and no file; all of those are ports.
import type { ClientCommand, CommandResult } from '../api/commands.ts'
import { ByteWriter, type KeyString } from '../lib/bytes.ts'
import { encodeCommand } from '../api/command-codec.ts'
import { QuorateError } from '../api/errors.ts'
import type { ClusterStatus, HealthReport, NodeStatus } from '../api/status.ts'
import { type Deferred, deferred } from '../lib/deferred.ts'
import type { Prng } from '../lib/prng.ts'
import { Retention, type RetentionLimits } from '../kv/index.ts'
import type { Boot, LogIndex, RaftConfig, RoleChange } from '../raft/index.ts'
import type { Applied } from './applier.ts'
import { ClusterClock } from './cluster-clock.ts'
import { describeRole } from './cluster-view.ts'
import { ControlPlane } from './control.ts'
import type { NodeFacade, ReadAnswer, ReadOptions, Vitals } from './facade.ts'
import { LIMITS } from './limits.ts'
import type { RetentionOptions } from './log-compaction.ts'
import { NodeDriver, TICK_MS } from './node-driver.ts'
import type {
  AmnesiaNote,
  Clock,
  DiskSpace,
  IncarnationRegistry,
  Logger,
  MemberInfo,
  PeerTransport,
  RaftStorage,
  StateStorage,
  Timer,
} from './ports.ts'
import { lostData, peerHandlers } from './peer-handlers.ts'
import { Proposer } from './proposer.ts'
import { readPort } from './read-port.ts'
import { Reads } from './reads.ts'
import type { Recovery } from './recovery.ts'
import { recover } from './recovery.ts'
import { Registration } from './registration.ts'
import { SpaceGuard, spaceRefusal } from './space-guard.ts'
import { type WritePort, Writes } from './writes.ts'

export interface NodeOptions {
  readonly clusterId: string
  readonly self: MemberInfo
  /** All members, this one included. */
  readonly members: readonly MemberInfo[]
  readonly boot: Boot
  /** The advertised base URL, or ''. */
  readonly url: string
  readonly version: string
  readonly pid: number
  readonly heartbeatMs: number
  readonly electionTimeoutMs: number
  /** Where the bounds of replication differ from LIMITS. */
  readonly replication?: Partial<Pick<RaftConfig, 'appendBytesMax' | 'inflightMessagesMax'>>
  readonly logRetention: RetentionOptions
  readonly historyRetention: RetentionLimits
  readonly spaceReserveBytes: number
}

export interface NodePorts {
  readonly clock: Clock
  readonly prng: Prng
  readonly log: RaftStorage
  readonly states: StateStorage
  readonly transport: PeerTransport
  readonly registry: IncarnationRegistry
  readonly amnesia: AmnesiaNote
  readonly diskSpace: DiskSpace
  readonly logger: Logger
}

/** How often the waiting requests are looked through, from the start: also while this node does not take part yet. */
const SWEEP_MS = 50
/** How often a node finds out how fresh its state is, for stale reads: every so many sweeps. */
const PROBE_SWEEPS = 5
/** How often the leader looks whether history is due to be compacted: every so many sweeps. */
const RETENTION_SWEEPS = 20
const REGISTER_RETRY_MS = 200

export class QuorateNode implements NodeFacade {
  readonly #options: NodeOptions
  readonly #ports: NodePorts
  readonly #driver: NodeDriver
  readonly #writes: Writes
  readonly #reads: Reads
  readonly #proposer: Proposer
  readonly #control: ControlPlane
  readonly #clusterClock: ClusterClock
  readonly #retention: Retention
  readonly #registration: Registration
  readonly #space: SpaceGuard
  readonly #failed: Deferred<Error> = deferred()
  readonly #startedMs: number
  #leaderName: string | undefined
  #sweeps = 0
  #sweepTimer: Timer | undefined
  #closing: Promise<void> | undefined

  /** Recovers from what the ports hold. Nothing runs before `start`. Rejects when log and state cannot be reconciled. */
  static async open(options: NodeOptions, ports: NodePorts): Promise<QuorateNode> {
    const recovery = recover(ports.log, ports.states, ports.amnesia.isSet, ports.logger)
    if (recovery.init.standing === 'amnesiac' && !ports.amnesia.isSet) await ports.amnesia.set()
    if (recovery.marker !== undefined) {
      await ports.log.append({ hardState: recovery.init.hardState, entries: [], snapshot: recovery.marker })
    }
    if (recovery.isMarkerPending) await ports.states.finishInstall()
    ports.log.releaseRecovered()
    return new QuorateNode(options, ports, recovery)
  }

  private constructor(options: NodeOptions, ports: NodePorts, recovery: Recovery) {
    this.#options = options
    this.#ports = ports
    const { clock, logger, transport } = ports
    const { self, boot } = options
    this.#startedMs = clock.now()
    this.#clusterClock = new ClusterClock(options.electionTimeoutMs)
    this.#retention = new Retention(options.historyRetention, ports.states.current.meta)
    this.#driver = new NodeDriver(
      {
        ...ports,
        raft: {
          id: self.id,
          boot,
          prng: ports.prng.fork('raft'),
          electionTimeoutTicks: Math.ceil(options.electionTimeoutMs / TICK_MS),
          heartbeatTicks: Math.max(1, Math.floor(options.heartbeatMs / TICK_MS)),
          appendBytesMax: LIMITS.appendBytesMax,
          inflightMessagesMax: LIMITS.inflightAppendsMax,
          inflightBytesMax: LIMITS.inflightAppendBytesMax,
          // The disk keeps more than memory does; what it may forget, memory need not keep.
          memoryLogBytesMax: Math.min(LIMITS.memoryLogBytesMax, options.logRetention.retainBytes),
          uncommittedBytesMax: LIMITS.inflightBytesMax,
          ...options.replication,
        },
        init: recovery.init,
        logRetention: options.logRetention,
      },
      {
        onApplied: (applied) => this.#onApplied(applied),
        onProgress: () => this.#reads.onApplied(),
        onReads: (confirmed, aborted) => {
          this.#reads.onConfirmed(confirmed)
          this.#reads.onAborted(aborted)
        },
        onRoleChange: (change) => this.#onRoleChange(change),
        onInstalled: (index) => this.#onInstalled(index),
        onTick: () => this.#onTick(),
        onFailure: (error) => this.#failed.resolve(error),
      },
    )
    this.#proposer = new Proposer(clock, {
      propose: (data) => this.#driver.raft.propose(data),
      clusterTimeMs: () => this.#clusterClock.timeMs,
      pump: () => this.#driver.pump(),
    })
    this.#writes = new Writes(clock, { id: self.id, boot }, this.#writePort())
    this.#reads = new Reads(
      clock,
      readPort({
        ...ports,
        driver: this.#driver,
        electionTimeoutMs: options.electionTimeoutMs,
        freshAtMs: () => this.#reads.freshAtMs,
      }),
    )
    this.#control = new ControlPlane(options, ports, this.#driver)
    const others = options.members.filter((member) => member.id !== self.id).map((member) => member.id)
    this.#registration = new Registration(ports.registry, others, transport, logger)
    this.#space = new SpaceGuard(ports.diskSpace, clock, options.spaceReserveBytes, logger)
  }

  /** Resolves when this node had to stop itself; never otherwise. */
  get failed(): Promise<Error> {
    return this.#failed.promise
  }

  /** Opens the peer port, registers where that is still to be done, and takes part. */
  async start(): Promise<void> {
    await this.#ports.transport.start(
      peerHandlers({
        ...this.#ports,
        driver: this.#driver,
        control: this.#control,
        proposer: this.#proposer,
        writes: this.#writes,
        refusal: (command) => this.#spaceRefusal(command),
      }),
    )
    await this.#space.start((level) => this.#driver.raft.reportSpaceLow(level !== 'enough'))
    if (this.#closing !== undefined) return
    this.#scheduleSweep()
    void this.#register()
  }

  /** Messages of peers that had no effect, by reason. */
  get droppedMessages(): Readonly<Record<string, number>> {
    return this.#driver.dropped
  }

  vitals(): Vitals {
    const { raft } = this.#driver
    return {
      name: this.#options.self.name,
      revision: this.#ports.states.current.meta.revision,
      term: raft.term,
      leaderName: this.#leaderName,
    }
  }

  write(command: ClientCommand, timeoutMs: number, done: (outcome: CommandResult | QuorateError) => void): void {
    this.#writes.submit(command, timeoutMs, done)
  }

  read(key: KeyString, options: ReadOptions, done: (outcome: ReadAnswer | QuorateError) => void): void {
    this.#reads.read(key, options, done)
  }

  status(): NodeStatus {
    const { raft } = this.#driver
    const { self, clusterId, pid, version } = this.#options
    const { log, states, clock } = this.#ports
    return {
      name: self.name,
      id: self.id,
      clusterId,
      role: raft.role,
      term: raft.term,
      leader: this.#control.leader(),
      commitIndex: raft.commitIndex,
      appliedIndex: this.#driver.applier.appliedIndex,
      revision: states.current.meta.revision,
      logBytes: log.sizeBytes,
      dbBytes: states.current.stats().dbBytes,
      pid,
      version,
      uptimeMs: Math.floor(clock.now() - this.#startedMs),
    }
  }

  cluster(): Promise<ClusterStatus> {
    return this.#control.cluster()
  }

  transferLeadership(to: string | undefined): Promise<void> {
    return this.#control.transferLeadership(to)
  }

  liveness(): HealthReport {
    return { ok: true, checks: { process: 'ok' } }
  }

  readiness(): HealthReport {
    const { raft, applier } = this.#driver
    const checks: Record<string, string> = {
      registered: this.#registration.isDone ? 'ok' : 'waiting for a majority of the other members to register this one',
      leader: raft.leaderId === undefined ? 'no leader is known' : 'ok',
      state: this.#stateCheck(raft.commitIndex - applier.appliedIndex),
      disk: this.#space.level === 'enough' ? 'ok' : 'free space is below the reserve',
      shutdown: this.#closing !== undefined ? 'this node is shutting down' : 'ok',
    }
    return { ok: Object.values(checks).every((check) => check === 'ok'), checks }
  }

  /** Hands leadership over, answers what is in flight, makes the state durable, closes everything. */
  close(graceMs = 5_000): Promise<void> {
    this.#closing ??= this.#close(graceMs)
    return this.#closing
  }

  async #close(graceMs: number): Promise<void> {
    const { clock, transport, states, log, logger } = this.#ports
    this.#writes.close()
    this.#reads.close()
    const deadlineMs = clock.now() + graceMs
    if (this.#driver.isActive && this.#driver.raft.isLeader && this.#options.members.length > 1) {
      await this.#control
        .transferLeadership(undefined)
        .catch((error: unknown) =>
          logger.info({}, `leadership could not be handed over before stopping: ${reasonOf(error)}`),
        )
    }
    const isBusy = (): boolean => this.#writes.outstandingCount + this.#reads.waitingCount > 0
    while (isBusy() && clock.now() < deadlineMs && this.#driver.isActive) await this.#pause(TICK_MS)
    this.#space.stop()
    this.#sweepTimer?.cancel()
    await this.#driver.stop()
    this.#writes.abort()
    this.#reads.abort()
    // Each is closed even if one before it fails: what is left open holds files and ports.
    const failures: unknown[] = []
    for (const part of [transport, states.current, log]) {
      await part.close().catch((error: unknown) => void failures.push(error))
    }
    if (failures.length > 0) throw failures[0]
  }

  #stateCheck(backlog: number): string {
    if (this.#driver.raft.standing === 'stateless') return 'there is no usable state yet; a snapshot was asked for'
    if (this.#reads.freshAtMs === undefined) return 'not yet caught up with the leader'
    return backlog > LIMITS.inflightCommandsMax ? `${backlog} entries behind` : 'ok'
  }

  #pause(delayMs: number): Promise<void> {
    return new Promise((resolve) => {
      this.#ports.clock.after(delayMs, resolve)
    })
  }

  /** Asks until a majority of the others vouches for this node's incarnation; only then does it take part. */
  async #register(): Promise<void> {
    try {
      while (this.#closing === undefined) {
        const answer = await this.#registration.ask()
        if (answer === 'registered') return this.#driver.activate()
        if (answer === 'refused') return this.#driver.fail(lostData())
        await this.#pause(REGISTER_RETRY_MS)
      }
    } catch (error) {
      this.#driver.fail(error)
    }
  }

  #onApplied(applied: Applied): void {
    this.#clusterClock.atLeast(applied.meta.clusterTimeMs)
    this.#retention.observe(applied.meta, applied.changes)
    if (applied.batch?.groups.some((group) => group.commands.some((command) => command.op === 'compact'))) {
      this.#ports.states.current.removeHistory(applied.meta.compactRevision)
    }
    this.#writes.onApplied(applied.id, applied.batch, applied.results)
  }

  #onRoleChange({ role, term, leaderId }: RoleChange): void {
    this.#leaderName = this.#options.members.find((member) => member.id === leaderId)?.name
    this.#ports.logger.info({ role, term, leader: this.#leaderName ?? null }, describeRole(role, this.#leaderName))
    if (role !== 'leader') this.#clusterClock.pause()
    this.#control.onRoleChange()
    if (leaderId === undefined) return
    this.#writes.retry()
    this.#reads.retry()
  }

  #onInstalled(index: LogIndex): void {
    this.#writes.onInstalled(index)
    this.#reads.onApplied()
  }

  #onTick(): void {
    if (this.#driver.raft.isLeader) this.#clusterClock.advance(this.#ports.clock.now())
  }

  #scheduleSweep(): void {
    this.#sweepTimer = this.#ports.clock.after(SWEEP_MS, () => {
      this.#sweep()
      this.#scheduleSweep()
    })
  }

  #sweep(): void {
    this.#sweeps++
    this.#writes.sweep()
    this.#reads.sweep()
    if (this.#sweeps % PROBE_SWEEPS === 0) this.#reads.probe()
    if (this.#sweeps % RETENTION_SWEEPS === 0 && this.#driver.raft.isLeader) this.#proposeCompaction()
  }

  #proposeCompaction(): void {
    const revision = this.#retention.compactTarget()
    if (revision === undefined) return
    const body = new ByteWriter()
    encodeCommand(body, { op: 'compact', revision })
    const tag = { member: this.#options.self.id, boot: this.#options.boot, number: 0 }
    this.#proposer.add(tag, body.finish(), () => {})
  }

  #writePort(): WritePort {
    const driver = this.#driver
    const { self, boot } = this.#options
    return {
      get isLeader() {
        return driver.raft.isLeader
      },
      get leaderId() {
        return driver.raft.leaderId
      },
      get appliedIndex() {
        return driver.applier.appliedIndex
      },
      proposeGroup: (number, body, answer) => this.#proposer.add({ member: self.id, boot, number }, body, answer),
      endTurn: () => this.#proposer.close(),
      forward: (to, number, body, answer) => this.#ports.transport.forward(to, number, body, answer),
      refusal: (command) => this.#spaceRefusal(command),
    }
  }

  #spaceRefusal(command: ClientCommand): QuorateError | undefined {
    const { raft } = this.#driver
    if (!raft.isLeader) return undefined
    return spaceRefusal(command, this.#space.level, !raft.hasQuorumSpace)
  }
}

const reasonOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))
