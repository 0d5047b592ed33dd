// What changes as keys grow: throughput and latency, the time until a killed node serves again, memory. Each store is filled once,
// step by step, and everything is measured at each step; the stores take turns.
import { totalmem } from 'node:os'
import type { AimId, Reached } from '../aims.ts'
import { spread } from '../aims.ts'
import { temporaryFolder } from '../cleanup.ts'
import { pairwiseRatio } from '../statistics.ts'
import type { RunningSystem } from '../systems/system.ts'
import { Attempts } from './attempt.ts'
import { DEFAULTS, driversOf, fillKeys } from './drivers.ts'
import type { Driver } from './drivers.ts'
import { isClean, measurePoint, pointsCharts, pointsTable } from './measure-point.ts'
import type { Point } from './measure-point.ts'
import type { BenchContext, Part, PartResult } from './part.ts'
import { measureRestarts, residentOf, restartAims, restartCharts, restartTable } from './restarts.ts'
import type { Restarts } from './restarts.ts'

const GiB = 1024 ** 3
const FEWEST_KEYS = 10_000
/** Fewer say nothing of growth. */
const AIM_KEYS = 1_000_000
/** For the estimate: what either store takes in at least, and what restarts of a large one take beyond those of a small one. */
const FILLED_PER_SECOND = 40_000
const RESTARTS_SECONDS = 10
const RESTART_SECONDS_PER_MILLION = 15

export const keys: Part = {
  name: 'keys',
  runs: 'matrix',
  summary: 'throughput and latency, time until ready after kill -9, and resident memory, as keys grow',
  estimateSeconds(context) {
    const { keysMax, rounds, seconds } = context
    const point = 2 * (rounds + 2) * (seconds + 0.7)
    const grown = keysMax / FILLED_PER_SECOND + (keysMax / 1_000_000) * RESTART_SECONDS_PER_MILLION
    return driversOf(context).length * (5 + grown + stepsOf(context).length * (point + RESTARTS_SECONDS))
  },
  run,
}

function stepsOf({ keysMax }: BenchContext): number[] {
  const steps: number[] = []
  for (let count = FEWEST_KEYS; count <= keysMax; count *= 10) steps.push(count)
  return steps
}

interface Growing {
  readonly driver: Driver
  /** As it was started: whoever led then comes first. */
  readonly system: RunningSystem
  readonly steps: { readonly keys: number; readonly residentBytes: number }[]
}

async function run(context: BenchContext): Promise<PartResult> {
  const stores: Growing[] = []
  const points: Point[] = []
  const restarts: Restarts[] = []
  const tooLarge: string[] = []
  const attempts = new Attempts(context, 'keys')
  try {
    for (const driver of driversOf(context)) {
      const system = await driver.system.start(temporaryFolder('keys'), { nodes: 3 })
      stores.push({ driver, system, steps: [] })
    }
    let open = stores
    for (const count of stepsOf(context)) {
      for (const store of open) {
        const note = whyTooLarge(store, count)
        if (note !== undefined) {
          tooLarge.push(note)
          context.progress(note)
          continue
        }
        const what = `${store.driver.name}, ${count} keys`
        const step = await attempts.make(what, () => grow(context, store, count))
        points.push(...(step?.points ?? []))
        const restarted =
          step &&
          (await attempts.make(`${what}, restarts`, () => measureRestarts(context, store.driver, store.system, step)))
        // Further steps build on this one; those of the other store do not.
        if (restarted === undefined) open = open.filter((other) => other !== store)
        else restarts.push(restarted)
      }
    }
  } finally {
    await Promise.all(stores.map(({ system }) => system.stop()))
  }
  return {
    title: 'Growth of keys, start and memory',
    tables: [pointsTable('keys', points), restartTable(restarts)],
    charts: [...pointsCharts('keys', points), ...restartCharts(restarts)],
    aims: [...restartAims(restarts), ...growthAims(points)],
    notes: [
      'Ready is the first linearizable service: /readyz of Quorate, /health of etcd, asked every 10 ms. Memory is what is resident, pages of mapped files included, which etcd uses for its whole database.',
      ...tooLarge,
    ],
    failures: attempts.failures,
    raw: { points, restarts },
  }
}

/** A machine that runs out of memory kills whom it likes, and what it does before is no measurement. */
function whyTooLarge({ driver, steps }: Growing, count: number): string | undefined {
  const [before, last] = steps.slice(-2)
  if (before === undefined || last === undefined) return undefined
  const bytesPerKey = (last.residentBytes - before.residentBytes) / (last.keys - before.keys)
  const expectedBytes = last.residentBytes + bytesPerKey * (count - last.keys)
  if (expectedBytes <= totalmem()) return undefined
  const [expected, here] = [expectedBytes, totalmem()].map((bytes) => `${(bytes / GiB).toFixed(1)} GiB`)
  return `${driver.name} is left out at ${count.toLocaleString('en-US')} keys: by what ${last.keys.toLocaleString('en-US')} took, its nodes would need ${expected} of memory, and there are ${here}.`
}

interface Step {
  readonly keys: number
  readonly points: readonly Point[]
  readonly filledBytes: readonly number[]
}

async function grow(context: BenchContext, store: Growing, count: number): Promise<Step> {
  const { driver, system } = store
  const from = store.steps.at(-1)?.keys ?? 0
  context.progress(`keys: filling ${driver.system.name} from ${from} to ${count} keys`)
  // The restarts of the step before may have made another node the leader.
  const leaderFirst = await system.leaderFirst()
  await fillKeys(context, leaderFirst, driver.dialect, { keys: count, valueBytes: DEFAULTS.valueBytes, from })
  const filledBytes = residentOf(leaderFirst)
  store.steps.push({ keys: count, residentBytes: filledBytes.reduce((sum, bytes) => sum + bytes, 0) })
  const place = { driver, system: leaderFirst, variable: 'keys', x: count, rounds: context.rounds }
  return { keys: count, points: await measurePoint(context, place, { ...DEFAULTS, keys: count }), filledBytes }
}

const rates = ({ saturations }: Point): number[] => saturations.map(({ perSecond }) => perSecond)

/** What is left of the throughput at the fewest keys, round by round. */
function growthAims(points: readonly Point[]): Reached[] {
  return (['put', 'get'] as const).flatMap((kind) => {
    const curve = points.filter((point) => point.kind === kind && point.store.startsWith('Quorate'))
    const [first, last] = [curve[0], curve.at(-1)]
    if (first === undefined || last === undefined || last.x < AIM_KEYS || !curve.every(isClean)) return []
    const left = pairwiseRatio(rates(last), rates(first))
    const id: AimId = kind === 'put' ? 'growth-put' : 'growth-get'
    const share = spread(left, (value) => `${(100 * value).toFixed(0)} %`)
    return [{ id, value: left.median, text: `${share} at ${last.x.toLocaleString('en-US')} keys` }]
  })
}
