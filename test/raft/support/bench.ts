// One core on the bench: messages in, Readies out, writes durable when the test says so. For claims about a single node.
import { EMPTY_BYTES } from '../../../src/lib/bytes.ts'
import { Prng } from '../../../src/lib/prng.ts'
import { ORIGIN, RaftNode } from '../../../src/raft/index.ts'
import type { Entry, EntryId, Message, NodeId, RaftConfig, RaftInit, Ready } from '../../../src/raft/index.ts'

export const CONFIG: RaftConfig = {
  id: 'n1',
  boot: 7,
  prng: new Prng('bench'),
  electionTimeoutTicks: 10,
  heartbeatTicks: 2,
  appendBytesMax: 1_000,
  inflightMessagesMax: 4,
  inflightBytesMax: 4_000,
  memoryLogBytesMax: 1_000_000,
  unappliedBytesMax: 1_000_000,
  uncommittedBytesMax: 1_000_000,
}

export const confOf = (voters: readonly NodeId[], learners: readonly NodeId[] = []): RaftInit['confState'] => ({
  voters,
  votersOutgoing: [],
  learners,
  learnersNext: [],
  autoLeave: false,
})

/** Entries from index 1 on with these terms. */
export const logOf = (...terms: readonly number[]): Entry[] =>
  terms.map((term, at) => ({ term, index: at + 1, kind: 'normal', data: Buffer.from(`${at + 1}@${term}`) }))

export const entry = (index: number, term: number, data: Uint8Array = EMPTY_BYTES): Entry => ({
  term,
  index,
  kind: 'normal',
  data,
})

type Body<M> = M extends Message ? Omit<M, 'from' | 'to'> & { readonly from?: NodeId } : never

export class Bench {
  readonly raft: RaftNode
  readonly sent: Message[] = []
  readonly readies: Ready[] = []
  readonly applied: Entry[] = []
  isDiskHeld = false
  #write: number | undefined

  constructor(init: Partial<RaftInit> = {}, config: Partial<RaftConfig> = {}) {
    this.raft = new RaftNode(
      { ...CONFIG, prng: new Prng('bench'), ...config },
      {
        hardState: { term: init.entries?.at(-1)?.term ?? init.base?.term ?? 0, votedFor: undefined, commitIndex: 0 },
        base: ORIGIN,
        entries: [],
        confState: confOf(['n1', 'n2', 'n3']),
        appliedIndex: init.base?.index ?? 0,
        standing: 'full',
        ...init,
      },
    )
    this.pump()
  }

  pump(): void {
    for (let ready = this.raft.takeReady(); ready !== undefined; ready = this.raft.takeReady()) {
      this.readies.push(ready)
      this.sent.push(...ready.messages)
      this.applied.push(...ready.committed)
      const last = ready.committed.at(-1)
      if (last !== undefined) this.raft.applied(last.index)
      if (ready.write === undefined) continue
      this.#write = ready.write.id
      if (!this.isDiskHeld) this.persist()
    }
  }

  persist(): void {
    const id = this.#write
    if (id === undefined) return
    this.#write = undefined
    this.raft.persisted(id)
    this.pump()
  }

  tick(count = 1): void {
    for (let at = 0; at < count; at++) {
      this.raft.tick()
      this.pump()
    }
  }

  step(message: Body<Message>): ReturnType<RaftNode['step']> {
    const outcome = this.raft.step({ from: 'n2', to: 'n1', ...message })
    this.pump()
    return outcome
  }

  /** The messages sent since the last call, of this type. */
  take<T extends Message['type']>(type: T): Extract<Message, { type: T }>[] {
    const taken = this.sent.filter((message) => message.type === type)
    this.sent.length = 0
    return taken as Extract<Message, { type: T }>[]
  }

  append(prev: EntryId, entries: readonly Entry[], term: number, commitIndex = 0): ReturnType<RaftNode['step']> {
    const lastIndex = prev.index + entries.length
    return this.step({ type: 'append-entries', term, prev, entries, commitIndex, readRound: 0, lastIndex })
  }

  accept(matchIndex: number, from: NodeId = 'n2', readRound = 0): ReturnType<RaftNode['step']> {
    const { term } = this.raft
    const result = { kind: 'accepted', matchIndex } as const
    return this.step({ type: 'append-entries-response', from, term, readRound, result, isSpaceLow: false })
  }

  reject(index: number, hint: EntryId, from: NodeId = 'n2'): ReturnType<RaftNode['step']> {
    const { term } = this.raft
    const result = { kind: 'rejected', index, hint } as const
    return this.step({ type: 'append-entries-response', from, term, readRound: 0, result, isSpaceLow: false })
  }

  ackHeartbeat(readRound: number, from: NodeId = 'n2'): ReturnType<RaftNode['step']> {
    const { term } = this.raft
    return this.step({ type: 'heartbeat-response', from, term, readRound, isSpaceLow: false })
  }

  /** Lets its election timeout pass and grants what it asks for. */
  lead(): this {
    while (this.raft.role === 'follower') this.tick()
    this.step({ type: 'request-pre-vote-response', term: this.raft.term + 1, isGranted: true })
    this.step({ type: 'request-vote-response', term: this.raft.term, isGranted: true })
    if (!this.raft.isLeader) throw new Error(`not elected but ${this.raft.role}`)
    return this
  }
}
