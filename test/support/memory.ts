// Whether something is still held: asks the garbage collector. Collected is what nothing refers to any more, so a test that keeps
// only weak references learns what the object under test keeps.
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

/** How many of them the program still holds. Asynchronous, since what this turn has looked at is held to its end. */
export async function countHeld(references: readonly WeakRef<object>[]): Promise<number> {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  await new Promise((resolve) => setImmediate(resolve))
  collect()
  return references.filter((reference) => reference.deref() !== undefined).length
}
