// `quorate dev`: a whole cluster in one terminal, one process a node, as they run in production.
import { InvalidArgumentError, Option } from 'commander'
import type { Command } from 'commander'
import pc from 'picocolors'
import { SETTINGS_SCHEMA } from '../config/settings.ts'
import { askLeader, bannerText, commandName } from './dev-output.ts'
import { DevError, NODES_MAX, checkPorts, childEnvironment, planNodes, prepareDirectory } from './dev-plan.ts'
import type { DevNode, DevOptions } from './dev-plan.ts'
import { DevSupervisor } from './dev-supervisor.ts'

const LEADER_POLL_MS = 200
/** After these some nodes will do: one that does not start must not hide that the others serve. */
const LEADER_POLLS = 25

/** npm hands a terminal's Ctrl-C on to the script that has had it already: signals this close together are one. */
const SAME_SIGNAL_MS = 500

const HELP = `
Node n1 listens on the base port (HTTP) and the next one (peers), n2 ten ports higher, and so on, all on 127.0.0.1.
A node that dies is started again after two seconds; kill one to see what happens.

Examples:
  quorate dev
  quorate dev --nodes 5 --data-dir ./five --base-port 8800`

const COLORS = [pc.cyan, pc.yellow, pc.green, pc.magenta, pc.blue, pc.red, pc.white]

export function registerDev(program: Command): void {
  program
    .command('dev')
    .summary('run a cluster on this machine')
    .description('Runs a cluster on this machine, for development: one process a node, until Ctrl-C.')
    .addOption(
      new Option('--nodes <COUNT>', `how many nodes, 1 to ${NODES_MAX}`)
        .env('QUORATE_NODES')
        .default(3)
        .argParser((text) => wholeNumber(text, 1, NODES_MAX)),
    )
    .addOption(
      new Option('--data-dir <DIR>', 'where the nodes keep their data, one folder each')
        .env('QUORATE_DATA_DIR')
        .default('./data'),
    )
    .addOption(
      new Option('--base-port <PORT>', 'HTTP port of n1')
        .env('QUORATE_BASE_PORT')
        .default(7700)
        .argParser((text) => wholeNumber(text, 1, 65_534)),
    )
    .addOption(
      new Option('--log-level <LEVEL>', 'least level that the nodes log')
        .env('QUORATE_LOG_LEVEL')
        .choices(SETTINGS_SCHEMA.properties['log-level'].enum)
        .default('info'),
    )
    .option('--no-restart', 'leave a node that died dead')
    .addHelpText('after', HELP)
    .action(async (options: DevOptions & { restart: boolean }) => {
      process.exitCode = await dev(options)
    })
}

function wholeNumber(text: string, min: number, max: number): number {
  const value = /^\d{1,5}$/.test(text) ? Number(text) : Number.NaN
  if (value >= min && value <= max) return value
  throw new InvalidArgumentError(`It must be a whole number from ${min} to ${max}.`)
}

async function dev(options: DevOptions & { restart: boolean }): Promise<number> {
  let nodes: readonly DevNode[]
  try {
    nodes = planNodes(options)
    await checkPorts(nodes)
    prepareDirectory(options)
  } catch (error) {
    if (!(error instanceof DevError)) throw error
    process.stderr.write(`error: ${error.message}\n`)
    return 1
  }
  const width = Math.max(...nodes.map(({ name }) => name.length))
  const supervisor = new DevSupervisor({
    nodes,
    command: [process.execPath, ...ownNodeOptions(), ownScript(), 'serve'],
    env: childEnvironment(process.env),
    restart: options.restart,
    output: process.stderr,
    prefix: (name, at) => COLORS[at % COLORS.length]!(`${name.padEnd(width)}|`),
  })
  forwardSignals(supervisor)
  supervisor.start()
  const announcement = new AbortController()
  void announce(nodes, options.dataDir, announcement.signal)
  const exitCode = await supervisor.ended
  announcement.abort()
  return exitCode
}

function forwardSignals(supervisor: DevSupervisor): void {
  let stoppedAt: number | undefined
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => {
      const now = performance.now()
      if (stoppedAt !== undefined && now - stoppedAt < SAME_SIGNAL_MS) return
      if (stoppedAt === undefined) {
        process.stderr.write(`\n${signal}: stopping all nodes (once more to kill them)\n`)
        supervisor.stop()
      } else {
        supervisor.kill()
      }
      stoppedAt = now
    })
  }
}

/** Prints the banner, once: when all nodes know a leader, or after a while when some do. */
async function announce(nodes: readonly DevNode[], dataDir: string, signal: AbortSignal): Promise<void> {
  for (let turn = 0; !signal.aborted; turn++) {
    const leaders = await Promise.all(nodes.map(({ url }) => askLeader(url)))
    const known = leaders.filter((leader) => leader !== undefined)
    const leader = known[0]
    const isTime = known.length === nodes.length || turn >= LEADER_POLLS
    if (leader !== undefined && isTime && !signal.aborted) {
      const command = commandName(process.argv[1], process.cwd())
      process.stdout.write(bannerText({ nodes, upCount: known.length, leader, dataDir, command }))
      return
    }
    await new Promise<void>((resolve) => {
      setTimeout(resolve, LEADER_POLL_MS).unref()
    })
  }
}

/** The executable next to this file: compiled, or as a source when a loader runs the sources. */
function ownScript(): string {
  const name = import.meta.filename.endsWith('.ts') ? 'quorate.cts' : 'quorate.cjs'
  return `${import.meta.dirname}/${name}`
}

/** Loaders and memory limits are for the nodes too; a debugger's port can be taken only once. */
const ownNodeOptions = (): string[] => process.execArgv.filter((option) => !option.startsWith('--inspect'))
