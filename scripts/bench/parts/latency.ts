// Latency at a constant rate, open loop: at half and at four fifths of what each store can do at most, at the same absolute rate,
// and over a long run in which everything happens that could make it stall.
import { temporaryFolder } from '../cleanup.ts'
import type { LoadResult } from '../load/load-result.ts'
import { median, summarize } from '../statistics.ts'
import type { RunningSystem } from '../systems/system.ts'
import { Attempts } from './attempt.ts'
import { DEFAULTS, assertClean, driversOf, fillKeys, milliseconds } from './drivers.ts'
import type { Driver } from './drivers.ts'
import { longRun } from './long-run.ts'
import type { BenchContext, Part, PartResult } from './part.ts'

const SHARES = [0.5, 0.8]
const KINDS = ['put', 'get'] as const

export const latency: Part = {
  name: 'latency',
  runs: 'full',
  summary:
    'p50, p99, p99.9 and max at a constant rate, and over a long run with snapshots and a follower that catches up',
  estimateSeconds: (context) => {
    const { rounds, seconds, minutes } = context
    const single = seconds + 0.8
    const each = 2 * (rounds + 1 + 3 * rounds) * single
    return 10 + driversOf(context).length * each + minutes * 60 + 45
  },
  run,
}

interface Row {
  readonly kind: 'put' | 'get'
  readonly name: string
  readonly load: string
  readonly rate: number
  readonly results: readonly LoadResult[]
}

interface Running {
  readonly driver: Driver
  readonly system: RunningSystem
}

async function run(context: BenchContext): Promise<PartResult> {
  const attempts = new Attempts(context, 'latency')
  const rows: Row[] = []
  await attempts.make('constant rates', () => constantRates(context, rows))
  const long = await attempts.make('the long run', () => longRun(context))
  return {
    title: 'Latency',
    tables: [
      {
        title: `Open loop over ${DEFAULTS.clients} connections, from the moment a request was due (ms; medians of the rounds, max over all)`,
        head: ['', 'store', 'load', 'a second', 'p50', 'p99', 'p99.9', 'max', "generator's lag p99", 'errors'],
        rows: rows.map(describe),
      },
      ...(long?.tables ?? []),
    ],
    charts: long?.charts ?? [],
    aims: [],
    notes: [
      'Saturation is closed-loop through the same generator, which takes its share of the same cores at either rate.',
      'The last rows of each kind have both stores at the same rate, half of the lower saturation.',
      ...(long?.notes ?? []),
    ],
    failures: attempts.failures,
    raw: { rows, long: long?.raw },
  }
}

async function constantRates(context: BenchContext, rows: Row[]): Promise<void> {
  const running: Running[] = []
  try {
    for (const driver of driversOf(context)) {
      const system = await driver.system.start(temporaryFolder('latency'), { nodes: 3 })
      running.push({ driver, system })
      await fillKeys(context, system, driver.dialect, DEFAULTS)
    }
    for (const kind of KINDS) rows.push(...(await ratesOf(context, kind, running)))
  } finally {
    await Promise.all(running.map(({ system }) => system.stop()))
  }
}

async function ratesOf(context: BenchContext, kind: 'put' | 'get', running: readonly Running[]): Promise<Row[]> {
  const saturation = await saturations(context, kind, running)
  const loads = [
    ...SHARES.map((share) => ({
      load: `${share * 100} %`,
      rates: saturation.map((most) => most * share),
    })),
    { load: 'same rate', rates: saturation.map(() => Math.min(...saturation) / 2) },
  ]
  const rows: Row[] = []
  for (const { load, rates } of loads) {
    const results: LoadResult[][] = running.map(() => [])
    for (let round = 0; round < context.rounds; round++) {
      for (const [at, { driver, system }] of running.entries()) {
        const request = { ...DEFAULTS, kind, rate: Math.floor(rates[at]!), seconds: context.seconds, seed: round + 1 }
        results[at]!.push(await driver.drive(system, request))
      }
    }
    const made = running.map(({ driver }, at) => ({
      kind,
      name: driver.name,
      load,
      rate: Math.floor(rates[at]!),
      results: results[at]!,
    }))
    for (const row of made) context.progress(`latency: ${describe(row).join(' | ')}`)
    rows.push(...made)
  }
  return rows
}

async function saturations(
  context: BenchContext,
  kind: 'put' | 'get',
  running: readonly Running[],
): Promise<readonly number[]> {
  const perSecond: number[][] = running.map(() => [])
  // One round more, which warms up.
  for (let round = 0; round <= context.rounds; round++) {
    for (const [at, { driver, system }] of running.entries()) {
      const request = { ...DEFAULTS, kind, seconds: context.seconds, seed: round + 1 }
      const result = assertClean(`${kind}, ${driver.name}`, await driver.drive(system, request))
      if (round > 0) perSecond[at]!.push(result.perSecond)
    }
  }
  return perSecond.map(median)
}

function describe({ kind, name, load, rate, results }: Row): string[] {
  const middle = (pick: (result: LoadResult) => number): string => milliseconds(median(results.map(pick)))
  const errors = results.reduce((sum, result) => sum + result.errors, 0)
  return [
    kind.toUpperCase(),
    name,
    load,
    String(rate),
    middle(({ latency }) => latency.p50),
    middle(({ latency }) => latency.p99),
    middle(({ latency }) => latency.p999),
    milliseconds(summarize(results.map((result) => result.latency.max)).max),
    middle(({ generatorLag }) => generatorLag.p99),
    errors === 0 ? '0' : `${errors}: not a result`,
  ]
}
