// A client of plain HTTP that gives each write an idempotency key and repeats what was not answered, at any node; now and then also
// what was answered, and now and then another request under the same key, which must be refused.
import type { ClientCommand, CommandResult } from '../../src/api/commands.ts'
import { Hasher64, hashToHex } from '../../src/lib/hash.ts'
import type { Prng } from '../../src/lib/prng.ts'
import type { SimulatedCluster } from './cluster.ts'
import { DirectClient } from './direct-client.ts'
import { drawMs } from './links.ts'
import { identityOf } from './oracle.ts'
import { asWritten, firstOf } from './session-client.ts'
import type { Caller, CommandRequest, Reply, Request } from './workload.ts'

const ATTEMPTS_MAX = 4

export class KeyedClient implements Caller {
  readonly #cluster: SimulatedCluster
  readonly #prng: Prng
  readonly #direct: DirectClient
  /** Undefined: a new one for each write. */
  readonly #key: string | undefined

  constructor(cluster: SimulatedCluster, prng: Prng, key?: string) {
    this.#cluster = cluster
    this.#prng = prng
    this.#direct = new DirectClient(cluster, prng.fork('direct'))
    this.#key = key
  }

  ask(request: Request, done: (reply: Reply) => void): void {
    if (request.kind === 'read' || (request.kind === 'command' && request.isAcquired)) {
      this.#direct.ask(request, done)
      return
    }
    const key = this.#key ?? `${this.#prng.uint32()}-${this.#prng.uint32()}`
    const keyed = keyedRequest(request.command, key, request.timeoutMs)
    this.#send(keyed, (reply) => {
      this.#afterwards(keyed, key, reply)
      done(request.kind === 'write' ? asWritten(request.command, reply) : reply)
    })
  }

  #send(request: CommandRequest, done: (reply: Reply) => void): void {
    const after = this.#cluster.observer.appliedMax
    let attempts = 0
    let isUnclear = false
    const attempt = (): void => {
      attempts++
      this.#direct.ask(request, (reply) => {
        if (reply.kind === 'result') {
          this.#check(request.command, reply.result, after)
          return done({ kind: 'result', result: firstOf(reply.result) })
        }
        isUnclear ||= reply.kind === 'unknown'
        if (attempts < ATTEMPTS_MAX) this.#cluster.world.after(drawMs(this.#prng, 5, 200), attempt)
        else done(isUnclear ? { kind: 'unknown' } : reply)
      })
    }
    attempt()
  }

  /** Whether it is the first time or a repeat, the log has it under this very key with this very answer. */
  #check(command: ClientCommand, result: CommandResult, after: number): void {
    const { situations, observer } = this.#cluster
    if (result.kind === 'replayed') situations.met('key-replay')
    observer.oracle.onResult(command, firstOf(result), after)
  }

  #afterwards(request: CommandRequest, key: string, reply: Reply): void {
    const { world } = this.#cluster
    if (reply.kind !== 'result' || this.#key !== undefined || !this.#prng.chance(1, 3)) return
    const isSame = this.#prng.chance(2, 3)
    world.after(drawMs(this.#prng, 1, 1_000), () => {
      if (isSame) this.#repeat(request, reply.result)
      else this.#mistake(key, request.timeoutMs)
    })
  }

  /** However late, a repeat gets the first answer. */
  #repeat(request: CommandRequest, first: CommandResult): void {
    const { world, observer } = this.#cluster
    const after = observer.appliedMax
    this.#direct.ask(request, (reply) => {
      if (reply.kind !== 'result') return
      const { result } = reply
      if (result.kind !== 'replayed') world.violate(`a repeat under an idempotency key is executed: ${result.kind}`)
      this.#check(request.command, result, after)
      const [wanted, found] = [first, firstOf(result)].map((each) => `${each.kind} ${each.revision}`)
      if (wanted !== found) world.violate(`a repeat under an idempotency key is answered ${found}, at first ${wanted}`)
    })
  }

  #mistake(key: string, timeoutMs: number): void {
    const { world, situations } = this.#cluster
    const command = { op: 'delete-range' as const, range: { from: 'mistake', to: `mistake ${this.#prng.uint32()}` } }
    this.#direct.ask(keyedRequest(command, key, timeoutMs), (reply) => {
      if (reply.kind !== 'result') return
      const { result } = reply
      if (result.kind === 'refused' && result.reason === 'idempotency-mismatch') situations.met('key-mismatch')
      else world.violate(`another request under a used idempotency key is answered ${result.kind}`)
    })
  }
}

function keyedRequest(command: ClientCommand, key: string, timeoutMs: number): CommandRequest {
  const fingerprint = hashToHex(new Hasher64().latin1(identityOf(command)).finish())
  const once = { kind: 'key' as const, key, fingerprint }
  return {
    kind: 'command',
    command: { ...command, once } as ClientCommand,
    isUnique: true,
    isAcquired: false,
    timeoutMs,
  }
}
