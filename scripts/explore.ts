// npm run explore -- --states 1000000: explores the consensus core exhaustively at a tiny scope (test/raft/exploration).
import { spawn } from 'node:child_process'
import { argv, env, execPath, exit } from 'node:process'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'

const { values } = parseArgs({ args: argv.slice(2), options: { states: { type: 'string', default: '1000000' } } })
if (!/^[1-9]\d{0,8}$/.test(values.states)) {
  throw new Error(`--states is a whole number from 1 to 999999999, not ${values.states}`)
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
