// Leader election (§3.4) with pre-votes (§9.6), leader stickiness (§4.2.3) and the check of the quorum (§6.2).
import { unreachable } from '../lib/assert.ts'
import type { Core } from './core.ts'
import type {
  RequestPreVote,
  RequestPreVoteResponse,
  RequestVote,
  RequestVoteResponse,
  TimeoutNow,
} from './messages.ts'
import { goesBefore, tickHaste, yieldInHaste } from './haste.ts'
import { hasQuorum, voterIds, voteResult } from './quorum.ts'
import type { StepOutcome } from './ready.ts'
import { ACCEPTED, dropped } from './ready.ts'
import type { Haste, LeaderRole } from './roles.ts'
import {
  abandonPreVote,
  becomeCandidate,
  becomeFollower,
  becomeLeader,
  becomePreCandidate,
  voteFor,
} from './transitions.ts'
import type { EntryId, NodeId } from './types.ts'

/** A write that has taken this many election timeouts means a stalled disk. */
const STALLED_TIMEOUTS = 2

export function isDiskStalled(core: Core): boolean {
  return core.write !== undefined && core.write.ticks >= STALLED_TIMEOUTS * core.config.electionTimeoutTicks
}

/**
 * May this node campaign? It must count, hold its state and its log, not be swapping its state, and have a disk that
 * answers: a leader whose disk stalls would only have to hand over again.
 */
export function isPromotable(core: Core): boolean {
  return core.isVoter && core.standing === 'full' && core.pendingSnapshot === undefined && !isDiskStalled(core)
}

/** The leader was heard within the shortest election timeout, and is not gone: no vote for anyone else (§4.2.3). */
export function isLeaderLeaseActive(core: Core): boolean {
  const { role } = core
  if (role.kind === 'leader') return true
  if (role.kind !== 'follower' || role.leaderId === undefined || role.haste !== undefined) return false
  return core.electionTicks < core.config.electionTimeoutTicks
}

export function tickElection(core: Core): void {
  core.electionTicks++
  const haste = tickHaste(core)
  const isTimedOut = core.electionTicks >= core.electionTimeout
  if ((isTimedOut || haste !== undefined) && isPromotable(core)) preCampaign(core, isTimedOut ? undefined : haste)
}

function preCampaign(core: Core, haste: Haste | undefined): void {
  becomePreCandidate(core, haste)
  const last = core.log.last
  for (const to of otherVoters(core)) {
    core.out.send({ type: 'request-pre-vote', from: core.id, to, term: core.term + 1, last })
  }
  countPreVotes(core)
}

/** Candidates whose term, vote and log have become durable count their own vote and ask for the others' (§3.8). */
export function requestDueVotes(core: Core): void {
  const role = core.role
  if (role.kind !== 'candidate' || role.isRequested || !core.isVoteDurable) return
  if (core.log.persistedIndex < core.log.lastIndex) return
  role.isRequested = true
  role.votes.set(core.id, true)
  const last = core.log.last
  for (const to of otherVoters(core)) {
    core.out.send({
      type: 'request-vote',
      from: core.id,
      to,
      term: core.term,
      last,
      isTransfer: role.isTransfer,
    })
  }
  countVotes(core)
}

function otherVoters(core: Core): readonly NodeId[] {
  return voterIds(core.confState).filter((id) => id !== core.id)
}

/**
 * The configuration is not consulted about the candidate: a voter that lags may not know yet that the candidate was added,
 * and the cluster may need exactly its vote (§4.1). Who may be *counted* is decided by the candidate's configuration.
 */
export function handleRequestVote(core: Core, message: RequestVote): StepOutcome {
  if (!mayVoteFor(core, message.from, message.last)) {
    core.out.send({
      type: 'request-vote-response',
      from: core.id,
      to: message.from,
      term: core.term,
      isGranted: false,
    })
    return ACCEPTED
  }
  if (core.role.kind !== 'follower') becomeFollower(core, core.term, undefined)
  voteFor(core, message.from)
  core.restartElectionTimer()
  if (core.role.kind === 'follower') {
    core.role.isGrantPending = true
    core.role.haste = undefined
  }
  return ACCEPTED
}

/** The grant leaves once the vote survives a crash: else a restarted node could vote twice in one term (§3.8). */
export function grantDueVote(core: Core): void {
  const role = core.role
  if (role.kind !== 'follower' || !role.isGrantPending || !core.isVoteDurable || core.votedFor === undefined) return
  role.isGrantPending = false
  core.out.send({
    type: 'request-vote-response',
    from: core.id,
    to: core.votedFor,
    term: core.term,
    isGranted: true,
  })
}

export function handleRequestPreVote(core: Core, message: RequestPreVote): StepOutcome {
  const isPossible =
    message.term > core.term
      ? core.standing !== 'amnesiac' && core.log.isUpToDate(message.last)
      : message.term === core.term && mayVoteFor(core, message.from, message.last)
  const isGranted = isPossible && !goesBefore(core, message)
  if (isGranted) yieldInHaste(core)
  core.out.send({
    type: 'request-pre-vote-response',
    from: core.id,
    to: message.from,
    term: isGranted ? message.term : core.term,
    isGranted,
  })
  return ACCEPTED
}

/** One vote a term, first come first served, and only for a log that holds all this one does (§3.4, §3.6.1). */
function mayVoteFor(core: Core, candidate: NodeId, last: EntryId): boolean {
  if (core.standing === 'amnesiac') return false
  const isFree = core.votedFor === undefined && core.leaderId === undefined
  return (core.votedFor === candidate || isFree) && core.log.isUpToDate(last)
}

export function handleRequestPreVoteResponse(core: Core, message: RequestPreVoteResponse): StepOutcome {
  if (core.role.kind !== 'pre-candidate') return dropped('unexpected')
  if (message.isGranted !== (message.term === core.term + 1)) return dropped('unexpected')
  if (!core.role.votes.has(message.from)) core.role.votes.set(message.from, message.isGranted)
  countPreVotes(core)
  return ACCEPTED
}

export function handleRequestVoteResponse(core: Core, message: RequestVoteResponse): StepOutcome {
  if (core.role.kind !== 'candidate' || !core.role.isRequested) return dropped('unexpected')
  if (!core.role.votes.has(message.from)) core.role.votes.set(message.from, message.isGranted)
  countVotes(core)
  return ACCEPTED
}

function countPreVotes(core: Core): void {
  if (core.role.kind !== 'pre-candidate') return
  const result = voteResult(core.confState, core.role.votes)
  switch (result) {
    case 'won':
      return becomeCandidate(core, false)
    case 'lost':
      return abandonPreVote(core, core.role)
    case 'pending':
      return undefined
    default:
      return unreachable(result)
  }
}

function countVotes(core: Core): void {
  if (core.role.kind !== 'candidate') return
  const result = voteResult(core.confState, core.role.votes)
  switch (result) {
    case 'won':
      return becomeLeader(core)
    case 'lost':
      return becomeFollower(core, core.term, undefined)
    case 'pending':
      return undefined
    default:
      return unreachable(result)
  }
}

/** The leader asks this node to take over: it campaigns at once, and without a pre-vote, which stickiness would refuse (§3.10). */
export function handleTimeoutNow(core: Core, message: TimeoutNow): StepOutcome {
  if (core.role.kind !== 'follower') return dropped('unexpected')
  if (core.role.leaderId !== undefined && core.role.leaderId !== message.from) return dropped('contradiction')
  if (!isPromotable(core)) return dropped('not-promotable')
  becomeCandidate(core, true)
  return ACCEPTED
}

/** A leader that has not heard from a quorum for an election timeout leads nobody, and says so by stepping down (§6.2). */
export function checkQuorum(core: Core, leader: LeaderRole): void {
  leader.quorumCheckTicks++
  if (leader.quorumCheckTicks < core.config.electionTimeoutTicks) return
  leader.quorumCheckTicks = 0
  const isHeard = hasQuorum(core.confState, (id) => id === core.id || leader.peers.get(id)?.isActive === true)
  if (!isHeard) return becomeFollower(core, core.term, undefined)
  for (const progress of leader.peers.values()) progress.isActive = false
}
