// Terms are the logical clock (§3.3): a higher one in any message makes this node a follower, a lower one makes the message
// void. With pre-votes and stickiness come exceptions, and all of them are here.
import type { Core } from './core.ts'
import { isLeaderLeaseActive } from './election.ts'
import type { Message } from './messages.ts'
import type { StepOutcome } from './ready.ts'
import { dropped } from './ready.ts'
import { becomeFollower } from './transitions.ts'

/** Brings term and role in line with the message. An outcome means that the message ends here. */
export function reconcileTerm(core: Core, message: Message): StepOutcome | undefined {
  if (!Number.isSafeInteger(message.term) || message.term < 0) return dropped('malformed')
  if (message.term < core.term) return receiveOldTerm(core, message)
  if (message.term > core.term) return receiveNewTerm(core, message)
  // The leader was taken for gone, and is not.
  if (core.role.kind === 'follower' && core.role.leaderId === message.from) core.role.haste = undefined
  return undefined
}

function receiveNewTerm(core: Core, message: Message): StepOutcome | undefined {
  switch (message.type) {
    case 'request-pre-vote':
      // Changes nobody's term (§9.6), and gets no answer while the leader is alive (§4.2.3).
      return isLeaderLeaseActive(core) ? dropped('leader-alive') : undefined
    case 'request-pre-vote-response':
      // A grant carries the term that would be campaigned in, which is not there yet.
      if (message.isGranted) return undefined
      break
    case 'request-vote':
      if (!message.isTransfer && isLeaderLeaseActive(core)) return dropped('leader-alive')
      break
    case 'append-entries':
    case 'heartbeat':
      becomeFollower(core, message.term, message.from)
      return undefined
    case 'append-entries-response':
    case 'heartbeat-response':
    case 'request-vote-response':
    case 'install-snapshot':
    case 'request-snapshot':
    case 'timeout-now':
    case 'read-index':
    case 'read-index-response':
      break
  }
  becomeFollower(core, message.term, undefined)
  return undefined
}

/**
 * An old leader or candidate has to learn the new term, or it could go on for ever: a node that came back with a higher term
 * would ignore the leader, and stickiness would keep it from being elected itself.
 */
function receiveOldTerm(core: Core, message: Message): StepOutcome | undefined {
  const { from: to } = message
  const { id: from, term } = core
  switch (message.type) {
    case 'append-entries': {
      const hint = { term: 0, index: 0 }
      const result = { kind: 'rejected', index: message.prev.index, hint } as const
      const { isSpaceLow } = core
      core.out.send({ type: 'append-entries-response', from, to, term, readRound: 0, result, isSpaceLow })
      break
    }
    case 'heartbeat':
      core.out.send({ type: 'heartbeat-response', from, to, term, readRound: 0, isSpaceLow: core.isSpaceLow })
      break
    case 'request-vote':
      core.out.send({ type: 'request-vote-response', from, to, term, isGranted: false })
      break
    case 'request-pre-vote':
      core.out.send({ type: 'request-pre-vote-response', from, to, term, isGranted: false })
      break
    case 'install-snapshot':
      // A state holds committed entries only, whoever streamed it.
      return undefined
    case 'append-entries-response':
    case 'heartbeat-response':
    case 'request-pre-vote-response':
    case 'request-vote-response':
    case 'request-snapshot':
    case 'timeout-now':
    case 'read-index':
    case 'read-index-response':
      break
  }
  return dropped('stale-term')
}
