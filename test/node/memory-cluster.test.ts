// Three whole nodes in one process, on a clock of the test's: they elect, write and read through each of them, lose their
// leader, help one that is far behind, and stop.
import { afterEach, describe, expect, it } from 'vitest'
import { QuorateError } from '../../src/api/errors.ts'
import { MemoryCluster } from '../support/memory-cluster.ts'

let cluster: MemoryCluster

afterEach(async () => {
  await cluster?.close()
})

const NAMES = ['n1', 'n2', 'n3']

describe('three nodes', () => {
  it('elect a leader, take writes through each node and read them through each node', async () => {
    cluster = await MemoryCluster.started(3)
    for (const name of NAMES) await cluster.mustPut(name, `by-${name}`, name)
    for (const reader of NAMES) {
      for (const name of NAMES) expect(await cluster.mustGet(reader, `by-${name}`)).toBe(name)
    }
    expect(cluster.failures.size).toBe(0)
  })

  it('elect another leader when theirs stops, and lose nothing', async () => {
    cluster = await MemoryCluster.started(3)
    const first = cluster.leader!
    await cluster.mustPut(first, 'k', 'before')
    await cluster.stop(first)
    await cluster.until(() => cluster.leader !== undefined)
    expect(cluster.leader).not.toBe(first)
    for (const name of cluster.nodes.keys()) expect(await cluster.mustGet(name, 'k')).toBe('before')
    await cluster.mustPut(cluster.leader!, 'k', 'after')
    await cluster.start(first)
    expect(await cluster.mustGet(first, 'k')).toBe('after')
  })

  it('send their state to a node that the log cannot help any more', async () => {
    cluster = await MemoryCluster.started(3, { logRetention: { retainBytes: 4_000, retainEntries: 20 } })
    const behind = cluster.followers[0]!
    cluster.isolate(behind)
    const others = NAMES.filter((name) => name !== behind)
    await cluster.until(() => others.includes(cluster.node(others[0]!).vitals().leaderName ?? ''))
    for (let at = 0; at < 60; at++) await cluster.mustPut(others[0]!, `k${at % 7}`, `value ${at}`)
    await cluster.advance(500)
    cluster.rejoin(behind)
    expect(await cluster.mustGet(behind, 'k3')).toBe('value 59')
    const { log } = cluster.disk(behind)
    await cluster.until(() => log.marker !== undefined)
    expect(log.marker?.index).toBeGreaterThan(20)
    expect(cluster.failures.size).toBe(0)
  })

  it('answer NO_LEADER, and nothing is applied, where a majority is gone', async () => {
    cluster = await MemoryCluster.started(3)
    const [one, two, alone] = NAMES as [string, string, string]
    await cluster.stop(one)
    await cluster.stop(two)
    await cluster.until(() => cluster.node(alone).vitals().leaderName === undefined)
    const heard = cluster.put(alone, 'k', 'v')
    const answer = await cluster.answer(heard)
    expect(answer).toBeInstanceOf(QuorateError)
    expect(answer).toMatchObject({ code: 'NO_LEADER', outcome: 'not-applied' })
  })
})
