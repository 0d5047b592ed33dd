// The data commands against the real HTTP edge over a node in memory: what they print, and what they exit with.
import type { AddressInfo } from 'node:net'
import { Readable } from 'node:stream'
import pino from 'pino'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { QuorateError } from '../../src/api/errors.ts'
import type { ErrorCode } from '../../src/api/errors.ts'
import { buildApp } from '../../src/http/app.ts'
import type { App } from '../../src/http/app.ts'
import { MemoryNode } from '../support/memory-node.ts'
import { refusedEndpoint } from '../support/scripted-node.ts'
import { run } from './data-harness.ts'
import type { Run, RunOptions } from './data-harness.ts'

let node: MemoryNode
let app: App
let endpoint: string

beforeAll(async () => {
  node = new MemoryNode()
  const versions = { release: '0.1.0', node: 'v20.0.0' }
  app = buildApp({ node, log: pino({ level: 'silent' }), versions, isLoopback: true, allowedHosts: [] })
  await app.server.listen({ port: 0, host: '127.0.0.1' })
  endpoint = `http://127.0.0.1:${(app.server.server.address() as AddressInfo).port}`
})
afterAll(() => app.server.close())
beforeEach(() => {
  node.failure = undefined
  node.isReady = true
})

const quorate = (args: readonly string[], options: RunOptions = {}): Promise<Run> =>
  run([...args, ...(args.includes('--endpoints') ? [] : ['--endpoints', endpoint])], options)

const json = (text: string | Buffer): unknown => JSON.parse(text.toString())

describe('put and get', () => {
  test('write and read back, byte for byte, a newline only on a terminal', async () => {
    expect(await quorate(['put', 'greeting', 'hello'])).toMatchObject({ stderr: '', exitCode: 0 })
    expect((await quorate(['get', 'greeting'])).stdout.toString()).toBe('hello')
    expect((await quorate(['get', 'greeting'], { isTTY: true })).stdout.toString()).toBe('hello\n')
    const again = await quorate(['put', 'greeting', 'again'])
    expect(again.stdout.toString()).toBe(`replaced at revision ${node.revision}\n`)
  })

  test('a minus reads standard input, whatever bytes it holds', async () => {
    const bytes = Uint8Array.from({ length: 256 }, (_, byte) => byte)
    expect(await quorate(['put', 'piped', '-'], { stdin: bytes })).toMatchObject({ exitCode: 0 })
    expect((await quorate(['get', 'piped'])).stdout).toEqual(Buffer.from(bytes))
    await quorate(['put', 'empty', '-'], { stdin: Readable.from([]) })
    expect((await quorate(['get', 'empty'])).stdout).toHaveLength(0)
    await quorate(['put', 'minus', 'LQ', '--value64'])
    expect((await quorate(['get', 'minus'])).stdout.toString()).toBe('-')
  })

  test('H6: an endless standard input is refused as soon as it is too long', async () => {
    let read = 0
    const endless = Readable.from(
      (function* () {
        for (;;) {
          read += 65_536
          yield Buffer.alloc(65_536)
        }
      })(),
    )
    const { stderr, exitCode } = await quorate(['put', 'k', '-'], { stdin: endless })
    expect(stderr).toMatch(/too large; the limit is 1048576 bytes/)
    expect(exitCode).toBe(2)
    expect(read).toBeLessThan(3 * 1_048_576)
  })

  test('keys and values that are not text are spelt in base64url', async () => {
    await quorate(['put', '_w', '_v8', '--key64', '--value64'])
    expect(Buffer.from(node.entries.get('\xff')!.value)).toEqual(Buffer.from([0xfe, 0xff]))
    expect(json((await quorate(['get', '_w', '--key64', '--json'])).stdout)).toMatchObject({
      key64: '_w',
      value64: '_v8',
    })
    expect(await quorate(['get', '_w==', '--key64'])).toMatchObject({
      exitCode: 2,
      stderr: expect.stringMatching(/KEY is not base64url/),
    })
  })

  test('--json gives the entry as the HTTP interface spells it', async () => {
    const { stdout } = await quorate(['put', 'json', '{}', '--content-type', 'application/json', '--json', '--prev'])
    const { revision } = json(stdout) as { revision: number }
    expect(json(stdout)).toEqual({ revision, created: true, prev: null })
    expect(json((await quorate(['get', 'json', '--json'])).stdout)).toEqual({
      key: 'json',
      value: '{}',
      contentType: 'application/json',
      createRevision: revision,
      modRevision: revision,
      version: 1,
      storeRevision: revision,
    })
  })

  test('--meta and --prev keep messages on stderr and data on stdout', async () => {
    await quorate(['put', 'meta', 'old'])
    const meta = await quorate(['get', 'meta', '--meta'])
    expect(meta.stdout.toString()).toBe('old')
    expect(meta.stderr).toMatch(
      /^revision: \d+\ncreated at revision: \d+\nversion: 1\ncontent type: .*\nsize: 3 bytes\n/,
    )
    const put = await quorate(['put', 'meta', 'new', '--prev'])
    expect(put.stdout.toString()).toBe('old')
    expect(put.stderr).toMatch(/^replaced at revision \d+\n$/)
  })

  test('get passes its options on', async () => {
    await quorate(['get', 'greeting', '--max-stale', '2s', '--min-revision', '1', '--timeout', '3s'])
    const { options } = node.reads.at(-1)!
    expect(options).toMatchObject({ consistency: 'stale', maxStaleMs: 2_000, minRevision: 1 })
    expect(options.timeoutMs).toBeLessThan(3_000)
  })
})

describe('del', () => {
  test('says whether there was something to delete, and fails on neither', async () => {
    await quorate(['put', 'gone', 'v'])
    expect((await quorate(['del', 'gone', '--prev'])).stdout.toString()).toBe('v')
    const again = await quorate(['del', 'gone'])
    expect(again).toMatchObject({ exitCode: 0 })
    expect(again.stdout.toString()).toBe('there was no such key\n')
    expect(json((await quorate(['del', 'gone', '--json', '--prev'])).stdout)).toMatchObject({ deleted: 0, prev: null })
    expect(await quorate(['del', 'gone', '--if-exists'])).toMatchObject({ exitCode: 4 })
  })
})

describe('exit codes', () => {
  test('3: there is no such key', async () => {
    const { stdout, stderr, exitCode } = await quorate(['get', 'nothing'])
    expect({ exitCode, stderr, length: stdout.length }).toEqual({
      exitCode: 3,
      stderr: 'error: there is no key "nothing"\n',
      length: 0,
    })
    expect(json((await quorate(['get', 'nothing', '--json'])).stderr)).toMatchObject({
      error: { code: 'KEY_NOT_FOUND' },
    })
  })

  test('4: a condition does not hold, and the hint says what holds', async () => {
    await quorate(['put', 'held', 'v'])
    const { revision } = node
    expect(await quorate(['put', 'held', 'w', '--if-absent'])).toMatchObject({
      exitCode: 4,
      stderr: expect.stringContaining(`hint: the key is at revision ${revision}\n`),
    })
    const { stderr } = await quorate(['put', 'held', 'w', '--if-revision', '1', '--json'])
    expect(json(stderr)).toMatchObject({
      error: { code: 'PRECONDITION_FAILED', outcome: 'not-applied', retryable: false, currentRevision: revision },
    })
  })

  const answers: readonly (readonly [ErrorCode, number])[] = [
    ['NO_SPACE', 1],
    ['FORBIDDEN', 1],
    ['CONFLICT', 1],
    ['NO_LEADER', 5],
    ['OVERLOADED', 5],
    ['LEADERSHIP_LOST', 6],
    ['TIMEOUT', 6],
    ['INTERNAL', 6],
  ]
  for (const [code, expected] of answers) {
    test(`${expected}: a put that meets ${code}`, async () => {
      node.failure = new QuorateError(code, `about ${code}`)
      const { stderr, exitCode } = await quorate(['put', 'k', 'v', '--timeout', '1500ms'])
      expect(exitCode).toBe(expected)
      expect(stderr).toMatch(/^error: put failed: .*\n(hint: .*\n)?$/)
    })
  }

  test('5: nobody is there', async () => {
    const { stderr, exitCode } = await quorate([
      'get',
      'k',
      '--endpoints',
      await refusedEndpoint(),
      '--timeout',
      '500ms',
    ])
    expect(exitCode).toBe(5)
    expect(stderr).toMatch(
      /^error: get failed: .* cannot be reached: .*ECONNREFUSED.*\nhint: is a node running there\?/,
    )
  })

  const wrong: readonly (readonly [string, readonly string[], RegExp])[] = [
    ['a put without a value', ['put', 'k'], /missing required argument 'VALUE'/],
    ['an empty key', ['get', ''], /a key has at least one byte/],
    ['a revision in hexadecimal', ['put', 'k', 'v', '--if-revision', '0x10'], /whole number in decimal digits/],
    ['two conditions', ['put', 'k', 'v', '--if-revision', '1', '--if-absent'], /cannot be used with/],
    ['two other conditions', ['put', 'k', 'v', '--if-exists', '--if-absent'], /cannot be used with/],
    ['a time without sense', ['get', 'k', '--timeout', 'soon'], /a time with its unit/],
    ['a time without a unit', ['get', 'k', '--max-stale', '5'], /a time with its unit/],
    ['a timeout of two minutes', ['get', 'k', '--timeout', '2m'], /from 1ms to 60s/],
    ['an unknown consistency', ['get', 'k', '--consistency', 'eventual'], /Allowed choices are/],
    ['an endpoint without a scheme', ['get', 'k', '--endpoints', 'localhost:7700'], /is not an endpoint/],
    [
      'a linearizable read that may be stale',
      ['get', 'k', '--consistency', 'linearizable', '--max-stale', '1s'],
      /maxStaleMs/,
    ],
    ['an unknown option', ['get', 'k', '--frobnicate'], /unknown option/],
  ]
  for (const [what, args, message] of wrong) {
    test(`2: ${what}`, async () => {
      const { stderr, exitCode } = await quorate(args)
      expect(stderr).toMatch(message)
      expect(exitCode).toBe(2)
    })
  }
})

describe('status and cluster', () => {
  test('status lists every endpoint, also those that do not answer', async () => {
    const refused = await refusedEndpoint()
    const { stdout, stderr, exitCode } = await quorate(['status', '--endpoints', `${endpoint},${refused}`])
    const [head, first, second] = stdout.toString().split('\n')
    expect(head).toMatch(/^ENDPOINT +NODE +ROLE +TERM +LEADER +REVISION/)
    expect(first).toMatch(new RegExp(`^${endpoint} +n1 +leader +3 +n1 +${node.revision} `))
    expect(second).toMatch(new RegExp(`^${refused} +- +no answer`))
    expect(stderr).toContain('ECONNREFUSED')
    expect(exitCode).toBe(0)
    expect(json((await quorate(['status', '--json'])).stdout)).toEqual([{ endpoint, ...node.status() }])
    expect(await quorate(['status', '--endpoints', refused])).toMatchObject({ exitCode: 5 })
  })

  test('status --check exits with 0 only where the first endpoint is ready', async () => {
    expect(await quorate(['status', '--check'])).toMatchObject({
      exitCode: 0,
      stdout: Buffer.from('ready\n'),
      stderr: '',
    })
    node.isReady = false
    const { stderr, exitCode } = await quorate(['status', '--check'])
    expect(exitCode).toBe(5)
    expect(stderr).toMatch(/^error: http:\/\/127.0.0.1:\d+ is not ready: .+\n$/)
    expect(json((await quorate(['status', '--check', '--json'])).stdout)).toMatchObject({ ok: false })
    const refused = await refusedEndpoint()
    expect(await quorate(['status', '--check', '--endpoints', `${refused},${endpoint}`])).toMatchObject({ exitCode: 5 })
  })

  test('cluster shows the members, transfer-leader hands leadership over', async () => {
    const { stdout } = await quorate(['cluster'])
    expect(stdout.toString()).toMatch(/^cluster [0-9a-f]+, term 3\nNAME +ID +KIND +ROLE/)
    expect(json((await quorate(['cluster', '--json'])).stdout)).toEqual(await node.cluster())
    expect((await quorate(['transfer-leader', 'n1'])).stdout.toString()).toBe('leadership was handed over to n1\n')
    expect(node.transfers.at(-1)).toBe('n1')
  })
})

const nothing = (): void => {}

/** A stdout that takes nothing. */
const failing = (code: string): RunOptions => ({
  stdout: {
    write: (_chunk, done) => {
      done(Object.assign(new Error(code), { code }))
      return true
    },
    on: () => undefined,
    off: () => undefined,
  },
})

describe('interruptions', () => {
  test('H8: Ctrl-C during a write says that its outcome is unknown', async () => {
    const write = node.write.bind(node)
    let interrupt = nothing
    node.write = () => interrupt()
    const { stderr, exitCode } = await quorate(['put', 'k', 'v'], { onReady: (callback) => (interrupt = callback) })
    node.write = write
    expect(exitCode).toBe(6)
    expect(stderr).toMatch(/may or may not have been applied/)
  })

  test('Ctrl-C while standard input is awaited writes nothing', async () => {
    const writes = node.writes.length
    const stdin = new Readable({ read: () => setImmediate(() => interrupt()) })
    let interrupt = nothing
    const { stderr, exitCode } = await quorate(['put', 'k', '-'], {
      stdin,
      onReady: (callback) => (interrupt = callback),
    })
    expect({ exitCode, stderr }).toEqual({ exitCode: 130, stderr: 'error: interrupted; nothing was written\n' })
    expect(node.writes).toHaveLength(writes)
  })

  test('a reader that went away is no failure, a full disk is one', async () => {
    await quorate(['put', 'k', 'v'])
    expect(await quorate(['get', 'k'], failing('EPIPE'))).toMatchObject({ exitCode: 0, stderr: '' })
    expect(await quorate(['get', 'k'], failing('ENOSPC'))).toMatchObject({
      exitCode: 1,
      stderr: expect.stringContaining('ENOSPC'),
    })
  })
})

test('every command teaches with examples', async () => {
  for (const command of ['put', 'get', 'del', 'status', 'cluster', 'transfer-leader']) {
    const { stderr, exitCode } = await run([command, '--help'])
    expect(exitCode).toBe(0)
    expect(stderr).toContain(`Examples:\n  quorate ${command}`)
    expect(stderr).toContain('--endpoints <URLS>')
  }
})
