// Real transports on loopback: messages, their order and bounds, connections that come back, and an end that leaves nothing.
import { createHash } from 'node:crypto'
import { createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { Clock, Timer } from '../../src/node/ports.ts'
import type { Message } from '../../src/raft/index.ts'
import { heartbeat, idOf, realClock, TestCluster, until } from './support/network.ts'

let cluster: TestCluster

beforeEach(async () => {
  cluster = await TestCluster.open(3)
})

afterEach(() => cluster.close())

const termsOf = (messages: readonly Message[]): number[] => messages.map(({ term }) => term)

/** Comparing megabytes item by item takes seconds. */
const fingerprint = (message: Message): unknown => ({
  ...message,
  entries:
    message.type === 'append-entries' ? message.entries.map((entry) => ({ ...entry, data: sha256(entry.data) })) : [],
})

const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex')

/** Knows which timers neither fired nor were cancelled. */
class CountingClock implements Clock {
  readonly timers = new Set<number>()
  #last = 0

  now(): number {
    return realClock.now()
  }

  soon(callback: () => void): void {
    realClock.soon(callback)
  }

  after(delayMs: number, callback: () => void): Timer {
    const id = ++this.#last
    this.timers.add(id)
    const timer = realClock.after(delayMs, () => {
      this.timers.delete(id)
      callback()
    })
    return {
      cancel: () => {
        this.timers.delete(id)
        timer.cancel()
      },
    }
  }
}

describe('messages', () => {
  test('three nodes reach each other, and messages arrive in order', async () => {
    const nodes = await cluster.startAll()
    const terms = Array.from({ length: 500 }, (_, at) => at + 1)
    for (const from of nodes)
      for (const to of nodes)
        if (from !== to) for (const term of terms) from.transport.send([heartbeat(from.id, to.id, term)])
    await until('all have all', () => nodes.every(({ handlers }) => handlers.messages.length === 2 * terms.length))
    for (const { handlers } of nodes)
      for (const peer of nodes) {
        const received = handlers.messages.filter(({ from }) => from === peer.id)
        if (received.length > 0) expect(termsOf(received)).toEqual(terms)
      }
  })

  test('an append with a mebibyte of entries and one with a larger single entry arrive whole', async () => {
    const [a, b] = await cluster.startAll()
    const append = (sizes: readonly number[]): Message => ({
      type: 'append-entries',
      from: a!.id,
      to: b!.id,
      term: 3,
      prev: { term: 2, index: 10 },
      commitIndex: 10,
      readRound: 0,
      lastIndex: 10 + sizes.length,
      entries: sizes.map((size, at) => ({ term: 3, index: 11 + at, kind: 'normal', data: Buffer.alloc(size, at) })),
    })
    const sent = [append(Array.from({ length: 1_024 }, () => 1_024)), append([2_100_000]), append([])]
    a!.transport.send(sent)
    await until('three messages', () => b!.handlers.messages.length === 3)
    expect(b!.handlers.messages.map(fingerprint)).toEqual(sent.map(fingerprint))
  })

  test('E16: a message that names another sender than the connection does is dropped and counted', async () => {
    const [a, b] = await cluster.startAll()
    a!.transport.send([heartbeat(idOf(3), b!.id, 1), heartbeat(a!.id, b!.id, 2)])
    await until('the honest one arrives', () => b!.handlers.messages.length === 1)
    expect(termsOf(b!.handlers.messages)).toEqual([2])
    expect(b!.transport.stats()['dropped_wrong_sender']).toBe(1)
  })

  test('E16: a message to oneself or to a stranger is dropped and counted', async () => {
    const [a] = await cluster.startAll()
    a!.transport.send([heartbeat(a!.id, a!.id, 1), heartbeat(a!.id, idOf(9), 1)])
    expect(a!.transport.stats()['dropped_unknown_peer']).toBe(2)
  })

  test('install-snapshot never travels', async () => {
    const [a, b] = await cluster.startAll()
    const confState = { voters: [], votersOutgoing: [], learners: [], learnersNext: [], autoLeave: false }
    const snapshot = { term: 1, index: 1, confState }
    a!.transport.send([{ type: 'install-snapshot', from: a!.id, to: b!.id, term: 1, snapshot }])
    expect(a!.transport.stats()['dropped_not_for_the_wire']).toBe(1)
  })

  test('L19: a peer that does not read costs bounded memory; what does not fit is dropped and counted', async () => {
    const limits = { queueBytesMax: 1_000_000, silenceMsMax: 60_000 }
    const [a, b] = await cluster.startAll({ limits })
    b!.proxy.hold(true)
    const data = Buffer.alloc(100_000)
    const entries = [{ term: 1, index: 1, kind: 'normal' as const, data }]
    const prev = { term: 0, index: 0 }
    const send = (term: number): void =>
      a!.transport.send([
        {
          ...heartbeat(a!.id, b!.id, term),
          type: 'append-entries',
          prev,
          entries,
          commitIndex: 0,
          readRound: 0,
          lastIndex: 1,
        },
      ])
    let term = 0
    await until('the queue is full', () => {
      for (let count = 0; count < 20; count++) send(++term)
      return a!.transport.stats()['dropped_queue_full']! > 0
    })
    expect(a!.transport.stats()['queued_bytes']).toBeLessThanOrEqual(limits.queueBytesMax)
    b!.proxy.hold(false)
    await until('the rest arrives', () => b!.handlers.messages.length === a!.transport.stats()['sent_messages'])
    const received = termsOf(b!.handlers.messages)
    expect(received).toEqual([...received].sort((x, y) => x - y))
    expect(a!.transport.stats()['sent_messages']! + a!.transport.stats()['dropped_queue_full']!).toBe(term)
  })
})

describe('connections', () => {
  test('a cut connection comes back, and nothing that was queued for the old one arrives on the new', async () => {
    const [a, b] = await cluster.startAll()
    b!.proxy.hold(true)
    for (let term = 1; term <= 100; term++) a!.transport.send([heartbeat(a!.id, b!.id, term)])
    b!.proxy.cutAll()
    await until('it is noticed', () => !a!.handlers.up.has(b!.id))
    expect(a!.transport.hello(b!.id)).toBeUndefined()
    a!.transport.send([heartbeat(a!.id, b!.id, 500)])
    expect(a!.transport.stats()['dropped_not_connected']).toBe(1)
    b!.proxy.hold(false)
    await until('it is back', () => a!.handlers.up.has(b!.id))
    a!.transport.send([heartbeat(a!.id, b!.id, 1_000)])
    await until('a message arrives', () => b!.handlers.messages.length > 0)
    expect(termsOf(b!.handlers.messages)).toEqual([1_000])
  })

  test('hello tells who is there, and what changed after a restart', async () => {
    const [a, b] = await cluster.startAll()
    expect(a!.transport.hello(b!.id)).toMatchObject({ name: 'n2', boot: 1_002, url: 'http://127.0.0.1:7720' })
    await b!.transport.close()
    await until('it is noticed', () => a!.transport.hello(b!.id) === undefined)
    await cluster.start(2, { self: { boot: 2 ** 48 - 1 } })
    await until('it is back', () => a!.transport.hello(b!.id)?.boot === 2 ** 48 - 1)
    expect(a!.handlers.connections.filter((event) => event.startsWith('2'))).toEqual(['2 up', '2 down', '2 up'])
  })

  test('a connection to an earlier life of a peer is closed as soon as the new life calls', async () => {
    const limits = { silenceMsMax: 60_000 }
    const [a, b] = await cluster.startAll({ limits })
    // The earlier life freezes: its connections stay open and say nothing.
    b!.proxy.hold(true)
    const held = [...b!.proxy.pairs]
    expect(held.length).toBeGreaterThan(0)
    const reborn = await cluster.start(2, { self: { boot: 77 }, limits })
    await until('the new life is known', () => {
      if (a!.transport.hello(b!.id)?.boot !== 1_002) b!.proxy.hold(false)
      return a!.transport.hello(b!.id)?.boot === 77
    })
    a!.transport.send([heartbeat(a!.id, b!.id, 5)])
    await until('it is spoken to', () => reborn.handlers.messages.length === 1)
  })

  test('a network that swallows everything is noticed by its silence', async () => {
    const [a, b] = await cluster.startAll({ limits: { silenceMsMax: 300 } })
    b!.proxy.hold(true)
    await until('it is noticed', () => !a!.handlers.up.has(b!.id))
    expect(a!.transport.stats()['silent_connections']).toBeGreaterThan(0)
    b!.proxy.hold(false)
    await until('it is back', () => a!.handlers.up.has(b!.id))
  })

  test('an idle connection stays up', async () => {
    const [a, b] = await cluster.startAll({ limits: { aliveMs: 20, silenceMsMax: 500 } })
    const before = a!.transport.stats()['received_bytes']!
    // Eight connections, a sign of twelve bytes each: forty rounds take longer than the allowed silence.
    await until('forty signs of life on each', () => a!.transport.stats()['received_bytes']! - before >= 8 * 12 * 40)
    expect(a!.handlers.connections).toEqual(expect.arrayContaining(['2 up', '3 up']))
    expect(a!.handlers.connections).toHaveLength(2)
    expect(b!.transport.stats()['silent_connections']).toBe(0)
  })

  test('a taken port is an error that names the address', async () => {
    const server = createServer()
    await new Promise<void>((resolve) => {
      server.listen(0, '127.0.0.1', resolve)
    })
    const { port } = server.address() as AddressInfo
    const listen = { host: '127.0.0.1', port }
    await expect(cluster.start(1, { listen })).rejects.toThrow(`cannot listen for peers on 127.0.0.1:${port}`)
    server.close()
  })

  test('what cannot be said to a peer is refused at once', async () => {
    await expect(cluster.start(1, { self: { url: 'http://中' } })).rejects.toThrow()
    await expect(cluster.start(1, { self: { name: 'a b' } })).rejects.toThrow('name')
    await expect(cluster.start(1, { clusterId: 'x' })).rejects.toThrow('16 hex digits')
    await expect(cluster.start(1, { secret: '' })).rejects.toThrow('empty peer secret')
    const members = [{ id: idOf(2), name: 'n2', peer: '127.0.0.1' }]
    await expect(cluster.start(1, { members })).rejects.toThrow('write host:port')
  })
})

describe('the end', () => {
  test('N8: after close there is no connection, and every question has its answer', async () => {
    const [a, b] = await cluster.startAll()
    b!.handlers.onForward = () => {}
    b!.handlers.onControl = () => new Promise(() => {})
    const answers: string[] = []
    a!.transport.forward(b!.id, 1, Buffer.from('x'), ({ kind }) => answers.push(kind))
    const question = a!.transport.control(b!.id, 'cluster', null, 60_000)
    await until('it arrives', () => b!.transport.stats()['forwards_received']! > 0)
    const rejected = expect(question).rejects.toThrow('broke before it answered')
    await a!.transport.close()
    await rejected
    expect(answers).toEqual(['lost'])
    a!.transport.forward(b!.id, 2, Buffer.from('x'), ({ kind }) => answers.push(kind))
    a!.transport.send([heartbeat(a!.id, b!.id, 1)])
    await expect(a!.transport.control(b!.id, 'cluster', null, 1_000)).rejects.toThrow('closed')
    await until('the late one is answered too', () => answers.length === 2)
    expect(answers).toEqual(['lost', 'unsent'])
    await a!.transport.close()
  })

  test('N8: after close no timer is left', async () => {
    const clock = new CountingClock()
    const [a, b, c] = await cluster.startAll({ clock })
    b!.handlers.onControl = () => new Promise(() => {})
    const question = expect(a!.transport.control(b!.id, 'cluster', null, 60_000)).rejects.toThrow()
    expect(clock.timers.size).toBeGreaterThan(0)
    await Promise.all([a, b, c].map((node) => node!.transport.close()))
    await question
    expect([...clock.timers]).toEqual([])
  })

  test('close in the middle of connecting is as good as any other', async () => {
    const a = await cluster.start(1)
    await cluster.start(2)
    await a.transport.close()
    expect(a.handlers.connections.filter((event) => event.endsWith('down'))).toEqual([])
  })
})

describe('the log', () => {
  test('a member that is away is a warning only when that lasts', async () => {
    const a = await cluster.start(1, { limits: { quietMs: 200 } })
    await until('the first attempts fail', () => a.logger.lines.some((line) => line.startsWith('cannot reach n2')))
    expect(a.logger.warnings).toEqual([])
    await until('it is a warning', () => a.logger.warnings.some((line) => /^n2 at .* out of reach/.test(line)))
  })

  test('a connection that is lost and comes back at once is no warning', async () => {
    const [a, b] = await cluster.startAll()
    await until('connected', () => a!.handlers.up.has(b!.id))
    b!.proxy.cutAll()
    await until('the loss is told', () => a!.logger.lines.some((line) => line.startsWith('lost the connection to n2')))
    await until('it is back', () => a!.handlers.up.has(b!.id))
    expect(a!.logger.warnings).toEqual([])
  })
})
