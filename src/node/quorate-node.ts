// One node, put together: the driver under the write and read paths, the peers' handlers, registration, and the facade that
// the edges use. It owns no socket and no file; all of those are ports.
import type { ClientCommand, CommandResult, LeaseId, LockCommand, LockKind } from '../api/commands.ts'
import { QuorateError } from '../api/errors.ts'
import type { ClusterStatus, HealthReport, NodeStatus } from '../api/status.ts'
import type { KeyString } from '../lib/bytes.ts'
import { type Deferred, deferred } from '../lib/deferred.ts'
import { hashToHex } from '../lib/hash.ts'
import { DIGEST_VERSION } from '../kv/index.ts'
import type { RoleChange } from '../raft/index.ts'
import { describeRole } from './cluster-view.ts'
import { ControlPlane } from './control.ts'
import type * as facade from './facade.ts'
import { LIMITS } from './limits.ts'
import { NodeDriver, TICK_MS } from './node-driver.ts'
import type { NodeOptions, NodePorts } from './node-options.ts'
import { lostData, peerHandlers } from './peer-handlers.ts'
import type { Timer } from './ports.ts'
import type { Recovery } from './recovery.ts'
import { recover } from './recovery.ts'
import { Registration } from './registration.ts'
import { shuttingDown } from './reads.ts'
import { NodeServices } from './services.ts'
import { remainingOf, sideFacts } from './side-facts.ts'
import { SpaceGuard, spaceRefusal } from './space-guard.ts'

export type { NodeOptions, NodePorts } from './node-options.ts'

/** How often the waiting requests are looked through, from the start: also while this node does not take part yet. */
const SWEEP_MS = 50
const REGISTER_RETRY_MS = 200

type Done<T> = (outcome: T | QuorateError) => void

export class QuorateNode implements facade.NodeFacade {
  readonly #options: NodeOptions
  readonly #ports: NodePorts
  readonly #driver: NodeDriver
  readonly #services: NodeServices
  readonly #control: ControlPlane
  readonly #registration: Registration
  readonly #space: SpaceGuard
  readonly #failed: Deferred<Error> = deferred()
  readonly #startedMs: number
  #leaderName: string | undefined
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
          unappliedBytesMax: Math.min(LIMITS.unappliedBytesMax, options.logRetention.retainBytes),
          uncommittedBytesMax: LIMITS.inflightBytesMax,
          ...options.replication,
        },
        init: recovery.init,
        logRetention: options.logRetention,
      },
      {
        onApplied: (applied) => this.#services.onApplied(applied),
        onProgress: () => this.#services.onProgress(),
        onReads: (confirmed, aborted) => this.#services.onReads(confirmed, aborted),
        onRoleChange: (change) => this.#onRoleChange(change),
        onInstalled: (index) => this.#services.onInstalled(index),
        onTick: () => this.#services.onTick(),
        onTurnEnd: () => this.#services.onTurnEnd(),
        onFailure: (error) => this.#failed.resolve(error),
      },
    )
    this.#services = new NodeServices(options, ports, this.#driver, (command) => this.#spaceRefusal(command))
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
        members: this.#options.members,
        driver: this.#driver,
        control: this.#control,
        proposer: this.#services.proposer,
        writes: this.#services.writes,
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

  vitals(): facade.Vitals {
    const { raft } = this.#driver
    return {
      name: this.#options.self.name,
      revision: this.#ports.states.current.meta.revision,
      term: raft.term,
      leaderName: this.#leaderName,
    }
  }

  write(command: ClientCommand, timeoutMs: number, done: Done<CommandResult>): void {
    this.#services.writes.submit(command, timeoutMs, done)
  }

  read(key: KeyString, options: facade.ReadOptions, done: Done<facade.ReadAnswer>): void {
    this.#services.reads.read(key, options, done)
  }

  readPast(key: KeyString, revision: number, options: facade.ReadOptions, done: Done<facade.ReadAnswer>): void {
    this.#services.listings.readPast(key, revision, options, done)
  }

  list(request: facade.ListRequest, options: facade.ReadOptions, done: Done<facade.ListAnswer>): void {
    this.#services.listings.list(request, options, done)
  }

  stream(request: facade.ListRequest, options: facade.ReadOptions, done: Done<facade.EntryStream>): void {
    this.#services.listings.stream(request, options, done)
  }

  inspect<T>(
    options: facade.ReadOptions,
    look: (facts: facade.SideFacts) => T,
    done: Done<facade.Freshness & { readonly found: T }>,
  ): void {
    this.#services.reads.confirm(options, (outcome) => {
      if (outcome instanceof QuorateError) return done(outcome)
      const { stalenessMs } = outcome
      const { applier } = this.#driver
      applier.betweenEntries((isWhole) => {
        if (!isWhole) return done(shuttingDown())
        const { revision } = this.vitals()
        done({ revision, stalenessMs, found: look(sideFacts(applier.side, this.#services.timeMs)) })
      })
    })
  }

  leaseTtlMs(lease: LeaseId): number | undefined {
    return remainingOf(this.#driver.applier.side, lease, this.#services.timeMs)
  }

  watch(request: facade.WatchRequest, sink: facade.WatchSink): facade.WatchHandle {
    return this.#services.watches.watch(request, sink)
  }

  acquire(command: LockCommand, timeoutMs: number, done: Done<CommandResult>): { abandon(): void } {
    return this.#services.locks.acquire(command, timeoutMs, done)
  }

  observe(
    kind: LockKind,
    name: KeyString,
    onHolder: (holder: facade.LockPlace | undefined, revision: number) => void,
  ): { cancel(): void } {
    return this.#services.locks.observe(kind, name, onHolder)
  }

  digest(): ReturnType<facade.NodeFacade['digest']> {
    const { digest, index, revision } = this.#ports.states.current.meta
    return { digest: hashToHex(digest.live), appliedIndex: index, revision, version: DIGEST_VERSION }
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
    this.#services.close()
    const deadlineMs = clock.now() + graceMs
    if (this.#driver.isActive && this.#driver.raft.isLeader && this.#options.members.length > 1) {
      await this.#control
        .transferLeadership(undefined)
        .catch((error: unknown) =>
          logger.info({}, `leadership could not be handed over before stopping: ${reasonOf(error)}`),
        )
    }
    while (this.#services.isBusy && clock.now() < deadlineMs && this.#driver.isActive) await this.#pause(TICK_MS)
    this.#space.stop()
    this.#sweepTimer?.cancel()
    await this.#driver.stop()
    await this.#services.abort()
    // Each is closed even if one before it fails: what is left open holds files and ports.
    const failures: unknown[] = []
    for (const part of [transport, states.current, log]) {
      await part.close().catch((error: unknown) => void failures.push(error))
    }
    if (failures.length > 0) throw failures[0]
  }

  #stateCheck(backlog: number): string {
    if (this.#driver.raft.standing === 'stateless') return 'there is no usable state yet; a snapshot was asked for'
    if (this.#services.reads.freshAtMs === undefined) return 'not yet caught up with the leader'
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

  #onRoleChange({ role, term, leaderId }: RoleChange): void {
    this.#leaderName = this.#options.members.find((member) => member.id === leaderId)?.name
    this.#ports.logger.info({ role, term, leader: this.#leaderName ?? null }, describeRole(role, this.#leaderName))
    this.#services.onRoleChange(role, leaderId !== undefined)
    this.#control.onRoleChange()
  }

  #scheduleSweep(): void {
    this.#sweepTimer = this.#ports.clock.after(SWEEP_MS, () => {
      this.#services.sweep()
      this.#scheduleSweep()
    })
  }

  #spaceRefusal(command: ClientCommand): QuorateError | undefined {
    const { raft } = this.#driver
    if (!raft.isLeader) return undefined
    return spaceRefusal(command, this.#space.level, !raft.hasQuorumSpace)
  }
}

const reasonOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))
