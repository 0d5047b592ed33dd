// The order in which test files start.
import { existsSync } from 'node:fs'
import { expect, test } from 'vitest'
import { LONG, rankOf } from './long-first.ts'

test('the files that start first exist, and all others come after them', () => {
  for (const [rank, file] of LONG.entries()) {
    expect(existsSync(new URL(`../../${file}`, import.meta.url)), file).toBe(true)
    expect(rankOf(`/anywhere/${file}`)).toBe(rank)
  }
  expect(rankOf('/anywhere/test/lib/hash.test.ts')).toBe(LONG.length)
})
