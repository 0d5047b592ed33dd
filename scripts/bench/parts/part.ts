// What a part of the bench is: something that measures one kind of thing and hands back tables, charts, and raw numbers.
import type { Chart } from '../chart.ts'
import type { System } from '../systems/system.ts'

export interface BenchContext {
  readonly quorate: System
  /** Undefined where it is not installed: a part then measures without it, and says so. */
  readonly etcd: System | undefined
  /** The load generator with etcd's own Go client; undefined where it cannot be built. */
  readonly etcdLoad: string | undefined
  readonly hasWrk: boolean
  /** Interleaved repetitions of each measurement. */
  readonly rounds: number
  /** How long each single measurement takes. */
  readonly seconds: number
  /** Of the long run of the latency part. */
  readonly minutes: number
  /** How often each fault is repeated in the failover part. */
  readonly faults: number
  /** The most keys that growth and restarts go to, a power of ten. */
  readonly keysMax: number
  /** The short form: what takes two minutes in all, with fewer workloads. */
  readonly isShort: boolean
  /** One line for whoever watches. */
  readonly progress: (line: string) => void
}

export interface Table {
  readonly title: string
  readonly head: readonly string[]
  readonly rows: readonly (readonly string[])[]
}

/** A row of the table of aims: what was to be reached, and whether it was. */
export interface AimRow {
  readonly workload: string
  readonly aim: string
  readonly moonshot: string
  /** With minimum and maximum where there are several rounds. */
  readonly measured: string
  readonly verdict: 'moonshot' | 'reached' | 'missed'
}

export interface NamedChart {
  /** Of the file, without its extension. */
  readonly name: string
  readonly chart: Chart
}

export interface PartResult {
  readonly title: string
  readonly tables: readonly Table[]
  readonly charts: readonly NamedChart[]
  readonly aims: readonly AimRow[]
  /** What a reader must know: what was left out and why, what was odd. */
  readonly notes: readonly string[]
  /** Every single measurement, for the JSON. */
  readonly raw: unknown
}

export interface Part {
  readonly name: string
  /** One line for `--help`. */
  readonly summary: string
  run(context: BenchContext): Promise<PartResult>
}

/**
 * The verdict on a row where more is better; `measured` is the number that decides, `text` what is printed of it. For what is
 * better when it is less, pass negative numbers.
 */
export function aimRow(
  workload: string,
  goal: { readonly aim: number; readonly moonshot: number; readonly text: readonly [aim: string, moonshot: string] },
  measured: number,
  text: string,
): AimRow {
  const verdict = measured >= goal.moonshot ? 'moonshot' : measured >= goal.aim ? 'reached' : 'missed'
  return { workload, aim: goal.text[0], moonshot: goal.text[1], measured: text, verdict }
}
