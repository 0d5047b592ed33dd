// npm run explore: explores the consensus core exhaustively at a tiny scope (test/raft/exploration).
import { spawn } from 'node:child_process'
import { env, execPath, exit, stderr } from 'node:process'
import { fileURLToPath } from 'node:url'
import { parseCommandLine } from './command-line.ts'

const HELP = `npm run explore -- [--states 1000000]

Tries all orders of events on the consensus core, at a tiny scope, until so many states were seen, and checks its invariants in each.
`

const values = parseCommandLine(HELP, {
  options: { states: { type: 'string', default: '1000000' }, help: { type: 'boolean', default: false } },
})
if (!/^[1-9]\d{0,8}$/.test(values.states)) {
  stderr.write(`--states is a whole number from 1 to 999999999, not ${values.states}\n`)
  exit(2)
}
const root = fileURLToPath(new URL('..', import.meta.url))
const vitest = fileURLToPath(new URL('../node_modules/vitest/vitest.mjs', import.meta.url))
const options = `${env['NODE_OPTIONS'] ?? ''} --max-old-space-size=6000`
const child = spawn(execPath, [vitest, 'run', '--project', 'exploration'], {
  cwd: root,
  env: { ...env, EXPLORE_STATES: values.states, NODE_OPTIONS: options },
  stdio: 'inherit',
})
child.on('exit', (code) => exit(code ?? 1))
