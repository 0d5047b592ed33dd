// What a leader learns from the answers of its peers: how far each log matches, and with that what is committed (§3.5, §3.6.2).
import type { Core } from './core.ts'
import type { AppendEntriesResponse, HeartbeatResponse, RequestSnapshot } from './messages.ts'
import type { Progress } from './progress.ts'
import { quorumIndex } from './quorum.ts'
import { confirmRounds } from './reads.ts'
import type { StepOutcome } from './ready.ts'
import { ACCEPTED, dropped } from './ready.ts'
import { needSnapshot } from './replication.ts'
import type { LeaderRole } from './roles.ts'
import { isNatural, isSensibleAnswer } from './sense.ts'
import { maybeSendTimeoutNow } from './transfer.ts'
import type { NodeId } from './types.ts'

export function handleAppendEntriesResponse(core: Core, message: AppendEntriesResponse): StepOutcome {
  const leader = core.role
  if (leader.kind !== 'leader') return dropped('unexpected')
  const progress = leader.peers.get(message.from)
  if (progress === undefined) return dropped('not-a-member')
  const { result } = message
  if (!isSensibleAnswer(message) || message.readRound > leader.reads.number) return dropped('malformed')
  if (result.kind === 'accepted' && result.matchIndex > core.log.lastIndex) return dropped('malformed')

  noteAnswer(core, leader, progress, message)
  if (result.kind === 'rejected') {
    // Compared with our own terms, the hint skips a whole term at a time.
    progress.rejected(result.index, core.log.lastWithTermAtMost(result.hint.index, result.hint.term))
    return ACCEPTED
  }
  if (progress.accepted(result.matchIndex)) {
    // The peer has got its state if memory can go on from where it is.
    const isServed = progress.state.kind !== 'snapshot' || progress.matchIndex < core.log.base.index
    if (!isServed) progress.becomeReplicate()
    maybeCommit(core, leader)
    maybeSendTimeoutNow(core, leader)
  }
  return ACCEPTED
}

export function handleHeartbeatResponse(core: Core, message: HeartbeatResponse): StepOutcome {
  const leader = core.role
  if (leader.kind !== 'leader') return dropped('unexpected')
  const progress = leader.peers.get(message.from)
  if (progress === undefined) return dropped('not-a-member')
  if (!isNatural(message.readRound) || message.readRound > leader.reads.number) return dropped('malformed')
  noteAnswer(core, leader, progress, message)
  progress.heartbeatAcked(core.log.lastIndex)
  return ACCEPTED
}

/** Any answer in this term shows that the peer still took us for the leader after it had seen the round (§6.4). */
function noteAnswer(
  core: Core,
  leader: LeaderRole,
  progress: Progress,
  answer: { readonly readRound: number; readonly isSpaceLow: boolean },
): void {
  progress.isActive = true
  progress.isSpaceLow = answer.isSpaceLow
  if (answer.readRound <= progress.ackedRound) return
  progress.ackedRound = answer.readRound
  confirmRounds(core, leader)
}

/**
 * Commits what a quorum holds durably, this node's own disk being one of them (§10.2.1): but only by counting copies of an
 * entry of the own term. Earlier entries are committed with it, never by themselves (§3.6.2).
 */
export function maybeCommit(core: Core, leader: LeaderRole): void {
  const index = quorumIndex(core.confState, (id: NodeId) =>
    id === core.id ? core.log.persistedIndex : (leader.peers.get(id)?.matchIndex ?? 0),
  )
  if (index > core.log.commitIndex && core.log.termAt(index) === core.term) core.log.commitTo(index)
}

/** A peer without usable state: what its log acknowledges does not matter. */
export function handleRequestSnapshot(core: Core, message: RequestSnapshot): StepOutcome {
  const leader = core.role
  if (leader.kind !== 'leader') return dropped('unexpected')
  const progress = leader.peers.get(message.from)
  if (progress === undefined) return dropped('not-a-member')
  progress.isActive = true
  if (progress.state.kind === 'snapshot') return ACCEPTED
  if (progress.state.kind === 'probe' && progress.state.pausedTicks > 0) return ACCEPTED
  needSnapshot(core, message.from, progress)
  return ACCEPTED
}
