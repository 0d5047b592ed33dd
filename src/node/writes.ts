// The write path of one node: collects the commands of one turn, proposes them as one entry when this node leads or forwards
// them as one group when it does not, and answers each caller when *this node's own* apply meets the group (design, section 8).
// A write is answered `not-applied` only when that is certain; then, time permitting, it is tried again without bothering anyone.
import { applyCostOf } from '../api/apply-cost.ts'
import type { ClientCommand, CommandResult, EntryBatch } from '../api/commands.ts'
import { encodeCommand, encodedCommandLength } from '../api/command-codec.ts'
import { type ErrorCode, ERRORS, QuorateError } from '../api/errors.ts'
import { assert } from '../lib/assert.ts'
import { ByteWriter } from '../lib/bytes.ts'
import { TransientMap, TransientSet } from '../lib/transient.ts'
import type { Boot, EntryId, LogIndex, NodeId } from '../raft/index.ts'
import { LIMITS } from './limits.ts'
import {
  holdMs,
  leadershipLost,
  noLeader,
  type PendingWrite,
  type Submission,
  type WriteCallback,
  writeTimedOut,
} from './pending-write.ts'
import type { Clock, ForwardAnswer } from './ports.ts'
import { type Growth, growthOf } from './space-guard.ts'

/** What the write path needs of the rest of the node. */
export interface WritePort {
  readonly isLeader: boolean
  readonly leaderId: NodeId | undefined
  readonly appliedIndex: LogIndex
  /** Puts the body into the leader's current batch; `answer` tells the fate of the proposal. */
  proposeGroup(number: number, body: Uint8Array, answer: (answer: ForwardAnswer) => void, valueReads: number): void
  /** Has `flush` called at the end of this turn. */
  requestTurn(): void
  forward(to: NodeId, number: number, body: Uint8Array, answer: (answer: ForwardAnswer) => void): void
  /** Refuses what may not be proposed here and now (disk space), as an error of the table. */
  refusal(command: ClientCommand): QuorateError | undefined
}

/** After the link to the leader broke, or the leadership was lost, a write's fate may still show in our own log for this long. */
const LOST_GRACE_MS = 1_000

export class Writes {
  readonly #clock: Clock
  readonly #self: { readonly id: NodeId; readonly boot: Boot }
  readonly #port: WritePort
  /** Not yet on their way. In the order of arrival, but for those that came back. */
  #queue: PendingWrite[] = []
  /** Something new came, or a leader: what came back alone waits, or it would be sent to and fro. */
  #isFlushDue = false
  #isClosed = false
  #nextNumber = 1
  readonly #outstanding = new TransientSet<PendingWrite>()
  #outstandingBytes = 0
  readonly #submissions = new TransientMap<Submission>()
  /** Submissions whose entry is known, by index: to learn that another term's entry took the place. */
  readonly #byIndex = new TransientMap<Submission[]>()
  #installedIndex: LogIndex = 0

  constructor(clock: Clock, self: { id: NodeId; boot: Boot }, port: WritePort) {
    this.#clock = clock
    this.#self = self
    this.#port = port
  }

  /** Writes accepted and not yet answered. */
  get outstandingCount(): number {
    return this.#outstanding.size
  }

  submit(command: ClientCommand, timeoutMs: number, done: WriteCallback): void {
    const sizeBytes = encodedCommandLength(command)
    const refusal = this.#admission(command, sizeBytes)
    if (refusal !== undefined) return done(refusal)
    const now = this.#clock.now()
    const write: PendingWrite = {
      command,
      sizeBytes,
      timeoutMs,
      deadlineMs: now + timeoutMs,
      heldUntilMs: now + holdMs(timeoutMs),
      isProposed: false,
      isDone: false,
      place: -1,
      done,
    }
    this.#outstanding.add(write)
    this.#outstandingBytes += write.sizeBytes
    this.#queue.push(write)
    this.#requestFlush()
  }

  /** A leader may have become reachable: whatever waits is sent on its way. */
  retry(): void {
    if (this.#queue.length > 0) this.#requestFlush()
  }

  /** Nothing new is accepted; what is in flight goes on. */
  close(): void {
    this.#isClosed = true
  }

  /** An entry was applied here: answers our own groups in it, and those whose place it took. */
  onApplied(id: EntryId, batch: EntryBatch | undefined, results: readonly (readonly CommandResult[])[]): void {
    batch?.groups.forEach((group, position) => {
      if (group.tag.member !== this.#self.id || group.tag.boot !== this.#self.boot) return
      const submission = this.#submissions.get(group.tag.number)
      if (submission !== undefined) this.#answer(submission, results[position] ?? [])
    })
    const placed = this.#byIndex.delete(id.index)
    if (placed === undefined) return
    for (const submission of placed) {
      if (!this.#submissions.has(submission.number)) continue
      assert(
        submission.id?.term !== id.term,
        `entry ${id.index} of term ${id.term} was applied without the group it was given`,
      )
      this.#requeue(submission)
    }
  }

  /**
   * This node does not lead, or not any more. What it had proposed is known soon, from its successor, or not for long: whoever is cut off with
   * it should hear so, and ask elsewhere.
   */
  onFollowing(): void {
    const giveUpAtMs = this.#clock.now() + LOST_GRACE_MS
    for (const submission of this.#submissions.values())
      if (submission.isProposedHere) submission.giveUpAtMs = Math.min(submission.giveUpAtMs, giveUpAtMs)
  }

  /** A snapshot took the place of the entries up to `index`: nobody can tell any more what they held. */
  onInstalled(index: LogIndex): void {
    this.#installedIndex = index
    for (const [at, submissions] of this.#byIndex.entries()) {
      if (at > index) continue
      this.#byIndex.delete(at)
      for (const submission of submissions) this.#fail(submission, leadershipLost())
    }
  }

  /** Answers what has waited long enough. Called every few ticks. */
  sweep(): void {
    const now = this.#clock.now()
    for (const write of this.#outstanding.values()) {
      if (now >= write.deadlineMs) this.#resolve(write, writeTimedOut(write))
      else if (!write.isProposed && now >= write.heldUntilMs) this.#resolve(write, noLeader())
    }
    for (const submission of this.#submissions.values()) {
      if (now >= submission.giveUpAtMs) this.#fail(submission, leadershipLost())
      else if (submission.writes.every((write) => write.isDone)) this.#forget(submission)
    }
    this.#queue = this.#queue.filter((write) => !write.isDone)
    this.retry()
  }

  /** The node stops: what was proposed is unknown, the rest has no effect. */
  abort(): void {
    for (const write of this.#outstanding.values()) {
      const outcome = write.isProposed ? 'unknown' : 'not-applied'
      this.#resolve(
        write,
        new QuorateError('SHUTTING_DOWN', 'This node is shutting down; retry on another.', { outcome }),
      )
    }
    this.#submissions.clear()
    this.#byIndex.clear()
    this.#queue = []
  }

  #admission(command: ClientCommand, sizeBytes: number): QuorateError | undefined {
    if (this.#isClosed) return new QuorateError('SHUTTING_DOWN', 'This node is shutting down; retry on another.')
    if (sizeBytes > LIMITS.commandBytesMax) {
      const allowed = `at most ${LIMITS.commandBytesMax} are allowed`
      return new QuorateError('VALUE_TOO_LARGE', `One command of ${sizeBytes} bytes; ${allowed}. Split it.`)
    }
    const tooMany = this.#outstanding.size >= LIMITS.inflightCommandsMax
    if (tooMany || this.#outstandingBytes >= LIMITS.inflightBytesMax) {
      return new QuorateError('OVERLOADED', 'Too many writes are in flight on this node; retry after a pause.')
    }
    const isLeaderless = !this.#port.isLeader && this.#port.leaderId === undefined
    if (isLeaderless && this.#queue.length >= LIMITS.heldRequestsMax) return noLeader()
    return this.#port.refusal(command)
  }

  #requestFlush(): void {
    this.#isFlushDue = true
    this.#port.requestTurn()
  }

  /** The turn ends: what it brought goes on its way. Without a leader everything stays where it is. */
  flush(): void {
    if (!this.#isFlushDue) return
    this.#isFlushDue = false
    const leader = this.#port.leaderId
    if (!this.#port.isLeader && leader === undefined) return
    const queue = this.#queue
    this.#queue = []
    for (let from = 0; from < queue.length;) {
      const { writes, next, valueReads } = takeBatch(queue, from)
      from = next
      if (writes.length > 0) this.#send(writes, leader, valueReads)
    }
  }

  #send(writes: PendingWrite[], leader: NodeId | undefined, valueReads: number): void {
    let sizeBytes = 0
    for (const write of writes) sizeBytes += write.sizeBytes
    const body = new ByteWriter(sizeBytes)
    for (const write of writes) {
      encodeCommand(body, write.command)
      write.isProposed = true
    }
    const submission: Submission = {
      number: this.#nextNumber++,
      writes,
      id: undefined,
      isProposedHere: this.#port.isLeader,
      giveUpAtMs: Infinity,
    }
    this.#submissions.set(submission.number, submission)
    const answer = (answer: ForwardAnswer): void => this.#onAnswer(submission, answer)
    if (this.#port.isLeader) this.#port.proposeGroup(submission.number, body.finish(), answer, valueReads)
    else if (leader !== undefined) this.#port.forward(leader, submission.number, body.finish(), answer)
  }

  /** The leader's word on a submission: it serves to learn `not-applied`; success shows in our own log. */
  #onAnswer(submission: Submission, answer: ForwardAnswer): void {
    if (!this.#submissions.has(submission.number)) return
    switch (answer.kind) {
      case 'proposed':
        return this.#onProposed(submission, answer.id)
      case 'not-proposed':
        return this.#onRefused(submission, answer.code, answer.detail)
      case 'unsent':
        return this.#requeue(submission)
      case 'lost':
        submission.giveUpAtMs = this.#clock.now() + LOST_GRACE_MS
    }
  }

  #onProposed(submission: Submission, id: EntryId): void {
    submission.id = id
    if (id.index > this.#port.appliedIndex) {
      const placed = this.#byIndex.get(id.index)
      if (placed === undefined) this.#byIndex.set(id.index, [submission])
      else placed.push(submission)
    } else if (id.index <= this.#installedIndex) {
      this.#fail(submission, leadershipLost())
    } else {
      // That index was applied here and the group was not in it: another term's entry took its place.
      this.#requeue(submission)
    }
  }

  #onRefused(submission: Submission, code: string, detail: string): void {
    if (code === 'NO_LEADER') return this.#requeue(submission)
    const error = new QuorateError(isErrorCode(code) ? code : 'INTERNAL', detail, { outcome: 'not-applied' })
    if (code !== 'NO_SPACE') return this.#fail(submission, error)
    // The leader refuses a whole group because something in it adds data; what does not may go on by itself. With nothing in
    // it that does, space is too short for deletes as well, and what neither adds nor deletes goes on.
    const ofGrowth = (growth: Growth) => submission.writes.filter(({ command }) => growthOf(command) === growth)
    const adding = ofGrowth('adds')
    const refused = adding.length > 0 ? adding : ofGrowth('removes')
    if (refused.length === 0) return this.#fail(submission, error)
    for (const write of refused) this.#resolve(write, error)
    this.#requeue(submission)
  }

  #answer(submission: Submission, results: readonly CommandResult[]): void {
    assert(
      results.length === submission.writes.length,
      `${results.length} results for ${submission.writes.length} writes`,
    )
    this.#forget(submission)
    for (let at = 0; at < results.length; at++) this.#resolve(submission.writes[at]!, results[at]!)
  }

  /** Certainly not applied: what still has time goes back to wait for the next leader. */
  #requeue(submission: Submission): void {
    this.#forget(submission)
    const now = this.#clock.now()
    for (const write of submission.writes) {
      if (write.isDone) continue
      write.isProposed = false
      write.heldUntilMs = now + holdMs(write.timeoutMs)
      this.#queue.push(write)
    }
  }

  #fail(submission: Submission, error: QuorateError): void {
    this.#forget(submission)
    for (const write of submission.writes) this.#resolve(write, error)
  }

  #forget(submission: Submission): void {
    this.#submissions.delete(submission.number)
  }

  #resolve(write: PendingWrite, outcome: CommandResult | QuorateError): void {
    if (write.isDone) return
    write.isDone = true
    this.#outstanding.delete(write)
    this.#outstandingBytes -= write.sizeBytes
    write.done(outcome)
  }
}

const isErrorCode = (code: string): code is ErrorCode => Object.hasOwn(ERRORS, code)

/** As many writes as one entry holds, from `from` on; a larger single one goes alone. */
function takeBatch(
  queue: readonly PendingWrite[],
  from: number,
): { writes: PendingWrite[]; next: number; valueReads: number } {
  const writes: PendingWrite[] = []
  let sizeBytes = 0
  let valueReads = 0
  let next = from
  for (; next < queue.length; next++) {
    const write = queue[next]!
    if (write.isDone) continue
    const reads = applyCostOf(write.command)
    const isOver = sizeBytes + write.sizeBytes > LIMITS.batchBytesMax || valueReads + reads > LIMITS.batchValueReadsMax
    if (writes.length > 0 && isOver) break
    sizeBytes += write.sizeBytes
    valueReads += reads
    writes.push(write)
  }
  return { writes, next, valueReads }
}
