// What a part of the bench is given, and what it gives back: rows for people, and everything else raw.
import type { System } from '../systems/system.ts'

export interface Bench {
  /** Quorate first; etcd behind it, where it is installed. */
  readonly systems: readonly System[]
  /** Two minutes for everything: small numbers that show that it works, and little more. */
  readonly isShort: boolean
  readonly rounds: number
  /** Of each single measurement. */
  readonly seconds: number
  /** Of the long run at a constant rate. */
  readonly minutes: number
  /** How often each fault is repeated. */
  readonly faults: number
  /** The most keys that growth and restarts go to. */
  readonly keysMax: number
  /** A line of progress. */
  say(line: string): void
  /** Keeps a file, a chart for instance, beside the report, and gives the name under which the report can link to it. */
  keep(name: string, content: string): string
}

export interface Table {
  readonly title: string
  readonly head: readonly string[]
  readonly rows: readonly (readonly string[])[]
  /** Below it: what to know when reading it. */
  readonly notes?: readonly string[]
}

export interface PartReport {
  readonly tables: readonly Table[]
  /** Names that `keep` gave. */
  readonly charts?: readonly string[]
  /** Goes into the JSON as it is. */
  readonly raw: unknown
}

export interface Part {
  readonly name: string
  readonly what: string
  run(bench: Bench): Promise<PartReport>
}
