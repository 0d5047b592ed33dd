// Says a thing once, then holds its tongue for a while and counts: a peer that is away is retried every second, for days.
import type { Clock, Logger } from '../node/ports.ts'

type Fields = Readonly<Record<string, unknown>>

interface Said {
  readonly at: number
  leftOut: number
}

export class RateLimitedLog {
  readonly #logger: Logger
  readonly #clock: Clock
  readonly #intervalMs: number
  /** By cause. Causes are made of our own words and members' names: a stranger cannot make this grow. */
  readonly #said = new Map<string, Said>()
  #isMute = false

  constructor(logger: Logger, clock: Clock, intervalMs: number) {
    this.#logger = logger
    this.#clock = clock
    this.#intervalMs = intervalMs
  }

  /** Returns whether it was said. */
  warn(cause: string, fields: Fields, message: string): boolean {
    return this.#say('warn', cause, fields, message)
  }

  info(cause: string, fields: Fields, message: string): boolean {
    return this.#say('info', cause, fields, message)
  }

  /** From now on nothing is worth a warning: connections are closed on purpose. */
  mute(): void {
    this.#isMute = true
  }

  /** The trouble is over: the next time is news again. For all causes that begin like this. */
  forget(beginning: string): void {
    for (const cause of this.#said.keys()) if (cause.startsWith(beginning)) this.#said.delete(cause)
  }

  #say(level: 'info' | 'warn', cause: string, fields: Fields, message: string): boolean {
    if (this.#isMute) return false
    const now = this.#clock.now()
    const said = this.#said.get(cause)
    if (said !== undefined && now - said.at < this.#intervalMs) {
      said.leftOut++
      return false
    }
    this.#logger[level](
      said === undefined || said.leftOut === 0 ? fields : { ...fields, repeated: said.leftOut },
      message,
    )
    this.#said.set(cause, { at: now, leftOut: 0 })
    return true
  }
}
