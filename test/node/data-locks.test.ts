// Locks, elections and repeats on whole clusters, while leaders, states and members change.
import { afterEach, describe, expect, it } from 'vitest'
import { type ClientCommand, type CommandResult, type LockCommand, NO_CONDITION } from '../../src/api/commands.ts'
import { QuorateError } from '../../src/api/errors.ts'
import type { LockPlace } from '../../src/node/facade.ts'
import { put } from '../kv/replica.ts'
import { Heard, MemoryCluster } from '../support/memory-cluster.ts'

const SHORT_LOG = { retainBytes: 4_000, retainEntries: 20 }
const OPTIONS = {
  consistency: 'linearizable',
  maxStaleMs: undefined,
  minRevision: undefined,
  timeoutMs: 5_000,
} as const

let cluster: MemoryCluster

afterEach(async () => {
  await cluster?.close()
})

const lock = (owner: string, more: Partial<LockCommand> = {}): LockCommand => ({
  op: 'lock',
  kind: 'lock',
  name: 'l',
  lease: owner.charCodeAt(0).toString(16).padStart(16, '0'),
  ttlMs: 2_000,
  waitMs: 10_000,
  owner,
  value: new Uint8Array(0),
  ...more,
})

function acquire(
  name: string,
  command: LockCommand,
): { heard: Heard<CommandResult | QuorateError>; abandon: () => void } {
  const heard = new Heard<CommandResult | QuorateError>()
  const acquiring = cluster.node(name).acquire(command, 5_000, (outcome) => heard.answers.push(outcome))
  return { heard, abandon: () => acquiring.abandon() }
}

function ownersOf(name: string): string[] {
  let owners: string[] = []
  const options = { ...OPTIONS, consistency: 'stale' } as const
  cluster.node(name).inspect(
    options,
    (facts) => facts.lock('lock', 'l'),
    (answer) => {
      if (answer instanceof QuorateError) throw answer
      const { holder, queue } = answer.found
      owners = [holder, ...queue].filter((place): place is LockPlace => place !== undefined).map(({ owner }) => owner)
    },
  )
  return owners
}

const campaign = (owner: string): LockCommand =>
  lock(owner, { kind: 'election', name: 'e', value: Buffer.from('hello') })

describe('a lock on a cluster', () => {
  it('goes to whoever waits when its holder’s lease expires, with a higher token', async () => {
    cluster = await MemoryCluster.started(3)
    const first = acquire('n1', lock('a'))
    const held = (await cluster.answer(first.heard)) as { token: number }
    const second = acquire('n2', lock('b'))
    const third = acquire('n3', lock('c'))
    await cluster.advance(1_000)
    expect([second.heard.answers, third.heard.answers]).toEqual([[], []])
    const next = (await cluster.answer(second.heard)) as { token: number; isHeld: boolean }
    expect(next).toMatchObject({ kind: 'lock', isHeld: true })
    expect(next.token).toBeGreaterThan(held.token)
    await cluster.must('n1', { op: 'unlock', kind: 'lock', name: 'l', token: next.token })
    expect(await cluster.answer(third.heard)).toMatchObject({ kind: 'lock', isHeld: true })
    const stale = put('k', 'v', { fence: { lock: 'l', token: held.token } })
    expect(await cluster.must('n1', stale)).toMatchObject({ kind: 'refused', reason: 'fenced' })
  })

  it('is answered as taken when patience ends, and the place is gone', async () => {
    cluster = await MemoryCluster.started(3)
    await cluster.answer(acquire('n1', lock('a', { ttlMs: 60_000 })).heard)
    const { heard } = acquire('n2', lock('b', { waitMs: 1_000 }))
    const other = acquire('n3', lock('c', { waitMs: 0 }))
    expect(await cluster.answer(other.heard)).toMatchObject({ kind: 'refused', reason: 'locked' })
    expect(await cluster.answer(heard)).toMatchObject({ kind: 'refused', reason: 'locked' })
    await cluster.advance(50)
    expect(['n1', 'n2', 'n3'].map(ownersOf)).toEqual([['a'], ['a'], ['a']])
  })

  it('is not waited for any longer by a caller who has gone', async () => {
    cluster = await MemoryCluster.started(3)
    await cluster.answer(acquire('n1', lock('a', { ttlMs: 60_000 })).heard)
    const { heard, abandon } = acquire('n2', lock('b'))
    await cluster.until(() => ownersOf('n2').length === 2)
    abandon()
    await cluster.until(() => ownersOf('n1').length === 1)
    expect(heard.answers).toEqual([])
  })

  it('is kept for who asks again elsewhere, when the first caller goes too late to know', async () => {
    cluster = await MemoryCluster.started(3)
    const { token } = (await cluster.answer(acquire('n1', lock('a', { ttlMs: 60_000 })).heard)) as { token: number }
    const again = lock('b', { ttlMs: 60_000, once: { kind: 'key', key: 'k', fingerprint: '0'.repeat(16) } })
    const first = acquire('n2', again)
    await cluster.until(() => ownersOf('n2').length === 2)
    const second = acquire('n3', again)
    await cluster.advance(100)
    cluster.node('n1').write({ op: 'unlock', kind: 'lock', name: 'l', token }, 5_000, () => {})
    first.abandon()
    expect(await cluster.answer(second.heard)).toMatchObject({ kind: 'replayed', result: { isHeld: true } })
    await cluster.advance(500)
    expect(['n1', 'n2', 'n3'].map(ownersOf)).toEqual([['b'], ['b'], ['b']])
  })

  it('is handed on under the next leader as well', async () => {
    cluster = await MemoryCluster.started(3)
    const leader = cluster.leader!
    const [one, two] = cluster.followers as [string, string]
    await cluster.answer(acquire(one, lock('a')).heard)
    const { heard } = acquire(two, lock('b', { waitMs: 30_000 }))
    await cluster.until(() => ownersOf(two).length === 2)
    cluster.crash(leader)
    expect(await cluster.answer(heard)).toMatchObject({ kind: 'lock', isHeld: true })
  })

  it('is given back by a node that closes while a caller waits', async () => {
    cluster = await MemoryCluster.started(3)
    const [one, two] = cluster.followers as [string, string]
    await cluster.answer(acquire(one, lock('a', { ttlMs: 60_000 })).heard)
    const { heard } = acquire(two, lock('b'))
    await cluster.until(() => ownersOf(two).length === 2)
    await cluster.stop(two)
    expect(heard.answer).toMatchObject({ code: 'SHUTTING_DOWN', outcome: 'not-applied' })
    expect(ownersOf(one)).toEqual(['a'])
  })

  it('of an election tells observers who leads and what is proclaimed', async () => {
    cluster = await MemoryCluster.started(3)
    const seen: string[] = []
    cluster.node('n2').observe('election', 'e', (holder) => {
      seen.push(holder === undefined ? 'nobody' : `${holder.owner} says ${Buffer.from(holder.value).toString()}`)
    })
    await cluster.advance(10)
    const won = (await cluster.answer(acquire('n1', campaign('a')).heard)) as { token: number }
    await cluster.must('n1', { op: 'proclaim', name: 'e', token: won.token, value: Buffer.from('again') })
    await cluster.until(() => seen.length === 4)
    expect(seen).toEqual(['nobody', 'a says hello', 'a says again', 'nobody'])
  })
})

describe('a write that is repeated', () => {
  const SESSION = '00000000000000aa'
  const add = (sequence: number): ClientCommand => ({
    op: 'add',
    key: 'n',
    by: 1n,
    condition: NO_CONDITION,
    once: { kind: 'session', session: SESSION, sequence, acknowledgedBelow: 1 },
  })

  it('A2: after its outcome was lost with the leader is applied once, and gets the first answer', async () => {
    cluster = await MemoryCluster.started(3)
    const leader = cluster.leader!
    const [one, two] = cluster.followers as [string, string]
    await cluster.must(one, { op: 'session-open', session: SESSION, ttlMs: 60_000 })
    await cluster.must(one, add(1))
    // The leader commits it, and dies before anybody else hears of that.
    cluster.isHeld = ({ to, from }) => to === cluster.idOf(one) && from === cluster.idOf(leader)
    const first = cluster.write(one, add(2))
    await cluster.until(() => cluster.node(leader).vitals().revision === 3)
    cluster.crash(leader)
    cluster.isHeld = () => false
    const again = await cluster.must(two, add(2))
    const outcome = await cluster.answer(first)
    expect(again).toMatchObject({ kind: 'replayed', result: { kind: 'added', value: 2n } })
    if (outcome instanceof QuorateError) expect(outcome.outcome).toBe('unknown')
    else expect(outcome).toMatchObject({ kind: 'added', value: 2n })
    expect(await cluster.mustGet(two, 'n')).toBe('2')
  })

  it('A3: is known after a restart of all nodes and in a state that was received', async () => {
    cluster = await MemoryCluster.started(3, { logRetention: SHORT_LOG })
    const leader = cluster.leader!
    const behind = cluster.followers[0]!
    cluster.isolate(behind)
    await cluster.must(leader, { op: 'session-open', session: SESSION, ttlMs: 60_000 })
    await cluster.must(leader, add(1))
    const once = { kind: 'key', key: 'caller/1', fingerprint: '00000000000000bb' } as const
    expect(await cluster.must(leader, put('k', 'v', { once }))).toMatchObject({ kind: 'put' })
    for (let at = 0; at < 60; at++) await cluster.mustPut(leader, `x${at % 7}`, `${at}`)
    await cluster.advance(500)
    cluster.rejoin(behind)
    const revision = cluster.node(leader).vitals().revision
    await cluster.until(() => cluster.node(behind).vitals().revision === revision)
    await cluster.advance(200)
    for (const name of ['n1', 'n2', 'n3']) cluster.crash(name)
    for (const name of ['n1', 'n2', 'n3']) await cluster.start(name)
    await cluster.until(() => cluster.leader !== undefined)
    await cluster.settled(cluster.node(cluster.leader!).transferLeadership(behind))
    expect(await cluster.must(behind, add(1))).toMatchObject({ kind: 'replayed', result: { value: 1n } })
    expect(await cluster.must(behind, put('k', 'v', { once }))).toMatchObject({ kind: 'replayed' })
    const other = { ...once, fingerprint: '00000000000000cc' }
    expect(await cluster.must(behind, put('k', 'w', { once: other }))).toMatchObject({ reason: 'idempotency-mismatch' })
    expect(new Set([...cluster.nodes.values()].map((node) => node.digest().digest)).size).toBe(1)
  })

  it('A3: in a session that has expired is refused, never applied again', async () => {
    cluster = await MemoryCluster.started(3)
    await cluster.must('n1', { op: 'session-open', session: SESSION, ttlMs: 1_000 })
    await cluster.must('n1', add(1))
    await cluster.advance(3_000)
    expect(await cluster.must('n2', add(1))).toMatchObject({ kind: 'refused', reason: 'session-gone' })
    expect(await cluster.mustGet('n3', 'n')).toBe('1')
  })
})
