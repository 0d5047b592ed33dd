// What the bench makes of its measurements: ratios round by round, failed runs left out, and verdicts on the aims.
import { expect, test } from 'vitest'
import { verdictOn } from '../../scripts/bench/aims.ts'
import type { AimId } from '../../scripts/bench/aims.ts'
import type { Kind, Way } from '../../scripts/bench/parts/contenders.ts'
import type { Measurement } from '../../scripts/bench/parts/throughput.ts'
import { throughputAims, throughputTables } from '../../scripts/bench/parts/throughput-report.ts'

interface Taken {
  readonly way: Way
  readonly kind?: Kind
  readonly clients?: number
  /** One a round. */
  readonly perSecond: readonly number[]
  readonly errors?: readonly number[]
  readonly p50?: number
}

const measured = ({ way, kind = 'put', clients = 256, perSecond, errors = [], p50 = 100 }: Taken): Measurement[] =>
  perSecond.map((rate, round) => ({
    way,
    name: `the ${way}`,
    kind,
    clients,
    round,
    result: {
      operations: rate,
      seconds: 1,
      perSecond: rate,
      errors: errors[round] ?? 0,
      firstError: (errors[round] ?? 0) > 0 ? 'it broke' : '',
      latency: { p50, p99: p50, p999: p50, max: p50 },
      longestGap: 0,
      generatorCpu: 0,
      generatorLag: { p99: 0, max: 0 },
      series: [],
    },
    cpu: { leader: 20, 'follower 1': 5, generator: 3 },
    idleCores: 0,
  }))

const aimOf = (measurements: readonly Measurement[], id: AimId): string[] =>
  throughputAims(measurements)
    .filter((row) => row.id === id)
    .map((row) => `${row.text}: ${verdictOn(row)}`)

test('a ratio is the median of the ratios of each round, with their extremes', () => {
  const both = [
    ...measured({ way: 'http', perSecond: [200, 30, 500] }),
    ...measured({ way: 'grpc', perSecond: [100, 10, 200] }),
  ]
  expect(aimOf(both, 'http-put')).toEqual(['2.50x (2.00x to 3.00x): reached'])
})

test('a round in which either side failed does not count', () => {
  const both = [
    ...measured({ way: 'http', perSecond: [100, 900], errors: [0, 1] }),
    ...measured({ way: 'grpc', perSecond: [100, 100] }),
  ]
  expect(aimOf(both, 'http-put')).toEqual(['1.00x: missed'])
})

test('there is no verdict where one side was not measured, or failed always', () => {
  const alone = measured({ way: 'http', perSecond: [100] })
  expect(throughputAims(alone)).toEqual([])
  expect(throughputAims([...alone, ...measured({ way: 'grpc', perSecond: [10], errors: [3] })])).toEqual([])
})

test('for one client the lower median is the better one', () => {
  const both = [
    ...measured({ way: 'http', clients: 1, perSecond: [1], p50: 100 }),
    ...measured({ way: 'grpc', clients: 1, perSecond: [1], p50: 250 }),
  ]
  expect(aimOf(both, 'one-client-put')).toEqual(['2.50x: moonshot'])
})

test("the client is compared with the better of etcd's counts for transactions", () => {
  const all = [
    ...measured({ way: 'client', clients: 1_000, perSecond: [300] }),
    ...measured({ way: 'txn', clients: 16, perSecond: [100] }),
    ...measured({ way: 'txn', clients: 64, perSecond: [200] }),
  ]
  expect(aimOf(all, 'client-put-txn')).toEqual(['1.50x, 1,000 callers, 64 clients of etcd: reached'])
})

test('a table sums the CPU time of the servers, and names the error of a run that has none without', () => {
  const [puts] = throughputTables([
    ...measured({ way: 'http', perSecond: [1_000, 3_000, 2_000] }),
    ...measured({ way: 'grpc', perSecond: [10], errors: [2] }),
  ])
  expect(puts!.rows).toEqual([
    ['256', 'the http', '2,000 (1,000 to 3,000)', '', '25.0', 'leader 20.0, follower 1 5.0', '3.0', '0.10'],
    ['256', 'the grpc', 'errors: it broke', '', '', '', '', ''],
  ])
})
