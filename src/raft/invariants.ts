// What must hold after every input, in production too: of the five properties of thesis figure 3.2 the parts that one node can
// see, and the order of the indices. A broken one is a bug or a corrupted memory; the node stops rather than spread it.
// All checks cost a comparison or one a peer. The ones that walk the log are in the tests.
import { assert } from '../lib/assert.ts'
import type { Core } from './core.ts'
import type { LeaderRole, RoleState } from './roles.ts'
import type { LogIndex, NodeId, Standing, Term } from './types.ts'

/** Remembers what the last check saw, and compares. */
export class Invariants {
  #role: RoleState
  #term: Term
  #votedFor: NodeId | undefined
  #commitIndex: LogIndex
  #appliedIndex: LogIndex
  #lastIndex: LogIndex
  #standing: Standing

  constructor(core: Core) {
    this.#role = core.role
    this.#term = core.term
    this.#votedFor = core.votedFor
    this.#commitIndex = core.log.commitIndex
    this.#appliedIndex = core.log.appliedIndex
    this.#lastIndex = core.log.lastIndex
    this.#standing = core.standing
  }

  check(core: Core): void {
    this.#checkHistory(core)
    checkIndices(core)
    if (core.role.kind === 'leader') checkLeader(core, core.role)
    this.#role = core.role
    this.#term = core.term
    this.#votedFor = core.votedFor
    this.#commitIndex = core.log.commitIndex
    this.#appliedIndex = core.log.appliedIndex
    this.#lastIndex = core.log.lastIndex
    this.#standing = core.standing
  }

  #checkHistory(core: Core): void {
    const { log } = core
    assert(core.term >= this.#term, () => `the term fell from ${this.#term} to ${core.term}`)
    if (core.term === this.#term && this.#votedFor !== undefined) {
      assert(
        core.votedFor === this.#votedFor,
        () => `the vote of term ${core.term} went from ${this.#votedFor} to ${core.votedFor}`,
      )
    }
    assert(
      log.commitIndex >= this.#commitIndex,
      () => `the commit index fell from ${this.#commitIndex} to ${log.commitIndex}`,
    )
    if (this.#standing !== 'stateless') {
      assert(
        log.appliedIndex >= this.#appliedIndex,
        () => `the applied index fell from ${this.#appliedIndex} to ${log.appliedIndex}`,
      )
    }
    if (core.role.kind === 'leader' && this.#role === core.role) {
      assert(
        log.lastIndex >= this.#lastIndex,
        () => `a leader's log shrank from ${this.#lastIndex} to ${log.lastIndex}`,
      )
    }
  }
}

function checkIndices(core: Core): void {
  const { log } = core
  assert(
    log.commitIndex <= log.lastIndex,
    () => `commit index ${log.commitIndex} is beyond the log's end ${log.lastIndex}`,
  )
  assert(
    log.persistedIndex <= log.lastIndex,
    () => `persisted ${log.persistedIndex} is beyond the log's end ${log.lastIndex}`,
  )
  assert(log.last.term <= core.term, () => `the log's term ${log.last.term} is beyond the term ${core.term}`)
  assert(
    log.appliedIndex <= log.emittedIndex,
    () => `applied ${log.appliedIndex} is beyond emitted ${log.emittedIndex}`,
  )
  if (core.standing === 'stateless') return
  assert(
    log.base.index <= log.appliedIndex,
    () => `memory begins at ${log.base.index}, beyond applied ${log.appliedIndex}`,
  )
  assert(log.emittedIndex <= log.commitIndex, () => `emitted ${log.emittedIndex} is beyond commit ${log.commitIndex}`)
  assert(
    log.emittedIndex <= log.persistedIndex,
    () => `emitted ${log.emittedIndex} is beyond persisted ${log.persistedIndex}`,
  )
}

function checkLeader(core: Core, leader: LeaderRole): void {
  const { log } = core
  assert(core.votedFor === core.id, () => `the leader of term ${core.term} voted for ${core.votedFor}`)
  assert(core.standing === 'full', () => `a leader's standing is ${core.standing}`)
  assert(core.pendingSnapshot === undefined, 'a leader has a snapshot to install')
  assert(
    log.termAt(log.lastIndex) === core.term && leader.termStartIndex <= log.lastIndex,
    () => `a leader of term ${core.term} ends its log with term ${log.last.term}`,
  )
  for (const [peer, progress] of leader.peers) {
    assert(
      progress.matchIndex < progress.nextIndex && progress.nextIndex <= log.lastIndex + 1,
      () => `${peer}: match ${progress.matchIndex}, next ${progress.nextIndex}, but the log ends at ${log.lastIndex}`,
    )
    assert(
      progress.ackedRound <= leader.reads.number,
      () => `${peer} acknowledged round ${progress.ackedRound} before it began`,
    )
  }
}
