// The zoo is intact: each bug can still be planted, and the starred ones are caught by their fastest suite. All of them by all of
// theirs: npm run zoo.
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { afterAll, describe, expect, test } from 'vitest'
import { BUGS, WAITING } from './bugs.ts'
import { Hunters } from './hunt.ts'
import { applyPatch } from './plant.ts'
import { Control, huntBySimulation } from './simulation.ts'

const read = (file: string): string => readFileSync(fileURLToPath(new URL(`../../${file}`, import.meta.url)), 'utf8')

const STARRED = BUGS.filter(({ isStarred }) => isStarred === true)

const hunters = new Hunters()
afterAll(() => hunters.close())

describe('the zoo', () => {
  test('holds at least 45 bugs, each with a name of its own', () => {
    const ids = [...BUGS, ...WAITING].map(({ id }) => id)
    expect(ids.length).toBeGreaterThanOrEqual(45)
    expect(new Set(ids).size).toBe(ids.length)
  })

  test.each(BUGS.map((bug) => [bug.id, bug] as const))('%s can be planted, and has a suite to catch it', (_, bug) => {
    expect(bug.patches.length).toBeGreaterThan(0)
    expect(bug.suites.length).toBeGreaterThan(0)
    for (const patch of bug.patches) expect(applyPatch(read(patch.file), patch)).not.toBe(read(patch.file))
  })

  test.concurrent('a bug that was planted is gone in the next hunt, although the same process does both', async () => {
    const bug = BUGS.find(({ id }) => id === 'R1')!
    const own = new Hunters()
    try {
      expect(await own.hunt(bug, bug.suites[0]!)).toMatchObject({ result: 'caught' })
      expect(await own.hunt(undefined, bug.suites[0]!)).toMatchObject({ result: 'survived', evidence: '' })
    } finally {
      own.close()
    }
  }, 150_000)

  test.concurrent('a vote that is not durable is caught by simulation too, and only where it is planted', async () => {
    const bug = BUGS.find(({ id }) => id === 'E1a')!
    const control = new Control()
    try {
      const verdict = await huntBySimulation(bug, { runs: 1, seedsMax: 5, secondsMax: 60 }, control)
      expect(verdict.runs[0]?.evidence).toMatch(/vote .* is not durable/)
      expect(verdict.medianSeeds).toBeLessThanOrEqual(5)
    } finally {
      control.close()
    }
  }, 150_000)

  test.concurrent.each(STARRED.map((bug) => [bug.id, bug.what, bug] as const))(
    '%s (%s) is caught',
    async (_id, _what, bug) => {
      const { result, evidence } = await hunters.hunt(bug, bug.suites[0]!)
      if (result !== 'caught') throw new Error(`${result}: ${evidence}`)
    },
    150_000,
  )
})
