// Where the microseconds go: samples of the leader, a follower and the client while puts and gets saturate them, by function and by
// area, as CPU time of one operation. What a process spends beside its main thread (writing and syncing, LevelDB's compaction, helpers
// of the garbage collector and of the compiler) is a row of its own.
import { setTimeout as pause } from 'node:timers/promises'
import { removeFolder, temporaryFolder } from '../cleanup.ts'
import { runClientLoad } from '../load/client-run.ts'
import type { LoadResult } from '../load/load-result.ts'
import { runWrk } from '../load/wrk.ts'
import { breakdownOf } from '../profile/areas.ts'
import type { Breakdown } from '../profile/areas.ts'
import { sampleCpu } from '../profile/inspector.ts'
import { freePorts } from '../systems/server-process.ts'
import type { RunningSystem } from '../systems/system.ts'
import { assertClean, DEFAULTS, fillKeys } from './drivers.ts'
import type { BenchContext, Part, PartResult, Table } from './part.ts'

const KINDS = ['put', 'get'] as const
const CALLERS = 1_000
/** Sampled, beside the beginning and the end of the load. */
const SAMPLED_SECONDS = 5
const MARGIN_SECONDS = 1
const WARM_UP_SECONDS = 3
const FUNCTIONS = { leader: 20, 'follower 1': 10, client: 12 }
const OTHER_THREADS = 'other threads'

type Kind = (typeof KINDS)[number]

interface Subject {
  readonly role: keyof typeof FUNCTIONS
  readonly inspector: number
}

interface Profiled {
  readonly role: keyof typeof FUNCTIONS
  readonly breakdown: Breakdown
  /** CPU time of all threads but the main one. */
  readonly otherMicros: number
}

interface Workload {
  readonly name: string
  readonly perSecond: number
  /** Of the time that was sampled. */
  readonly operations: number
  readonly profiled: readonly Profiled[]
}

export const profile: Part = {
  name: 'profile',
  runs: 'by name',
  summary:
    'CPU samples of leader, follower and client at saturation: the top functions, and each area, in µs an operation',
  estimateSeconds: ({ hasWrk }) => 10 + (hasWrk ? 4 : 2) * (SAMPLED_SECONDS + 2 * MARGIN_SECONDS + WARM_UP_SECONDS + 2),
  run,
}

async function run(context: BenchContext): Promise<PartResult> {
  const [first, ...more] = await freePorts(4)
  const inspectors = [first!, ...more]
  const requests = temporaryFolder('requests')
  const system = await context.quorate.start(temporaryFolder('profile'), {
    nodes: 3,
    nodeArguments: (node) => [`--inspect=127.0.0.1:${inspectors[node]}`],
  })
  try {
    await fillKeys(context, system, 'quorate', DEFAULTS)
    const workloads: Workload[] = []
    for (const kind of KINDS) {
      if (context.hasWrk) workloads.push(await overHttp(context, system, kind, requests))
      workloads.push(await throughClient(context, system, kind, inspectors.at(-1)!))
    }
    return {
      title: 'Profile',
      tables: workloads.flatMap((workload) => [areasTable(workload), ...functionTables(workload)]),
      charts: [],
      aims: [],
      notes: [
        'Sampling itself costs a few per cent: compare shares, and take the throughput from elsewhere. A native function counts to the area that called it.',
      ],
      raw: workloads.map(rawOf),
    }
  } finally {
    await system.stop()
    removeFolder(requests)
  }
}

/** Without the long tail of functions that were seen once. */
const rawOf = ({ name, perSecond, profiled }: Workload): unknown => ({
  name,
  perSecond,
  profiled: profiled.map(({ role, otherMicros, breakdown: { areas, functions, busyMicros, idleShare } }) => {
    return {
      role,
      otherMicros,
      busyMicros,
      idleShare,
      areas: Object.fromEntries(areas),
      functions: functions.slice(0, 100),
    }
  }),
})

async function overHttp(context: BenchContext, system: RunningSystem, kind: Kind, folder: string): Promise<Workload> {
  const name = `${kind.toUpperCase()} over HTTP, ${DEFAULTS.clients} clients`
  const common = { folder, url: system.urls[0]!, dialect: 'quorate', kind, connections: DEFAULTS.clients } as const
  const shape = { keys: DEFAULTS.keys, valueBytes: DEFAULTS.valueBytes }
  context.progress(`profile: ${name}`)
  await runWrk({ ...common, ...shape, seconds: WARM_UP_SECONDS, seed: 0 })
  const seconds = SAMPLED_SECONDS + 2 * MARGIN_SECONDS
  return await sampled(name, serversOf(system), (onStart) => {
    onStart()
    return runWrk({ ...common, ...shape, seconds, seed: 1 })
  })
}

async function throughClient(
  context: BenchContext,
  system: RunningSystem,
  kind: Kind,
  inspector: number,
): Promise<Workload> {
  const name = `${kind.toUpperCase()} by the TypeScript client, ${CALLERS} callers`
  context.progress(`profile: ${name}`)
  const subjects: Subject[] = [...serversOf(system), { role: 'client', inspector }]
  const seconds = SAMPLED_SECONDS + 2 * MARGIN_SECONDS
  return await sampled(name, subjects, (onStart) =>
    runClientLoad({ endpoints: system.urls, kind, callers: CALLERS, seconds }, onStart, [
      `--inspect=127.0.0.1:${inspector}`,
    ]),
  )
}

/** The leader, and one follower: the other does the same. */
const serversOf = ({ nodes }: RunningSystem): Subject[] =>
  (['leader', 'follower 1'] as const).map((role, at) => ({
    role,
    inspector: inspectorOf(nodes[at]!.process.args),
  }))

function inspectorOf(args: readonly string[]): number {
  const port = args.map((arg) => /^--inspect=127\.0\.0\.1:(\d+)$/.exec(arg)?.[1]).find((found) => found !== undefined)
  if (port === undefined) throw new Error(`a server was started without its inspector: ${args.join(' ')}`)
  return Number(port)
}

/** Samples all subjects in the middle of a load. */
async function sampled(
  name: string,
  subjects: readonly Subject[],
  drive: (onStart: () => void) => Promise<LoadResult>,
): Promise<Workload> {
  const deferred: { resolve?: () => void } = {}
  const started = new Promise<void>((resolve) => {
    deferred.resolve = resolve
  })
  const sample = async (): Promise<Profiled[]> => {
    await started
    await pause(MARGIN_SECONDS * 1_000)
    return await Promise.all(subjects.map((subject) => profiledOf(subject)))
  }
  const [profiled, load] = await Promise.all([sample(), drive(() => deferred.resolve?.())])
  const { perSecond } = assertClean(name, load)
  return { name, perSecond, operations: perSecond * SAMPLED_SECONDS, profiled }
}

async function profiledOf({ role, inspector }: Subject): Promise<Profiled> {
  const { profile: samples, mainMicros, otherMicros } = await sampleCpu(inspector, SAMPLED_SECONDS * 1_000)
  return { role, breakdown: breakdownOf(samples, mainMicros), otherMicros }
}

const sum = (column: ReadonlyMap<string, number>): number => [...column.values()].reduce((a, b) => a + b, 0)

function areasTable({ name, perSecond, operations, profiled }: Workload): Table {
  const columns = profiled.map(({ breakdown, otherMicros }) => {
    return new Map([...breakdown.areas, [OTHER_THREADS, otherMicros]])
  })
  const areas = [...new Set(columns.flatMap((column) => [...column.keys()]))]
  const total = (area: string): number => columns.reduce((sum, column) => sum + (column.get(area) ?? 0), 0)
  const row = (title: string, of: (column: ReadonlyMap<string, number>) => number): string[] =>
    [title].concat(columns.map((column) => (of(column) / operations).toFixed(2)))
  return {
    title: `${name}: CPU µs an operation by area, at ${Math.round(perSecond).toLocaleString('en-US')} operations a second`,
    head: ['area', ...profiled.map(({ role }) => role)],
    rows: [
      ...areas.toSorted((a, b) => total(b) - total(a)).map((area) => row(area, (column) => column.get(area) ?? 0)),
      row('all', sum),
      ['idle share of the main thread', ...profiled.map(({ breakdown }) => percent(breakdown.idleShare))],
    ],
  }
}

const percent = (share: number): string => `${(100 * share).toFixed(1)} %`

const functionTables = ({ name, operations, profiled }: Workload): Table[] =>
  profiled.map(({ role, breakdown }) => ({
    title: `${name}: functions of the ${role} by their own time`,
    head: ['function', 'area', 'µs an operation', 'share of the main thread'],
    rows: breakdown.functions
      .slice(0, FUNCTIONS[role])
      .map((each) => [
        each.name,
        each.area,
        (each.micros / operations).toFixed(2),
        percent(each.micros / breakdown.busyMicros),
      ]),
  }))
