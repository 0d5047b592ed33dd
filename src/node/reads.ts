// The read path of one node. All linearizable reads of a turn share one read index (§6.4): the leader confirms it in a round,
// a follower asks the leader for it, and each serves from its own applied state once that has caught up. Stale reads and reads
// of one's own writes are served from the same state at once, or when it has reached the revision asked for. Listings, watches
// and questions about leases come the same way: they are told when the state is as fresh as they ask, and look for themselves.
import { QuorateError } from '../api/errors.ts'
import type { KeyEntry } from '../api/commands.ts'
import type { KeyString } from '../lib/bytes.ts'
import { TransientMap, TransientSet } from '../lib/transient.ts'
import type { Placed } from '../lib/transient.ts'
import type { ConfirmedRead, LogIndex, ReadId } from '../raft/index.ts'
import type { Freshness, ReadAnswer, ReadOptions } from './facade.ts'
import { LIMITS } from './limits.ts'
import { holdMs, noLeader } from './pending-write.ts'
import type { Clock, Found } from './ports.ts'

export type ReadCallback = (outcome: ReadAnswer | QuorateError) => void

/** What the read path needs of the rest of the node. */
export interface ReadPort {
  /** Asks for a read index under this id; false when nobody can be asked now. */
  requestReadIndex(id: ReadId): boolean
  /** Has `flush` called at the end of this turn. */
  requestTurn(): void
  readonly appliedIndex: LogIndex
  readonly revision: number
  /** True while this node may serve from its state at all. */
  readonly canServe: boolean
  /** Milliseconds by which the state may be behind, or undefined when unknown. */
  stalenessMs(): number | undefined
  get(key: KeyString): Found | Promise<Found>
  fail(error: unknown): void
}

interface PendingRead extends Placed {
  /** Undefined when there is nothing to be looked up. */
  readonly key: KeyString | undefined
  /** Nobody reads: it finds out how fresh the state is. */
  readonly isProbe: boolean
  readonly options: ReadOptions
  readonly deadlineMs: number
  heldUntilMs: number
  isDone: boolean
  readonly done: ReadCallback
}

/** The reads that share one read index. */
interface Round {
  readonly reads: readonly PendingRead[]
  readonly askedAtMs: number
}

/** A follower's question or the leader's answer may be lost: ask again after this long. */
const ROUND_RETRY_MS = 500
/** Confirmed rounds kept only to learn how fresh the state is, while apply is behind; as many as come in 16 seconds. */
const IDLE_ROUNDS_MAX = 64

export class Reads {
  readonly #clock: Clock
  readonly #port: ReadPort
  /** Waiting to join the next round. */
  #joining: PendingRead[] = []
  #isRoundDue = false
  #isProbeDue = false
  #nextId = 1
  readonly #rounds = new TransientMap<Round>()
  /** Confirmed, waiting for apply: in the order of confirmation, so by ascending index within a leader's term. */
  #confirmed: { readonly index: LogIndex; readonly reads: readonly PendingRead[] }[] = []
  /** Waiting for a revision. */
  #awaitingRevision: PendingRead[] = []
  readonly #waiting = new TransientSet<PendingRead>()
  /** When the latest confirmed round that is applied here was asked for. */
  #freshAtMs: number | undefined
  #isClosed = false

  constructor(clock: Clock, port: ReadPort) {
    this.#clock = clock
    this.#port = port
  }

  /** Reads accepted and not yet answered. */
  get waitingCount(): number {
    return this.#waiting.size
  }

  /** The moment as of which this node's state is known to have been current. Clock milliseconds. */
  get freshAtMs(): number | undefined {
    return this.#freshAtMs
  }

  read(key: KeyString, options: ReadOptions, done: ReadCallback): void {
    this.#begin(key, options, done)
  }

  /** Calls back, maybe at once, when the state may be looked at under these options: at that very moment, without waiting. */
  confirm(options: ReadOptions, done: (outcome: Freshness | QuorateError) => void): void {
    this.#begin(undefined, options, done)
  }

  #begin(key: KeyString | undefined, options: ReadOptions, done: ReadCallback): void {
    if (this.#isClosed) return done(shuttingDown())
    if (this.#waiting.size >= LIMITS.waitingReadsMax) {
      return done(new QuorateError('OVERLOADED', 'Too many reads are waiting on this node; retry after a pause.'))
    }
    const now = this.#clock.now()
    const read: PendingRead = {
      key,
      isProbe: false,
      options,
      deadlineMs: now + options.timeoutMs,
      heldUntilMs: now + holdMs(options.timeoutMs),
      isDone: false,
      place: -1,
      done,
    }
    if (options.consistency === 'linearizable') {
      if (!this.#port.canServe) return done(notReady())
      this.#waiting.add(read)
      this.#join(read)
    } else if (options.minRevision !== undefined && options.minRevision > this.#port.revision) {
      this.#waiting.add(read)
      this.#awaitingRevision.push(read)
    } else {
      this.#serve(read)
    }
  }

  /** Finds out how fresh this node's state is: a round that nobody reads in. */
  probe(): void {
    this.#isProbeDue = true
    this.#requestRound()
  }

  onConfirmed(confirmed: readonly ConfirmedRead[]): void {
    for (const { id, index } of confirmed) {
      const round = this.#rounds.delete(id)
      if (round === undefined) continue
      this.#confirmed.push({ index, reads: [freshness(round.askedAtMs, (atMs) => this.#note(atMs)), ...round.reads] })
    }
    this.onApplied()
  }

  /** Term or leader changed under these rounds: their reads join a new one. */
  onAborted(aborted: readonly ReadId[]): void {
    for (const id of aborted) {
      const round = this.#rounds.delete(id)
      if (round === undefined) continue
      this.#rejoin(round.reads)
    }
  }

  /** The state moved on: serves whoever waited for that. */
  onApplied(): void {
    const applied = this.#port.appliedIndex
    if (this.#confirmed.length > 0 && this.#port.canServe) {
      const ready = this.#confirmed.filter(({ index }) => index <= applied)
      if (ready.length > 0) {
        this.#confirmed = this.#confirmed.filter(({ index }) => index > applied)
        for (const { reads } of ready) for (const read of reads) this.#serveConfirmed(read)
      }
    }
    if (this.#awaitingRevision.length > 0) {
      const revision = this.#port.revision
      const isReady = (read: PendingRead): boolean => (read.options.minRevision ?? 0) <= revision
      const ready = this.#awaitingRevision.filter(isReady)
      if (ready.length === 0) return
      this.#awaitingRevision = this.#awaitingRevision.filter((read) => !isReady(read))
      for (const read of ready) this.#serve(read)
    }
  }

  /** A leader may have become reachable. */
  retry(): void {
    if (this.#joining.length > 0) this.#requestRound()
  }

  /** Answers what has waited long enough, and asks again where an answer is overdue. Called every few ticks. */
  sweep(): void {
    const now = this.#clock.now()
    for (const read of this.#waiting.values()) {
      if (now >= read.deadlineMs) this.#resolve(read, timedOut(read))
    }
    for (const read of this.#joining) if (now >= read.heldUntilMs) this.#resolve(read, noLeader())
    this.#joining = this.#joining.filter((read) => !read.isDone)
    this.#awaitingRevision = this.#awaitingRevision.filter((read) => !read.isDone)
    this.#forgetIdleRounds()
    for (const [id, round] of this.#rounds.entries()) {
      if (now - round.askedAtMs < ROUND_RETRY_MS) continue
      this.#rounds.delete(id)
      this.#rejoin(round.reads)
    }
    this.retry()
  }

  /** While apply stands still, rounds go on being confirmed: those whose readers have given up must not pile up. */
  #forgetIdleRounds(): void {
    let idle = 0
    this.#confirmed = this.#confirmed.filter(({ reads }) => reads.some(isReaderWaiting) || ++idle <= IDLE_ROUNDS_MAX)
  }

  #requestRound(): void {
    this.#isRoundDue = true
    this.#port.requestTurn()
  }

  /** The turn ends: the linearizable reads that it brought ask for their index. */
  flush(): void {
    if (!this.#isRoundDue) return
    this.#isRoundDue = false
    const reads = this.#joining.filter((read) => !read.isDone)
    this.#joining = []
    const isProbeDue = this.#isProbeDue && this.#rounds.size === 0
    this.#isProbeDue = false
    if ((reads.length > 0 || isProbeDue) && !this.#ask(reads)) this.#joining.push(...reads)
  }

  close(): void {
    this.#isClosed = true
  }

  abort(): void {
    for (const read of this.#waiting.values()) this.#resolve(read, shuttingDown())
  }

  #join(read: PendingRead): void {
    this.#joining.push(read)
    this.#requestRound()
  }

  /** Reads of a round that came to nothing wait for the next, as long as they would wait for a leader. */
  #rejoin(reads: readonly PendingRead[]): void {
    const now = this.#clock.now()
    for (const read of reads) {
      if (read.isDone) continue
      read.heldUntilMs = Math.max(read.heldUntilMs, now + holdMs(read.options.timeoutMs))
      this.#join(read)
    }
  }

  #ask(reads: readonly PendingRead[]): boolean {
    const id = this.#nextId++
    this.#rounds.set(id, { reads, askedAtMs: this.#clock.now() })
    if (this.#port.requestReadIndex(id)) return true
    this.#rounds.delete(id)
    return false
  }

  /** A linearizable read may also ask for a revision, which can be ahead of what was confirmed. */
  #serveConfirmed(read: PendingRead): void {
    if ((read.options.minRevision ?? 0) > this.#port.revision) this.#awaitingRevision.push(read)
    else this.#serve(read)
  }

  #serve(read: PendingRead): void {
    if (read.isDone) return
    if (read.isProbe) return this.#resolve(read, { entry: undefined, revision: 0, stalenessMs: undefined })
    if (!this.#port.canServe) {
      return this.#resolve(read, notReady())
    }
    const stalenessMs = read.options.consistency === 'stale' ? this.#port.stalenessMs() : undefined
    const { maxStaleMs } = read.options
    if (maxStaleMs !== undefined && (stalenessMs ?? Infinity) > maxStaleMs) {
      return this.#resolve(read, tooStale(stalenessMs, maxStaleMs))
    }
    const revision = this.#port.revision
    const found = read.key === undefined ? undefined : this.#port.get(read.key)
    if (!(found instanceof Promise)) return this.#resolve(read, { entry: toEntry(found), revision, stalenessMs })
    this.#waiting.add(read)
    found.then(
      (record) =>
        this.#resolve(read, {
          entry: toEntry(record),
          revision: Math.max(revision, record?.at.revision ?? 0),
          stalenessMs,
        }),
      (error: unknown) => {
        this.#resolve(
          read,
          new QuorateError('INTERNAL', 'The state could not be read; this node stops.', { outcome: 'not-applied' }),
        )
        this.#port.fail(error)
      },
    )
  }

  #note(askedAtMs: number): void {
    this.#freshAtMs = Math.max(this.#freshAtMs ?? askedAtMs, askedAtMs)
  }

  #resolve(read: PendingRead, outcome: ReadAnswer | QuorateError): void {
    if (read.isDone) return
    read.isDone = true
    this.#waiting.delete(read)
    read.done(outcome)
  }
}

const isReaderWaiting = (read: PendingRead): boolean => !read.isProbe && !read.isDone

/** A read of nothing, served with its round: tells that the state was current when the round was asked for. */
function freshness(askedAtMs: number, note: (askedAtMs: number) => void): PendingRead {
  const options: ReadOptions = {
    consistency: 'linearizable',
    maxStaleMs: undefined,
    minRevision: undefined,
    timeoutMs: 0,
  }
  return {
    key: undefined,
    isProbe: true,
    options,
    deadlineMs: Infinity,
    heldUntilMs: Infinity,
    isDone: false,
    place: -1,
    done: () => note(askedAtMs),
  }
}

/** The entry that a record shows; undefined for none and for a tombstone. */
export function toEntry(record: Found): KeyEntry | undefined {
  if (record?.value === undefined) return undefined
  const { key, value, contentType, createRevision, version, lease } = record
  return { key, value, contentType, createRevision, modRevision: record.at.revision, version, lease }
}

export const notReady = (): QuorateError =>
  new QuorateError('NOT_READY', 'This node has no usable state yet; ask another node.')

export const shuttingDown = (): QuorateError =>
  new QuorateError('SHUTTING_DOWN', 'This node is shutting down; retry on another.', { outcome: 'not-applied' })

function timedOut(read: PendingRead): QuorateError {
  const { timeoutMs, minRevision } = read.options
  const what =
    minRevision === undefined
      ? 'The read could not be confirmed'
      : `This node has not reached revision ${minRevision}, or the read could not be confirmed,`
  return new QuorateError('TIMEOUT', `${what} within ${timeoutMs} ms.`, { outcome: 'not-applied' })
}

function tooStale(stalenessMs: number | undefined, maxStaleMs: number): QuorateError {
  const behind = stalenessMs === undefined ? 'for an unknown time' : `for up to ${stalenessMs} ms`
  return new QuorateError(
    'TOO_STALE',
    `This node may be behind ${behind}, more than the ${maxStaleMs} ms allowed; ask another node.`,
  )
}
