// How a node ends: closed in each phase of its life, or stopped by its own disk. Every caller hears something, once, and no
// timer is left behind.
import { afterEach, describe, expect, it } from 'vitest'
import { QuorateError } from '../../src/api/errors.ts'
import type { ReadAnswer } from '../../src/node/facade.ts'
import { MemoryCluster } from '../support/memory-cluster.ts'

let cluster: MemoryCluster

afterEach(async () => {
  await cluster?.close()
})

const CONTROL_MS = 5_000

/** Nothing of a closed cluster may wake up again. */
async function expectSilence(): Promise<void> {
  await cluster.advance(CONTROL_MS)
  expect(cluster.clock.timerCount).toBe(0)
}

describe('closing a node', () => {
  it('before the others are there to register it', async () => {
    cluster = new MemoryCluster(3)
    await cluster.start('n1')
    const write = cluster.put('n1', 'k', 'v')
    const read = cluster.read('n1', 'k')
    await cluster.advance(100)
    expect(cluster.node('n1').readiness().ok).toBe(false)
    await cluster.stop('n1')
    for (const heard of [write, read]) {
      expect(heard.answer).toMatchObject({ code: 'SHUTTING_DOWN', outcome: 'not-applied' })
    }
    await expectSilence()
  })

  it('while it is being started', async () => {
    cluster = new MemoryCluster(3)
    const node = await cluster.open('n1')
    const starting = node.start()
    await cluster.stop('n1')
    await starting
    await expectSilence()
  })

  it('twice is closing it once', async () => {
    cluster = await MemoryCluster.started(1)
    const node = cluster.node('n1')
    await cluster.mustPut('n1', 'k', 'v')
    const first = node.close()
    expect(node.close()).toBe(first)
    await cluster.stop('n1')
    await expectSilence()
  })

  it('that leads hands leadership over and answers what is in flight', async () => {
    cluster = await MemoryCluster.started(3)
    const leader = cluster.leader!
    const heard = Array.from({ length: 20 }, (_, at) => cluster.put(leader, `k${at}`, 'v'))
    const term = cluster.node(leader).status().term
    await cluster.stop(leader)
    for (const { answer } of heard) expect(answer).toMatchObject({ kind: 'put' })
    await cluster.until(() => cluster.leader !== undefined)
    // No timeout had to pass: one election, by invitation.
    expect(cluster.node(cluster.leader!).status().term).toBe(term + 1)
    for (let at = 0; at < 20; at++) expect(await cluster.mustGet(cluster.leader!, `k${at}`)).toBe('v')
  })

  it('that leads without a majority ends within its grace, and what was proposed is unknown', async () => {
    cluster = await MemoryCluster.started(3)
    const leader = cluster.leader!
    cluster.isolate(leader)
    const write = cluster.put(leader, 'k', 'v', 30_000)
    const read = cluster.read(leader, 'k', { timeoutMs: 30_000 })
    await cluster.advance(10)
    const startMs = cluster.clock.now()
    await cluster.stop(leader)
    expect(cluster.clock.now() - startMs).toBeLessThanOrEqual(6_000)
    expect(write.answer).toMatchObject({ outcome: 'unknown' })
    expect(read.answer).toBeInstanceOf(QuorateError)
    expect(read.answer).toMatchObject({ outcome: 'not-applied' })
  })

  it('lets reads in flight end', async () => {
    cluster = await MemoryCluster.started(3)
    await cluster.mustPut(cluster.leader!, 'k', 'v')
    const follower = cluster.followers[0]!
    const read = cluster.read(follower, 'k')
    await cluster.stop(follower)
    expect(read.answer).toMatchObject({ entry: { version: 1 } })
  })

  it('leaves nothing behind when all go at once', async () => {
    cluster = await MemoryCluster.started(3)
    await cluster.mustPut('n2', 'k', 'v')
    const nodes = [...cluster.nodes.values()]
    cluster.nodes.clear()
    await cluster.settled(Promise.all(nodes.map((node) => node.close())))
    await expectSilence()
  })
})

describe('a node that starts again', () => {
  it('is ready as soon as it has heard of its leader and asked it once', async () => {
    cluster = await MemoryCluster.started(3)
    await cluster.mustPut(cluster.leader!, 'k', 'v')
    const follower = cluster.followers[0]!
    cluster.crash(follower)
    await cluster.advance(1_000)
    await cluster.start(follower)
    const node = cluster.node(follower)
    await cluster.until(() => node.status().leader !== undefined)
    const heardMs = cluster.clock.now()
    await cluster.until(() => node.readiness().ok)
    // A round trip and an apply, not the time until the next periodic look.
    expect(cluster.clock.now() - heardMs).toBeLessThan(50)
  })
})

describe('a node whose disk fails', () => {
  it('stops at once, and can still be closed', async () => {
    cluster = await MemoryCluster.started(3)
    const leader = cluster.leader!
    cluster.disk(leader).appends.failure = new Error('ENOSPC: no space left on device')
    const heard = cluster.put(leader, 'k', 'v')
    await cluster.until(() => cluster.failures.has(leader))
    expect(cluster.failures.get(leader)?.message).toContain('ENOSPC')
    expect(heard.answers).toEqual([])
    await cluster.settled(
      cluster
        .node(leader)
        .close()
        .catch(() => {}),
    )
    cluster.nodes.delete(leader)
    expect(heard.answer).toMatchObject({ outcome: 'unknown' })
    await cluster.until(() => cluster.leader !== undefined)
    await cluster.mustPut(cluster.leader!, 'k', 'after')
  })

  it('can be closed after its state has failed during a batch', async () => {
    cluster = await MemoryCluster.started(1)
    cluster.disk('n1').stateWork.failure = new Error('EIO')
    cluster.put('n1', 'k', 'v')
    await cluster.until(() => cluster.failures.has('n1'))
    await cluster.settled(
      cluster
        .node('n1')
        .close()
        .catch(() => {}),
    )
    cluster.nodes.delete('n1')
    cluster.disk('n1').stateWork.failure = undefined
    await cluster.start('n1')
    expect(await cluster.mustGet('n1', 'k')).toBe('v')
  })

  it('refuses what adds data while space is short, and takes deletes until half the reserve is gone', async () => {
    cluster = await MemoryCluster.started(3)
    const leader = cluster.leader!
    await cluster.mustPut(leader, 'k', 'v')
    cluster.disk(leader).freeBytes = 700
    await cluster.advance(600)
    for (const name of cluster.nodes.keys()) {
      expect(await cluster.answer(cluster.put(name, 'more', 'v'))).toMatchObject({ code: 'NO_SPACE' })
    }
    const remove = { op: 'delete', key: 'k', condition: { kind: 'none' }, wantsPrevious: false } as const
    for (const name of cluster.nodes.keys()) {
      expect(await cluster.answer(cluster.write(name, remove))).toMatchObject({ kind: 'deleted' })
    }
    cluster.disk(leader).freeBytes = 300
    await cluster.advance(600)
    for (const name of cluster.nodes.keys()) {
      expect(await cluster.answer(cluster.write(name, remove))).toMatchObject({ code: 'NO_SPACE' })
    }
    cluster.disk(leader).freeBytes = 3_000
    await cluster.advance(600)
    await cluster.mustPut(leader, 'more', 'v')
  })
})

describe('nodes that were suspended', () => {
  it('N1: start no election because they slept, and go on where they were', async () => {
    cluster = await MemoryCluster.started(3)
    const leader = cluster.leader!
    await cluster.mustPut(leader, 'k', 'v')
    await cluster.advance(200)
    const { term } = cluster.node(leader).status()
    for (let times = 0; times < 5; times++) {
      cluster.clock.stall(10_000)
      await cluster.advance(37)
    }
    await cluster.advance(1_000)
    expect(cluster.leader).toBe(leader)
    expect(cluster.node(leader).status().term).toBe(term)
    expect(await cluster.mustGet(leader, 'k')).toBe('v')
  })

  it('say how old their state may be, with the time they slept counted', async () => {
    cluster = await MemoryCluster.started(3)
    const follower = cluster.followers[0]!
    await cluster.advance(1_000)
    cluster.isolate(follower)
    cluster.clock.stall(10_000)
    const answer = await cluster.answer(cluster.read(follower, 'k', { consistency: 'stale' }))
    expect(answer).toMatchObject({ stalenessMs: expect.any(Number) as number })
    expect((answer as ReadAnswer).stalenessMs).toBeGreaterThanOrEqual(10_000)
  })

  it('say 0 as a leader that was confirmed, but not before it is again once it has lost a connection', async () => {
    cluster = await MemoryCluster.started(3)
    await cluster.advance(1_000)
    const leader = cluster.leader!
    const staleness = async (): Promise<number | undefined> =>
      ((await cluster.answer(cluster.read(leader, 'k', { consistency: 'stale' }))) as ReadAnswer).stalenessMs
    expect(await staleness()).toBe(0)
    cluster.isolate(cluster.followers[0]!)
    expect(await staleness()).toBeGreaterThan(0)
    await cluster.advance(1_000)
    expect(await staleness()).toBe(0)
  })
})

describe('a node that starts again', () => {
  it('needs nobody to register it a second time', async () => {
    cluster = await MemoryCluster.started(3)
    await cluster.mustPut('n1', 'k', 'v')
    for (const name of ['n1', 'n2', 'n3']) await cluster.stop(name)
    await cluster.start('n1')
    await cluster.start('n2')
    await cluster.until(() => cluster.leader !== undefined)
    expect(await cluster.mustGet('n1', 'k')).toBe('v')
  })

  it('having lost its data is refused, and stops', async () => {
    cluster = await MemoryCluster.started(3)
    await cluster.mustPut('n1', 'k', 'v')
    const victim = cluster.followers[0]!
    await cluster.stop(victim)
    cluster.replaceDisk(victim)
    await cluster.start(victim)
    await cluster.until(() => cluster.failures.has(victim))
    expect(cluster.failures.get(victim)?.message).toContain('lost its data')
    await cluster.stop(victim)
    await cluster.mustPut(cluster.leader!, 'k', 'after')
  })

  it('of five, with a majority registered and the rest absent, takes part', async () => {
    cluster = new MemoryCluster(5)
    for (const name of ['n1', 'n2', 'n3', 'n4']) await cluster.start(name)
    await cluster.until(() => cluster.leader !== undefined)
    await cluster.mustPut('n3', 'k', 'v')
    await cluster.start('n5')
    expect(await cluster.mustGet('n5', 'k')).toBe('v')
  })
})
