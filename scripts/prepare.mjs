// Installs what package-lock.json names and builds dist/, each only when something it depends on has changed.
// Plain JavaScript and Node's own modules: it runs before anything is installed. `--force` builds regardless.
import { spawnSync } from 'node:child_process'
import { chmodSync, existsSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const at = (...parts) => join(root, ...parts)
const modified = (path) => (existsSync(path) ? statSync(path).mtimeMs : 0)

const [major, minor] = process.versions.node.split('.').map(Number)
if (major < 20 || (major === 20 && minor < 19))
  fail(`Quorate needs Node.js 20.19 or later; this is ${process.version}.`)

const installed = at('node_modules', '.package-lock.json')
if (modified(installed) < Math.max(modified(at('package-lock.json')), modified(at('package.json')))) {
  run('Installing packages', 'npm', ['ci', '--no-audit', '--no-fund', '--loglevel=error'])
}

const stamp = at('dist', '.built')
const newest = Math.max(
  newestFile(at('src')),
  modified(at('tsconfig.build.json')),
  modified(at('tsconfig.json')),
  modified(installed),
)
if (process.argv.includes('--force') || modified(stamp) < newest) {
  rmSync(at('dist'), { recursive: true, force: true })
  run('Building', process.execPath, [at('node_modules', 'typescript', 'bin', 'tsc'), '-p', at('tsconfig.build.json')])
  const bin = at('dist', 'cli', 'quorate.cjs')
  if (existsSync(bin)) chmodSync(bin, 0o755)
  writeFileSync(stamp, '')
}

function newestFile(folder) {
  return Math.max(
    ...readdirSync(folder, { recursive: true, withFileTypes: true }).map((entry) =>
      modified(join(entry.parentPath, entry.name)),
    ),
  )
}

function run(what, command, args) {
  process.stderr.write(`${what} ...\n`)
  const { status, error } = spawnSync(command, args, { cwd: root, stdio: ['ignore', 'inherit', 'inherit'] })
  if (error) fail(`${what} failed: ${error.message}`)
  if (status !== 0) fail(`${what} failed (exit code ${status}); see above.`)
}

function fail(message) {
  process.stderr.write(`${message}\n`)
  process.exit(1)
}
