// The check that etcd publishes for a large cluster (`etcdctl check perf --load=xl`): 15,000 puts a second of 256-byte keys and 1 KiB
// values from 1,000 clients for a minute, no error, nine tenths of the rate reached, the slowest put under half a second. Ours is
// driven at the same rate from intended start times, which is harder: etcdctl begins to count when a client is free.
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import type { Reached } from '../aims.ts'
import { temporaryFolder } from '../cleanup.ts'
import { runClientLoad } from '../load/client-run.ts'
import type { LoadResult } from '../load/load-result.ts'
import { runLoad, targetOf } from '../load/run-load.ts'
import type { RunningSystem } from '../systems/system.ts'
import { Attempts } from './attempt.ts'
import type { BenchContext, Part, PartResult } from './part.ts'

interface Sample {
  readonly name: string
  readonly perSecond: number
  readonly slowestMs: number
  readonly errors: string
  readonly isPassed: boolean
  readonly generatorLagMs: number | undefined
}

const CLIENT = 'Quorate, TypeScript client'
const HTTP = 'Quorate, HTTP'
const RATE = 15_000
const CLIENTS = 1_000
const SHAPE = { keyBytes: 256, valueBytes: 1_024 } as const
/** As good as never the same key twice, as in the original. */
const KEYS = 1_000_000_000
const SECONDS = 60
const SHORT_SECONDS = 5
const RATE_SHARE = 0.9
const SLOWEST_MS = 500

export const etcdctlCheck: Part = {
  name: 'etcdctl-check',
  runs: 'always',
  summary: `etcdctl's published check: ${RATE} puts a second from ${CLIENTS} clients, the slowest under ${SLOWEST_MS} ms`,
  estimateSeconds: ({ isShort, etcd }) =>
    isShort ? 2 * (SHORT_SECONDS + 5) : (etcd === undefined ? 2 : 3) * (SECONDS + 7),
  run,
}

async function run(context: BenchContext): Promise<PartResult> {
  const attempts = new Attempts(context, 'etcdctl-check')
  const samples: Sample[] = []
  for (const way of ['client', 'http'] as const) {
    const sample = await attempts.make(way, async () => {
      const running = await context.quorate.start(temporaryFolder('quorate'), { nodes: 3 })
      try {
        return await ours(context, running, way)
      } finally {
        await running.stop()
      }
    })
    if (sample !== undefined) samples.push(sample)
  }
  const notes: string[] = []
  if (context.isShort)
    notes.push('In the short form each run takes five seconds instead of a minute, and etcd is left out.')
  else if (context.etcd === undefined) notes.push('etcd is not installed: its own check was not run on it.')
  else {
    const sample = await attempts.make('etcd', () => theirs(context))
    if (sample !== undefined) samples.push(sample)
  }
  for (const { name, errors } of samples) if (errors !== '') notes.push(`${name}: ${errors}`)
  return {
    title: `etcdctl's check: ${RATE} puts a second, 256-byte keys, 1 KiB values, ${CLIENTS} clients`,
    tables: [{ title: 'Passed or not', head: HEAD, rows: samples.map((sample) => row(sample)) }],
    charts: [],
    aims: aims(samples),
    notes,
    failures: attempts.failures,
    raw: samples,
  }
}

async function ours(context: BenchContext, { urls }: RunningSystem, way: 'client' | 'http'): Promise<Sample> {
  const seconds = context.isShort ? SHORT_SECONDS : SECONDS
  const name = way === 'client' ? CLIENT : HTTP
  context.progress(`${name}: ${RATE} puts a second for ${seconds} s`)
  const load = { ...SHAPE, rate: RATE, seconds, keys: KEYS }
  const result =
    way === 'client'
      ? await runClientLoad({ ...load, endpoints: urls, kind: 'put', callers: UNDER_WAY_MAX })
      : await runLoad({
          ...load,
          targets: [targetOf(urls[0]!)],
          dialect: 'quorate',
          kind: 'put',
          connections: CLIENTS,
        })
  const sample = judged(name, result)
  context.progress(`${name}: ${describe(sample)}`)
  return sample
}

/** Below the client's own limit. A store that leaves more than half a second's worth of calls unanswered has failed anyway. */
const UNDER_WAY_MAX = RATE / 2

function judged(name: string, result: LoadResult): Sample {
  const slowestMs = result.latency.max / 1_000
  return {
    name,
    perSecond: result.perSecond,
    slowestMs,
    errors: result.errors > 0 ? `${result.errors} errors, the first: ${result.firstError}` : '',
    isPassed: result.errors === 0 && result.perSecond > RATE_SHARE * RATE && slowestMs < SLOWEST_MS,
    generatorLagMs: result.generatorLag.max / 1_000,
  }
}

/** etcdctl judges by itself; it ends with 1 when the check fails. */
async function theirs(context: BenchContext): Promise<Sample> {
  context.progress(`etcd, etcdctl check perf --load=xl: ${SECONDS} s`)
  const running = await context.etcd!.start(temporaryFolder('etcd'), { nodes: 3 })
  try {
    const args = ['--endpoints', running.urls[0]!, 'check', 'perf', '--load=xl']
    const output = await promisify(execFile)('etcdctl', args, { env: { ...process.env, ETCDCTL_API: '3' } }).then(
      ({ stdout }) => stdout,
      (error: unknown) => {
        const { code, stdout } = error as NodeJS.ErrnoException & { readonly stdout?: string }
        if (typeof code !== 'number') throw error
        return stdout ?? ''
      },
    )
    const sample: Sample = {
      name: 'etcd, etcdctl check perf --load=xl',
      perSecond: Number(/(\d+) writes\/s/.exec(output)?.[1] ?? 0),
      slowestMs: Number(/[Ss]lowest request took (?:too long: )?([\d.]+)s/.exec(output)?.[1] ?? 0) * 1_000,
      errors: [...output.matchAll(/FAIL: (?:ERROR|too many errors).*/g)].map(String).slice(0, 3).join('; '),
      isPassed: /^PASS$/m.test(output),
      generatorLagMs: undefined,
    }
    context.progress(`etcd: ${describe(sample)}`)
    return sample
  } finally {
    await running.stop()
  }
}

const describe = ({ isPassed, perSecond, slowestMs }: Sample): string =>
  `${isPassed ? 'passed' : 'failed'}: ${Math.round(perSecond)} a second, the slowest ${slowestMs.toFixed(0)} ms`

const HEAD = ['who', 'puts a second', 'slowest, ms', 'verdict', 'generator at most late by, ms']

const row = (sample: Sample): string[] => [
  sample.name,
  Math.round(sample.perSecond).toLocaleString('en-US'),
  sample.slowestMs.toFixed(0),
  sample.isPassed ? 'passed' : 'failed',
  sample.generatorLagMs?.toFixed(1) ?? '',
]

function aims(samples: readonly Sample[]): Reached[] {
  const client = samples.find(({ name }) => name === CLIENT)
  const http = samples.find(({ name }) => name === HTTP)
  if (client === undefined || http === undefined) return []
  const value = !client.isPassed ? 0 : http.isPassed ? 2 : 1
  return [{ id: 'etcdctl-check', value, text: `client ${describe(client)}; HTTP ${describe(http)}` }]
}
