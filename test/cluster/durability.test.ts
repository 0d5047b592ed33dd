// What the operating system sees of the promise "durable before acknowledged": the log's write is synchronised, and it has
// returned on a majority before the answer is handed to the socket.
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { RealCluster, type RealNode } from '../support/real-cluster.ts'
import { openForSyncedWrites, type SystemCall, Trace, whyNoStrace } from '../support/strace.ts'

const NO_STRACE = whyNoStrace()
/** Slower than any write of an idle machine, faster than anything that times out. */
const DELAY_MS = 400

/** When the log's write of this value had returned. */
function loggedAt(calls: readonly SystemCall[], value: string): number {
  const write = calls.find((call) => call.name === 'pwrite64' && call.args.includes(value))
  expect(write?.args).toMatch(/\/groups\/0\/log\/\d+\.log>/)
  return write!.endedAt
}

function answeredAt(calls: readonly SystemCall[]): number {
  const answer = calls.find((call) => call.args.includes('"HTTP/1.1 201 '))
  expect(answer?.args).toContain('TCP:[')
  return answer!.startedAt
}

describe.skipIf(NO_STRACE !== undefined)('D1: durable before acknowledged, as strace sees it', () => {
  let cluster: RealCluster
  let writes = 0
  beforeAll(async () => {
    cluster = await RealCluster.start()
  })
  afterAll(() => cluster.close())

  /** Writes once through a node while the disks of some are slow, and tells when what happened. */
  async function writeOnce(through: RealNode, slow: readonly RealNode[]) {
    const [key, value] = [`durable/${++writes}`, `a-value-that-is-easy-to-find-${writes}`]
    await cluster.whole()
    const traces = new Map<RealNode, Trace>()
    for (const node of cluster.nodes) {
      traces.set(node, await Trace.attach(node.pid, slow.includes(node) ? DELAY_MS : 0))
    }
    const sentMs = performance.now()
    const answer = await through.http('PUT', `/v1/kv/${key}`, value)
    const tookMs = performance.now() - sentMs
    expect(answer.status).toBe(201)
    // The slow ones have all of it once they can read it back.
    for (const node of cluster.nodes) expect((await node.http('GET', `/v1/kv/${key}`)).text).toBe(value)
    const calls = new Map<RealNode, SystemCall[]>()
    for (const [node, trace] of traces) calls.set(node, await trace.stop())
    return {
      tookMs,
      answered: answeredAt(calls.get(through)!),
      logged: (node: RealNode) => loggedAt(calls.get(node)!, value),
    }
  }

  it('log and vote are open for synchronised writes', async () => {
    for (const node of cluster.nodes) {
      const files = openForSyncedWrites(node.pid).map((path) => path.slice(node.dataDir.length))
      expect(files).toEqual(
        expect.arrayContaining(['/groups/0/vote', expect.stringMatching(/^\/groups\/0\/log\/\d+\.log$/)]),
      )
    }
  })

  it('a write waits for the disk of a follower', async () => {
    const leader = await cluster.leader()
    const followers = await cluster.followers()
    const { tookMs, answered, logged } = await writeOnce(leader, followers)
    expect(tookMs).toBeGreaterThanOrEqual(DELAY_MS)
    expect(logged(leader)).toBeLessThan(answered)
    expect(Math.min(...followers.map(logged))).toBeLessThan(answered)
  })

  it('L21: the leader counts its own copy only once it is on disk', async () => {
    const leader = await cluster.leader()
    const [slow, fast] = await cluster.followers()
    const { tookMs, answered, logged } = await writeOnce(leader, [leader, slow!])
    expect(tookMs).toBeGreaterThanOrEqual(DELAY_MS)
    expect(logged(fast!)).toBeLessThan(answered)
    expect(Math.min(logged(leader), logged(slow!))).toBeLessThan(answered)
  })

  it('a follower that took the request answers no earlier', async () => {
    const followers = await cluster.followers()
    const { tookMs, answered, logged } = await writeOnce(followers[0]!, followers)
    expect(tookMs).toBeGreaterThanOrEqual(DELAY_MS)
    expect(Math.min(...followers.map(logged))).toBeLessThan(answered)
  })
})
