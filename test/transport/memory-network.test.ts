// The twin in memory keeps the same promises as the transport over TCP, one delivery at a time.
import { beforeEach, describe, expect, test } from 'vitest'
import type { ForwardAnswer, PeerTransport } from '../../src/node/ports.ts'
import { MemoryNetwork } from '../../src/transport/memory-network.ts'
import type { Delivery } from '../../src/transport/memory-network.ts'
import { VirtualClock } from '../support/virtual-clock.ts'
import { heartbeat, helloOf, idOf, RecordingHandlers } from './support/network.ts'

let clock: VirtualClock
let network: MemoryNetwork
let waiting: Delivery[]

const deliverAll = async (): Promise<void> => {
  for (let round = 0; round < 20; round++) {
    for (const delivery of waiting.splice(0)) delivery.deliver()
    await Promise.resolve()
  }
}

const start = async (number: number, boot = 1): Promise<{ transport: PeerTransport; handlers: RecordingHandlers }> => {
  const handlers = new RecordingHandlers()
  const transport = network.transport(helloOf(number, { boot }))
  await transport.start(handlers)
  return { transport, handlers }
}

beforeEach(() => {
  clock = new VirtualClock()
  waiting = []
  network = new MemoryNetwork({
    schedule: (delivery) => void waiting.push(delivery),
    after: (delayMs, callback) => clock.after(delayMs, callback),
  })
})

describe('the memory network', () => {
  test('connects nodes as they start, and delivers messages when it is told to', async () => {
    const [one, two] = [await start(1), await start(2)]
    expect(one.transport.hello(idOf(2))).toBeUndefined()
    await deliverAll()
    expect(one.handlers.connections).toEqual(['2 up'])
    expect(one.transport.hello(idOf(2))).toEqual(helloOf(2, { boot: 1 }))
    one.transport.send([heartbeat(idOf(1), idOf(2), 4)])
    expect(two.handlers.messages).toEqual([])
    await deliverAll()
    expect(two.handlers.messages).toHaveLength(1)
  })

  test('what is on its way over a link that is cut never arrives, and open forwards are lost', async () => {
    const [one, two] = [await start(1), await start(2)]
    await deliverAll()
    const answers: ForwardAnswer[] = []
    one.transport.send([heartbeat(idOf(1), idOf(2), 4)])
    one.transport.forward(idOf(2), 1, Buffer.from('x'), (answer) => answers.push(answer))
    const question = expect(one.transport.control(idOf(2), 'cluster', null, 1_000)).rejects.toThrow('broke')
    network.setLink(idOf(1), idOf(2), false)
    network.setLink(idOf(1), idOf(2), true)
    await deliverAll()
    await question
    expect(two.handlers.messages).toEqual([])
    expect(answers).toEqual([{ kind: 'lost' }])
    expect(one.handlers.connections).toEqual(['2 up', '2 down', '2 up'])
  })

  test('forwards and questions are answered, late ones run into their time limit', async () => {
    const [one, two] = [await start(1), await start(2)]
    await deliverAll()
    const answers: ForwardAnswer[] = []
    one.transport.forward(idOf(2), 8, Buffer.from('x'), (answer) => answers.push(answer))
    const question = one.transport.control(idOf(2), 'cluster', { a: 1 }, 1_000)
    await deliverAll()
    expect(answers).toEqual([{ kind: 'proposed', id: { term: 1, index: 8 } }])
    expect(await question).toEqual({ kind: 'cluster', body: { a: 1 } })
    two.handlers.onControl = () => new Promise(() => {})
    const late = expect(one.transport.control(idOf(2), 'cluster', null, 1_000)).rejects.toThrow('within 1000 ms')
    clock.advance(1_000)
    await late
  })

  test('a node that stops and starts again is another life', async () => {
    const [one, two] = [await start(1), await start(2)]
    await deliverAll()
    one.transport.send([heartbeat(idOf(1), idOf(2), 4)])
    await two.transport.close()
    const reborn = await start(2, 9)
    await deliverAll()
    expect(reborn.handlers.messages).toEqual([])
    expect(one.transport.hello(idOf(2))?.boot).toBe(9)
    const answers: ForwardAnswer[] = []
    two.transport.forward(idOf(1), 1, Buffer.from('x'), (answer) => answers.push(answer))
    await Promise.resolve()
    expect(answers).toEqual([{ kind: 'unsent' }])
  })

  test('a node that ends is gone for those it was connected to, unless it is back by then; one that is cut off is not', async () => {
    const [one, two] = [await start(1), await start(2)]
    await deliverAll()
    network.setLink(idOf(1), idOf(2), false)
    await deliverAll()
    expect(one.handlers.gone).toEqual([])
    network.setLink(idOf(1), idOf(2), true)
    await deliverAll()
    await two.transport.close()
    const reborn = await start(2, 9)
    await deliverAll()
    expect(one.handlers.gone).toEqual([])
    await reborn.transport.close()
    expect(one.handlers.gone).toEqual([])
    await deliverAll()
    expect(one.handlers.gone).toEqual([idOf(2)])
    expect([...two.handlers.gone, ...reborn.handlers.gone]).toEqual([])
  })

  test('a refusal keeps two nodes apart, and the refused one is told', async () => {
    const one = await start(1)
    one.handlers.admit = () => 'incarnation'
    const two = await start(2)
    await deliverAll()
    expect(two.handlers.refusals).toMatchObject([{ peer: idOf(1), refusal: 'incarnation' }])
    expect(one.handlers.connections).toEqual([])
  })

  test('a snapshot streams through', async () => {
    const [one, two] = [await start(1), await start(2)]
    await deliverAll()
    const received: Uint8Array[] = []
    two.handlers.onSnapshot = async (_from, _term, chunks) => {
      for await (const chunk of chunks) received.push(chunk)
    }
    const confState = { voters: [], votersOutgoing: [], learners: [], learnersNext: [], autoLeave: false }
    const sending = one.transport.sendSnapshot(idOf(2), 1, {
      meta: { term: 1, index: 1, confState },
      async *chunks() {
        yield Buffer.from('a')
        yield Buffer.from('b')
      },
      close: async () => {},
    })
    await deliverAll()
    await sending
    expect(received.map(String)).toEqual(['a', 'b'])
  })
})
