// Whether something is still held: asks the garbage collector. Collected is what nothing refers to any more, so a test that keeps
// only weak references learns what the object under test keeps.
import { getHeapSpaceStatistics, setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

/** How many of them the program still holds. Asynchronous, since what this turn has looked at is held to its end. */
export async function countHeld(references: readonly WeakRef<object>[]): Promise<number> {
  const collect = collector()
  await new Promise((resolve) => setImmediate(resolve))
  collect()
  return references.filter((reference) => reference.deref() !== undefined).length
}

/**
 * Bytes by which V8's old generation grows with each call, measured between collections of the young one alone: what a call leaves behind
 * that only a full collection would find. The calls before the first measurement are those that V8 compiles during.
 */
export async function leftInOldGeneration(call: () => Promise<unknown>, calls: number): Promise<number> {
  const collect = collector()
  const run = async (): Promise<number> => {
    for (let made = 0; made < calls; made++) {
      await call()
      if (made % CALLS_A_COLLECTION === 0) collect({ type: 'minor' })
    }
    return getHeapSpaceStatistics().find(({ space_name: name }) => name === 'old_space')!.space_used_size
  }
  await run()
  collect()
  const before = await run()
  const after = await run()
  return (after - before) / calls
}

const CALLS_A_COLLECTION = 50

function collector(): (options?: { type: 'minor' }) => void {
  setFlagsFromString('--expose-gc')
  return runInNewContext('gc') as ReturnType<typeof collector>
}
