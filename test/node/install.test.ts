// A state that replaces a node's own, and who waits meanwhile: writes on their way, reads, the log that must be kept.
import { afterEach, describe, expect, it } from 'vitest'
import { QuorateError } from '../../src/api/errors.ts'
import { MemoryCluster } from '../support/memory-cluster.ts'

let cluster: MemoryCluster

afterEach(async () => {
  await cluster?.close()
})

const SHORT_LOG = { retainBytes: 4_000, retainEntries: 20 }

/** A cluster in which one node needs the state, and has just come back. Its own messages do not arrive yet. */
async function withOneBehind(): Promise<{ behind: string; leader: string }> {
  cluster = await MemoryCluster.started(3, { logRetention: SHORT_LOG })
  const behind = cluster.followers[0]!
  const leader = cluster.leader!
  cluster.isolate(behind)
  for (let at = 0; at < 60; at++) await cluster.mustPut(leader, `k${at % 7}`, `value ${at}`)
  await cluster.advance(500)
  const id = cluster.idOf(behind)
  cluster.isHeld = ({ from, kind }) => (from === id && kind === 'message') || kind === 'forward-answer'
  cluster.rejoin(behind)
  await cluster.until(() => cluster.node(behind).vitals().leaderName === leader)
  return { behind, leader }
}

describe('a state that is installed', () => {
  it('makes a forwarded write that it may contain unknown: it is not sent again', async () => {
    const { behind, leader } = await withOneBehind()
    const heard = cluster.put(behind, 'once', 'v')
    await cluster.until(() => cluster.heldCount > 0 && cluster.node(leader).status().revision === 62)
    await cluster.advance(500) // The leader's state has the write on disk.
    const { appends } = cluster.disk(behind)
    appends.shut()
    // What was held is old news by now; new messages tell the leader what is missing.
    cluster.isHeld = ({ kind }) => kind === 'forward-answer'
    await cluster.until(() => cluster.node(behind).status().appliedIndex > 60)
    await cluster.until(() => appends.waiting > 0)
    expect(heard.answer).toBe(undefined)
    cluster.release() // The leader's answer comes between the swap and the log's marker.
    await cluster.advance(20)
    appends.open()
    const answer = await cluster.answer(heard)
    expect(answer).toMatchObject({ code: 'LEADERSHIP_LOST', outcome: 'unknown' })
    await cluster.advance(3_000)
    const read = await cluster.answer(cluster.read(leader, 'once'))
    expect(read).not.toBeInstanceOf(QuorateError)
    expect(read).toMatchObject({ entry: { version: 1 } })
  })

  it('answers reads that wait for it, and only with what it holds', async () => {
    const { behind, leader } = await withOneBehind()
    const stale = await cluster.answer(cluster.read(behind, 'k3', { consistency: 'stale' }))
    expect(stale).toMatchObject({ entry: undefined, stalenessMs: undefined })
    const tooStale = await cluster.answer(cluster.read(behind, 'k3', { consistency: 'stale', maxStaleMs: 100 }))
    expect(tooStale).toMatchObject({ code: 'TOO_STALE' })
    const fresh = cluster.read(behind, 'k3')
    const revision = cluster.node(leader).status().revision
    const own = cluster.read(behind, 'k3', { consistency: 'stale', minRevision: revision })
    await cluster.advance(50)
    expect([fresh.answers, own.answers]).toEqual([[], []])
    cluster.release()
    for (const heard of [fresh, own]) {
      expect(await cluster.answer(heard)).toMatchObject({ revision, entry: { version: 9 } })
    }
  })

  it('S9: finds the log that follows it still there, however much was written meanwhile', async () => {
    const { behind, leader } = await withOneBehind()
    const writeMuch = async (puts: number): Promise<void> => {
      for (let at = 0; at < puts; at++) await cluster.mustPut(leader, `m${at % 7}`, `value ${at}`)
      await cluster.advance(500)
      await cluster.mustPut(leader, 'last', 'makes the compaction durable')
    }
    let transfers = 0
    cluster.isHeld = ({ kind, to }) => {
      if (kind === 'snapshot' && to === cluster.idOf(behind)) transfers++
      return kind === 'snapshot'
    }
    await cluster.until(() => transfers > 0)
    await writeMuch(60)
    // It arrives; the log goes on being compacted while the peer is only about to ask for more.
    const id = cluster.idOf(behind)
    cluster.release()
    cluster.isHeld = ({ kind, from, to }) => {
      if (kind === 'snapshot' && to === id) transfers++
      return kind === 'message' && from === id
    }
    await cluster.until(() => cluster.disk(behind).log.marker !== undefined)
    await writeMuch(30)
    cluster.isHeld = ({ kind, to }) => {
      if (kind === 'snapshot' && to === id) transfers++
      return false
    }
    const last = await cluster.answer(cluster.read(behind, 'm3'))
    expect(last).not.toBeInstanceOf(QuorateError)
    expect(transfers).toBe(1)
    // Once it has caught up, the log is as short as anywhere.
    await writeMuch(60)
    await cluster.until(() => cluster.disk(leader).log.entries.length < 60)
  })

  it('without its marker in the log stops the node, and the next start finishes what was begun', async () => {
    const { behind } = await withOneBehind()
    const disk = cluster.disk(behind)
    cluster.release()
    disk.appends.failure = new Error('EIO')
    await cluster.until(() => cluster.failures.has(behind))
    expect(disk.log.marker).toBe(undefined)
    await cluster.settled(cluster.node(behind).close())
    cluster.nodes.delete(behind)
    disk.appends.failure = undefined
    const node = await cluster.start(behind)
    const { marker } = disk.log
    expect(marker?.index).toBe(node.status().appliedIndex)
    expect(disk.amnesia.isSet).toBe(false)
    expect(await cluster.mustGet(behind, 'k3')).toBe('value 59')
  })

  it('that cannot be received is asked for again', async () => {
    const { behind } = await withOneBehind()
    const { stateWork } = cluster.disk(behind)
    cluster.release()
    stateWork.failure = new Error('EIO')
    await cluster.advance(50)
    stateWork.failure = undefined
    expect(await cluster.mustGet(behind, 'k3')).toBe('value 59')
    expect(cluster.failures.size).toBe(0)
  })

  it('is given up when the node closes while it arrives', async () => {
    const { behind, leader } = await withOneBehind()
    cluster.disk(behind).appends.shut()
    cluster.release()
    await cluster.until(() => cluster.disk(behind).appends.waiting > 0)
    const closing = cluster.node(behind).close()
    cluster.nodes.delete(behind)
    await cluster.advance(20)
    cluster.disk(behind).appends.open()
    await cluster.settled(closing)
    await cluster.start(behind)
    expect(await cluster.mustGet(behind, 'k3')).toBe('value 59')
    expect(await cluster.mustGet(leader, 'k3')).toBe('value 59')
    expect(cluster.failures.size).toBe(0)
  })
})
