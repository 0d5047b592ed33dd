// A series of faults of one kind on one system under a constant rate of writes, the gap that each of them tears, and a history of what
// other clients see meanwhile.
import { setTimeout as pause } from 'node:timers/promises'
import { HistoryGate } from '../../history.ts'
import type { CheckedHistory } from '../../history.ts'
import { Load } from '../../load/load.ts'
import type { LoadOptions } from '../../load/load.ts'
import type { LoadResult } from '../../load/load-result.ts'
import { randomFrom } from '../../load/requests.ts'
import type { Dialect } from '../../load/requests.ts'
import { targetOf } from '../../load/run-load.ts'
import { until } from '../../systems/system.ts'
import type { RunningSystem } from '../../systems/system.ts'
import type { Fault } from './faults.ts'
import type { PeerNetwork } from './peer-network.ts'

/** The first is what is wanted; a machine that cannot do it calmly gets the next, so that outages are told from overload. */
const RATES = [1_000, 500, 250, 125]
const TRIAL_SECONDS = 2
const TRIAL_TIMEOUT_MS = 30_000
const CALM_P99_MICROS = 500_000
/** Writes that hang must leave connections to each node for those that come after them. */
const CONNECTIONS = 1_200
const WRITE_TIMEOUT_MS = 1_000
/** Answers that were under way when the fault happened have arrived by then. */
const REMNANT_MS = 100
/** The successes of so much time after that, and the cluster writes again. */
const RECOVERED_SECONDS = 0.1
/** Drawn from several periods of heartbeats, on either side. */
const PHASE_MS = { min: 150, spread: 500 }
/** What the history adds to the load: nine clients, ten times a second. */
const HISTORY_PAUSE_MS = 100

export interface Gap {
  /** From the last success before to the first success after. */
  readonly ms: number
  /** Of a linearizable cluster's many: which node led. */
  readonly leader: string
}

export interface Series {
  readonly gaps: readonly Gap[]
  /** Writes of the load that succeeded, and those that did not in time. */
  readonly successes: number
  readonly errors: number
  /** What was recorded beside them, which is linearizable. */
  readonly history: CheckedHistory
}

export interface Cluster {
  readonly system: RunningSystem
  readonly dialect: Dialect
  readonly network: PeerNetwork
}

export interface SeriesOptions {
  readonly cluster: Cluster
  readonly fault: Fault
  readonly count: number
  readonly seed: number
  /** Writes a second. */
  readonly rate: number
}

export async function runSeries(options: SeriesOptions): Promise<Series> {
  const { cluster, fault, rate, seed } = options
  const { system, dialect } = cluster
  let successes: number[] = []
  const load = new Load(
    // Until it is told to stop.
    { ...loadOptions(cluster), rate, seed, seconds: 86_400 },
    { onSuccess: (atMs) => void successes.push(atMs) },
  )
  const gate = new HistoryGate(system.urls, fault.name, {
    dialect,
    pauseMs: HISTORY_PAUSE_MS,
    timeoutMs: WRITE_TIMEOUT_MS,
  })
  const takeSuccesses = (): number[] => {
    const taken = successes
    successes = taken.slice(-1)
    return taken
  }
  const loaded = load.run()
  let gaps: readonly Gap[]
  try {
    const ended = loaded.then(({ firstError }) => {
      throw new Error(`the load ended before the faults did: ${firstError}`)
    })
    gaps = await Promise.race([tearGaps(options, () => successes, takeSuccesses, gate), ended])
  } catch (error) {
    await gate.close()
    throw error
  } finally {
    load.stop()
  }
  const { operations, errors } = await loaded
  return { gaps, successes: operations, errors, history: await gate.finish() }
}

async function tearGaps(
  { cluster, fault, count, seed, rate }: SeriesOptions,
  successes: () => readonly number[],
  takeSuccesses: () => readonly number[],
  gate: HistoryGate,
): Promise<readonly Gap[]> {
  const { system, dialect, network } = cluster
  const random = randomFrom(seed)
  const gaps: Gap[] = []
  for (let at = 0; at < count; at++) {
    const leader = system.nodes[await stableLeader(system)]!
    gate.takeFreshKeys()
    // The phase of heartbeats and elections is drawn: a fault always at the same one would measure something else.
    await pause(PHASE_MS.min + random() * PHASE_MS.spread)
    takeSuccesses()
    const beganMs = performance.now()
    const undo = await fault.inject({ system, dialect, network, leader })
    const what = `writes succeed again after: ${fault.name}`
    await until(what, async () => recovered(successes(), beganMs, rate) || undefined)
    gaps.push({ ms: longestGap(takeSuccesses()), leader: leader.name })
    await undo()
  }
  return gaps
}

const loadOptions = ({ system, dialect }: Cluster): Omit<LoadOptions, 'rate' | 'seconds'> => ({
  targets: system.urls.map(targetOf),
  dialect,
  kind: 'put',
  connections: CONNECTIONS,
  keys: 1_000,
  valueBytes: 128,
  seed: 1,
  timeoutMs: WRITE_TIMEOUT_MS,
  isPrecise: false,
})

/**
 * The highest of the rates at which answers come well before anybody gives up, while nothing is wrong. Patient trials: what is given up
 * goes on costing the store, and would spoil the next.
 */
export async function calmRate(cluster: Cluster): Promise<number> {
  const trial = (rate: number): Promise<LoadResult> =>
    new Load({ ...loadOptions(cluster), rate, seconds: TRIAL_SECONDS, timeoutMs: TRIAL_TIMEOUT_MS }).run()
  // Compilers see the hot paths for the first time.
  let result = await trial(RATES.at(-1)!)
  for (const rate of RATES) {
    result = await trial(rate)
    if (result.errors === 0 && result.latency.p99 < CALM_P99_MICROS) return rate
  }
  throw new Error(
    `no calm ${RATES.at(-1)} writes a second on this machine: p99 ${result.latency.p99} us, ${result.errors} errors ${result.firstError}`,
  )
}

const recovered = (successes: readonly number[], beganMs: number, rate: number): boolean =>
  successes.filter((atMs) => atMs > beganMs + REMNANT_MS).length >= rate * RECOVERED_SECONDS

/**
 * The longest silence that the fault tore. It may begin a little after the fault: answers that were under way still arrive, and a
 * transfer begins with a catching up.
 */
function longestGap(successes: readonly number[]): number {
  let longest = 0
  for (let at = 1; at < successes.length; at++) longest = Math.max(longest, successes[at]! - successes[at - 1]!)
  return longest
}

/** The same node several times in a row: right after a fault the old leader may still think that it leads. */
async function stableLeader(system: RunningSystem): Promise<number> {
  await Promise.all(system.nodes.map((node) => node.ready()))
  let seen: number[] = []
  return await until('the same node leads for a while', async () => {
    const leader = await system.leader()
    seen = seen[0] === leader ? [...seen, leader] : [leader]
    return seen.length >= 5 ? leader : undefined
  })
}
