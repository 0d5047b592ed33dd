// Nodes that come back with less than they had: a log that lost entries, a state from long ago. What they may do until they
// are whole again, in a whole cluster.
import { afterEach, describe, expect, it } from 'vitest'
import { MemoryStore } from '../../src/storage/state-db/index.ts'
import { MemoryCluster } from '../support/memory-cluster.ts'

let cluster: MemoryCluster

afterEach(async () => {
  await cluster?.close()
})

async function filled(retainEntries: number): Promise<{ victim: string; leader: string }> {
  cluster = await MemoryCluster.started(3, { logRetention: { retainBytes: 1e9, retainEntries } })
  for (let at = 0; at < 40; at++) await cluster.mustPut('n1', `k${at % 5}`, `value ${at}`)
  await cluster.advance(500)
  return { victim: cluster.followers[0]!, leader: cluster.leader! }
}

describe('a node whose log has lost acknowledged entries', () => {
  it('D6: neither votes nor campaigns until it holds again what a leader had, and remembers that over a crash', async () => {
    const { victim, leader } = await filled(1e9)
    cluster.crash(victim)
    const disk = cluster.disk(victim)
    disk.log.entries.length -= 10
    const other = cluster.followers[0]!
    await cluster.stop(other)
    cluster.crash(leader)
    for (let life = 0; life < 2; life++) {
      await cluster.start(victim)
      expect(disk.amnesia.isSet).toBe(true)
      await cluster.advance(2_000)
      expect(cluster.node(victim).status().role).toBe('follower')
      cluster.crash(victim)
    }
    await cluster.start(victim)
    await cluster.start(other)
    await cluster.advance(3_000)
    // Two of three are up, but one of them may not vote.
    expect(cluster.node(other).vitals().leaderName).toBe(undefined)
    await cluster.start(leader)
    await cluster.until(() => cluster.leader !== undefined && !disk.amnesia.isSet)
    expect(cluster.leader).not.toBe(victim)
    expect(await cluster.mustGet(victim, 'k4')).toBe('value 39')
  })
})

describe('a node whose state is older than its log reaches back', () => {
  it('serves nothing, asks for a state, and then takes part as before', async () => {
    const { victim, leader } = await filled(8)
    const disk = cluster.disk(victim)
    cluster.crash(victim)
    const early = new MemoryStore({ from: disk.store })
    await cluster.start(victim)
    for (let at = 40; at < 90; at++) await cluster.mustPut(leader, `k${at % 5}`, `value ${at}`)
    await cluster.advance(500)
    await cluster.mustPut(leader, 'last', 'makes the compaction durable')
    await cluster.advance(100)
    cluster.crash(victim)
    disk.store = early
    cluster.isolate(victim)
    const node = await cluster.start(victim)
    await cluster.advance(100)
    expect(node.readiness().checks['state']).toContain('no usable state')
    expect(await cluster.answer(cluster.read(victim, 'k4'))).toMatchObject({ code: 'NOT_READY' })
    expect(await cluster.answer(cluster.read(victim, 'k4', { consistency: 'stale' }))).toMatchObject({
      code: 'NOT_READY',
    })
    cluster.rejoin(victim)
    await cluster.until(() => node.readiness().ok)
    expect(await cluster.mustGet(victim, 'k4')).toBe('value 89')
    await cluster.mustPut(victim, 'k4', 'after')
  })
})
