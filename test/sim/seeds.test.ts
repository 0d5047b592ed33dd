// A fixed set of seeds, and as many fresh ones as QUORATE_SIM_SEEDS=from-to asks for: every invariant, all the time, and histories
// that are linearizable. A failure names its seed; `npm run simulate -- --seed N --trace` shows all of it.
import { env } from 'node:process'
import { describe, it } from 'vitest'
import { expectPassed } from './expect-passed.ts'
import { runSeed } from './run-seed.ts'

const FIXED = { from: 1, to: 30 }

function fresh(): { from: number; to: number } | undefined {
  const match = /^(\d+)-(\d+)$/.exec(env['QUORATE_SIM_SEEDS'] ?? '')
  return match === null ? undefined : { from: Number(match[1]), to: Number(match[2]) }
}

describe('a cluster under faults keeps its promises', () => {
  for (const { from, to } of [FIXED, fresh()].filter((range) => range !== undefined)) {
    for (let seed = from; seed <= to; seed++) {
      it(`seed ${seed}`, async () => expectPassed(await runSeed(seed)))
    }
  }

  it('also when nothing is broken at all', async () => {
    expectPassed(await runSeed(1, { isCalm: true, safetyMs: 10_000 }))
  })
})
