// One member of the simulated cluster through all its lives: the production node on a simulated disk, started, killed, without
// power, paused, wiped. What it does passes the observer on its way; why it stopped itself must be explained by a fault.
import { present } from '../../src/lib/assert.ts'
import { Prng } from '../../src/lib/prng.ts'
import { recordShare, rowShare } from '../../src/kv/digest.ts'
import { initialMeta } from '../../src/kv/index.ts'
import type { ClusterConfiguration, MemberInfo, StateStorage } from '../../src/node/ports.ts'
import { QuorateNode } from '../../src/node/quorate-node.ts'
import type { NodeOptions } from '../../src/node/quorate-node.ts'
import { openAmnesiaNote } from '../../src/storage/amnesia-note.ts'
import { openIncarnations } from '../../src/storage/incarnation-registry.ts'
import { openStateStorage } from '../../src/storage/state-db/index.ts'
import { openRaftLog } from '../../src/storage/wal/index.ts'
import type { Conduct } from './conduct.ts'
import { Disk, randomBytes } from './disk.ts'
import type { CrashKind } from './disk.ts'
import { Host } from './host.ts'
import type { Network } from './network.ts'
import { notedLogger, observedLog, observedStates } from './observed-ports.ts'
import type { Watch } from './observed-ports.ts'
import type { Observer } from './observer.ts'
import type { SimulatedTransport } from './simulated-transport.ts'
import type { Situations } from './situations.ts'
import { NEVER } from './swarm.ts'
import type { Swarm } from './swarm.ts'
import type { World } from './world.ts'

export interface MemberParts {
  readonly world: World
  readonly prng: Prng
  readonly swarm: Swarm
  readonly network: Network
  readonly observer: Observer
  readonly conduct: Conduct
  readonly situations: Situations
  readonly members: readonly MemberInfo[]
  /** Kills whoever leads. */
  strikeLeader(): void
}

/**
 * `down`: it may be started. `dead`: it will never run again (its data are lost or damaged), and must not.
 */
export type MemberState = 'down' | 'starting' | 'up' | 'dead'

export class Member {
  readonly index: number
  readonly info: MemberInfo
  readonly disk: Disk
  state: MemberState = 'down'
  /** When it may be started again, as a supervisor would. */
  restartAtMs = 0
  /** Its data were lost: it must be refused by the others. */
  isWiped = false
  node: QuorateNode | undefined
  host: Host | undefined
  readonly #parts: MemberParts
  #transport: SimulatedTransport | undefined
  #boots = 0
  #isInstalling = false
  #isTruncating = false

  constructor(index: number, parts: MemberParts) {
    this.index = index
    this.#parts = parts
    this.info = present(parts.members[index], 'a member')
    const { world, situations, swarm } = parts
    this.disk = new Disk({ world, situations, settings: swarm.disk, prng: parts.prng.fork(`disk ${index}`) })
  }

  get name(): string {
    return this.info.name
  }

  get isUp(): boolean {
    return this.state === 'up'
  }

  get isRegistered(): boolean {
    return this.node?.readiness().checks['registered'] === 'ok'
  }

  start(): void {
    const { world, prng, swarm, situations } = this.#parts
    const { driftPerMille, lateTimerMsMax } = swarm.process
    if (this.#boots > 0) situations.met('restart')
    this.#boots++
    const drift = driftPerMille === 0 ? 0 : prng.between(-driftPerMille, driftPerMille)
    const host = new Host({
      world,
      prng: prng.fork('lateness'),
      index: this.index,
      ratePerMille: 1_000 + drift,
      lateMsMax: this.disk.isQuiet ? 0 : lateTimerMsMax,
    })
    this.host = host
    this.state = 'starting'
    this.disk.attach(host)
    world.note('start', this.name, this.#boots)
    this.#open(host).catch((error: unknown) => {
      if (host.isAlive) this.#stopped(error)
    })
  }

  async #open(host: Host): Promise<void> {
    const { prng, network, swarm } = this.#parts
    const { files } = this.disk
    const boot = prng.uint32()
    const logger = notedLogger(this.#watch(host))
    const registry = await openIncarnations(files, '/incarnations')
    const states = observedStates(this.#watch(host), await this.#openStates(host))
    const log = await openRaftLog({
      fileSystem: files,
      directory: '/0/log',
      votePath: '/0/vote',
      keepFrom: states.current.meta.index + 1,
      memoryBytesMax: swarm.node.retainBytes,
      segmentBytes: swarm.node.segmentBytes,
      random: (bytes) => randomBytes(prng, bytes),
      logger,
    })
    this.#parts.observer.onRecovered(this.index, log.recovered)
    this.#isTruncating = false
    const amnesia = await openAmnesiaNote(files, '/0/amnesia')
    const { id, name } = this.info
    const hello = { id, name, boot, incarnation: registry.own, url: `http://${name}`, version: '0.0.0' }
    const transport = network.transport(host, hello)
    this.#transport = transport
    const node = await QuorateNode.open(this.#options(boot), {
      clock: host.clock,
      prng: prng.fork('node'),
      log: observedLog(this.#watch(host), log),
      states,
      transport,
      registry,
      amnesia,
      diskSpace: { freeBytes: () => Promise.resolve(this.disk.freeBytes) },
      logger,
    })
    if (!host.isAlive) return
    this.node = node
    void this.#watchFailure(host, node)
    await node.start()
    if (host.isAlive && this.state === 'starting') this.state = 'up'
  }

  /** What its ports tell, and to whom. */
  #watch(host: Host): Watch {
    const { observer, conduct, situations, world, swarm } = this.#parts
    return {
      host,
      observer,
      conduct,
      situations,
      world,
      name: this.name,
      tableBytesMax: swarm.node.tableBytesMax,
      onReceiving: () => {
        // The steps of an installation are few; crashes would seldom fall between them by themselves.
        if (this.#isTargeted(1, 6)) this.#doom(30)
      },
      onTruncating: (isTruncating) => {
        this.#isTruncating = isTruncating
        if (isTruncating && this.#isTargeted(1, 4)) this.#doom(3)
      },
      onInstalling: (isInstalling) => {
        this.#isInstalling = isInstalling
        if (isInstalling && this.#isTargeted(1, 4)) this.#slowDown()
        const status = this.node?.status()
        if (isInstalling && status !== undefined && status.commitIndex > status.appliedIndex)
          situations.met('install-during-apply')
      },
    }
  }

  /** Steps that are few and short are hit on purpose: by chance, faults would seldom fall between them. */
  #isTargeted(numerator: number, denominator: number): boolean {
    const { swarm, prng } = this.#parts
    return swarm.process.crashEveryMs < NEVER && prng.chance(numerator, denominator)
  }

  #doom(writesMax: number): void {
    const { prng } = this.#parts
    this.disk.doom(prng.between(1, writesMax), () => this.crash('power', prng.between(20, 1_000)))
  }

  /** A swap that takes long: a new leader may be elected, and the log go on, before it is over. */
  #slowDown(): void {
    const { prng, world } = this.#parts
    if (this.disk.isQuiet) return
    this.disk.slowness = 100
    world.after(prng.between(100, 2_000), () => (this.disk.slowness = 1))
    if (prng.chance(1, 2)) world.after(prng.between(0, 50), () => this.#parts.strikeLeader())
  }

  #openStates(host: Host): Promise<StateStorage> {
    const { swarm, members } = this.#parts
    const voters = members.map(({ id }) => id).sort()
    const configuration: ClusterConfiguration = {
      members,
      confState: { voters, votersOutgoing: [], learners: [], learnersNext: [], autoLeave: false },
    }
    const { batchBytes, batchDelayMs, tableBytesMax, cacheBytesMax } = swarm.node
    return openStateStorage({
      directory: '/0',
      initial: { configuration, meta: initialMeta() },
      recordDigest: recordShare,
      rowDigest: rowShare,
      clock: host.clock,
      logger: notedLogger(this.#watch(host)),
      fileSystem: this.disk.files,
      store: this.disk.store,
      batchBytes,
      batchDelayMs,
      tableBytesMax,
      cacheBytesMax,
    })
  }

  #options(boot: number): NodeOptions {
    const { members, swarm } = this.#parts
    const { heartbeatMs, electionTimeoutMs, retainBytes, retainEntries, historyRevisions } = swarm.node
    const { appendBytesMax, inflightMessagesMax, retainFactor } = swarm.node
    const { watcherLagBytesMax, watchWindowRevisionsMax } = swarm.node
    const factor = this.index % 2 === 0 ? 1 : retainFactor
    return {
      clusterId: '00000000000000aa',
      self: this.info,
      members,
      boot,
      url: `http://${this.name}`,
      version: '0.0.0',
      pid: this.#boots,
      heartbeatMs,
      electionTimeoutMs,
      replication: { appendBytesMax, inflightMessagesMax },
      watching: { watcherLagBytesMax, watchWindowRevisionsMax },
      logRetention: { retainBytes: factor * retainBytes, retainEntries: factor * retainEntries },
      historyRetention: { ageMs: 3_600_000, revisions: historyRevisions, bytes: 1e9 },
      spaceReserveBytes: 1_000_000,
    }
  }

  async #watchFailure(host: Host, node: QuorateNode): Promise<void> {
    const error = await node.failed
    if (host.isAlive) this.#stopped(error)
  }

  // ------------------------------------------------------------------------------------------------- how lives end

  crash(kind: CrashKind, restartMs: number): void {
    const { world, situations, observer } = this.#parts
    if (this.state !== 'up' && this.state !== 'starting') return
    situations.met(kind === 'kill' ? 'crash' : 'power-loss')
    if (observer.isAppending(this.index)) situations.met('crash-during-append')
    if (this.#isInstalling) situations.met('install-cut-short')
    if (this.#isTruncating) situations.met('crash-during-truncation')
    world.note(kind, this.name)
    this.#end(kind)
    this.restartAtMs = world.nowMs + restartMs
  }

  #end(kind: CrashKind): void {
    this.host?.kill()
    if (this.#transport !== undefined) this.#parts.network.leave(this.#transport, kind === 'power')
    this.node = undefined
    this.#transport = undefined
    this.#isInstalling = false
    this.#isTruncating = false
    this.disk.crash(kind)
    this.state = 'down'
  }

  /** Starts over on an empty disk, as a member that lost its data. The others must refuse it. */
  async wipe(): Promise<void> {
    const { situations, observer, world } = this.#parts
    if (this.state !== 'down') return
    situations.met('wipe')
    world.note('wipe', this.name)
    await this.disk.prepare()
    this.isWiped = true
    observer.onWiped(this.index)
  }

  flipBit(): void {
    if (this.state === 'down' && this.disk.flipBit()) this.#parts.world.note('bit-flip', this.name)
  }

  /** The node stopped itself, or would not start. */
  #stopped(cause: unknown): void {
    const { world, situations } = this.#parts
    const error = cause instanceof Error ? cause : new Error(String(cause))
    const { code } = error as { code?: unknown }
    world.note('stopped', this.name, error.name, error.message.slice(0, 200))
    const { hasFailed, isDamaged } = this.disk
    this.#end(hasFailed ? 'power' : 'kill')
    if (code === 'LOST_DATA' && this.isWiped) {
      situations.met('wipe-refused')
      this.state = 'dead'
    } else if (isDamaged && !hasFailed) {
      situations.met('corruption-refused')
      this.state = 'dead'
    } else if (!hasFailed) {
      world.violate(`${this.name} stopped itself without cause: ${error.stack ?? error.message}`)
    }
    this.restartAtMs = world.nowMs + 500
  }
}
