// The zoo is intact: each bug can still be planted, and a few of the worst are caught by their fastest suite. All of them: npm run zoo.
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { BUGS, WAITING } from './bugs.ts'
import { hunt } from './hunt.ts'
import { applyPatch } from './plant.ts'

const read = (file: string): string => readFileSync(fileURLToPath(new URL(`../../${file}`, import.meta.url)), 'utf8')

/** One for each kind: an election, the log, a read, the disk. */
const SAMPLE = ['E3a', 'L2', 'R2', 'E2']

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

  test.each(SAMPLE)(
    '%s is caught',
    async (id) => {
      const bug = BUGS.find((candidate) => candidate.id === id)!
      const { result, evidence } = await hunt(bug, bug.suites[0]!)
      expect(result, evidence).toBe('caught')
    },
    150_000,
  )
})
