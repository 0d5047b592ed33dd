// How long a killed node, and a killed cluster, take until they serve again, and how much memory they hold, as keys grow.
import { spread } from '../aims.ts'
import type { Reached } from '../aims.ts'
import { cpuMicros, folderBytes, residentBytes } from '../measure.ts'
import { median, pairwiseRatio, summarize } from '../statistics.ts'
import type { Summary } from '../statistics.ts'
import type { RunningSystem } from '../systems/system.ts'
import type { Driver } from './drivers.ts'
import type { BenchContext, NamedChart, Table } from './part.ts'

const MiB = 1024 * 1024
const AIM_KEYS = 1_000_000

export interface Restarts {
  readonly store: string
  readonly keys: number
  /** Resident bytes of each node, the leader first, right after it was filled. */
  readonly filledBytes: readonly number[]
  /** The same after the whole cluster was killed and serves again. */
  readonly restartedBytes: readonly number[]
  readonly diskBytes: number
  /** From the start of the process of a killed follower until it answers, in a cluster that lives on. */
  readonly nodeReadyMs: Summary
  /** What it had spent by then; on a machine that others use too, this says more. */
  readonly nodeReadyCpuMs: Summary
  /** From the start of all processes until all answer: an election is in it. */
  readonly clusterReadyMs: Summary
}

export const restartTable = (measured: readonly Restarts[]): Table => ({
  title: 'After kill -9, by keys (median, minimum and maximum in ms; memory of the leader and disk of one node in MiB)',
  head: [
    'keys',
    'store',
    'one node ready',
    'its CPU time',
    'whole cluster ready',
    'memory filled',
    'memory restarted',
    'disk',
  ],
  rows: measured.map(rowOf),
})

/** A follower first, then all nodes at once, in turns. */
export async function measureRestarts(
  context: BenchContext,
  driver: Driver,
  system: RunningSystem,
  { keys, filledBytes }: Pick<Restarts, 'keys' | 'filledBytes'>,
): Promise<Restarts> {
  const diskBytes = folderBytes(system.dataDirs[0]!)
  const nodeReadyMs: number[] = []
  const nodeReadyCpuMs: number[] = []
  const clusterReadyMs: number[] = []
  for (let round = 0; round < context.rounds; round++) {
    const leader = await system.leader()
    const follower = system.nodes.find((_, at) => at !== leader)!
    nodeReadyMs.push(await restart([follower]))
    nodeReadyCpuMs.push(cpuMicros(follower.process.pid) / 1_000)
    clusterReadyMs.push(await restart(system.nodes))
  }
  const measured: Restarts = {
    store: driver.system.name,
    keys,
    filledBytes,
    restartedBytes: residentOf(await system.leaderFirst()),
    diskBytes,
    nodeReadyMs: summarize(nodeReadyMs),
    nodeReadyCpuMs: summarize(nodeReadyCpuMs),
    clusterReadyMs: summarize(clusterReadyMs),
  }
  context.progress(`restarts ${rowOf(measured).join(' | ')}`)
  return measured
}

async function restart(nodes: RunningSystem['nodes']): Promise<number> {
  await Promise.all(nodes.map((node) => node.process.stop('SIGKILL')))
  const beganMs = performance.now()
  for (const node of nodes) node.process.start()
  await Promise.all(nodes.map((node) => node.ready()))
  return performance.now() - beganMs
}

/** Of each node, the leader first. */
export const residentOf = (system: RunningSystem): number[] => system.processes.map(({ pid }) => residentBytes(pid))

function rowOf(point: Restarts): string[] {
  return [
    String(point.keys),
    point.store,
    span(point.nodeReadyMs),
    span(point.nodeReadyCpuMs),
    span(point.clusterReadyMs),
    mebibytes(point.filledBytes[0]!),
    mebibytes(point.restartedBytes[0]!),
    mebibytes(point.diskBytes),
  ]
}

const span = (summary: Summary): string => spread(summary, (value) => value.toFixed(0))

const mebibytes = (bytes: number): string => (bytes / MiB).toFixed(0)

export function restartCharts(points: readonly Restarts[]): NamedChart[] {
  if (points.length === 0) return []
  const stores = [...new Set(points.map(({ store }) => store))]
  const series = (y: (point: Restarts) => number): NamedChart['chart']['series'] =>
    stores.map((name) => ({
      name,
      points: points.filter(({ store }) => store === name).map((point) => [point.keys, y(point)] as const),
    }))
  const common = { xLabel: 'keys', isLogX: true }
  return [
    {
      name: 'start-ready',
      chart: {
        ...common,
        title: 'A killed node until it serves again, by keys',
        yLabel: 'ms',
        series: series(({ nodeReadyMs }) => nodeReadyMs.median),
      },
    },
    {
      name: 'start-memory',
      chart: {
        ...common,
        title: "The leader's resident memory after filling, by keys",
        yLabel: 'MiB',
        series: series(({ filledBytes }) => filledBytes[0]! / MiB),
      },
    },
  ]
}

const seconds = (summary: Summary): string => spread(summary, (ms) => (ms / 1_000).toFixed(2))

export function restartAims(points: readonly Restarts[]): Reached[] {
  const at = (store: string): Restarts | undefined =>
    points.find((point) => point.store === store && point.keys === AIM_KEYS)
  const [ours, theirs] = [at('Quorate'), at('etcd')]
  if (ours === undefined) return []
  const restartText = `${seconds(ours.nodeReadyMs)} s; the whole cluster ${seconds(ours.clusterReadyMs)} s`
  const restarted: Reached = { id: 'restart', value: ours.nodeReadyMs.median / 1_000, text: restartText }
  if (theirs === undefined) return [restarted]
  const share = pairwiseRatio(ours.filledBytes, theirs.filledBytes)
  const megabytes = `${mebibytes(median(ours.filledBytes))} MiB against ${mebibytes(median(theirs.filledBytes))} MiB`
  const text = `${spread(share, (value) => value.toFixed(2))} over the nodes, ${megabytes}`
  return [{ id: 'memory', value: share.median, text }, restarted]
}
