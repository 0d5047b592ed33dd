// `quorate serve`: one node in this process, from its flags to its exit code.
import { Option } from 'commander'
import type { Command } from 'commander'
import { SETTING_NAMES, settingOf, variableOf } from '../config/settings.ts'
import type { Setting, SettingName } from '../config/settings.ts'
import { showQuantity } from '../config/units.ts'
import { superviseNode } from './serve-lifecycle.ts'
import { VERSION } from '../version.ts'

const EXIT_USAGE = 2

const HELP = `
Every option is also an environment variable (--data-dir is ${variableOf('data-dir')}) and a key of the config file
("data-dir"). Options beat variables, variables beat the file. The command is the same at each start, and safe to repeat.

Examples:
  One node alone, to try things out:
    quorate serve --name n1 --data-dir ./data/n1 --initial-cluster n1=127.0.0.1:7701

  One of three machines; start all three, a new cluster forms when they see each other:
    quorate serve --name n1 --data-dir /var/lib/quorate --listen 10.0.0.1:7700 --peer-listen 10.0.0.1:7701 \\
      --initial-cluster n1=10.0.0.1:7701,n2=10.0.0.2:7701,n3=10.0.0.3:7701 --peer-secret-file /etc/quorate/peer-secret`

export function registerServe(program: Command): void {
  const command = program
    .command('serve')
    .summary('run one node')
    .description('Runs one node of a cluster until it is told to stop (SIGTERM or Ctrl-C).')
    .addHelpText('after', HELP)
  command.addOption(
    new Option('--config <FILE>', 'JSON file with any of these settings (QUORATE_CONFIG)').helpGroup('Common options:'),
  )
  for (const name of SETTING_NAMES) command.addOption(optionFor(name, settingOf(name)))
  command.action(async () => {
    await serve(flagsOf(command))
  })
}

/** Defaults are not given to commander: it could not tell a flag that was left out, and flags beat the environment. */
function optionFor(name: SettingName, setting: Setting): Option {
  const shown = setting.shownDefault ?? (setting.default === undefined ? undefined : quantity(setting, setting.default))
  const description = shown === undefined ? setting.description : `${setting.description} (default: ${shown})`
  const heading = setting.group === 'common' ? 'Common options:' : 'Advanced options:'
  return new Option(`--${name} <${setting.placeholder}>`, description).helpGroup(heading)
}

const quantity = (setting: Setting, value: string | number): string =>
  typeof value === 'number' ? showQuantity(setting.kind, value) : value

/** The flags that were given, by their names: commander knows `--data-dir` as `dataDir`. */
function flagsOf(command: Command): Record<string, string> {
  const flags: Record<string, string> = {}
  for (const option of command.options) {
    const value: unknown = command.getOptionValue(option.attributeName())
    if (typeof value === 'string') flags[option.name()] = value
  }
  return flags
}

async function serve(flags: Readonly<Record<string, string>>): Promise<void> {
  const { ConfigError, loadConfig } = await import('../config/index.ts')
  let loaded
  try {
    loaded = loadConfig({ flags, env: process.env })
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    for (const problem of error.problems) process.stderr.write(`error: ${problem}\n`)
    process.stderr.write('(run it with --help for an explanation)\n')
    process.exitCode = EXIT_USAGE
    return
  }
  const { config, warnings } = loaded
  const { createLogger } = await import('../observability/logger.ts')
  const isTerminal = process.stderr.isTTY
  const nodeLog = createLogger({
    level: config.logLevel,
    pretty: config.logFormat === 'pretty' || (config.logFormat === 'auto' && isTerminal),
    color: isTerminal && !process.env['NO_COLOR'],
    node: config.name,
  })
  for (const warning of warnings) nodeLog.log.warn(warning)
  superviseNode({
    nodeLog,
    host: process,
    version: VERSION,
    config,
    start: async () => {
      const { startNode } = await import('../start-node.ts')
      return startNode(config, nodeLog.log)
    },
  })
}
