// How latency and growth reach each store: Quorate over HTTP, etcd over gRPC by its own Go client where that can be built, and over
// JSON where it cannot.
import { runClientLoad } from '../load/client-run.ts'
import { runGoLoad } from '../load/go-load.ts'
import type { LoadResult } from '../load/load-result.ts'
import { BENCH_KEYS, BENCH_VALUE_BYTES, fillKeysOf } from '../load/requests.ts'
import type { Dialect } from '../load/requests.ts'
import { assertFilled, fill, runLoad, targetOf } from '../load/run-load.ts'
import type { RunningSystem, System } from '../systems/system.ts'
import type { BenchContext } from './part.ts'

/** The defaults, from which one variable at a time is moved. */
export const DEFAULTS = {
  keys: BENCH_KEYS,
  valueBytes: BENCH_VALUE_BYTES,
  clients: 256,
  rate: 0,
  seconds: 3,
  seed: 1,
} as const

export interface DriveRequest {
  readonly kind: 'put' | 'get'
  readonly keys: number
  readonly valueBytes: number
  readonly clients: number
  /** Operations a second, open loop; 0 finds the saturation. */
  readonly rate: number
  readonly seconds: number
  readonly seed: number
}

export interface Driver {
  readonly name: string
  readonly system: System
  readonly dialect: Dialect
  /** `onStart` is called when time begins to run, by drivers whose generator tells. */
  drive(this: void, running: RunningSystem, request: DriveRequest, onStart?: () => void): Promise<LoadResult>
}

export function driversOf(context: BenchContext): readonly Driver[] {
  const ours = overHttp('Quorate, HTTP', context.quorate, 'quorate')
  if (context.etcd === undefined) return [ours]
  const { etcd, etcdLoad } = context
  if (etcdLoad === undefined) return [ours, overHttp('etcd, JSON over HTTP', etcd, 'etcd')]
  const theirs: Driver = {
    name: 'etcd, Go client',
    system: etcd,
    dialect: 'etcd',
    drive: ({ urls }, { kind, ...request }) =>
      runGoLoad(etcdLoad, { ...request, op: kind, endpoints: [urls[0]!], timeoutMs: 10_000 }),
  }
  return [ours, theirs]
}

const overHttp = (name: string, system: System, dialect: Dialect): Driver => ({
  name,
  system,
  dialect,
  drive: ({ urls }, { clients, ...request }, onStart) =>
    runLoad({ ...request, targets: [targetOf(urls[0]!)], dialect, connections: clients }, onStart),
})

/** How many filling transactions are under way. */
const FILLERS = 8

export interface Fill {
  readonly keys: number
  readonly valueBytes: number
  /** Those below this number are there already. */
  readonly from?: number
}

/** The same keys on both sides, each by the way that is quickest: transactions of its own client where there is one. */
export async function fillKeys(
  { etcdLoad }: Pick<BenchContext, 'etcdLoad'>,
  running: RunningSystem,
  dialect: Dialect,
  { keys, valueBytes, from = 0 }: Fill,
): Promise<LoadResult> {
  const common = { keys, valueBytes, from }
  if (dialect === 'quorate') {
    return assertFilled(await runClientLoad({ ...common, endpoints: running.urls, kind: 'fill', callers: FILLERS }))
  }
  if (etcdLoad === undefined) return await fill({ ...common, targets: [targetOf(running.urls[0]!)], dialect })
  const own = { endpoints: [running.urls[0]!], op: 'fill', clients: FILLERS, batch: fillKeysOf(valueBytes) } as const
  return assertFilled(await runGoLoad(etcdLoad, { ...common, ...own }))
}

/** A run with errors is not a result. */
export function assertClean(what: string, result: LoadResult): LoadResult {
  if (result.errors > 0) throw new Error(`${what}: ${result.errors} errors, the first: ${result.firstError}`)
  return result
}

export const milliseconds = (micros: number): string => (micros / 1_000).toFixed(micros < 100_000 ? 2 : 0)
