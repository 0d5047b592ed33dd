// Writes in sessions: repeated through whatever breaks, and applied once.
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { QuorateError } from '../../src/api/errors.ts'
import { Session, SESSION } from '../../src/client/session.ts'
import { Prng } from '../../src/lib/prng.ts'
import { ModelCluster } from './model-cluster.ts'
import type { Fate } from './model-cluster.ts'

let cluster: ModelCluster
beforeEach(async () => {
  cluster = await ModelCluster.start()
})
afterEach(() => cluster[Symbol.asyncDispose]())

/** The first requests meet these fates; all others are answered. */
function script(...fates: Fate[]): void {
  cluster.fate = ({ path }) => (path.startsWith('/v1/batch') ? (fates.shift() ?? 'answered') : 'answered')
}

describe('a write in a session', () => {
  test.each(['lost answer', 'lost request', 'not sent'] as const)('A2: is applied once after: %s', async (fate) => {
    await using client = cluster.client()
    script('answered', fate, fate)
    expect(await client.add('n', 5)).toMatchObject({ value: 5n })
    expect(cluster.node.executed).toHaveLength(1)
    expect((await client.get('n'))!.text()).toBe('5')
  })

  test('A2: of many under random faults, each is applied once and each answer is its own', async () => {
    const seed = `sessions ${Date.now()}`
    const prng = new Prng(seed)
    await using client = cluster.client({ timeoutMs: 20_000 }, { seed })
    const fates: readonly [Fate, ...Fate[]] = ['answered', 'answered', 'lost answer', 'lost request', 'not sent']
    cluster.fate = () => prng.pick(fates)
    const sums: bigint[] = []
    for (let round = 0; round < 10; round++)
      sums.push(...(await Promise.all(Array.from({ length: 20 }, () => client.add('n')))).map(({ value }) => value))
    cluster.fate = () => 'answered'
    expect(new Set(sums).size, seed).toBe(200)
    expect((await client.get('n'))!.text(), seed).toBe('200')
    expect(cluster.node.executed, seed).toHaveLength(200)
  })

  test('what was refused the first time is refused again, however often it is asked', async () => {
    await using client = cluster.client()
    await client.put('k', 'v')
    script('lost answer')
    await expect(client.put('k', 'w', { ifAbsent: true })).rejects.toMatchObject({
      code: 'PRECONDITION_FAILED',
      outcome: 'not-applied',
      status: 412,
      attempts: 2,
    })
  })

  test('is repeated when only its leader changed in between', async () => {
    await using client = cluster.client()
    await client.put('k', 'v')
    cluster.node.lostAnswers.push(new QuorateError('LEADERSHIP_LOST', 'the leader changed'))
    await client.add('n', 1)
    expect(cluster.node.executed).toHaveLength(2)
  })

  test('those of one turn share one request, and each has its own answer', async () => {
    await using client = cluster.client()
    await client.put('first', 'opens the session')
    const before = cluster.batches
    const answers = await Promise.allSettled([
      ...Array.from({ length: 50 }, (_, at) => client.put(`k${at}`, 'v')),
      client.put('first', 'x', { ifAbsent: true }),
      client.delete('k0', { prev: true }),
    ])
    expect(cluster.batches - before).toBe(1)
    expect(answers.filter(({ status }) => status === 'fulfilled')).toHaveLength(51)
    expect(answers[51]).toMatchObject({ value: { deleted: true, previous: { key: 'k0' } } })
  })

  test('one that fails does not hold up the others of its request', async () => {
    await using client = cluster.client()
    await client.put('first', 'opens the session')
    cluster.node.lostAnswers.push(new QuorateError('NO_SPACE', 'the disk is nearly full'))
    const [full, fine] = await Promise.allSettled([client.put('a', 'v'), client.put('b', 'v')])
    expect(full).toMatchObject({ reason: { code: 'NO_SPACE', outcome: 'not-applied' } })
    expect(fine).toMatchObject({ value: { created: true } })
  })
})

describe('a session', () => {
  test('A3: that was forgotten leaves its write unknown, never sent again under another', async () => {
    await using client = cluster.client()
    await client.put('k', 'v')
    let lost = 0
    cluster.fate = () => (lost++ === 0 ? 'lost answer' : (cluster.node.sessions.clear(), 'answered'))
    await expect(client.add('n', 1)).rejects.toMatchObject({ code: 'SESSION_EXPIRED', outcome: 'unknown' })
    cluster.fate = () => 'answered'
    // The next write has a new one.
    await client.put('k', 'w')
    expect(cluster.node.executed.filter(({ op }) => op === 'add')).toHaveLength(1)
    expect(cluster.node.sessions.size).toBe(1)
  })

  test('is opened with the first write and closed with the client', async () => {
    const client = cluster.client()
    await client.get('k')
    expect(cluster.node.sessions.size).toBe(0)
    await client.put('k', 'v')
    expect(cluster.node.sessions.size).toBe(1)
    await client.close()
    expect(cluster.node.sessions.size).toBe(0)
  })

  test('that cannot be opened costs its writers nothing: not applied', async () => {
    await using client = cluster.client({ timeoutMs: 300 })
    cluster.fate = () => 'lost answer'
    await expect(client.put('k', 'v')).rejects.toMatchObject({ outcome: 'not-applied' })
    cluster.fate = () => 'not sent'
    await expect(client.put('k', 'v')).rejects.toMatchObject({ code: 'UNAVAILABLE', outcome: 'not-applied' })
    expect(cluster.node.executed).toHaveLength(0)
  })

  test('goes on behind a write that was given up, whose copy under way is then refused', async () => {
    await using client = cluster.client()
    await client.put('k', 'v')
    cluster.fate = () => 'lost answer'
    const controller = new AbortController()
    const write = client.put('k', 'w', { signal: controller.signal })
    setTimeout(() => controller.abort(), 50)
    await expect(write).rejects.toMatchObject({ code: 'ABORTED', outcome: 'unknown' })
    cluster.fate = () => 'answered'
    await client.put('other', 'v')
    const [session] = cluster.node.sessions.values()
    expect(session!.acknowledgedBelow).toBe(3)
  })

  test('acknowledges in order, and bounds what the store must remember', () => {
    const session = new Session('0000000000000001', 0)
    const numbers = Array.from({ length: SESSION.windowMax }, () => session.take())
    expect(session.hasRoom).toBe(false)
    session.resolve(numbers[1]!)
    expect(session.acknowledgedBelow).toBe(1)
    session.resolve(numbers[0]!)
    expect(session.acknowledgedBelow).toBe(3)
    expect(session.hasRoom).toBe(true)
  })

  test('is used only while it cannot have expired', () => {
    const session = new Session('0000000000000001', 1_000)
    expect(session.isUsable(1_000 + SESSION.usableMs - 1)).toBe(true)
    expect(session.isUsable(1_000 + SESSION.usableMs)).toBe(false)
    session.used(5_000)
    expect(session.isUsable(1_000 + SESSION.usableMs)).toBe(true)
    expect(SESSION.usableMs + 60_000).toBeLessThanOrEqual(SESSION.ttlMs * 0.9)
  })
})

describe('without sessions', () => {
  test('H9: a write whose answer was lost is not repeated, and unknown', async () => {
    await using client = cluster.client({ sessions: false })
    cluster.fate = () => 'lost answer'
    for (const write of [client.put('k', 'v'), client.add('n', 1), client.deleteRange({ prefix: 'x' })])
      await expect(write).rejects.toMatchObject({ code: 'CONNECTION_LOST', outcome: 'unknown', attempts: 1 })
    expect(cluster.requests).toHaveLength(3)
  })
})
