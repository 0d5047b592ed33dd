// One node of the explored cluster: the production core on a disk of its own, as a value. An input makes a new value out of an old
// one; equal values get equal names, so the work of a node is done once for each of its states, however many states of the
// cluster share it.
import type { Entry, Message, NodeId, RaftConfig, Ready, Write } from '../../../src/raft/index.ts'
import { RaftNode } from '../../../src/raft/index.ts'
import type { Prng } from '../../../src/lib/prng.ts'
import { Disk } from '../support/disk.ts'
import { copyWhole, describeWhole } from './whole.ts'

export const IDS: readonly NodeId[] = ['n1', 'n2', 'n3']

export type Input =
  /** Time until the leader is forgotten, then until an election begins; a leader's next heartbeat. */
  | { readonly kind: 'tick' }
  /** The election begins at once, as if the leader had asked for it: many schedules of ticks and pre-votes in one step. */
  | { readonly kind: 'campaign' }
  | { readonly kind: 'propose'; readonly text: string }
  | { readonly kind: 'persist' }
  /** The write in flight survives, or does not. The process starts again at once with what is on its disk. */
  | { readonly kind: 'crash'; readonly isWriteKept: boolean }
  | { readonly kind: 'deliver'; readonly message: Message }
  /** A read begins when so much is committed. */
  | { readonly kind: 'read'; readonly floor: number }
  /** The state machine's disk catches up, and the log is compacted up to there. */
  | { readonly kind: 'compact' }
  /** The process of its leader is said to be gone, be it true or not. */
  | { readonly kind: 'gone' }

export interface Local {
  raft: RaftNode
  readonly disk: Disk
  write: Write | undefined
  readonly readFloors: number[]
}

export interface Effect {
  readonly messages: readonly Message[]
  readonly committed: readonly Entry[]
}

const CONF_STATE = Object.freeze({
  voters: IDS,
  votersOutgoing: [],
  learners: [],
  learnersNext: [],
  autoLeave: false,
})

/** The longest timeout is always drawn: shorter ones are schedules in which this node ticks earlier than the others. */
const PRNG = { below: (limit: number) => limit - 1 } as unknown as Prng

export const ELECTION_TICKS = 2

/** All entries in one append or one in each; all of the log in memory, or only what was not applied. */
export type Tuning = 'plain' | 'entry-alone' | 'short-memory'
const TUNINGS: readonly Tuning[] = ['plain', 'entry-alone', 'short-memory']

const configOf = (id: NodeId, tuning: Tuning): RaftConfig => ({
  id,
  boot: 1,
  prng: PRNG,
  electionTimeoutTicks: ELECTION_TICKS,
  heartbeatTicks: 1,
  appendBytesMax: tuning === 'entry-alone' ? 1 : 1_000,
  inflightMessagesMax: 4,
  inflightBytesMax: 4_000,
  memoryLogBytesMax: tuning === 'short-memory' ? 1 : 10_000,
  unappliedBytesMax: tuning === 'short-memory' ? 1 : 10_000,
  uncommittedBytesMax: 10_000,
})

const CONFIGS: ReadonlyMap<string, RaftConfig> = new Map(
  IDS.flatMap((id) => TUNINGS.map((tuning) => [`${id}/${tuning}`, configOf(id, tuning)])),
)
const SHARED: ReadonlySet<object> = new Set<object>([...CONFIGS.values(), CONF_STATE, PRNG])

/** The core with its private fields opened: only what is counted without end is touched, to give equal states equal names. */
interface OpenNode {
  readonly $core: {
    readonly config: RaftConfig
    lastWriteId: number
    write: { id: number; voteVersion: number; ticks: number } | undefined
    voteVersion: number
    durableVoteVersion: number
    electionTicks: number
    standing: string
    pendingSnapshot: object | undefined
    role: { readonly kind: string }
  }
}

const open = (raft: RaftNode): OpenNode['$core'] => {
  const core = (raft as unknown as OpenNode).$core
  if (core === undefined) throw new Error('the private fields are closed: run this in the project "exploration"')
  return core
}

export function newLocal(id: NodeId, tuning: Tuning): Local {
  const disk = new Disk(CONF_STATE)
  const config = CONFIGS.get(`${id}/${tuning}`)!
  return { raft: new RaftNode(config, disk.recover()), disk, write: undefined, readFloors: [] }
}

export const copyLocal = (local: Local): Local => copyWhole(local, SHARED)
export const describeLocal = (local: Local): string => describeWhole(local, SHARED)
export const describeMessage = (message: Message): string => describeWhole(message, SHARED)

/** False where the input would change nothing, or cannot happen. */
export function isPossible(local: Local, input: Input): boolean {
  const { raft } = local
  switch (input.kind) {
    case 'persist':
      return local.write !== undefined
    case 'propose':
      return raft.isLeader
    case 'campaign':
      return raft.role === 'follower' && raft.standing === 'full' && open(raft).pendingSnapshot === undefined
    case 'tick':
      return raft.isLeader || raft.standing === 'full'
    case 'crash':
      return !input.isWriteKept || local.write !== undefined
    case 'compact':
      return (
        raft.standing === 'full' && local.write?.snapshot === undefined && raft.appliedIndex > local.disk.base.index
      )
    case 'read':
      return raft.leaderId !== undefined
    case 'gone':
      return raft.role === 'follower' && raft.leaderId !== undefined
    case 'deliver':
      return raft.id === input.message.to
    default:
      return input satisfies never
  }
}

/** Changes `local`, does what the core asks for, and says what came out of it. Throws when a claim is broken. */
export function perform(local: Local, input: Input): Effect {
  act(local, input)
  const effect = pump(local)
  settleNumbers(local)
  return effect
}

function act(local: Local, input: Input): void {
  const { raft, disk } = local
  switch (input.kind) {
    case 'tick':
      return tick(raft)
    case 'campaign': {
      const from = raft.leaderId ?? IDS.find((id) => id !== raft.id)!
      raft.step({ type: 'timeout-now', from, to: raft.id, term: raft.term })
      return undefined
    }
    case 'propose':
      raft.propose(Buffer.from(input.text))
      return undefined
    case 'persist': {
      const write = local.write!
      local.write = undefined
      disk.append(write)
      return raft.persisted(write.id)
    }
    case 'crash': {
      if (input.isWriteKept) disk.append(local.write!)
      local.write = undefined
      local.readFloors.length = 0
      local.raft = new RaftNode(open(raft).config, disk.recover())
      return undefined
    }
    case 'deliver':
      raft.step(input.message)
      return undefined
    case 'read': {
      local.readFloors.push(input.floor)
      raft.readIndex(local.readFloors.length)
      return undefined
    }
    case 'gone':
      raft.reportGone(raft.leaderId!)
      return undefined
    case 'compact': {
      const index = Math.min(raft.appliedIndex, disk.last.index)
      const term = disk.termAt(index)
      if (term === undefined) throw new Error(`${raft.id}: applied entry ${index} is not on its disk`)
      disk.state = { term, index, confState: CONF_STATE }
      disk.compactTo(index)
      return undefined
    }
    default:
      return input satisfies never
  }
}

function tick(raft: RaftNode): void {
  const isWaiting = !raft.isLeader && open(raft).electionTicks < ELECTION_TICKS
  if (!isWaiting) return raft.tick()
  while (open(raft).electionTicks < ELECTION_TICKS) raft.tick()
}

function pump(local: Local): Effect {
  const { raft } = local
  const messages: Message[] = []
  const committed: Entry[] = []
  for (let ready = raft.takeReady(); ready !== undefined; ready = raft.takeReady()) {
    messages.push(...ready.messages)
    committed.push(...ready.committed)
    if (ready.write !== undefined) local.write = ready.write
    const last = ready.committed.at(-1)
    if (last !== undefined) raft.applied(last.index)
    for (const { peer, first, last, bytesMax } of ready.loads) {
      raft.loaded(peer, local.disk.read(first, last, bytesMax))
    }
    for (const to of ready.snapshotsWanted) messages.push(...stream(local, to))
    checkReads(local, ready)
  }
  for (const message of messages) checkPromise(local, message)
  return { messages, committed }
}

/** A streamed state lies in the network like a message, and its sender believes at once that it has arrived. */
function stream({ raft, disk }: Local, to: NodeId): readonly Message[] {
  const isThere = disk.state.index > 0
  raft.reportSnapshot(to, isThere ? 'installed' : 'failed')
  return isThere ? [{ type: 'install-snapshot', from: raft.id, to, term: raft.term, snapshot: disk.state }] : []
}

function checkReads({ raft, readFloors }: Local, ready: Ready): void {
  for (const { id, index } of ready.confirmedReads) {
    const floor = readFloors[id - 1]!
    if (index < floor) throw new Error(`stale read: ${raft.id} may read at ${index}, ${floor} was committed before`)
  }
}

/** What a message claims to be durable must be on the disk when it leaves (§3.8). */
function checkPromise({ raft, disk }: Local, message: Message): void {
  const { term, votedFor } = disk.hardState
  const isVoteKept = (candidate: NodeId): boolean => term === message.term && votedFor === candidate
  if (message.type === 'request-vote' && !isVoteKept(raft.id)) {
    throw new Error(`${raft.id} asks for votes in term ${message.term}, and its own vote is not on its disk`)
  }
  if (message.type === 'request-vote-response' && message.isGranted && !isVoteKept(message.to)) {
    throw new Error(`${raft.id} grants ${message.to} a vote in term ${message.term} that is not on its disk`)
  }
  if (message.type !== 'append-entries-response' || message.result.kind !== 'accepted') return
  if (term < message.term) throw new Error(`${raft.id} acknowledges in term ${message.term}, its disk knows ${term}`)
  const { matchIndex } = message.result
  if (matchIndex > disk.last.index) {
    throw new Error(`${raft.id} acknowledges ${matchIndex}, its disk ends at ${disk.last.index}`)
  }
}

/** Numbers that only grow, and are only compared for being equal, start again: the state is the same without them. */
function settleNumbers(local: Local): void {
  const core = open(local.raft)
  const number = core.write === undefined ? 0 : 1
  core.lastWriteId = number
  if (core.write !== undefined) {
    core.write.id = number
    core.write.ticks = 0
    local.write = { ...local.write!, id: number }
  }
  const versions = [core.durableVoteVersion, core.write?.voteVersion ?? core.durableVoteVersion, core.voteVersion]
  const ranks = [...new Set(versions)].sort((a, b) => a - b)
  const [durable, writing, current] = versions.map((version) => ranks.indexOf(version))
  core.durableVoteVersion = durable!
  core.voteVersion = current!
  if (core.write !== undefined) core.write.voteVersion = writing!
}
