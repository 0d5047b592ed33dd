// Expiry by cluster time: never early, and late by a bounded amount, whatever happens to leaders.
import { afterEach, describe, expect, it } from 'vitest'
import { type ClientCommand, NO_CONDITION } from '../../src/api/commands.ts'
import { QuorateError } from '../../src/api/errors.ts'
import type { SideState } from '../../src/kv/index.ts'
import { Expiry } from '../../src/node/expiry.ts'
import type { ForwardAnswer } from '../../src/node/ports.ts'
import { MemoryCluster } from '../support/memory-cluster.ts'

const TTL_MS = 2_000
/** What a healthy cluster may be late by. */
const LATE_MS = 1_000
/** What a change of leaders may cost: the gap without one, and what the old one had counted and told nobody. */
const CHANGE_MS = 7_000
const LEASE = '0000000000000abc'

let cluster: MemoryCluster

afterEach(async () => {
  await cluster?.close()
})

const put = (key: string, more: { lease?: string; ttlMs?: number }): ClientCommand => ({
  op: 'put',
  key,
  value: Buffer.from('v'),
  contentType: '',
  condition: NO_CONDITION,
  wantsPrevious: false,
  ...more,
})

/** A key that dies with a lease, and when the grant was sent. */
async function leased(name: string, ttlMs = TTL_MS): Promise<{ sentAtMs: number }> {
  const sentAtMs = cluster.clock.now()
  await cluster.must(name, { op: 'lease-grant', lease: LEASE, ttlMs })
  await cluster.must(name, put('k', { lease: LEASE }))
  return { sentAtMs }
}

/** When the key was first seen gone, on any node that had it: a follower may not have heard of it yet. */
async function goneAtMs(key = 'k'): Promise<number> {
  const had = new Set<string>()
  await cluster.until(() =>
    [...cluster.nodes.keys()].some((name) => {
      const { answer } = cluster.read(name, key, { consistency: 'stale' })
      if (answer === undefined || answer instanceof QuorateError) return false
      if (answer.entry !== undefined) had.add(name)
      return answer.entry === undefined && had.has(name)
    }),
  )
  return cluster.clock.now()
}

describe('a lease', () => {
  it('ends when its time is over: not before, and within a second after', async () => {
    cluster = await MemoryCluster.started(3)
    const { sentAtMs } = await leased(cluster.followers[0]!)
    const lastedMs = (await goneAtMs()) - sentAtMs
    expect(lastedMs).toBeGreaterThanOrEqual(TTL_MS)
    expect(lastedMs).toBeLessThanOrEqual(TTL_MS + LATE_MS)
    await cluster.advance(100)
    const revisions = [...cluster.nodes.values()].map((node) => node.digest())
    expect(new Set(revisions.map(({ digest }) => digest)).size).toBe(1)
  })

  it('that a put was given a time to live with ends the same way', async () => {
    cluster = await MemoryCluster.started(3)
    const sentAtMs = cluster.clock.now()
    await cluster.must(cluster.leader!, put('k', { ttlMs: TTL_MS }))
    const lastedMs = (await goneAtMs()) - sentAtMs
    expect(lastedMs).toBeGreaterThanOrEqual(TTL_MS)
    expect(lastedMs).toBeLessThanOrEqual(TTL_MS + LATE_MS)
  })

  it('lives as long as it is kept alive, and everybody can tell how long that is', async () => {
    cluster = await MemoryCluster.started(3)
    const follower = cluster.followers[0]!
    await leased(follower)
    for (let at = 0; at < 5; at++) {
      await cluster.advance(1_500)
      await cluster.must(follower, { op: 'lease-keep-alive', lease: LEASE })
    }
    expect(await cluster.mustGet(follower, 'k')).toBe('v')
    await cluster.advance(1_000)
    for (const node of cluster.nodes.values()) {
      const remainingMs = node.leaseTtlMs(LEASE)!
      expect(remainingMs).toBeGreaterThan(800)
      expect(remainingMs).toBeLessThanOrEqual(1_000)
    }
    await goneAtMs()
    await cluster.advance(10)
    expect([...cluster.nodes.values()].map((node) => node.leaseTtlMs(LEASE))).toEqual([undefined, undefined, undefined])
  })

  it('granted right after a stall lasts its whole time', async () => {
    cluster = await MemoryCluster.started(1)
    await cluster.advance(1_000)
    // What arrived during the stall is read before the first late timer fires.
    cluster.clock.stall(250)
    const sentAtMs = cluster.clock.now()
    const granted = cluster.write('n1', { op: 'lease-grant', lease: LEASE, ttlMs: TTL_MS })
    const written = cluster.write('n1', put('k', { lease: LEASE }))
    await cluster.answer(granted)
    await cluster.answer(written)
    expect((await goneAtMs()) - sentAtMs).toBeGreaterThanOrEqual(TTL_MS)
  })

  it('A7: goes on under the next leader: not early, and late by a bounded amount', async () => {
    cluster = await MemoryCluster.started(3)
    await cluster.advance(1_000)
    const { sentAtMs } = await leased(cluster.leader!, 8_000)
    await cluster.advance(4_000)
    cluster.crash(cluster.leader!)
    const lastedMs = (await goneAtMs()) - sentAtMs
    expect(lastedMs).toBeGreaterThanOrEqual(8_000)
    expect(lastedMs).toBeLessThanOrEqual(8_000 + CHANGE_MS)
  })

  it('A7: a leader that was suspended expires nothing that the next one keeps alive', async () => {
    cluster = await MemoryCluster.started(3)
    const old = cluster.leader!
    await leased(old)
    cluster.suspend(old)
    const others = [...cluster.nodes.keys()].filter((name) => name !== old)
    await cluster.until(() => others.some((name) => cluster.node(name).status().role === 'leader'))
    for (let at = 0; at < 5; at++) {
      await cluster.must(others[0]!, { op: 'lease-keep-alive', lease: LEASE })
      await cluster.advance(1_000)
    }
    cluster.continue(old)
    await cluster.advance(500)
    expect(await cluster.mustGet(old, 'k')).toBe('v')
    const keptAtMs = cluster.clock.now()
    await cluster.must(old, { op: 'lease-keep-alive', lease: LEASE })
    expect((await goneAtMs()) - keptAtMs).toBeGreaterThanOrEqual(TTL_MS)
  })

  it('A7: a leader that was cut off counts nothing that anybody hears of', async () => {
    cluster = await MemoryCluster.started(3)
    const old = cluster.leader!
    const { sentAtMs } = await leased(cluster.followers[0]!)
    cluster.isolate(old)
    await cluster.advance(1_500)
    cluster.rejoin(old)
    const lastedMs = (await goneAtMs()) - sentAtMs
    expect(lastedMs).toBeGreaterThanOrEqual(TTL_MS)
    expect(lastedMs).toBeLessThanOrEqual(TTL_MS + CHANGE_MS)
  })

  it('A7: a leader that was cut off does not go on from what it counted alone, when it leads again', async () => {
    cluster = await MemoryCluster.started(3)
    const old = cluster.leader!
    await leased(old, 60_000)
    const other = cluster.followers[0]!
    cluster.isolate(old)
    await cluster.until(() => ![old, undefined].includes(cluster.node(other).vitals().leaderName))
    const sentAtMs = cluster.clock.now()
    await cluster.must(other, put('short', { ttlMs: TTL_MS }))
    cluster.rejoin(old)
    await cluster.until(() => cluster.leader !== undefined)
    await cluster.settled(cluster.node(cluster.leader!).transferLeadership(old))
    await cluster.until(() => cluster.leader === old)
    expect((await goneAtMs('short')) - sentAtMs).toBeGreaterThanOrEqual(TTL_MS)
  })

  it('A8: a cluster that slept lets nothing expire that could not be kept alive meanwhile', async () => {
    cluster = await MemoryCluster.started(3)
    await leased(cluster.leader!)
    await cluster.advance(500)
    cluster.clock.stall(3_600_000)
    await cluster.advance(50)
    expect(await cluster.mustGet(cluster.followers[0]!, 'k')).toBe('v')
    const awakeAtMs = cluster.clock.now()
    expect((await goneAtMs()) - awakeAtMs).toBeLessThanOrEqual(TTL_MS + CHANGE_MS)
  })

  it('A8: outlives a restart of all nodes, and ends after it', async () => {
    cluster = await MemoryCluster.started(3)
    const { sentAtMs } = await leased(cluster.leader!, 4_000)
    await cluster.advance(2_000)
    for (const name of ['n1', 'n2', 'n3']) cluster.crash(name)
    for (const name of ['n1', 'n2', 'n3']) await cluster.start(name)
    await cluster.until(() => cluster.leader !== undefined)
    expect(await cluster.mustGet(cluster.leader!, 'k')).toBe('v')
    const lastedMs = (await goneAtMs()) - sentAtMs
    expect(lastedMs).toBeGreaterThanOrEqual(4_000)
    expect(lastedMs).toBeLessThanOrEqual(4_000 + CHANGE_MS)
  })

  it('A8: is part of a state that a follower receives, which then ends it as leader', async () => {
    cluster = await MemoryCluster.started(3, { logRetention: { retainBytes: 4_000, retainEntries: 20 } })
    const leader = cluster.leader!
    const behind = cluster.followers[0]!
    cluster.isolate(behind)
    const { sentAtMs } = await leased(leader, 4_000)
    for (let at = 0; at < 60; at++) await cluster.mustPut(leader, `x${at % 7}`, `${at}`)
    await cluster.advance(500)
    cluster.rejoin(behind)
    const revision = cluster.node(leader).status().revision
    await cluster.until(() => cluster.node(behind).status().revision === revision)
    await cluster.settled(cluster.node(leader).transferLeadership(behind))
    await cluster.until(() => cluster.leader === behind)
    const lastedMs = (await goneAtMs()) - sentAtMs
    expect(lastedMs).toBeGreaterThanOrEqual(4_000)
    expect(lastedMs).toBeLessThanOrEqual(4_000 + CHANGE_MS)
    await cluster.advance(200)
    expect(new Set([...cluster.nodes.values()].map((node) => node.digest().digest)).size).toBe(1)
  })

  it('of hundreds that end at once, each ends in time', async () => {
    cluster = await MemoryCluster.started(3)
    const leader = cluster.leader!
    const sentAtMs = cluster.clock.now()
    for (let at = 0; at < 350; at++) cluster.write(leader, put(`k${at}`, { ttlMs: TTL_MS }))
    await cluster.until(() => cluster.node(leader).status().revision >= 351)
    await cluster.until(() => cluster.node(leader).status().revision >= 701)
    const lastedMs = cluster.clock.now() - sentAtMs
    expect(lastedMs).toBeGreaterThanOrEqual(TTL_MS)
    expect(lastedMs).toBeLessThanOrEqual(TTL_MS + LATE_MS)
  })

  it('costs an idle cluster a stamp now and then, and nothing once there is none', async () => {
    cluster = await MemoryCluster.started(3)
    const leader = cluster.leader!
    await cluster.must(leader, { op: 'lease-grant', lease: LEASE, ttlMs: 60_000 })
    const before = cluster.node(leader).status().appliedIndex
    await cluster.advance(11_000)
    expect(cluster.node(leader).status().appliedIndex - before).toBe(2)
    await cluster.must(leader, { op: 'lease-revoke', lease: LEASE })
    const after = cluster.node(leader).status().appliedIndex
    await cluster.advance(11_000)
    expect(cluster.node(leader).status().appliedIndex).toBe(after)
  })
})

class Bench {
  isLeader = true
  appliedIndex = 5
  appliedTimeMs = 0
  clusterTimeMs = 0
  nextExpiryMs: number | undefined = 1_000
  readonly proposals: { readonly ops: string[]; readonly answer: (answer: ForwardAnswer) => void }[] = []
  readonly expiry: Expiry

  constructor() {
    // oxlint-disable-next-line no-this-alias -- getters of the port read this bench
    const bench = this
    this.expiry = new Expiry({
      get isLeader() {
        return bench.isLeader
      },
      get appliedIndex() {
        return bench.appliedIndex
      },
      get side() {
        const due = { op: 'expire', leases: [LEASE], sessions: [] } as const
        return { nextExpiryMs: bench.nextExpiryMs, due: () => due } as never as SideState
      },
      get clusterTimeMs() {
        return bench.clusterTimeMs
      },
      get appliedTimeMs() {
        return bench.appliedTimeMs
      },
      propose: (command, answer) => void this.proposals.push({ ops: [command.op], answer }),
      stamp: (answer) => void this.proposals.push({ ops: [], answer }),
    })
  }

  at(clusterTimeMs: number): number {
    this.clusterTimeMs = clusterTimeMs
    this.expiry.check()
    return this.proposals.length
  }
}

describe('the leader’s part in expiry', () => {
  it('proposes what is due once, and again only after that was applied', () => {
    const bench = new Bench()
    expect([bench.at(999), bench.at(1_000), bench.at(1_010)]).toEqual([0, 1, 1])
    bench.proposals[0]!.answer({ kind: 'proposed', id: { term: 1, index: 6 } })
    expect(bench.at(1_020)).toBe(1)
    bench.appliedIndex = 6
    expect(bench.at(1_030)).toBe(2)
    expect(bench.proposals[1]!.ops).toEqual(['expire'])
  })

  it('proposes again what was not taken, or was lost with the term', () => {
    const bench = new Bench()
    bench.at(1_000)
    bench.proposals[0]!.answer({ kind: 'not-proposed', code: 'OVERLOADED', detail: '' })
    expect(bench.at(1_010)).toBe(2)
    bench.proposals[1]!.answer({ kind: 'proposed', id: { term: 1, index: 6 } })
    bench.isLeader = false
    bench.expiry.onRoleChange()
    expect(bench.at(1_020)).toBe(2)
    bench.isLeader = true
    expect(bench.at(1_030)).toBe(3)
  })

  it('tells the time now and then while anything can expire', () => {
    const bench = new Bench()
    bench.nextExpiryMs = 60_000
    expect([bench.at(4_999), bench.at(5_000)]).toEqual([0, 1])
    expect(bench.proposals[0]!.ops).toEqual([])
    bench.proposals[0]!.answer({ kind: 'proposed', id: { term: 1, index: 6 } })
    bench.appliedIndex = 6
    bench.appliedTimeMs = 5_000
    bench.nextExpiryMs = undefined
    expect(bench.at(20_000)).toBe(1)
  })
})
