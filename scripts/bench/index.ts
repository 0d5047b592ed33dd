// npm run bench: Quorate beside etcd on this machine. Parses the command line, runs the parts one after another, writes the results.
import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync } from 'node:fs'
import { cpus, tmpdir, totalmem } from 'node:os'
import { join, resolve } from 'node:path'
import process, { stderr, stdout } from 'node:process'
import { parseCommandLine } from '../command-line.ts'
import { cleanUpAtExit, killChildren, temporaryFolder } from './cleanup.ts'
import { buildGoLoad } from './load/go-load.ts'
import type { GoStore } from './load/go-load.ts'
import { isWrkInstalled } from './load/wrk.ts'
import type { BenchContext, FurtherStore, Part, PartResult } from './parts/part.ts'
import { PARTS } from './parts/index.ts'
import { aimsTable, failuresOf, writeReport } from './report.ts'
import type { NamedResult, RunDescription } from './report.ts'
import { Schedule, minutes, stagesOf } from './schedule.ts'
import { ceiling } from './systems/ceiling.ts'
import { findEtcd } from './systems/etcd.ts'
import { findNats } from './systems/nats.ts'
import { quorate } from './systems/quorate.ts'
import type { System } from './systems/system.ts'
import { findZookeeper } from './systems/zookeeper.ts'

const FULL = { rounds: 3, seconds: 2, minutes: 10, share: 0.5, faults: 50, keys: 1_000_000 }
/** Without what has no row in the table of aims. */
const MATRIX = { ...FULL, faults: 10 }
const SHORT = { rounds: 3, seconds: 1, minutes: 0.2, share: 0.5, faults: 3, keys: 100_000 }

/** Beyond its estimate so far, on a machine however slow, a part hangs: its processes are killed, and it fails by that. */
const LATE_FACTOR = 5
const LATE_SECONDS = 600

const RUNS = {
  always: '',
  matrix: ' (not in the short form)',
  full: ' (neither in the short form nor in the matrix)',
  'by name': ' (only by name)',
} as const

const HELP = `npm run bench -- [options]

Measures a cluster of Quorate, and beside it one of etcd where that is installed, on this machine, with fresh data in the temporary
directory, in turns. Prints what was reached, and writes results.md, results.json and charts into a folder. Without options it takes
three quarters of an hour, ten minutes of which are one long run.

  --short          a first impression in about two minutes: fewer parts and workloads, ${SHORT.rounds} rounds of ${SHORT.seconds} second
  --matrix         all that the table of aims asks, in about twenty minutes: no growth, no latency, ${MATRIX.faults} kills
  --only A,B       these parts alone
  --profile        the same as --only profile
  --rounds N       interleaved repetitions of each measurement (${FULL.rounds})
  --seconds N      how long each of them takes (${FULL.seconds})
  --minutes N      length of the long run of the latency part (${FULL.minutes})
  --share N        the part of the saturation at which the long run runs (${FULL.share})
  --faults N       how often each fault of the failover part is repeated (${FULL.faults}); the kill, that is: others less often
  --keys N         the most keys that growth and restarts go to, a power of ten (${FULL.keys}; 10000000 takes half an hour more)
  --out DIR        where the results go (a new folder of the temporary directory)

Parts:
${PARTS.map(({ name, summary, runs }) => `  ${name.padEnd(16)} ${summary}${RUNS[runs]}`).join('\n')}

Wants, on Debian: apt-get install wrk etcd-server etcd-client golang-go golang-etcd-server-dev, and, for further columns, nats-server
golang-github-nats-io-go-nats-dev and zookeeper golang-github-samuel-go-zookeeper-dev. It measures without what is missing, and
says so. Run it on a machine that does nothing else.
`

const values = parseCommandLine(HELP, {
  options: {
    short: { type: 'boolean', default: false },
    matrix: { type: 'boolean', default: false },
    only: { type: 'string' },
    profile: { type: 'boolean', default: false },
    rounds: { type: 'string' },
    seconds: { type: 'string' },
    minutes: { type: 'string' },
    share: { type: 'string' },
    faults: { type: 'string' },
    keys: { type: 'string' },
    out: { type: 'string' },
    help: { type: 'boolean', short: 'h', default: false },
  },
})

cleanUpAtExit()
const startedMs = performance.now()
let schedule: Schedule | undefined
const context = await prepare()
const parts = chosenParts()
const folder = outputFolder()
stdout.write(`${machine()}\n${systems(context).join('\n')}\n\nResults go to ${folder}\n\n`)
schedule = new Schedule(stagesOf(parts, context))
stdout.write(`${schedule.describe()}\n\n`)
const results: NamedResult[] = []
for (const part of parts) {
  schedule.advance()
  context.progress(`== ${part.name}: ${part.summary}`)
  results.push({ part: part.name, result: await attempt(part) })
  writeReport(folder, description(), results)
}
const notes = results.flatMap(({ result }) => result.notes)
const failures = failuresOf(results)
stdout.write(`\n${aimsTable(results.flatMap(({ result }) => result.aims))}\n\n`)
for (const note of notes) stdout.write(`- ${note}\n`)
for (const failure of failures) stdout.write(`FAILED: ${failure}\n`)
stdout.write(`\nresults.md, results.json and the charts are in ${folder}\n`)
// Connections of the bench's own that are kept alive would keep it waiting.
process.exit(failures.length > 0 ? 1 : 0)

/** A part that breaks, or hangs, is named in the report; the others are worth having all the same. */
async function attempt(part: Part): Promise<PartResult> {
  const limit = setTimeout(killChildren, 1_000 * (LATE_SECONDS + LATE_FACTOR * part.estimateSeconds(context)))
  try {
    return await part.run(context)
  } catch (error) {
    killChildren()
    const reason = error instanceof Error ? (error.stack ?? error.message) : String(error)
    context.progress(`${part.name} FAILED: ${reason}`)
    const failure = `it broke off: ${String(error)}`
    return {
      title: part.name,
      tables: [],
      charts: [],
      aims: [],
      notes: [],
      failures: [failure],
      raw: { failure: reason },
    }
  } finally {
    clearTimeout(limit)
  }
}

async function prepare(): Promise<BenchContext> {
  if (values.short && values.matrix) usage('--short and --matrix exclude each other')
  const defaults = values.short ? SHORT : values.matrix ? MATRIX : FULL
  const number = (name: keyof typeof FULL): number => {
    const text = values[name]
    const value = text === undefined ? defaults[name] : Number(text)
    if (!(value > 0)) usage(`--${name} takes a positive number, not ${text}`)
    return value
  }
  const etcd = await findEtcd()
  return {
    quorate,
    etcd,
    etcdLoad: etcd === undefined ? undefined : await goLoad('etcd'),
    // The short form has no time for them.
    nats: values.short ? undefined : await withLoad('nats', await findNats()),
    zookeeper: values.short ? undefined : await withLoad('zookeeper', await findZookeeper()),
    hasWrk: await isWrkInstalled(),
    rounds: Math.round(number('rounds')),
    seconds: number('seconds'),
    minutes: number('minutes'),
    share: number('share'),
    faults: Math.round(number('faults')),
    keysMax: Math.round(number('keys')),
    isShort: values.short,
    progress,
  }
}

function progress(line: string): void {
  const seconds = Math.round((performance.now() - startedMs) / 1_000)
  const left = schedule === undefined ? '' : `, ${minutes(schedule.minutesLeft())} min left`
  stdout.write(`${String(seconds).padStart(5)} s${left.padEnd(14)}  ${line}\n`)
}

async function goLoad(store: GoStore): Promise<string | undefined> {
  progress(`building the load generator with the Go client of ${store}; the first time takes a minute`)
  const built = await buildGoLoad(store, temporaryFolder('generator'))
  if ('path' in built) return built.path
  progress(`the Go client of ${store} is left out: ${built.absent}`)
  return undefined
}

async function withLoad(store: GoStore, system: System | undefined): Promise<FurtherStore | undefined> {
  const load = system === undefined ? undefined : await goLoad(store)
  return system === undefined || load === undefined ? undefined : { system, load }
}

function chosenParts(): readonly Part[] {
  if (values.profile) return PARTS.filter(({ name }) => name === 'profile')
  if (values.only === undefined) {
    const runs = values.short ? ['always'] : values.matrix ? ['always', 'matrix'] : ['always', 'matrix', 'full']
    return PARTS.filter((part) => runs.includes(part.runs))
  }
  return values.only.split(',').map((name) => {
    const part = PARTS.find((part) => part.name === name)
    return part ?? usage(`there is no part ${name}; there are ${PARTS.map(({ name }) => name).join(', ')}`)
  })
}

function outputFolder(): string {
  if (values.out === undefined) return mkdtempSync(join(tmpdir(), 'quorate-bench-results-'))
  const folder = resolve(values.out)
  mkdirSync(folder, { recursive: true })
  return folder
}

function machine(): string {
  const kernel = execFileSync('uname', ['-sr'], { encoding: 'utf8' }).trim()
  const memory = (totalmem() / 1024 ** 3).toFixed(0)
  return `${cpus().length} x ${cpus()[0]?.model.trim() ?? 'CPU'}, ${memory} GiB, ${kernel}; all servers and load generators on this one machine, data in ${tmpdir()}.`
}

function systems({ etcd, nats, zookeeper }: BenchContext): string[] {
  return [quorate, etcd, nats?.system, zookeeper?.system, ceiling]
    .filter((system) => system !== undefined)
    .map(({ name, version, promises }) => `${name} ${version}: ${promises}.`)
}

function description(): RunDescription {
  return {
    machine: machine(),
    systems: systems(context),
    settings: `${values.short ? 'The short form: ' : ''}${context.rounds} rounds of ${context.seconds} s`,
    tookMinutes: (performance.now() - startedMs) / 60_000,
  }
}

function usage(complaint: string): never {
  stderr.write(`${complaint}\n`)
  process.exit(2)
}
