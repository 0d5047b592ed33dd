// The data model on whole clusters: watches and listings while leaders, states and members change.
import { afterEach, describe, expect, it } from 'vitest'
import { NO_CONDITION } from '../../src/api/commands.ts'
import { QuorateError } from '../../src/api/errors.ts'
import { ALL_KEYS, rangeOfKey, rangeOfPrefix } from '../../src/api/ranges.ts'
import type { ListAnswer, ListRequest } from '../../src/node/facade.ts'
import { put } from '../kv/replica.ts'
import { Heard, MemoryCluster } from '../support/memory-cluster.ts'
import type { Reader } from '../support/watch-reader.ts'

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

/** The events of a reader, without progress. */
const eventsOf = (reader: Reader): string[] => reader.heard.filter((line) => /^\d/.test(line))

const revisionsOf = (reader: Reader): number[] => eventsOf(reader).map((line) => Number(line.split(':')[0]))

const upTo = (first: number, last: number): number[] => Array.from({ length: last - first + 1 }, (_, at) => first + at)

async function list(name: string, request: Partial<ListRequest> = {}): Promise<ListAnswer | QuorateError> {
  const heard = new Heard<ListAnswer | QuorateError>()
  const all: ListRequest = {
    range: ALL_KEYS,
    limit: 100,
    reverse: false,
    countOnly: false,
    separator: undefined,
    revision: undefined,
    ...request,
  }
  cluster.node(name).list(all, OPTIONS, (answer) => heard.answers.push(answer))
  return await cluster.answer(heard)
}

describe('a watch on a cluster', () => {
  it('W1: shows every revision once and in order, on any node, whoever leads', async () => {
    cluster = await MemoryCluster.started(3)
    const names = ['n1', 'n2', 'n3']
    const readers = names.map((name) => cluster.watch(name))
    await cluster.advance(50)
    for (let at = 0; at < 20; at++) await cluster.mustPut('n1', `k${at}`, 'v')
    const old = cluster.leader!
    cluster.isolate(old)
    const other = names.find((name) => name !== old)!
    await cluster.until(() => cluster.node(other).vitals().leaderName !== old)
    for (let at = 0; at < 20; at++) await cluster.mustPut(other, `k${at}`, 'w')
    cluster.rejoin(old)
    await cluster.until(() => readers.every((reader) => eventsOf(reader).length >= 40))
    for (const reader of readers) expect(revisionsOf(reader)).toEqual(upTo(2, 41))
  })

  it('from now starts after everything that was answered before, on a node that is behind as well', async () => {
    cluster = await MemoryCluster.started(3)
    const behind = cluster.followers[0]!
    cluster.isHeld = ({ to, kind }) => to === cluster.idOf(behind) && kind === 'message'
    for (let at = 0; at < 5; at++) await cluster.mustPut(cluster.leader!, 'k', `${at}`)
    const reader = cluster.watch(behind)
    await cluster.advance(20)
    cluster.release()
    await cluster.until(() => reader.heard.length > 0)
    await cluster.mustPut(cluster.leader!, 'k', 'after')
    await cluster.until(() => eventsOf(reader).length > 0)
    expect(reader.heard).toEqual(['progress 6', '7: k=after'])
  })

  it('W2: has no gap when its node receives a state', async () => {
    cluster = await MemoryCluster.started(3, { logRetention: SHORT_LOG })
    const behind = cluster.followers[0]!
    const leader = cluster.leader!
    const live = cluster.watch(behind)
    const previous = cluster.watch(behind, { wantsPrevious: true, range: rangeOfKey('k3') })
    await cluster.mustPut(leader, 'k0', 'first')
    await cluster.until(() => eventsOf(live).length === 1)
    cluster.isolate(behind)
    for (let at = 0; at < 80; at++) await cluster.mustPut(leader, `k${at % 7}`, `${at}`)
    await cluster.advance(500)
    cluster.rejoin(behind)
    await cluster.until(() => eventsOf(live).length >= 81)
    await cluster.until(() => cluster.disk(behind).log.marker !== undefined)
    await cluster.mustPut(leader, 'k3', 'last')
    await cluster.until(() => eventsOf(live).length >= 82)
    await cluster.advance(50)
    expect(revisionsOf(live)).toEqual(upTo(2, 83))
    expect(eventsOf(previous)[0]).toBe('6: k3=3')
    expect(eventsOf(previous).at(-1)).toBe('83: k3=last (was 73)')
  })

  it('W2, W5: says so when what it had not seen is compacted in the state that its node receives', async () => {
    cluster = await MemoryCluster.started(3, { logRetention: SHORT_LOG })
    const behind = cluster.followers[0]!
    const leader = cluster.leader!
    const reader = cluster.watch(behind)
    await cluster.mustPut(leader, 'k', 'first')
    await cluster.until(() => eventsOf(reader).length === 1)
    cluster.isolate(behind)
    for (let at = 0; at < 80; at++) await cluster.mustPut(leader, 'k', `${at}`)
    expect(await cluster.must(leader, { op: 'compact', revision: 60 })).toMatchObject({ kind: 'compacted' })
    await cluster.advance(500)
    cluster.rejoin(behind)
    await cluster.until(() => reader.heard.at(-1) === 'compacted 60')
    const again = cluster.watch(behind, { fromRevision: 60 })
    await cluster.until(() => eventsOf(again).length === 23)
    expect(revisionsOf(again)).toEqual(upTo(60, 82))
  })

  it('with initial entries and then events amounts to the state, whatever is written meanwhile', async () => {
    cluster = await MemoryCluster.started(3)
    const leader = cluster.leader!
    const follower = cluster.followers[0]!
    for (let at = 0; at < 30; at++) await cluster.mustPut(leader, `a/${at}`, 'v')
    const reader = cluster.watch(follower, { wantsInitial: true, range: rangeOfPrefix('a/') })
    const writes = upTo(30, 39).map((at) => cluster.put(leader, `a/${at}`, 'v'))
    for (const write of writes) await cluster.answer(write)
    await cluster.until(() => cluster.node(follower).vitals().revision === 41)
    await cluster.advance(20)
    const initial = reader.heard.filter((line) => line.startsWith('initial')).flatMap((line) => line.split(','))
    expect(initial.length + eventsOf(reader).length).toBe(40)
  })

  it('W6: ends with the revision to go on from when its node closes', async () => {
    cluster = await MemoryCluster.started(3)
    const follower = cluster.followers[0]!
    const reader = cluster.watch(follower)
    await cluster.mustPut(follower, 'k', 'v')
    await cluster.stop(follower)
    expect(reader.heard).toEqual(['progress 1', '2: k=v', 'progress 2', 'failed SHUTTING_DOWN'])
  })

  it('shows what a transaction and an expiry did, each as one revision', async () => {
    cluster = await MemoryCluster.started(3)
    const follower = cluster.followers[0]!
    const reader = cluster.watch(follower)
    await cluster.advance(50)
    const lease = '0000000000000001'
    await cluster.must(follower, { op: 'lease-grant', lease, ttlMs: 1_000 })
    const success = [put('a', '1', { lease }), put('b', '1', { lease })] as never
    await cluster.must(follower, { op: 'txn', compares: [], success, failure: [] })
    await cluster.until(() => eventsOf(reader).length === 2)
    expect(eventsOf(reader)).toEqual(['2: a=1 b=1', '3: a gone b gone'])
  })
})

describe('a listing on a cluster', () => {
  it('in pages is of one revision while keys come and go, on any node', async () => {
    cluster = await MemoryCluster.started(3)
    for (let at = 0; at < 25; at++) await cluster.mustPut('n1', `k${String(at).padStart(2, '0')}`, 'old')
    const seen: string[] = []
    let rest: ListRequest['range'] | undefined = ALL_KEYS
    let revision: number | undefined
    for (let page = 0; rest !== undefined; page++) {
      const name = `n${(page % 3) + 1}`
      const answer = (await list(name, { range: rest, limit: 10, revision })) as ListAnswer
      for (const item of answer.items) {
        if (item.kind === 'entry') seen.push(`${item.entry.key}=${Buffer.from(item.entry.value).toString()}`)
      }
      revision = answer.listedRevision
      rest = answer.rest
      await cluster.must('n2', put(`k${page}5`, 'new'))
      await cluster.must('n2', { op: 'delete', key: 'k24', condition: NO_CONDITION, wantsPrevious: false })
    }
    expect(seen).toEqual(upTo(0, 24).map((at) => `k${String(at).padStart(2, '0')}=old`))
    expect(await list('n3', { countOnly: true, limit: 0 })).toMatchObject({ count: 25 })
    await cluster.must('n1', { op: 'compact', revision: revision! + 1 })
    expect(await list('n2', { revision })).toMatchObject({ code: 'COMPACTED' })
  })

  it('sees every write that was answered before it was asked for', async () => {
    cluster = await MemoryCluster.started(3)
    const follower = cluster.followers[0]!
    cluster.isHeld = ({ to, kind }) => to === cluster.idOf(follower) && kind === 'message'
    await cluster.mustPut(cluster.leader!, 'k', 'v')
    const listed = list(follower)
    await cluster.advance(20)
    cluster.release()
    expect(await listed).toMatchObject({ count: 1 })
  })
})

describe('what a node says of its leases', () => {
  it('is the same on all, once it has been confirmed', async () => {
    cluster = await MemoryCluster.started(3)
    const lease = '0000000000000007'
    await cluster.must('n1', { op: 'lease-grant', lease, ttlMs: 30_000 })
    await cluster.must('n2', put('k', 'v', { lease }))
    for (const name of ['n1', 'n2', 'n3']) {
      const heard = new Heard<unknown>()
      cluster.node(name).inspect(
        OPTIONS,
        (facts) => [facts.leases('', 100).map((found) => found.lease), facts.lease(lease)?.keys, facts.lease('none')],
        (answer) => heard.answers.push(answer),
      )
      expect(await cluster.answer(heard)).toMatchObject({ revision: 2, found: [[lease], ['k'], undefined] })
    }
  })
})
