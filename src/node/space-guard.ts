// Meets a full disk before it is full: watches the free space and says when what adds data must be refused.
// Below the reserve nothing that adds data is taken; below half of it deletes are refused too, for they also grow the log. What
// keeps leases and sessions alive, or gives them up, always goes on: a full disk must not make keys expire.
import type { ClientCommand, TxnOperation } from '../api/commands.ts'
import { QuorateError } from '../api/errors.ts'
import { unreachable } from '../lib/assert.ts'
import type { Clock, DiskSpace, Logger, Timer } from './ports.ts'

const CHECK_EVERY_MS = 500

export type SpaceLevel = 'enough' | 'low' | 'critical'

export class SpaceGuard {
  readonly #disk: DiskSpace
  readonly #clock: Clock
  readonly #reserveBytes: number
  readonly #log: Logger
  #level: SpaceLevel = 'enough'
  #timer: Timer | undefined
  #isStopped = false

  constructor(disk: DiskSpace, clock: Clock, reserveBytes: number, log: Logger) {
    this.#disk = disk
    this.#clock = clock
    this.#reserveBytes = reserveBytes
    this.#log = log
  }

  get level(): SpaceLevel {
    return this.#level
  }

  /** Checks once, then again and again until `stop`. `onChange` hears of each new level. */
  async start(onChange: (level: SpaceLevel) => void): Promise<void> {
    await this.#check(onChange)
    if (this.#isStopped) return
    this.#timer = this.#clock.after(CHECK_EVERY_MS, () => void this.start(onChange))
  }

  stop(): void {
    this.#isStopped = true
    this.#timer?.cancel()
  }

  async #check(onChange: (level: SpaceLevel) => void): Promise<void> {
    try {
      const freeBytes = await this.#disk.freeBytes()
      const level =
        freeBytes >= this.#reserveBytes ? 'enough' : freeBytes >= this.#reserveBytes / 2 ? 'low' : 'critical'
      if (level === this.#level) return
      this.#level = level
      const report = { freeBytes, reserveBytes: this.#reserveBytes, level }
      if (level === 'enough') this.#log.info(report, 'disk space is back above the reserve: writes are accepted again')
      else this.#log.warn(report, 'disk space is below the reserve: writes that add data are refused')
      onChange(level)
    } catch (error) {
      this.#log.error({ error: String(error) }, 'the free disk space could not be read')
    }
  }
}

/** What a command does to the space that the data takes. Every one makes the log grow for a while. */
export type Growth = 'adds' | 'removes' | 'keeps'

export function growthOf(command: TxnOperation | ClientCommand): Growth {
  switch (command.op) {
    case 'put':
    case 'add':
    case 'lease-grant':
    case 'session-open':
    case 'lock':
    case 'proclaim':
      return 'adds'
    case 'txn':
      return [...command.success, ...command.failure].some((inner) => growthOf(inner) === 'adds') ? 'adds' : 'removes'
    case 'delete':
    case 'delete-range':
    case 'get':
      return 'removes'
    case 'lease-keep-alive':
    case 'lease-revoke':
    case 'unlock':
    case 'session-keep-alive':
    case 'session-close':
    case 'compact':
      return 'keeps'
    default:
      return unreachable(command)
  }
}

/** May this command be proposed? `isQuorumLow`: too many voters are short of space for a majority to go on. */
export function spaceRefusal(
  command: ClientCommand,
  level: SpaceLevel,
  isQuorumLow: boolean,
): QuorateError | undefined {
  if (level === 'enough' && !isQuorumLow) return undefined
  const growth = growthOf(command)
  const isRefused = growth === 'adds' || (growth === 'removes' && level === 'critical')
  if (!isRefused) return undefined
  const whose = level === 'enough' ? 'on too many members' : 'on this node'
  return new QuorateError(
    'NO_SPACE',
    `Disk space ${whose} is below the reserve; free some, or delete keys. Reads go on.`,
  )
}
