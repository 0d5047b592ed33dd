// Ranges, counters, transactions and the past, as programs use them; types included.
/* oxlint-disable unicorn/no-thenable, promise/valid-params -- the builder and the JSON of transactions say `then` */
import { afterEach, beforeEach, describe, expect, expectTypeOf, test } from 'vitest'
import { op, when } from '../../src/client/index.ts'
import type { AddResult, Client, DeleteResult, Entry, PutResult } from '../../src/client/index.ts'
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

async function keys(entries: AsyncIterable<Entry>): Promise<string[]> {
  const found: string[] = []
  for await (const { key } of entries) found.push(String(key))
  return found
}

describe('ranges', () => {
  beforeEach(async () => {
    await Promise.all(['a/1', 'a/2', 'a/3', 'b/1', 'c d', 'é'].map((key) => client.put(key, `value of ${key}`)))
  })

  test('are listed over all pages, in either direction, up to a limit', async () => {
    expect(await keys(client.list({ pageSize: 2 }))).toEqual(['a/1', 'a/2', 'a/3', 'b/1', 'c d', 'é'])
    expect(await keys(client.list({ prefix: 'a/', reverse: true, pageSize: 1 }))).toEqual(['a/3', 'a/2', 'a/1'])
    expect(await keys(client.list({ from: 'a/2', to: 'c', limit: 2 }))).toEqual(['a/2', 'a/3'])
    expect(await keys(client.list({ prefix: 'é' }))).toEqual(['é'])
    expect(await keys(client.list({ prefix: Uint8Array.of(0xc3) }))).toEqual(['é'])
  })

  test('show one revision, whatever is written between their pages', async () => {
    const found: string[] = []
    for await (const { key } of client.list({ prefix: 'a/', pageSize: 1 })) {
      found.push(String(key))
      await client.put(`a/${found.length}5`, 'new')
      await client.delete('a/3')
    }
    expect(found).toEqual(['a/1', 'a/2', 'a/3'])
  })

  test('have pages, prefixes and counts', async () => {
    const page = await client.page({ separator: '/', limit: 2 })
    expect(page.prefixes).toEqual(['a/', 'b/'])
    const next = await client.page({ separator: '/', limit: 2, cursor: page.cursor })
    expect(next.entries.map(({ key }) => key)).toEqual(['c d', 'é'])
    expect(next.cursor).toBeUndefined()
    const [entry] = (await client.page({ prefix: 'a/', limit: 1, keysOnly: true })).entries
    expect(entry).toMatchObject({ key: 'a/1', version: 1, value: new Uint8Array(0) })
    expect(await client.count({ prefix: 'a/' })).toBe(3)
    expect(await client.count()).toBe(6)
  })

  test('are deleted only when they were named', async () => {
    expect(await client.deleteRange({ prefix: 'a/' })).toMatchObject({ deleted: 3 })
    await expect(client.deleteRange({})).rejects.toMatchObject({ code: 'BAD_PARAMETER', attempts: 0 })
    await expect(client.deleteRange({ prefix: 'a', from: 'b' })).rejects.toMatchObject({ code: 'BAD_PARAMETER' })
    await expect(client.count({ to: '' })).rejects.toMatchObject({ code: 'BAD_PARAMETER' })
    expect(await client.deleteRange({ prefix: '' })).toMatchObject({ deleted: 3 })
  })

  test('and keys can be read as they were', async () => {
    const { revision } = await client.put('k', 'old')
    await client.put('k', 'new')
    expect((await client.get('k', { revision }))!.text()).toBe('old')
    expect(await client.get('k', { revision: 1 })).toBeUndefined()
    cluster.node.compactRevision = revision + 1
    await expect(client.get('k', { revision })).rejects.toMatchObject({ code: 'COMPACTED', status: 410 })
  })
})

describe('add', () => {
  test('counts beyond what a double holds', async () => {
    await client.add('n', 2n ** 62n)
    expect((await client.add('n', 1)).value).toBe(2n ** 62n + 1n)
    await expect(client.add('n', 2n ** 63n)).rejects.toMatchObject({ code: 'BAD_PARAMETER', attempts: 0 })
    await expect(client.add('n', 0.5)).rejects.toMatchObject({ code: 'BAD_PARAMETER' })
  })
})

describe('a transaction', () => {
  test('gives its results as a tuple of the right types', async () => {
    const builder = client
      .txn()
      .if(when('a').isAbsent, when({ prefix: 'x/' }).version('=', 0))
      .then(op.put('a', '1'), op.add('n', 2), op.get('a'), op.delete('gone'), op.count({ prefix: 'a' }))
      .else(op.get('a'))
    const first = await builder.commit()
    if (!first.succeeded) throw new Error('it must succeed')
    expectTypeOf(first.results).toEqualTypeOf<[PutResult, AddResult, Entry | undefined, DeleteResult, number]>()
    expect(first.results).toMatchObject([{ created: true }, { value: 2n }, { key: 'a' }, { deleted: false }, 1])
    const second = await builder.commit()
    if (second.succeeded) throw new Error('it must not succeed')
    expectTypeOf(second.results).toEqualTypeOf<[Entry | undefined]>()
    expect(second.results[0]!.text()).toBe('1')
  })

  test('holds others, and reads their results', async () => {
    const inner = client.txn().if(when('a').exists).then(op.get('a')).else(op.put('a', 'inner'))
    const outcome = await client
      .txn()
      .then(inner.nested(), op.range({ prefix: 'a' }))
      .commit()
    expect(outcome.results[0]).toMatchObject({ succeeded: false, results: [{ created: true }] })
    expect(outcome.results[1]).toMatchObject({ count: 1, more: false, entries: [{ key: 'a' }] })
  })

  test('that is awaited without commit says so', async () => {
    const builder: unknown = client.txn().then(op.get('a'))
    await expect(Promise.resolve(builder)).rejects.toThrow(/commit\(\), which is missing/)
  })

  test('of what was not made by op and when says who makes it', () => {
    const wrong = {} as never
    expect(() => client.txn().if(undefined as never)).toThrow(/when\(key\)/)
    expect(() => client.txn().if(wrong)).toThrow(/when\(key\)/)
    expect(() => client.txn().then(undefined as never)).toThrow(/op\.put/)
    expect(() => client.txn().else(wrong)).toThrow(/op\.put/)
  })

  test('that a node would refuse is refused before it is sent', async () => {
    const before = cluster.requests.length
    const twice = client.txn().then(op.put('a', '1'), op.put('a', '2'))
    await expect(twice.commit()).rejects.toMatchObject({ code: 'BAD_REQUEST', attempts: 0 })
    expect(cluster.requests.length).toBe(before)
  })

  test('can be given in the JSON of the interface', async () => {
    const document = { if: [{ key: 'a', version: 0 }], then: [{ put: { key: 'a', value: '1' } }] }
    expect(await client.txnDocument(document)).toMatchObject({ succeeded: true })
    expect(await client.txnDocument(document)).toMatchObject({ succeeded: false })
  })
})

describe('an optimistic transaction', () => {
  test('runs again when what it read has changed, and then has seen the change', async () => {
    await client.put('from', '10')
    await client.put('to', '0')
    let runs = 0
    const moved = await client.transaction(async (tx) => {
      const from = Number((await tx.get('from'))!.text())
      const to = Number((await tx.get('to'))!.text())
      if (++runs === 1) await client.put('from', '7')
      tx.put('from', String(from - 5))
      tx.put('to', String(to + 5))
      expect((await tx.get('to'))!.text()).toBe(String(to + 5))
      return from
    })
    expect([moved, runs]).toEqual([7, 2])
    expect((await client.get('from'))!.text()).toBe('2')
    expect((await client.get('to'))!.text()).toBe('5')
  })

  test('many at once lose nothing', async () => {
    const one = () =>
      client.transaction(async (tx) => tx.put('n', String(Number((await tx.get('n'))?.text() ?? '0') + 1)), {
        attempts: 100,
      })
    await Promise.all(Array.from({ length: 8 }, one))
    expect((await client.get('n'))!.text()).toBe('8')
  })

  test('all that it reads is of one revision', async () => {
    await client.put('a', '1')
    await client.put('b', '1')
    const seen = await client.transaction(async (tx) => {
      const a = (await tx.get('a'))!.text()
      await client.put('a', '2')
      await client.put('b', '2')
      return [a, (await tx.get('b'))!.text()]
    })
    expect(seen).toEqual(['1', '1'])
  })

  test('gives up in the end', async () => {
    const losing = client.transaction(
      async (tx) => {
        await tx.get('k')
        await client.put('k', 'faster')
        tx.delete('k')
      },
      { attempts: 3 },
    )
    await expect(losing).rejects.toMatchObject({
      code: 'CONFLICT',
      outcome: 'not-applied',
      retryable: true,
      attempts: 3,
    })
  })
})

test('a write with a lifetime says so in both forms', async () => {
  await using plain = cluster.client({ sessions: false })
  for (const own of [client, plain]) {
    await own.put('t', 'v', { ttlMs: 1_500 })
    expect(cluster.node.executed.at(-1)).toMatchObject({ ttlMs: 1_500 })
    await own.put('t', 'v', { lease: '00000000000000aa' })
    expect(cluster.node.executed.at(-1)).toMatchObject({ lease: '00000000000000aa' })
    const both = own.put('t', 'v', { ttlMs: 1, lease: '00000000000000aa' })
    await expect(both).rejects.toMatchObject({ code: 'BAD_PARAMETER', attempts: 0 })
  }
})
