// What clients do: puts, conditional puts, deletes and reads of a few keys, with values that occur once only. Each operation and
// what became of it goes into the history that the checker reads in the end. Clients give up, die, and lose their connections.
import type { ClientCommand, CommandResult, Condition, KeyEntry, KeyWrite } from '../../src/api/commands.ts'
import { NO_CONDITION } from '../../src/api/commands.ts'
import { present } from '../../src/lib/assert.ts'
import type { Prng } from '../../src/lib/prng.ts'
import { HistoryRecorder } from '../linearizability/history.ts'
import { inputOfCommand, valueText } from '../linearizability/models/quorate-types.ts'
import type { QuorateInput, QuorateOutput } from '../linearizability/models/quorate-types.ts'
import { CommandMix } from './command-mix.ts'
import type { SimulatedCluster } from './cluster.ts'
import { DirectClient, submit } from './direct-client.ts'
import { KeyedClient } from './keyed-client.ts'
import { LibraryClient } from './library-client.ts'
import { drawMs } from './links.ts'
import type { Member } from './member.ts'
import { SessionClient } from './session-client.ts'

export type Request =
  | { readonly kind: 'read'; readonly key: string; readonly timeoutMs: number }
  | { readonly kind: 'write'; readonly command: KeyWrite; readonly timeoutMs: number }
  | CommandRequest

export interface CommandRequest {
  readonly kind: 'command'
  readonly command: ClientCommand
  readonly isUnique: boolean
  readonly isAcquired: boolean
  readonly timeoutMs: number
}

/** What a client learns of a request. */
export type Reply =
  | { readonly kind: 'answered'; readonly output: QuorateOutput }
  | { readonly kind: 'result'; readonly result: CommandResult }
  | { readonly kind: 'unknown' }
  | { readonly kind: 'not-applied'; readonly code: string }

/** One way of asking the cluster. Calls back once. */
export interface Caller {
  ask(request: Request, done: (reply: Reply) => void): void
}

export class Workload {
  readonly history = new HistoryRecorder<QuorateInput, QuorateOutput>()
  answered = 0
  #values = 0
  #bursts = 0
  #isStopped = false
  #idleUntilMs = 0
  readonly #cluster: SimulatedCluster
  readonly #prng: Prng
  readonly #mix: CommandMix
  /** By key: the last revision that any client saw. */
  readonly #revisions = new Map<string, number>()

  constructor(cluster: SimulatedCluster, prng: Prng) {
    this.#cluster = cluster
    this.#prng = prng
    const { observer, swarm } = cluster
    this.#mix = new CommandMix(prng.fork('mix'), {
      keys: swarm.keys,
      value: () => this.#value(),
      revision: () => observer.revisionMax,
    })
    observer.oracle.onOtherChange = ({ key, entry, revision }, before) => this.#record(key, entry, before, revision)
  }

  start(): void {
    const { clients, load } = this.#cluster.swarm
    for (let at = 1; at <= clients; at++) this.#newClient(`c${at}`, this.#prng.chance(load.libraryPercent, 100))
  }

  /** No new operations; those under way end. */
  stop(): void {
    this.#isStopped = true
  }

  /** A write that must succeed for the claim to hold; by a client of its own. */
  mustWrite(key: string, timeoutMs: number): { readonly isDone: boolean } {
    const state = { isDone: false }
    const caller = this.#caller(false)
    const attempt = (): void => {
      const command = this.#put(key, NO_CONDITION)
      this.#ask('last', caller, { kind: 'write', command, timeoutMs }, (reply) => {
        if (reply.kind === 'answered') state.isDone = true
        else this.#cluster.world.after(100, attempt)
      })
    }
    attempt()
    return state
  }

  /**
   * A key is put, and deleted under an idempotency key that is always the same: within its time that would change nothing more. Says
   * once it is done which revision the deletion made.
   */
  deleteUnder(idempotencyKey: string): { readonly revision: number | undefined } {
    const state: { revision: number | undefined } = { revision: undefined }
    const put = this.mustWrite('k0', 2_000)
    const caller = new KeyedClient(this.#cluster, this.#prng.fork('kept'), idempotencyKey)
    const command: KeyWrite = { op: 'delete', key: 'k0', condition: NO_CONDITION, wantsPrevious: false }
    const attempt = (): void => {
      if (!put.isDone) return void this.#cluster.world.after(50, attempt)
      this.#ask('last', caller, { kind: 'write', command, timeoutMs: 2_000 }, (reply) => {
        if (reply.kind === 'answered' && reply.output.kind === 'deleted') state.revision = reply.output.revision
        else this.#cluster.world.after(100, attempt)
      })
    }
    attempt()
    return state
  }

  /**
   * Writes that reach one node straight away, one turn after another, whoever leads: most of them will never be heard of. Each has
   * a key of its own, so that the checker need not think about them.
   */
  burst(member: Member, count: number): void {
    const { world } = this.#cluster
    for (let at = 0; at < count; at++) {
      const name = `burst${++this.#bursts}`
      const command = this.#put(name, NO_CONDITION)
      const request: Request = { kind: 'write', command, timeoutMs: 1_000 }
      const caller: Caller = {
        ask: (_request, done) => {
          const late = world.after(1_100, () => done({ kind: 'unknown' }))
          member.host?.input(() =>
            submit(this.#cluster, member, request, (reply) => {
              if (late.callback === undefined) return
              late.callback = undefined
              done(reply)
            }),
          )
        },
      }
      world.after(at, () => this.#ask(name, caller, request, () => {}))
    }
  }

  #caller(isLibrary: boolean): Caller {
    const prng = this.#prng.fork('caller')
    if (isLibrary) return new LibraryClient(this.#cluster, prng)
    const at = prng.below(5)
    if (at === 0) return new KeyedClient(this.#cluster, prng)
    return at < 3 ? new SessionClient(this.#cluster, prng) : new DirectClient(this.#cluster, prng)
  }

  /**
   * What became of a key other than by a write of that key: by a transaction, a range, the end of a lease. In the history it is a
   * write at the moment when it was first applied: nobody can have seen it before, and everybody must after.
   */
  #record(key: string, entry: KeyEntry | undefined, before: KeyEntry | undefined, revision: number): void {
    const condition = NO_CONDITION
    if (entry === undefined) {
      const id = this.history.invoke('log', { op: 'delete', key, condition })
      this.history.complete(id, { kind: 'deleted', count: 1, revision })
      return
    }
    const { contentType } = entry
    const id = this.history.invoke('log', { op: 'put', key, value: valueText(entry.value), contentType, condition })
    this.history.complete(id, { kind: 'put', revision, isCreated: before === undefined })
  }

  #newClient(name: string, isLibrary: boolean): void {
    const { world, situations, swarm } = this.#cluster
    const caller = this.#caller(isLibrary)
    let lives = 1
    let isAlive = true
    const next = (): void => {
      if (this.#isStopped || !isAlive) return
      world.after(this.#thinkMs(), turn)
    }
    const turn = (): void => {
      if (this.#isStopped || !isAlive) return
      const then = (): void => {
        if (isAlive) next()
      }
      if (this.#prng.chance(swarm.load.mixedPercent, 100)) this.#command(`${name}.${lives}`, caller, isLibrary, then)
      else this.#ask(`${name}.${lives}`, caller, this.#request(), then)
      if (!this.#prng.chance(swarm.load.deathPerMille, 1_000)) return
      situations.met('client-death')
      isAlive = false
      world.after(drawMs(this.#prng, 10, 200), () => {
        lives++
        if (!this.#isStopped) this.#newClient(`${name}.${lives}`, isLibrary)
      })
    }
    next()
  }

  #thinkMs(): number {
    const { world, swarm } = this.#cluster
    const { thinkMsMean, idlePercent } = swarm.load
    if (world.nowMs >= this.#idleUntilMs && this.#prng.chance(1, 200) && this.#prng.chance(idlePercent, 100))
      this.#idleUntilMs = world.nowMs + this.#prng.between(500, 5_000)
    return drawMs(this.#prng, 0.1, thinkMsMean) + Math.max(0, this.#idleUntilMs - world.nowMs)
  }

  #command(client: string, caller: Caller, isLibrary: boolean, then: () => void): void {
    const { world, situations, observer, swarm } = this.#cluster
    const mixed = isLibrary ? this.#mix.simple() : this.#mix.next()
    const { command, isUnique, isAcquired } = mixed
    const timeoutMs = this.#prng.between(swarm.load.timeoutMsMin, swarm.load.timeoutMsMax)
    const after = observer.appliedMax
    let isAnswered = false
    caller.ask({ kind: 'command', ...mixed, timeoutMs }, (reply) => {
      if (isAnswered) world.violate(`${client} was answered twice`)
      isAnswered = true
      world.note('reply', client, command.op, reply.kind, reply.kind === 'not-applied' ? reply.code : '')
      if (reply.kind === 'result') {
        this.answered++
        this.#mix.learn(command, reply.result)
        if (!isAcquired) observer.oracle.onResult(command, reply.result, after)
        else if (reply.result.kind === 'lock') observer.oracle.onHeld(reply.result.token)
      } else if (reply.kind === 'unknown') {
        situations.met('outcome-unknown')
      } else if (reply.kind === 'not-applied') {
        situations.met('outcome-not-applied')
        if (isUnique && !isAcquired) observer.oracle.onRefused(command, reply.code)
      }
      then()
    })
  }

  #ask(client: string, caller: Caller, request: Exclude<Request, CommandRequest>, then: (reply: Reply) => void): void {
    const { world, situations, observer } = this.#cluster
    const input: QuorateInput =
      request.kind === 'read' ? { op: 'get', key: request.key } : inputOfCommand(request.command)
    const after = observer.appliedMax
    const id = this.history.invoke(client, input)
    let isAnswered = false
    caller.ask(request, (reply) => {
      if (isAnswered) world.violate(`${client} was answered twice`)
      isAnswered = true
      world.note('reply', client, input.op, input.key, reply.kind, reply.kind === 'not-applied' ? reply.code : '')
      switch (reply.kind) {
        case 'answered':
          this.answered++
          this.history.complete(id, reply.output)
          if (request.kind === 'write') observer.oracle.onOutput(request.command, reply.output, after)
          this.#learn(request, reply.output)
          break
        case 'unknown':
          if (request.kind === 'write') situations.met('outcome-unknown')
          this.history.giveUp(id)
          break
        case 'not-applied':
          if (reply.code === 'NO_SPACE') situations.met('space-low')
          if (reply.code === 'NO_LEADER') situations.met('no-leader')
          this.history.refuse(id)
          if (request.kind === 'read') break
          situations.met('outcome-not-applied')
          if (request.command.op === 'put') observer.onRefused(valueText(request.command.value), reply.code)
          break
        case 'result':
          world.violate(`${client} asked for one key and was answered ${reply.result.kind}`)
          break
      }
      then(reply)
    })
  }

  #learn(request: Exclude<Request, CommandRequest>, output: QuorateOutput): void {
    if (output.kind === 'got') {
      this.#revisions.set(
        present(request.kind === 'read' ? request.key : undefined, 'a key'),
        output.entry?.modRevision ?? 0,
      )
    } else if (request.kind === 'write') {
      const { key } = request.command
      if (output.kind === 'precondition-failed') this.#revisions.set(key, output.currentRevision)
      else this.#revisions.set(key, output.kind === 'put' ? output.revision : 0)
      if (output.kind === 'put' && request.command.op === 'put')
        this.#cluster.observer.onAcknowledged(valueText(request.command.value), output.revision)
    }
  }

  #request(): Exclude<Request, CommandRequest> {
    const { keys, load } = this.#cluster.swarm
    const prng = this.#prng
    const key = `k${prng.below(keys)}`
    const timeoutMs = prng.between(load.timeoutMsMin, load.timeoutMsMax)
    if (prng.chance(load.readPercent, 100)) return { kind: 'read', key, timeoutMs }
    const condition = prng.chance(load.conditionPercent, 100) ? this.#condition(key) : NO_CONDITION
    if (!prng.chance(load.deletePercent, 100)) return { kind: 'write', command: this.#put(key, condition), timeoutMs }
    // "Delete if absent" is no request that the client library can make.
    const isOdd = condition.kind === 'revision' && condition.revision === 0
    const wantsPrevious = prng.chance(1, 4)
    const command = { op: 'delete' as const, key, condition: isOdd ? NO_CONDITION : condition, wantsPrevious }
    return { kind: 'write', command, timeoutMs }
  }

  #condition(key: string): Condition {
    if (this.#prng.chance(1, 4)) return { kind: 'exists' }
    const isAbsent = this.#prng.chance(1, 6)
    return { kind: 'revision', revision: isAbsent ? 0 : (this.#revisions.get(key) ?? 0) }
  }

  #put(key: string, condition: Condition): KeyWrite {
    const wantsPrevious = this.#prng.chance(1, 4)
    return { op: 'put', key, value: this.#value(), contentType: '', condition, wantsPrevious }
  }

  /** No other value is the same. */
  #value(): Uint8Array {
    const { valueBytesMax } = this.#cluster.swarm.load
    const padding = this.#prng.chance(1, 8) ? valueBytesMax : Math.floor(valueBytesMax / 8)
    return Buffer.from(`v${++this.#values}${'.'.repeat(padding)}`)
  }
}
