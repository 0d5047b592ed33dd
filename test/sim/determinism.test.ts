// One seed is one world: everything that a failing seed tells rests on this.
import { describe, expect, it } from 'vitest'
import { runSeedTwice } from './determinism.ts'
import { expectPassed } from './expect-passed.ts'
import { runSeed } from './run-seed.ts'

const SHORT = { safetyMs: 8_000 }

describe('a seed', () => {
  it('gives the same events each time', async () => {
    for (let seed = 101; seed <= 106; seed++) expectPassed(await runSeedTwice(seed, SHORT))
  })

  it('gives other events than another seed', async () => {
    const hashes = new Set<string>()
    for (const seed of [107, 108, 109]) hashes.add((await runSeed(seed, { ...SHORT, nodes: 3 })).traceHash)
    expect(hashes.size).toBe(3)
  })
})
