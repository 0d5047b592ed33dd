// The leader's view of one peer: how far its log is known to match, what to send next, and in which of three ways.
//
//   probe      one append at a time, to find where the logs agree
//   replicate  appends are pipelined; `nextIndex` runs ahead of the acknowledgements, inside a window
//   snapshot   the peer needs a state; nothing is appended until it has one
//
// (etcd's Progress, with what belongs to one way of sending kept inside that way.)
import { unreachable } from '../lib/assert.ts'
import { Inflights } from './inflights.ts'
import type { LogIndex } from './types.ts'

export type ProgressState =
  | {
      readonly kind: 'probe'
      /** One append is out; the next waits for its answer or for a heartbeat's. */
      isSent: boolean
      /** After a failed snapshot: how many ticks to leave the peer alone. */
      pausedTicks: number
    }
  | {
      readonly kind: 'replicate'
      readonly inflights: Inflights
      /** Nothing was acknowledged for a whole heartbeat: send an append, even an empty one, to find out what is missing. */
      isAppendForced: boolean
      /** What had matched at the last heartbeat's answer. */
      matchAtHeartbeat: LogIndex
    }
  | { readonly kind: 'snapshot' }

export interface InflightLimits {
  readonly inflightMessagesMax: number
  readonly inflightBytesMax: number
}

export class Progress {
  readonly #limits: InflightLimits
  #state: ProgressState = { kind: 'probe', isSent: false, pausedTicks: 0 }
  #matchIndex: LogIndex = 0
  #nextIndex: LogIndex

  /** Heard from since the last check of the quorum (§6.2). */
  isActive = false
  isSpaceLow = false
  /** The highest read round that the peer has acknowledged. */
  ackedRound = 0
  /** The highest commit index that a message has carried and the peer can adopt. */
  sentCommitIndex: LogIndex = 0
  /** Where a load from disk begins that has not been answered. */
  loadFrom: LogIndex | undefined

  constructor(limits: InflightLimits, nextIndex: LogIndex) {
    this.#limits = limits
    this.#nextIndex = nextIndex
  }

  get state(): ProgressState {
    return this.#state
  }

  get matchIndex(): LogIndex {
    return this.#matchIndex
  }

  get nextIndex(): LogIndex {
    return this.#nextIndex
  }

  becomeProbe(nextIndex: LogIndex = this.#matchIndex + 1, pausedTicks = 0): void {
    this.#state = { kind: 'probe', isSent: false, pausedTicks }
    this.#nextIndex = Math.max(nextIndex, this.#matchIndex + 1)
    this.loadFrom = undefined
  }

  becomeReplicate(): void {
    const inflights = new Inflights(this.#limits.inflightMessagesMax, this.#limits.inflightBytesMax)
    this.#state = { kind: 'replicate', inflights, isAppendForced: false, matchAtHeartbeat: this.#matchIndex }
    this.#nextIndex = this.#matchIndex + 1
    this.loadFrom = undefined
  }

  becomeSnapshot(): void {
    this.#state = { kind: 'snapshot' }
    this.#nextIndex = this.#matchIndex + 1
    this.loadFrom = undefined
  }

  /** Notes that entries up to `lastIndex` have left, `count` of them (none for an empty append). */
  sent(lastIndex: LogIndex, count: number, bytes: number): void {
    const state = this.#state
    if (state.kind === 'probe') {
      state.isSent = true
    } else if (state.kind === 'replicate') {
      state.isAppendForced = false
      if (count === 0) return
      this.#nextIndex = lastIndex + 1
      state.inflights.add(lastIndex, bytes)
    }
  }

  /** The peer holds everything up to `matchIndex` durably. True when that was news. */
  accepted(matchIndex: LogIndex): boolean {
    const state = this.#state
    const isNews = matchIndex > this.#matchIndex
    const isAnswerToProbe = matchIndex >= this.#nextIndex - 1
    if (isNews) this.#matchIndex = matchIndex
    this.#nextIndex = Math.max(this.#nextIndex, this.#matchIndex + 1)
    if (state.kind === 'replicate') state.inflights.freeTo(matchIndex)
    else if (state.kind === 'probe' && (isNews || (isAnswerToProbe && state.pausedTicks === 0))) this.becomeReplicate()
    return isNews
  }

  /**
   * The peer refused to append after `index`; its log may agree at `hintIndex`. True when the answer changed anything.
   *
   * A refusal is never evidence of a match. It can be evidence against one: a peer that refuses the very entry it once
   * acknowledged has lost its log since (design: "the log's witness"). Then the match goes back, the one exception to its
   * growing: what a node does not hold must not be counted, and it could never be helped otherwise. A late duplicate can
   * cause the same; that costs a probe and no safety, since the commit index never follows a match down.
   */
  rejected(index: LogIndex, hintIndex: LogIndex): boolean {
    const state = this.#state
    if (state.kind === 'snapshot') return false
    if (state.kind === 'replicate') {
      this.becomeProbe()
      return true
    }
    if (index !== this.#nextIndex - 1) return false // An answer to an earlier probe.
    const isLoss = index > 0 && index === this.#matchIndex
    const nextIndex = Math.max(1, Math.min(index, hintIndex + 1))
    if (isLoss) this.#matchIndex = nextIndex - 1
    this.#nextIndex = Math.max(nextIndex, this.#matchIndex + 1)
    state.isSent = false
    return true
  }

  /** A heartbeat came back: the link works, so what was sent before it has arrived or is lost. */
  heartbeatAcked(lastIndex: LogIndex): void {
    const state = this.#state
    if (state.kind === 'probe') {
      state.isSent = false
    } else if (state.kind === 'replicate') {
      if (this.#matchIndex < lastIndex && this.#matchIndex === state.matchAtHeartbeat) state.isAppendForced = true
      state.matchAtHeartbeat = this.#matchIndex
    }
  }

  tick(): void {
    if (this.#state.kind === 'probe' && this.#state.pausedTicks > 0) this.#state.pausedTicks--
  }

  /** True when an append may leave now, given the leader's last index. */
  wantsAppend(lastIndex: LogIndex): boolean {
    const state = this.#state
    if (this.loadFrom !== undefined) return false
    switch (state.kind) {
      case 'probe':
        return !state.isSent && state.pausedTicks === 0
      case 'replicate':
        return state.isAppendForced || (this.#nextIndex <= lastIndex && !state.inflights.isFull)
      case 'snapshot':
        return false
      default:
        return unreachable(state)
    }
  }
}
