// How a serving process ends: signals, failures, and what nobody caught. The process is an event emitter here.
import { EventEmitter } from 'node:events'
import { expect, it, vi } from 'vitest'
import { CLOSE_DEADLINE_MS, superviseNode } from '../../src/cli/serve-lifecycle.ts'
import type { Host, StoppableNode } from '../../src/cli/serve-lifecycle.ts'
import { deferred } from '../../src/lib/deferred.ts'
import type { Deferred } from '../../src/lib/deferred.ts'
import { createLogger } from '../../src/observability/logger.ts'

class FakeProcess extends EventEmitter {
  readonly pid = 4711
  readonly exits: number[] = []
  readonly connected: boolean
  readonly send: unknown

  constructor(channel: 'none' | 'open' | 'closed') {
    super()
    this.connected = channel === 'open'
    this.send = channel === 'none' ? undefined : () => true
  }

  exit(code: number): void {
    this.exits.push(code)
    this.emit('exited')
  }
}

interface Scene {
  readonly host: FakeProcess
  readonly lines: { level: string; msg: string; err?: { message: string } }[]
  readonly started: Deferred<StoppableNode>
  readonly failed: Deferred<Error>
  readonly closed: Deferred<void>
  readonly calls: string[]
  isFlushed: boolean
  readonly begin: () => Promise<void>
}

function scene(channel: 'none' | 'open' | 'closed' = 'none'): Scene {
  const lines: Scene['lines'] = []
  const destination = { write: (line: string) => lines.push(JSON.parse(line) as Scene['lines'][number]) }
  const nodeLog = createLogger({ level: 'info', pretty: false, node: 'n1', destination })
  const host = new FakeProcess(channel)
  const started = deferred<StoppableNode>()
  const failed = deferred<Error>()
  const closed = deferred<void>()
  const calls: string[] = []
  const config = {
    name: 'n1',
    dataDir: '/data',
    listen: { host: '127.0.0.1', port: 7700 },
    peerListen: { host: '127.0.0.1', port: 7701 },
  }
  const self: Scene = {
    host,
    lines,
    started,
    failed,
    closed,
    calls,
    isFlushed: false,
    begin: async () => {
      started.resolve({
        httpAddress: config.listen,
        peerAddress: config.peerListen,
        failed: failed.promise,
        close: () => {
          calls.push('close')
          return closed.promise
        },
      })
      await vi.waitFor(() => expect(lines).toHaveLength(1))
    },
  }
  superviseNode({
    nodeLog: { log: nodeLog.log, flush: () => (self.isFlushed = true) },
    host: host as unknown as Host,
    version: '0.1.0',
    config,
    start: () => {
      calls.push('start')
      return started.promise
    },
  })
  return self
}

const exited = (host: FakeProcess): Promise<unknown> => vi.waitFor(() => expect(host.exits).not.toEqual([]))

it('says in one line who it is and where it listens', async () => {
  const { lines, begin } = scene()
  await begin()
  expect(lines[0]).toMatchObject({
    level: 'info',
    msg: 'quorate 0.1.0: n1 (pid 4711) serves http://127.0.0.1:7700, peers on 127.0.0.1:7701',
  })
})

it.each(['SIGTERM', 'SIGINT', 'SIGHUP'])('N11: %s closes the node once, then exits with 0, flushed', async (signal) => {
  const it = scene()
  await it.begin()
  it.host.emit(signal)
  expect(it.calls).toEqual(['start', 'close'])
  expect(it.host.exits).toEqual([])
  it.closed.resolve()
  await exited(it.host)
  expect(it.host.exits).toEqual([0])
  expect(it.isFlushed).toBe(true)
  expect(it.lines.at(-1)?.msg).toBe('stopped')
})

it('N11: a second signal exits at once with 1', async () => {
  const it = scene()
  await it.begin()
  it.host.emit('SIGTERM')
  it.host.emit('SIGINT')
  expect(it.host.exits).toEqual([1])
  expect(it.calls).toEqual(['start', 'close'])
})

it('N11: a signal while starting exits at once with 0', () => {
  const { host } = scene()
  host.emit('SIGTERM')
  expect(host.exits).toEqual([0])
})

it('a node that does not close in time is left behind, with a fatal line', async () => {
  const it = scene()
  await it.begin()
  vi.useFakeTimers()
  try {
    it.host.emit('SIGTERM')
    vi.advanceTimersByTime(CLOSE_DEADLINE_MS)
  } finally {
    vi.useRealTimers()
  }
  expect(it.host.exits).toEqual([1])
  expect(it.lines.at(-1)).toMatchObject({ level: 'fatal', msg: `not closed after ${CLOSE_DEADLINE_MS} ms: exiting` })
})

it('a node that fails to close exits with 1', async () => {
  const it = scene()
  await it.begin()
  it.host.emit('SIGTERM')
  it.closed.reject(new Error('disk on fire'))
  await exited(it.host)
  expect(it.host.exits).toEqual([1])
  expect(it.lines.at(-1)).toMatchObject({ msg: 'closing failed', err: { message: 'disk on fire' } })
})

it('a node that had to stop itself exits with 1 and its reason', async () => {
  const it = scene()
  await it.begin()
  it.failed.resolve(new Error('the log is corrupt at 4096'))
  await exited(it.host)
  expect(it.host.exits).toEqual([1])
  expect(it.lines.at(-1)).toMatchObject({ level: 'fatal', msg: 'n1 had to stop: the log is corrupt at 4096' })
})

it.each(['uncaughtException', 'unhandledRejection'])(
  'N5: an %s is logged as fatal, flushed, and exits with 1',
  async (event) => {
    const it = scene()
    await it.begin()
    it.host.emit(event, new TypeError('undefined is not a function'))
    expect(it.host.exits).toEqual([1])
    expect(it.isFlushed).toBe(true)
    expect(it.lines.at(-1)).toMatchObject({ level: 'fatal', err: { message: 'undefined is not a function' } })
    expect(it.calls).toEqual(['start'])
  },
)

it.each([
  [{ code: 'EADDRINUSE', port: 7700 }, '--listen 127.0.0.1:7700: another process has that port'],
  [{ code: 'EADDRINUSE', port: 7701 }, '--peer-listen 127.0.0.1:7701: another process has that port'],
  [{ code: 'EADDRNOTAVAIL', port: 7701 }, '--peer-listen 127.0.0.1:7701: that is not an address of this machine'],
  [{ code: 'EACCES', port: 7700 }, '--listen 127.0.0.1:7700: this user may not listen on that port'],
  [{ code: 'EACCES' }, 'original'],
])('a start that fails with %j says what to look at', async (details, expected) => {
  const it = scene()
  it.started.reject(Object.assign(new Error('original'), details))
  await exited(it.host)
  expect(it.host.exits).toEqual([1])
  expect(it.lines.at(-1)).toMatchObject({ level: 'fatal', msg: `n1 cannot start: ${expected}` })
})

it('a refusal of the system is told without a stack trace, also when it is wrapped', async () => {
  const it = scene()
  const cause = Object.assign(new Error('listen EADDRINUSE'), { code: 'EADDRINUSE', port: 7701 })
  it.started.reject(new Error('cannot listen for peers', { cause }))
  await exited(it.host)
  expect(it.lines.at(-1)).toMatchObject({
    code: 'EADDRINUSE',
    msg: 'n1 cannot start: --peer-listen 127.0.0.1:7701: another process has that port',
  })
  expect(it.lines.at(-1)).not.toHaveProperty('err')
})

it('a child closes when its parent is gone', async () => {
  const it = scene('open')
  await it.begin()
  it.host.emit('disconnect')
  expect(it.calls).toEqual(['start', 'close'])
})

it('a child whose parent is gone already does not start', () => {
  const { host, calls } = scene('closed')
  expect(calls).toEqual([])
  expect(host.exits).toEqual([0])
})
