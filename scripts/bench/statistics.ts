// The few statistics that a benchmark needs: medians with their extremes, quantiles, and ratios pair by pair.

export interface Summary {
  readonly median: number
  readonly min: number
  readonly max: number
  readonly count: number
}

/** The value below which that share of the samples lies (nearest rank), so that it is always one that was measured. */
export function quantile(samples: readonly number[], share: number): number {
  if (samples.length === 0) throw new RangeError('there is no quantile of nothing')
  const sorted = samples.toSorted((a, b) => a - b)
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)]!
}

/** The middle one; of an even number the mean of the two in the middle. */
export function median(samples: readonly number[]): number {
  if (samples.length === 0) throw new RangeError('there is no median of nothing')
  const sorted = samples.toSorted((a, b) => a - b)
  const middle = Math.floor(sorted.length / 2)
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2
}

export function summarize(samples: readonly number[]): Summary {
  return {
    median: median(samples),
    min: samples.reduce((a, b) => Math.min(a, b), Infinity),
    max: samples.reduce((a, b) => Math.max(a, b), -Infinity),
    count: samples.length,
  }
}

/**
 * What the first has of the second, round by round: two runs that follow each other share the machine's mood, so their ratio is
 * steadier than the ratio of two medians.
 */
export function pairwiseRatio(first: readonly number[], second: readonly number[]): Summary {
  if (first.length !== second.length) {
    throw new RangeError(`${first.length} samples cannot be paired with ${second.length}`)
  }
  return summarize(first.map((value, at) => value / second[at]!))
}
