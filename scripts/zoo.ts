// npm run zoo [-- --only L1,L2] [-- --starred]: plants each bug of the zoo, runs the suites that must notice it, prints the table.
// Exits with 1 when a bug survives one of its suites.
import { argv, exit, stdout } from 'node:process'
import { parseArgs } from 'node:util'
import Table from 'cli-table3'
import { BUGS, WAITING } from '../test/zoo/bugs.ts'
import { hunt } from '../test/zoo/hunt.ts'

const { values } = parseArgs({
  args: argv.slice(2),
  options: { only: { type: 'string' }, starred: { type: 'boolean', default: false } },
})
const wanted = values.only?.split(',')
const bugs = BUGS.filter(
  ({ id, isStarred }) => (wanted?.includes(id) ?? true) && (!values.starred || isStarred === true),
)

const table = new Table({
  head: ['id', 'bug', 'suite', 'result', 'seconds', 'found by'],
  colWidths: [7, 46, 28, 10, 9, 50],
  wordWrap: true,
  style: { head: [], border: [] },
})
let escaped = 0
for (const bug of bugs) {
  const id = bug.isStarred === true ? `${bug.id} ★` : bug.id
  for (const suite of bug.suites) {
    const { result, seconds, evidence } = await hunt(bug, suite)
    if (result !== 'caught') escaped++
    const name = suite.replace(/^test\//, '').replace(/\.test\.ts$/, '')
    stdout.write(`${id.padEnd(7)} ${result.padEnd(9)} ${seconds.toFixed(1).padStart(6)} s  ${name}\n`)
    table.push([id, bug.what, name, result, seconds.toFixed(1), evidence.slice(0, 160)])
  }
}
if (wanted === undefined)
  for (const { id, what, waitsFor } of WAITING) table.push([id, what, '', 'waiting', '', waitsFor])
stdout.write(`${table.toString()}\n`)
const rows = bugs.length + (wanted === undefined ? WAITING.length : 0)
stdout.write(`${rows} bugs, ${bugs.length} planted, ${escaped} hunts came back empty\n`)
exit(escaped === 0 ? 0 : 1)
