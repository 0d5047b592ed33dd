// Quorate under a part of its saturation for minutes, while a follower is away until its part of the log is gone, comes back and is
// sent a snapshot, and history is compacted: whatever stalls the leader shows in the second in which it does.
import { setTimeout as pause } from 'node:timers/promises'
import { request } from 'undici'
import { removeFolder, temporaryFolder } from '../cleanup.ts'
import { checkBeside } from '../history.ts'
import type { LoadResult } from '../load/load-result.ts'
import { runProbe } from '../load/probe.ts'
import type { Probed, ProbedSecond } from '../load/probe.ts'
import { mainThreadWaitMs } from '../measure.ts'
import type { RunningNode, RunningSystem } from '../systems/system.ts'
import { DEFAULTS, assertClean, driversOf, fillKeys, milliseconds } from './drivers.ts'
import type { Driver, DriveRequest } from './drivers.ts'
import type { BenchContext, NamedChart, Table } from './part.ts'

/** A stall is a request that took longer. */
const STALL_MICROS = 50_000
/** The machine held up the probe for half as long: one of the many steps of a put may well have met the same. */
const HELD_UP_MS = 25
/** Over so long the leader's waits for a processor are summed up. */
const WAIT_PERIOD_MS = 100
/** The processors were busy with something else when they took more than this share of it. */
const WAIT_SHARE = 0.5
/** What the machine does without any load. */
const QUIET_SECONDS = 30

interface Incident {
  /** Share of the run at which it begins. */
  readonly at: number
  readonly name: string
  act(system: RunningSystem): Promise<void>
}

const INCIDENTS: readonly Incident[] = [
  { at: 0.15, name: 'history compacted', act: compact },
  { at: 0.25, name: 'follower killed', act: ({ nodes }) => nodes[1]!.process.stop() },
  {
    at: 0.5,
    name: 'follower restarted',
    act: async ({ nodes }) => {
      nodes[1]!.process.start()
    },
  },
  { at: 0.75, name: 'history compacted', act: compact },
]

interface Mark {
  readonly x: number
  readonly name: string
}

export interface LongRun {
  readonly tables: readonly Table[]
  readonly charts: readonly NamedChart[]
  readonly notes: readonly string[]
  readonly raw: unknown
}

export async function longRun(context: BenchContext): Promise<LongRun> {
  const { share } = context
  const driver = driversOf(context)[0]!
  const seconds = Math.max(10, Math.round(context.minutes * 60))
  const probed = temporaryFolder('probe')
  context.progress(`latency: what the machine does to a process without load, ${QUIET_SECONDS} s`)
  const quiet = await runProbe(probed, QUIET_SECONDS)
  const over = new AbortController()
  const system = await driver.system.start(temporaryFolder('long-run'), { nodes: 3 })
  try {
    await fillKeys(context, system, driver.dialect, DEFAULTS)
    const most = assertClean(
      'saturation before the long run',
      await driver.drive(system, { ...DEFAULTS, kind: 'put', seconds: Math.max(3, context.seconds) }),
    )
    const rate = Math.floor(most.perSecond * share)
    context.progress(`latency: ${rate} puts a second for ${seconds} s`)
    const waits = watchWaits(system.processes[0]!.pid, over.signal)
    const [{ result, marks, beganAtMs }, probe] = await Promise.all([
      drive(context, driver, system, { ...DEFAULTS, kind: 'put', rate, seconds }),
      runProbe(probed, seconds, over.signal),
    ])
    // Apart from what is measured, because it adds requests of its own.
    const again = driver.drive(system, { ...DEFAULTS, kind: 'put', rate, seconds: context.seconds })
    const checked = await checkBeside(system.urls, 'the long run', again)
    context.progress(`latency: a history of ${checked.operations} operations at that rate is linearizable`)
    return reportOf({ result, marks, beganAtMs, share, rate, seconds, quiet, probe, waits })
  } finally {
    over.abort()
    await system.stop()
    removeFolder(probed)
  }
}

async function drive(
  context: BenchContext,
  driver: Driver,
  system: RunningSystem,
  asked: DriveRequest,
): Promise<{ readonly result: LoadResult; readonly marks: readonly Mark[]; readonly beganAtMs: number }> {
  const marks: Mark[] = []
  const over = new AbortController()
  let beganMs = performance.now()
  const sinceBegin = (): number => (performance.now() - beganMs) / 1_000
  const note = (name: string): void => {
    marks.push({ x: sinceBegin(), name })
    context.progress(`latency: ${name}`)
  }
  let start: (() => void) | undefined
  const started = new Promise<void>((resolve) => {
    start = resolve
  })
  /** Beside the incidents that follow; what went wrong is told at the end. */
  const watchReturn = async (): Promise<unknown> => {
    try {
      if (await isReadyBefore(over.signal, system.nodes[1]!)) note('follower caught up')
      return undefined
    } catch (error) {
      return error
    }
  }
  const disturb = async (): Promise<void> => {
    await started
    let returned: Promise<unknown> = Promise.resolve(undefined)
    beganMs = performance.now()
    for (const incident of INCIDENTS) {
      await pause(Math.max(0, incident.at * asked.seconds - sinceBegin()) * 1_000, undefined, { signal: over.signal })
      note(incident.name)
      await incident.act(system)
      if (incident.name === 'follower restarted') returned = watchReturn()
    }
    const failure = await returned
    if (failure !== undefined) throw failure
  }
  // The load's end ends the incidents too; one that was not reached by then is not an error.
  const disturbed = disturb().catch((error: unknown) => {
    if (!over.signal.aborted) throw error
  })
  const loaded = driver.drive(system, asked, () => start?.())
  try {
    const result = await Promise.race([loaded, disturbed.then(() => loaded)])
    return { result, marks, beganAtMs: performance.timeOrigin + beganMs }
  } finally {
    over.abort()
    start?.()
    await disturbed
  }
}

/** A period in which the main thread waited for a processor for more than its share. */
interface Wait {
  /** Milliseconds of the wall clock. */
  readonly fromMs: number
  readonly toMs: number
}

/** The list grows until `signal` says that it is enough. Undefined where the kernel does not count waits. */
function watchWaits(pid: number, signal: AbortSignal): readonly Wait[] | undefined {
  const waitedMs = mainThreadWaitMs(pid)
  if (waitedMs === undefined) return undefined
  const waits: Wait[] = []
  let before = { atMs: Date.now(), waitedMs }
  const timer = setInterval(() => {
    const now = { atMs: Date.now(), waitedMs: mainThreadWaitMs(pid) ?? 0 }
    const [fromMs, toMs] = [before.atMs, now.atMs]
    if (now.waitedMs - before.waitedMs > WAIT_SHARE * (toMs - fromMs)) waits.push({ fromMs, toMs })
    before = now
  }, WAIT_PERIOD_MS)
  signal.addEventListener('abort', () => clearInterval(timer), { once: true })
  return waits
}

/** However long it takes to be sent the snapshot and the log behind it, unless the run ends first or the node does. */
async function isReadyBefore(signal: AbortSignal, node: RunningNode): Promise<boolean> {
  const aborted = new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }))
  while (!signal.aborted) {
    try {
      await Promise.race([node.ready(), aborted])
      return !signal.aborted
    } catch (error) {
      // It waited for as long as such a wait may take; here a node that still runs may take longer.
      if (!node.process.isRunning) throw error
    }
  }
  return false
}

async function compact({ urls }: RunningSystem): Promise<void> {
  const status = await request(`${urls[0]}/v1/status`)
  const { revision } = (await status.body.json()) as { readonly revision: number }
  const headers = { 'content-type': 'application/json' }
  const body = JSON.stringify({ revision: Math.max(1, revision - 1_000) })
  const answer = await request(`${urls[0]}/v1/compact`, { method: 'POST', headers, body })
  const text = await answer.body.text()
  if (answer.statusCode >= 300) throw new Error(`compaction was answered ${answer.statusCode}: ${text}`)
}

interface Outcome {
  readonly result: LoadResult
  readonly marks: readonly Mark[]
  /** Milliseconds of the wall clock. */
  readonly beganAtMs: number
  /** Of the saturation. */
  readonly share: number
  readonly rate: number
  readonly seconds: number
  /** Before the run, with nothing else going on. */
  readonly quiet: Probed
  /** Beside the run. */
  readonly probe: Probed
  /** Of the leader, beside the run; undefined where they are not counted. */
  readonly waits: readonly Wait[] | undefined
}

function reportOf(outcome: Outcome): LongRun {
  const { result, marks, share, rate, seconds, quiet, probe, waits } = outcome
  const { latency, series } = result
  const stalls = series.filter(({ max }) => max > STALL_MICROS)
  const heldUp = stalls.filter(({ second }) => isHeldUp(outcome, second))
  const waited = stalls.filter(({ second }) => hasWaited(outcome, second))
  const calm = series.filter((each) => !stalls.includes(each))
  const waitedCalmly = calm.filter(({ second }) => hasWaited(outcome, second))
  const neither = stalls.filter((each) => !heldUp.includes(each) && !waited.includes(each))
  const row = [
    String(rate),
    String(seconds),
    ...[latency.p50, latency.p99, latency.p999, latency.max].map(milliseconds),
    `${stalls.length} of ${series.length}`,
    `${heldUp.length} of ${stalls.length}`,
    waits === undefined
      ? 'not counted by this kernel'
      : `${waited.length} of ${stalls.length}; of the other seconds in ${waitedCalmly.length} of ${calm.length}`,
    `${neither.length} of ${stalls.length}`,
    milliseconds(result.generatorLag.max),
    String(result.errors),
  ]
  const points = (pick: 'p50' | 'p99' | 'max'): [number, number][] =>
    series.map((second) => [second.second, Math.max(0.01, second[pick] / 1_000)])
  return {
    tables: [
      {
        title: `Long run of puts at ${share} of the saturation, open loop (ms)`,
        head: [
          'a second',
          'seconds',
          'p50',
          'p99',
          'p99.9',
          'max',
          'seconds with a stall over 50 ms',
          `of them the probe was held up for over ${HELD_UP_MS} ms, too`,
          `in them the leader's main thread waited for a processor for over ${WAIT_PERIOD_MS * WAIT_SHARE} of ${WAIT_PERIOD_MS} ms`,
          'neither',
          "generator's lag max",
          'errors',
        ],
        rows: [row],
      },
      {
        title: 'The probe: it sleeps for 10 ms and writes 4 KiB, synced, over and over (ms)',
        head: [
          '',
          'seconds',
          'overslept at most',
          'slowest write',
          `seconds with more than ${HELD_UP_MS} ms of either`,
        ],
        rows: [probeRow('before the run, without load', quiet), probeRow('beside the run', probe)],
      },
    ],
    charts: [
      {
        name: 'latency-long-run',
        chart: {
          title: `Quorate: ${rate} puts a second, by the second in which they were due`,
          xLabel: 'seconds',
          yLabel: 'ms',
          isLogY: true,
          series: [
            ...(['p50', 'p99', 'max'] as const).map((name) => ({ name, points: points(name) })),
            {
              name: 'the probe, worst',
              points: probe.seconds.map((each): [number, number] => [each.second, worst(each)]),
            },
          ],
          marks,
        },
      },
    ],
    notes: [
      "The generator's own pauses are contained in the long run's latencies: compare with its lag before calling a second a stall of the store.",
      'The probe is another process on the same machine and disk. What holds it up during the run may be the machine or the work of the three nodes; before the run it is the machine.',
    ],
    raw: { result, marks, quiet, probe, waits },
  }
}

const probeRow = (name: string, { seconds }: Probed): string[] => [
  name,
  String(seconds.length),
  milliseconds(1_000 * Math.max(...seconds.map(({ late }) => late))),
  milliseconds(1_000 * Math.max(...seconds.map(({ write }) => write))),
  String(seconds.filter(isSlow).length),
]

const worst = ({ late, write }: ProbedSecond): number => Math.max(0.01, late, write)
const isSlow = (second: ProbedSecond): boolean => worst(second) > HELD_UP_MS

/** Whether the probe was, too, in that second of the load or right after it. */
function isHeldUp({ beganAtMs, probe }: Outcome, second: number): boolean {
  return probe.seconds.some((probed) => {
    const atMs = probe.startedAtMs + probed.second * 1_000
    return isSlow(probed) && isMeanwhile(beganAtMs + second * 1_000, atMs, atMs + 1_000)
  })
}

const hasWaited = ({ beganAtMs, waits }: Outcome, second: number): boolean =>
  waits?.some(({ fromMs, toMs }) => isMeanwhile(beganAtMs + second * 1_000, fromMs, toMs)) ?? false

/** Within the second that begins at `secondMs`, or within half of the next: what was due in the second may still be under way. */
const isMeanwhile = (secondMs: number, fromMs: number, toMs: number): boolean =>
  toMs > secondMs && fromMs < secondMs + 1_500
