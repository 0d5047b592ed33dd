// One seed, from beginning to end: the cluster forms, faults rain down on it while clients work (safety), then a random majority is
// healed while everything else stays broken for good, and must make progress (liveness). In the end the history is checked.
import { KV_LIMITS } from '../../src/kv/limits.ts'
import { Prng } from '../../src/lib/prng.ts'
import { checkHistory } from '../linearizability/checker.ts'
import { quorateModel } from '../linearizability/models/quorate.ts'
import { proposeOrder } from '../linearizability/models/quorate-order.ts'
import { SimulatedCluster } from './cluster.ts'
import type { Member } from './member.ts'
import { depose } from './depose.ts'
import { Nemesis } from './nemesis.ts'
import type { SituationCounts } from './situations.ts'
import { drawSwarm, NEVER } from './swarm.ts'
import { TTL_MS_MAX, WAIT_MS_MAX } from './command-mix.ts'
import type { Swarm, SwarmChoice } from './swarm.ts'
import { ElectionObserver } from './election-observers.ts'
import { LibraryProgram } from './library-program.ts'
import { RangeReader } from './readers.ts'
import { Watcher } from './watchers.ts'
import { Workload } from './workload.ts'

export interface SeedOptions extends SwarmChoice {
  /** Called with each event's line. */
  readonly onLine?: ((line: string) => void) | undefined
}

export interface SeedResult {
  readonly seed: number
  readonly swarm: Swarm
  /** Undefined: nothing is wrong. */
  readonly failure: string | undefined
  /** The last events, in words, of a seed that failed. */
  readonly lastEvents: readonly string[]
  readonly traceHash: string
  readonly simulatedMs: number
  readonly events: number
  readonly operations: number
  readonly answered: number
  readonly entries: number
  /** The checker could not decide within its budget. */
  readonly isUndecided: boolean
  /** The log's order did not explain the history, so that another one was searched for. */
  readonly isSearched: boolean
  readonly situations: SituationCounts
}

const FORM_WITHIN_MS = 60_000
const PROGRESS_WITHIN_MS = 60_000
const CONVERGE_WITHIN_MS = 60_000
/** Of cluster time: the last one to be promoted in a queue was there before its wait was over. */
const EXPIRE_WITHIN_MS = 2 * TTL_MS_MAX + WAIT_MS_MAX + 20_000
const HEARD_WITHIN_MS = 30_000
/** After the last request was sent, those under way end within their time limits. */
const LAST_ANSWERS_MS = 6_000
const CHECK_STEPS_MAX = 500_000
const SUPERVISE_MS = 20

export async function runSeed(seed: number, options: SeedOptions = {}): Promise<SeedResult> {
  const prng = new Prng(seed)
  const swarm = drawSwarm(prng.fork('swarm'), options)
  const cluster = new SimulatedCluster(swarm, prng.fork('cluster'))
  const workload = new Workload(cluster, prng.fork('workload'))
  const nemesis = new Nemesis(cluster, workload, prng.fork('nemesis'))
  const { world } = cluster
  world.trace.onLine = options.onLine
  const failed = (error: unknown): void =>
    world.violate(`a promise was rejected and nobody heard: ${describeError(error)}`)
  process.on('unhandledRejection', failed)
  let verdict: Verdict = { isUndecided: false, isSearched: false }
  try {
    await cluster.prepare()
    supervise(cluster)
    const watchers = Array.from(
      { length: swarm.load.watchers },
      (_, at) => new Watcher(cluster, prng.fork('watcher'), `w${at + 1}`),
    )
    const readers = Array.from(
      { length: swarm.load.readers },
      (_, at) => new RangeReader(cluster, prng.fork('reader'), `r${at + 1}`),
    )
    const observers = readers.map((_, at) => new ElectionObserver(cluster, prng.fork('observer'), `o${at + 1}`))
    const programs = Array.from(
      { length: swarm.load.programs },
      (_, at) => new LibraryProgram(cluster, prng.fork('program'), `p${at + 1}`),
    )
    await form(cluster, workload, nemesis)
    for (const each of [...watchers, ...readers, ...observers, ...programs]) each.start()
    await world.run(swarm.safetyMs)
    nemesis.stop()
    const core = await recover(cluster, workload, prng.fork('liveness'))
    for (const each of [...readers, ...programs]) each.stop()
    await settle(cluster, core, [...watchers, ...programs], observers)
    if (swarm.load.isLong) await outlive(cluster, workload)
    verdict = checkOperations(cluster, workload)
  } finally {
    process.off('unhandledRejection', failed)
  }
  const failure = world.violation?.message
  return {
    seed,
    swarm,
    failure,
    lastEvents: failure === undefined ? [] : world.trace.last(80, (kind) => !kind.startsWith('heartbeat')),
    traceHash: world.trace.hash,
    simulatedMs: world.nowMs,
    events: world.events,
    operations: workload.history.operations().length,
    answered: workload.answered,
    entries: cluster.observer.appliedMax,
    ...verdict,
    situations: cluster.situations.counts,
  }
}

/** Starts what is down and may run, as an init system does, and looks at what the nodes count. */
function supervise(cluster: SimulatedCluster): void {
  const { world, members } = cluster
  for (const member of members) {
    if (member.state === 'down' && world.nowMs >= member.restartAtMs) member.start()
    // Among nodes that keep the rules, none ever has reason to think that another one does not.
    if (member.node?.droppedMessages['contradiction'] !== undefined)
      world.violate(
        `${member.name} was sent what contradicts what it knows to be committed, or a second leader of one term`,
      )
  }
  world.after(SUPERVISE_MS, () => supervise(cluster))
}

/** Members vouch for each other before any of them may be lost; on a rough start, all the other faults begin at once. */
async function form({ world, members, swarm }: SimulatedCluster, workload: Workload, nemesis: Nemesis): Promise<void> {
  if (swarm.isRoughStart) {
    nemesis.start()
    workload.start()
    return
  }
  const isFormed = await world.run(FORM_WITHIN_MS, () => members.every((member) => member.isRegistered))
  if (!isFormed) world.violate(`the cluster did not form within ${FORM_WITHIN_MS} simulated ms, without any fault`)
  nemesis.start()
  workload.start()
}

/** The liveness phase. */
async function recover(cluster: SimulatedCluster, workload: Workload, prng: Prng): Promise<readonly Member[]> {
  const { world, members, links, majority, swarm } = cluster
  const able = members.filter(({ state, isWiped, disk }) => state !== 'dead' && !isWiped && !disk.isDamaged)
  const registered = able.filter((member) => member.isRegistered || member.state === 'down')
  const candidates = registered.length >= majority && !swarm.isRoughStart ? registered : able
  const contraries = (await contradict(cluster, workload, prng)).filter((member) => candidates.includes(member))
  const core = choose(candidates, contraries, majority, prng)
  world.note('heal', core.map(({ name }) => name).join(' '))
  links.isQuiet = true
  links.mendAll()
  for (const member of members) {
    if (core.includes(member)) heal(member)
    else isolate(cluster, member)
  }
  // Until they have vouched for each other, members need those whom the founding rule names: then nobody stays behind.
  if (core.some((member) => !member.isRegistered) && swarm.isRoughStart) {
    links.mendAll()
    for (const member of able) heal(member)
  }
  const probe = workload.mustWrite('k0', 2_000)
  if (!(await world.run(PROGRESS_WITHIN_MS, () => probe.isDone)))
    world.violate(`a healed majority made no progress within ${PROGRESS_WITHIN_MS} simulated ms: ${describe(cluster)}`)
  workload.stop()
  await world.run(LAST_ANSWERS_MS)
  const isConverged = await world.run(CONVERGE_WITHIN_MS, () => haveConverged(cluster, core))
  if (!isConverged)
    world.violate(`a healed majority did not converge within ${CONVERGE_WITHIN_MS} simulated ms: ${describe(cluster)}`)
  return core
}

type Listener = Pick<Watcher, 'move' | 'hasReached' | 'where'>

/** What nothing keeps alive expires, and whoever watches hears of all that there was. */
async function settle(
  cluster: SimulatedCluster,
  core: readonly Member[],
  watchers: readonly Listener[],
  observers: readonly ElectionObserver[],
): Promise<void> {
  const { world, observer } = cluster
  const { model } = observer.oracle
  for (const each of [...watchers, ...observers]) each.move(core)
  if (!(await world.run(EXPIRE_WITHIN_MS, () => model.state.leases.size === 0)))
    world.violate(
      `leases did not expire within ${EXPIRE_WITHIN_MS} simulated ms: ${[...model.state.leases.keys()].join(' ')}`,
    )
  const isHeard = (): boolean =>
    watchers.every((watcher) => watcher.hasReached(observer.revisionMax)) && observers.every((each) => each.isCurrent)
  if (!(await world.run(HEARD_WITHIN_MS, isHeard)))
    world.violate(
      `not all was heard within ${HEARD_WITHIN_MS} simulated ms: ${watchers.map(({ where }) => where).join('; ')}`,
    )
}

/** Nothing happens for longer than idempotency keys are remembered. Then one that was used before is as good as new. */
async function outlive(cluster: SimulatedCluster, workload: Workload): Promise<void> {
  const { world, situations } = cluster
  const before = workload.deleteUnder('kept')
  await world.run(PROGRESS_WITHIN_MS, () => before.revision !== undefined)
  await world.run(KV_LIMITS.idempotencyMs * 1.06)
  const again = workload.deleteUnder('kept')
  await world.run(PROGRESS_WITHIN_MS, () => again.revision !== undefined)
  if (before.revision === undefined || again.revision === undefined)
    world.violate(`a healed majority did not answer within ${PROGRESS_WITHIN_MS} simulated ms: ${describe(cluster)}`)
  else if (again.revision > before.revision) situations.met('key-expired')
  else world.violate(`an idempotency key is remembered beyond its time: it answers ${again.revision} again`)
}

/**
 * In some seeds the logs of two members contradict each other when the last majority is chosen: a leader that was cut off with
 * writes under way, and its successor. Both go down, and neither has the other's entries.
 */
async function contradict(cluster: SimulatedCluster, workload: Workload, prng: Prng): Promise<readonly Member[]> {
  const { world, swarm, situations, members } = cluster
  const isWanted = prng.chance(1, 3) && swarm.process.deposeEveryMs < NEVER && !swarm.isRoughStart
  const old = cluster.leader
  if (!isWanted || old === undefined) return []
  const state: { successor: Member | undefined; isOver: boolean } = { successor: undefined, isOver: false }
  depose(cluster, { workload, prng }, old, (successor) => {
    state.successor = successor
    state.isOver = true
  })
  await world.run(PROGRESS_WITHIN_MS, () => state.isOver)
  const { successor } = state
  if (successor === undefined) return []
  situations.met('divergence')
  for (const member of members) member.crash('kill', prng.between(20, 200))
  return [old, successor]
}

/** The wanted ones come first. */
function choose(from: readonly Member[], wanted: readonly Member[], count: number, prng: Prng): Member[] {
  const left = from.filter((member) => !wanted.includes(member))
  const chosen = [...wanted]
  while (chosen.length < count && left.length > 0) {
    const at = prng.below(left.length)
    chosen.push(...left.splice(at, 1))
  }
  // Now and then more than just a majority.
  return wanted.length === 0 && left.length > 0 && prng.chance(1, 2) ? [...chosen, ...left] : chosen
}

function heal({ disk, host }: Member): void {
  disk.isQuiet = true
  disk.isFull = false
  disk.freeBytes = 1e12
  disk.slowness = 1
  host?.resume()
}

function isolate({ members, links, network }: SimulatedCluster, lost: Member): void {
  for (const { info } of members) {
    links.cut(info.id, lost.info.id)
    links.cut(lost.info.id, info.id)
    network.suspect(lost.info.id, info.id)
  }
}

function haveConverged({ observer }: SimulatedCluster, core: readonly Member[]): boolean {
  const indexes = new Set(core.map(({ node }) => node?.status().appliedIndex ?? -1))
  // That the states are equal where the indexes are, the observer sees to.
  return indexes.size === 1 && indexes.has(observer.appliedMax)
}

const describe = ({ members }: SimulatedCluster): string =>
  members
    .map(({ name, state, node }) => {
      const status = node?.status()
      const what =
        status === undefined ? '' : ` ${status.role} in ${status.term}, ${status.appliedIndex}/${status.commitIndex}`
      return `${name} ${state}${what} ${JSON.stringify(node?.readiness().checks ?? {})}`
    })
    .join('; ')

type Verdict = Pick<SeedResult, 'isUndecided' | 'isSearched'>

function checkOperations({ world, observer }: SimulatedCluster, workload: Workload): Verdict {
  if (world.violation !== undefined) return { isUndecided: false, isSearched: false }
  const operations = workload.history.operations()
  const result = checkHistory(quorateModel({ areShared: true }), operations, {
    stepsMax: CHECK_STEPS_MAX,
    propose: () => proposeOrder(operations, observer.oracle.logged()),
  })
  if (result.verdict === 'not-linearizable') world.violate(`the history is not linearizable: \n${result.explanation}`)
  const isWitnessed = result.verdict === 'linearizable' && result.isWitnessed
  return { isUndecided: result.verdict === 'undecided', isSearched: !isWitnessed }
}

const describeError = (error: unknown): string =>
  error instanceof Error ? (error.stack ?? error.message) : String(error)
