// What must hold in every explored state: thesis figure 3.2 as far as it can be seen in one state, and durability.
// (Leader Append-Only is asserted by the core itself at each input; what a message promises is checked when it leaves.)
import type { Entry, Message, NodeId, Term } from '../../../src/raft/index.ts'
import type { Committed } from './explorer.ts'
import type { Local } from './local.ts'

export interface ClusterState {
  readonly nodes: readonly Local[]
  readonly committed: readonly Committed[]
  /** Everything ever sent, in terms after `termFrom`. */
  readonly messages: readonly Message[]
  readonly termFrom: Term
}

export function checkCluster(state: ClusterState): void {
  electionSafety(state.messages)
  electedByMajority(state)
  logMatching(state.nodes)
  leaderCompleteness(state.nodes, state.committed)
  durability(state.nodes, state.committed)
}

/** No leader without the votes of a majority in its own term. */
function electedByMajority({ nodes, messages, termFrom }: ClusterState): void {
  for (const { raft } of nodes) {
    if (!raft.isLeader || raft.term <= termFrom) continue
    const voters = new Set([raft.id])
    for (const message of messages) {
      const isVote = message.type === 'request-vote-response' && message.isGranted && message.to === raft.id
      if (isVote && message.term === raft.term) voters.add(message.from)
    }
    if (voters.size * 2 > nodes.length) continue
    throw new Error(`${raft.id} leads term ${raft.term} with the votes of ${[...voters].join()} only`)
  }
}

/** Everything ever sent is at hand, so all leaders there ever were have spoken here; and all votes there ever were. */
function electionSafety(messages: readonly Message[]): void {
  const leaders = new Map<number, NodeId>()
  const votes = new Map<string, NodeId>()
  for (const message of messages) {
    if (message.type === 'append-entries' || message.type === 'heartbeat') {
      const known = leaders.get(message.term) ?? message.from
      if (known !== message.from) throw new Error(`two leaders in term ${message.term}: ${known} and ${message.from}`)
      leaders.set(message.term, known)
    } else if (message.type === 'request-vote-response' && message.isGranted) {
      const voter = `${message.from}/${message.term}`
      const known = votes.get(voter) ?? message.to
      if (known !== message.to)
        throw new Error(`${message.from} voted for ${known} and ${message.to} in term ${message.term}`)
      votes.set(voter, known)
    }
  }
}

/** Of two logs on disk: from the highest common entry downwards, they are the same. */
function logMatching(nodes: readonly Local[]): void {
  for (const [at, { disk: a }] of nodes.entries()) {
    for (const { disk: b } of nodes.slice(at + 1)) {
      let mustAgree = false
      for (let index = Math.min(a.last.index, b.last.index); index > Math.max(a.base.index, b.base.index); index--) {
        const left = a.entries[index - a.base.index - 1]!
        const right = b.entries[index - b.base.index - 1]!
        if (left.term === right.term) mustAgree = true
        if (mustAgree && !isSame(left, right)) {
          throw new Error(`two logs agree above entry ${index}, but not in it: terms ${left.term} and ${right.term}`)
        }
      }
    }
  }
}

const isSame = (a: Entry, b: Entry): boolean => a.term === b.term && Buffer.compare(a.data, b.data) === 0

/** A leader has every entry that was committed in an earlier term. */
function leaderCompleteness(nodes: readonly Local[], committed: readonly Committed[]): void {
  for (const { raft, disk } of nodes) {
    if (!raft.isLeader) continue
    for (const { index, term, by } of committed) {
      if (by >= raft.term || index <= disk.base.index) continue
      // What memory has dropped is on disk.
      if ((raft.termAt(index) ?? disk.termAt(index)) !== term)
        throw new Error(`the leader ${raft.id} of term ${raft.term} lacks entry ${index}`)
    }
  }
}

/** What is committed is on the disks of a majority, always. */
function durability(nodes: readonly Local[], committed: readonly Committed[]): void {
  for (const { index, term } of committed) {
    const holders = nodes.filter(({ disk }) => disk.base.index >= index || disk.termAt(index) === term)
    if (holders.length * 2 > nodes.length) continue
    throw new Error(`committed entry ${index} of term ${term} is on ${holders.length} of ${nodes.length} disks`)
  }
}
