// The gate of correctness, against stores that are not what they say: one that is right passes, one that forgets writes does not.
import { createServer } from 'node:http'
import type { Server } from 'node:http'
import { afterEach, expect, test } from 'vitest'
import { HistoryGate } from '../../scripts/bench/history.ts'
import type { Dialect } from '../../scripts/bench/load/requests.ts'

const servers: Server[] = []

afterEach(() => {
  for (const server of servers.splice(0)) server.close()
})

interface Store {
  put(key: string, value: string): void
  get(key: string): string | undefined
}

const mapStore = (): Store => {
  const values = new Map<string, string>()
  return { put: (key, value) => void values.set(key, value), get: (key) => values.get(key) }
}

/** Loses every tenth write, and says that all is well. */
const forgetful = (): Store => {
  const store = mapStore()
  let writes = 0
  return {
    get: (key) => store.get(key),
    put: (key, value) => (++writes % 10 === 0 ? undefined : store.put(key, value)),
  }
}

async function serve(store: Store): Promise<string> {
  const server = createServer((message, answer) => {
    let body = ''
    message.on('data', (chunk: Buffer) => {
      body += chunk.toString()
    })
    message.on('end', () => {
      const [status, text] = answerOf(store, message.method ?? '', message.url ?? '', body)
      answer.writeHead(status).end(text)
    })
  })
  servers.push(server)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('a listening socket has no port')
  return `http://127.0.0.1:${address.port}`
}

function answerOf(store: Store, method: string, path: string, body: string): readonly [status: number, text: string] {
  if (method === 'PUT') {
    store.put(path, body)
    return [200, '']
  }
  if (method === 'GET') {
    const value = store.get(path)
    return value === undefined ? [404, ''] : [200, value]
  }
  const { key, value } = JSON.parse(body) as { readonly key: string; readonly value?: string }
  if (path === '/v3/kv/put') {
    store.put(key, value ?? '')
    return [200, '{}']
  }
  const found = store.get(key)
  return [200, JSON.stringify(found === undefined ? {} : { kvs: [{ value: found }] })]
}

const gateOf = (url: string, dialect: Dialect): HistoryGate =>
  new HistoryGate([url, url], 'the test', { dialect, pauseMs: 1, timeoutMs: 5_000, lastReadMs: 200 })

const waitForWrites = async (store: Store, count: number): Promise<void> => {
  const put = store.put.bind(store)
  let writes = 0
  await new Promise<void>((resolve) => {
    store.put = (key, value) => {
      put(key, value)
      if (++writes === count) resolve()
    }
  })
}

test.each(['quorate', 'etcd'] as const)(
  'what a right store of %s answers passes, on fresh keys too',
  async (dialect) => {
    const store = mapStore()
    const gate = gateOf(await serve(store), dialect)
    await waitForWrites(store, 50)
    gate.takeFreshKeys()
    await waitForWrites(store, 50)
    const { operations, unknown } = await gate.finish()
    expect(operations).toBeGreaterThanOrEqual(100)
    expect(unknown).toBe(0)
  },
)

test('a store that forgets writes is found out', async () => {
  const store = forgetful()
  const gate = gateOf(await serve(store), 'quorate')
  await waitForWrites(store, 100)
  await expect(gate.finish()).rejects.toThrow('is not-linearizable')
})

test('a store that is not there is no proof', async () => {
  const url = await serve(mapStore())
  const closed = servers.splice(0)[0]!
  await new Promise((resolve) => closed.close(resolve))
  await expect(gateOf(url, 'quorate').finish()).rejects.toThrow('did not answer a read')
})
