// What happened, twice: as one running hash, so that two runs of a seed can be compared event by event, and as the last events in
// words, for whoever has to understand a failure.

export type Detail = string | number

interface TraceLine {
  readonly atUs: number
  readonly kind: string
  readonly details: readonly Detail[]
}

/** How many of the last events are kept for people. */
const KEPT = 4_000

export class Trace {
  #a = 0x9e3779b9 | 0
  #b = 0x85ebca6b | 0
  readonly #lines: TraceLine[] = []
  #next = 0
  #count = 0
  /** Called with each line as it happens; for `--trace`. */
  onLine: ((line: string) => void) | undefined

  /** Every input of the simulated world passes here: what is not noted cannot be compared. */
  add(atUs: number, kind: string, ...details: readonly Detail[]): void {
    this.#count++
    this.#word(atUs | 0)
    this.#text(kind)
    for (const detail of details) {
      if (typeof detail === 'string') this.#text(detail)
      else this.#word((detail ^ (detail / 2 ** 32)) | 0)
    }
    const line = { atUs, kind, details }
    this.#lines[this.#next] = line
    this.#next = (this.#next + 1) % KEPT
    this.onLine?.(describeLine(line))
  }

  get count(): number {
    return this.#count
  }

  /** 16 hex digits. */
  get hash(): string {
    return hex(this.#a) + hex(this.#b)
  }

  /** The last events, oldest first. Routine (heartbeats, ticks) is left out unless asked for. */
  last(count: number, isWanted: (kind: string) => boolean = () => true): string[] {
    const ordered = [...this.#lines.slice(this.#next), ...this.#lines.slice(0, this.#next)]
    const wanted = ordered.filter(({ kind }) => isWanted(kind))
    return wanted.slice(-count).map(describeLine)
  }

  #text(text: string): void {
    let word = text.length
    for (let at = 0; at < text.length; at++) word = (Math.imul(word, 31) + text.charCodeAt(at)) | 0
    this.#word(word)
  }

  #word(word: number): void {
    this.#a = Math.imul(this.#a ^ word, 0x01000193)
    this.#b = (Math.imul(this.#b, 0x5bd1e995) + (word ^ (this.#a >>> 15))) | 0
  }
}

const describeLine = ({ atUs, kind, details }: TraceLine): string =>
  `${(atUs / 1_000).toFixed(3).padStart(11)} ms  ${kind.padEnd(14)} ${details.join(' ')}`

const hex = (word: number): string => (word >>> 0).toString(16).padStart(8, '0')
