// What every load generator reports as one line of JSON, whatever its language: the measurement and, in the same breath, what shows
// that the generator itself was not the bottleneck.

/** Microseconds. */
export interface Latencies {
  readonly p50: number
  readonly p99: number
  readonly p999: number
  readonly max: number
}

export interface SecondOfLoad extends Latencies {
  /** Since the start of the run; a request belongs to the second in which it was meant to start. */
  readonly second: number
  readonly operations: number
}

export interface LoadResult {
  /** Single keys that were put or read and acknowledged; a transaction of 128 puts is 128 of them. */
  readonly operations: number
  readonly seconds: number
  readonly perSecond: number
  readonly errors: number
  readonly firstError: string
  /** Of requests. From the intended start when a rate was given, else of a closed loop, which hides stalls: a hint, no result. */
  readonly latency: Latencies
  /** Between two successes that follow each other, in microseconds. */
  readonly longestGap: number
  /** What the generator's own process spent, in microseconds. */
  readonly generatorCpu: number
  /** How late the generator's event loop, or its scheduler, came to what was due, in microseconds. */
  readonly generatorLag: { readonly p99: number; readonly max: number }
  /** Only with a rate. */
  readonly series: readonly SecondOfLoad[]
}
