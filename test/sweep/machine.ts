// One member on simulated hardware: the production node on its production log, state and small files, over a disk whose power can
// go off at any operation. A machine is started, lives, loses its power, and is started again on what the disk has kept.
import type { CommandResult } from '../../src/api/commands.ts'
import { NO_CONDITION } from '../../src/api/commands.ts'
import { QuorateError } from '../../src/api/errors.ts'
import { Prng } from '../../src/lib/prng.ts'
import { hashToHex } from '../../src/lib/hash.ts'
import { recordShare, rowShare } from '../../src/kv/digest.ts'
import { initialMeta } from '../../src/kv/index.ts'
import type {
  Clock,
  IncarnationRegistry,
  Logger,
  MemberInfo,
  PeerTransport,
  RaftStorage,
  StateStorage,
} from '../../src/node/ports.ts'
import { QuorateNode } from '../../src/node/quorate-node.ts'
import { openAmnesiaNote } from '../../src/storage/amnesia-note.ts'
import { createIncarnations, openIncarnations } from '../../src/storage/incarnation-registry.ts'
import { SimulatedFileSystem } from '../../src/storage/simulated-file-system.ts'
import type { Fault, Survival } from '../../src/storage/simulated-file-system.ts'
import { MemoryStore, openStateStorage } from '../../src/storage/state-db/index.ts'
import { openRaftLog } from '../../src/storage/wal/index.ts'
import type { MemoryNetwork } from '../../src/transport/memory-network.ts'
import { LogMirror } from '../sim/log-mirror.ts'

const nothing = (): void => {}
const quiet: Logger = { debug: nothing, info: nothing, warn: nothing, error: nothing }

/** Small, so that a short life switches segments, compacts, and leaves followers behind. */
const SEGMENT_BYTES = 8 * 1024
const RETENTION = { retainBytes: 4_000, retainEntries: 4 }

export interface MachineOptions {
  readonly self: MemberInfo
  readonly members: readonly MemberInfo[]
  readonly clock: Clock
  readonly network: MemoryNetwork
}

/** A clock that stops for a process when its power goes off. */
class LifeClock implements Clock {
  readonly #clock: Clock
  isOver = false

  constructor(clock: Clock) {
    this.#clock = clock
  }

  now(): number {
    return this.#clock.now()
  }

  after(delayMs: number, callback: () => void): { cancel(): void } {
    return this.#clock.after(delayMs, () => {
      if (!this.isOver) callback()
    })
  }

  soon(callback: () => void): void {
    this.#clock.soon(() => {
      if (!this.isOver) callback()
    })
  }
}

interface Life {
  readonly clock: LifeClock
  readonly transport: PeerTransport
  readonly states: StateStorage
  readonly node: QuorateNode
}

export class Machine {
  readonly #options: MachineOptions
  #disk: SimulatedFileSystem
  #store: MemoryStore
  #life: Life | undefined
  #boots = 0
  /** Operations on files and on the state's database together. */
  operations = 0
  /** The operation at which the power goes off; whether a database batch at that moment still gets through. */
  powerOffAt = Infinity
  isBatchKept = false
  isOff = false
  failure: Error | undefined
  /** States taken over from a leader. */
  installs = 0
  /** Entries of the log that others superseded. */
  superseded = 0
  readonly #logger: Logger = {
    ...quiet,
    info: (_, message) => {
      if (message.startsWith('installed a state')) this.installs++
    },
  }

  constructor(options: MachineOptions) {
    this.#options = options
    this.#disk = new SimulatedFileSystem({ fault: () => this.#fault() })
    this.#store = this.#newStore()
  }

  get name(): string {
    return this.#options.self.name
  }

  get node(): QuorateNode | undefined {
    return this.isOff ? undefined : this.#life?.node
  }

  /** What the state is after the last entry that was applied to it. */
  get state(): { readonly index: number; readonly digest: string } | undefined {
    const meta = this.isOff ? undefined : this.#life?.states.current.meta
    if (meta === undefined) return undefined
    const { live, history } = meta.digest
    const parts = [meta.revision, meta.compactRevision, meta.liveKeys, hashToHex(live), hashToHex(history)]
    return { index: meta.index, digest: parts.join('/') }
  }

  /** Starts the node on what the disk holds. Rejects when the node refuses, or when the power goes off meanwhile. */
  async start(): Promise<void> {
    const { self, members, network } = this.#options
    const clock = new LifeClock(this.#options.clock)
    const boot = ++this.#boots
    const registry = await this.#registry()
    const prng = new Prng(`${self.name}/${boot}`)
    const { states, log } = await this.#openStorage(clock, prng)
    const amnesia = await openAmnesiaNote(this.#disk, '/group/amnesia')
    const hello = { id: self.id, name: self.name, boot, incarnation: registry.own, url: '', version: '0.0.0' }
    const transport = network.transport(hello)
    const node = await QuorateNode.open(
      {
        clusterId: '00000000000000aa',
        self,
        members,
        boot,
        url: '',
        version: '0.0.0',
        pid: boot,
        heartbeatMs: 50,
        electionTimeoutMs: 200,
        logRetention: RETENTION,
        historyRetention: { ageMs: 3_600_000, revisions: 1e6, bytes: 1e9 },
        spaceReserveBytes: 0,
      },
      {
        clock,
        prng: prng.fork('node'),
        log: this.#watched(log),
        states,
        transport,
        registry,
        amnesia,
        diskSpace: { freeBytes: () => Promise.resolve(1e12) },
        logger: this.#logger,
      },
    )
    void node.failed.then((error) => (this.failure = this.isOff ? undefined : error))
    this.#life = { clock, transport, states, node }
    await node.start()
  }

  async #openStorage(clock: Clock, prng: Prng) {
    const { members } = this.#options
    const configuration = {
      members,
      confState: {
        voters: members.map(({ id }) => id),
        votersOutgoing: [],
        learners: [],
        learnersNext: [],
        autoLeave: false,
      },
    }
    const states = await openStateStorage({
      directory: '/group',
      fileSystem: this.#disk,
      store: this.#store,
      initial: { configuration, meta: initialMeta() },
      recordDigest: recordShare,
      rowDigest: rowShare,
      clock,
      logger: quiet,
      batchDelayMs: 20,
    })
    const log = await openRaftLog({
      fileSystem: this.#disk,
      directory: '/group/log',
      votePath: '/group/vote',
      keepFrom: states.current.meta.index + 1,
      memoryBytesMax: 0,
      segmentBytes: SEGMENT_BYTES,
      random: (bytes) => Uint8Array.from({ length: bytes }, () => prng.below(256)),
      logger: quiet,
    })
    return { states, log }
  }

  /** Counts what is truncated. */
  #watched(log: RaftStorage): RaftStorage {
    const mirror = new LogMirror()
    mirror.recover(log.recovered)
    const append = log.append.bind(log)
    log.append = async (write) => {
      await append(write)
      this.superseded += mirror.append(write)
    }
    return log
  }

  /**
   * The power goes off, if it is not, and comes back: the disk has kept what `survival` says of what was not synced. After so many
   * more operations it goes off again.
   */
  async restart(survival: Survival, operations = Infinity): Promise<void> {
    this.#cut()
    this.powerOffAt = this.operations + operations
    this.isOff = false
    this.failure = undefined
    this.#disk = this.#disk.crash(survival, { fault: () => this.#fault() })
    this.#store = this.#newStore(this.#store)
    await this.start()
  }

  /** Ends the process in good order; the disk stays as it is. */
  async close(): Promise<void> {
    const life = this.#life
    this.#life = undefined
    if (life !== undefined && !this.isOff) await life.node.close(0)
    if (life !== undefined) life.clock.isOver = true
  }

  async #registry(): Promise<IncarnationRegistry> {
    const disk = this.#disk
    if ((await disk.stat('/group')) === undefined) await disk.makeDirectory('/group')
    await disk.syncDirectory('/')
    const path = '/group/incarnations'
    const random = (bytes: number): Uint8Array => new Uint8Array(bytes).fill(Number(this.name.slice(1)))
    if ((await disk.stat(path)) === undefined) await createIncarnations(disk, path, random)
    return await openIncarnations(disk, path)
  }

  #fault(): Fault | undefined {
    return this.#isLastOperation() ? { kind: 'power-off' } : undefined
  }

  #newStore(from?: MemoryStore): MemoryStore {
    const store: MemoryStore = new MemoryStore({
      ...(from === undefined ? {} : { from }),
      schedule: async (kind, work) => {
        await Promise.resolve()
        // The database of an earlier life writes no more.
        if (this.isOff || store !== this.#store) throw new Error('the power is off')
        const isLast = kind === 'write' && this.#isLastOperation()
        if (isLast && this.isBatchKept) work()
        if (isLast) throw new Error('the power is off')
        return work()
      },
    })
    return store
  }

  /** Counts an operation; at the fatal one, everything of this machine ends. */
  #isLastOperation(): boolean {
    this.operations++
    if (this.operations !== this.powerOffAt) return false
    this.#cut()
    return true
  }

  #cut(): void {
    this.isOff = true
    this.#disk.powerOff()
    const life = this.#life
    this.#life = undefined
    if (life === undefined) return
    life.clock.isOver = true
    void life.transport.close()
  }
}

export type Outcome = CommandResult | QuorateError

export function put(node: QuorateNode, key: string, value: Buffer, done: (outcome: Outcome) => void): void {
  const command = { op: 'put', key, value, contentType: '', condition: NO_CONDITION, wantsPrevious: false } as const
  node.write(command, 2_000, done)
}
