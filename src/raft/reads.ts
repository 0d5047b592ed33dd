// Linearizable reads without the log (§6.4), in rounds. A read joins the next round that has not been sent. When the round's
// first message leaves, its index is fixed: the commit index of that moment. Messages carry the round, acknowledgements echo
// it, and once a quorum has, no later leader can have committed anything before the round began: the index is safe to read at.
//
// A leader opens no round before it has committed in its own term: until then it may not know what is committed (§6.4).
import type { Core } from './core.ts'
import type { ReadIndexRequest, ReadIndexResponse } from './messages.ts'
import { isMember, quorumIndex } from './quorum.ts'
import type { ReadIndexOutcome, StepOutcome } from './ready.ts'
import { ACCEPTED, dropped } from './ready.ts'
import type { LeaderRole } from './roles.ts'
import type { Boot, LogIndex, NodeId, ReadId } from './types.ts'

/** Followers' requests that a leader keeps, and requests that a follower waits for; each stands for a turn's worth of reads. */
const REQUESTS_MAX = 4_096

type Read =
  | { readonly kind: 'local'; readonly id: ReadId }
  | { readonly kind: 'remote'; readonly id: ReadId; readonly from: NodeId; readonly boot: Boot }

interface Round {
  readonly number: number
  readonly index: LogIndex
  readonly reads: readonly Read[]
}

/** The reads of one leader in one term. Lives and dies with its role. */
export class LeaderReads {
  /** The last round that was sent. Only grows. */
  number = 0
  #waiting: Read[] = []
  #rounds: Round[] = []
  #remoteCount = 0

  get isWaiting(): boolean {
    return this.#waiting.length > 0
  }

  /** False when the leader already keeps too many. */
  add(read: Read): boolean {
    if (read.kind === 'remote') {
      if (this.#remoteCount >= REQUESTS_MAX) return false
      this.#remoteCount++
    }
    this.#waiting.push(read)
    return true
  }

  open(index: LogIndex): void {
    this.number++
    this.#rounds.push({ number: this.number, index, reads: this.#waiting })
    this.#waiting = []
  }

  /** Ends the rounds up to `number`, oldest first. */
  takeConfirmed(number: number): readonly Round[] {
    let count = 0
    while (count < this.#rounds.length && this.#rounds[count]!.number <= number) count++
    if (count === 0) return []
    const confirmed = this.#rounds.splice(0, count)
    for (const round of confirmed) for (const read of round.reads) if (read.kind === 'remote') this.#remoteCount--
    return confirmed
  }

  localIds(): readonly ReadId[] {
    const reads = [...this.#rounds.flatMap((round) => round.reads), ...this.#waiting]
    return reads.filter((read) => read.kind === 'local').map((read) => read.id)
  }
}

export function readIndex(core: Core, id: ReadId): ReadIndexOutcome {
  if (!isMember(core.confState, core.id)) return { kind: 'dropped', reason: 'not-member' }
  if (core.standing === 'stateless') return { kind: 'dropped', reason: 'stateless' }
  const role = core.role
  if (role.kind === 'leader') {
    role.reads.add({ kind: 'local', id })
    return { kind: 'accepted' }
  }
  if (role.kind !== 'follower' || role.leaderId === undefined) return { kind: 'dropped', reason: 'no-leader' }
  role.reads.add(id)
  if (role.reads.size > REQUESTS_MAX) abortOldest(core, role.reads)
  core.out.send({
    type: 'read-index',
    from: core.id,
    to: role.leaderId,
    term: core.term,
    id,
    boot: core.config.boot,
  })
  return { kind: 'accepted' }
}

function abortOldest(core: Core, reads: Set<ReadId>): void {
  for (const oldest of reads) {
    reads.delete(oldest)
    core.out.abortRead(oldest)
    return
  }
}

export function handleReadIndex(core: Core, message: ReadIndexRequest): StepOutcome {
  const leader = core.role
  if (leader.kind !== 'leader') return dropped('unexpected')
  if (!leader.peers.has(message.from)) return dropped('not-a-member')
  const isKept = leader.reads.add({ kind: 'remote', id: message.id, from: message.from, boot: message.boot })
  return isKept ? ACCEPTED : dropped('overloaded')
}

export function handleReadIndexResponse(core: Core, message: ReadIndexResponse): StepOutcome {
  if (message.boot !== core.config.boot) return dropped('stale-boot')
  if (core.role.kind !== 'follower' || core.role.leaderId !== message.from) return dropped('unexpected')
  if (!core.role.reads.delete(message.id)) return dropped('unexpected')
  core.out.confirmRead(message.id, message.index)
  return ACCEPTED
}

/** Opens a round for the reads that wait. True when one was opened: its number must reach a quorum, so messages must leave. */
export function openRound(core: Core, leader: LeaderRole): boolean {
  if (!leader.reads.isWaiting || core.log.commitIndex < leader.termStartIndex) return false
  leader.reads.open(core.log.commitIndex)
  return true
}

/** A quorum of voters, this one included, has acknowledged some round: answers its reads and those of all before. */
export function confirmRounds(core: Core, leader: LeaderRole): void {
  const confirmed = quorumIndex(core.confState, (id) =>
    id === core.id ? leader.reads.number : (leader.peers.get(id)?.ackedRound ?? 0),
  )
  for (const round of leader.reads.takeConfirmed(confirmed)) {
    for (const read of round.reads) {
      if (read.kind === 'local') {
        core.out.confirmRead(read.id, round.index)
      } else {
        core.out.send({
          type: 'read-index-response',
          from: core.id,
          to: read.from,
          term: core.term,
          id: read.id,
          boot: read.boot,
          index: round.index,
        })
      }
    }
  }
}
