// Who counts and when it is enough: a majority of the voters, and during a joint change a majority of both halves (§4.3).
// Pure arithmetic over a ConfState. No allocation on the way of an acknowledgement: configurations are tiny, loops are cheap.
import type { ConfState, LogIndex, NodeId } from './types.ts'

export type VoteResult = 'won' | 'lost' | 'pending'

export const majority = (count: number): number => Math.floor(count / 2) + 1

export function isVoter(conf: ConfState, id: NodeId): boolean {
  return conf.voters.includes(id) || conf.votersOutgoing.includes(id)
}

export function isLearner(conf: ConfState, id: NodeId): boolean {
  return !isVoter(conf, id) && conf.learners.includes(id)
}

export function isMember(conf: ConfState, id: NodeId): boolean {
  return isVoter(conf, id) || conf.learners.includes(id)
}

/** Voters of both halves, each once, sorted. */
export function voterIds(conf: ConfState): readonly NodeId[] {
  return [...new Set([...conf.voters, ...conf.votersOutgoing])].sort()
}

/** Voters of both halves and learners, each once, sorted. Learners-to-be are voters of the outgoing half until then. */
export function memberIds(conf: ConfState): readonly NodeId[] {
  return [...new Set([...conf.voters, ...conf.votersOutgoing, ...conf.learners, ...conf.learnersNext])].sort()
}

/** True when enough voters satisfy the claim, in both halves. A configuration without voters has no quorum. */
export function hasQuorum(conf: ConfState, claim: (id: NodeId) => boolean): boolean {
  return (
    holdsMajority(conf.voters, claim) && (conf.votersOutgoing.length === 0 || holdsMajority(conf.votersOutgoing, claim))
  )
}

function holdsMajority(voters: readonly NodeId[], claim: (id: NodeId) => boolean): boolean {
  let count = 0
  for (const id of voters) if (claim(id)) count++
  return count >= majority(voters.length)
}

/** The highest number that a quorum has reached: of match indices the committable one, of read rounds the confirmed one. */
export function quorumIndex(conf: ConfState, indexOf: (id: NodeId) => LogIndex): LogIndex {
  const incoming = majorityIndex(conf.voters, indexOf)
  return conf.votersOutgoing.length === 0 ? incoming : Math.min(incoming, majorityIndex(conf.votersOutgoing, indexOf))
}

function majorityIndex(voters: readonly NodeId[], indexOf: (id: NodeId) => LogIndex): LogIndex {
  const needed = majority(voters.length)
  let best = 0
  for (const candidate of voters) {
    const index = indexOf(candidate)
    if (index <= best) continue
    let count = 0
    for (const id of voters) if (indexOf(id) >= index) count++
    if (count >= needed) best = index
  }
  return best
}

/** Won by a quorum of grants; lost once a quorum of grants is out of reach; votes of others than voters do not count. */
export function voteResult(conf: ConfState, votes: ReadonlyMap<NodeId, boolean>): VoteResult {
  const incoming = majorityVote(conf.voters, votes)
  if (conf.votersOutgoing.length === 0) return incoming
  const outgoing = majorityVote(conf.votersOutgoing, votes)
  if (incoming === 'lost' || outgoing === 'lost') return 'lost'
  return incoming === 'won' && outgoing === 'won' ? 'won' : 'pending'
}

function majorityVote(voters: readonly NodeId[], votes: ReadonlyMap<NodeId, boolean>): VoteResult {
  let granted = 0
  let open = 0
  for (const id of voters) {
    const vote = votes.get(id)
    if (vote === undefined) open++
    else if (vote) granted++
  }
  const needed = majority(voters.length)
  if (granted >= needed) return 'won'
  return granted + open >= needed ? 'pending' : 'lost'
}
