// The same seed twice must be the same world: every event, to the last bit of the trace's hash.
import { runSeed } from './run-seed.ts'
import type { SeedOptions, SeedResult } from './run-seed.ts'

export async function runSeedTwice(seed: number, options: SeedOptions = {}): Promise<SeedResult> {
  const first = await runSeed(seed, options)
  const second = await runSeed(seed, options)
  if (first.traceHash === second.traceHash && first.events === second.events) return first
  const failure = `two runs differ: ${first.events} events and ${second.events}, ${first.traceHash} and ${second.traceHash}`
  return { ...first, failure }
}
