// Every schedule of three nodes within small bounds: no state breaks a property of thesis figure 3.2, or loses what is committed.
// EXPLORE_STATES=n sets how many states are visited (npm run explore -- --states 1000000).
import { env, stdout } from 'node:process'
import { describe, expect, test } from 'vitest'
import { Explorer } from './explorer.ts'
import { SCOPES } from './scopes.ts'

const statesMax = Number(env['EXPLORE_STATES'] ?? 100_000)
const isReporting = env['EXPLORE_STATES'] !== undefined

describe('exhaustive exploration', () => {
  let found = 0

  test.each(SCOPES.map((scope, at) => [scope.name, scope, at] as const))(
    '%s',
    (_, scope, at) => {
      // What a small scope leaves of its share goes to the scopes after it.
      const share = Math.ceil((statesMax - found) / (SCOPES.length - at))
      const startMs = performance.now()
      const result = new Explorer(scope).run(share)
      found += result.states
      expect(result.states).toBeGreaterThan(1_000)
      if (!isReporting) return
      const seconds = ((performance.now() - startMs) / 1_000).toFixed(1)
      stdout.write(`${scope.name}: ${JSON.stringify(result)} in ${seconds} s\n`)
    },
    1_200_000,
  )

  test('visits as many states as it was asked for', () => {
    expect(found).toBeGreaterThanOrEqual(statesMax)
    if (isReporting) stdout.write(`${found} states\n`)
  })
})
