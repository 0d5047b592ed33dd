// A client that numbers its writes in a session of its own and repeats what was not answered, at any node, without the library: what
// the nodes themselves promise of a repeat. Its sessions are short, so that they also expire under it.
import type { ClientCommand, CommandResult } from '../../src/api/commands.ts'
import type { Prng } from '../../src/lib/prng.ts'
import { outputOfResult } from '../linearizability/models/quorate-types.ts'
import type { SimulatedCluster } from './cluster.ts'
import { DirectClient } from './direct-client.ts'
import { drawMs } from './links.ts'
import type { Caller, Reply, Request } from './workload.ts'

const ATTEMPTS_MAX = 5

interface Session {
  readonly id: string
  next: number
}

export class SessionClient implements Caller {
  readonly #cluster: SimulatedCluster
  readonly #prng: Prng
  readonly #direct: DirectClient
  #session: Session | undefined

  constructor(cluster: SimulatedCluster, prng: Prng) {
    this.#cluster = cluster
    this.#prng = prng
    this.#direct = new DirectClient(cluster, prng.fork('direct'))
  }

  ask(request: Request, done: (reply: Reply) => void): void {
    if (request.kind === 'read' || (request.kind === 'command' && request.isAcquired)) {
      this.#direct.ask(request, done)
      return
    }
    const { command } = request
    const finish = (reply: Reply): void => done(request.kind === 'write' ? asWritten(request.command, reply) : reply)
    if (this.#session !== undefined) this.#send(this.#session, command, request.timeoutMs, finish)
    else {
      this.#open(request.timeoutMs, (session) => {
        if (session === undefined) finish({ kind: 'not-applied', code: 'NO_SESSION' })
        else this.#send(session, command, request.timeoutMs, finish)
      })
    }
  }

  #open(timeoutMs: number, done: (session: Session | undefined) => void): void {
    const id = [this.#prng.uint32(), this.#prng.uint32()].map((part) => part.toString(16).padStart(8, '0')).join('')
    const command = { op: 'session-open' as const, session: id, ttlMs: this.#prng.pick([2_000, 10_000, 300_000]) }
    this.#direct.ask({ kind: 'command', command, isUnique: true, isAcquired: false, timeoutMs }, (reply) => {
      this.#session = reply.kind === 'result' && reply.result.kind === 'session' ? { id, next: 1 } : undefined
      done(this.#session)
    })
  }

  #send(session: Session, command: ClientCommand, timeoutMs: number, done: (reply: Reply) => void): void {
    const sequence = session.next++
    const acknowledgedBelow = Math.max(1, sequence - this.#prng.below(3))
    const once = { kind: 'session' as const, session: session.id, sequence, acknowledgedBelow }
    const request = {
      kind: 'command',
      command: { ...command, once },
      isUnique: true,
      isAcquired: false,
      timeoutMs,
    } as const
    let attempts = 0
    let isUnclear = false
    const attempt = (): void => {
      attempts++
      this.#direct.ask(request, (reply) => {
        if (reply.kind === 'result') {
          if (isGone(reply.result)) this.#session = undefined
          // Nobody can tell any more what became of the earlier ones.
          if (!isForgotten(reply.result)) done({ kind: 'result', result: firstOf(reply.result) })
          else done(isUnclear ? { kind: 'unknown' } : { kind: 'not-applied', code: 'SESSION_GONE' })
          return
        }
        isUnclear ||= reply.kind === 'unknown'
        if (attempts < ATTEMPTS_MAX) this.#cluster.world.after(drawMs(this.#prng, 5, 200), attempt)
        else done(isUnclear ? { kind: 'unknown' } : reply)
      })
    }
    attempt()
  }
}

const isGone = (result: CommandResult): boolean => result.kind === 'refused' && result.reason === 'session-gone'

const isForgotten = (result: CommandResult): boolean =>
  isGone(result) || (result.kind === 'refused' && result.reason === 'sequence-forgotten')

export const firstOf = (result: CommandResult): CommandResult => (result.kind === 'replayed' ? result.result : result)

export function asWritten(command: Extract<Request, { kind: 'write' }>['command'], reply: Reply): Reply {
  if (reply.kind !== 'result') return reply
  const { result } = reply
  if (result.kind === 'refused') return { kind: 'not-applied', code: result.reason }
  return { kind: 'answered', output: outputOfResult(result, command.wantsPrevious) }
}
