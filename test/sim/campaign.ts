// Many seeds on all cores: child processes run one seed each at a time, and what they find is added up.
import { fork } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import type { SeedResult } from './run-seed.ts'
import { addCounts } from './situations.ts'
import type { SituationCounts } from './situations.ts'

const WORKER = fileURLToPath(new URL('seed-worker.ts', import.meta.url))

/** What a worker is told. */
export interface SeedOrder {
  readonly seed: number
  readonly nodes: number | undefined
  /** Runs it twice and compares. */
  readonly isChecked: boolean
}

export interface SeedReport extends SeedResult {
  readonly cpuSeconds: number
}

export interface CampaignOptions {
  readonly from: number
  /** Seeds to run; undefined: until the time is over. */
  readonly seeds: number | undefined
  readonly minutes: number | undefined
  readonly nodes: number | undefined
  readonly workers: number
  /** One in so many seeds is run twice; 1 = all, 0 = none. */
  readonly checkEvery: number
  /** No further seed is begun once it is aborted; those under way are finished and counted. */
  readonly signal?: AbortSignal
  readonly onReport?: (report: SeedReport, totals: Totals) => void
}

export interface Totals {
  seeds: number
  failed: SeedReport[]
  undecided: number[]
  /** Histories that the log's order did not explain. */
  searched: number
  simulatedMs: number
  events: number
  operations: number
  answered: number
  entries: number
  cpuSeconds: number
  cpuSecondsMax: number
  readonly situations: SituationCounts
  /** The next seed to begin with. */
  next: number
}

export async function runCampaign(options: CampaignOptions): Promise<Totals> {
  const totals: Totals = {
    seeds: 0,
    failed: [],
    undecided: [],
    searched: 0,
    simulatedMs: 0,
    events: 0,
    operations: 0,
    answered: 0,
    entries: 0,
    cpuSeconds: 0,
    cpuSecondsMax: 0,
    situations: {},
    next: options.from,
  }
  const endMs = options.minutes === undefined ? Infinity : performance.now() + options.minutes * 60_000
  const take = (): number | undefined => {
    const isOver = performance.now() >= endMs || totals.failed.length > 0 || options.signal?.aborted === true
    if (isOver || totals.next - options.from >= (options.seeds ?? Infinity)) return undefined
    return totals.next++
  }
  await Promise.all(Array.from({ length: options.workers }, () => work(options, totals, take)))
  return totals
}

async function work(options: CampaignOptions, totals: Totals, take: () => number | undefined): Promise<void> {
  const child = fork(WORKER, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
  try {
    for (let seed = take(); seed !== undefined; seed = take()) {
      const isChecked = options.checkEvery > 0 && seed % options.checkEvery === 0
      const report = await order(child, { seed, nodes: options.nodes, isChecked })
      add(totals, report)
      options.onReport?.(report, totals)
    }
  } finally {
    child.disconnect()
  }
}

function order(child: ChildProcess, what: SeedOrder): Promise<SeedReport> {
  return new Promise((resolve, reject) => {
    const lost = (code: number | null): void =>
      reject(new Error(`the process that ran seed ${what.seed} ended with ${code}`))
    child.once('exit', lost)
    child.once('message', (report: SeedReport) => {
      child.off('exit', lost)
      resolve(report)
    })
    child.send(what)
  })
}

function add(totals: Totals, report: SeedReport): void {
  totals.seeds++
  if (report.failure !== undefined) totals.failed.push(report)
  if (report.isSearched) totals.searched++
  if (report.isUndecided) totals.undecided.push(report.seed)
  totals.simulatedMs += report.simulatedMs
  totals.events += report.events
  totals.operations += report.operations
  totals.answered += report.answered
  totals.entries += report.entries
  totals.cpuSeconds += report.cpuSeconds
  totals.cpuSecondsMax = Math.max(totals.cpuSecondsMax, report.cpuSeconds)
  addCounts(totals.situations, report.situations)
}
