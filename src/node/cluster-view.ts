// What the leader tells of the cluster, and what any node can tell when there is no leader to ask.
import type { ClusterStatus, MemberStatus } from '../api/status.ts'
import { unreachable } from '../lib/assert.ts'
import type { MemberInfo, PeerTransport } from './ports.ts'
import type { NodeId, PeerStatus, RaftNode, RoleChange } from '../raft/index.ts'

export interface ClusterFacts {
  readonly clusterId: string
  readonly self: MemberInfo
  readonly url: string
  readonly version: string
  readonly members: readonly MemberInfo[]
  readonly raft: RaftNode
  readonly transport: Pick<PeerTransport, 'hello'>
}

export function describeCluster(facts: ClusterFacts): ClusterStatus {
  const { raft } = facts
  const peers = new Map<NodeId, PeerStatus>(raft.status().peers.map((peer) => [peer.id, peer]))
  const members = facts.members.map((member) =>
    member.id === facts.self.id ? describeSelf(facts, member) : describePeer(facts, member, peers.get(member.id)),
  )
  return { clusterId: facts.clusterId, term: raft.term, members: members.sort((a, b) => (a.name < b.name ? -1 : 1)) }
}

const kindOf = (raft: RaftNode, id: NodeId): MemberStatus['kind'] =>
  raft.confState.learners.includes(id) ? 'learner' : 'voter'

function describeSelf({ raft, url, version }: ClusterFacts, { id, name, peer }: MemberInfo): MemberStatus {
  const isLeader = raft.isLeader
  return {
    name,
    id,
    url: url === '' ? null : url,
    peer,
    kind: kindOf(raft, id),
    role: raft.role,
    matchIndex: isLeader ? raft.persistedIndex : null,
    lagEntries: isLeader ? raft.lastIndex - raft.persistedIndex : null,
    reachable: true,
    version,
  }
}

/** Of its peers only the leader knows how far they are; everybody knows whether they are connected. */
function describePeer(
  { raft, transport }: ClusterFacts,
  { id, name, peer }: MemberInfo,
  progress: PeerStatus | undefined,
): MemberStatus {
  const hello = transport.hello(id)
  const kind = kindOf(raft, id)
  const isReachable = progress?.isActive ?? (raft.isLeader ? false : null)
  return {
    name,
    id,
    url: hello === undefined || hello.url === '' ? null : hello.url,
    peer,
    kind,
    role: isReachable === true ? (kind === 'learner' ? 'learner' : 'follower') : null,
    matchIndex: progress?.matchIndex ?? null,
    lagEntries: progress === undefined ? null : raft.lastIndex - progress.matchIndex,
    reachable: isReachable,
    version: hello?.version ?? null,
  }
}

/** A change of role in a line of the log; the term is among its fields. */
export function describeRole(role: RoleChange['role'], leader: string | undefined): string {
  switch (role) {
    case 'leader':
      return 'this node leads'
    case 'candidate':
      return 'asking for votes'
    case 'pre-candidate':
      return 'hearing from no leader: asking whether an election could be won'
    case 'follower':
    case 'learner':
      return leader === undefined ? 'no leader is known' : `following ${leader}`
    default:
      return unreachable(role)
  }
}
