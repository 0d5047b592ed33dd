// The commands that use a running cluster: their arguments, options and help. What they do is loaded when one runs.
import type { Command } from 'commander'
import { Option } from 'commander'
import { processIo } from './data-io.ts'
import type { DataIo } from './data-io.ts'
import {
  fenceOption,
  ifAbsentOption,
  ifExistsOption,
  ifRevisionOption,
  milliseconds,
  wholeNumber,
  withCommonOptions,
  withKeyOptions,
  withRangeOptions,
} from './data-options.ts'
import { registerModelCommands } from './model-commands.ts'
import type {
  CommonOptions,
  DelCommandOptions,
  GetCommandOptions,
  PutCommandOptions,
  StatusCommandOptions,
} from './data-options.ts'

const WRITE_EXIT_CODES = `
Exit codes: 0 done, 2 wrong usage, 4 the condition does not hold, 5 nobody could take it (nothing was changed),
6 the outcome is unknown: look before you repeat it.`

const PUT_HELP = `
VALUE - reads standard input (for a value that is just a minus: --value64 LQ). Before a VALUE that begins with a minus
put --, as in: quorate put temperature -- -5

Examples:
  quorate put greeting hello
  quorate put config/app - --content-type application/json < app.json
  quorate put lock me --if-absent                  only the first one gets it
  quorate put config/app "$(new)" --if-revision 17 only if nobody changed it since
  quorate put services/web 10.0.0.7 --ttl 30s      gone after 30 seconds
${WRITE_EXIT_CODES}`

const GET_HELP = `
The value goes to stdout byte for byte; a newline is added only on a terminal.

Examples:
  quorate get greeting
  quorate get photo > photo.jpg
  quorate get config/app --json                    value and revisions as one JSON object
  quorate get --prefix config/                     one line for each: key, tab, value
  quorate get --prefix config/ --count
  quorate get greeting --consistency stale         from one node's memory: fast, and maybe a little behind

Exit codes: 0 found, 2 wrong usage, 3 there is no such key, 5 nobody could answer.`

const DEL_HELP = `
Deleting a key that is not there is no failure; --if-exists makes it one.

Examples:
  quorate del greeting
  quorate del config/app --if-revision 17          only if nobody changed it since
  quorate del greeting --prev > last-value         keep what was deleted
  quorate del --prefix config/                     all of them at once
${WRITE_EXIT_CODES}`

const STATUS_HELP = `
Every endpoint is asked for itself; those that do not answer are listed too.

Examples:
  quorate status
  quorate status --check --endpoints http://127.0.0.1:7700    for health checks: is this node ready?

Exit codes: 0 somebody answered (with --check: the node is ready), 5 nobody did (or it is not).`

const CLUSTER_HELP = `
Shown as the leader sees it, whichever node is asked. A dash is what nobody knows: without a leader, most of it.

Examples:
  quorate cluster
  quorate cluster --json`

const TRANSFER_HELP = `
Useful before a node is taken down for maintenance. A node that is stopped with SIGTERM does it by itself.

Examples:
  quorate transfer-leader                          to whoever is most up to date
  quorate transfer-leader n2`

export function registerDataCommands(program: Command, io: DataIo = processIo()): void {
  registerPut(program, io)
  registerGet(program, io)
  registerDel(program, io)
  registerModelCommands(program, io)
  registerStatus(program, io)
  registerCluster(program, io)
  registerTransferLeader(program, io)
}

function registerPut(program: Command, io: DataIo): void {
  const command = program
    .command('put')
    .summary('write a key')
    .description('Writes a key. It is durable on a majority of the nodes when the command ends.')
    .argument('<KEY>', 'the key')
    .argument('<VALUE>', 'the value, or - to read standard input')
    .addOption(ifRevisionOption())
    .addOption(ifAbsentOption())
    .addOption(ifExistsOption())
    .option('--content-type <TYPE>', 'stored with the value, such as application/json')
    .addOption(
      new Option('--ttl <TIME>', 'delete it after this time, such as 30s').argParser(milliseconds).conflicts('lease'),
    )
    .option('--lease <ID>', 'delete it with this lease')
    .addOption(fenceOption())
    .option('--prev', 'print the value that was replaced')
    .option('--value64', 'VALUE is base64url: for values that are not text')
  withKeyOptions(command)
    .addHelpText('after', PUT_HELP)
    .action(async (key: string, value: string, options: PutCommandOptions) => {
      const { put } = await import('./put.ts')
      await put(io, key, value, options)
    })
}

function registerGet(program: Command, io: DataIo): void {
  const command = program
    .command('get')
    .summary('read a key or list a range')
    .description('Reads a key, or lists a range: by default what is true now, whichever node answers.')
    .argument('[KEY]', 'the key')
    .addOption(
      new Option('--consistency <KIND>', 'linearizable sees every finished write, stale may be behind')
        .choices(['linearizable', 'stale'])
        .default('linearizable'),
    )
    .addOption(
      new Option('--max-stale <TIME>', 'read stale, but not behind by more than this, such as 2s')
        .argParser(milliseconds)
        .implies({ consistency: 'stale' }),
    )
    .addOption(
      new Option('--min-revision <N>', 'wait until the node has applied this revision of the store').argParser(
        wholeNumber,
      ),
    )
    .addOption(new Option('--revision <N>', 'what was true at this revision of the store').argParser(wholeNumber))
    .addOption(new Option('--limit <N>', 'of a range: entries at most').argParser(wholeNumber))
    .option('--keys-only', 'of a range: only the keys')
    .option('--count', 'of a range: only how many keys')
    .option('--reverse', 'of a range: from the last key')
    .option('--meta', 'print revisions, content type and size on stderr, too')
  withKeyOptions(withRangeOptions(command))
    .addHelpText('after', GET_HELP)
    .action(async (key: string | undefined, options: GetCommandOptions) => {
      const { get } = await import('./get.ts')
      await get(io, key, options)
    })
}

function registerDel(program: Command, io: DataIo): void {
  const command = program
    .command('del')
    .summary('delete a key or a range')
    .description('Deletes a key, or all keys of a range in one revision.')
    .argument('[KEY]', 'the key')
    .addOption(ifRevisionOption())
    .addOption(ifExistsOption())
    .addOption(fenceOption())
    .option('--prev', 'print the value that was deleted')
  withKeyOptions(withRangeOptions(command))
    .addHelpText('after', DEL_HELP)
    .action(async (key: string | undefined, options: DelCommandOptions) => {
      const { del } = await import('./del.ts')
      await del(io, key, options)
    })
}

function registerStatus(program: Command, io: DataIo): void {
  const command = program
    .command('status')
    .summary('show every node')
    .description('Shows what each node says of itself: who leads, and how far each one is.')
    .option('--check', 'only: is the first endpoint ready to serve?')
  withCommonOptions(command)
    .addHelpText('after', STATUS_HELP)
    .action(async (options: StatusCommandOptions) => {
      if (options.check === true) {
        const { checkStatus } = await import('./status-check.ts')
        await checkStatus(io, options)
        return
      }
      const { status } = await import('./status.ts')
      await status(io, options)
    })
}

function registerCluster(program: Command, io: DataIo): void {
  const command = program
    .command('cluster')
    .summary('show the members')
    .description('Shows the members of the cluster.')
  withCommonOptions(command)
    .addHelpText('after', CLUSTER_HELP)
    .action(async (options: CommonOptions) => {
      const { cluster } = await import('./cluster.ts')
      await cluster(io, options)
    })
}

function registerTransferLeader(program: Command, io: DataIo): void {
  const command = program
    .command('transfer-leader')
    .summary('hand leadership over')
    .description('Hands leadership to another member.')
    .argument('[NAME]', 'the member that is to lead')
  withCommonOptions(command)
    .addHelpText('after', TRANSFER_HELP)
    .action(async (name: string | undefined, options: CommonOptions) => {
      const { transferLeader } = await import('./cluster.ts')
      await transferLeader(io, name, options)
    })
}
