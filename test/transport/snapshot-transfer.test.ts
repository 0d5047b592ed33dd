// A state streams to a peer no faster than it is taken in, errors are told in both directions, and nothing else waits for it.
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { StateSnapshot } from '../../src/node/ports.ts'
import { deferred } from '../../src/lib/deferred.ts'
import { heartbeat, TestCluster, until } from './support/network.ts'
import type { TestNode } from './support/network.ts'

let cluster: TestCluster
let one: TestNode
let two: TestNode

beforeEach(async () => {
  cluster = await TestCluster.open(2)
  const nodes = await cluster.startAll({ limits: { snapshotQueueBytesMax: 200_000, farewellMsMax: 200 } })
  one = nodes[0]!
  two = nodes[1]!
})

afterEach(() => cluster.close())

const confState = { voters: [], votersOutgoing: [], learners: [], learnersNext: [], autoLeave: false }

interface Source extends StateSnapshot {
  /** How many chunks were asked for. */
  readonly taken: { count: number; isReturned: boolean }
}

function snapshotOf(chunks: Iterable<Uint8Array> | AsyncIterable<Uint8Array>): Source {
  const taken = { count: 0, isReturned: false }
  return {
    taken,
    meta: { term: 1, index: 1, confState },
    async *chunks() {
      try {
        for await (const chunk of chunks) {
          taken.count++
          yield chunk
        }
      } finally {
        taken.isReturned = true
      }
    },
    close: async () => {},
  }
}

function* numbered(count: number, size: number): Generator<Uint8Array> {
  for (let at = 0; at < count; at++) yield Buffer.alloc(size, at)
}

/** Takes everything in. */
async function total(chunks: AsyncIterable<Uint8Array>): Promise<number> {
  let bytes = 0
  for await (const chunk of chunks) bytes += chunk.length
  return bytes
}

describe('a transfer', () => {
  test('brings all chunks in order, and resolves when the receiver has finished', async () => {
    const received: Buffer[] = []
    const installed = deferred<void>()
    two.handlers.onSnapshot = async (from, term, chunks) => {
      expect([from.name, term]).toEqual(['n1', 7])
      for await (const chunk of chunks) received.push(Buffer.from(chunk))
      await installed.promise
    }
    const sent = [...numbered(20, 50_000), Buffer.alloc(0), Buffer.from('last')]
    let isResolved = false
    const sending = one.transport.sendSnapshot(two.id, 7, snapshotOf(sent)).then(() => (isResolved = true))
    await until('all has arrived', () => received.length === sent.length)
    expect(isResolved).toBe(false)
    installed.resolve()
    await sending
    expect(Buffer.concat(received).equals(Buffer.concat(sent))).toBe(true)
    expect(two.transport.stats()['snapshots_received']).toBe(1)
  })

  test('an empty state is a state', async () => {
    let bytes = -1
    two.handlers.onSnapshot = async (_from, _term, chunks) => void (bytes = await total(chunks))
    await one.transport.sendSnapshot(two.id, 1, snapshotOf([]))
    expect(bytes).toBe(0)
  })

  test('a slow reader holds the sender up instead of filling memory, and is not taken for dead', async () => {
    const gate = deferred<void>()
    let bytes = 0
    two.handlers.onSnapshot = async (_from, _term, chunks) => {
      await gate.promise
      bytes = await total(chunks)
    }
    const source = snapshotOf(numbered(500, 100_000))
    const sending = one.transport.sendSnapshot(two.id, 1, source)
    let last = -1
    let same = 0
    await until('the sender has stopped', () => {
      same = source.taken.count === last ? same + 1 : 0
      last = source.taken.count
      return last > 0 && same > 200
    })
    // What is in flight: two bounded queues and the buffers of two sockets and a proxy, not fifty megabytes.
    expect(source.taken.count).toBeLessThan(300)
    gate.resolve()
    await sending
    expect(bytes).toBe(50_000_000)
  })

  test('S10: messages go on while a snapshot is stuck', async () => {
    const gate = deferred<void>()
    two.handlers.onSnapshot = async (_from, _term, chunks) => {
      await gate.promise
      await total(chunks)
    }
    const sending = one.transport.sendSnapshot(two.id, 1, snapshotOf(numbered(100, 100_000)))
    await until('it has begun', () => one.transport.stats()['sent_bytes']! > 100_000)
    one.transport.send([heartbeat(one.id, two.id, 3)])
    await until('the message arrives', () => two.handlers.messages.length === 1)
    gate.resolve()
    await sending
  })

  test('one that finds the state needless may say so before the end', async () => {
    two.handlers.onSnapshot = async () => {}
    const source = snapshotOf(numbered(100_000, 100_000))
    await one.transport.sendSnapshot(two.id, 1, source)
    expect(source.taken.isReturned).toBe(true)
    expect(source.taken.count).toBeLessThan(100_000)
  })

  test('one at a time to each peer; the next may follow', async () => {
    const first = one.transport.sendSnapshot(two.id, 1, snapshotOf(numbered(3, 10)))
    await expect(one.transport.sendSnapshot(two.id, 1, snapshotOf([]))).rejects.toThrow('under way already')
    await first
    await one.transport.sendSnapshot(two.id, 1, snapshotOf([]))
  })
})

describe('a failed transfer', () => {
  test('an error of the receiver reaches the sender, and its source is released', async () => {
    two.handlers.onSnapshot = async (_from, _term, chunks) => {
      for await (const chunk of chunks) throw new Error(`the digest of ${chunk.length} bytes is wrong`)
    }
    const source = snapshotOf(numbered(100_000, 50_000))
    await expect(one.transport.sendSnapshot(two.id, 1, source)).rejects.toThrow('the digest of 50000 bytes is wrong')
    expect(source.taken.isReturned).toBe(true)
  })

  test('an error of the source reaches both', async () => {
    const told = deferred<string>()
    two.handlers.onSnapshot = async (_from, _term, chunks) => {
      await total(chunks).catch((error: Error) => {
        told.resolve(error.message)
        throw error
      })
    }
    const source = snapshotOf(
      (async function* () {
        yield Buffer.alloc(10)
        throw new Error('the disk is on fire')
      })(),
    )
    await expect(one.transport.sendSnapshot(two.id, 1, source)).rejects.toThrow('the disk is on fire')
    expect(await told.promise).toMatch(/n1 cannot go on .* the disk is on fire/)
  })

  test('S8: a connection that breaks ends both, and a new attempt starts from the beginning', async () => {
    const told = deferred<string>()
    two.handlers.onSnapshot = async (_from, _term, chunks) => {
      await total(chunks).catch((error: Error) => {
        told.resolve(error.message)
        throw error
      })
    }
    const source = snapshotOf(
      (async function* () {
        yield Buffer.alloc(10)
        await until('it streams', () => two.transport.stats()['connections_accepted']! >= 3)
        two.proxy.cutAll()
        yield* numbered(1_000, 100_000)
      })(),
    )
    await expect(one.transport.sendSnapshot(two.id, 1, source)).rejects.toThrow('broke')
    expect(await told.promise).toMatch(/broke off/)
    expect(source.taken.isReturned).toBe(true)
    let bytes = 0
    two.handlers.onSnapshot = async (_from, _term, chunks) => void (bytes = await total(chunks))
    await one.transport.sendSnapshot(two.id, 1, snapshotOf(numbered(3, 100)))
    expect(bytes).toBe(300)
  })

  test('a peer that cannot be reached rejects, and so does a stranger', async () => {
    await two.transport.close()
    two.proxy.target = 0
    await expect(one.transport.sendSnapshot(two.id, 1, snapshotOf([]))).rejects.toThrow('cannot reach n2')
    await expect(one.transport.sendSnapshot('ffffffffffffffff', 1, snapshotOf([]))).rejects.toThrow(
      'not a known member',
    )
  })

  test('a chunk too large for a frame is refused', async () => {
    two.handlers.onSnapshot = async (_from, _term, chunks) => void (await total(chunks))
    const source = snapshotOf([Buffer.alloc(5_000_000)])
    await expect(one.transport.sendSnapshot(two.id, 1, source)).rejects.toThrow('does not fit into a frame')
  })

  test('closing the sender in the middle ends it on both sides', async () => {
    const told = deferred<string>()
    two.handlers.onSnapshot = async (_from, _term, chunks) => {
      await total(chunks).catch((error: Error) => told.resolve(error.message))
    }
    const source = snapshotOf(
      (async function* () {
        yield Buffer.alloc(10)
        await until('it streams', () => two.transport.stats()['connections_accepted']! >= 3)
        void one.transport.close()
        yield* numbered(1_000, 100_000)
      })(),
    )
    await expect(one.transport.sendSnapshot(two.id, 1, source)).rejects.toThrow('this node is closing')
    expect(await told.promise).toMatch(/broke off/)
  })
})
