// Histograms of latencies, in microseconds, and their course over a run.
import { createHistogram } from 'node:perf_hooks'
import type { RecordableHistogram } from 'node:perf_hooks'
import type { Latencies, SecondOfLoad } from './load-result.ts'

/** Of at least a microsecond and up to ten minutes, to three digits. */
export const newHistogram = (): RecordableHistogram => createHistogram({ lowest: 1, highest: 600_000_000, figures: 3 })

export function record(histogram: RecordableHistogram, ms: number): void {
  histogram.record(Math.max(1, Math.round(ms * 1_000)))
}

export function latenciesOf(histogram: RecordableHistogram): Latencies {
  if (histogram.count === 0) return { p50: 0, p99: 0, p999: 0, max: 0 }
  const at = (percentile: number): number => histogram.percentile(percentile)
  return { p50: at(50), p99: at(99), p999: at(99.9), max: histogram.max }
}

/** Second by second. Only those that can still get an answer have a histogram; the others are four numbers each. */
export class SecondsOfLoad {
  readonly #open = new Map<number, RecordableHistogram>()
  readonly #done: SecondOfLoad[] = []
  readonly #timeoutMs: number

  constructor(timeoutMs: number) {
    this.#timeoutMs = timeoutMs
  }

  /** An operation that was due so many milliseconds after the start, and took so many. */
  add(dueMs: number, tookMs: number): void {
    const second = Math.floor(dueMs / 1_000)
    let histogram = this.#open.get(second)
    if (histogram === undefined) {
      histogram = newHistogram()
      this.#open.set(second, histogram)
      this.#close(dueMs - 2 * this.#timeoutMs)
    }
    record(histogram, tookMs)
  }

  /** All of them, in order. */
  finish(): readonly SecondOfLoad[] {
    this.#close(Infinity)
    return this.#done.toSorted((a, b) => a.second - b.second)
  }

  #close(beforeMs: number): void {
    for (const [second, histogram] of this.#open) {
      if ((second + 1) * 1_000 > beforeMs) continue
      this.#done.push({ second, operations: histogram.count, ...latenciesOf(histogram) })
      this.#open.delete(second)
    }
  }
}
