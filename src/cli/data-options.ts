// The options of data commands: how they are spelt, checked and turned into what the client takes.
import { InvalidArgumentError, Option } from 'commander'
import type { Command } from 'commander'
import { WIRE_LIMITS } from '../api/limits.ts'
import { ClientError } from '../client/client-error.ts'
import type { FenceOption } from '../client/index.ts'
import { parseEndpoints } from '../client/endpoint-address.ts'
import { parseDuration, parseNumber } from '../config/units.ts'
import type { Parsed } from '../config/units.ts'

const DEFAULT_ENDPOINTS = 'http://127.0.0.1:7700,http://127.0.0.1:7710,http://127.0.0.1:7720'

export interface CommonOptions {
  readonly endpoints: readonly string[]
  readonly timeout: number
  readonly json?: true
}

export interface KeyOptions extends CommonOptions {
  readonly key64?: true
}

export interface RangeCommandOptions {
  readonly prefix?: string
  readonly from?: string
  readonly to?: string
}

export interface PutCommandOptions extends KeyOptions {
  readonly ttl?: number
  readonly lease?: string
  readonly fence?: FenceOption
  readonly value64?: true
  readonly ifRevision?: number
  readonly ifAbsent?: true
  readonly ifExists?: true
  readonly contentType?: string
  readonly prev?: true
}

export interface GetCommandOptions extends KeyOptions, RangeCommandOptions {
  readonly revision?: number
  readonly limit?: number
  readonly keysOnly?: true
  readonly count?: true
  readonly reverse?: true
  readonly consistency?: 'linearizable' | 'stale'
  readonly maxStale?: number
  readonly minRevision?: number
  readonly meta?: true
}

export interface DelCommandOptions extends KeyOptions, RangeCommandOptions {
  readonly fence?: FenceOption
  readonly ifRevision?: number
  readonly ifExists?: true
  readonly prev?: true
}

export interface AddCommandOptions extends KeyOptions {
  readonly ifRevision?: number
  readonly fence?: FenceOption
}

export interface WatchCommandOptions extends KeyOptions, RangeCommandOptions {
  readonly revision?: number
  readonly initial?: true
  readonly prev?: true
}

export interface LockCommandOptions extends CommonOptions {
  readonly ttl: number
  readonly wait?: number
  readonly owner?: string
}

export interface ElectCommandOptions extends LockCommandOptions {
  readonly value?: string
  readonly observe?: true
}

export interface LeaseGrantOptions extends CommonOptions {
  readonly keep?: true
}

export interface StatusCommandOptions extends CommonOptions {
  readonly check?: true
}

/** What every data command takes. */
export const withCommonOptions = (command: Command): Command =>
  command
    .addOption(
      new Option('--endpoints <URLS>', 'nodes to talk to, separated by commas; any of them will do')
        .env('QUORATE_ENDPOINTS')
        .default(parseEndpoints(DEFAULT_ENDPOINTS), DEFAULT_ENDPOINTS)
        .argParser(endpoints),
    )
    .addOption(
      new Option('--timeout <TIME>', 'for all of it, repeated attempts included, such as 500ms or 10s')
        .default(WIRE_LIMITS.timeoutMsDefault, `${WIRE_LIMITS.timeoutMsDefault / 1_000}s`)
        .argParser(timeout),
    )
    .option('--json', 'results and errors as JSON')

export const withKeyOptions = (command: Command): Command =>
  withCommonOptions(command.option('--key64', 'KEY is base64url: for keys that are not text'))

export const ifRevisionOption = (): Option =>
  new Option('--if-revision <N>', "only if the key's revision is N (0: only if it does not exist)")
    .argParser(wholeNumber)
    .conflicts(['ifAbsent', 'ifExists'])

export const ifAbsentOption = (): Option =>
  new Option('--if-absent', 'only if the key does not exist').conflicts('ifExists')

export const ifExistsOption = (): Option => new Option('--if-exists', 'only if the key exists')

export const withRangeOptions = (command: Command): Command =>
  command
    .addOption(
      new Option('--prefix <TEXT>', "all keys that begin with this; '' stands for all keys").conflicts(['from', 'to']),
    )
    .option('--from <KEY>', 'the first key of a range')
    .option('--to <KEY>', 'the end of a range, itself not in it')

export const fenceOption = (): Option =>
  new Option('--fence <LOCK:TOKEN>', 'only while this token holds this lock').argParser(fence)

/** Which keys a command is about: one, or a range; undefined when it was given neither or both. */
export function keysOf(
  key: string | undefined,
  { prefix, from, to }: RangeCommandOptions,
): 'one' | 'range' | undefined {
  const isRange = prefix !== undefined || from !== undefined || to !== undefined
  if ((key !== undefined) === isRange) return undefined
  return isRange ? 'range' : 'one'
}

/** The lock's name may hold colons itself. */
function fence(text: string): FenceOption {
  const at = text.lastIndexOf(':')
  if (at < 1) throw new InvalidArgumentError('It must be the name of a lock, a colon and a token, such as deploy:17.')
  return { name: text.slice(0, at), token: wholeNumber(text.slice(at + 1)) }
}

export function wholeNumber(text: string): number {
  return valueOf(parseNumber(text))
}

export function milliseconds(text: string): number {
  return valueOf(parseDuration(text))
}

function timeout(text: string): number {
  const ms = milliseconds(text)
  if (ms < 1 || ms > WIRE_LIMITS.timeoutMsMax)
    throw new InvalidArgumentError(`It must be from 1ms to ${WIRE_LIMITS.timeoutMsMax / 1_000}s.`)
  return ms
}

function endpoints(text: string): string[] {
  try {
    return parseEndpoints(text)
  } catch (error) {
    if (error instanceof ClientError) throw new InvalidArgumentError(`${error.message}.`)
    throw error
  }
}

function valueOf(parsed: Parsed): number {
  if ('problem' in parsed) throw new InvalidArgumentError(`It ${parsed.problem}.`)
  return parsed.value
}
