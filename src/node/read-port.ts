// What the read path sees of the driver and the state: who can be asked for an index, how far apply is, how stale the state may be.
import type { NodeDriver } from './node-driver.ts'
import type { Clock, StateStorage } from './ports.ts'
import type { ReadPort } from './reads.ts'

export interface ReadPortParts {
  readonly driver: NodeDriver
  readonly states: StateStorage
  readonly clock: Clock
  readonly electionTimeoutMs: number
  /** The moment as of which the state is known to have been current. */
  readonly freshAtMs: () => number | undefined
}

export function readPort({ driver, states, clock, electionTimeoutMs, freshAtMs }: ReadPortParts): ReadPort {
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
     * A leader confirmed within an election timeout has not been replaced (§4.2.3, §6.4.1): it is current. Unless it has told
     * another to take over, or has lost a connection since: then its peers may have taken it for gone.
     */
    stalenessMs: () => {
      const freshMs = freshAtMs()
      if (freshMs === undefined) return undefined
      const ageMs = Math.ceil(clock.now() - freshMs)
      const { isLeader, isTransferring } = driver.raft
      const isConfirmed =
        isLeader && !isTransferring && ageMs < electionTimeoutMs && freshMs > driver.lostConnectionAtMs
      return isConfirmed ? 0 : ageMs
    },
    get: (key) => states.current.get(key),
    fail: (error) => driver.fail(error),
  }
}
