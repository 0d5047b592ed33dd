// The tables of the throughput part, and its rows of the table of aims: each ratio is taken pair by pair, round by round.
import { spread } from '../aims.ts'
import type { AimId, Reached } from '../aims.ts'
import { pairwiseRatio, summarize } from '../statistics.ts'
import type { Summary } from '../statistics.ts'
import type { Kind, Way } from './contenders.ts'
import type { Table } from './part.ts'
import type { Measurement } from './throughput.ts'

const whole = (value: number): string => Math.round(value).toLocaleString('en-US')
const times = (value: number): string => `${value.toFixed(2)}x`

interface Workload {
  readonly way: Way
  readonly kind: Kind
  readonly clients: number
}

const isOf =
  ({ way, kind, clients }: Workload) =>
  (measurement: Measurement): boolean =>
    measurement.way === way && measurement.kind === kind && measurement.clients === clients

export function throughputTables(measurements: readonly Measurement[]): Table[] {
  return (['put', 'get'] as const).map((kind) => ({
    title: kind === 'put' ? 'PUT, 128-byte values' : 'Linearizable GET',
    head: [
      'clients',
      'way',
      'operations a second',
      "times etcd's Go client",
      'CPU µs an operation: all servers',
      'each server',
      'generator',
      'p50 ms (closed loop)',
    ],
    rows: workloadsOf(measurements, kind).map((workload) =>
      row(
        workload,
        measurements.filter((measurement) => isOf(workload)(measurement)),
        ratio(measurements, workload, at('grpc', kind, workload.clients), perSecond),
      ),
    ),
  }))
}

function workloadsOf(measurements: readonly Measurement[], kind: Kind): Workload[] {
  const seen = new Map<string, Workload>()
  for (const { way, kind: its, clients } of measurements) {
    if (its === kind) seen.set(`${clients} ${way}`, { way, kind, clients })
  }
  return [...seen.values()].toSorted((a, b) => a.clients - b.clients)
}

function row({ clients }: Workload, taken: readonly Measurement[], beside: Summary | undefined): string[] {
  const name = taken[0]!.name
  const good = taken.filter(({ result }) => result.errors === 0)
  if (good.length === 0) return [whole(clients), name, `errors: ${taken[0]!.result.firstError}`, '', '', '', '', '']
  const rate = summarize(good.map(({ result }) => result.perSecond))
  const roles = Object.keys(good[0]!.cpu)
  const medianOf = (role: string): number => summarize(good.map(({ cpu }) => cpu[role]!)).median
  const servers = roles.filter((role) => role !== 'generator')
  const sums = good.map(({ cpu }) => servers.reduce((sum, role) => sum + cpu[role]!, 0))
  return [
    whole(clients),
    name,
    spread(rate, whole),
    beside === undefined ? '' : spread(beside, times),
    summarize(sums).median.toFixed(1),
    servers.map((role) => `${role} ${medianOf(role).toFixed(1)}`).join(', '),
    medianOf('generator').toFixed(1),
    (summarize(good.map(({ result }) => result.latency.p50)).median / 1_000).toFixed(2),
  ]
}

/** Round by round; undefined where either side was not measured, or failed in every round. */
function ratio(
  measurements: readonly Measurement[],
  first: Workload,
  second: Workload,
  value: (measurement: Measurement) => number,
): Summary | undefined {
  const pairs = measurements
    .filter((measurement) => isOf(first)(measurement))
    .map((a) => [a, measurements.find((b) => isOf(second)(b) && b.round === a.round)] as const)
    .filter(([a, b]) => a.result.errors === 0 && b?.result.errors === 0)
  if (pairs.length === 0) return undefined
  return pairwiseRatio(
    pairs.map(([a]) => value(a)),
    pairs.map(([, b]) => value(b!)),
  )
}

const perSecond = ({ result }: Measurement): number => result.perSecond
const medianLatency = ({ result }: Measurement): number => result.latency.p50
const at = (way: Way, kind: Kind, clients: number): Workload => ({ way, kind, clients })

export function throughputAims(measurements: readonly Measurement[]): Reached[] {
  const rows: Reached[] = []
  /** `extra`: with how many of whom, where the row's name does not say. */
  const compare = (id: AimId, first: Workload, second: Workload, extra = ''): void => {
    // A time is better when it is less: how many times as long theirs takes.
    const measured = id.startsWith('one-client')
      ? ratio(measurements, second, first, medianLatency)
      : ratio(measurements, first, second, perSecond)
    if (measured !== undefined) rows.push({ id, value: measured.median, text: spread(measured, times) + extra })
  }
  const many = Math.max(0, ...measurements.filter(({ way }) => way === 'client').map(({ clients }) => clients))
  const txn = bestTransaction(measurements)
  const callers = `, ${whole(many)} callers`

  compare('http-put', at('http', 'put', 256), at('grpc', 'put', 256))
  compare('http-get', at('http', 'get', 256), at('grpc', 'get', 256))
  compare('client-put', at('client', 'put', many), at('grpc', 'put', many), callers)
  compare('client-put-txn', at('client', 'put', many), at('txn', 'put', txn), `${callers}, ${txn} clients of etcd`)
  compare('client-get', at('client', 'get', many), at('grpc', 'get', many), callers)
  compare('one-client-put', at('http', 'put', 1), at('grpc', 'put', 1))
  compare('one-client-get', at('http', 'get', 1), at('grpc', 'get', 1))
  compare('ceiling', at('http', 'put', 256), at('ceiling', 'put', 256))
  return rows
}

/** The number of clients with which etcd's transactions were fastest: the comparison is with its best. */
function bestTransaction(measurements: readonly Measurement[]): number {
  const best = measurements
    .filter(({ way, result }) => way === 'txn' && result.errors === 0)
    .toSorted((a, b) => b.result.perSecond - a.result.perSecond)[0]
  return best?.clients ?? 0
}
