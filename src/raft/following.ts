// What a follower does with the leader's messages (§3.5, §5): it makes its log agree, learns what is committed, acknowledges
// what is durable, and takes a state when its log cannot be helped any more.
import type { Core } from './core.ts'
import type { AppendEntries, Heartbeat, InstallSnapshot } from './messages.ts'
import type { StepOutcome } from './ready.ts'
import { ACCEPTED, dropped } from './ready.ts'
import type { FollowerRole } from './roles.ts'
import { isSensibleAppend, isSensibleHeartbeat, isSensibleSnapshot } from './sense.ts'
import { becomeFollower, followLeader } from './transitions.ts'
import type { LogIndex, NodeId } from './types.ts'

export function handleAppendEntries(core: Core, message: AppendEntries): StepOutcome {
  if (!isSensibleAppend(message)) return dropped('malformed')
  const role = hearFrom(core, message.from)
  if (role === undefined) return dropped('contradiction')
  role.reportedLastIndex ??= message.lastIndex

  const { log } = core
  let { prev, entries } = message
  if (prev.index < log.commitIndex) {
    // What is committed here equals the leader's log, so only what lies beyond it is of interest (and a prev index below
    // what memory holds is no conflict).
    const skipped = log.commitIndex - prev.index
    if (entries.length < skipped) return acknowledge(core, role, log.commitIndex, message)
    prev = entries[skipped - 1]!
    entries = entries.slice(skipped)
  }
  if (log.termAt(prev.index) !== prev.term) {
    if (prev.index === log.commitIndex) return dropped('contradiction')
    return reject(core, role, message)
  }
  if (entries.length > 0 && log.unappliedBytes > core.config.unappliedBytesMax) return dropped('overloaded')
  log.reconcile(entries)
  return acknowledge(core, role, prev.index + entries.length, message)
}

/** Everything up to `matchIndex` equals the leader's log: no more than this message proved (§3.5). */
function acknowledge(core: Core, role: FollowerRole, matchIndex: LogIndex, message: AppendEntries): StepOutcome {
  role.matchedIndex = Math.max(role.matchedIndex, matchIndex)
  core.log.commitTo(Math.min(message.commitIndex, matchIndex))
  raiseAck(core, role, matchIndex, message.readRound)
  return ACCEPTED
}

function reject(core: Core, role: FollowerRole, message: AppendEntries): StepOutcome {
  const { log } = core
  const { prev } = message
  // Nothing above this can agree with a log that has this term there. What is committed agrees in any case.
  const hintIndex = Math.max(log.commitIndex, log.lastWithTermAtMost(prev.index, prev.term))
  sendRejection(core, role, prev.index, hintIndex, message.readRound)
  return ACCEPTED
}

function sendRejection(core: Core, role: FollowerRole, index: LogIndex, hintIndex: LogIndex, readRound: number): void {
  if (role.leaderId === undefined) return
  core.out.send({
    type: 'append-entries-response',
    from: core.id,
    to: role.leaderId,
    term: core.term,
    readRound,
    result: { kind: 'rejected', index, hint: { term: core.log.termAt(hintIndex) ?? 0, index: hintIndex } },
    isSpaceLow: core.isSpaceLow,
  })
}

/** The sender leads this term: undefined if we know another leader of it, which the rules exclude. */
function hearFrom(core: Core, leaderId: NodeId): FollowerRole | undefined {
  if (core.role.kind === 'leader') return undefined
  const known = core.leaderId
  if (known !== undefined && known !== leaderId) return undefined
  if (known === undefined) followLeader(core, leaderId)
  core.electionTicks = 0
  if (core.role.kind !== 'follower') return undefined
  core.role.haste = undefined
  return core.role
}

export function handleHeartbeat(core: Core, message: Heartbeat): StepOutcome {
  if (!isSensibleHeartbeat(message)) return dropped('malformed')
  const role = hearFrom(core, message.from)
  if (role === undefined) return dropped('contradiction')
  role.reportedLastIndex ??= message.lastIndex
  core.out.send({
    type: 'heartbeat-response',
    from: core.id,
    to: message.from,
    term: core.term,
    readRound: message.readRound,
    isSpaceLow: core.isSpaceLow,
  })
  // The leader sends no more than this node acknowledged, but maybe in an earlier life. What this life has not seen to
  // match is not taken on trust: the log may have lost it since. The leader is asked to probe instead.
  const known = Math.max(role.matchedIndex, core.log.commitIndex)
  core.log.commitTo(Math.min(message.commitIndex, known))
  if (message.commitIndex > known && core.pendingSnapshot === undefined) {
    sendRejection(core, role, 0, core.log.commitIndex, message.readRound)
  }
  return ACCEPTED
}

/**
 * The driver has received and verified a state. It is always of committed entries, so the term of its sender does not
 * matter. `accepted` means that a write with the snapshot will follow; any other answer lets the received state go.
 */
export function handleInstallSnapshot(core: Core, message: InstallSnapshot): StepOutcome {
  const { snapshot } = message
  const { log } = core
  if (!isSensibleSnapshot(snapshot, core.term)) return dropped('malformed')
  if (core.role.kind === 'leader') return dropped('unexpected')
  if (core.pendingSnapshot !== undefined) return dropped('snapshot-pending')
  if (core.role.kind !== 'follower') becomeFollower(core, core.term, undefined)

  const isHeld = log.termAt(snapshot.index) === snapshot.term
  if (core.standing === 'stateless') {
    if (snapshot.index < log.base.index) return dropped('snapshot-too-old')
    if (snapshot.index <= log.commitIndex && !isHeld) return dropped('contradiction')
  } else if (snapshot.index <= log.commitIndex || isHeld) {
    // The log gets there by itself. The leader still learns how far it reaches.
    log.commitTo(snapshot.index)
    if (core.role.kind === 'follower') {
      core.role.matchedIndex = Math.max(core.role.matchedIndex, log.commitIndex)
      raiseAck(core, core.role, log.commitIndex, 0)
    }
    return dropped('snapshot-needless')
  }
  core.pendingSnapshot = snapshot
  return ACCEPTED
}

/** Owes the leader an acknowledgement, once it is durable. */
export function raiseAck(core: Core, role: FollowerRole, matchIndex: LogIndex, readRound: number): void {
  const ack = role.pendingAck
  if (ack !== undefined) {
    ack.matchIndex = Math.max(ack.matchIndex, matchIndex)
    ack.readRound = Math.max(ack.readRound, readRound)
    return
  }
  const durable = core.log.persistedIndex
  role.pendingAck = { matchIndex, readRound, sentIndex: durable < matchIndex ? durable : -1 }
}

/** Acknowledges as much as the disk holds by now, if the term is durable too. */
export function sendDueAck(core: Core): void {
  const role = core.role
  if (role.kind !== 'follower' || role.pendingAck === undefined || role.leaderId === undefined) return
  if (!core.isVoteDurable) return
  const ack = role.pendingAck
  const matchIndex = Math.min(ack.matchIndex, core.log.persistedIndex)
  if (matchIndex <= ack.sentIndex) return
  ack.sentIndex = matchIndex
  if (matchIndex === ack.matchIndex) role.pendingAck = undefined
  core.out.send({
    type: 'append-entries-response',
    from: core.id,
    to: role.leaderId,
    term: core.term,
    readRound: ack.readRound,
    result: { kind: 'accepted', matchIndex },
    isSpaceLow: core.isSpaceLow,
  })
}

/**
 * A log that lost acknowledged entries is whole again once it holds, durably, all that a leader of its own term or a later
 * one had: that includes every entry this node ever acknowledged and the cluster still needs.
 */
export function regainStanding(core: Core): void {
  const role = core.role
  if (core.standing !== 'amnesiac' || role.kind !== 'follower' || role.reportedLastIndex === undefined) return
  const held = Math.min(role.matchedIndex, core.log.persistedIndex)
  if (core.isVoteDurable && held >= role.reportedLastIndex) core.standing = 'full'
}

/** A node without usable state asks for one, again and again until it has it. */
export function tickSnapshotRequest(core: Core): void {
  const role = core.role
  if (core.standing !== 'stateless' || role.kind !== 'follower' || role.leaderId === undefined) return
  if (core.pendingSnapshot !== undefined) return
  role.snapshotRequestTicks--
  if (role.snapshotRequestTicks > 0) return
  role.snapshotRequestTicks = core.config.electionTimeoutTicks
  core.out.send({ type: 'request-snapshot', from: core.id, to: role.leaderId, term: core.term })
}
