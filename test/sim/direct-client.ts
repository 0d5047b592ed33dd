// A client without the library: it asks one node and takes the first answer, which shows what nodes themselves promise.
import type { CommandResult } from '../../src/api/commands.ts'
import { QuorateError } from '../../src/api/errors.ts'
import { present } from '../../src/lib/assert.ts'
import type { Prng } from '../../src/lib/prng.ts'
import { outputOfRead, outputOfResult } from '../linearizability/models/quorate-types.ts'
import type { SimulatedCluster } from './cluster.ts'
import { drawMs } from './links.ts'
import type { Member } from './member.ts'
import type { Caller, Reply, Request } from './workload.ts'

/** Beyond the node's own time limit: the node's answer tells more. Milliseconds. */
const PATIENCE_MS = 100

export class DirectClient implements Caller {
  readonly #cluster: SimulatedCluster
  readonly #prng: Prng
  #favourite: Member

  constructor(cluster: SimulatedCluster, prng: Prng) {
    this.#cluster = cluster
    this.#prng = prng
    this.#favourite = this.#any()
  }

  ask(request: Request, done: (reply: Reply) => void): void {
    const { world } = this.#cluster
    if (this.#prng.chance(1, 5)) this.#favourite = this.#any()
    const member = this.#favourite
    const { host } = member
    if (!member.isUp || host === undefined) {
      // Nobody listens there: certain, and the next call goes elsewhere.
      this.#favourite = this.#any()
      world.after(drawMs(this.#prng, 0.1, 1), () => done({ kind: 'not-applied', code: 'UNREACHABLE' }))
      return
    }
    let isOver = false
    const end = (reply: Reply): void => {
      if (isOver) return
      isOver = true
      late.callback = undefined
      // Cut off for good, it would say so for ever.
      if (reply.kind === 'not-applied' && reply.code === 'NO_LEADER') this.#favourite = this.#any()
      done(reply)
    }
    const late = world.after(request.timeoutMs + PATIENCE_MS, () => end({ kind: 'unknown' }))
    const answer = (reply: Reply): void => void world.after(drawMs(this.#prng, 0.05, 0.5), () => end(reply))
    world.after(drawMs(this.#prng, 0.05, 0.5), () => host.input(() => submit(this.#cluster, member, request, answer)))
  }

  #any(): Member {
    const { members } = this.#cluster
    return present(members[this.#prng.below(members.length)], 'a member')
  }
}

/** Asks a running node. What it says to a caller after its death is not heard. */
export function submit(
  cluster: SimulatedCluster,
  member: Member,
  request: Request,
  answer: (reply: Reply) => void,
): void {
  const { node, host } = member
  if (node === undefined || host === undefined) return
  noteDeposed(cluster, member, request)
  let answers = 0
  const once = (reply: () => Reply): void => {
    if (!host.isAlive) return
    if (++answers > 1) cluster.world.violate(`${member.name} answered a ${request.kind} ${answers} times`)
    else answer(reply())
  }
  if (request.kind === 'command') {
    const { command, timeoutMs } = request
    const done = (outcome: CommandResult | QuorateError): void =>
      once(() =>
        outcome instanceof QuorateError ? refusal(outcome, outcome.outcome) : { kind: 'result', result: outcome },
      )
    if (request.isAcquired && command.op === 'lock') node.acquire(command, timeoutMs, done)
    else node.write(command, timeoutMs, done)
    return
  }
  if (request.kind === 'write') {
    const { command, timeoutMs } = request
    node.write(command, timeoutMs, (outcome) =>
      once(() =>
        outcome instanceof QuorateError
          ? refusal(outcome, outcome.outcome)
          : { kind: 'answered', output: outputOfResult(outcome, command.wantsPrevious) },
      ),
    )
    return
  }
  const { key, timeoutMs } = request
  const options = { consistency: 'linearizable', maxStaleMs: undefined, minRevision: undefined, timeoutMs } as const
  const floor = cluster.observer.revisionMax
  node.read(key, options, (outcome) => {
    if (host.isAlive && !(outcome instanceof QuorateError)) {
      cluster.observer.onRead(member.name, floor, outcome.revision)
      cluster.observer.oracle.onRead(member.name, key, outcome.entry, outcome.revision)
    }
    once(() =>
      outcome instanceof QuorateError
        ? refusal(outcome, 'not-applied')
        : { kind: 'answered', output: outputOfRead(outcome) },
    )
  })
}

const refusal = ({ code }: QuorateError, outcome: 'not-applied' | 'unknown'): Reply =>
  outcome === 'unknown' ? { kind: 'unknown' } : { kind: 'not-applied', code }

export function noteDeposed(
  { observer, situations }: SimulatedCluster,
  { node }: Member,
  { kind }: Pick<Request, 'kind'>,
): void {
  const status = node?.status()
  if (status?.role !== 'leader' || status.term >= observer.ledTerm) return
  situations.met(kind === 'read' ? 'read-while-deposed' : 'write-while-deposed')
}
