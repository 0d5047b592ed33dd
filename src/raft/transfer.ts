// Handing leadership over (§3.10): on request, and when the leader's own disk stalls while its followers' disks work.
import type { Core } from './core.ts'
import { isDiskStalled } from './election.ts'
import { isVoter } from './quorum.ts'
import type { TransferOutcome } from './ready.ts'
import type { LeaderRole } from './roles.ts'
import { becomeFollower } from './transitions.ts'
import type { NodeId } from './types.ts'

type Refusal = Extract<TransferOutcome, { kind: 'dropped' }>['reason']
const refused = (reason: Refusal): TransferOutcome => ({ kind: 'dropped', reason })

/** Proposals are refused from here on, so that the target can catch up; given up after an election timeout. */
export function transferLeadership(core: Core, wanted: NodeId | undefined): TransferOutcome {
  const leader = core.role
  if (leader.kind !== 'leader') return refused('not-leader')
  if (wanted === core.id) return refused('self')
  if (wanted !== undefined && !isVoter(core.confState, wanted)) return refused('not-voter')
  const to = wanted ?? leader.transfer?.to ?? bestMatched(core, leader)
  if (to === undefined) return refused('no-target')
  if (leader.transfer === undefined) leader.transfer = { to, elapsedTicks: 0, isSent: false }
  else if (leader.transfer.to !== to) return refused('transferring')
  maybeSendTimeoutNow(core, leader)
  return { kind: 'accepted', to }
}

/** The active voter with the most of our log; of equals the one with the lowest id. */
function bestMatched(core: Core, leader: LeaderRole): NodeId | undefined {
  let best: NodeId | undefined
  let bestIndex = -1
  for (const [id, progress] of leader.peers) {
    if (!progress.isActive || !isVoter(core.confState, id) || progress.matchIndex <= bestIndex) continue
    best = id
    bestIndex = progress.matchIndex
  }
  return best
}

/** Once the target has all of our log it can win, so it may start. */
export function maybeSendTimeoutNow(core: Core, leader: LeaderRole): void {
  const { transfer } = leader
  if (transfer === undefined || transfer.isSent) return
  if (leader.peers.get(transfer.to)?.matchIndex !== core.log.lastIndex) return
  transfer.isSent = true
  core.out.send({ type: 'timeout-now', from: core.id, to: transfer.to, term: core.term })
}

export function tickTransfer(core: Core, leader: LeaderRole): void {
  if (leader.transfer === undefined) return
  leader.transfer.elapsedTicks++
  if (leader.transfer.elapsedTicks >= core.config.electionTimeoutTicks) leader.transfer = undefined
}

/**
 * A leader whose write takes two election timeouts, while another voter has long had the same entries on its disk, is what
 * keeps the cluster slow. It offers leadership to the best peer, and steps down if that does not work out in time. If no
 * other voter is faster, leaving would gain nothing.
 */
export function checkDisk(core: Core, leader: LeaderRole): void {
  if (!isDiskStalled(core)) {
    leader.isHandingOver = false
    return
  }
  if (leader.transfer !== undefined) return
  if (!isWriteHeldElsewhere(core, leader)) return
  const isOffered = !leader.isHandingOver && transferLeadership(core, undefined).kind === 'accepted'
  if (!isOffered) return becomeFollower(core, core.term, undefined)
  leader.isHandingOver = true
}

function isWriteHeldElsewhere(core: Core, leader: LeaderRole): boolean {
  if (core.write?.hasEntries !== true) return false
  for (const [id, progress] of leader.peers) {
    if (isVoter(core.confState, id) && progress.matchIndex >= core.log.writingIndex) return true
  }
  return false
}
