// All of one simulated world: time, wires, disks, members and who watches them. One seed makes one world.
import type { MemberInfo } from '../../src/node/ports.ts'
import { Prng } from '../../src/lib/prng.ts'
import { Conduct } from './conduct.ts'
import { Links } from './links.ts'
import { Member } from './member.ts'
import { Network } from './network.ts'
import { Observer } from './observer.ts'
import { Situations } from './situations.ts'
import type { Swarm } from './swarm.ts'
import { World } from './world.ts'

export class SimulatedCluster {
  readonly world = new World()
  readonly situations = new Situations()
  readonly swarm: Swarm
  readonly links: Links
  readonly network: Network
  readonly observer: Observer
  /** Increments that programs have made for certain, and those that may have been made. */
  readonly tally = { done: 0, begun: 0 }
  readonly members: readonly Member[]

  constructor(swarm: Swarm, prng: Prng) {
    this.swarm = swarm
    const { world, situations } = this
    const infos: MemberInfo[] = Array.from({ length: swarm.nodes }, (_, at) => ({
      id: (at + 1).toString(16).padStart(16, '0'),
      name: `n${at + 1}`,
      peer: `10.0.0.${at + 1}:7701`,
    }))
    this.links = new Links(world, prng.fork('links'), swarm.network)
    this.observer = new Observer(world, situations, infos)
    const { links, observer } = this
    const conduct = new Conduct(world, infos, swarm.node.electionTimeoutMs)
    this.network = new Network({ world, links, situations, observer, conduct })
    const { network } = this
    const parts = {
      world,
      swarm,
      network,
      observer,
      conduct,
      situations,
      members: infos,
      strikeLeader: () => this.#strikeLeader(),
    }
    this.members = infos.map(({ name }, index) => new Member(index, { ...parts, prng: prng.fork(name) }))
  }

  async prepare(): Promise<void> {
    for (const member of this.members) await member.disk.prepare()
  }

  #strikeLeader(): void {
    this.leader?.crash('kill', 500)
  }

  /** Of the latest term that anybody led in. */
  get leader(): Member | undefined {
    return this.members.find(({ node }) => {
      const vitals = node?.vitals()
      return vitals?.term === this.observer.ledTerm && vitals.leaderName === vitals.name
    })
  }

  get majority(): number {
    return Math.floor(this.swarm.nodes / 2) + 1
  }

  /** How many more members may be lost for good. */
  get expendable(): number {
    const lost = this.members.filter(({ state, isWiped, disk }) => state === 'dead' || isWiped || disk.isDamaged)
    return this.swarm.nodes - this.majority - lost.length
  }
}
