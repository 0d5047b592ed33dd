// The open-loop generator against a server of the test: it keeps its rate, counts from the intended start, and hides no error.
import { createServer } from 'node:http'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { expect, test } from 'vitest'
import { Load } from '../../scripts/bench/load/load.ts'
import type { LoadOptions } from '../../scripts/bench/load/load.ts'
import { FILL_KEYS } from '../../scripts/bench/load/requests.ts'

type Handler = (request: IncomingMessage, response: ServerResponse) => void

async function withServer<T>(handler: Handler, work: (options: LoadOptions) => Promise<T>): Promise<T> {
  const server = createServer((request, response) => {
    request.resume()
    request.on('end', () => handler(request, response))
  })
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve)
  })
  try {
    return await work({
      targets: [{ host: '127.0.0.1', port: (server.address() as AddressInfo).port }],
      dialect: 'quorate',
      kind: 'put',
      rate: 0,
      connections: 4,
      seconds: 0.3,
      keys: 100,
      valueBytes: 16,
      seed: 1,
      timeoutMs: 20_000,
      isPrecise: false,
    })
  } finally {
    server.closeAllConnections()
    server.close()
  }
}

test('at a fixed rate exactly what was due is asked, however late the server is', async () => {
  let asked = 0
  const result = await withServer(
    (_request, response) => {
      asked++
      setTimeout(() => response.end(), 20)
    },
    // Four connections at 20 ms each cannot do 500 a second.
    (options) => new Load({ ...options, rate: 500 }).run(),
  )
  expect(asked).toBe(150)
  expect(result.operations).toBe(150)
  expect(result.errors).toBe(0)
  // The last was due at 0.3 s and got its turn after 150 / 4 turns of 20 ms: waiting for a connection is part of its time.
  expect(result.latency.max).toBeGreaterThan(300_000)
  expect(result.series.reduce((sum, second) => sum + second.operations, 0)).toBe(150)
})

test('an answer that is no success is an error, with its reason', async () => {
  const result = await withServer(
    (_request, response) => void response.writeHead(503).end('no leader'),
    (options) => new Load({ ...options, rate: 100 }).run(),
  )
  expect(result.operations).toBe(0)
  expect(result.errors).toBe(30)
  expect(result.firstError).toBe('503 no leader')
})

test('what is not answered in time, and what lost its connection, are errors', async () => {
  let asked = 0
  const result = await withServer(
    (request, response) => {
      asked++
      if (asked % 3 === 0) request.socket.destroy()
      else if (asked % 3 === 1) response.end()
    },
    (options) => new Load({ ...options, rate: 100, timeoutMs: 100 }).run(),
  )
  expect(result.operations + result.errors).toBe(30)
  expect(result.errors).toBeGreaterThan(0)
  expect(result.operations).toBeGreaterThan(0)
})

test('filling writes every key once, and again what was refused', async () => {
  const keys = 3 * FILL_KEYS + 5
  const seen: string[] = []
  let refused = 0
  const result = await withServer(
    (request, response) => {
      if (refused < 2) {
        refused++
        response.writeHead(503).end()
      } else {
        seen.push(request.headers['content-length'] ?? '')
        response.end('{}')
      }
    },
    (options) => new Load({ ...options, kind: 'fill', keys }).run(),
  )
  expect(refused).toBe(2)
  expect(seen).toHaveLength(4)
  expect(result.operations).toBe(keys)
  expect(result.errors).toBe(0)
})

test('a run can be ended early', async () => {
  const result = await withServer(
    (_request, response) => void response.end(),
    async (options) => {
      let successes = 0
      const load: Load = new Load(
        { ...options, rate: 200, seconds: 3_600 },
        { onSuccess: () => void (++successes === 20 && load.stop()) },
      )
      return await load.run()
    },
  )
  expect(result.operations).toBeGreaterThanOrEqual(20)
  expect(result.operations).toBeLessThan(1_000)
})
