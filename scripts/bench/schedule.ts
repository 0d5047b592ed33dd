// How long a run takes, told before it begins and all along: the parts' own estimates, with what is over taken off.
import type { BenchContext, Part } from './parts/part.ts'

export interface Stage {
  readonly name: string
  readonly seconds: number
}

export const stagesOf = (parts: readonly Part[], context: BenchContext): Stage[] =>
  parts.map((part) => ({ name: part.name, seconds: part.estimateSeconds(context) }))

export class Schedule {
  readonly #stages: readonly Stage[]
  readonly #nowMs: () => number
  #at = -1
  #sinceMs = 0

  constructor(stages: readonly Stage[], nowMs: () => number = () => performance.now()) {
    this.#stages = stages
    this.#nowMs = nowMs
  }

  /** The next part begins. */
  advance(): void {
    this.#at++
    this.#sinceMs = this.#nowMs()
  }

  /** Minutes until the end, as far as estimates tell: a part that takes longer than it should counts as nearly done. */
  minutesLeft(): number {
    const present = this.#stages[this.#at]
    const spent = (this.#nowMs() - this.#sinceMs) / 1_000
    const rest = present === undefined ? 0 : Math.max(0, present.seconds - spent)
    const later = this.#stages.slice(this.#at + 1).reduce((sum, { seconds }) => sum + seconds, 0)
    return (rest + later) / 60
  }

  /** One line: all parts with their minutes. */
  describe(): string {
    const each = this.#stages.map(({ name, seconds }) => `${name} ${minutes(seconds / 60)}`)
    return `About ${minutes(this.minutesLeft())} minutes on two quiet cores: ${each.join(', ')}.`
  }
}

export const minutes = (value: number): string => value.toFixed(value < 10 ? 1 : 0)
