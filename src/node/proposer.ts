// The leader's side of batching: groups of commands, its own and forwarded ones, become one entry. It is closed at the end of the
// turn; while the log is writing, groups go on gathering, because the entry could not become durable before that write is over,
// and one large entry costs the whole cluster less than several small ones. An entry holds at most LIMITS.batchBytesMax and makes
// apply read at most LIMITS.batchValueReadsMax values; a group is never split between entries.
import { encodeEntry } from '../api/command-codec.ts'
import type { GroupTag } from '../api/commands.ts'
import type { ProposeOutcome } from '../raft/index.ts'
import { LIMITS } from './limits.ts'
import type { ForwardAnswer } from './ports.ts'

interface WaitingGroup {
  readonly tag: GroupTag
  readonly body: Uint8Array
  readonly valueReads: number
  readonly answer: (answer: ForwardAnswer) => void
}

/** What the proposer needs of the driver. */
export interface ProposerPort {
  propose(data: Uint8Array): ProposeOutcome
  /** Cluster time for the stamp, in milliseconds. */
  clusterTimeMs(): number
  /** Whether a write of the log is in flight; a turn ends after it. */
  isPersisting(): boolean
  /** Has `close` called at the end of this turn. */
  requestTurn(): void
}

export class Proposer {
  readonly #port: ProposerPort
  #groups: WaitingGroup[] = []
  #waitingBytes = 0

  constructor(port: ProposerPort) {
    this.#port = port
  }

  /** Adds a group to this turn's entry. The body has been validated; `valueReads` says how many values it makes apply read. */
  add(tag: GroupTag, body: Uint8Array, answer: (answer: ForwardAnswer) => void, valueReads = 0): void {
    this.#groups.push({ tag, body, valueReads, answer })
    this.#waitingBytes += body.length
    this.#port.requestTurn()
  }

  /** Proposes an entry that holds nothing but the time, on which apply then agrees. Behind what waits already. */
  stamp(answer: (answer: ForwardAnswer) => void): void {
    this.#proposeAll()
    answer(this.#propose([]))
    this.#port.requestTurn()
  }

  /** The turn ends. */
  close(): void {
    if (this.#port.isPersisting() && this.#waitingBytes < LIMITS.batchBytesMax) return
    this.#proposeAll()
  }

  #proposeAll(): void {
    const groups = this.#groups
    this.#groups = []
    this.#waitingBytes = 0
    for (let from = 0; from < groups.length;) {
      const next = endOfEntry(groups, from)
      this.#propose(groups.slice(from, next))
      from = next
    }
  }

  #propose(groups: readonly WaitingGroup[]): ForwardAnswer {
    const outcome = this.#port.propose(encodeEntry({ clusterTimeMs: this.#port.clusterTimeMs(), groups }))
    const answer = answerOf(outcome)
    for (const group of groups) group.answer(answer)
    return answer
  }
}

/** As many groups as one entry holds, from `from` on: at least one. */
function endOfEntry(groups: readonly WaitingGroup[], from: number): number {
  let { valueReads } = groups[from]!
  let sizeBytes = groups[from]!.body.length
  for (let next = from + 1; next < groups.length; next++) {
    sizeBytes += groups[next]!.body.length
    valueReads += groups[next]!.valueReads
    if (sizeBytes > LIMITS.batchBytesMax || valueReads > LIMITS.batchValueReadsMax) return next
  }
  return groups.length
}

function answerOf(outcome: ProposeOutcome): ForwardAnswer {
  if (outcome.kind === 'accepted') return { kind: 'proposed', id: outcome.id }
  if (outcome.reason === 'overloaded') {
    return {
      kind: 'not-proposed',
      code: 'OVERLOADED',
      detail: 'Too much is waiting to be replicated; retry after a pause.',
    }
  }
  return { kind: 'not-proposed', code: 'NO_LEADER', detail: 'This node does not lead.' }
}
