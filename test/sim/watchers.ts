// Those who watch: on random nodes, from now or from the past, slow at times, cut off by crashes, and going on elsewhere after the
// last revision that they have whole. What they hear is held against the oracle: every event once, in order, whole revisions,
// nothing left out, or a plain word that history is gone.
import type { KeyEntry, KeyRange } from '../../src/api/commands.ts'
import { isInRange } from '../../src/api/ranges.ts'
import type { QuorateError } from '../../src/api/errors.ts'
import type { WatchEvent, WatchHandle, WatchSink } from '../../src/node/facade.ts'
import { present } from '../../src/lib/assert.ts'
import type { Prng } from '../../src/lib/prng.ts'
import type { ModelChange } from '../kv/model-state.ts'
import type { SimulatedCluster } from './cluster.ts'
import type { Host } from './host.ts'
import { drawMs } from './links.ts'
import type { Member } from './member.ts'

const TIMEOUT_MS = 2_000
const RANGES: readonly KeyRange[] = [
  { from: '', to: undefined },
  { from: 'k', to: 'l' },
  { from: 'x', to: 'y' },
  { from: 'k0', to: 'k0\0' },
]

type Start = 'now' | 'past' | 'initial' | 'resume'

export class Watcher {
  readonly #cluster: SimulatedCluster
  readonly #prng: Prng
  readonly #name: string
  readonly #range: KeyRange
  readonly #wantsPrevious: boolean
  #isSlow: boolean
  /** All events up to here were delivered; undefined: it does not know where it is. */
  position: number | undefined
  /** Only these may be asked. */
  among: readonly Member[]
  /** Changes with each start: what an earlier one still says is not heard. */
  #life = 0
  #host: Host | undefined
  #installs = 0
  #handle: WatchHandle | undefined

  constructor(cluster: SimulatedCluster, prng: Prng, name: string) {
    this.#cluster = cluster
    this.#prng = prng
    this.#name = name
    this.among = cluster.members
    this.#range = present(RANGES[prng.below(RANGES.length)], 'a range')
    this.#wantsPrevious = prng.chance(1, 4)
    this.#isSlow = prng.chance(1, 2)
  }

  start(): void {
    this.#begin(this.#prng.pick(['now', 'past', 'initial'] as const))
    this.#look()
  }

  /** Goes elsewhere at once, where it was may never hear of anything again, and hurries. */
  move(among: readonly Member[]): void {
    this.among = among
    this.#isSlow = false
    this.#again(1)
  }

  /** Nothing is left out up to here. */
  hasReached(revision: number): boolean {
    const from = this.position
    if (from === undefined) return false
    for (let at = from + 1; at <= revision; at++) if (this.#expected(at).length > 0) return false
    return true
  }

  get where(): string {
    return `${this.#name} is at ${this.position ?? 'no revision'} in life ${this.#life}, on a host that ${this.#host?.isAlive === true ? 'lives' : 'is dead'}`
  }

  /** Now and then it goes away by itself, and always when its node is gone. */
  #look(): void {
    const { world } = this.#cluster
    world.after(drawMs(this.#prng, 50, 400), () => {
      if (this.#host === undefined || !this.#host.isAlive) this.#again(drawMs(this.#prng, 1, 100))
      else if (this.#prng.chance(1, 40)) {
        const handle = this.#handle
        this.#host.input(() => handle?.cancel())
        this.#again(drawMs(this.#prng, 1, 200))
      }
      this.#look()
    })
  }

  #again(afterMs: number): void {
    const life = ++this.#life
    this.#host = undefined
    this.#cluster.world.after(afterMs, () => {
      if (life === this.#life) this.#begin(this.position === undefined ? 'initial' : 'resume')
    })
  }

  #begin(start: Start): void {
    const member = present(this.among[this.#prng.below(this.among.length)], 'a member')
    const { host } = member
    const life = ++this.#life
    if (!member.isUp || host === undefined || !host.isAlive) return
    const { observer, situations } = this.#cluster
    this.#host = host
    host.input(() => {
      const { node } = member
      if (node === undefined || life !== this.#life) return
      const floor = observer.revisionMax
      if (start === 'past') this.position = Math.max(0, floor - this.#prng.below(60))
      if (start === 'now' || start === 'initial') this.position = undefined
      if (start === 'resume') situations.met('watch-resumed')
      const fromRevision = this.position === undefined ? undefined : this.position + 1
      const wantsInitial = start === 'initial'
      this.#installs = observer.installs(member.index)
      this.#cluster.world.note('watch', this.#name, member.name, start, fromRevision ?? 0)
      const wanted = { range: this.#range, fromRevision, wantsInitial, wantsPrevious: this.#wantsPrevious }
      this.#handle = node.watch(
        { ...wanted, only: undefined, timeoutMs: TIMEOUT_MS },
        this.#sink({ member, host, life, floor, fromRevision }),
      )
    })
  }

  #sink(parts: {
    member: Member
    host: Host
    life: number
    floor: number
    fromRevision: number | undefined
  }): WatchSink {
    const { member, host, life, floor } = parts
    const initial = new Map<string, KeyEntry>()
    /** True when it is still the one that is listened to. */
    const hears = (): boolean => host.isAlive && life === this.#life
    const again = (): void => this.#again(drawMs(this.#prng, 1, 300))
    return {
      onInitial: (items) => {
        for (const item of items) initial.set(item.key, item)
        return this.#goesOn(host, life)
      },
      onSync: (revision) => {
        if (!hears()) return true
        this.#checkInitial(member, initial, revision, floor)
        this.position = revision
        return this.#goesOn(host, life)
      },
      onEvents: (revision, events) => {
        if (!hears()) return true
        this.#onEvents(member, revision, events)
        return this.#goesOn(host, life)
      },
      onProgress: (revision) => {
        if (hears()) this.#onProgress(member, revision, floor)
        return true
      },
      onCompacted: (compactRevision) => {
        if (!hears()) return
        this.#onCompacted(member, compactRevision)
        again()
      },
      onLagging: (revision) => {
        if (!hears()) return
        this.#cluster.situations.met('watch-lagging')
        // The node may be further, past changes of other ranges.
        if (revision <= (this.position ?? 0)) this.#violate(member, `is to go on at ${revision} after lagging`)
        this.#checkNothingBetween(member, revision - 1)
        again()
      },
      onFailure: (error: QuorateError) => {
        if (!hears()) return
        this.#cluster.world.note('watch-failed', this.#name, error.code)
        again()
      },
    }
  }

  /** Slow ones ask for a pause now and then. */
  #goesOn(host: Host, life: number): boolean {
    if (!this.#isSlow || !this.#prng.chance(1, 6)) return true
    this.#cluster.situations.met('watch-paused')
    this.#cluster.world.note('watch-paused', this.#name)
    this.#cluster.world.after(drawMs(this.#prng, 1, 800), () => {
      const handle = this.#handle
      if (life !== this.#life) return
      this.#cluster.world.note('watch-resume', this.#name)
      host.input(() => handle?.resume())
    })
    return false
  }

  #expected(revision: number): readonly ModelChange[] {
    return this.#cluster.observer.oracle.changesOf(revision).filter(({ key }) => isInRange(this.#range, key))
  }

  #onEvents(member: Member, revision: number, events: readonly WatchEvent[]): void {
    this.#checkNothingBetween(member, revision - 1)
    if (this.position !== undefined && revision <= this.position)
      this.#violate(member, `hears of revision ${revision} after ${this.position}`)
    const heard = events.map(({ kind, entry }) => `${kind} ${entry.key} ${entry.version} ${text(entry.value)}`)
    const made = this.#expected(revision).map(({ key, entry }) =>
      entry === undefined ? `delete ${key} 0 ` : `put ${key} ${entry.version} ${text(entry.value)}`,
    )
    if (heard.join('\n') !== made.join('\n'))
      this.#violate(member, `hears of revision ${revision}: ${heard.join(', ')}; it was: ${made.join(', ')}`)
    if (events.some(({ entry }) => entry.modRevision !== revision)) this.#violate(member, `hears of mixed revisions`)
    if (this.#wantsPrevious) this.#checkPrevious(member, revision, events)
    this.position = revision
    if (this.#cluster.observer.installs(member.index) > this.#installs)
      this.#cluster.situations.met('watch-across-install')
  }

  #checkPrevious(member: Member, revision: number, events: readonly WatchEvent[]): void {
    const { model } = this.#cluster.observer.oracle
    for (const { entry, previous } of events) {
      const before = model.at(revision - 1).get(entry.key)
      // One that was compacted need not be there any more.
      if (previous === undefined && revision - 1 < model.compactRevision) continue
      if (previous?.modRevision !== before?.modRevision || text(previous?.value) !== text(before?.value))
        this.#violate(
          member,
          `is shown ${previous?.modRevision} before ${entry.key} at ${revision}, not ${before?.modRevision}`,
        )
    }
  }

  #onProgress(member: Member, revision: number, floor: number): void {
    if (this.position === undefined && revision < floor)
      this.#violate(member, `watches from now on from ${revision}, when ${floor} had been reached`)
    if (this.position !== undefined && revision < this.position) return
    this.#checkNothingBetween(member, revision)
    this.position = revision
  }

  #checkNothingBetween(member: Member, until: number): void {
    if (this.position === undefined) return
    for (let at = this.position + 1; at <= until; at++) {
      if (this.#expected(at).length > 0) return this.#violate(member, `is past revision ${at} and has not heard of it`)
    }
  }

  #checkInitial(member: Member, found: ReadonlyMap<string, KeyEntry>, revision: number, floor: number): void {
    if (revision < floor) this.#violate(member, `lists what there is at ${revision}, when ${floor} had been reached`)
    const { model } = this.#cluster.observer.oracle
    const wanted = [...model.at(revision).values()].filter(({ key }) => isInRange(this.#range, key))
    const isSame = ({ key, modRevision, value }: KeyEntry): boolean =>
      found.get(key)?.modRevision === modRevision && text(found.get(key)?.value) === text(value)
    if (wanted.length !== found.size || !wanted.every(isSame))
      this.#violate(
        member,
        `lists ${[...found.keys()].join(' ')} at ${revision}, not ${wanted.map(({ key }) => key).join(' ')}`,
      )
  }

  #onCompacted(member: Member, compactRevision: number): void {
    this.#cluster.situations.met('watch-compacted')
    const { compactRevision: known } = this.#cluster.observer.oracle.model
    if (compactRevision > known) this.#violate(member, `is told of ${compactRevision} as compacted; only ${known} is`)
    if (this.position !== undefined && this.position + 1 >= compactRevision)
      this.#violate(member, `is sent away at ${this.position} for ${compactRevision} is compacted`)
    this.position = undefined
  }

  #violate(member: Member, what: string): void {
    this.#cluster.world.violate(`${this.#name} on ${member.name}, at ${this.position}, ${what}`)
  }
}

const text = (value: Uint8Array | undefined): string =>
  value === undefined ? '' : Buffer.from(value).toString('latin1')
