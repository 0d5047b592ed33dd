// Fast failover with real processes: a leader that is killed is followed at once, not after the silence of an election timeout. The
// timeout is so long here that a machine, however busy, can tell the two apart.
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { RealCluster, until } from '../support/real-cluster.ts'

const TIMEOUT_MS = 5_000

describe('three nodes with a very long election timeout', () => {
  let cluster: RealCluster
  beforeAll(async () => {
    cluster = await RealCluster.start({ flags: ['--election-timeout-ms', String(TIMEOUT_MS)] })
  })
  afterAll(() => cluster.close())

  it('kill -9 of the leader: another one leads long before the timeout could have passed, and has what was acknowledged', async () => {
    const leader = await cluster.leader()
    expect((await leader.http('PUT', '/v1/kv/kept', 'x')).status).toBe(201)
    const others = cluster.nodes.filter((node) => node !== leader)
    const killedMs = performance.now()
    await leader.stop('SIGKILL')
    const next = await until('another one leads', async () => {
      const all = await Promise.all(others.map((node) => node.status()))
      return others[all.findIndex((status) => status?.role === 'leader')]
    })
    expect(performance.now() - killedMs).toBeLessThan(TIMEOUT_MS / 2)
    expect((await next.http('GET', '/v1/kv/kept')).text).toBe('x')
    for (const node of others) expect(node.output).toContain(`the leader ${leader.name} is gone`)
  })
})
