// The oldest trouble of replicated logs, made on purpose: a leader is cut off while writes go on reaching it, so that its log grows
// a tail that nobody else has; another one is elected meanwhile, and then the two meet again (§3.5, §3.6).
import type { Prng } from '../../src/lib/prng.ts'
import type { SimulatedCluster } from './cluster.ts'
import type { Member } from './member.ts'
import type { Workload } from './workload.ts'

/** What it takes to trouble a leader. */
export interface Means {
  readonly workload: Workload
  readonly prng: Prng
}

/** For so long another leader is waited for. Milliseconds. */
const PATIENCE_MS = 5_000
const LOOK_EVERY_MS = 10
const BURST_MAX = 24

/**
 * Cuts a leader off with writes under way; calls back with its successor, or without one when none came up. In half of the cases the
 * successor commits so much that its log need no longer reach back to where the two part: the old leader will need its state, and
 * that state ends within its tail.
 */
export function depose(
  cluster: SimulatedCluster,
  { workload, prng }: Means,
  old: Member,
  done: (successor: Member | undefined) => void,
): void {
  const { world, situations, observer } = cluster
  const term = observer.ledTerm
  world.note('depose', old.name, term)
  cutOff(cluster, old)
  const isOvertaken = prng.chance(1, 2)
  workload.burst(old, isOvertaken ? 2 * BURST_MAX : prng.between(1, BURST_MAX))
  const endMs = world.nowMs + PATIENCE_MS
  const look = (): void => {
    const isDeposed = observer.ledTerm > term
    if (!isDeposed && world.nowMs < endMs) return void world.after(LOOK_EVERY_MS, look)
    if (!isDeposed) return done(undefined)
    situations.met('depose')
    const successor = cluster.leader
    if (!isOvertaken || successor === undefined) return done(successor)
    workload.burst(successor, prng.between(BURST_MAX / 2, 2 * BURST_MAX))
    world.after(prng.between(50, 800), () => done(successor))
  }
  world.after(LOOK_EVERY_MS, look)
}

/**
 * A leader that is heard but hears nobody, for less than it takes to notice: followers hold much that it does not know of. One of
 * them goes down and comes back, and must not claim more than it is shown (§3.5).
 */
export function deafen(
  { world, members, situations, links, swarm }: SimulatedCluster,
  { workload, prng }: Means,
  leader: Member,
  done: () => void,
): void {
  const { electionTimeoutMs } = swarm.node
  const others = members.filter((member) => member !== leader)
  const [first, ...rest] = others
  if (first === undefined) return done()
  situations.met('deaf-leader')
  world.note('deafen', leader.name)
  for (const { info } of others) links.cut(info.id, leader.info.id)
  workload.burst(leader, prng.between(1, BURST_MAX))
  const victim = prng.pick([first, ...rest])
  world.after(prng.between(20, 100), () => victim.crash(prng.chance(1, 2) ? 'kill' : 'power', 20))
  world.after(prng.between(Math.floor(electionTimeoutMs / 2), 2 * electionTimeoutMs), done)
}

function cutOff({ members, links, network }: SimulatedCluster, lost: Member): void {
  for (const { info } of members) {
    if (info.id === lost.info.id) continue
    links.cut(info.id, lost.info.id)
    links.cut(lost.info.id, info.id)
    network.suspect(lost.info.id, info.id)
  }
}

export function joinAgain({ members, links }: SimulatedCluster, lost: Member): void {
  for (const { info } of members) {
    links.mend(info.id, lost.info.id)
    links.mend(lost.info.id, info.id)
  }
}
