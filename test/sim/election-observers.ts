// Those who observe an election on a node: they are told of leaders that there were, never of an earlier one after a later one, and
// in the end of the one that there is.
import { present } from '../../src/lib/assert.ts'
import type { Prng } from '../../src/lib/prng.ts'
import type { LockPlace } from '../../src/node/facade.ts'
import { LOCKS } from './command-mix.ts'
import type { SimulatedCluster } from './cluster.ts'
import type { Host } from './host.ts'
import { drawMs } from './links.ts'
import type { Member } from './member.ts'

export class ElectionObserver {
  readonly #cluster: SimulatedCluster
  readonly #prng: Prng
  readonly #name: string
  readonly #election: string
  #host: Host | undefined
  /** Where in the history of leaders it is; -1: it was told of none. */
  #at = -1
  #told: string | undefined
  #life = 0
  #among: readonly Member[]

  constructor(cluster: SimulatedCluster, prng: Prng, name: string) {
    this.#cluster = cluster
    this.#prng = prng
    this.#name = name
    this.#among = cluster.members
    this.#election = prng.pick(LOCKS)
  }

  start(): void {
    const { world } = this.#cluster
    if (this.#host === undefined || !this.#host.isAlive || this.#prng.chance(1, 40)) this.#begin()
    world.after(drawMs(this.#prng, 50, 300), () => this.start())
  }

  move(among: readonly Member[]): void {
    this.#among = among
    this.#begin()
  }

  /** It was told of the leader that there is. */
  get isCurrent(): boolean {
    return this.#host?.isAlive === true && this.#told === this.#leaders.at(-1)
  }

  get #leaders(): readonly string[] {
    return this.#cluster.observer.oracle.leadersOf(this.#election)
  }

  #begin(): void {
    const member = present(this.#among[this.#prng.below(this.#among.length)], 'a member')
    const { host } = member
    const life = ++this.#life
    this.#host = undefined
    if (!member.isUp || host === undefined || !host.isAlive) return
    this.#host = host
    host.input(() => {
      const { node } = member
      if (node === undefined || life !== this.#life) return
      // Another node may be behind the one before.
      this.#at = -1
      this.#told = undefined
      const observation = node.observe('election', this.#election, (leader) => {
        if (!host.isAlive) return
        if (life === this.#life) this.#onLeader(member, leader)
        else observation.cancel()
      })
    })
  }

  #onLeader(member: Member, leader: LockPlace | undefined): void {
    const { world, situations } = this.#cluster
    if (leader !== undefined) situations.met('leader-observed')
    const told = leaderText(leader)
    world.note('leader-observed', this.#name, member.name, leader?.token ?? 0)
    const leaders = this.#leaders
    const at = leaders.indexOf(told, Math.max(0, this.#at))
    if (at === -1)
      world.violate(`${this.#name} on ${member.name} is told that ${told} leads, after ${leaders[this.#at] ?? 'none'}`)
    this.#at = at
    this.#told = told
  }
}

/** Two leaders are the same if they look the same to an observer. */
export const leaderText = (leader: Pick<LockPlace, 'token' | 'value'> | undefined): string =>
  leader === undefined ? 'nobody' : `${leader.token} ${Buffer.from(leader.value).toString('latin1')}`
