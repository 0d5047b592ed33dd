// Forwarded commands are sent at most once and every one gets exactly one honest answer; control questions get theirs in time.
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { ForwardAnswer } from '../../src/node/ports.ts'
import { askUntilAnswered, forward, TestCluster, until } from './support/network.ts'
import type { NodeOptions, TestNode } from './support/network.ts'

let cluster: TestCluster

beforeEach(async () => {
  cluster = await TestCluster.open(2)
})

afterEach(() => cluster.close())

const startBoth = async (options: NodeOptions = {}): Promise<[TestNode, TestNode]> => {
  const [one, two] = await cluster.startAll(options)
  return [one!, two!]
}

describe('forward', () => {
  test('arrives whole, with its number and sender, and the answer comes back', async () => {
    const [one, two] = await startBoth()
    const seen: unknown[] = []
    two.handlers.onForward = (from, number, commands, answer) => {
      seen.push([from.name, from.boot, number, Buffer.from(commands).toString()])
      answer({ kind: 'proposed', id: { term: 5, index: Number.MAX_SAFE_INTEGER } })
    }
    const answer = await forward(one.transport, two.id, 2 ** 53 - 1, Buffer.from('commands'))
    expect(answer).toEqual({ kind: 'proposed', id: { term: 5, index: Number.MAX_SAFE_INTEGER } })
    expect(seen).toEqual([['n1', 1_001, 2 ** 53 - 1, 'commands']])
  })

  test('not-proposed comes with its code and detail', async () => {
    const [one, two] = await startBoth()
    two.handlers.onForward = (_from, _number, _commands, answer) =>
      answer({ kind: 'not-proposed', code: 'NO_LEADER', detail: 'ask n3' })
    const answer = await forward(one.transport, two.id, 1, Buffer.from('x'))
    expect(answer).toEqual({ kind: 'not-proposed', code: 'NO_LEADER', detail: 'ask n3' })
  })

  test('answers that come out of order find their questions', async () => {
    const [one, two] = await startBoth()
    const held: { number: number; answer: (answer: ForwardAnswer) => void }[] = []
    two.handlers.onForward = (_from, number, _commands, answer) => void held.push({ number, answer })
    const asked = [1, 2, 3].map((number) => forward(one.transport, two.id, number, Buffer.from('x')))
    await until('all three arrive', () => held.length === 3)
    for (const { number, answer } of held.reverse()) answer({ kind: 'proposed', id: { term: 1, index: number * 10 } })
    expect(await Promise.all(asked)).toEqual(
      [10, 20, 30].map((index) => ({ kind: 'proposed', id: { term: 1, index } })),
    )
  })

  test('without a connection the answer is unsent, and never before forward returned', async () => {
    const one = await cluster.start(1)
    let isReturned = false
    const answer = new Promise<ForwardAnswer>((resolve) => {
      one.transport.forward(cluster.members[1]!.id, 1, Buffer.from('x'), (told) => {
        expect(isReturned).toBe(true)
        resolve(told)
      })
    })
    isReturned = true
    expect(await answer).toEqual({ kind: 'unsent' })
    expect(await forward(one.transport, 'ffffffffffffffff', 1, Buffer.from('x'))).toEqual({ kind: 'unsent' })
  })

  test('what was proposed but not answered when the link broke is lost, and what comes after is unsent', async () => {
    const [one, two] = await startBoth()
    two.handlers.onForward = () => two.proxy.cutAll()
    expect(await forward(one.transport, two.id, 1, Buffer.from('x'))).toEqual({ kind: 'lost' })
    two.proxy.target = 0
    await until('it is down', () => one.transport.hello(two.id) === undefined)
    expect(await forward(one.transport, two.id, 2, Buffer.from('x'))).toEqual({ kind: 'unsent' })
  })

  test('a link cut before a byte passes the proxy is lost as well: the socket had it', async () => {
    const [one, two] = await startBoth()
    let received = 0
    two.handlers.onForward = () => received++
    two.proxy.filter = (_pair, direction, piece) => !(direction === 'forward' && piece.includes('the commands'))
    expect(await forward(one.transport, two.id, 1, Buffer.from('the commands'))).toEqual({ kind: 'lost' })
    expect(received).toBe(0)
  })

  test('a link cut in the middle of a large batch is lost, and the part that arrived is not delivered', async () => {
    const [one, two] = await startBoth()
    let received = 0
    two.handlers.onForward = () => received++
    let passed = 0
    two.proxy.filter = (_pair, direction, piece) => direction === 'back' || (passed += piece.length) < 200_000
    expect(await forward(one.transport, two.id, 1, Buffer.alloc(1_000_000))).toEqual({ kind: 'lost' })
    expect(received).toBe(0)
  })

  test('a link cut before the answer passes is lost, although it was proposed', async () => {
    const [one, two] = await startBoth()
    let received = 0
    two.handlers.onForward = (_from, _number, _commands, answer) => {
      received++
      two.proxy.filter = (_pair, direction) => direction === 'forward'
      answer({ kind: 'proposed', id: { term: 1, index: 1 } })
    }
    expect(await forward(one.transport, two.id, 1, Buffer.from('x'))).toEqual({ kind: 'lost' })
    expect(received).toBe(1)
  })

  test('what never left the queue when the link broke is unsent, what had begun to leave is lost', async () => {
    const [one, two] = await startBoth({ limits: { silenceMsMax: 60_000 } })
    const received = new Set<number>()
    two.handlers.onForward = (_from, number) => received.add(number)
    two.proxy.hold(true)
    const asked = Array.from({ length: 30 }, (_, at) => forward(one.transport, two.id, at, Buffer.alloc(1_000_000)))
    await until('some of it has left', () => one.transport.stats()['forwards_sent'] === 30)
    two.proxy.cutAll()
    const kinds = (await Promise.all(asked)).map(({ kind }) => kind)
    const lost = kinds.filter((kind) => kind === 'lost').length
    expect(kinds.slice(lost)).toEqual(Array.from({ length: 30 - lost }, () => 'unsent'))
    expect(kinds.at(-1)).toBe('unsent')
    for (const number of received) expect(kinds[number]).toBe('lost')
    two.proxy.hold(false)
  })

  test('too many unanswered, or too many bytes, are refused before a byte is sent', async () => {
    const [one, two] = await startBoth({ limits: { forwardsMax: 3, forwardBytesMax: 10_000 } })
    two.handlers.onForward = () => {}
    for (let number = 0; number < 3; number++) void forward(one.transport, two.id, number, Buffer.from('x'))
    expect(await forward(one.transport, two.id, 3, Buffer.from('x'))).toMatchObject({
      kind: 'not-proposed',
      code: 'OVERLOADED',
    })
    expect(await forward(two.transport, one.id, 3, Buffer.alloc(10_001))).toMatchObject({ code: 'OVERLOADED' })
    expect(await forward(two.transport, one.id, 3, Buffer.alloc(5_000_000))).toMatchObject({ code: 'VALUE_TOO_LARGE' })
    expect(one.transport.stats()['forwards_overloaded']).toBe(1)
  })

  test('an answer that comes after the link broke is counted and goes nowhere', async () => {
    const [one, two] = await startBoth()
    let late: ((answer: ForwardAnswer) => void) | undefined
    two.handlers.onForward = (_from, _number, _commands, answer) => (late = answer)
    const asked = forward(one.transport, two.id, 1, Buffer.from('x'))
    await until('it arrives', () => late !== undefined)
    two.proxy.cutAll()
    expect(await asked).toEqual({ kind: 'lost' })
    await askUntilAnswered(one.transport, two.id)
    late!({ kind: 'proposed', id: { term: 1, index: 1 } })
    expect(two.transport.stats()['late_answers']).toBe(1)
  })
})

describe('control', () => {
  test('questions and answers travel as JSON, several at once', async () => {
    const [one, two] = await startBoth()
    two.handlers.onControl = async (from, kind, body) => ({ from: from.name, kind, body, nothing: null })
    const asked = [1, 2, 3].map((at) => one.transport.control(two.id, 'transfer', { to: `n${at}`, ключ: [at] }, 5_000))
    expect(await Promise.all(asked)).toEqual(
      [1, 2, 3].map((at) => ({ from: 'n1', kind: 'transfer', body: { to: `n${at}`, ключ: [at] }, nothing: null })),
    )
  })

  test('a handler that has nothing to say answers null', async () => {
    const [one, two] = await startBoth()
    two.handlers.onControl = async () => undefined
    expect(await one.transport.control(two.id, 'register', {}, 5_000)).toBeNull()
  })

  test('an error of the handler reaches the asker as text', async () => {
    const [one, two] = await startBoth()
    two.handlers.onControl = async () => {
      throw new Error('this member holds another incarnation')
    }
    await expect(one.transport.control(two.id, 'register', {}, 5_000)).rejects.toThrow(
      'this member holds another incarnation',
    )
  })

  test('no answer in time rejects, and the late answer meets nothing', async () => {
    const [one, two] = await startBoth()
    let answer: (() => void) | undefined
    two.handlers.onControl = () =>
      new Promise((resolve) => {
        answer = () => resolve('late')
      })
    await expect(one.transport.control(two.id, 'cluster', null, 20)).rejects.toThrow('n2 did not answer within 20 ms')
    await until('the question arrived', () => answer !== undefined)
    answer!()
    await until('it is counted', () => one.transport.stats()['late_answers'] === 1)
  })

  test('without a connection it rejects at once', async () => {
    const one = await cluster.start(1)
    await expect(one.transport.control(cluster.members[1]!.id, 'cluster', null, 5_000)).rejects.toThrow(
      'no connection to n2',
    )
  })

  test('what is too large is refused where it is made', async () => {
    const [one, two] = await startBoth()
    const large = 'x'.repeat(70_000)
    await expect(one.transport.control(two.id, 'cluster', large, 5_000)).rejects.toThrow('above 65536')
    two.handlers.onControl = async () => large
    await expect(one.transport.control(two.id, 'cluster', null, 5_000)).rejects.toThrow(
      'the answer would take 70002 bytes',
    )
  })

  test('unanswered questions are bounded on both sides', async () => {
    const [one, two] = await startBoth({ limits: { controlsMax: 2 } })
    two.handlers.onControl = () => new Promise(() => {})
    const open = [1, 2].map(() => one.transport.control(two.id, 'cluster', null, 60_000))
    await expect(one.transport.control(two.id, 'cluster', null, 60_000)).rejects.toThrow(
      '2 questions to n2 are unanswered',
    )
    const broken = Promise.allSettled(open)
    two.proxy.cutAll()
    expect((await broken).map(({ status }) => status)).toEqual(['rejected', 'rejected'])
  })
})
