// The order in which test files start: those that take long before all others, so that none of them is left over at the end, when
// the other workers have nothing to do any longer. The rest goes as vitest has it.
import { BaseSequencer, type TestSpecification } from 'vitest/node'

/** The longest first. A file that is missing here only starts later. */
export const LONG: readonly string[] = [
  'test/sim/seeds.test.ts',
  'test/sweep/sweep.test.ts',
  'test/cli/dev-process.test.ts',
  'test/transport/handshake.test.ts',
  'test/cli/serve-process.test.ts',
  'test/sim/determinism.test.ts',
  'test/cluster/faults.test.ts',
  'test/cluster/locking.test.ts',
  'test/cluster/refusals.test.ts',
  'test/cluster/edges.test.ts',
  'test/cluster/listing.test.ts',
]

export class LongFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files)
    return sorted.sort((a, b) => rankOf(a.moduleId) - rankOf(b.moduleId))
  }
}

export function rankOf(path: string): number {
  const rank = LONG.findIndex((long) => path.endsWith(`/${long}`))
  return rank === -1 ? LONG.length : rank
}
