// One point of a curve: the saturation of a store by a closed loop, and the latency by an open loop at half of it; and the tables and
// charts that are made of such points.
import type { LoadResult } from '../load/load-result.ts'
import { summarize } from '../statistics.ts'
import type { RunningSystem } from '../systems/system.ts'
import { milliseconds } from './drivers.ts'
import type { DriveRequest, Driver } from './drivers.ts'
import type { BenchContext, NamedChart, Table } from './part.ts'

const LATENCY_SHARE = 0.5
const KINDS = ['put', 'get'] as const

export interface Point {
  readonly variable: string
  readonly x: number
  readonly store: string
  readonly kind: 'put' | 'get'
  /** One or more rounds of the closed loop. */
  readonly saturations: readonly LoadResult[]
  /** At half of it, open loop. */
  readonly half: LoadResult
}

export interface Place {
  readonly driver: Driver
  readonly system: RunningSystem
  readonly variable: string
  readonly x: number
  readonly rounds: number
}

export async function measurePoint(
  context: BenchContext,
  { driver, system, variable, x, rounds }: Place,
  request: Omit<DriveRequest, 'kind'>,
): Promise<Point[]> {
  const points: Point[] = []
  const timed = { ...request, seconds: context.seconds }
  for (const kind of KINDS) {
    const saturations: LoadResult[] = []
    // Not measured: the servers may just have started, and have compilers to warm and connections to open.
    await driver.drive(system, { ...timed, kind, seed: 0 })
    for (let round = 0; round < rounds; round++) {
      saturations.push(await driver.drive(system, { ...timed, kind, seed: round + 1 }))
    }
    const rate = Math.max(1, Math.floor(perSecondOf({ saturations }) * LATENCY_SHARE))
    const half = await driver.drive(system, { ...timed, kind, rate })
    const point: Point = { variable, x, store: driver.name, kind, saturations, half }
    context.progress(`${variable} ${rowOf(point).join(' | ')}`)
    points.push(point)
  }
  return points
}

export const perSecondOf = ({ saturations }: Pick<Point, 'saturations'>): number =>
  summarize(saturations.map(({ perSecond }) => perSecond)).median

export const isClean = ({ saturations, half }: Point): boolean =>
  [...saturations, half].every(({ errors }) => errors === 0)

export const pointsTable = (variable: string, points: readonly Point[]): Table => ({
  title: `Growth of ${variable}`,
  head: [variable, 'store', '', 'a second', 'p50 ms', 'p99 ms', 'p99.9 ms', "generator's lag p99 ms", 'errors'],
  rows: points
    .filter((point) => point.variable === variable)
    .toSorted((a, b) => a.x - b.x)
    .map(rowOf),
})

function rowOf(point: Point): string[] {
  const { x, store, kind, saturations, half } = point
  const errors = [...saturations, half].reduce((sum, result) => sum + result.errors, 0)
  return [
    String(x),
    store,
    kind.toUpperCase(),
    perSecondOf(point).toFixed(0),
    milliseconds(half.latency.p50),
    milliseconds(half.latency.p99),
    milliseconds(half.latency.p999),
    milliseconds(half.generatorLag.p99),
    errors === 0 ? '0' : `${errors}: not a result`,
  ]
}

export function pointsCharts(variable: string, points: readonly Point[]): NamedChart[] {
  const chosen = points.filter((point) => point.variable === variable && isClean(point)).toSorted((a, b) => a.x - b.x)
  const curves = [...new Set(chosen.map(curveOf))]
  const series = (y: (point: Point) => number): NamedChart['chart']['series'] =>
    curves.map((name) => ({
      name,
      points: chosen.filter((point) => curveOf(point) === name).map((point) => [point.x, y(point)] as const),
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
        series: series(perSecondOf),
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

const curveOf = ({ store, kind }: Point): string => `${store}, ${kind.toUpperCase()}`
