// A process that stood still, in the order in which an event loop wakes: first the timers that are late, then the sockets, then what
// was put off. What came in meanwhile counts before the time that passed.
import { afterEach, describe, expect, it, vi } from 'vitest'
import type { NodeStatus } from '../../src/api/status.ts'
import { MemoryCluster } from '../support/memory-cluster.ts'

let cluster: MemoryCluster

afterEach(async () => {
  await cluster?.close()
})

const STALL_MS = 10_000

/** The same cluster each time, with a follower whose sockets nobody reads from now on. */
async function deafFollower(): Promise<{ name: string; status: () => NodeStatus }> {
  cluster = await MemoryCluster.started(3)
  const name = cluster.followers[0]!
  const id = cluster.idOf(name)
  cluster.isHeld = ({ to }) => to === id
  return { name, status: () => cluster.node(name).status() }
}

/** When it would take the leader for dead, counted from the time it went deaf. */
async function patienceMs(): Promise<number> {
  const { status } = await deafFollower()
  const startMs = cluster.clock.now()
  await cluster.until(() => status().role !== 'follower')
  const ms = cluster.clock.now() - startMs
  await cluster.close()
  return ms
}

describe('a follower that stood still just before it would have lost patience', () => {
  it('N1: reads what its leader sent before it counts the tick that is late', async () => {
    const ms = await patienceMs()
    const { status } = await deafFollower()
    await cluster.advance(ms - 2)
    const { term, leader, role } = status()
    expect(role).toBe('follower')
    cluster.clock.stall(STALL_MS)

    const putOff: (() => void)[] = []
    const soon = vi.spyOn(cluster.clock, 'soon').mockImplementation((callback) => void putOff.push(callback))
    cluster.clock.advance(0)
    soon.mockRestore()
    expect(status().role).toBe('follower')
    expect(cluster.heldCount).toBeGreaterThan(0)
    cluster.release()
    for (const callback of putOff) callback()
    expect(status()).toMatchObject({ role: 'follower', term, leader })

    await cluster.advance(2 * ms)
    expect(status()).toMatchObject({ role: 'follower', term, leader })
  })
})
