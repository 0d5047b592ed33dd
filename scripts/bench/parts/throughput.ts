// Throughput at saturation: PUT and linearizable GET by a closed loop of clients, all ways interleaved, round after round, and what an
// operation costs in CPU time of every process. On one machine throughput is the time of its cores divided by that cost.
import { checkBeside } from '../history.ts'
import { CpuMeter } from '../measure.ts'
import type { LoadResult } from '../load/load-result.ts'
import { median } from '../statistics.ts'
import type { RunningSystem } from '../systems/system.ts'
import { Attempts } from './attempt.ts'
import { startField } from './contenders.ts'
import type { Contender, Kind, Way } from './contenders.ts'
import type { BenchContext, Part, PartResult } from './part.ts'
import { throughputAims, throughputTables } from './throughput-report.ts'

export interface Measurement {
  readonly way: Way
  readonly name: string
  readonly kind: Kind
  readonly clients: number
  readonly round: number
  readonly result: LoadResult
  /** Microseconds an operation, by role; the generator among them. */
  readonly cpu: Readonly<Record<string, number>>
  /** What the stores that were not driven spent meanwhile, as a share of one core. */
  readonly idleCores: number
}

/** Until the compilers have seen the hot paths. */
const WARM_UP_SECONDS = 16
const SHORT_WARM_UP_SECONDS = 2
/** Many, whose work is in the operations, and one, whose work is in the entries: each is compiled by being done often. */
const WARM_UP_CLIENTS = [256, 1]
const GATE_CLIENTS = 256

export const throughput: Part = {
  name: 'throughput',
  runs: 'always',
  summary: 'PUT and GET at saturation with 1 to 1,000 clients, over HTTP, with the client, beside etcd and the ceiling',
  estimateSeconds: ({ isShort, rounds, seconds, etcdLoad, zookeeper }) =>
    (isShort ? 31 : 165) +
    rounds * (seconds + 0.7) * (isShort ? 14 : 30) * (etcdLoad === undefined ? 0.6 : 1) +
    (zookeeper === undefined ? 0 : WARM_UP_SECONDS + 5 + rounds * (seconds + 0.7) * 2),
  run,
}

async function run(context: BenchContext): Promise<PartResult> {
  const attempts = new Attempts(context, 'throughput')
  const field = await startField(context)
  try {
    await attempts.make('warming up', () => warmUp(context, field.contenders))
    const measurements: Measurement[] = []
    for (let round = 0; round < context.rounds; round++) {
      for (const { kind, clients } of workloads(field.contenders)) {
        for (const contender of field.contenders) {
          if (!contender.kinds.includes(kind) || !contender.clients.includes(clients)) continue
          const what = `${kind.toUpperCase()}, ${clients} clients, ${contender.name}, round ${round + 1}`
          const asked = { contender, kind, clients, round }
          const measurement = await attempts.make(what, () => measure(context, field.systems, asked))
          if (measurement === undefined) continue
          measurements.push(measurement)
          context.progress(describe(measurement))
        }
      }
    }
    const gate = await checkHistories(context, field.contenders, attempts)
    return {
      title: 'Throughput at saturation',
      tables: throughputTables(measurements),
      charts: [],
      aims: throughputAims(measurements),
      notes: [...field.notes, ...failures(measurements), ...idleShares(measurements), ...gate],
      failures: attempts.failures,
      raw: measurements,
    }
  } finally {
    await field.stop()
  }
}

/** Each kind and number of clients that anybody has, in the order of a table. */
function workloads(contenders: readonly Contender[]): { readonly kind: Kind; readonly clients: number }[] {
  const counts = [...new Set(contenders.flatMap(({ clients }) => clients))].sort((a, b) => a - b)
  return (['put', 'get'] as const).flatMap((kind) => counts.map((clients) => ({ kind, clients })))
}

async function warmUp(context: BenchContext, contenders: readonly Contender[]): Promise<void> {
  const seconds = context.isShort ? SHORT_WARM_UP_SECONDS : WARM_UP_SECONDS
  for (const contender of contenders) {
    if (contender.kinds.length < 2 || contender.way === 'json') continue
    context.progress(`warming up: ${contender.name}`)
    for (const clients of WARM_UP_CLIENTS) {
      if (!contender.clients.includes(clients)) continue
      for (const kind of contender.kinds) await contender.drive({ kind, clients, seconds: seconds / 2, seed: 0 })
    }
  }
}

/** One run of each workload of ours that is not measured, with the recorder beside it. */
async function checkHistories(
  context: BenchContext,
  contenders: readonly Contender[],
  attempts: Attempts,
): Promise<string[]> {
  const lines: string[] = []
  for (const { way, name, kinds, system, drive } of contenders) {
    if (way !== 'http' && way !== 'client') continue
    for (const kind of kinds) {
      const what = `${kind.toUpperCase()}, ${GATE_CLIENTS} clients, ${name}`
      const checked = await attempts.make(`history beside ${what}`, () => {
        const load = drive({ kind, clients: GATE_CLIENTS, seconds: context.seconds, seed: 0 })
        return checkBeside(system.urls, what, load)
      })
      if (checked === undefined) continue
      const { operations, unknown } = checked
      const line = `history beside ${what}: ${operations} operations through all nodes, ${unknown} writes of unknown outcome: linearizable`
      context.progress(line)
      lines.push(line)
    }
  }
  return lines
}

interface Run {
  readonly contender: Contender
  readonly kind: Kind
  readonly clients: number
  readonly round: number
}

async function measure(
  context: BenchContext,
  systems: readonly RunningSystem[],
  { contender, kind, clients, round }: Run,
): Promise<Measurement> {
  const { way, name, system } = contender
  const idle = systems.filter((other) => other !== system).flatMap(({ processes }) => processes)
  // Roles of different stores are the same words; the process ids differ.
  const meters = (): readonly [CpuMeter, CpuMeter] => [
    new CpuMeter(system.processes),
    new CpuMeter(idle.map(({ pid }) => ({ role: String(pid), pid }))),
  ]
  let [meter, idleMeter] = meters()
  const onStart = (): void => {
    ;[meter, idleMeter] = meters()
  }
  const result = await contender.drive({ kind, clients, seconds: context.seconds, seed: round + 1, onStart })
  const operations = Math.max(1, result.operations)
  const cpu: Record<string, number> = {}
  for (const [role, micros] of Object.entries(meter.spent())) cpu[role] = micros / operations
  cpu['generator'] = result.generatorCpu / operations
  const idleMicros = Object.values(idleMeter.spent()).reduce((sum, micros) => sum + micros, 0)
  return { way, name, kind, clients, round, result, cpu, idleCores: idleMicros / (result.seconds * 1_000_000) }
}

const describe = ({ name, kind, clients, round, result }: Measurement): string =>
  `round ${round + 1}: ${kind.toUpperCase()}, ${clients} clients, ${name}: ${Math.round(result.perSecond)} a second` +
  (result.errors > 0 ? `; ${result.errors} ERRORS, no result: ${result.firstError}` : '')

/** Both clusters run all the time, so each takes a little from the other's figures; how much, in whose disfavour, is for all to see. */
function idleShares(measurements: readonly Measurement[]): string[] {
  const names = [...new Set(measurements.map(({ name }) => name))]
  return names.map((name) => {
    const shares = measurements.filter((measurement) => measurement.name === name).map(({ idleCores }) => idleCores)
    return `while ${name} was measured, the servers of the others spent ${median(shares).toFixed(3)} cores`
  })
}

function failures(measurements: readonly Measurement[]): string[] {
  const failed = measurements.filter(({ result }) => result.errors > 0)
  return failed.map(
    ({ name, kind, clients, round, result }) =>
      `${kind.toUpperCase()} with ${clients} clients, ${name}, round ${round + 1}: ${result.errors} errors, so it does not count. The first: ${result.firstError}`,
  )
}
