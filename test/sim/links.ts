// The wires of the simulated network: how long something takes from one node to another, and whether the way is open at all.
// Directions are apart: a node may be heard and yet hear nothing.
import type { Prng } from '../../src/lib/prng.ts'
import type { NodeId } from '../../src/raft/index.ts'
import type { Swarm } from './swarm.ts'
import type { World } from './world.ts'

const wayOf = (from: NodeId, to: NodeId): string => `${from}>${to}`

/** A time of at least `min`, around `mean` as a rule and now and then eight times that. Milliseconds. */
export function drawMs(prng: Prng, min: number, mean: number): number {
  const spread = prng.chance(1, 10) ? 8 * mean : 2 * mean
  return min + (spread * prng.below(1_024)) / 1_024
}

export class Links {
  readonly #world: World
  readonly #prng: Prng
  readonly #settings: Swarm['network']
  readonly #cut = new Set<string>()
  readonly #clogged = new Map<string, number>()
  /** When the last thing sent this way arrives: what must keep its order does not overtake. */
  readonly #lastArrivalMs = new Map<string, number>()
  /** Quiet: nothing is lost, doubled or much delayed any more. */
  isQuiet = false

  constructor(world: World, prng: Prng, settings: Swarm['network']) {
    this.#world = world
    this.#prng = prng
    this.#settings = settings
  }

  cut(from: NodeId, to: NodeId): void {
    this.#cut.add(wayOf(from, to))
  }

  mend(from: NodeId, to: NodeId): void {
    this.#cut.delete(wayOf(from, to))
    this.#clogged.delete(wayOf(from, to))
  }

  mendAll(): void {
    this.#cut.clear()
    this.#clogged.clear()
  }

  isOpen(from: NodeId, to: NodeId): boolean {
    return !this.#cut.has(wayOf(from, to))
  }

  /** Everything sent this way arrives only after the time is over. */
  clog(from: NodeId, to: NodeId, ms: number): void {
    this.#clogged.set(wayOf(from, to), this.#world.nowMs + ms)
  }

  /** How long something takes that may overtake others. */
  delayMs(from: NodeId, to: NodeId): number {
    const { delayMsMin, delayMsMean } = this.#settings
    const flightMs = this.isQuiet ? drawMs(this.#prng, 0.1, 1) : drawMs(this.#prng, delayMsMin, delayMsMean)
    const cloggedUntilMs = this.#clogged.get(wayOf(from, to)) ?? 0
    return flightMs + Math.max(0, cloggedUntilMs - this.#world.nowMs)
  }

  /** How long something takes that arrives in the order of sending. */
  orderedDelayMs(from: NodeId, to: NodeId): number {
    const way = wayOf(from, to)
    const { nowMs } = this.#world
    const arrivalMs = Math.max(nowMs + this.delayMs(from, to), this.#lastArrivalMs.get(way) ?? 0)
    this.#lastArrivalMs.set(way, arrivalMs)
    return arrivalMs - nowMs
  }

  /** How much longer than all else the answer to a forwarded write takes: it need not share a way with a state. */
  lateAnswerMs(isLikely: boolean): number {
    const { lateAnswerPerMille } = this.#settings
    if (this.isQuiet || lateAnswerPerMille === 0) return 0
    if (!this.#prng.chance(isLikely ? 500 : lateAnswerPerMille, 1_000)) return 0
    return this.#prng.between(100, 3_000)
  }

  isLost(): boolean {
    return !this.isQuiet && this.#prng.chance(this.#settings.lossPerMille, 1_000)
  }

  /** Nobody hears that a machine refused to connect. */
  isRefusalLost(): boolean {
    return !this.isQuiet && this.#prng.chance(1, 8)
  }

  isDoubled(): boolean {
    return !this.isQuiet && this.#prng.chance(this.#settings.duplicatePerMille, 1_000)
  }
}
