// Those who read more than a key: pages of ranges, forwards and backwards, from one node after another; the past, what is compacted of
// it and what is yet to come; linearizable and stale. The model knows what each answer must be.
import type { KeyEntry, KeyRange } from '../../src/api/commands.ts'
import { QuorateError } from '../../src/api/errors.ts'
import { isInRange } from '../../src/api/ranges.ts'
import { present } from '../../src/lib/assert.ts'
import type { Prng } from '../../src/lib/prng.ts'
import type { ListAnswer, ListRequest, ReadAnswer, ReadOptions } from '../../src/node/facade.ts'
import type { QuorateNode } from '../../src/node/quorate-node.ts'
import type { SimulatedCluster } from './cluster.ts'
import type { Host } from './host.ts'
import { drawMs } from './links.ts'
import type { Member } from './member.ts'

const THINK_MS_MEAN = 150
const PAGES_MAX = 6
/** Local clocks run slower than the world's by this much at most. */
const SLOW_MAX = 0.949

/** What was known when a question reached its node. */
interface Asked {
  readonly member: Member
  readonly floor: number
  readonly atMs: number
  readonly options: ReadOptions
  /** Of the past or the future, where that was asked for. */
  readonly revision: number | undefined
}

export class RangeReader {
  readonly #cluster: SimulatedCluster
  readonly #prng: Prng
  readonly #name: string
  #isStopped = false

  constructor(cluster: SimulatedCluster, prng: Prng, name: string) {
    this.#cluster = cluster
    this.#prng = prng
    this.#name = name
  }

  start(): void {
    const { world } = this.#cluster
    const turn = (): void => {
      if (this.#isStopped) return
      if (this.#prng.chance(1, 3)) this.#readKey()
      else this.#readRange()
      world.after(drawMs(this.#prng, 1, THINK_MS_MEAN), turn)
    }
    world.after(drawMs(this.#prng, 1, THINK_MS_MEAN), turn)
  }

  stop(): void {
    this.#isStopped = true
  }

  #readKey(): void {
    const key = this.#prng.chance(1, 2) ? 'k0' : this.#prng.pick(['x0', 'x1', 'n0', 'k1'])
    const revision = this.#prng.chance(1, 2) ? this.#someRevision() : undefined
    this.#ask(this.#options(revision), revision, (node, asked, host) => {
      const done = (outcome: ReadAnswer | QuorateError): void => {
        if (!host.isAlive || this.#isRefused(outcome, asked)) return
        this.#checkFreshness(outcome, asked)
        const { situations, observer } = this.#cluster
        situations.met(revision === undefined ? 'stale-read' : 'past-read')
        observer.oracle.onRead(asked.member.name, key, outcome.entry, revision ?? outcome.revision)
      }
      if (revision === undefined) node.read(key, asked.options, done)
      else node.readPast(key, revision, asked.options, done)
    })
  }

  #readRange(): void {
    const prng = this.#prng
    const revision = prng.chance(1, 3) ? this.#someRevision() : undefined
    const countOnly = prng.chance(1, 8)
    const limit = countOnly ? 0 : prng.pick([1, 2, 5, 100])
    const request = { range: this.#range(), limit, reverse: prng.chance(1, 2), countOnly, separator: undefined }
    this.#page({ ...request, revision }, this.#options(revision), 1)
  }

  #page(request: ListRequest, options: ReadOptions, number: number): void {
    this.#ask(options, request.revision, (node, asked, host) => {
      node.list(request, options, (outcome) => {
        if (!host.isAlive || this.#isRefused(outcome, asked)) return
        this.#note(asked, number)
        this.#checkFreshness(outcome, asked)
        this.#checkPage(request, outcome, asked)
        const { rest, listedRevision } = outcome
        if (rest === undefined || number >= PAGES_MAX || this.#isStopped) return
        // Of one revision, whichever node goes on: it exists, so that a node that is behind waits for it.
        const next = { ...options, minRevision: listedRevision }
        this.#page({ ...request, range: rest, revision: listedRevision }, next, number + 1)
      })
    })
  }

  #note({ options, revision }: Asked, number: number): void {
    const { situations } = this.#cluster
    situations.met('listing')
    if (number > 1) situations.met('listing-continued')
    else if (revision !== undefined) situations.met('past-read')
    else if (options.consistency === 'stale') situations.met('listing-stale')
  }

  #ask(
    options: ReadOptions,
    revision: number | undefined,
    ask: (node: QuorateNode, asked: Asked, host: Host) => void,
  ): void {
    const { members, world, observer } = this.#cluster
    const member = present(members[this.#prng.below(members.length)], 'a member')
    const { host } = member
    if (!member.isUp || host === undefined) return
    host.input(() => {
      const { node } = member
      if (node === undefined) return
      world.note('look', this.#name, member.name, revision ?? 0)
      ask(node, { member, floor: observer.revisionMax, atMs: world.nowMs, options, revision }, host)
    })
  }

  #options(revision: number | undefined): ReadOptions {
    const prng = this.#prng
    const isStale = prng.chance(1, 2)
    const maxStaleMs = isStale && prng.chance(1, 3) ? prng.pick([0, 50, 1_000]) : undefined
    const own = prng.chance(1, 4) ? this.#cluster.observer.revisionMax : undefined
    const minRevision = revision === undefined ? own : undefined
    const consistency = isStale ? 'stale' : 'linearizable'
    return { consistency, maxStaleMs, minRevision, timeoutMs: prng.between(200, 2_000) }
  }

  #someRevision(): number {
    const now = this.#cluster.observer.revisionMax
    if (this.#prng.chance(1, 8)) return now + this.#prng.between(1, 100)
    return Math.max(1, now - this.#prng.below(80))
  }

  #range(): KeyRange {
    const prng = this.#prng
    const letter = prng.pick(['k', 'n', 'x'])
    switch (prng.below(4)) {
      case 0:
        return { from: '', to: undefined }
      case 1:
        return { from: letter, to: String.fromCharCode(letter.charCodeAt(0) + 1) }
      case 2:
        return { from: `${letter}${prng.below(3)}`, to: undefined }
      default:
        return { from: `k${prng.below(4)}`, to: `x${prng.below(6)}` }
    }
  }

  // -------------------------------------------------------------------------------------------------- what must be true

  /** Says whether it was refused; a refusal that names a reason must be right in that. */
  #isRefused(outcome: ReadAnswer | ListAnswer | QuorateError, asked: Asked): outcome is QuorateError {
    if (!(outcome instanceof QuorateError)) return false
    const { situations, observer } = this.#cluster
    const { revision = Infinity, floor, options } = asked
    const isLinearizable = options.consistency === 'linearizable'
    if (outcome.code === 'COMPACTED') {
      situations.met('past-compacted')
      if (revision >= observer.oracle.model.compactRevision) this.#violate(asked, 'is told that it is compacted')
    } else if (outcome.code === 'BAD_PARAMETER') {
      situations.met('past-future')
      if (isLinearizable && revision <= floor) this.#violate(asked, `is told that it is not there yet; ${floor} was`)
    } else if (outcome.code === 'TOO_STALE') {
      situations.met('too-stale')
      if (options.maxStaleMs === undefined) this.#violate(asked, 'is told that the node is too stale')
    }
    return true
  }

  #checkFreshness({ revision, stalenessMs }: ReadAnswer | ListAnswer, asked: Asked): void {
    const { observer } = this.#cluster
    const { options, floor, atMs } = asked
    const { consistency, minRevision = 0, maxStaleMs } = options
    const least = Math.max(consistency === 'linearizable' ? floor : 0, minRevision)
    // A new store is at 1.
    const most = Math.max(1, observer.revisionMax)
    if (revision < least || revision > most)
      this.#violate(asked, `is answered from ${revision}, not from ${least} to ${most}`)
    if (maxStaleMs !== undefined && (stalenessMs ?? Infinity) > maxStaleMs)
      this.#violate(asked, `is answered from a state that is ${stalenessMs} ms old`)
    // Whoever waited for a revision was answered later than it asked. 0 is what a leader says of itself.
    if (stalenessMs === undefined || stalenessMs === 0 || minRevision > 0) return
    const known = observer.reached.at(atMs - (stalenessMs + 1) / SLOW_MAX)
    if (revision < known)
      this.#violate(asked, `is answered from ${revision}, ${stalenessMs} ms old, when ${known} had long been reached`)
  }

  #checkPage(request: ListRequest, answer: ListAnswer, asked: Asked): void {
    const { listedRevision, items, count, rest, revision } = answer
    const { revision: wanted = revision, range, limit, countOnly, reverse } = request
    if (listedRevision !== wanted) return this.#violate(asked, `is shown ${listedRevision} instead of ${wanted}`)
    const all = this.#entriesIn(range, listedRevision)
    if (reverse) all.reverse()
    const shown = countOnly ? [] : all.slice(0, limit)
    const found = items.map((item) => (item.kind === 'entry' ? describe(item.entry) : item.prefix))
    const made = shown.map(describe)
    if (found.join('\n') !== made.join('\n'))
      this.#violate(asked, `is shown ${found.join(', ')} at ${listedRevision}, not ${made.join(', ')}`)
    if (count !== (countOnly ? all.length : shown.length)) this.#violate(asked, `counts ${count} at ${listedRevision}`)
    const left = countOnly ? [] : all.slice(limit).map(({ key }) => key)
    const leftThere = rest === undefined ? [] : this.#entriesIn(rest, listedRevision).map(({ key }) => key)
    if (reverse) leftThere.reverse()
    if (left.join() !== leftThere.join() || (rest !== undefined && left.length === 0))
      this.#violate(asked, `is sent on to ${leftThere.join()} at ${listedRevision}, not to ${left.join()}`)
  }

  #entriesIn(range: KeyRange, revision: number): KeyEntry[] {
    const { model } = this.#cluster.observer.oracle
    const entries = [...model.at(revision).values()].filter(({ key }) => isInRange(range, key))
    return entries.sort((a, b) => (a.key < b.key ? -1 : 1))
  }

  #violate({ member, revision, options }: Asked, what: string): void {
    const { consistency } = options
    this.#cluster.world.violate(
      `${this.#name} on ${member.name}, ${consistency}, revision ${revision ?? 'now'}, ${what}`,
    )
  }
}

const describe = ({ key, modRevision, createRevision, version, lease, value }: KeyEntry): string =>
  `${key} ${modRevision} ${createRevision} ${version} ${lease} ${value.length} ${Buffer.from(value.subarray(0, 16)).toString('latin1')}`
