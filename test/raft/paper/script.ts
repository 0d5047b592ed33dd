// What the paper tests say again and again: the usual requests, nodes in a given role, and a cluster that lives for a while.
import type { NodeId, RaftConfig } from '../../../src/raft/index.ts'
import { ORIGIN } from '../../../src/raft/index.ts'
import { Bench, confOf } from '../support/bench.ts'
import type { Cluster } from '../support/cluster.ts'

/** A log that is better than any in these tests. */
export const FAR = { term: 9, index: 9 }

export const heartbeat = (term: number, from: NodeId = 'n2') =>
  ({ type: 'heartbeat', from, term, commitIndex: 0, readRound: 0, lastIndex: 9 }) as const

export const emptyAppend = (term: number, from: NodeId = 'n2') =>
  ({
    type: 'append-entries',
    from,
    term,
    prev: ORIGIN,
    entries: [],
    commitIndex: 0,
    readRound: 0,
    lastIndex: 9,
  }) as const

export const voteRequest = (term: number, from: NodeId = 'n2', last = FAR) =>
  ({ type: 'request-vote', from, term, last, isTransfer: false }) as const

export const preVoteRequest = (term: number, from: NodeId = 'n2', last = FAR) =>
  ({ type: 'request-pre-vote', from, term, last }) as const

export const vote = (term: number, from: NodeId = 'n2', isGranted = true) =>
  ({ type: 'request-vote-response', from, term, isGranted }) as const

export const preVote = (term: number, from: NodeId = 'n2', isGranted = true) =>
  ({ type: 'request-pre-vote-response', from, term, isGranted }) as const

/** The ids n1 to n`count`. */
export const ids = (count: number): readonly NodeId[] => Array.from({ length: count }, (_, at) => `n${at + 1}`)

/** Lets the election timeout of a follower or candidate pass, and says how many ticks that took. */
export function expire(bench: Bench): number {
  const { role } = bench.raft
  for (let ticks = 1; ticks < 100; ticks++) {
    bench.tick()
    if (bench.raft.role !== role) return ticks
  }
  throw new Error('the election timeout never passes')
}

/** Its election timeout has passed, and it asks for pre-votes. */
export function preCandidate(...init: ConstructorParameters<typeof Bench>): Bench {
  const bench = new Bench(...init)
  expire(bench)
  return bench
}

/** It has all pre-votes it needs, and asks for votes. */
export function candidate(...init: ConstructorParameters<typeof Bench>): Bench {
  const bench = preCandidate(...init)
  collect(bench)
  return bench
}

/** Grants pre-votes until there are enough. */
export function collect(bench: Bench): void {
  const { raft } = bench
  for (const from of raft.confState.voters) {
    if (from !== raft.id && raft.role === 'pre-candidate') bench.step(preVote(raft.term + 1, from))
  }
}

interface Leading {
  readonly learners?: readonly NodeId[]
  readonly config?: Partial<RaftConfig>
}

/** A leader of term 1 whose no-op everyone holds, with nothing in flight. */
export function leading(size = 3, { learners = [], config = {} }: Leading = {}): Bench {
  const bench = candidate({ confState: confOf(ids(size), learners) }, config)
  const others = ids(size).slice(1)
  for (const id of others) if (!bench.raft.isLeader) bench.step(vote(1, id))
  for (const id of [...others, ...learners]) bench.accept(1, id)
  bench.sent.length = 0
  bench.readies.length = 0
  return bench
}

/** It has heard from n2, the leader of this term. */
export function follower(term: number, ...init: ConstructorParameters<typeof Bench>): Bench {
  const bench = new Bench(...init)
  bench.step(heartbeat(term))
  bench.sent.length = 0
  return bench
}

/** Some time passes for everyone, and every message arrives. */
export function live(cluster: Cluster, ticks: number): void {
  for (let at = 0; at < ticks; at++) {
    cluster.tickAll()
    cluster.settle()
  }
}

/** Whether this node can become leader when the others have long heard nothing, and do not campaign themselves. */
export function canWin(cluster: Cluster, id: NodeId): boolean {
  for (const { raft } of cluster.nodes.values()) if (raft !== undefined && raft.id !== id) cluster.forget(raft)
  for (let tries = 0; tries < 5 && !cluster.raft(id).isLeader; tries++) {
    cluster.expire(id)
    cluster.settle()
  }
  const other = cluster.leaders.find((raft) => raft.id !== id)
  if (other !== undefined) throw new Error(`${other.id} was elected, which was not to campaign: choose another seed`)
  return cluster.raft(id).isLeader
}

/** What a node has applied, as text, without the no-ops. */
export const texts = (cluster: Cluster, id: NodeId): readonly string[] =>
  cluster
    .node(id)
    .applied.filter(({ kind }) => kind === 'normal')
    .map(({ data }) => Buffer.from(data).toString())
