// Fast failover through the whole node: what the transport knows of a peer's process reaches the core, and the operator.
import { afterEach, expect, it } from 'vitest'
import type { Logger } from '../../src/node/ports.ts'
import { MemoryCluster } from '../support/memory-cluster.ts'

/** The least that an election timeout can be; of virtual time. */
const TIMEOUT_MS = 300

let cluster: MemoryCluster
const lines: { readonly fields: object; readonly message: string }[] = []
const logger: Logger = {
  debug() {},
  info: (fields, message) => void lines.push({ fields, message }),
  warn() {},
  error() {},
}
const goneLines = (): typeof lines => lines.filter(({ message }) => message.includes('is gone'))

afterEach(async () => {
  lines.length = 0
  await cluster.close()
})

it('a leader that crashes is followed long before an election timeout is over, and each survivor says why, once', async () => {
  for (const seed of [1, 2, 3, 4, 5]) {
    cluster = await MemoryCluster.started(3, { seed, logger })
    const leader = cluster.leader!
    await cluster.mustPut(leader, 'k', 'v')
    cluster.crash(leader)
    const crashedMs = cluster.clock.now()
    await cluster.until(() => cluster.leader !== undefined)
    expect(cluster.clock.now() - crashedMs).toBeLessThan(TIMEOUT_MS / 3)
    expect(await cluster.mustGet(cluster.leader!, 'k')).toBe('v')
    const line = {
      fields: { peer: leader },
      message: expect.stringContaining(`the leader ${leader} is gone`) as string,
    }
    expect(goneLines()).toMatchObject([line, line])
    lines.length = 0
    await cluster.close()
  }
})

it('a follower that crashes is not mentioned, and nobody campaigns', async () => {
  cluster = await MemoryCluster.started(3, { logger })
  const { term } = cluster.node(cluster.leader!).status()
  cluster.crash(cluster.followers[0]!)
  await cluster.advance(2 * TIMEOUT_MS)
  expect(goneLines()).toEqual([])
  expect(cluster.node(cluster.leader!).status().term).toBe(term)
})

it('a leader that is cut off is missed by its silence alone', async () => {
  cluster = await MemoryCluster.started(3, { logger })
  const leader = cluster.leader!
  const { term } = cluster.node(leader).status()
  cluster.isolate(leader)
  await cluster.advance(TIMEOUT_MS - 60)
  for (const name of cluster.followers) expect(cluster.node(name).status().term).toBe(term)
  expect(goneLines()).toEqual([])
})
