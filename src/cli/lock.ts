// `quorate lock` and `quorate elect`: holds a lock, or leads, for as long as a command runs, or until Ctrl-C.
import { spawn } from 'node:child_process'
import { constants } from 'node:os'
import type { Leader } from '../client/index.ts'
import { ClientError } from '../client/index.ts'
import { write } from './data-io.ts'
import type { DataIo } from './data-io.ts'
import type { ElectCommandOptions, LockCommandOptions } from './data-options.ts'
import { firstOf } from './lease.ts'
import { bytesJson, CommandFailure, EXIT, printable, shownBytes, writeJson } from './output.ts'
import { runCommand } from './run-command.ts'
import type { CommandContext } from './run-command.ts'

/** Between asking a command to end and ending it: what it protects may be somebody else's soon. Milliseconds. */
const KILL_AFTER_MS = 3_000

type Hold = { readonly token: number; readonly signal: AbortSignal }

export const lock = (
  io: DataIo,
  name: string,
  command: readonly string[],
  options: LockCommandOptions,
): Promise<void> =>
  runCommand(io, options, async (context) => {
    const { ttl: ttlMs, wait: waitMs, owner } = options
    const held = await context.client.lock(name, { ttlMs, waitMs, owner, signal: context.signal })
    try {
      return await whileHeld(context, { what: 'lock', name, command, isJson: options.json === true }, held)
    } finally {
      await held.release()
    }
  })

export const elect = (
  io: DataIo,
  name: string,
  command: readonly string[],
  options: ElectCommandOptions,
): Promise<void> =>
  runCommand(io, options, async (context) => {
    const { ttl: ttlMs, wait: waitMs, owner, value = '' } = options
    const election = context.client.election(name)
    if (options.observe === true) return observe(context, election.observe({ signal: context.signal }), options)
    const leadership = await election.campaign(value, { ttlMs, waitMs, owner, signal: context.signal })
    try {
      return await whileHeld(context, { what: 'election', name, command, isJson: options.json === true }, leadership)
    } finally {
      await leadership.resign()
    }
  })

async function observe(
  { io }: CommandContext,
  leaders: AsyncIterable<Leader | undefined>,
  options: ElectCommandOptions,
): Promise<number> {
  try {
    for await (const leader of leaders)
      await write(io.stdout, options.json === true ? leaderJson(leader) : leaderLine(leader))
  } catch (error) {
    if (!(error instanceof ClientError) || error.code !== 'ABORTED') throw error
  }
  return EXIT.ok
}

const leaderJson = (leader: Leader | undefined): string =>
  `${JSON.stringify({ leader: leader === undefined ? null : { token: leader.token, owner: leader.owner, ...bytesJson('value', leader.value) } })}\n`

const leaderLine = (leader: Leader | undefined): string =>
  leader === undefined ? 'nobody leads\n' : `${leader.token}\t${printable(leader.owner)}\t${shownBytes(leader.value)}\n`

interface Held {
  readonly what: 'lock' | 'election'
  readonly name: string
  readonly command: readonly string[]
  readonly isJson: boolean
}

async function whileHeld({ io, signal }: CommandContext, facts: Held, hold: Hold): Promise<number> {
  const { what, name, command, isJson } = facts
  if (command.length === 0) {
    const text = what === 'lock' ? 'held' : 'leading'
    if (isJson) await writeJson(io, { token: hold.token })
    else await write(io.stdout, `${text} with token ${hold.token}, until Ctrl-C\n`)
    await firstOf(signal, hold.signal)
    if (!signal.aborted) throw new CommandFailure('LEASE_NOT_FOUND', EXIT.notApplied, `the ${what} ${name} was lost`)
    return EXIT.ok
  }
  const code = await run(command, { ...facts, hold, signal })
  if (hold.signal.aborted) throw new CommandFailure('LEASE_NOT_FOUND', EXIT.notApplied, `the ${what} ${name} was lost`)
  return code
}

/** Runs a command with the token in its environment, and ends it when what it runs under is lost. */
function run(
  [file, ...args]: readonly string[],
  { name, hold, signal, what }: Held & { hold: Hold; signal: AbortSignal },
): Promise<number> {
  const token = String(hold.token)
  const names =
    what === 'lock' ? { QUORATE_LOCK_TOKEN: token, QUORATE_FENCE: `${name}:${token}` } : { QUORATE_LEADER_TOKEN: token }
  return new Promise((resolve, reject) => {
    const child = spawn(file!, args, { stdio: 'inherit', env: { ...process.env, ...names } })
    let killing: NodeJS.Timeout | undefined
    const stop = (): void => {
      child.kill('SIGTERM')
      killing ??= setTimeout(() => child.kill('SIGKILL'), KILL_AFTER_MS)
    }
    for (const reason of [hold.signal, signal]) reason.addEventListener('abort', stop, { once: true })
    child.on('error', (error) => {
      clearTimeout(killing)
      reject(new CommandFailure('COMMAND', EXIT.usage, `${file!} cannot be run: ${error.message}`))
    })
    child.on('exit', (code, by) => {
      clearTimeout(killing)
      resolve(code ?? 128 + (by === null ? 0 : constants.signals[by]))
    })
  })
}
