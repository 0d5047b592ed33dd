// What must hold of leases, locks and time whatever a state machine thinks of it: nothing dies before its time, tokens only grow,
// a lock has one holder at a time and a holder stays until it leaves or its time is over, fences keep out who does not hold.
import type { Command, CommandResult } from '../../src/api/commands.ts'
import type { Model } from '../kv/model.ts'
import { LOCKS } from './command-mix.ts'
import { leaderText } from './election-observers.ts'
import type { Situations } from './situations.ts'
import type { World } from './world.ts'

/** Clocks run too fast by this much at most, and time is stamped in whole milliseconds. */
const FAST_MAX = 1.06
const ROUNDING_MS = 5

export class SideWitness {
  readonly #world: World
  readonly #situations: Situations
  readonly #model: Model
  readonly #held = new Set<number>()
  /** By lock. */
  #holders = new Map<string, number>()
  /** What the command under way names, and is there. */
  #dying: readonly string[] = []
  #lastToken = 0
  #timeMs = 0
  /** By lease: it may not end before that cluster time, unless it is revoked or given back. */
  readonly #promised = new Map<string, number>()

  constructor(world: World, situations: Situations, model: Model) {
    this.#world = world
    this.#situations = situations
    this.#model = model
  }

  /** By election: all that led, and nobody in between, as observers are told. */
  readonly leaders = new Map<string, string[]>(LOCKS.map((name) => [name, ['nobody']]))

  hasHeld(token: number): boolean {
    return this.#held.has(token)
  }

  beforeEntry(clusterTimeMs: number): void {
    this.#timeMs = Math.max(this.#timeMs, clusterTimeMs)
    if (this.#timeMs > this.#world.nowMs * FAST_MAX + ROUNDING_MS)
      this.#world.violate(`cluster time ${this.#timeMs} has overtaken the world's, ${this.#world.nowMs}`)
  }

  /** One command after another, each with the model before and after it. */
  before(command: Command): void {
    this.#dying = command.op === 'expire' ? command.leases.filter((id) => this.#model.state.leases.has(id)) : []
  }

  after(command: Command, result: CommandResult): void {
    if (result.kind === 'refused' && result.reason === 'fenced') this.#situations.met('fenced')
    if (command.op === 'put' || command.op === 'delete') return
    if (result.kind === 'lock') this.#onToken(result.token)
    if (command.op === 'txn') this.#situations.met('txn')
    if (command.op === 'expire') this.#countExpired(command)
    this.#promise(command, result)
    this.#onLocks()
  }

  #onToken(token: number): void {
    if (token <= this.#lastToken) this.#world.violate(`token ${token} was given after ${this.#lastToken}`)
    this.#lastToken = token
  }

  #countExpired({ sessions }: Extract<Command, { op: 'expire' }>): void {
    const { state } = this.#model
    if (sessions.some((id) => !state.sessions.has(id))) this.#situations.met('session-expired')
    for (const id of this.#dying) {
      if (state.leases.has(id)) continue
      this.#situations.met('lease-expired')
      const until = this.#promised.get(id) ?? 0
      if (this.#timeMs < until)
        this.#world.violate(`lease ${id} dies at cluster time ${this.#timeMs}, though it was to live until ${until}`)
    }
  }

  /** Of grants and keep-alives: counted here, apart from all tables. */
  #promise(command: Command, result: CommandResult): void {
    if (result.kind === 'lock')
      this.#promised.set(result.lease, this.#timeMs + ('ttlMs' in command ? (command.ttlMs ?? 0) : 0))
    if (result.kind !== 'lease') return
    this.#promised.set(result.lease, Math.max(this.#promised.get(result.lease) ?? 0, this.#timeMs + result.ttlMs))
  }

  #onLocks(): void {
    const now = new Map<string, number>()
    for (const { lock, token } of this.#model.state.places) {
      if (!now.has(lock)) now.set(lock, token)
    }
    for (const [lock, token] of now) {
      const before = this.#holders.get(lock)
      if (before === token) continue
      if (before !== undefined && token < before) this.#world.violate(`${lock} goes from token ${before} to ${token}`)
      this.#held.add(token)
      if (before !== undefined) this.#situations.met('lock-handed-over')
    }
    for (const [lock, before] of this.#holders) if (!now.has(lock)) now.set(lock, before)
    this.#holders = now
    for (const [name, leaders] of this.leaders) {
      const leader = leaderText(this.#model.state.places.find(({ lock }) => lock === `election ${name}`))
      if (leader !== leaders.at(-1)) leaders.push(leader)
    }
  }
}
