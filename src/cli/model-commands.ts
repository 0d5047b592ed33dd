// The commands beyond single keys: their arguments, options and help. What they do is loaded when one runs.
import { InvalidArgumentError, Option } from 'commander'
import type { Command } from 'commander'
import type { DataIo } from './data-io.ts'
import {
  fenceOption,
  ifRevisionOption,
  milliseconds,
  wholeNumber,
  withCommonOptions,
  withKeyOptions,
  withRangeOptions,
} from './data-options.ts'
import type {
  AddCommandOptions,
  CommonOptions,
  ElectCommandOptions,
  LeaseGrantOptions,
  LockCommandOptions,
  WatchCommandOptions,
} from './data-options.ts'

const ADD_HELP = `
The value is a decimal 64-bit integer; a key that does not exist counts as 0. Before a negative number put --, as in:
quorate add stock -- -3

Examples:
  quorate add visits                               one more
  quorate add visits 10

Exit codes: 0 done, 1 the value is no number, 5 nobody could take it, 6 the outcome is unknown.`

const TXN_HELP = `
FILE holds {"if": [...], "then": [...], "else": [...]}; without it, or with -, standard input does. All of it happens
at once and in one revision, or nothing.

Examples:
  echo '{"if":[{"key":"lock","version":0}],"then":[{"put":{"key":"lock","value":"me"}}]}' | quorate txn
  quorate txn move.json

Exit codes: 0 the comparisons held, 4 they did not ("else" happened), 5 nobody could take it, 6 the outcome is unknown.`

const WATCH_HELP = `
Each change is one line: revision, put or delete, key, value. With --json a JSON object. Nothing is lost or told twice
when nodes die. Without KEY and range: all keys.

Examples:
  quorate watch greeting
  quorate watch --prefix config/ --initial         what there is, then what changes
  quorate watch --prefix config/ --revision 17 --json | jq .key

Exit codes: 0 ended by Ctrl-C, 1 that history is compacted, 5 nobody could answer.`

const LEASE_HELP = `
Keys that are put with a lease are deleted when it ends.

Examples:
  lease=$(quorate lease grant 30s)
  quorate put services/web/1 10.0.0.7:80 --lease $lease
  quorate lease keep-alive $lease                  before the 30s are over
  quorate lease revoke $lease                      its keys go at once

Exit codes: 0 done, 3 there is no such lease, 5 nobody could take it, 6 the outcome is unknown.`

const LOCK_HELP = `
Waits in line, runs COMMAND while the lock is held, and exits as it did. COMMAND finds the token in QUORATE_LOCK_TOKEN
and a value for --fence in QUORATE_FENCE; it is told to stop (SIGTERM) when the lock is lost.
Without COMMAND the lock is held until Ctrl-C.

Examples:
  quorate lock backup -- ./backup.sh
  quorate lock deploy --wait 0s -- make deploy     only if nobody else is at it

Exit codes: those of COMMAND; else 1 others hold it or it was lost, 5 nobody could answer.`

const ELECT_HELP = `
Waits to be elected, then leads while COMMAND runs, or until Ctrl-C. COMMAND finds the token in QUORATE_LEADER_TOKEN; it is
told to stop (SIGTERM) when it leads no more. --observe tells who leads, now and after each change.

Examples:
  quorate elect scheduler --value "$(hostname)" -- ./scheduler
  quorate elect scheduler --observe

Exit codes: those of COMMAND; else 1 others lead or leadership was lost, 5 nobody could answer.`

const COMPACT_HELP = `
Reads and watches below REVISION are refused from then on. Nodes forget old history by themselves; this is for more.

Example:
  quorate compact 120000

Exit codes: 0 done, 1 that is compacted already, 2 the store has not reached that revision, 5 nobody could take it,
6 the outcome is unknown.`

export function registerModelCommands(program: Command, io: DataIo): void {
  registerAdd(program, io)
  registerTxn(program, io)
  registerWatch(program, io)
  registerLease(program, io)
  registerLock(program, io)
  registerElect(program, io)
  registerCompact(program, io)
}

function registerAdd(program: Command, io: DataIo): void {
  const command = program
    .command('add')
    .summary('add to a counter')
    .description('Adds to the number that a key holds, and prints the sum.')
    .argument('<KEY>', 'the key')
    .argument('[NUMBER]', 'what to add, may be negative; 1 if left out', integer)
    .addOption(ifRevisionOption())
    .addOption(fenceOption())
  withKeyOptions(command)
    .addHelpText('after', ADD_HELP)
    .action(async (key: string, by: bigint | undefined, options: AddCommandOptions) => {
      const { add } = await import('./store-actions.ts')
      await add(io, key, by ?? 1n, options)
    })
}

function registerTxn(program: Command, io: DataIo): void {
  const command = program
    .command('txn')
    .summary('run a transaction')
    .description('Runs a transaction: if all comparisons hold, these operations, else those.')
    .argument('[FILE]', 'the transaction in JSON', '-')
  withCommonOptions(command)
    .addHelpText('after', TXN_HELP)
    .action(async (file: string, options: CommonOptions) => {
      const { txn } = await import('./store-actions.ts')
      await txn(io, file, options)
    })
}

function registerWatch(program: Command, io: DataIo): void {
  const command = program
    .command('watch')
    .summary('print changes as they happen')
    .description('Prints the changes of a key or a range as they happen.')
    .argument('[KEY]', 'only this key')
    .addOption(new Option('--revision <N>', 'begin with the changes of this revision').argParser(wholeNumber))
    .option('--initial', 'begin with what is there now')
    .option('--prev', 'print what was before, too')
  withKeyOptions(withRangeOptions(command))
    .addHelpText('after', WATCH_HELP)
    .action(async (key: string | undefined, options: WatchCommandOptions) => {
      const { watch } = await import('./watch.ts')
      await watch(io, key, options)
    })
}

function registerLease(program: Command, io: DataIo): void {
  const lease = program
    .command('lease')
    .summary('grant, keep, list and revoke leases')
    .description('Leases: keys that die with one.')
    .addHelpText('after', LEASE_HELP)
  withCommonOptions(
    lease.command('grant').summary('print the id of a new lease').argument('<TTL>', 'such as 30s', milliseconds),
  )
    .option('--keep', 'keep it alive until Ctrl-C, then revoke it')
    .action(async (ttlMs: number, options: LeaseGrantOptions) =>
      (await import('./lease.ts')).leaseGrant(io, ttlMs, options),
    )
  withCommonOptions(
    lease.command('keep-alive').summary('let it last for its whole time again').argument('<ID>', 'the lease'),
  ).action(async (id: string, options: CommonOptions) => (await import('./lease.ts')).leaseKeepAlive(io, id, options))
  withCommonOptions(
    lease.command('revoke').summary('end it, and delete its keys').argument('<ID>', 'the lease'),
  ).action(async (id: string, options: CommonOptions) => (await import('./lease.ts')).leaseRevoke(io, id, options))
  withCommonOptions(lease.command('list').summary('all leases')).action(async (options: CommonOptions) =>
    (await import('./lease.ts')).leaseList(io, options),
  )
  withCommonOptions(lease.command('show').summary('one lease and its keys').argument('<ID>', 'the lease')).action(
    async (id: string, options: CommonOptions) => (await import('./lease.ts')).leaseShow(io, id, options),
  )
}

const withLockOptions = (command: Command): Command =>
  withCommonOptions(
    command
      .addOption(
        new Option('--ttl <TIME>', 'it is lost when this process is silent for so long')
          .default(15_000, '15s')
          .argParser(milliseconds),
      )
      .addOption(
        new Option('--wait <TIME>', 'how long to wait in line (default: as long as it takes, at most a day)').argParser(
          milliseconds,
        ),
      )
      .option('--owner <NAME>', 'shown to whoever looks'),
  )

function registerLock(program: Command, io: DataIo): void {
  const command = program
    .command('lock')
    .summary('run a command under a lock')
    .description('Holds a lock while a command runs.')
    .argument('<NAME>', 'the lock')
    .argument('[COMMAND...]', 'behind --: what to run')
  withLockOptions(command)
    .addHelpText('after', LOCK_HELP)
    .action(async (name: string, words: string[], options: LockCommandOptions) => {
      const { lock } = await import('./lock.ts')
      await lock(io, name, words, options)
    })
}

function registerElect(program: Command, io: DataIo): void {
  const command = program
    .command('elect')
    .summary('lead, or see who leads')
    .description('Takes part in an election, or observes it.')
    .argument('<NAME>', 'the election')
    .argument('[COMMAND...]', 'behind --: what to run as the leader')
    .option('--value <TEXT>', 'what observers are told, such as an address')
    .option('--observe', 'do not take part')
  withLockOptions(command)
    .addHelpText('after', ELECT_HELP)
    .action(async (name: string, words: string[], options: ElectCommandOptions) => {
      const { elect } = await import('./lock.ts')
      await elect(io, name, words, options)
    })
}

function registerCompact(program: Command, io: DataIo): void {
  const command = program
    .command('compact')
    .summary('forget history')
    .description('Forgets the history below a revision.')
    .argument('<REVISION>', 'the first revision that stays known', wholeNumber)
  withCommonOptions(command)
    .addHelpText('after', COMPACT_HELP)
    .action(async (revision: number, options: CommonOptions) => {
      const { compact } = await import('./store-actions.ts')
      await compact(io, revision, options)
    })
}

function integer(text: string): bigint {
  if (/^-?\d{1,19}$/.test(text)) return BigInt(text)
  throw new InvalidArgumentError('It must be a whole number in decimal digits.')
}
