// npm run simulate: whole clusters under faults in simulated time (test/sim).
import { availableParallelism } from 'node:os'
import process, { exit, stdout } from 'node:process'
import { runCampaign } from '../test/sim/campaign.ts'
import type { SeedReport, Totals } from '../test/sim/campaign.ts'
import { runSeedTwice } from '../test/sim/determinism.ts'
import { runSeed } from '../test/sim/run-seed.ts'
import type { SeedResult } from '../test/sim/run-seed.ts'
import { SITUATIONS } from '../test/sim/situations.ts'
import type { Situation } from '../test/sim/situations.ts'
import { parseCommandLine } from './command-line.ts'

const HELP = `npm run simulate -- [options]

Runs whole clusters under faults in simulated time, one for each seed. Exits with 1 when a seed fails, and says how to run that one again.
  --seeds 200             seeds 1 to 200, on all cores; so many unless told otherwise
  --from 5000             from this seed on
  --minutes 10            as many seeds as fit
  --seed 17 [--trace]     one seed, with all of its events
  --nodes 5               so many nodes, instead of as many as the seed draws
  --workers 2             so many seeds at a time
  --check-determinism     each seed twice, with equal events; else one in twenty
`

const values = parseCommandLine(HELP, {
  options: {
    seed: { type: 'string' },
    seeds: { type: 'string' },
    minutes: { type: 'string' },
    from: { type: 'string', default: '1' },
    nodes: { type: 'string' },
    workers: { type: 'string' },
    trace: { type: 'boolean', default: false },
    'check-determinism': { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
})

/** Of seeds in a campaign that were not asked to be checked, one in so many is run twice all the same. */
const CHECK_EVERY = 20
const SEEDS_DEFAULT = 200
/** Without a terminal, progress is a line after so many seeds. */
const LINE_EVERY = 100

function number(name: 'seed' | 'seeds' | 'minutes' | 'from' | 'nodes' | 'workers'): number | undefined {
  const text = values[name]
  if (text === undefined) return undefined
  const value = Number(text)
  if (!(value > 0)) {
    stdout.write(`--${name} takes a positive number, not ${text}\n`)
    exit(2)
  }
  return value
}

const nodes = number('nodes')
const seed = number('seed')

const reproduce = (result: SeedResult): string =>
  `npm run simulate -- --seed ${result.seed}${nodes === undefined ? '' : ` --nodes ${nodes}`} --trace`

function showFailure(result: SeedResult): void {
  stdout.write(`\nThe last events of seed ${result.seed}:\n${result.lastEvents.join('\n')}\n`)
  stdout.write(`\nIts options: ${JSON.stringify(result.swarm)}\n`)
  stdout.write(`\nSeed ${result.seed} FAILED: ${result.failure}\nTo reproduce: ${reproduce(result)}\n`)
}

async function one(only: number): Promise<number> {
  const onLine = values.trace ? (line: string): void => void stdout.write(`${line}\n`) : undefined
  const run = values['check-determinism'] ? runSeedTwice : runSeed
  const result = await run(only, { nodes, onLine })
  if (result.failure !== undefined) showFailure(result)
  else {
    const seconds = (result.simulatedMs / 1_000).toFixed(1)
    stdout.write(`Options: ${JSON.stringify(result.swarm)}\n`)
    stdout.write(
      `Seed ${only} passed: ${seconds} simulated seconds, ${result.events} events, ${result.operations} operations, ` +
        `${result.entries} entries, trace ${result.traceHash}\n`,
    )
  }
  return result.failure === undefined ? 0 : 1
}

async function many(): Promise<number> {
  const minutes = number('minutes')
  const seeds = number('seeds') ?? (minutes === undefined ? SEEDS_DEFAULT : undefined)
  const from = number('from') ?? 1
  const startMs = performance.now()
  const interrupted = new AbortController()
  process.once('SIGINT', () => {
    stdout.write('\nfinishing the seeds under way; once more to stop at once\n')
    interrupted.abort()
  })
  const totals = await runCampaign({
    signal: interrupted.signal,
    from,
    seeds,
    minutes,
    nodes,
    workers: number('workers') ?? availableParallelism(),
    checkEvery: values['check-determinism'] ? 1 : CHECK_EVERY,
    onReport: (_report: SeedReport, so: Totals) => showProgress(so, seeds),
  })
  if (stdout.isTTY) stdout.write('\r\u001b[K')
  summarise(totals, from, (performance.now() - startMs) / 1_000)
  for (const failure of totals.failed) showFailure(failure)
  return totals.failed.length === 0 ? 0 : 1
}

function showProgress({ seeds: done, simulatedMs, failed }: Totals, wanted: number | undefined): void {
  if (!stdout.isTTY) {
    const hours = (simulatedMs / 3_600_000).toFixed(2)
    if (done % LINE_EVERY === 0) stdout.write(`${done} seeds, ${hours} simulated h, ${failed.length} failed\n`)
    return
  }
  const width = 30
  const filled = wanted === undefined ? 0 : Math.floor((width * done) / wanted)
  const bar = wanted === undefined ? '' : `[${'#'.repeat(filled)}${'.'.repeat(width - filled)}] `
  const hours = (simulatedMs / 3_600_000).toFixed(2)
  stdout.write(
    `\r${bar}${done}${wanted === undefined ? '' : `/${wanted}`} seeds, ${hours} simulated h, ${failed.length} failed`,
  )
}

function summarise(totals: Totals, from: number, seconds: number): void {
  const { seeds, simulatedMs, events, operations, answered, entries, cpuSeconds, cpuSecondsMax, undecided, searched } =
    totals
  const rows: [string, string][] = [
    ['seeds', `${seeds} (${from} to ${totals.next - 1})`],
    ['failed', String(totals.failed.length)],
    ['simulated hours', `${(simulatedMs / 3_600_000).toFixed(2)}, in ${(cpuSeconds / 60).toFixed(2)} CPU minutes`],
    ['events', String(events)],
    ['operations', `${operations}, ${answered} answered`],
    ['entries committed', String(entries)],
    ['histories searched', String(searched)],
    [
      'histories not decided',
      undecided.length === 0 ? '0' : `${undecided.length}: ${undecided.slice(0, 10).join(', ')}`,
    ],
    [
      'CPU seconds',
      `${cpuSeconds.toFixed(1)}, a seed ${(cpuSeconds / Math.max(1, seeds)).toFixed(2)}, at most ${cpuSecondsMax.toFixed(2)}`,
    ],
    ['seconds', seconds.toFixed(1)],
  ]
  for (const [name, value] of rows) stdout.write(`${name.padEnd(24)}${value}\n`)
  stdout.write('\nHow often each situation came about:\n')
  for (const [name, what] of Object.entries(SITUATIONS)) {
    const count = totals.situations[name as Situation] ?? 0
    stdout.write(`${String(count).padStart(10)}  ${name.padEnd(24)}${what}\n`)
  }
  stdout.write(`\nTo go on: npm run simulate -- --from ${totals.next}\n`)
}

exit(seed === undefined ? await many() : await one(seed))
