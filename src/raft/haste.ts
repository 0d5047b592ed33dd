// Fast failover: what a follower does on evidence that its leader's process is gone. It shortens the wait for an election and
// changes nothing else: logs are compared, pre-votes asked, votes written down as ever (§3.4, §9.6). The evidence lives in the
// role, so it ends with the term, with a vote given, and with the first word from the leader.
import type { Core } from './core.ts'
import type { RequestPreVote } from './messages.ts'
import { voterIds } from './quorum.ts'
import type { Haste } from './roles.ts'
import { abandonPreVote } from './transitions.ts'
import type { NodeId } from './types.ts'

/** An attempt that is refused, or not answered, is repeated twice. After that only the timeout helps. */
const ATTEMPTS_MAX = 3

/**
 * Between two attempts, and between the first attempts of two followers. The heartbeat is what an operator sets above the network's
 * round trip, and asking takes less than one: half a heartbeat is time enough for a candidate to be heard.
 */
const stepTicks = (core: Core): number => Math.ceil(core.config.heartbeatTicks / 2)

/**
 * Only a follower has a leader to lose. Whoever campaigns already does so without waiting, and a leader learns by its
 * appends. A node that may not campaign still votes more readily: its stickiness ends (§4.2.3).
 */
export function reportGone(core: Core, peer: NodeId): boolean {
  const { role } = core
  if (role.kind !== 'follower' || role.leaderId !== peer || role.haste !== undefined) return false
  role.haste = { ticks: 1 + rankWithout(core, peer) * stepTicks(core), attemptsLeft: ATTEMPTS_MAX }
  return true
}

/**
 * The survivors go one after another, or their votes split. If the first has not all of the log it is refused, and the next one
 * follows.
 */
function rankWithout(core: Core, gone: NodeId): number {
  const survivors = voterIds(core.confState).filter((id) => id !== gone)
  return Math.max(0, survivors.indexOf(core.id))
}

const hasteOf = ({ role }: Core): Haste | undefined =>
  role.kind === 'follower' || role.kind === 'pre-candidate' ? role.haste : undefined

/** Counts a tick towards the next attempt; says when it is due. */
export function tickHaste(core: Core): Haste | undefined {
  const haste = hasteOf(core)
  if (haste === undefined || haste.attemptsLeft === 0) return undefined
  haste.ticks--
  if (haste.ticks > 0) return undefined
  haste.attemptsLeft--
  haste.ticks = stepTicks(core)
  return haste
}

/**
 * Of two with equal logs that ask at the same time, the one with the lower id goes on, and does not grant the other's pre-vote. Only
 * while it will ask again: whoever was in vain the first must not be in the way of the second.
 */
export function goesBefore(core: Core, { from, last }: RequestPreVote): boolean {
  const own = core.log.last
  const isTie = last.term === own.term && last.index === own.index
  const mayAskAgain = core.role.kind === 'pre-candidate' && (core.role.haste?.attemptsLeft ?? 0) > 0
  return mayAskAgain && isTie && core.id < from
}

/** Another one asks, and may win: an attempt of our own ends, and the next is put off, or the votes would split. */
export function yieldInHaste(core: Core): void {
  const haste = hasteOf(core)
  if (haste === undefined) return
  if (core.role.kind === 'pre-candidate') abandonPreVote(core, core.role)
  haste.ticks = Math.max(haste.ticks, stepTicks(core))
}
