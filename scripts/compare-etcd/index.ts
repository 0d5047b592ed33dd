// Semantics side by side with a real etcd: the same random operations on both, one after another, and every answer compared:
// revisions, versions, entries, results of transactions, events. `npm run compare-etcd -- --operations 500 --seed 1`.
import { isDeepStrictEqual } from 'node:util'
import { parseCommandLine } from '../command-line.ts'
import { Draw } from './operations.ts'
import type { Answer, Event, Operation } from './operations.ts'
import { startEtcd } from './etcd.ts'
import { startQuorate } from './quorate.ts'

const HELP = `npm run compare-etcd -- [--operations 500] [--seed 1] [--port 23790]

Runs the same random operations on etcd (Debian: apt-get install etcd-server) and on a cluster of three Quorate nodes, and
compares every answer. The ports PORT and PORT + 1 on loopback are etcd's.
`

const values = parseCommandLine(HELP, {
  options: {
    operations: { type: 'string', default: '500' },
    seed: { type: 'string', default: '1' },
    port: { type: 'string', default: '23790' },
    help: { type: 'boolean', default: false },
  },
})

const operations = Number(values.operations)
const port = Number(values.port)
const draw = new Draw(Number(values.seed))
const [etcd, quorate] = await Promise.all([startEtcd(port, port + 1), startQuorate()])
const counts = new Map<string, number>()
let differences = 0
let known = 0
try {
  let revision = 1
  let compacted = 0
  for (let done = 0; done < operations; done++) {
    const operation = draw.operation(revision, compacted)
    const theirs = await etcd.perform(operation)
    const ours = await quorate.perform(operation)
    const isRefused = 'error' in theirs
    count(`${operation.op}${isRefused ? `: ${theirs.error}` : ''}`)
    if (!isDeepStrictEqual(theirs, ours)) {
      if (isDeepStrictEqual(theirs, withoutDeletesAt(compacted, operation, ours))) known++
      else report(operation, theirs, ours)
    }
    if (!isRefused) revision = theirs.revision
    if (operation.op === 'compact' && !isRefused) compacted = operation.revision
  }
} finally {
  await Promise.all([etcd.close(), quorate.close()])
}
for (const [what, times] of [...counts].sort(([a], [b]) => (a < b ? -1 : 1)))
  process.stdout.write(`${String(times).padStart(6)}  ${what}\n`)
process.stdout.write(`${operations} operations, seed ${values.seed}: ${differences} differences, ${known} known\n`)
process.exitCode = differences === 0 ? 0 : 1

function count(what: string): void {
  counts.set(what, (counts.get(what) ?? 0) + 1)
}

/** Older releases of etcd leave the deletes of the compacted revision itself out of a watch that begins there (README.md). */
function withoutDeletesAt(compacted: number, operation: Operation, answer: Answer): Answer {
  if (operation.op !== 'watch' || 'error' in answer || answer.events === undefined) return answer
  const isKept = ({ kind, entry }: Event): boolean => kind === 'put' || entry.modRevision !== compacted
  return { ...answer, events: answer.events.filter(isKept) }
}

function report(operation: Operation, theirs: Answer, ours: Answer): void {
  differences++
  process.stdout.write(`DIFFERENT ${JSON.stringify(operation)}\n  etcd    ${JSON.stringify(theirs)}\n`)
  process.stdout.write(`  quorate ${JSON.stringify(ours)}\n`)
}
