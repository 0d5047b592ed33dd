// What the paper tests say again and again: the usual requests, nodes in a given role, and a cluster that lives for a while.
import type { NodeId } from '../../../src/raft/index.ts'
import { ORIGIN } from '../../../src/raft/index.ts'
import { Bench } from '../support/bench.ts'
import type { Cluster } from '../support/cluster.ts'

/** A log that is better than any in these tests. */
export const FAR = { term: 9, index: 9 }

export const heartbeat = (term: number, from: NodeId = 'n2') =>
  ({ type: 'heartbeat', from, term, commitIndex: 0, readRound: 0, lastIndex: 9 }) as const

export const emptyAppend = (term: number, from: NodeId = 'n2') =>
  ({ type: 'append-entries', from, term, prev: ORIGIN, entries: [], commitIndex: 0, readRound: 0, lastIndex: 9 }) as const

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

/** Lets the election timeout pass, and says how many ticks that took. */
export function expire(bench: Bench): number {
  for (let ticks = 1; ticks < 100; ticks++) {
    bench.tick()
    if (bench.raft.role !== 'follower') return ticks
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

/** Whether this node can become leader when the others have long heard nothing. */
export function canWin(cluster: Cluster, id: NodeId): boolean {
  for (let tries = 0; tries < 5; tries++) {
    for (const node of cluster.nodes.values()) {
      if (node.id !== id && node.raft !== undefined && !node.raft.isLeader) cluster.forget(node.raft)
    }
    cluster.expire(id)
    cluster.settle()
    if (cluster.raft(id).isLeader) return true
  }
  return false
}

/** What a node has applied, as text, without the no-ops. */
export const texts = (cluster: Cluster, id: NodeId): readonly string[] =>
  cluster
    .node(id)
    .applied.filter(({ kind }) => kind === 'normal')
    .map(({ data }) => Buffer.from(data).toString())
