// Random schedules: a small cluster under loss, duplication, reordering, crashes, slow disks, compaction and transfers, from
// one seed; the properties of thesis figure 3.2 after every step. Then the faults end, and the cluster must come together.
// RAFT_SEED=n runs one seed; RAFT_SEEDS=n runs more of them.
import { env } from 'node:process'
import { describe, expect, test } from 'vitest'
import { Prng } from '../../src/lib/prng.ts'
import type { Packet } from './support/cluster.ts'
import { Cluster } from './support/cluster.ts'
import { Safety } from './support/safety.ts'

const STEPS = 600
const seeds =
  env['RAFT_SEED'] === undefined
    ? Array.from({ length: Number(env['RAFT_SEEDS'] ?? 400) }, (_, at) => at + 1)
    : [Number(env['RAFT_SEED'])]

interface Run {
  readonly trace: string
  readonly safety: Safety
}

class Schedule {
  readonly cluster: Cluster
  readonly safety: Safety
  readonly #prng: Prng
  readonly #old: Packet[] = []
  readonly #weights: readonly (readonly [number, () => void])[]
  #proposals = 0
  #reads = 0
  readonly #disorder: number

  constructor(seed: number) {
    const prng = new Prng(seed)
    this.#prng = prng
    this.#disorder = prng.pick([2, 10, 100])
    const size = prng.pick([1, 2, 3, 3, 3, 5, 5])
    const voters = Array.from({ length: size }, (_, at) => `n${at + 1}`)
    // A joint configuration counts in both halves; a learner never does.
    const votersOutgoing = size > 2 && prng.chance(1, 5) ? [...voters.slice(1), 'n6'] : []
    const learners = prng.chance(1, 4) ? ['n7'] : []
    const memoryLogBytesMax = prng.pick([300, 1_000, 1_000_000])
    const config = {
      memoryLogBytesMax,
      unappliedBytesMax: memoryLogBytesMax,
      inflightMessagesMax: prng.between(1, 8),
      appendBytesMax: prng.pick([100, 1_000]),
    }
    this.cluster = new Cluster({ voters, votersOutgoing, learners, seed, config, isStateLazy: true })
    this.safety = new Safety(this.cluster)
    const rare = (): number => prng.pick([0, 1, 2])
    this.#weights = [
      [40, () => this.#deliver()],
      [20, () => this.#tick()],
      [prng.pick([10, 30]), () => this.#propose()],
      [prng.pick([1, 10, 20]), () => this.#persist()],
      [prng.pick([0, 2, 8]), () => this.#holdDisk()],
      [10, () => this.#read()],
      [prng.pick([0, 2, 10]), () => this.#drop()],
      [prng.pick([0, 3, 12]), () => this.#duplicate()],
      [rare(), () => this.#crash()],
      [prng.pick([0, 1, 3]), () => this.#crashAfterSending()],
      [prng.pick([0, 1, 3]), () => this.#isolateLeader()],
      [4, () => this.#restart()],
      [prng.pick([1, 4]), () => this.#partition()],
      [1, () => this.cluster.heal()],
      [prng.pick([1, 8]), () => this.#compact()],
      [4, () => this.#stream()],
      [rare(), () => this.#transfer()],
      [2, () => this.#unreachable()],
      [prng.pick([0, 2, 8]), () => this.#gone()],
    ]
  }

  step(): void {
    let draw = this.#prng.below(this.#weights.reduce((sum, [weight]) => sum + weight, 0))
    for (const [weight, action] of this.#weights) {
      draw -= weight
      if (draw >= 0) continue
      action()
      break
    }
    this.safety.check()
  }

  /** All faults end; some time passes. */
  recover(): void {
    const { cluster } = this
    cluster.heal()
    for (const node of cluster.nodes.values()) {
      node.isDiskHeld = false
      node.areLoadsHeld = false
      if (node.raft === undefined) cluster.restart(node.id)
      else cluster.pump(node.id)
    }
    for (let round = 0; round < 300; round++) {
      cluster.tickAll()
      cluster.settle()
      for (const node of cluster.nodes.values()) {
        cluster.saveState(node.id)
        for (const peer of node.snapshotsWanted) cluster.stream(node.id, peer)
      }
      cluster.settle()
      this.safety.check()
    }
  }

  #someone(): string {
    const { ids } = this.cluster
    return ids[this.#prng.below(ids.length)]!
  }

  #deliver(): void {
    for (let count = this.#prng.between(1, 12); count > 0; count--) {
      const { network } = this.cluster
      if (network.length === 0) return
      // Mostly in order, sometimes not.
      const at = this.#prng.chance(1, this.#disorder) ? this.#prng.below(network.length) : 0
      if (this.#old.length < 200) this.#old.push(network[at]!)
      else if (this.#prng.chance(1, 4)) this.#old[this.#prng.below(200)] = network[at]!
      this.cluster.deliverAt(at)
    }
  }

  #tick(): void {
    const id = this.#someone()
    const count = this.#prng.pick([1, 2, 3, 10, 21])
    if (this.cluster.node(id).raft !== undefined) this.cluster.tick(id, count)
  }

  #propose(): void {
    const id = this.#someone()
    if (this.cluster.node(id).raft === undefined) return
    this.#proposals++
    this.cluster.propose(id, `command ${this.#proposals}`)
  }

  #persist(): void {
    this.cluster.persist(this.#someone())
  }

  #holdDisk(): void {
    const node = this.cluster.node(this.#someone())
    node.isDiskHeld = !node.isDiskHeld
    node.areLoadsHeld = this.#prng.chance(1, 2)
    this.cluster.pump(node.id)
  }

  #read(): void {
    const node = this.cluster.node(this.#someone())
    if (node.raft === undefined) return
    this.#reads++
    this.safety.readBegins(node, this.#reads)
    this.cluster.input(node.id, (raft) => raft.readIndex(this.#reads))
  }

  #drop(): void {
    const { network } = this.cluster
    if (network.length > 0) network.splice(this.#prng.below(network.length), 1)
  }

  #duplicate(): void {
    if (this.#old.length > 0) this.cluster.network.push(this.#old[this.#prng.below(this.#old.length)]!)
  }

  #crash(): void {
    this.cluster.crash(this.#someone(), this.#prng.chance(1, 2))
  }

  /** The message is out; what its sender had not made durable is gone. */
  #crashAfterSending(): void {
    const packet = this.cluster.network.at(-1)
    if (packet !== undefined) this.cluster.crash(packet.message.from, this.#prng.chance(1, 4))
  }

  /** A leader alone collects entries that the others will write over. */
  #isolateLeader(): void {
    const [leader] = this.cluster.leaders
    if (leader === undefined) return
    this.cluster.partition(
      [leader.id],
      this.cluster.ids.filter((id) => id !== leader.id),
    )
    for (let count = this.#prng.between(1, 4); count > 0; count--) {
      this.#proposals++
      this.cluster.propose(leader.id, `alone ${this.#proposals}`)
    }
  }

  #restart(): void {
    const id = this.#someone()
    if (this.cluster.node(id).raft === undefined) this.cluster.restart(id)
  }

  #partition(): void {
    const left = this.cluster.ids.filter(() => this.#prng.chance(1, 2))
    this.cluster.partition(
      left,
      this.cluster.ids.filter((id) => !left.includes(id)),
    )
  }

  #compact(): void {
    const node = this.cluster.node(this.#someone())
    if (node.raft === undefined || node.raft.standing === 'stateless' || node.write?.snapshot !== undefined) return
    this.cluster.saveState(node.id)
    if (node.disk.state.index > node.disk.base.index) node.disk.compactTo(node.disk.state.index)
  }

  #stream(): void {
    const node = this.cluster.node(this.#someone())
    const [peer] = node.snapshotsWanted
    if (node.raft !== undefined && peer !== undefined && node.disk.state.index > 0) this.cluster.stream(node.id, peer)
  }

  #transfer(): void {
    const id = this.#someone()
    const to = this.#prng.chance(1, 2) ? undefined : this.#someone()
    if (this.cluster.node(id).raft !== undefined) this.cluster.input(id, (raft) => raft.transferLeadership(to))
  }

  #unreachable(): void {
    const id = this.#someone()
    const peer = this.#someone()
    if (this.cluster.node(id).raft !== undefined) this.cluster.input(id, (raft) => raft.reportUnreachable(peer))
  }

  /** Some are told that a process is gone, mostly the leader's, be it true or not. */
  #gone(): void {
    const [leader] = this.cluster.leaders
    const id = leader !== undefined && this.#prng.chance(3, 4) ? leader.id : this.#someone()
    for (const node of this.cluster.nodes.values())
      if (node.raft !== undefined && this.#prng.chance(2, 3)) this.cluster.input(node.id, (raft) => raft.reportGone(id))
  }
}

function run(seed: number): Run {
  const schedule = new Schedule(seed)
  try {
    for (let step = 0; step < STEPS; step++) schedule.step()
    schedule.recover()
    const { cluster, safety } = schedule
    expect(cluster.leaders, 'exactly one leader').toHaveLength(1)
    const leader = cluster.leaders[0]!
    expect(cluster.propose(leader.id, 'the end').kind).toBe('accepted')
    cluster.settle()
    for (const node of cluster.nodes.values()) {
      expect(node.raft!.standing).toBe('full')
      expect(node.raft!.appliedIndex, `${node.id} has applied everything`).toBe(leader.lastIndex)
    }
    const trace = cluster.ids.map((id) => JSON.stringify(cluster.raft(id).status())).join('\n')
    return { trace, safety }
  } catch (error) {
    throw new Error(`RAFT_SEED=${seed} npx vitest run --project unit test/raft/random.test.ts`, { cause: error })
  }
}

describe('random schedules (thesis figure 3.2)', () => {
  test('L16: loss, duplication, reordering, crashes and slow disks break no property, and the cluster recovers', () => {
    let reads = 0
    let snapshots = 0
    let truncations = 0
    for (const seed of seeds) {
      const { safety } = run(seed)
      reads += safety.confirmedReadCount
      snapshots += safety.snapshotCount
      truncations += safety.truncationCount
    }
    if (seeds.length < 100) return
    // The schedules must reach the situations that matter.
    expect(reads).toBeGreaterThan(seeds.length)
    expect(snapshots).toBeGreaterThan(seeds.length / 10)
    expect(truncations).toBeGreaterThan(seeds.length / 20)
  })

  test('the same seed gives the same run', () => {
    expect(run(7).trace).toBe(run(7).trace)
  })
})
