// Whom a client asks: the leader once it is known, anybody while it is not, never a dead endpoint while another will do.
import { beforeEach, describe, expect, test } from 'vitest'
import { Client } from '../../src/client/index.ts'
import type { ClientOptions } from '../../src/client/index.ts'
import { Prng } from '../../src/lib/prng.ts'
import { readsOf } from '../support/batch-answers.ts'
import { FakeTransport, healthyNode } from '../support/fake-transport.ts'
import type { FakeEndpoint } from '../support/fake-transport.ts'
import { VirtualClock } from '../support/virtual-clock.ts'

const URLS = ['http://a:1', 'http://b:1', 'http://c:1']
const url = (name: string): string => `http://${name}:1`

let cluster: { leader: string | undefined; term: number }
let clock: VirtualClock
let nodes: Record<string, FakeEndpoint>
let transport: FakeTransport

beforeEach(() => {
  cluster = { leader: 'b', term: 5 }
  clock = new VirtualClock()
  nodes = Object.fromEntries(['a', 'b', 'c'].map((name) => [url(name), healthyNode(name, cluster)]))
})

function connect(options: Partial<ClientOptions> = {}, seed: string | number = 1): Client {
  transport = new FakeTransport(nodes)
  return new Client({ sessions: false, endpoints: URLS, ...options }, { transport, clock, prng: new Prng(seed) })
}

const asked = (): string[] => transport.requests.map(({ endpoint }) => endpoint)

describe('the leader', () => {
  test('is found by ordinary calls within as many as there are endpoints, and then asked for everything', async () => {
    for (let seed = 0; seed < 20; seed++) {
      const client = connect({}, seed)
      for (let call = 0; call < 3; call++) await client.get('k')
      transport.requests.length = 0
      await client.put('k', 'v')
      await client.get('k')
      await client.delete('k').catch(() => undefined)
      expect(asked()).toEqual([url('b'), url('b'), url('b')])
    }
  })

  test('is followed when it changes', async () => {
    const client = connect()
    for (let call = 0; call < 4; call++) await client.get('k')
    Object.assign(cluster, { leader: 'c', term: 6 })
    // The old leader is asked once more, and names the new one.
    for (let call = 0; call < 3; call++) await client.put('k', 'v')
    expect(asked().slice(-2)).toEqual([url('c'), url('c')])
  })

  test('R4: a node with an older term does not lead the client astray', async () => {
    const client = connect({ readFrom: 'any' })
    nodes[url('a')] = healthyNode('a', { leader: 'a', term: 4 })
    transport = new FakeTransport(nodes)
    const patient = new Client(
      { sessions: false, endpoints: URLS, readFrom: 'any' },
      { transport, clock, prng: new Prng(2) },
    )
    for (let call = 0; call < 30; call++) await patient.get('k')
    transport.requests.length = 0
    for (let call = 0; call < 5; call++) await patient.put('k', 'v')
    expect(new Set(asked())).toEqual(new Set([url('b')]))
    await client.close()
  })

  test('a former leader that names nobody is no longer preferred', async () => {
    const client = connect()
    for (let call = 0; call < 4; call++) await client.get('k')
    Object.assign(cluster, { leader: undefined })
    await client.get('k')
    transport.requests.length = 0
    for (let call = 0; call < 30; call++) await client.get('k')
    expect(new Set(asked()).size).toBe(3)
  })

  test('a cluster that was set up anew, with lower terms, is followed too', async () => {
    const client = connect()
    for (let call = 0; call < 4; call++) await client.get('k')
    Object.assign(cluster, { leader: 'a', term: 1 })
    for (let call = 0; call < 8; call++) await client.put('k', 'v')
    expect(asked().at(-1)).toBe(url('a'))
  })

  test('a leader that refuses connections is left alone for a while, then tried again', async () => {
    const client = connect()
    for (let call = 0; call < 4; call++) await client.get('k')
    const leader = nodes[url('b')]!
    nodes[url('b')] = () => Promise.reject(new Error('unused'))
    const gone = new FakeTransport(Object.fromEntries(Object.entries(nodes).filter(([at]) => at !== url('b'))))
    const send = transport.send.bind(transport)
    let isDead = true
    transport.send = (request) => (isDead ? gone.send(request) : send(request))
    for (let call = 0; call < 10; call++) await client.put('k', 'v')
    expect(gone.requests.filter(({ endpoint }) => endpoint === url('b'))).toHaveLength(1)
    isDead = false
    nodes[url('b')] = leader
    clock.advance(10_000)
    transport.requests.length = 0
    await client.put('k', 'v')
    expect(asked()).toEqual([url('b')])
  })
})

describe('reads', () => {
  test('are spread over all nodes with readFrom any, writes are not', async () => {
    const client = connect({ readFrom: 'any' })
    for (let call = 0; call < 60; call++) await client.get('k')
    for (const at of URLS) expect(asked().filter((endpoint) => endpoint === at).length).toBeGreaterThan(8)
    transport.requests.length = 0
    for (let call = 0; call < 5; call++) await client.put('k', 'v')
    expect(new Set(asked())).toEqual(new Set([url('b')]))
  })

  test('lastRevision is the highest that any answer named', async () => {
    const client = connect()
    expect(client.lastRevision).toBe(0)
    await client.put('k', 'v')
    expect(client.lastRevision).toBe(42)
    await client.get('k', { minRevision: client.lastRevision, consistency: 'stale' })
    expect(readsOf(transport.requests.at(-1)?.body)).toMatchObject([{ consistency: 'stale', minRevision: 42 }])
  })
})

describe('addresses that the cluster advertises', () => {
  const members = ['a', 'b', 'd'].map((name) => ({
    name,
    id: '00',
    url: name === 'a' ? null : url(name),
    peer: `${name}:2`,
    kind: 'voter',
    role: null,
    matchIndex: null,
    lagEntries: null,
    reachable: null,
    version: null,
  }))
  const listing: FakeEndpoint = (request) =>
    request.path.startsWith('/v1/cluster')
      ? {
          status: 200,
          headers: {
            'content-type': 'application/json',
            'quorate-node': 'a',
            'quorate-term': '5',
            'quorate-leader': 'd',
            'quorate-revision': '42',
          },
          body: Buffer.from(JSON.stringify({ clusterId: '01', term: 5, members })),
        }
      : healthyNode('a', { leader: 'd', term: 5 })(request)

  beforeEach(() => {
    cluster.leader = 'd'
    nodes = { [url('a')]: listing, [url('d')]: healthyNode('d', cluster) }
  })

  test('are not contacted by default, whoever leads', async () => {
    const client = connect({ endpoints: [url('a')] })
    for (let call = 0; call < 5; call++) await client.put('k', 'v')
    await clock.drain()
    expect(new Set(asked())).toEqual(new Set([url('a')]))
    expect(client.endpoints).toEqual([url('a')])
  })

  test('are learned with followAdvertised once the leader is none of the given endpoints', async () => {
    const client = connect({ endpoints: [url('a')], followAdvertised: true })
    await client.put('k', 'v')
    await clock.drain()
    expect(client.endpoints).toEqual([url('a'), url('b'), url('d')])
    transport.requests.length = 0
    await client.put('k', 'v')
    expect(asked()).toEqual([url('d')])
  })

  test('are asked for once in a while, not with every call, when it leads nowhere', async () => {
    members.length = 1
    const client = connect({ endpoints: [url('a')], followAdvertised: true })
    for (let call = 0; call < 20; call++) {
      await client.put('k', 'v')
      await clock.drain()
    }
    expect(transport.requests.filter(({ path }) => path === '/v1/cluster')).toHaveLength(1)
  })
})
