// What this node does when peers call: messages for the core, forwarded groups, questions, streamed states.
import { applyCostOf } from '../api/apply-cost.ts'
import { decodeClientCommands } from '../api/command-codec.ts'
import type { ClientCommand } from '../api/commands.ts'
import type { QuorateError } from '../api/errors.ts'
import type { ControlPlane } from './control.ts'
import type { NodeDriver } from './node-driver.ts'
import type { ForwardAnswer, IncarnationRegistry, Logger, MemberInfo, PeerHandlers } from './ports.ts'
import type { Proposer } from './proposer.ts'
import type { Writes } from './writes.ts'

export interface PeerHandlerParts {
  readonly driver: NodeDriver
  readonly registry: IncarnationRegistry
  readonly members: readonly MemberInfo[]
  readonly logger: Logger
  readonly control: ControlPlane
  readonly proposer: Proposer
  readonly writes: Writes
  /** Why a command may not be proposed here and now. */
  readonly refusal: (command: ClientCommand) => QuorateError | undefined
}

export function peerHandlers(parts: PeerHandlerParts): PeerHandlers {
  const { driver, registry, control, writes, members, logger } = parts
  return {
    admit: ({ id, incarnation }) => {
      const known = registry.get(id)
      return known === undefined || known === incarnation ? undefined : 'incarnation'
    },
    // The transport has logged it. Any other refusal may be mended by an operator, and is met again until then.
    onRefused: (_peer, refusal) => {
      if (refusal === 'incarnation') driver.fail(lostData())
    },
    onMessage: (message) => driver.onMessage(message),
    onForward: forwardHandler(parts),
    onControl: (from, kind, body) => control.answer(from, kind, body),
    onSnapshot: (from, term, chunks) => driver.onSnapshot(from.id, term, chunks),
    onConnection: (peer, isUp) => {
      driver.onConnection(peer, isUp)
      if (isUp && peer === driver.raft.leaderId) writes.retry()
    },
    onGone: (peer) => {
      if (!driver.onGone(peer)) return
      const { name } = members.find(({ id }) => id === peer) ?? { name: peer }
      logger.info(
        { peer: name, term: driver.raft.term },
        `the leader ${name} is gone: its connection closed and its port refuses; not waiting for the election timeout`,
      )
    },
  }
}

/** The leader's door for groups that others forward: checked, then put into this turn's entry, or refused for certain. */
function forwardHandler({ driver, proposer, refusal }: PeerHandlerParts): PeerHandlers['onForward'] {
  return (from, number, body, answer) => {
    if (!driver.isActive || !driver.raft.isLeader) return answer(refuse('NO_LEADER', 'This node does not lead.'))
    let commands: ClientCommand[]
    try {
      commands = decodeClientCommands(body)
    } catch (error) {
      return answer(refuse('BAD_REQUEST', `The forwarded commands cannot be read: ${String(error)}`))
    }
    for (const command of commands) {
      const error = refusal(command)
      if (error !== undefined) return answer(refuse(error.code, error.message))
    }
    const valueReads = commands.reduce((reads, command) => reads + applyCostOf(command), 0)
    proposer.add({ member: from.id, boot: from.boot, number }, body, answer, valueReads)
  }
}

const refuse = (code: string, detail: string): ForwardAnswer => ({ kind: 'not-proposed', code, detail })

/** Why a member whose data directory is not the one that others know must not take part. */
export const lostData = (): Error =>
  Object.assign(
    new Error(
      'this member lost its data: other members know another incarnation of its data directory, so its acknowledgements and ' +
        'votes cannot be trusted. Restore this directory from where it was lost, or found a new cluster.',
    ),
    { code: 'LOST_DATA' },
  )
