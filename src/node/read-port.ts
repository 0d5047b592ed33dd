// What the read path sees of the driver and the state: who can be asked for an index, how far apply is, how stale the state may be.
import type { NodeDriver } from './node-driver.ts'
import type { Clock, StateStorage } from './ports.ts'
import type { ReadPort } from './reads.ts'

export interface ReadPortParts {
  readonly driver: NodeDriver
  readonly states: StateStorage
  readonly clock: Clock
  /** The moment as of which the state is known to have been current. */
  readonly freshAtMs: () => number | undefined
}

export function readPort({ driver, states, clock, freshAtMs }: ReadPortParts): ReadPort {
  return {
    requestReadIndex: (id) => {
      if (!driver.isActive || driver.raft.readIndex(id).kind !== 'accepted') return false
      driver.requestTurn()
      return true
    },
    requestTurn: () => driver.requestTurn(),
    get appliedIndex() {
      return driver.applier.appliedIndex
    },
    get revision() {
      return states.current.meta.revision
    },
    get canServe() {
      return driver.raft.standing !== 'stateless'
    },
    /**
     * The leader says no less than others do. That it was confirmed within an election timeout does not make it current: where
     * its connections broke, another may have been elected since.
     */
    stalenessMs: () => {
      const freshMs = freshAtMs()
      return freshMs === undefined ? undefined : Math.ceil(clock.now() - freshMs)
    },
    get: (key) => states.current.get(key),
    fail: (error) => driver.fail(error),
  }
}
