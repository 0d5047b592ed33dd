// A cluster in one process, without time, threads or sockets: messages lie in a list until they are delivered, writes are
// durable when the test says so. It is the driver reduced to its contract with the core.
import { Prng } from '../../../src/lib/prng.ts'
import { RaftNode } from '../../../src/raft/index.ts'
import type {
  ConfState,
  ConfirmedRead,
  Entry,
  Load,
  Message,
  NodeId,
  RaftConfig,
  Ready,
  StepOutcome,
  Write,
} from '../../../src/raft/index.ts'
import { Disk } from './disk.ts'

export interface Packet {
  readonly message: Message
  /** The receiver's boot that the connection belongs to. */
  readonly boot: number
}

export interface TestNode {
  readonly id: NodeId
  readonly disk: Disk
  /** Undefined while crashed. */
  raft: RaftNode | undefined
  boot: number
  write: Write | undefined
  /** Writes stay outstanding until `persist`. */
  isDiskHeld: boolean
  /** Loads stay unanswered until `answerLoads`. */
  areLoadsHeld: boolean
  loads: Load[]
  /** Applied entries are executed at once, but durable only up to here when the state is told to lag. */
  applied: Entry[]
  reads: ConfirmedRead[]
  abortedReads: number[]
  snapshotsWanted: NodeId[]
}

export interface ClusterOptions {
  readonly voters: readonly NodeId[]
  readonly votersOutgoing?: readonly NodeId[]
  readonly learners?: readonly NodeId[]
  readonly seed?: string | number
  readonly config?: Partial<Omit<RaftConfig, 'id' | 'boot' | 'prng'>>
  /** The state machine's disk follows at once (default), or only when the test calls `saveState`. */
  readonly isStateLazy?: boolean
}

export interface Observer {
  ready?(node: TestNode, ready: Ready): void
  step?(node: TestNode, message: Message, outcome: StepOutcome): void
  lost?(message: Message): void
}

export const TICKS = { electionTimeoutTicks: 10, heartbeatTicks: 2 }

export function confStateOf(options: ClusterOptions): ConfState {
  const { voters, votersOutgoing = [], learners = [] } = options
  return { voters, votersOutgoing, learners, learnersNext: [], autoLeave: false }
}

export class Cluster {
  readonly nodes: ReadonlyMap<NodeId, TestNode>
  readonly observers: Observer[] = []
  /** Directed links that lose everything, as `from>to`. */
  readonly cut = new Set<string>()
  network: Packet[] = []
  readonly #prng: Prng
  readonly #options: ClusterOptions

  constructor(options: ClusterOptions) {
    this.#options = options
    this.#prng = new Prng(options.seed ?? 'cluster')
    const confState = confStateOf(options)
    const ids = [...new Set([...options.voters, ...(options.votersOutgoing ?? []), ...(options.learners ?? [])])].sort()
    this.nodes = new Map(ids.map((id) => [id, newNode(id, confState)]))
    for (const id of ids) this.restart(id)
  }

  get ids(): readonly NodeId[] {
    return [...this.nodes.keys()]
  }

  node(id: NodeId): TestNode {
    const node = this.nodes.get(id)
    if (node === undefined) throw new Error(`there is no node ${id}`)
    return node
  }

  raft(id: NodeId): RaftNode {
    const { raft } = this.node(id)
    if (raft === undefined) throw new Error(`${id} is down`)
    return raft
  }

  get leaders(): readonly RaftNode[] {
    return [...this.nodes.values()].flatMap(({ raft }) => (raft?.isLeader === true ? [raft] : []))
  }

  // ------------------------------------------------------------------------------------------------------------ inputs

  /** Runs an input of a node, then does what it asks for. */
  input<T>(id: NodeId, action: (raft: RaftNode) => T): T {
    const result = action(this.raft(id))
    this.pump(id)
    return result
  }

  tick(id: NodeId, count = 1): void {
    for (let at = 0; at < count; at++) this.input(id, (raft) => raft.tick())
  }

  tickAll(count = 1): void {
    for (let at = 0; at < count; at++)
      for (const node of this.nodes.values()) if (node.raft !== undefined) this.tick(node.id)
  }

  propose(id: NodeId, text: string): ReturnType<RaftNode['propose']> {
    return this.input(id, (raft) => raft.propose(Buffer.from(text)))
  }

  step(message: Message): StepOutcome {
    const node = this.node(message.to)
    const outcome = this.raft(message.to).step(message)
    for (const observer of this.observers) observer.step?.(node, message, outcome)
    this.pump(message.to)
    return outcome
  }

  // ----------------------------------------------------------------------------------------------------------- network

  /** Delivers the packet at this place of the list. */
  deliverAt(at: number): void {
    const [packet] = this.network.splice(at, 1)
    if (packet === undefined) return
    const { message, boot } = packet
    const receiver = this.node(message.to)
    const isLost =
      receiver.raft === undefined || receiver.boot !== boot || this.cut.has(`${message.from}>${message.to}`)
    if (isLost) for (const observer of this.observers) observer.lost?.(message)
    else this.step(message)
  }

  /** Delivers everything, and what that causes, until all is quiet. */
  settle(): void {
    for (let rounds = 0; this.network.length > 0; rounds++) {
      if (rounds > 100_000) throw new Error('the cluster does not come to rest')
      this.deliverAt(0)
    }
  }

  /** Only nodes of the same group hear each other. */
  partition(...groups: readonly (readonly NodeId[])[]): void {
    this.cut.clear()
    for (const from of this.ids) {
      for (const to of this.ids) {
        const isTogether = groups.some((group) => group.includes(from) && group.includes(to))
        if (from !== to && !isTogether) this.cut.add(`${from}>${to}`)
      }
    }
  }

  heal(): void {
    this.cut.clear()
  }

  // ------------------------------------------------------------------------------------------------- processes and disks

  crash(id: NodeId, isWriteKept = false): void {
    const node = this.node(id)
    if (isWriteKept && node.write !== undefined) node.disk.append(node.write)
    node.raft = undefined
    node.write = undefined
    node.loads = []
    node.snapshotsWanted = []
  }

  restart(id: NodeId): void {
    const node = this.node(id)
    node.boot++
    node.applied = node.applied.filter((entry) => entry.index <= node.disk.state.index)
    const config: RaftConfig = {
      id,
      boot: node.boot,
      prng: this.#prng.fork(`${id}/${node.boot}`),
      ...TICKS,
      appendBytesMax: 1_000,
      inflightMessagesMax: 8,
      inflightBytesMax: 4_000,
      memoryLogBytesMax: 1_000_000,
      unappliedBytesMax: 1_000_000,
      uncommittedBytesMax: 1_000_000,
      ...this.#options.config,
    }
    node.raft = new RaftNode(config, node.disk.recover())
    this.pump(id)
  }

  /** The write in flight, if there is one, becomes durable. */
  persist(id: NodeId): void {
    const node = this.node(id)
    const { write } = node
    if (write === undefined) return
    node.write = undefined
    node.disk.append(write)
    if (write.snapshot !== undefined) node.applied = []
    this.input(id, (raft) => raft.persisted(write.id))
  }

  /** The state machine's disk catches up with what was applied. */
  saveState(id: NodeId, index = this.raft(id).appliedIndex): void {
    const { disk } = this.node(id)
    const term = index === disk.state.index ? disk.state.term : disk.termAt(index)
    if (term === undefined) throw new Error(`${id}: no term at ${index}`)
    disk.state = { term, index, confState: this.raft(id).confState }
  }

  answerLoads(id: NodeId): void {
    const node = this.node(id)
    for (const load of node.loads.splice(0)) {
      const slice = node.disk.read(load.first, load.last, load.bytesMax)
      this.input(id, (raft) => raft.loaded(load.peer, slice))
    }
  }

  /** Streams the sender's durable state to the receiver, which installs it if it wants to. */
  stream(from: NodeId, to: NodeId): StepOutcome | undefined {
    const sender = this.node(from)
    sender.snapshotsWanted = sender.snapshotsWanted.filter((id) => id !== to)
    const isLost = this.node(to).raft === undefined || this.cut.has(`${from}>${to}`)
    if (isLost) {
      this.input(from, (raft) => raft.reportSnapshot(to, 'failed'))
      return undefined
    }
    const term = this.raft(from).term
    const outcome = this.step({ type: 'install-snapshot', from, to, term, snapshot: sender.disk.state })
    this.input(from, (raft) => raft.reportSnapshot(to, 'installed'))
    return outcome
  }

  pump(id: NodeId): void {
    const node = this.node(id)
    for (;;) {
      const ready = node.raft?.takeReady()
      if (ready === undefined) break
      for (const observer of this.observers) observer.ready?.(node, ready)
      this.#perform(node, ready)
    }
    if (node.write !== undefined && !node.isDiskHeld) this.persist(id)
    if (node.loads.length > 0 && !node.areLoadsHeld) this.answerLoads(id)
  }

  #perform(node: TestNode, ready: Ready): void {
    for (const message of ready.messages) {
      if (this.cut.has(`${message.from}>${message.to}`)) {
        for (const observer of this.observers) observer.lost?.(message)
      } else {
        this.network.push({ message, boot: this.node(message.to).boot })
      }
    }
    if (ready.write !== undefined) {
      if (node.write !== undefined) throw new Error(`${node.id} has two writes in flight`)
      node.write = ready.write
    }
    node.applied.push(...ready.committed)
    const last = ready.committed.at(-1)
    if (last !== undefined) {
      node.raft?.applied(last.index)
      if (this.#options.isStateLazy !== true) this.saveState(node.id, last.index)
    }
    node.reads.push(...ready.confirmedReads)
    node.abortedReads.push(...ready.abortedReads)
    node.loads.push(...ready.loads)
    node.snapshotsWanted.push(...ready.snapshotsWanted)
  }

  // --------------------------------------------------------------------------------------------------------- shorthands

  /** Lets this node's election timeout pass, and no other's. */
  expire(id: NodeId): void {
    const { term, role } = this.raft(id)
    for (let ticks = 0; ticks < 2 * TICKS.electionTimeoutTicks; ticks++) {
      this.tick(id)
      const raft = this.raft(id)
      if (raft.term !== term || raft.role !== role || raft.isLeader) return
    }
  }

  /** Makes this node the leader: the others' timers are let past their leader first. */
  elect(id: NodeId): RaftNode {
    for (let tries = 0; tries < 20 && !this.raft(id).isLeader; tries++) {
      for (const node of this.nodes.values()) {
        if (node.id !== id && node.raft !== undefined && !node.raft.isLeader) this.forget(node.raft)
      }
      this.expire(id)
      this.settle()
    }
    if (!this.raft(id).isLeader) throw new Error(`${id} was not elected`)
    return this.raft(id)
  }

  /** Ticks a follower until leader stickiness is over, without letting its own election begin. */
  forget(raft: RaftNode): void {
    for (let ticks = 0; ticks < TICKS.electionTimeoutTicks && raft.leaderId !== undefined; ticks++) raft.tick()
    this.pump(raft.id)
  }
}

function newNode(id: NodeId, confState: ConfState): TestNode {
  return {
    id,
    disk: new Disk(confState),
    raft: undefined,
    boot: 0,
    write: undefined,
    isDiskHeld: false,
    areLoadsHeld: false,
    loads: [],
    applied: [],
    reads: [],
    abortedReads: [],
    snapshotsWanted: [],
  }
}
