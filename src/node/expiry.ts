// The leader's part in expiry: when cluster time has reached the next lease or session that is due, it proposes a command that
// names them. Apply looks at each again, by the time in the log, so what was kept alive in between stays, and a leader that has
// been deposed or was asleep expires nothing.
import type { ExpireCommand } from '../api/commands.ts'
import type { SideState } from '../kv/index.ts'
import type { LogIndex } from '../raft/index.ts'
import type { ForwardAnswer } from './ports.ts'

export interface ExpiryPort {
  readonly isLeader: boolean
  readonly appliedIndex: LogIndex
  /** Leases and sessions as of the last applied entry. */
  readonly side: SideState
  /** Cluster time now, as this leader counts it. */
  readonly clusterTimeMs: number
  /** The latest cluster time that was applied. */
  readonly appliedTimeMs: number
  /** Proposes a command of the leader's own. */
  propose(command: ExpireCommand, answer: (answer: ForwardAnswer) => void): void
  /** Proposes nothing but the time. */
  stamp(answer: (answer: ForwardAnswer) => void): void
}

/**
 * While anything can expire, the log hears the time at least this often: what a leader has counted and told nobody is lost with
 * it, and expiry would be late by as much. Milliseconds.
 */
const STAMP_EVERY_MS = 5_000

export class Expiry {
  readonly #port: ExpiryPort
  /** One proposal at a time: on its way to the log, then in it at this index. */
  #proposed: 'asked' | LogIndex | undefined

  constructor(port: ExpiryPort) {
    this.#port = port
  }

  /** Called at each tick. */
  check(): void {
    const { isLeader, appliedIndex, side, clusterTimeMs, appliedTimeMs } = this.#port
    if (!isLeader) {
      this.#proposed = undefined
      return
    }
    if (this.#proposed === 'asked') return
    if (this.#proposed !== undefined && this.#proposed > appliedIndex) return
    this.#proposed = undefined
    const { nextExpiryMs } = side
    if (nextExpiryMs === undefined) return
    const due = clusterTimeMs >= nextExpiryMs ? side.due(clusterTimeMs) : undefined
    if (due !== undefined) {
      this.#proposed = 'asked'
      this.#port.propose(due, (answer) => this.#onAnswer(answer))
    } else if (clusterTimeMs - appliedTimeMs >= STAMP_EVERY_MS) {
      this.#proposed = 'asked'
      this.#port.stamp((answer) => this.#onAnswer(answer))
    }
  }

  /** Another may lead now, or this node in another term: what was proposed may be lost. */
  onRoleChange(): void {
    this.#proposed = undefined
  }

  /** What was not proposed is tried again at the next tick. */
  #onAnswer(answer: ForwardAnswer): void {
    this.#proposed = answer.kind === 'proposed' ? answer.id.index : undefined
  }
}
