// Commands that may change tens of thousands of keys, or look at as many, are executed in slices, so that a node goes on hearing and answering its peers
// meanwhile. What they change stays between them and the store until the entry ends: nobody sees half of it, and after a crash in
// between the entry is applied again from its beginning.
import type { Wanted } from './types.ts'

/** The execution of one command: it yields what it wants before it goes on, and returns what it came to. */
export type Steps<T> = Generator<Wanted, T, void>

/** A slice costs ten to twenty milliseconds: less than the least heartbeat interval that makes sense. */
export const KEYS_PER_SLICE = 1_000

/** For what is known to be small: none of its slices waits for anything. */
export function atOnce<T>(steps: Generator<unknown, T, void>): T {
  for (;;) {
    const step = steps.next()
    if (step.done === true) return step.value
  }
}
