// Whole nodes in one process: QuorateNode over logs, states and a network in memory, on a clock that only the test moves.
// A node can be stopped, crashed and started again on what its disk has kept; disks can be held back or made to fail.
import type { ClientCommand, CommandResult } from '../../src/api/commands.ts'
import { NO_CONDITION } from '../../src/api/commands.ts'
import { QuorateError } from '../../src/api/errors.ts'
import { ALL_KEYS } from '../../src/api/ranges.ts'
import { assert, present } from '../../src/lib/assert.ts'
import { Prng } from '../../src/lib/prng.ts'
import { recordShare, rowShare } from '../../src/kv/digest.ts'
import { initialMeta } from '../../src/kv/index.ts'
import type { ReadAnswer, ReadOptions, WatchRequest } from '../../src/node/facade.ts'
import type { ClusterConfiguration, Logger, MemberInfo, PeerTransport } from '../../src/node/ports.ts'
import { type NodeOptions, QuorateNode } from '../../src/node/quorate-node.ts'
import { openStateStorage } from '../../src/storage/state-db/index.ts'
import { openMemoryRaftLog } from '../../src/storage/wal/memory-raft-log.ts'
import { type Delivery, MemoryNetwork } from '../../src/transport/memory-network.ts'
import { MemberDisk, ProcessClock } from './memory-member.ts'
import { VirtualClock } from './virtual-clock.ts'
import { Reader } from './watch-reader.ts'

const LATENCY_MS = 1

interface Process {
  readonly clock: ProcessClock
  readonly transport: PeerTransport
}

export type WriteOutcome = CommandResult | QuorateError
export type ReadOutcome = ReadAnswer | QuorateError

/** What a caller has heard: at most one answer, ever. */
export class Heard<T> {
  readonly answers: T[] = []

  get answer(): T | undefined {
    assert(this.answers.length <= 1, `a caller was answered ${this.answers.length} times`)
    return this.answers[0]
  }
}

export interface ClusterOptions {
  readonly seed?: number | string
  readonly logRetention?: NodeOptions['logRetention']
  readonly logger?: Logger
}

const quiet: Logger = { debug() {}, info() {}, warn() {}, error() {} }
const text = (value: Uint8Array | undefined): string | undefined =>
  value === undefined ? undefined : Buffer.from(value).toString()

export class MemoryCluster {
  readonly clock = new VirtualClock()
  readonly network: MemoryNetwork
  readonly members: readonly MemberInfo[]
  readonly disks = new Map<string, MemberDisk>()
  readonly nodes = new Map<string, QuorateNode>()
  /** Why nodes stopped themselves. */
  readonly failures = new Map<string, Error>()
  /** Deliveries that wait for `release`. */
  isHeld: (delivery: Delivery) => boolean = () => false
  #held: Delivery[] = []
  readonly #processes = new Map<string, Process>()
  readonly #options: ClusterOptions
  #boots = 0

  constructor(size: number, options: ClusterOptions = {}) {
    this.#options = options
    this.members = Array.from({ length: size }, (_, at) => ({
      id: (at + 1).toString(16).padStart(16, '0'),
      name: `n${at + 1}`,
      peer: `127.0.0.1:${7701 + 10 * at}`,
    }))
    for (const [at, { name }] of this.members.entries()) this.disks.set(name, new MemberDisk(at + 1))
    this.network = new MemoryNetwork({
      schedule: (delivery) =>
        void this.clock.after(LATENCY_MS, () => {
          if (this.isHeld(delivery)) this.#held.push(delivery)
          else delivery.deliver()
        }),
      after: (delayMs, callback) => this.clock.after(delayMs, callback),
    })
  }

  /** A cluster of this size that has elected its first leader. */
  static async started(size: number, options: ClusterOptions = {}): Promise<MemoryCluster> {
    const cluster = new MemoryCluster(size, options)
    for (const { name } of cluster.members) await cluster.start(name)
    await cluster.until(() => cluster.leader !== undefined)
    return cluster
  }

  /** Opens a node on what its disk holds. */
  async open(name: string): Promise<QuorateNode> {
    assert(!this.nodes.has(name), `${name} runs already`)
    const self = this.#member(name)
    const disk = this.disk(name)
    const boot = ++this.#boots
    const clock = new ProcessClock(this.clock)
    const logger = this.#options.logger ?? quiet
    const voters = this.members.map((member) => member.id)
    const configuration: ClusterConfiguration = {
      members: this.members,
      confState: { voters, votersOutgoing: [], learners: [], learnersNext: [], autoLeave: false },
    }
    if (!disk.hasDirectory) await disk.fileSystem.makeDirectory('/0')
    disk.hasDirectory = true
    const states = await openStateStorage({
      directory: '/0',
      fileSystem: disk.fileSystem,
      store: disk.store,
      initial: { configuration, meta: initialMeta() },
      recordDigest: recordShare,
      rowDigest: rowShare,
      clock,
      logger,
    })
    const { appends } = disk
    const log = openMemoryRaftLog({
      disk: disk.log,
      delay: async (operation) => {
        await clock.wait(disk.latencyMs())
        if (operation === 'append') await appends.pass()
      },
    })
    const { registry, amnesia } = disk
    const hello = { id: self.id, name, boot, incarnation: registry.own, url: `http://${name}`, version: '0.0.0' }
    const transport = this.network.transport(hello)
    const node = await this.settled(
      QuorateNode.open(
        {
          clusterId: '00000000000000aa',
          self,
          members: this.members,
          boot,
          url: hello.url,
          version: hello.version,
          pid: boot,
          heartbeatMs: 50,
          electionTimeoutMs: 300,
          logRetention: this.#options.logRetention ?? { retainBytes: 1e9, retainEntries: 1e9 },
          historyRetention: { ageMs: 3_600_000, revisions: 1e6, bytes: 1e9 },
          spaceReserveBytes: 1_000,
        },
        {
          clock,
          prng: new Prng(`${this.#options.seed ?? 1}/${name}/${boot}`),
          log,
          states,
          transport,
          registry,
          amnesia,
          diskSpace: { freeBytes: () => Promise.resolve(disk.freeBytes) },
          logger,
        },
      ),
    )
    this.nodes.set(name, node)
    this.#processes.set(name, { clock, transport })
    void node.failed.then((error) => this.failures.set(name, error))
    return node
  }

  async start(name: string): Promise<QuorateNode> {
    const node = await this.open(name)
    await node.start()
    return node
  }

  /** Closes a node in good order. */
  async stop(name: string): Promise<void> {
    const node = this.node(name)
    this.nodes.delete(name)
    await this.settled(node.close())
  }

  /** Kills a node: nothing it has begun completes, and nobody is told. */
  crash(name: string): void {
    const { clock, transport } = present(this.#processes.get(name), `a process of ${name}`)
    this.nodes.delete(name)
    clock.isDead = true
    void transport.close()
    this.disk(name).crash()
  }

  /** Suspends the process: no timer fires, nothing arrives. What peers send meanwhile waits in its sockets. */
  suspend(name: string): void {
    const { clock } = present(this.#processes.get(name), `a process of ${name}`)
    const id = this.idOf(name)
    clock.suspend()
    this.isHeld = ({ to }) => to === id
  }

  continue(name: string): void {
    present(this.#processes.get(name), `a process of ${name}`).clock.continue()
    this.release()
  }

  node(name: string): QuorateNode {
    return present(this.nodes.get(name), `a running node ${name}`)
  }

  disk(name: string): MemberDisk {
    return present(this.disks.get(name), `a disk of ${name}`)
  }

  /** The member's directory is lost; it gets a fresh one, with another incarnation. */
  replaceDisk(name: string): void {
    assert(!this.nodes.has(name), `${name} runs`)
    this.disks.set(name, new MemberDisk(0xff00 + ++this.#boots))
  }

  /** The one that all running nodes follow. */
  get leader(): string | undefined {
    const names = new Set([...this.nodes.values()].map((node) => node.vitals().leaderName))
    const [name] = names
    return names.size === 1 && name !== undefined && this.nodes.get(name)?.status().role === 'leader' ? name : undefined
  }

  /** Names of running nodes that do not lead. */
  get followers(): string[] {
    return [...this.nodes.keys()].filter((name) => name !== this.leader)
  }

  cut(a: string, b: string): void {
    this.network.setLink(this.#member(a).id, this.#member(b).id, false)
  }

  mend(a: string, b: string): void {
    this.network.setLink(this.#member(a).id, this.#member(b).id, true)
  }

  isolate(name: string): void {
    for (const other of this.members) if (other.name !== name) this.cut(name, other.name)
  }

  /** Delivers what was held, and holds nothing more. */
  release(): void {
    this.isHeld = () => false
    for (const delivery of this.#held.splice(0)) delivery.deliver()
  }

  get heldCount(): number {
    return this.#held.length
  }

  idOf(name: string): string {
    return this.#member(name).id
  }

  rejoin(name: string): void {
    for (const other of this.members) if (other.name !== name) this.mend(name, other.name)
  }

  put(name: string, key: string, value: string | Uint8Array, timeoutMs = 5_000): Heard<WriteOutcome> {
    const bytes = typeof value === 'string' ? Buffer.from(value) : value
    const command = { key, condition: NO_CONDITION, wantsPrevious: false }
    return this.write(name, { op: 'put', value: bytes, contentType: '', ...command }, timeoutMs)
  }

  write(name: string, command: ClientCommand, timeoutMs = 5_000): Heard<WriteOutcome> {
    const heard = new Heard<WriteOutcome>()
    this.node(name).write(command, timeoutMs, (outcome) => heard.answers.push(outcome))
    return heard
  }

  read(name: string, key: string, options: Partial<ReadOptions> = {}): Heard<ReadOutcome> {
    const heard = new Heard<ReadOutcome>()
    const defaults = { consistency: 'linearizable', maxStaleMs: undefined, minRevision: undefined } as const
    this.node(name).read(key, { ...defaults, timeoutMs: 5_000, ...options }, (outcome) => heard.answers.push(outcome))
    return heard
  }

  /** Writes, and waits for the result: an error is thrown, a refusal is not. */
  async must(name: string, command: ClientCommand): Promise<CommandResult> {
    const answer = await this.answer(this.write(name, command))
    if (answer instanceof QuorateError) throw answer
    return answer
  }

  /** A watch of everything from now on, unless the request says otherwise. */
  watch(name: string, request: Partial<WatchRequest> = {}): Reader {
    const reader = new Reader()
    const defaults = { range: ALL_KEYS, fromRevision: undefined, wantsInitial: false, wantsPrevious: false }
    const rest = { only: undefined, timeoutMs: 5_000 }
    reader.handle = this.node(name).watch({ ...defaults, ...rest, ...request }, reader)
    return reader
  }

  /** Writes, and waits for success. */
  async mustPut(name: string, key: string, value: string | Uint8Array): Promise<CommandResult> {
    const heard = this.put(name, key, value)
    const answer = await this.answer(heard)
    if (answer instanceof QuorateError) throw answer
    return answer
  }

  /** Reads, and waits for success: the value as text, or undefined. */
  async mustGet(name: string, key: string, options: Partial<ReadOptions> = {}): Promise<string | undefined> {
    const answer = await this.answer(this.read(name, key, options))
    if (answer instanceof QuorateError) throw answer
    return text(answer.entry?.value)
  }

  async answer<T>(heard: Heard<T>): Promise<T> {
    await this.until(() => heard.answers.length > 0)
    return present(heard.answer, 'an answer')
  }

  /** Moves the clock, a millisecond at a time, until the claim holds; a virtual minute is for ever. */
  async until(claim: () => boolean, withinMs = 60_000): Promise<void> {
    const endMs = this.clock.now() + withinMs
    while (!claim()) {
      assert(this.clock.now() < endMs, `after ${withinMs} virtual ms still not: ${String(claim)}`)
      await this.step()
    }
  }

  async advance(ms: number): Promise<void> {
    const endMs = this.clock.now() + ms
    while (this.clock.now() < endMs) await this.step()
  }

  async step(): Promise<void> {
    this.clock.advance(1)
    // Promise chains of the stores, and what they schedule, end before time goes on.
    for (let turn = 0; turn < 2; turn++) {
      await new Promise((resolve) => setImmediate(resolve))
      this.clock.settle()
    }
  }

  /** Lets time pass until the promise is settled. */
  async settled<T>(promise: Promise<T>, withinMs = 60_000): Promise<T> {
    let isSettled = false
    const end = (): void => {
      isSettled = true
    }
    promise.then(end, end)
    await this.until(() => isSettled, withinMs)
    return await promise
  }

  async close(): Promise<void> {
    for (const disk of this.disks.values()) {
      disk.appends.open()
      disk.stateWork.open()
    }
    for (const name of this.nodes.keys()) await this.stop(name)
  }

  #member(name: string): MemberInfo {
    return present(
      this.members.find((member) => member.name === name),
      `a member ${name}`,
    )
  }
}
