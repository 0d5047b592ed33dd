// Watches: every change once and in order, whatever becomes of connections.
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { Client, WatchEvent } from '../../src/client/index.ts'
import { LineReader } from '../../src/client/streams.ts'
import { Prng } from '../../src/lib/prng.ts'
import { ModelCluster } from './model-cluster.ts'

let cluster: ModelCluster
let client: Client
beforeEach(async () => {
  cluster = await ModelCluster.start()
  client = cluster.client()
})
afterEach(async () => {
  await client.close()
  await cluster[Symbol.asyncDispose]()
})

const shown = (event: WatchEvent): string =>
  event.kind === 'sync' ? `sync@${event.revision}` : `${event.kind} ${String(event.key)}@${event.revision}`

async function take(watcher: AsyncIterable<WatchEvent>, count: number): Promise<string[]> {
  const events: string[] = []
  for await (const event of watcher) {
    events.push(shown(event))
    if (events.length === count) break
  }
  return events
}

describe('a watch', () => {
  test('from now on tells each change once, in order', async () => {
    const watcher = client.watch({ prefix: 'a/' })
    await expect.poll(() => cluster.node.watches.length).toBe(1)
    await client.put('a/1', 'x')
    await client.put('b', 'not of it')
    await client.delete('a/1')
    await client.put('a/2', 'y')
    expect(await take(watcher, 3)).toEqual(['put a/1@2', 'delete a/1@4', 'put a/2@5'])
    expect(watcher.revision).toBe(5)
  })

  test('from a revision tells what happened since, with what was before', async () => {
    await client.put('k', 'one')
    await client.put('k', 'two')
    await client.delete('k')
    const events: WatchEvent[] = []
    for await (const event of client.watch({ key: 'k', revision: 3, prev: true })) {
      events.push(event)
      if (events.length === 2) break
    }
    expect(events).toMatchObject([
      { kind: 'put', revision: 3, entry: { version: 2 }, previous: { version: 1 } },
      { kind: 'delete', revision: 4, previous: { revision: 3 } },
    ])
  })

  test('initial gives the entries, then sync, then changes', async () => {
    await client.put('a/1', 'x')
    await client.put('a/2', 'y')
    const watcher = client.watch({ prefix: 'a/', initial: true })
    expect((await watcher.next()).value).toMatchObject({ kind: 'put', key: 'a/1' })
    await client.put('a/3', 'z')
    const rest: string[] = []
    for await (const event of watcher) {
      rest.push(shown(event))
      if (rest.length === 3) break
    }
    expect(rest).toEqual(['put a/2@3', 'sync@3', 'put a/3@4'])
  })

  test('W1: connections that break anywhere lose nothing and repeat nothing', async () => {
    const seed = `watch ${Date.now()}`
    const prng = new Prng(seed)
    // Revisions of several events, as transactions and ranges make them.
    for (let round = 0; round < 12; round++) {
      for (let at = 0; at < 4; at++) await client.put(`a/${round}/${at}`, 'v'.repeat(prng.below(50)))
      await client.deleteRange({ prefix: `a/${round}/` })
    }
    const expected = cluster.node.history.map(({ kind, entry }) => `${kind} ${entry.key}@${entry.modRevision}`)
    // Now and then a connection lasts, so that there is progress.
    cluster.streamBytes = () => (prng.chance(1, 2) ? prng.below(400) : prng.below(4_000))
    const events = await take(client.watch({ prefix: 'a/', revision: 2 }), expected.length)
    expect(events, seed).toEqual(expected)
    expect(cluster.requests.filter(({ path }) => path.startsWith('/v1/watch')).length, seed).toBeGreaterThan(2)
  }, 20_000)

  test('of history that was compacted ends with COMPACTED, at once or on the way', async () => {
    await client.put('k', 'v')
    await client.put('k', 'w')
    cluster.node.compactRevision = 3
    await expect(take(client.watch({ key: 'k', revision: 2 }), 1)).rejects.toMatchObject({
      code: 'COMPACTED',
      details: { compactRevision: 3 },
    })
    cluster.node.isWatchScripted = true
    const watcher = client.watch({ key: 'k' })
    await expect.poll(() => cluster.node.watches.length).toBe(2)
    const { sink } = cluster.node.watches[1]!
    sink.onProgress(3)
    sink.onCompacted(9)
    await expect(take(watcher, 1)).rejects.toMatchObject({ code: 'COMPACTED', details: { compactRevision: 9 } })
  })

  test('that was too slow goes on where it was', async () => {
    cluster.node.isWatchScripted = true
    const watcher = client.watch({ prefix: 'a/' })
    await expect.poll(() => cluster.node.watches.length).toBe(1)
    cluster.node.watches[0]!.sink.onProgress(7)
    cluster.node.watches[0]!.sink.onLagging(7)
    await expect.poll(() => cluster.node.watches.length).toBe(2)
    expect(cluster.node.watches[1]!.request.fromRevision).toBe(8)
    watcher.close()
    expect(await watcher.next()).toEqual({ done: true, value: undefined })
  })

  test('ends with its signal, its loop and its client', async () => {
    const controller = new AbortController()
    const aborted = take(client.watch({ prefix: 'a/', signal: controller.signal }), 1)
    controller.abort(new Error('enough'))
    await expect(aborted).rejects.toMatchObject({ code: 'ABORTED', cause: { message: 'enough' } })
    await client.put('a/1', 'x')
    await take(client.watch({ prefix: 'a/', initial: true }), 1)
    const closed = take(client.watch({ prefix: 'b/' }), 1)
    const told = expect(closed).rejects.toMatchObject({ code: 'CLOSED' })
    await client.close()
    await told
    await expect.poll(() => cluster.node.watches.every(({ isCancelled }) => isCancelled)).toBe(true)
  })

  test('fails where nobody answers in the beginning', async () => {
    cluster.fate = () => 'lost request'
    await expect(take(client.watch({ timeoutMs: 200 }), 1)).rejects.toMatchObject({ code: 'CONNECTION_LOST' })
  })
})

describe('a mirror', () => {
  test('holds what the store holds, and tells each change', async () => {
    await client.put('a/1', 'one')
    await client.put('a/2', 'two')
    await using mirror = client.mirror('a/')
    const changes: string[] = []
    mirror.onChange(({ key, entry, previous }) =>
      changes.push(`${String(key)}: ${previous?.text() ?? '-'} to ${entry?.text() ?? '-'}`),
    )
    await mirror.ready
    expect([...mirror].map(([key, entry]) => [key, entry.text()])).toEqual([
      ['a/1', 'one'],
      ['a/2', 'two'],
    ])
    await client.put('a/1', 'uno')
    await client.delete('a/2')
    await expect.poll(() => mirror.size).toBe(1)
    expect(mirror.get('a/1')!.text()).toBe('uno')
    expect(mirror.has('a/2')).toBe(false)
    expect(changes).toEqual(['a/1: - to one', 'a/2: - to two', 'a/1: one to uno', 'a/2: two to -'])
  })

  test('reads the range again when the history is gone', async () => {
    await client.put('a/1', 'one')
    await using mirror = client.mirror('a/')
    await mirror.ready
    cluster.node.isWatchScripted = true
    await client.put('a/2', 'two')
    await client.delete('a/1')
    cluster.node.isWatchScripted = false
    for (const { sink } of cluster.node.watches) sink.onCompacted(9)
    await expect.poll(() => mirror.has('a/2')).toBe(true)
    await expect.poll(() => mirror.has('a/1')).toBe(false)
  })
})

test('lines are found wherever a chunk ends', () => {
  const text = Buffer.from('one\ntwo\n\nthree\n')
  for (let cut = 0; cut <= text.length; cut++) {
    const reader = new LineReader()
    const lines = [...reader.push(text.subarray(0, cut)), ...reader.push(text.subarray(cut))]
    expect(lines.map(String)).toEqual(['one', 'two', '', 'three'])
  }
})
