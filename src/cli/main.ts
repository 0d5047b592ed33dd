// The command line: which commands there are, and what a wrong call exits with. Each command loads what it needs when it
// runs, so that `quorate get` does not pay for a server.
import { Command, CommanderError } from 'commander'
import { registerDataCommands } from './data-commands.ts'
import { registerDev } from './dev.ts'
import { registerServe } from './serve.ts'
import { VERSION } from '../version.ts'

/** Of wrong usage. The others are the data commands' business, or 1. */
const EXIT_USAGE = 2

const EXAMPLES = `
Examples:
  quorate dev                          three nodes on this machine, until Ctrl-C
  quorate put greeting hello           write a key (through any node)
  quorate get greeting                 read it back
  quorate watch --prefix config/       see changes as they happen
  quorate lock backup -- ./backup.sh   run something on one machine at a time
  quorate status                       who leads, and how far each node is
  quorate serve --help                 run one node of a real cluster

Exit codes: 0 ok, 1 not applied, 2 wrong usage, 3 not found, 4 precondition failed, 5 unavailable, 6 outcome unknown.`

/** The whole command line, not yet parsed. */
export function buildProgram(): Command {
  const program = new Command('quorate')
    .description('A replicated key-value store: Raft, LevelDB, plain HTTP, linearizable by default.')
    .version(VERSION, '-V, --version', 'print the release')
    .helpOption('-h, --help', 'print help')
    .helpCommand('help [command]', 'print help for a command')
    .showHelpAfterError('(run it with --help for an explanation)')
    .showSuggestionAfterError()
    .exitOverride()
    .addHelpText('after', EXAMPLES)
  program.commandsGroup('Run nodes:')
  registerServe(program)
  registerDev(program)
  program.commandsGroup('Use a cluster:')
  registerDataCommands(program)
  program.commandsGroup('Help:')
  return program
}

/** Runs one command line (without node and script). What a command wants to exit with is in `process.exitCode`. */
export async function main(argv: readonly string[]): Promise<void> {
  try {
    await buildProgram().parseAsync([...argv], { from: 'user' })
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error
    // The message is on stderr already. Help and version that were asked for are no errors.
    process.exitCode = error.exitCode === 0 ? 0 : EXIT_USAGE
  }
}
