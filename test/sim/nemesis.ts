// Who breaks things: each kind of fault on its own timer, drawn from the seed. It never takes away for good more members than the
// cluster can do without, and never the last good copy that a quorum needs.
import { present, unreachable } from '../../src/lib/assert.ts'
import type { Prng } from '../../src/lib/prng.ts'
import type { SimulatedCluster } from './cluster.ts'
import { deafen, depose, joinAgain } from './depose.ts'
import type { Member } from './member.ts'
import { NEVER } from './swarm.ts'
import type { Workload } from './workload.ts'

type Shape = 'isolate' | 'halves' | 'bridge' | 'ring' | 'pair'

export class Nemesis {
  readonly #cluster: SimulatedCluster
  readonly #prng: Prng
  readonly #workload: Workload
  #isStopped = false
  #isDeposing = false

  constructor(cluster: SimulatedCluster, workload: Workload, prng: Prng) {
    this.#cluster = cluster
    this.#workload = workload
    this.#prng = prng
  }

  start(): void {
    const { network, process, disk, evidence } = this.#cluster.swarm
    this.#every(network.breakEveryMs, () => this.#breakConnection())
    this.#every(network.partitionEveryMs, () => this.#partition())
    this.#every(network.clogEveryMs, () => this.#clog())
    this.#every(evidence.falseEveryMs, () => this.#slander())
    this.#every(process.crashEveryMs, () => this.#crash())
    this.#every(process.massCrashEveryMs, () => this.#massCrash())
    this.#every(process.pauseEveryMs, () => this.#pause())
    this.#every(process.stallEveryMs, () => this.#standStill())
    this.#every(process.deposeEveryMs, () => this.#depose())
    this.#every(process.transferEveryMs, () => this.#transfer())
    this.#every(process.wipeEveryMs, () => this.#wipe())
    this.#every(disk.stallEveryMs, () => this.#stall())
    this.#every(disk.fullEveryMs, () => this.#fill())
    this.#every(disk.flipEveryMs, () => this.#flip())
  }

  /** No more faults of its own making. Those in force stay. */
  stop(): void {
    this.#isStopped = true
  }

  #every(everyMs: number, act: () => void): void {
    if (everyMs >= NEVER) return
    const { world } = this.#cluster
    const again = (): void => {
      if (this.#isStopped) return
      act()
      world.after(this.#around(everyMs), again)
    }
    world.after(this.#around(everyMs), again)
  }

  #around(ms: number): number {
    return this.#prng.between(Math.floor(ms / 4), Math.floor((ms * 7) / 4))
  }

  #any(): Member {
    const { members } = this.#cluster
    return present(members[this.#prng.below(members.length)], 'a member')
  }

  /** A leader is hit more often than chance would. */
  #victim(): Member {
    const { members } = this.#cluster
    const leader = members.find(({ node }) => node?.status().role === 'leader')
    return leader !== undefined && this.#prng.chance(1, 3) ? leader : this.#any()
  }

  #restartMs(): number {
    return this.#prng.between(20, this.#cluster.swarm.process.restartMsMax)
  }

  #crash(): void {
    const member = this.#victim()
    const restartMs = this.#restartMs()
    if (this.#prng.chance(1, 3)) member.disk.doom(this.#prng.between(1, 40), () => member.crash('power', restartMs))
    else member.crash(this.#prng.chance(1, 2) ? 'kill' : 'power', restartMs)
  }

  #massCrash(): void {
    const { members, situations } = this.#cluster
    const isPower = this.#prng.chance(2, 3)
    for (const member of members) member.crash(isPower ? 'power' : 'kill', this.#restartMs())
    situations.met('whole-cluster-crash')
  }

  #pause(): void {
    const { situations, swarm } = this.#cluster
    if (this.#standsFor(this.#prng.between(10, swarm.process.pauseMsMax))) situations.met('pause')
  }

  /** As after a collection of much garbage, or a laptop's lid. */
  #standStill(): void {
    if (this.#standsFor(this.#prng.between(1_000, 30_000))) this.#cluster.situations.met('stall')
  }

  #standsFor(ms: number): boolean {
    const { world } = this.#cluster
    const { host, isUp, name } = this.#victim()
    if (!isUp || host === undefined || host.isPaused) return false
    world.note('pause', name, ms)
    host.pause()
    world.after(ms, () => host.resume())
    return true
  }

  /** Sometimes the successor does not last long either. */
  #depose(): void {
    const { world } = this.#cluster
    const old = this.#cluster.leader
    if (this.#isDeposing || old === undefined) return
    this.#isDeposing = true
    const means = { workload: this.#workload, prng: this.#prng }
    const rejoin = (): void => {
      this.#isDeposing = false
      if (!this.#isStopped) joinAgain(this.#cluster, old)
    }
    if (this.#prng.chance(1, 3)) return deafen(this.#cluster, means, old, rejoin)
    depose(this.#cluster, means, old, (successor) => {
      if (this.#prng.chance(1, 3)) successor?.crash(this.#prng.chance(1, 2) ? 'kill' : 'power', this.#restartMs())
      world.after(this.#prng.chance(1, 2) ? 0 : this.#prng.between(0, 3_000), rejoin)
    })
  }

  #transfer(): void {
    const { members, situations, world } = this.#cluster
    const leader = members.find(({ node }) => node?.status().role === 'leader')
    if (leader?.node === undefined) return
    const to = this.#prng.chance(1, 2) ? undefined : this.#any().name
    situations.met('transfer')
    world.note('transfer', leader.name, to ?? 'anybody')
    leader.host?.input(() => {
      // What comes of it, elections will show; that it may be refused is part of its contract.
      leader.node?.transferLeadership(to).catch((error: unknown) => world.note('transfer-refused', String(error)))
    })
  }

  #wipe(): void {
    const member = this.#any()
    const { members, expendable } = this.#cluster
    const isFounded = members.every((other) => other.isRegistered || other.state === 'dead')
    if (expendable < 1 || !isFounded || member.isWiped || member.disk.isDamaged) return
    member.crash('kill', this.#restartMs())
    // Not before the restart: the supervisor starts nothing in between.
    void member.wipe()
  }

  #flip(): void {
    const { expendable, members } = this.#cluster
    const member = this.#any()
    const isFounded = members.every((other) => other.isRegistered || other.state === 'dead')
    if (expendable < 1 || !isFounded || member.isWiped || member.disk.isDamaged) return
    member.crash('kill', this.#restartMs())
    member.flipBit()
  }

  #stall(): void {
    const { world, situations } = this.#cluster
    const { disk, name } = this.#victim()
    situations.met('slow-disk')
    world.note('slow-disk', name)
    disk.slowness = this.#prng.pick([5, 20, 100])
    world.after(this.#prng.between(100, 3_000), () => (disk.slowness = 1))
  }

  #fill(): void {
    const { world } = this.#cluster
    const { disk, name } = this.#victim()
    disk.freeBytes = this.#prng.pick([0, 600_000, 900_000])
    disk.isFull = this.#prng.chance(1, 3)
    world.note('full', name, disk.freeBytes, disk.isFull ? 1 : 0)
    world.after(this.#prng.between(500, 5_000), () => {
      disk.freeBytes = 1e12
      disk.isFull = false
    })
  }

  // ------------------------------------------------------------------------------------------------------- network

  #pair(): readonly [Member, Member] | undefined {
    const [a, b] = [this.#any(), this.#any()]
    return a === b ? undefined : [a, b]
  }

  #breakConnection(): void {
    const pair = this.#pair()
    if (pair !== undefined) this.#cluster.network.breakBetween(pair[0].info.id, pair[1].info.id)
  }

  /** Some are told that a process is gone which lives, each in its own time. As a rule it leads. */
  #slander(): void {
    const { members, network, situations, world, leader } = this.#cluster
    const accused = leader !== undefined && this.#prng.chance(3, 4) ? leader : this.#any()
    const { id } = accused.info
    const isToldAll = this.#prng.chance(1, 2)
    const isBroken = this.#prng.chance(1, 2)
    for (const { info, name } of members) {
      if (info.id === id || !(isToldAll || this.#prng.chance(1, 2))) continue
      if (isBroken) network.breakBetween(info.id, id)
      world.after(this.#prng.between(0, 60), () => {
        const told = network.running(info.id)
        told?.host.input(() => {
          if (accused.isUp) situations.met('false-evidence')
          world.note('slander', name, accused.name)
          told.handlers.onGone(id)
        })
      })
    }
  }

  #clog(): void {
    const pair = this.#pair()
    if (pair === undefined) return
    const { links, situations, world } = this.#cluster
    const ms = this.#prng.between(20, 3_000)
    situations.met('clog')
    world.note('clog', pair[0].name, pair[1].name, ms)
    links.clog(pair[0].info.id, pair[1].info.id, ms)
  }

  #partition(): void {
    const { members, situations, swarm, world } = this.#cluster
    if (members.length < 2) return
    const isOneWay = swarm.network.allowsOneWay && this.#prng.chance(1, 2)
    const shape = this.#prng.pick<Shape>(['isolate', 'isolate', 'halves', 'bridge', 'ring', 'pair'])
    situations.met(isOneWay ? 'one-way-partition' : 'partition')
    const cut: (readonly [Member, Member])[] = []
    const order = this.#shuffled()
    for (const [at, a] of order.entries()) {
      for (const [distance, b] of order.slice(at + 1).entries()) {
        if (!isCut(shape, at, at + 1 + distance, order.length)) continue
        cut.push(this.#prng.chance(1, 2) || !isOneWay || shape === 'isolate' ? [a, b] : [b, a])
      }
    }
    const isReversed = this.#prng.chance(1, 2)
    world.note('cut', shape, isOneWay ? 'one way' : 'both ways', cut.map(([a, b]) => `${a.name}-${b.name}`).join(' '))
    for (const [a, b] of cut) {
      const [from, to] = isReversed ? [b, a] : [a, b]
      this.#cut(from, to, isOneWay)
    }
    world.after(this.#prng.between(100, 6_000), () => {
      if (this.#isStopped) return
      world.note('mend', shape)
      for (const [a, b] of cut) {
        this.#cluster.links.mend(a.info.id, b.info.id)
        this.#cluster.links.mend(b.info.id, a.info.id)
      }
    })
  }

  #cut(from: Member, to: Member, isOneWay: boolean): void {
    const { links, network } = this.#cluster
    links.cut(from.info.id, to.info.id)
    if (!isOneWay) links.cut(to.info.id, from.info.id)
    network.suspect(from.info.id, to.info.id)
  }

  #shuffled(): Member[] {
    const order = [...this.#cluster.members]
    for (let at = order.length - 1; at > 0; at--) {
      const other = this.#prng.below(at + 1)
      const [a, b] = [present(order[at], 'a member'), present(order[other], 'a member')]
      order[at] = b
      order[other] = a
    }
    return order
  }
}

/** Whether two places in a shuffled order do not hear each other. */
function isCut(shape: Shape, a: number, b: number, count: number): boolean {
  const half = Math.ceil(count / 2)
  switch (shape) {
    case 'isolate':
      return a === 0
    case 'halves':
      return a < half && b >= half
    case 'bridge':
      // The first hears everybody; the others hear only their half.
      return a !== 0 && a <= half && b > half
    case 'ring':
      // Each hears its two neighbours only.
      return b - a !== 1 && b - a !== count - 1
    case 'pair':
      return a === 0 && b === 1
    default:
      return unreachable(shape)
  }
}
