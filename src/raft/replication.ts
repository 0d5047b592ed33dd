// What a leader sends (§3.5). Inputs only note what is due; messages are made when the driver takes the Ready, so that all
// that one turn of the event loop brought leaves as one append a peer, and the round of reads rides along.
import type { Core } from './core.ts'
import { checkQuorum } from './election.ts'
import { entryBytes } from './log.ts'
import type { Progress } from './progress.ts'
import { isVoter } from './quorum.ts'
import { confirmRounds, openRound } from './reads.ts'
import type { ProposeOutcome } from './ready.ts'
import type { LeaderRole } from './roles.ts'
import { checkDisk, tickTransfer } from './transfer.ts'
import type { Entry, EntryId, LogIndex, LogSlice, NodeId } from './types.ts'

export function propose(core: Core, data: Uint8Array): ProposeOutcome {
  const leader = core.role
  if (leader.kind !== 'leader') return { kind: 'dropped', reason: 'not-leader' }
  if (leader.transfer !== undefined) return { kind: 'dropped', reason: 'transferring' }
  const { log, config } = core
  const entry: Entry = { term: core.term, index: log.lastIndex + 1, kind: 'normal', data }
  // An entry larger than the bound may pass alone, or it never could.
  const isTooMuch = log.uncommittedBytes > 0 && log.uncommittedBytes + entryBytes(entry) > config.uncommittedBytesMax
  if (isTooMuch || log.unappliedBytes > config.unappliedBytesMax) return { kind: 'dropped', reason: 'overloaded' }
  log.append(entry)
  return { kind: 'accepted', id: { term: entry.term, index: entry.index } }
}

export function tickLeader(core: Core, leader: LeaderRole): void {
  leader.heartbeatTicks++
  if (leader.heartbeatTicks >= core.config.heartbeatTicks) {
    leader.heartbeatTicks = 0
    leader.isHeartbeatDue = true
  }
  for (const progress of leader.peers.values()) progress.tick()
  tickTransfer(core, leader)
  checkDisk(core, leader)
  if (core.role === leader) checkQuorum(core, leader)
}

/** Sends all that is due. */
export function flush(core: Core, leader: LeaderRole): void {
  const isRoundNew = openRound(core, leader)
  const isHeartbeatDue = leader.isHeartbeatDue
  leader.isHeartbeatDue = false
  // While a write is young, the append that follows it is about to take the news along: under load that is each second message.
  const isAppendNear = core.write?.ticks === 0
  for (const [peer, progress] of leader.peers) {
    const hasAppended = sendAppends(core, leader, peer, progress)
    // Readers and waiters at the followers should not have to wait for the next heartbeat to learn of a commit, nor reads
    // for an append to come along. Heartbeats on time leave in any case: their answers do not wait for the peer's disk.
    const isCommitNews = progress.state.kind === 'replicate' && committedAt(core, progress) > progress.sentCommitIndex
    const isNewsDue = isCommitNews && !isAppendNear
    const isRoundDue = isRoundNew && isVoter(core.confState, peer)
    if (isHeartbeatDue || (!hasAppended && (isNewsDue || isRoundDue))) sendHeartbeat(core, leader, peer, progress)
  }
  if (isRoundNew) confirmRounds(core, leader) // A single voter is a quorum by itself.
}

/** How much of what is committed the peer certainly holds. */
function committedAt(core: Core, progress: Progress): LogIndex {
  return Math.min(core.log.commitIndex, progress.matchIndex)
}

function sendHeartbeat(core: Core, leader: LeaderRole, to: NodeId, progress: Progress): void {
  const commitIndex = committedAt(core, progress)
  progress.sentCommitIndex = Math.max(progress.sentCommitIndex, commitIndex)
  core.out.send({
    type: 'heartbeat',
    from: core.id,
    to,
    term: core.term,
    commitIndex,
    readRound: leader.reads.number,
    lastIndex: core.log.lastIndex,
  })
}

/** True when at least one append has left. */
function sendAppends(core: Core, leader: LeaderRole, peer: NodeId, progress: Progress): boolean {
  let hasSent = false
  while (progress.wantsAppend(core.log.lastIndex)) {
    const prevIndex = progress.nextIndex - 1
    const prevTerm = core.log.termAt(prevIndex)
    if (prevTerm === undefined) {
      startLoad(core, peer, progress)
      return hasSent
    }
    const isWindowFull = progress.state.kind === 'replicate' && progress.state.inflights.isFull
    const isAtEnd = progress.nextIndex > core.log.lastIndex
    const entries = isWindowFull || isAtEnd ? [] : core.log.slice(progress.nextIndex, core.config.appendBytesMax)
    sendAppend(core, leader, { to: peer, progress, prev: { term: prevTerm, index: prevIndex }, entries })
    hasSent = true
  }
  return hasSent
}

interface Append {
  readonly to: NodeId
  readonly progress: Progress
  readonly prev: EntryId
  readonly entries: readonly Entry[]
}

function sendAppend(core: Core, leader: LeaderRole, { to, progress, prev, entries }: Append): void {
  let bytes = 0
  for (const entry of entries) bytes += entryBytes(entry)
  const lastIndex = prev.index + entries.length
  const { commitIndex } = core.log
  progress.sent(lastIndex, entries.length, bytes)
  progress.sentCommitIndex = Math.max(progress.sentCommitIndex, Math.min(commitIndex, lastIndex))
  core.out.send({
    type: 'append-entries',
    from: core.id,
    to,
    term: core.term,
    prev,
    entries,
    commitIndex,
    readRound: leader.reads.number,
    lastIndex: core.log.lastIndex,
  })
}

/** The peer needs entries that memory has dropped: it pauses until they come from the disk. */
function startLoad(core: Core, peer: NodeId, progress: Progress): void {
  if (progress.state.kind === 'replicate' && progress.state.inflights.isFull) progress.becomeProbe()
  progress.loadFrom = progress.nextIndex
  core.out.load({
    peer,
    first: progress.nextIndex,
    last: core.log.base.index,
    bytesMax: core.config.appendBytesMax,
  })
}

/** The answer to a load: entries, or undefined when they are compacted and only a snapshot can help. */
export function loaded(core: Core, peer: NodeId, slice: LogSlice | undefined): void {
  const leader = core.role
  if (leader.kind !== 'leader') return
  const progress = leader.peers.get(peer)
  if (progress?.loadFrom === undefined) return
  const first = progress.loadFrom
  progress.loadFrom = undefined
  if (slice === undefined) return needSnapshot(core, peer, progress)
  // An answer to a load of an earlier term of ours, or a peer that has moved on meanwhile: the next flush decides anew.
  if (slice.prev.index !== first - 1 || progress.nextIndex !== first) return
  if (progress.wantsAppend(core.log.lastIndex)) sendAppend(core, leader, { to: peer, progress, ...slice })
}

/** Asks the driver to stream a state, once for each need. */
export function needSnapshot(core: Core, peer: NodeId, progress: Progress): void {
  progress.becomeSnapshot()
  core.out.wantSnapshot(peer)
}

export function reportSnapshot(core: Core, peer: NodeId, outcome: 'installed' | 'failed'): void {
  if (core.role.kind !== 'leader') return
  const progress = core.role.peers.get(peer)
  if (progress?.state.kind !== 'snapshot') return
  // Where an installed state ends is for the peer to say: a probe at our end brings it as a hint, even if the peer's own
  // acknowledgement is late. After a failure the peer is left alone for a while.
  if (outcome === 'installed') progress.becomeProbe(core.log.lastIndex + 1)
  else progress.becomeProbe(undefined, core.config.electionTimeoutTicks)
}

/** What was in flight is probably lost. */
export function reportUnreachable(core: Core, peer: NodeId): void {
  if (core.role.kind !== 'leader') return
  const progress = core.role.peers.get(peer)
  if (progress?.state.kind === 'replicate') progress.becomeProbe()
}
