// How long a killed node, and a killed cluster, take until they serve again, and how much memory they hold, as keys grow.
import { temporaryFolder } from '../cleanup.ts'
import { cpuMicros, folderBytes, residentBytes } from '../measure.ts'
import { summarize } from '../statistics.ts'
import type { Summary } from '../statistics.ts'
import type { RunningSystem } from '../systems/system.ts'
import { DEFAULTS, driversOf, fillKeys } from './drivers.ts'
import type { Driver } from './drivers.ts'
import { aimRow } from './part.ts'
import type { AimRow, BenchContext, NamedChart, Part, PartResult } from './part.ts'

const MiB = 1024 * 1024
const AIM_KEYS = 1_000_000

interface Point {
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

export const startMemory: Part = {
  name: 'start-memory',
  summary: 'time until ready after kill -9, and resident memory, as keys grow',
  run,
}

async function run(context: BenchContext): Promise<PartResult> {
  const points: Point[] = []
  for (const driver of driversOf(context)) {
    const system = await driver.system.start(temporaryFolder('start'), { nodes: 3 })
    try {
      for (let keys = 10_000; keys <= context.keysMax; keys *= 10) {
        context.progress(`start-memory: filling ${driver.system.name} with ${keys} keys`)
        await fillKeys(system, driver, { ...DEFAULTS, keys })
        const point = await measure(context, driver, system, keys)
        context.progress(`start-memory: ${rowOf(point).join(' | ')}`)
        points.push(point)
      }
    } finally {
      await system.stop()
    }
  }
  return {
    title: 'Start and memory',
    tables: [
      {
        title: 'After kill -9, by keys (median, minimum and maximum in ms; memory and disk of the leader in MiB)',
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
        rows: points.map(rowOf),
      },
    ],
    charts: chartsOf(points),
    aims: aimsOf(points),
    notes: [
      'Ready is the first linearizable service: /readyz of Quorate, /health of etcd, asked every 10 ms. Memory is what is resident, pages of mapped files included, which etcd uses for its whole database.',
    ],
    raw: points,
  }
}

async function measure(context: BenchContext, driver: Driver, system: RunningSystem, keys: number): Promise<Point> {
  const filledBytes = memoryOf(system)
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
  return {
    store: driver.system.name,
    keys,
    filledBytes,
    restartedBytes: memoryOf(system),
    diskBytes,
    nodeReadyMs: summarize(nodeReadyMs),
    nodeReadyCpuMs: summarize(nodeReadyCpuMs),
    clusterReadyMs: summarize(clusterReadyMs),
  }
}

async function restart(nodes: RunningSystem['nodes']): Promise<number> {
  await Promise.all(nodes.map((node) => node.process.stop('SIGKILL')))
  const beganMs = performance.now()
  for (const node of nodes) node.process.start()
  await Promise.all(nodes.map((node) => node.ready()))
  return performance.now() - beganMs
}

const memoryOf = (system: RunningSystem): number[] => system.processes.map(({ pid }) => residentBytes(pid))

function rowOf(point: Point): string[] {
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

const span = ({ median, min, max }: Summary): string => `${median.toFixed(0)} (${min.toFixed(0)} to ${max.toFixed(0)})`

const mebibytes = (bytes: number): string => (bytes / MiB).toFixed(0)

function chartsOf(points: readonly Point[]): NamedChart[] {
  const stores = [...new Set(points.map(({ store }) => store))]
  const series = (y: (point: Point) => number): NamedChart['chart']['series'] =>
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

function aimsOf(points: readonly Point[]): AimRow[] {
  const at = (store: string): Point | undefined =>
    points.find((point) => point.store === store && point.keys === AIM_KEYS)
  const [ours, theirs] = [at('Quorate'), at('etcd')]
  if (ours === undefined) return []
  const seconds = ours.nodeReadyMs.median / 1_000
  const restartGoal = { aim: -2, moonshot: -0.5, text: ['under 2 s', 'under 0.5 s'] } as const
  const cluster = (ours.clusterReadyMs.median / 1_000).toFixed(2)
  const restartText = `${seconds.toFixed(2)} s; the whole cluster ${cluster} s`
  const rows = [aimRow('restart with 1,000,000 keys, killed node until ready', restartGoal, -seconds, restartText)]
  if (theirs === undefined) return rows
  const share = ours.filledBytes[0]! / theirs.filledBytes[0]!
  const memoryGoal = { aim: -0.5, moonshot: -0.2, text: ["half of etcd's", 'a fifth'] } as const
  const memoryText = `${share.toFixed(2)} (${mebibytes(ours.filledBytes[0]!)} MiB against ${mebibytes(theirs.filledBytes[0]!)} MiB)`
  return [...rows, aimRow("leader's memory with 1,000,000 keys", memoryGoal, -share, memoryText)]
}
