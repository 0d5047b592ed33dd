// What a part of the bench is: something that measures one kind of thing and hands back tables, charts, and raw numbers.
import type { Reached } from '../aims.ts'
import type { Chart } from '../chart.ts'
import type { System } from '../systems/system.ts'

export interface BenchContext {
  readonly quorate: System
  /** Undefined where it is not installed: a part then measures without it, and says so. */
  readonly etcd: System | undefined
  /** The load generator with etcd's own Go client; undefined where it cannot be built. */
  readonly etcdLoad: string | undefined
  /** Further columns of throughput; undefined where either the store or its generator is not there. */
  readonly nats: FurtherStore | undefined
  readonly zookeeper: FurtherStore | undefined
  readonly hasWrk: boolean
  /** Interleaved repetitions of each measurement. */
  readonly rounds: number
  /** How long each single measurement takes. */
  readonly seconds: number
  /** Of the long run of the latency part. */
  readonly minutes: number
  /** Of the saturation: the rate of the long run. */
  readonly share: number
  /** How often each fault is repeated in the failover part. */
  readonly faults: number
  /** The most keys that growth and restarts go to, a power of ten. */
  readonly keysMax: number
  /** The short form: what takes two minutes in all, with fewer workloads. */
  readonly isShort: boolean
  /** One line for whoever watches. */
  readonly progress: (line: string) => void
}

/** A store that is measured for throughput alone, with the generator that its Go client was built into. */
export interface FurtherStore {
  readonly system: System
  readonly load: string
}

export interface Table {
  readonly title: string
  readonly head: readonly string[]
  readonly rows: readonly (readonly string[])[]
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
  /** For the table of aims. */
  readonly aims: readonly Reached[]
  /** What a reader must know: what was left out and why, what was odd. */
  readonly notes: readonly string[]
  /** What should have been measured, or proved, and was not: the run then ends with an error, and keeps what it has. */
  readonly failures?: readonly string[]
  /** Every single measurement, for the JSON. */
  readonly raw: unknown
}

export interface Part {
  readonly name: string
  /** One line for `--help`. */
  readonly summary: string
  /** In which runs it is, unless it is asked for by name: `always` in the short form too, `matrix` where the table of aims is filled. */
  readonly runs: 'always' | 'matrix' | 'full' | 'by name'
  /** How long it takes on two quiet cores, roughly, for the estimate of the time that is left. */
  estimateSeconds(context: BenchContext): number
  run(context: BenchContext): Promise<PartResult>
}
