// Turns a failed seed into a failed test that says how to see it again.
import type { SeedResult } from './run-seed.ts'

export function expectPassed({ seed, failure, lastEvents }: SeedResult): void {
  if (failure === undefined) return
  const events = lastEvents.slice(-40).join('\n')
  throw new Error(`SIM_SEED=${seed}: ${failure}\n${events}\nTo reproduce: npm run simulate -- --seed ${seed} --trace`)
}
