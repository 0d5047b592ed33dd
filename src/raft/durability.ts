// The one write in flight, and everything that waits for it (§3.8, §10.2.1). Whatever arrives meanwhile joins the next write:
// group commit for free. What must not leave before it is durable is kept as a debt of the role (a vote to grant, votes to
// request, an append to acknowledge), not as a queue of messages: the debt is bounded, and dies with its term.
import { assert } from '../lib/assert.ts'
import type { Core } from './core.ts'
import { grantDueVote, requestDueVotes } from './election.ts'
import { raiseAck, regainStanding, sendDueAck } from './following.ts'
import { maybeCommit } from './acknowledgements.ts'
import type { SnapshotMeta, Write, WriteId } from './types.ts'

/** The next write, if there is something to make durable and nothing in flight. */
export function nextWrite(core: Core): Write | undefined {
  if (core.write !== undefined) return undefined
  const snapshot = core.pendingSnapshot
  // A snapshot goes alone: the entries that follow it are chosen once the log has restarted from it.
  const entries = snapshot === undefined ? core.log.beginWrite(core.config.appendBytesMax) : []
  const isVoteNew = !core.isVoteDurable
  if (snapshot === undefined && entries.length === 0 && !isVoteNew) return undefined

  const { term, votedFor } = core
  const commitIndex = core.log.commitIndex
  const isCommitNew = commitIndex > core.recordedCommitIndex
  core.recordedCommitIndex = Math.max(commitIndex, core.recordedCommitIndex)
  core.lastWriteId++
  core.write = {
    id: core.lastWriteId,
    voteVersion: core.voteVersion,
    snapshot,
    hasEntries: entries.length > 0,
    ticks: 0,
  }
  return {
    id: core.lastWriteId,
    hardState: isVoteNew || isCommitNew ? { term, votedFor, commitIndex } : undefined,
    entries,
    snapshot,
    mustSync: true,
  }
}

/** The write is durable. */
export function persisted(core: Core, id: WriteId): void {
  const write = core.write
  assert(write !== undefined && write.id === id, `write ${id} is acknowledged, outstanding is ${write?.id}`)
  core.write = undefined
  core.durableVoteVersion = write.voteVersion
  if (write.snapshot === undefined) core.log.endWrite()
  else restored(core, write.snapshot)
  if (core.role.kind === 'leader') maybeCommit(core, core.role)
}

function restored(core: Core, snapshot: SnapshotMeta): void {
  assert(core.role.kind !== 'leader', 'a leader does not replace its state')
  core.log.restore(snapshot)
  core.confState = snapshot.confState
  core.standing = core.standing === 'stateless' ? 'full' : core.standing
  core.pendingSnapshot = undefined
  if (core.role.kind !== 'follower') return
  // A snapshot holds committed entries only, and those every later leader has (Leader Completeness, §3.6.3).
  core.role.matchedIndex = Math.max(core.role.matchedIndex, snapshot.index)
  raiseAck(core, core.role, snapshot.index, 0)
}

/** Pays the debts that have become payable. Called after every input. */
export function settle(core: Core): void {
  requestDueVotes(core)
  grantDueVote(core)
  sendDueAck(core)
  regainStanding(core)
}
