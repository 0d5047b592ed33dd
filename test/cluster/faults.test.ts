// A whole cluster of real processes under kill -9, SIGSTOP and SIGTERM: what was acknowledged stays, and service returns.
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { RealCluster, until } from '../support/real-cluster.ts'
import { WriteLoad } from '../support/write-load.ts'

describe('three real nodes', () => {
  let cluster: RealCluster
  beforeAll(async () => {
    cluster = await RealCluster.start()
  })
  beforeEach(() => cluster.whole())
  afterAll(() => cluster.close())

  it('a write through any node is read through every node', async () => {
    for (const writer of cluster.nodes) {
      const put = await writer.http('PUT', `/v1/kv/from-${writer.name}`, writer.name)
      expect(put.status).toBe(201)
      for (const reader of cluster.nodes) {
        const got = await reader.http('GET', `/v1/kv/from-${writer.name}`)
        expect([got.status, got.text]).toEqual([200, writer.name])
        expect(got.headers['quorate-node']).toBe(reader.name)
      }
    }
  })

  it('kill -9 of the leader under load loses nothing that was acknowledged, and every node answers again', async () => {
    const load = new WriteLoad(cluster.urls)
    for (let round = 0; round < 3; round++) {
      const before = load.acknowledgedCount
      await until('the load runs', () => load.acknowledgedCount > before + 200)
      const leader = await cluster.leader()
      await leader.stop('SIGKILL')
      const killed = load.acknowledgedCount
      await until('writes are acknowledged again', () => load.acknowledgedCount > killed + 200)
      leader.start()
      await leader.ready()
    }
    await load.stop()
    for (const node of cluster.nodes) expect(await load.contradictions([node.url])).toEqual([])
    await cluster.converged()
  })

  it('kill -9 of all three loses nothing that was acknowledged', async () => {
    const load = new WriteLoad(cluster.urls)
    await until('the load runs', () => load.acknowledgedCount > 1_000)
    await Promise.all(cluster.nodes.map((node) => node.stop('SIGKILL')))
    for (const node of cluster.nodes) node.start()
    await Promise.all(cluster.nodes.map((node) => node.ready()))
    await load.stop()
    for (const node of cluster.nodes) expect(await load.contradictions([node.url])).toEqual([])
  })

  it('N2: reads on the others never go back in time while the leader sleeps, nor on the leader when it wakes', async () => {
    const load = new WriteLoad(cluster.urls, 4)
    await until('the load runs', () => load.acknowledgedCount > 200)
    let seen = 0
    const regressions: string[] = []
    const reading = { isOn: true }
    const readers = cluster.nodes.map(async (node) => {
      while (reading.isOn) {
        const floor = seen
        const got = await node.http('GET', `/v1/kv/${load.firstKey}?timeout=2s`).catch(() => undefined)
        if (got?.status !== 200) continue
        const revision = Number(String(got.headers['etag']).replaceAll('"', ''))
        if (revision < floor)
          regressions.push(`${node.name} answered revision ${revision} after ${floor} had been read`)
        seen = Math.max(seen, revision)
      }
    })
    for (let round = 0; round < 3; round++) {
      const leader = await cluster.leader()
      leader.signal('SIGSTOP')
      const others = cluster.nodes.filter((node) => node !== leader)
      const next = await cluster.leader(others)
      expect(next).not.toBe(leader)
      const paused = load.acknowledgedCount
      await until('writes go on without the sleeper', () => load.acknowledgedCount > paused + 100)
      leader.signal('SIGCONT')
      await leader.ready()
    }
    reading.isOn = false
    await Promise.all(readers)
    await load.stop()
    expect(regressions).toEqual([])
    for (const node of cluster.nodes) expect(await load.contradictions([node.url])).toEqual([])
  })

  it('N11: SIGTERM hands leadership over, answers what is in flight, and exits with 0', async () => {
    const load = new WriteLoad(cluster.urls)
    await until('the load runs', () => load.acknowledgedCount > 500)
    const leader = await cluster.leader()
    expect(await leader.stop('SIGTERM')).toBe(0)
    const after = load.acknowledgedCount
    await until('writes go on', () => load.acknowledgedCount > after + 200)
    await load.stop()
    expect(load.unknownCount).toBe(0)
    leader.start()
    await leader.ready()
    expect(await load.contradictions([leader.url])).toEqual([])
  })

  it('leadership moves where it is told to, through any node', async () => {
    for (const target of cluster.nodes) {
      const answer = await cluster.nodes[0]!.http('POST', '/v1/leader/transfer', JSON.stringify({ to: target.name }))
      expect([answer.status, answer.text]).toEqual([expect.any(Number), expect.any(String)])
      expect(answer.status).toBeLessThan(300)
      expect((await cluster.leader()).name).toBe(target.name)
    }
    const unknown = await cluster.nodes[0]!.http('POST', '/v1/leader/transfer', JSON.stringify({ to: 'nobody' }))
    expect([unknown.status, JSON.parse(unknown.text)]).toMatchObject([
      404,
      { code: 'MEMBER_NOT_FOUND', outcome: 'not-applied' },
    ])
  })
})

describe('a small log, and other sizes', () => {
  let cluster: RealCluster
  afterEach(() => cluster.close())

  it('S9: a follower that was away for longer than the log reaches returns by snapshot, while traffic goes on', async () => {
    const flags = ['--log-segment-size', '4MiB', '--log-retain-size', '4MiB', '--log-retain-entries', '500']
    cluster = await RealCluster.start({ flags })
    const [away] = await cluster.followers()
    await away!.stop('SIGKILL')
    const value = Buffer.alloc(64 * 1024, 'x')
    const others = cluster.nodes.filter((node) => node !== away)
    for (let at = 0; at < 600; at++) {
      const put = await others[at % 2]!.http('PUT', `/v1/kv/big/${at % 50}`, value)
      expect(put.status).toBeLessThan(300)
    }
    const load = new WriteLoad(others.map((node) => node.url))
    away!.start()
    await away!.ready()
    await load.stop()
    // It serves from the state as soon as that is the current one; this is said when the log begins behind it, too.
    await until('the state is installed', () => away!.output.includes('installed a state from the leader'))
    await cluster.converged()
    expect(await load.contradictions([away!.url])).toEqual([])
    const got = await away!.http('GET', '/v1/kv/big/7')
    expect(got.body.equals(value)).toBe(true)
    await away!.stop('SIGKILL')
    away!.start()
    await away!.ready()
    expect(await load.contradictions([away!.url])).toEqual([])
  })

  it('E17: one node alone is a cluster', async () => {
    cluster = await RealCluster.start({ nodes: 1 })
    const [node] = cluster.nodes
    expect((await node!.http('PUT', '/v1/kv/a', 'x')).status).toBe(201)
    await node!.stop('SIGKILL')
    node!.start()
    await node!.ready()
    expect((await node!.http('GET', '/v1/kv/a')).text).toBe('x')
  })

  it('five nodes go on without two, and stop without three', async () => {
    cluster = await RealCluster.start({ nodes: 5 })
    const followers = await cluster.followers()
    await Promise.all(followers.slice(0, 2).map((node) => node.stop('SIGKILL')))
    const rest = cluster.nodes.filter((node) => !followers.slice(0, 2).includes(node))
    for (const node of rest) expect((await node.http('PUT', '/v1/kv/a', node.name)).status).toBeLessThan(300)
    await followers[2]!.stop('SIGKILL')
    const last = rest.find((node) => node !== followers[2])
    const refused = await last!.http('PUT', '/v1/kv/a?timeout=1500ms', 'x')
    expect([503, 504]).toContain(refused.status)
    const read = await last!.http('GET', '/v1/kv/a?timeout=1500ms')
    expect([503, 504]).toContain(read.status)
    expect(JSON.parse(read.text)).toMatchObject({ outcome: 'not-applied', retryable: true })
    expect((await last!.http('GET', '/v1/kv/a?consistency=stale')).status).toBe(200)
  })
})
