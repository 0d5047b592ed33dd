// Who may talk to whom: every reason to refuse, told to both, and nothing delivered before the handshake is over.
import { randomBytes } from 'node:crypto'
import { connect, createServer } from 'node:net'
import type { Socket } from 'node:net'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { MemberInfo, PeerRefusal } from '../../src/node/ports.ts'
import { encodeFrame, FRAME, FrameReader, MAGIC } from '../../src/transport/frame.ts'
import { encodeHello, encodeRefusal, proofOf } from '../../src/transport/handshake-codec.ts'
import { CLUSTER, heartbeat, helloOf, idOf, RecordingHandlers, TestCluster, until } from './support/network.ts'
import type { NodeOptions, TestNode } from './support/network.ts'

let cluster: TestCluster

beforeEach(async () => {
  cluster = await TestCluster.open(3)
})

afterEach(() => cluster.close())

const pair = async (a: NodeOptions, b: NodeOptions): Promise<[TestNode, TestNode]> => [
  await cluster.start(1, a),
  await cluster.start(2, b),
]

async function expectRefusal(
  node: TestNode,
  peer: string,
  refusal: PeerRefusal,
  detail: string | RegExp,
): Promise<void> {
  await until(`${refusal} is told`, () => node.handlers.refusals.some((told) => told.peer === peer))
  const told = node.handlers.refusals.find((one) => one.peer === peer)
  expect(told?.refusal).toBe(refusal)
  expect(told?.detail).toMatch(detail)
}

describe('refusals between two nodes', () => {
  test.each<[string, NodeOptions, NodeOptions, PeerRefusal, RegExp]>([
    ['D11: another cluster', { clusterId: '00000000000000c2' }, {}, 'cluster-id', /different lists of initial members/],
    ['H12: another secret', { secret: 'one' }, { secret: 'two' }, 'secret', /does not know the peer secret/],
    ['H12: a secret where the other has none', { secret: 'one' }, {}, 'secret', /has one|has none/],
    [
      'no common protocol version',
      { versions: { min: 2, max: 3 } },
      {},
      'protocol-version',
      /versions? .* of the peer protocol/,
    ],
  ])('%s is refused, and both are told', async (_what, a, b, refusal, detail) => {
    const [one, two] = await pair(a, b)
    await expectRefusal(one, two.id, refusal, detail)
    await expectRefusal(two, one.id, refusal, detail)
    expect(one.handlers.connections).toEqual([])
    expect(two.handlers.connections).toEqual([])
    expect(one.logger.lines.join('\n')).toMatch(/refuses this node/)
    expect(two.logger.lines.join('\n')).toMatch(/refusing a connection/)
    // The operator sees it a few times, not with each attempt.
    expect(one.transport.stats()['handshakes_refused_by_peer']).toBeGreaterThan(0)
    expect(one.handlers.refusals.length).toBeLessThanOrEqual(2)
  })

  test('the same secret on both sides is accepted, and never crosses the wire', async () => {
    const secret = 'correct horse battery staple'
    let isSeen = false
    const one = await cluster.start(1, { secret })
    cluster.proxyOf(1).filter = cluster.proxyOf(2).filter = (_pair, _direction, piece) => {
      isSeen ||= piece.includes(secret)
      return true
    }
    const two = await cluster.start(2, { secret })
    await until('they accept each other', () => one.handlers.up.has(two.id) && two.handlers.up.has(one.id))
    expect(isSeen).toBe(false)
  })

  test('a node that is not a member is refused', async () => {
    const members: MemberInfo[] = cluster.members.filter(({ name }) => name === 'n3')
    const [one, two] = await pair({}, { members })
    await expectRefusal(one, two.id, 'not-a-member', /n1 .* is not among the other members/)
  })

  test('a member under another name is refused', async () => {
    const [one, two] = await pair({ self: { name: 'impostor' } }, {})
    await expectRefusal(one, two.id, 'not-a-member', /impostor/)
  })

  test('H12: an address that leads to another member is refused', async () => {
    const one = await cluster.start(1)
    const three = await cluster.start(3)
    one.proxy.target = 0
    const two = await cluster.start(2)
    two.proxy.cutAll()
    two.proxy.target = three.transport.address.port
    await expectRefusal(one, two.id, 'wrong-node', /leads to n3 .* not to n2/)
  })

  test('an incarnation that the driver refuses is told, with proof, and tried again later', async () => {
    const handlers = new RecordingHandlers()
    handlers.admit = (peer) => (peer.name === 'n1' ? 'incarnation' : undefined)
    const [one, two] = await pair({ secret: 'same' }, { secret: 'same', handlers })
    await expectRefusal(one, two.id, 'incarnation', /has lost its data/)
    expect(two.handlers.refusals).toEqual([])
    expect(two.handlers.connections).toEqual([])
    handlers.admit = () => undefined
    await until('an operator has mended it', () => one.handlers.up.has(two.id) && two.handlers.up.has(one.id))
  })

  test('the caller admits, too', async () => {
    const handlers = new RecordingHandlers()
    handlers.admit = (peer) => (peer.name === 'n2' ? 'incarnation' : undefined)
    const [one, two] = await pair({ handlers }, {})
    await expectRefusal(two, one.id, 'incarnation', /has lost its data/)
    await until('the caller refuses as well', () => one.transport.stats()['handshakes_refused_by_us']! > 0)
    expect(one.handlers.connections).toEqual([])
    expect(one.handlers.refusals).toEqual([])
  })
})

// ------------------------------------------------------------------------------------------------- strangers on the port

/** A caller made of bytes. Collects what comes back, by frame type. */
class Stranger {
  readonly frames: { type: number; header: Buffer }[] = []
  readonly #socket: Socket
  isClosed = false

  constructor(port: number) {
    // Otherwise a second frame waits for the acknowledgement of the first, which the kernel puts off.
    this.#socket = connect({ host: '127.0.0.1', port, noDelay: true })
    const reader = new FrameReader(2 ** 20)
    this.#socket.on('error', () => {})
    this.#socket.on('close', () => (this.isClosed = true))
    this.#socket.on('data', (chunk: Buffer) =>
      reader.push(chunk, ({ type, header }) => this.frames.push({ type, header: Buffer.from(header) }) > 0),
    )
  }

  write(...pieces: readonly Uint8Array[]): void {
    for (const piece of pieces) this.#socket.write(piece)
  }

  close(): void {
    this.#socket.destroy()
  }
}

const helloBytes = (extra: Partial<Parameters<typeof encodeHello>[0]> = {}): Buffer =>
  encodeHello({
    versions: { min: 1, max: 1 },
    clusterId: CLUSTER,
    hasSecret: false,
    nonce: randomBytes(32),
    caller: helloOf(1),
    channel: 'raft',
    callee: { id: idOf(2), name: 'n2' },
    ...extra,
  })

describe('strangers', () => {
  let callee: TestNode
  let stranger: Stranger

  beforeEach(async () => {
    callee = await cluster.start(2)
    stranger = new Stranger(callee.transport.address.port)
  })

  afterEach(() => stranger.close())

  /** Makes the callee one that soon loses patience. */
  const makeImpatient = async (handshakeMsMax = 200): Promise<void> => {
    await callee.transport.close()
    callee = await cluster.start(2, { limits: { handshakeMsMax } })
  }

  test('one that says nothing is closed after a while', async () => {
    await makeImpatient()
    const silent = new Stranger(callee.transport.address.port)
    await until('it is closed', () => silent.isClosed)
    expect(callee.logger.lines.join('\n')).toMatch(/no handshake within 200 ms/)
  })

  test('H12: one that skips the handshake delivers nothing', async () => {
    const header = Buffer.from([0x93])
    stranger.write(MAGIC, ...encodeFrame(FRAME.heartbeat, header).chunks)
    await until('it is closed', () => stranger.isClosed)
    expect(callee.handlers.messages).toEqual([])
    expect(callee.transport.stats()['corrupt_streams']).toBe(1)
  })

  test('H12: one that sends frames together with its hello delivers nothing', async () => {
    const hello = helloBytes()
    stranger.write(
      MAGIC,
      ...encodeFrame(FRAME.hello, hello).chunks,
      ...encodeFrame(FRAME.ready, Buffer.alloc(0)).chunks,
    )
    await until('it is closed', () => stranger.isClosed)
    expect(callee.handlers.messages).toEqual([])
  })

  test('a frame larger than a handshake needs is refused', async () => {
    stranger.write(MAGIC, ...encodeFrame(FRAME.hello, Buffer.alloc(9_000)).chunks)
    await until('it is closed', () => stranger.isClosed)
    expect(callee.logger.lines.join('\n')).toMatch(/above the limit/)
  })

  test('H12: a recorded handshake does not work a second time', async () => {
    const hello = helloBytes()
    const answer = new Stranger(callee.transport.address.port)
    answer.write(MAGIC, ...encodeFrame(FRAME.hello, hello).chunks)
    await until('it is challenged', () => answer.frames.length === 1)
    const proof = proofOf(undefined, 'caller', [hello, answer.frames[0]!.header])
    answer.write(...encodeFrame(FRAME.proof, proof).chunks)
    await until('it is accepted', () => answer.frames.some(({ type }) => type === FRAME.verdict))
    stranger.write(MAGIC, ...encodeFrame(FRAME.hello, hello).chunks, ...encodeFrame(FRAME.proof, proof).chunks)
    await until('it is refused', () => stranger.frames.some(({ type }) => type === FRAME.refusal))
    expect(callee.handlers.messages).toEqual([])
    answer.close()
  })

  test('H12: fields that a later version adds to the hello are ignored, but covered by the proof', async () => {
    const hello = Buffer.concat([helloBytes({ versions: { min: 1, max: 9 } }), Buffer.from('later')])
    stranger.write(MAGIC, ...encodeFrame(FRAME.hello, hello).chunks)
    await until('it is challenged', () => stranger.frames.length === 1)
    const proof = proofOf(undefined, 'caller', [hello, stranger.frames[0]!.header])
    stranger.write(...encodeFrame(FRAME.proof, proof).chunks)
    await until('it is accepted', () => stranger.frames.some(({ type }) => type === FRAME.verdict))
  })

  test.each(['raft', 'forward', 'snapshot'] as const)(
    'one that knows how to shake hands and then talks nonsense on a %s connection is cut off, each time',
    async (channel) => {
      for (let round = 0; round < 60; round++) {
        const one = await introduced(channel)
        const types = [
          round,
          FRAME.appendEntries,
          FRAME.forward,
          FRAME.control,
          FRAME.snapshotChunk,
          FRAME.snapshotDone,
        ]
        const type = types[round % types.length]!
        const noise = randomBytes(1 + round)
        one.write(...encodeFrame(type, noise, [randomBytes(round)]).chunks)
        // Whatever it was taken for, this is not part of the protocol.
        one.write(...encodeFrame(0xee, noise).chunks)
        await until(`round ${round}, type ${type} (${noise.toString('hex')}) is closed`, () => one.isClosed)
      }
      expect(callee.handlers.messages).toEqual([])
      expect(callee.transport.stats()['corrupt_streams']).toBe(60)
    },
  )

  async function introduced(channel: 'raft' | 'forward' | 'snapshot'): Promise<Stranger> {
    const one = new Stranger(callee.transport.address.port)
    const hello = helloBytes({ channel })
    one.write(MAGIC, ...encodeFrame(FRAME.hello, hello).chunks)
    await until('it is challenged', () => one.frames.length === 1)
    const proof = proofOf(undefined, 'caller', [hello, one.frames[0]!.header])
    one.write(...encodeFrame(FRAME.proof, proof).chunks)
    await until('it is accepted', () => one.frames.length === 2)
    one.write(...encodeFrame(FRAME.ready, Buffer.alloc(0)).chunks)
    return one
  }

  test('no more than a bounded number may be in their handshake at once', async () => {
    // Long enough that a busy machine lets all of the crowd in before the first of it runs out of time.
    await makeImpatient(1_500)
    const crowd = Array.from({ length: 80 }, () => new Stranger(callee.transport.address.port))
    await until('some are turned away', () => callee.transport.stats()['connections_overloaded']! >= 10)
    await until('the others run out of time', () => crowd.every(({ isClosed }) => isClosed))
    const late = new Stranger(callee.transport.address.port)
    late.write(MAGIC, ...encodeFrame(FRAME.hello, helloBytes()).chunks)
    await until('there is room again', () => late.frames.length === 1)
    late.close()
  })

  test('random bytes at every stage close the connection and nothing else', async () => {
    await makeImpatient()
    const stages: Uint8Array[][] = [
      [],
      [MAGIC],
      [MAGIC, ...encodeFrame(FRAME.hello, helloBytes()).chunks],
      [MAGIC, ...encodeFrame(FRAME.hello, helloBytes().subarray(0, 90)).chunks],
    ]
    for (let round = 0; round < 60; round++) {
      const one = new Stranger(callee.transport.address.port)
      const noise = randomBytes(1 + (round % 300))
      one.write(
        ...stages[round % stages.length]!,
        ...(round % 2 === 0 ? [noise] : encodeFrame(round % 8, noise).chunks),
      )
      await until(`round ${round} (${noise.toString('hex')}) is closed`, () => one.isClosed)
    }
    expect(callee.handlers.messages).toEqual([])
    const friend = await cluster.start(1)
    await until('friends are still welcome', () => friend.handlers.up.has(callee.id))
  })
})

test('a refusal of an incarnation without proof is not believed', async () => {
  const stranger = await TestCluster.open(2)
  try {
    const node = await stranger.start(1)
    const refusal = encodeRefusal({ code: 'incarnation', detail: 'you have lost your data' })
    const server = createServer((socket) => {
      socket.on('error', () => {})
      socket.end(Buffer.concat([MAGIC, ...encodeFrame(FRAME.refusal, refusal).chunks]))
    })
    await new Promise<void>((resolve) => {
      server.listen(0, '127.0.0.1', resolve)
    })
    const proxy = stranger.proxyOf(2)
    proxy.target = (server.address() as { port: number }).port
    await until('it was refused', () => node.transport.stats()['handshakes_refused_by_peer']! > 1)
    expect(node.handlers.refusals).toEqual([])
    server.close()
  } finally {
    await stranger.close()
  }
})

test('messages after an accepted handshake go through', async () => {
  const [one, two] = await cluster.startAll({ secret: 'shared' })
  one!.transport.send([heartbeat(one!.id, two!.id, 4)])
  await until('it arrives', () => two!.handlers.messages.length === 1)
})
