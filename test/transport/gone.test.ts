// When a lost connection is evidence that the peer's process is gone, and when not. Over real sockets.
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { TestNode } from './support/network.ts'
import { heartbeat, TestCluster, until } from './support/network.ts'

let cluster: TestCluster

beforeEach(async () => {
  cluster = await TestCluster.open(2)
})

afterEach(() => cluster.close())

const pair = async (limits: Parameters<TestCluster['startAll']>[0] = {}): Promise<readonly [TestNode, TestNode]> => {
  const [a, b] = await cluster.startAll(limits)
  return [a!, b!]
}

const failed = ({ transport }: TestNode): number => transport.stats()['connections_failed']!

/** As when its process is killed: its connections break in both directions, and nobody listens any more. */
const kill = async ({ transport, proxy }: TestNode): Promise<void> => {
  await Promise.all([proxy.close(), transport.close()])
}

/** So many attempts have failed since. */
const attempts = async (node: TestNode, count: number): Promise<void> => {
  const before = failed(node)
  await until(`${count} attempts fail`, () => failed(node) >= before + count)
}

describe('evidence that a process is gone', () => {
  test('the port is refused: told once, however often it is tried again', async () => {
    const [a, b] = await pair()
    await kill(b)
    await until('it is told', () => a.handlers.gone.length > 0)
    expect(a.handlers.connections.at(-1)).toBe('2 down')
    await attempts(a, 6)
    expect(a.handlers.gone).toEqual([b.id])
    expect(a.transport.stats()['peers_gone']).toBe(1)
  })

  test('the port is refused a moment later only: it is told then', async () => {
    const [a, b] = await pair()
    b.proxy.target = 0
    await b.transport.close()
    await attempts(a, 4)
    expect(a.handlers.gone).toEqual([])
    await b.proxy.close()
    await until('it is told', () => a.handlers.gone.length > 0)
    await attempts(a, 4)
    expect(a.handlers.gone).toEqual([b.id])
  })

  test('the system knows at once that there is no way to it, whatever it calls that', async () => {
    const [a, b] = await pair({ limits: { goneMsMax: 5_000 } })
    // Nobody can have a connection to everybody.
    Object.assign(cluster.members[1]!, { peer: '255.255.255.255:1' })
    await b.transport.close()
    await until('it is told', () => a.handlers.gone.length > 0)
    expect(a.handlers.gone).toEqual([b.id])
  })

  test('what it said last is heard first', async () => {
    const [a, b] = await pair()
    a.proxy.hold(true)
    b.transport.send([heartbeat(b.id, a.id, 7)])
    await b.proxy.close()
    await attempts(a, 4)
    expect([a.handlers.gone, a.handlers.messages]).toEqual([[], []])
    a.proxy.hold(false)
    await until('it is heard', () => a.handlers.messages.length === 1)
    expect(a.handlers.gone).toEqual([])
    await b.transport.close()
    await until('it is told', () => a.handlers.gone.length > 0)
    expect(a.handlers.gone).toEqual([b.id])
  })
})

describe('no evidence', () => {
  test('somebody listens, and hangs', async () => {
    const [a, b] = await pair({ limits: { handshakeMsMax: 50 } })
    b.proxy.cutAll()
    b.proxy.hold(true)
    await attempts(a, 6)
    expect(a.handlers.gone).toEqual([])
    b.proxy.hold(false)
  })

  test('somebody listens, and hangs up', async () => {
    const [a, b] = await pair()
    b.proxy.target = 0
    b.proxy.cutAll()
    await attempts(a, 6)
    expect(a.handlers.gone).toEqual([])
  })

  test('the port refuses, but the peer itself goes on calling', async () => {
    const [a, b] = await pair()
    await b.proxy.close()
    await attempts(a, 6)
    b.transport.send([heartbeat(b.id, a.id, 3)])
    await until('it is heard', () => a.handlers.messages.length === 1)
    expect(a.handlers.gone).toEqual([])
  })

  test('the connection comes back', async () => {
    const [a, b] = await pair()
    for (let round = 1; round <= 3; round++) {
      b.proxy.cutAll()
      await until('it is down', () => a.handlers.connections.filter((event) => event === '2 down').length === round)
      await until('it is back', () => a.handlers.up.has(b.id))
    }
    expect(a.handlers.gone).toEqual([])
  })

  test('the handshake is refused', async () => {
    const [a, b] = await pair()
    b.handlers.admit = () => 'incarnation'
    b.proxy.cutAll()
    await until('it is refused', () => a.handlers.refusals.length > 0)
    expect(a.handlers.gone).toEqual([])
  })

  test('nobody has ever been there', async () => {
    const lonely = await TestCluster.open(2)
    const a = await lonely.start(1)
    await lonely.proxyOf(2).close()
    await attempts(a, 6)
    expect(a.handlers.gone).toEqual([])
    await lonely.close()
  })

  test('this node itself closes', async () => {
    const [a, b] = await pair()
    await Promise.all([a.transport.close(), b.proxy.close()])
    await until('the other one has noticed', () => !b.handlers.up.has(a.id))
    expect(a.handlers.gone).toEqual([])
  })
})

describe('the first attempt after a loss', () => {
  test('makes no pause, but two that push each other out do not do so as fast as they can', async () => {
    const [a, b] = await pair({ limits: { backoffMsMin: 120_000, backoffMsMax: 120_000 } })
    const downs = (): number => a.handlers.connections.filter((event) => event === '2 down').length
    b.proxy.cutAll()
    await until('it is down', () => downs() === 1)
    await until('it is back', () => a.handlers.up.has(b.id))
    b.proxy.cutAll()
    await until('it is down again', () => downs() === 2)
    // Longer than the first attempt takes: some messages the other way round.
    for (let term = 1; term <= 20; term++) {
      b.transport.send([heartbeat(b.id, a.id, term)])
      await until(
        'it arrives, or its way is cut, too',
        () => a.handlers.messages.length === term || !b.handlers.up.has(a.id),
      )
    }
    expect(a.handlers.up.has(b.id)).toBe(false)
  })
})
