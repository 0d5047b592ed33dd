// npm run zoo: plants each bug of the zoo, runs the suites that must notice it, prints the table. Exits with 1 when a bug survives
// one of its suites.
//
//   npm run zoo -- --starred          only those that CI hunts too
//   npm run zoo -- --quick            by the first, fastest suite of each alone, as in CI
//   npm run zoo -- --only L1,L2       only these
//   npm run zoo -- --simulate         hunts by simulation besides: how many seeds and CPU seconds it took, if it was enough
//     --runs 3 --seeds 500 --seconds 60    how hard it tries: separate runs, and the limits of each
//   npm run zoo -- --simulate --no-suites
import { availableParallelism } from 'node:os'
import process, { exit, stdout } from 'node:process'
import Table from 'cli-table3'
import type { Bug } from '../test/zoo/bug.ts'
import { BUGS, WAITING } from '../test/zoo/bugs.ts'
import { Hunters } from '../test/zoo/hunt.ts'
import { Control, huntBySimulation } from '../test/zoo/simulation.ts'
import type { Verdict } from '../test/zoo/simulation.ts'
import { parseCommandLine } from './command-line.ts'

const HELP = `npm run zoo -- [--starred] [--quick] [--only L1,L2] [--jobs N] [--simulate [--runs 3] [--seeds 500] [--seconds 60] [--no-suites]]

Plants each bug of the zoo, runs the suites that must notice it, and prints the table. Exits with 1 when a bug survives.
  --starred     only those that the tests hunt too
  --quick       by the first, fastest suite of each alone
  --only IDS    only these
  --simulate    hunts by simulation besides: separate runs, and the limits of each in seeds and CPU seconds
  --no-suites   by simulation alone
`

const values = parseCommandLine(HELP, {
  allowNegative: true,
  options: {
    only: { type: 'string' },
    starred: { type: 'boolean', default: false },
    quick: { type: 'boolean', default: false },
    suites: { type: 'boolean', default: true },
    simulate: { type: 'boolean', default: false },
    runs: { type: 'string', default: '3' },
    seeds: { type: 'string', default: '500' },
    seconds: { type: 'string', default: '60' },
    jobs: { type: 'string', default: String(availableParallelism()) },
    help: { type: 'boolean', default: false },
  },
})

function number(name: 'runs' | 'seeds' | 'seconds' | 'jobs'): number {
  const value = Number(values[name])
  if (!(value > 0)) {
    stdout.write(`--${name} takes a positive number, not ${values[name]}\n`)
    exit(2)
  }
  return value
}

const wanted = values.only?.split(',')
const unknown = wanted?.filter((id) => !BUGS.some((bug) => bug.id === id)) ?? []
if (unknown.length > 0) {
  stdout.write(`There is no bug ${unknown.join(', ')} in the zoo.\n`)
  exit(2)
}
const bugs = BUGS.filter(
  ({ id, isStarred }) => (wanted?.includes(id) ?? true) && (!values.starred || isStarred === true),
)
const effort = { runs: number('runs'), seedsMax: number('seeds'), secondsMax: number('seconds') }
const jobs = number('jobs')
const control = values.simulate ? new Control() : undefined
const hunters = new Hunters()

const rows = new Map<Bug, string[][]>()
let escaped = 0
let seen = 0

const nameOf = (bug: Bug): string => (bug.isStarred === true ? `${bug.id} ★` : bug.id)

function note(bug: Bug, by: string, result: string, cost: string, evidence: string): void {
  stdout.write(`${nameOf(bug).padEnd(7)} ${by.padEnd(36)} ${result.padEnd(9)} ${cost}\n`)
  rows.get(bug)!.push([nameOf(bug), bug.what, by, result, cost, evidence.replace(/\s+/g, ' ').slice(0, 160)])
}

async function examine(bug: Bug): Promise<void> {
  rows.set(bug, [])
  const suites = values.quick ? bug.suites.slice(0, 1) : bug.suites
  for (const suite of values.suites ? suites : []) {
    const { result, seconds, evidence } = await hunters.hunt(bug, suite)
    if (result !== 'caught') escaped++
    const name = suite.replace(/^test\//, '').replace(/\.test\.ts$/, '')
    note(bug, name, result, `${seconds.toFixed(1)} s`, evidence)
  }
  if (control === undefined) return
  if (bug.beyondSimulation !== undefined) return note(bug, 'simulation', 'beyond', '', bug.beyondSimulation)
  const verdict = await huntBySimulation(bug, effort, control)
  if (verdict.medianSeeds !== undefined) seen++
  note(bug, 'simulation', verdict.medianSeeds === undefined ? 'survived' : 'caught', costOf(verdict), storyOf(verdict))
}

const costOf = ({ runs, medianSeeds, medianSeconds }: Verdict): string =>
  medianSeeds === undefined
    ? runs.map(({ seeds, cpuSeconds }) => `${seeds} seeds, ${cpuSeconds.toFixed(0)} s`).join('; ')
    : `${medianSeeds} seeds, ${medianSeconds!.toFixed(1)} s`

function storyOf({ runs }: Verdict): string {
  const each = runs.map(({ seed, seeds }) => (seed === undefined ? `none in ${seeds}` : String(seeds))).join(', ')
  const first = runs.find(({ seed }) => seed !== undefined)
  const story =
    first === undefined ? runs.map(({ evidence }) => evidence).join(' ') : `${first.seed}: ${first.evidence}`
  return `seeds: ${each}. ${first === undefined ? '' : 'Seed '}${story}`
}

// Interrupted, it takes its copies of the sources with it.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => exit(1))

const queue = [...bugs]
await Promise.all(
  Array.from({ length: jobs }, async () => {
    for (let bug = queue.shift(); bug !== undefined; bug = queue.shift()) await examine(bug)
  }),
)
control?.close()
hunters.close()

const table = new Table({
  head: ['id', 'bug', 'by', 'result', 'cost', 'found by'],
  colWidths: [7, 46, 28, 10, 18, 60],
  wordWrap: true,
  style: { head: [], border: [] },
})
for (const bug of bugs) table.push(...rows.get(bug)!)
if (wanted === undefined)
  for (const { id, what, waitsFor } of WAITING) table.push([id, what, '', 'waiting', '', waitsFor])
stdout.write(`${table.toString()}\n`)
const total = bugs.length + (wanted === undefined ? WAITING.length : 0)
stdout.write(`${total} bugs, ${bugs.length} planted, ${escaped} hunts by a suite came back empty\n`)
if (values.simulate) {
  const reachable = bugs.filter(({ beyondSimulation }) => beyondSimulation === undefined)
  stdout.write(`simulation caught ${seen} of the ${reachable.length} that it can reach\n`)
}
exit(escaped === 0 ? 0 : 1)
