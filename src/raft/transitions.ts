// From one role to another (§3.3). Each transition replaces the role as a whole and settles what the old one owed its callers.
import { assert } from '../lib/assert.ts'
import { EMPTY_BYTES } from '../lib/bytes.ts'
import type { Core } from './core.ts'
import { newFollower } from './core.ts'
import { Progress } from './progress.ts'
import { memberIds } from './quorum.ts'
import { LeaderReads } from './reads.ts'
import type { Haste, PreCandidateRole, RoleState } from './roles.ts'
import type { NodeId, Term } from './types.ts'

export function becomeFollower(core: Core, term: Term, leaderId: NodeId | undefined): void {
  assert(term >= core.term, `the term cannot fall from ${core.term} to ${term}`)
  if (term > core.term) setVote(core, term, undefined)
  leaveRole(core, newFollower(leaderId))
  core.restartElectionTimer()
}

/** The follower has heard from the leader of its term for the first time. */
export function followLeader(core: Core, leaderId: NodeId): void {
  if (core.role.kind === 'follower' && core.role.leaderId === undefined) core.role.leaderId = leaderId
  else becomeFollower(core, core.term, leaderId)
}

/**
 * Asks whether an election could be won, without disturbing anyone's term (§9.6). In haste, the timeout runs on beside: an attempt
 * that was worth nothing must not delay the one that would have come without it.
 */
export function becomePreCandidate(core: Core, haste: Haste | undefined): void {
  assert(core.role.kind !== 'leader', 'a leader does not campaign')
  leaveRole(core, { kind: 'pre-candidate', votes: new Map([[core.id, true]]), haste })
  if (haste === undefined) core.restartElectionTimer()
}

/** The pre-votes were refused: a follower again, of nobody. */
export function abandonPreVote(core: Core, { haste }: PreCandidateRole): void {
  leaveRole(core, { ...newFollower(undefined), haste })
  if (haste === undefined) core.restartElectionTimer()
}

/** Begins an election in the next term (§3.4). Nothing is asked, and the own vote not counted, before both are durable. */
export function becomeCandidate(core: Core, isTransfer: boolean): void {
  assert(core.role.kind !== 'leader', 'a leader does not campaign')
  setVote(core, core.term + 1, core.id)
  leaveRole(core, { kind: 'candidate', votes: new Map(), isTransfer, isRequested: false })
  core.restartElectionTimer()
}

/** Won: appends the no-op that commits what earlier terms left (§3.6.2) and lets reads begin (§6.4). */
export function becomeLeader(core: Core): void {
  assert(core.role.kind === 'candidate', `a ${core.role.kind} cannot win an election`)
  assert(core.votedFor === core.id, `the leader of term ${core.term} voted for ${core.votedFor}`)
  const termStartIndex = core.log.lastIndex + 1
  const peers = new Map<NodeId, Progress>()
  for (const id of memberIds(core.confState)) {
    if (id !== core.id) peers.set(id, new Progress(core.config, termStartIndex))
  }
  leaveRole(core, {
    kind: 'leader',
    peers,
    termStartIndex,
    reads: new LeaderReads(),
    transfer: undefined,
    heartbeatTicks: 0,
    isHeartbeatDue: false,
    quorumCheckTicks: 0,
    isHandingOver: false,
  })
  core.log.append({ term: core.term, index: termStartIndex, kind: 'no-op', data: EMPTY_BYTES })
}

/** Votes for a candidate of the current term. */
export function voteFor(core: Core, candidate: NodeId): void {
  if (core.votedFor === candidate) return
  setVote(core, core.term, candidate)
}

function setVote(core: Core, term: Term, votedFor: NodeId | undefined): void {
  assert(
    term > core.term || core.votedFor === undefined,
    `in term ${term} this node voted for ${core.votedFor} and cannot vote for ${votedFor}`,
  )
  core.term = term
  core.votedFor = votedFor
  core.voteVersion++
}

function leaveRole(core: Core, next: RoleState): void {
  const role = core.role
  if (role.kind === 'follower') for (const id of role.reads) core.out.abortRead(id)
  if (role.kind === 'leader') for (const id of role.reads.localIds()) core.out.abortRead(id)
  core.role = next
}
