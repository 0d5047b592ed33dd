// The real transport's one hard promise: `not-sent` only when it is certain, because a write is repeated on it.
import { createServer } from 'node:net'
import type { AddressInfo, Server, Socket } from 'node:net'
import { afterEach, expect, test } from 'vitest'
import { Cancellation, TransportError } from '../../src/client/index.ts'
import { UndiciTransport } from '../../src/client/undici-transport.ts'
import { refusedEndpoint } from '../support/scripted-node.ts'

const closing: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const close of closing.splice(0)) await close()
})

async function listen(onSocket: (socket: Socket) => void): Promise<string> {
  const sockets = new Set<Socket>()
  const server: Server = createServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => socket.destroy())
    onSocket(socket)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  closing.push(async () => {
    for (const socket of sockets) socket.destroy()
    await new Promise((resolve) => server.close(resolve))
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

function open(): UndiciTransport {
  const transport = new UndiciTransport()
  closing.unshift(() => transport.close())
  return transport
}

const put = (transport: UndiciTransport, endpoint: string, cancellation = new Cancellation()) =>
  transport.send({ endpoint, method: 'PUT', path: '/v1/kv/k', headers: {}, body: Buffer.from('v'), cancellation })

const kindOf = async (attempt: Promise<unknown>): Promise<string> => {
  const error = await attempt.then(
    () => undefined,
    (reason: unknown) => reason,
  )
  expect(error).toBeInstanceOf(TransportError)
  return (error as TransportError).kind
}

const ANSWER = 'HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n'

test('a refused connection and an unknown host are not sent', async () => {
  const transport = open()
  expect(await kindOf(put(transport, await refusedEndpoint()))).toBe('not-sent')
  expect(await kindOf(put(transport, 'http://host.invalid:7700'))).toBe('not-sent')
})

test('a refused connection is not sent, also after others succeeded', async () => {
  const transport = open()
  const server = createServer((socket) => socket.on('data', () => socket.write(ANSWER)))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const sockets: Socket[] = []
  server.on('connection', (socket) => sockets.push(socket))
  await put(transport, endpoint)
  const closed = new Promise((resolve) => server.close(resolve))
  for (const socket of sockets) socket.destroy()
  await closed
  // The idle connection's end may be noticed before or during the next attempt; after that it is a plain refusal.
  await put(transport, endpoint).catch(() => undefined)
  expect(await kindOf(put(transport, endpoint))).toBe('not-sent')
})

test('H8: a connection that ends after the request arrived is broken, not unsent', async () => {
  for (const end of [(socket: Socket) => socket.destroy(), (socket: Socket) => socket.resetAndDestroy()]) {
    const transport = open()
    const endpoint = await listen((socket) => socket.once('data', () => end(socket)))
    expect(await kindOf(put(transport, endpoint))).toBe('broken')
  }
})

test('H8: giving up after the request arrived is broken, not unsent', async () => {
  const transport = open()
  const cancellation = new Cancellation()
  const endpoint = await listen((socket) => socket.once('data', () => cancellation.cancel()))
  expect(await kindOf(put(transport, endpoint, cancellation))).toBe('broken')
})

test('giving up while no connection exists is not sent, and nothing is sent later', async () => {
  const transport = open()
  let bytes = 0
  const endpoint = await listen((socket) => socket.on('data', (chunk: Buffer) => (bytes += chunk.length)))
  const cancellation = new Cancellation()
  const attempt = put(transport, endpoint, cancellation)
  cancellation.cancel()
  expect(await kindOf(attempt)).toBe('not-sent')
  // A later request on the same connection arrives alone.
  const next = new Cancellation()
  const second = put(transport, endpoint, next)
  await new Promise<void>((resolve) => {
    const timer = setInterval(() => {
      if (bytes === 0) return
      clearInterval(timer)
      resolve()
    }, 5)
  })
  const length = bytes
  next.cancel()
  await kindOf(second)
  expect(length).toBeLessThan(200)
})

test('a bounded number of sockets serves many requests, in turn', async () => {
  const transport = open()
  let sockets = 0
  const waiting: Socket[] = []
  const endpoint = await listen((socket) => {
    sockets++
    socket.on('data', () => waiting.push(socket))
  })
  const requests = Array.from({ length: 200 }, () => put(transport, endpoint))
  const answers = Promise.all(requests)
  const timer = setInterval(() => {
    for (const socket of waiting.splice(0)) socket.write(ANSWER)
  }, 5)
  expect((await answers).every(({ status }) => status === 200)).toBe(true)
  clearInterval(timer)
  expect(sockets).toBeLessThanOrEqual(64)
})

test('a request that waits for a socket and is given up was not sent', async () => {
  const transport = open()
  const endpoint = await listen(() => {})
  const busy = Array.from({ length: 64 }, () => new Cancellation())
  const holders = busy.map((cancellation) => kindOf(put(transport, endpoint, cancellation)))
  const cancellation = new Cancellation()
  const attempt = kindOf(put(transport, endpoint, cancellation))
  cancellation.cancel()
  expect(await attempt).toBe('not-sent')
  for (const holder of busy) holder.cancel()
  await Promise.all(holders)
})

test('an answer that is not HTTP, or larger than any of ours, is unreadable', async () => {
  const transport = open()
  const talk = await listen((socket) => socket.once('data', () => socket.end('hello, this is SMTP\r\n')))
  expect(await kindOf(put(transport, talk))).toBe('unreadable')
  const huge = await listen((socket) =>
    socket.once('data', () => {
      socket.write(`HTTP/1.1 200 OK\r\ncontent-length: ${9 * 1024 * 1024}\r\n\r\n`)
      socket.write(Buffer.alloc(9 * 1024 * 1024))
    }),
  )
  expect(await kindOf(put(transport, huge))).toBe('unreadable')
})

test('H14: a redirect is handed over as it is, never followed', async () => {
  const transport = open()
  const endpoint = await listen((socket) =>
    socket.on('data', () =>
      socket.write('HTTP/1.1 307 T\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n'),
    ),
  )
  expect(await put(transport, endpoint)).toMatchObject({ status: 307 })
})
