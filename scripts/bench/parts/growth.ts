// What bends throughput and latency: the number of keys, the size of values, the number of connections, the number of nodes. One of
// them moves at a time; the others stay at their defaults.
import { temporaryFolder } from '../cleanup.ts'
import type { LoadResult } from '../load/load-result.ts'
import type { RunningSystem, StartOptions } from '../systems/system.ts'
import { DEFAULTS, driversOf, fillKeys, milliseconds } from './drivers.ts'
import type { DriveRequest, Driver } from './drivers.ts'
import { aimRow } from './part.ts'
import type { AimRow, BenchContext, NamedChart, Part, PartResult, Table } from './part.ts'

type Variable = 'keys' | 'value bytes' | 'connections' | 'nodes'
type Nodes = StartOptions['nodes']

/** A new store holds at most so many bytes of values before it is measured, so that large ones do not become a test of the disk's size. */
const FILLED_BYTES_MAX = 256 * 1024 * 1024
const LATENCY_SHARE = 0.5

interface Point {
  readonly variable: Variable
  readonly x: number
  readonly store: string
  readonly kind: 'put' | 'get'
  readonly saturation: LoadResult
  /** At half of it, open loop. */
  readonly half: LoadResult
}

export const growth: Part = {
  name: 'growth',
  summary: 'throughput and latency as keys, values, connections and nodes grow, as curves',
  run,
}

async function run(context: BenchContext): Promise<PartResult> {
  const points: Point[] = []
  for (const driver of driversOf(context)) {
    points.push(...(await overKeys(context, driver)))
    points.push(...(await overValues(context, driver)))
    points.push(...(await overConnections(context, driver)))
    points.push(...(await overNodes(context, driver)))
  }
  const variables: Variable[] = ['keys', 'value bytes', 'connections', 'nodes']
  return {
    title: 'Growth',
    tables: variables.map((variable) => tableOf(variable, points)),
    charts: variables.flatMap((variable) => chartsOf(variable, points)),
    aims: aimsOf(points),
    notes: [
      `Defaults: ${DEFAULTS.keys} keys, ${DEFAULTS.valueBytes}-byte values, ${DEFAULTS.clients} connections, 3 nodes. Latency is open-loop at half of the saturation of its own point.`,
      'All nodes share this machine: a curve over nodes shows what more copies cost together, not what more machines give.',
    ],
    raw: points,
  }
}

function powersOfTen(from: number, to: number): number[] {
  const powers: number[] = []
  for (let value = from; value <= to; value *= 10) powers.push(value)
  return powers
}

/** One store that grows; what was there stays. */
async function overKeys(context: BenchContext, driver: Driver): Promise<Point[]> {
  const points: Point[] = []
  await withSystem(driver, 3, async (system) => {
    for (const keys of powersOfTen(10_000, context.isShort ? Math.min(context.keysMax, 100_000) : context.keysMax)) {
      context.progress(`growth: filling ${driver.name} with ${keys} keys`)
      await fillKeys(system, driver, { ...DEFAULTS, keys })
      points.push(...(await measure(context, driver, system, 'keys', keys, { ...DEFAULTS, keys })))
    }
  })
  return points
}

async function overValues(context: BenchContext, driver: Driver): Promise<Point[]> {
  const points: Point[] = []
  for (const valueBytes of context.isShort ? [128, 16_384] : [16, 128, 1_024, 16_384, 262_144]) {
    const keys = Math.max(100, Math.min(DEFAULTS.keys, Math.floor(FILLED_BYTES_MAX / valueBytes)))
    await withSystem(driver, 3, async (system) => {
      await fillKeys(system, driver, { keys, valueBytes })
      const request = { ...DEFAULTS, keys, valueBytes }
      points.push(...(await measure(context, driver, system, 'value bytes', valueBytes, request)))
    })
  }
  return points
}

async function overConnections(context: BenchContext, driver: Driver): Promise<Point[]> {
  const points: Point[] = []
  await withSystem(driver, 3, async (system) => {
    await fillKeys(system, driver, DEFAULTS)
    for (const clients of context.isShort ? [1, 256] : [1, 4, 16, 64, 256, 1_024, 4_096]) {
      const request = { ...DEFAULTS, clients }
      points.push(...(await measure(context, driver, system, 'connections', clients, request)))
    }
  })
  return points
}

async function overNodes(context: BenchContext, driver: Driver): Promise<Point[]> {
  const points: Point[] = []
  const counts: readonly Nodes[] = context.isShort ? [1, 3] : [1, 3, 5, 7]
  for (const nodes of counts) {
    await withSystem(driver, nodes, async (system) => {
      await fillKeys(system, driver, DEFAULTS)
      points.push(...(await measure(context, driver, system, 'nodes', nodes, DEFAULTS)))
    })
  }
  return points
}

async function withSystem(driver: Driver, nodes: Nodes, work: (system: RunningSystem) => Promise<void>): Promise<void> {
  const system = await driver.system.start(temporaryFolder('growth'), { nodes })
  try {
    await work(system)
  } finally {
    await system.stop()
  }
}

async function measure(
  context: BenchContext,
  driver: Driver,
  system: RunningSystem,
  variable: Variable,
  x: number,
  request: Omit<DriveRequest, 'kind'>,
): Promise<Point[]> {
  const points: Point[] = []
  const timed = { ...request, seconds: context.seconds }
  for (const kind of ['put', 'get'] as const) {
    const saturation = await driver.drive(system, { ...timed, kind })
    const rate = Math.max(1, Math.floor(saturation.perSecond * LATENCY_SHARE))
    const half = await driver.drive(system, { ...timed, kind, rate })
    const point: Point = { variable, x, store: driver.name, kind, saturation, half }
    context.progress(`growth: ${variable} ${rowOf(point).join(' | ')}`)
    points.push(point)
  }
  return points
}

const tableOf = (variable: Variable, points: readonly Point[]): Table => ({
  title: `Growth of ${variable}`,
  head: [variable, 'store', '', 'a second', 'p50 ms', 'p99 ms', 'p99.9 ms', "generator's lag p99 ms", 'errors'],
  rows: points.filter((point) => point.variable === variable).map(rowOf),
})

function rowOf({ x, store, kind, saturation, half }: Point): string[] {
  const errors = saturation.errors + half.errors
  return [
    String(x),
    store,
    kind.toUpperCase(),
    saturation.perSecond.toFixed(0),
    milliseconds(half.latency.p50),
    milliseconds(half.latency.p99),
    milliseconds(half.latency.p999),
    milliseconds(half.generatorLag.p99),
    errors === 0 ? '0' : `${errors}: not a result`,
  ]
}

function chartsOf(variable: Variable, points: readonly Point[]): NamedChart[] {
  const chosen = points.filter((point) => point.variable === variable && isClean(point))
  const curves = [...new Set(chosen.map(({ store, kind }) => `${store}, ${kind.toUpperCase()}`))]
  const series = (y: (point: Point) => number): NamedChart['chart']['series'] =>
    curves.map((name) => ({
      name,
      points: chosen
        .filter(({ store, kind }) => `${store}, ${kind.toUpperCase()}` === name)
        .map((point) => [point.x, y(point)] as const),
    }))
  if (chosen.length === 0) return []
  const file = variable.replaceAll(' ', '-')
  const isLogX = variable !== 'nodes'
  return [
    {
      name: `growth-${file}-throughput`,
      chart: {
        title: `Operations a second by ${variable}`,
        xLabel: variable,
        yLabel: 'operations a second',
        isLogX,
        series: series(({ saturation }) => saturation.perSecond),
      },
    },
    {
      name: `growth-${file}-p99`,
      chart: {
        title: `p99 at half of the saturation by ${variable}`,
        xLabel: variable,
        yLabel: 'ms',
        isLogX,
        isLogY: true,
        series: series(({ half }) => Math.max(0.001, half.latency.p99 / 1_000)),
      },
    },
  ]
}

const isClean = ({ saturation, half }: Point): boolean => saturation.errors === 0 && half.errors === 0

/** Of the fewest and the most keys. */
function aimsOf(points: readonly Point[]): AimRow[] {
  return (['put', 'get'] as const).flatMap((kind) => {
    const curve = points.filter(
      (point) => point.variable === 'keys' && point.kind === kind && point.store.startsWith('Quorate'),
    )
    const [first, last] = [curve[0], curve.at(-1)]
    if (first === undefined || last === undefined || last.x < 1_000_000 || !curve.every(isClean)) return []
    const kept = last.saturation.perSecond / first.saturation.perSecond
    const goal = { aim: 0.75, moonshot: 0.9, text: ['within 25 %', 'within 10 %'] } as const
    const text = `${(100 * kept).toFixed(0)} % of the throughput at ${first.x} keys is left at ${last.x}`
    return [aimRow(`throughput as keys grow, ${kind.toUpperCase()} over HTTP`, goal, kept, text)]
  })
}
