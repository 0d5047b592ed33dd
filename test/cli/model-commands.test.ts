// The commands beyond single keys against real HTTP edges over a node in memory: what they print, and what they exit with.
/* oxlint-disable unicorn/no-thenable -- the JSON of transactions says `then` */
import { Readable } from 'node:stream'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { ModelCluster } from '../client/model-cluster.ts'
import { run } from './data-harness.ts'
import type { Run, RunOptions } from './data-harness.ts'

let cluster: ModelCluster
beforeAll(async () => {
  cluster = await ModelCluster.start()
})
afterAll(() => cluster[Symbol.asyncDispose]())

/** Options come before what is behind a double dash. */
function quorate(args: readonly string[], options: RunOptions = {}): Promise<Run> {
  const at = args.indexOf('--')
  const [own, behind] = at === -1 ? [args, []] : [args.slice(0, at), args.slice(at)]
  return run([...own, '--endpoints', cluster.endpoints.join(','), ...behind], options)
}

const nothing = (): void => {}

const lines = ({ stdout }: Run): string[] => stdout.toString().split('\n').slice(0, -1)

describe('ranges', () => {
  test('get lists, counts and looks back; del deletes', async () => {
    for (const key of ['a/1', 'a/2', 'b']) await quorate(['put', key, `of ${key}`])
    expect(lines(await quorate(['get', '--prefix', 'a/']))).toEqual(['a/1\tof a/1', 'a/2\tof a/2'])
    expect(lines(await quorate(['get', '--from', 'a/2', '--keys-only', '--reverse']))).toEqual(['b', 'a/2'])
    expect(lines(await quorate(['get', '--prefix', '', '--limit', '1', '--keys-only']))).toEqual(['a/1'])
    expect(lines(await quorate(['get', '--prefix', 'a/', '--count']))).toEqual(['2'])
    const json = await quorate(['get', '--prefix', 'b', '--json'])
    expect(JSON.parse(json.stdout.toString())).toMatchObject({ key: 'b', value: 'of b', version: 1 })
    expect(lines(await quorate(['del', '--prefix', 'a/']))[0]).toMatch(/^2 keys deleted at revision \d+$/)
    expect((await quorate(['get', 'a/1', '--revision', '3'])).stdout.toString()).toBe('of a/1')
    expect(await quorate(['get', 'a/1'])).toMatchObject({ exitCode: 3 })
  })

  test('neither or both of key and range is wrong usage', async () => {
    for (const args of [['get'], ['get', 'k', '--prefix', 'a'], ['del'], ['get', 'k', '--limit', '1']])
      expect(await quorate(args)).toMatchObject({ exitCode: 2 })
    expect(await quorate(['get', '--prefix', 'a', '--from', 'b'])).toMatchObject({ exitCode: 2 })
  })
})

describe('writes', () => {
  test('add prints the sum', async () => {
    expect(lines(await quorate(['add', 'n']))).toEqual(['1'])
    expect(lines(await quorate(['add', 'n', '--', '-5']))).toEqual(['-4'])
    expect(await quorate(['add', 'n', 'much'])).toMatchObject({ exitCode: 2 })
  })

  test('put passes lifetimes and fences on', async () => {
    await quorate(['put', 'k', 'v', '--ttl', '30s', '--fence', 'a:b:17'])
    expect(cluster.node.executed.at(-1)).toMatchObject({ ttlMs: 30_000, fence: { lock: 'a:b', token: 17 } })
    expect(await quorate(['put', 'k', 'v', '--ttl', '30s', '--lease', '00000000000000aa'])).toMatchObject({
      exitCode: 2,
    })
    expect(await quorate(['put', 'k', 'v', '--fence', '17'])).toMatchObject({ exitCode: 2 })
  })

  test('txn reads standard input, and says by its exit code which branch it was', async () => {
    const stdin = JSON.stringify({ if: [{ key: 't', version: 0 }], then: [{ put: { key: 't', value: '1' } }] })
    const first = await quorate(['txn'], { stdin })
    expect(first).toMatchObject({ exitCode: 0, stderr: '' })
    expect(JSON.parse(first.stdout.toString())).toMatchObject({ succeeded: true })
    expect(await quorate(['txn', '--json'], { stdin })).toMatchObject({ exitCode: 4 })
    expect(await quorate(['txn'], { stdin: '{' })).toMatchObject({
      exitCode: 2,
      stderr: expect.stringMatching(/not JSON/),
    })
    expect(await quorate(['txn', '/does/not/exist'])).toMatchObject({ exitCode: 2 })
  })

  test('compact says from where on history is known', async () => {
    expect(lines(await quorate(['compact', '2']))).toEqual(['history is known from revision 2 on'])
  })
})

describe('watch', () => {
  test('prints what there is and what changes, until Ctrl-C', async () => {
    await quorate(['put', 'w/1', 'one'])
    let interrupt = nothing
    const watching = quorate(['watch', '--prefix', 'w/', '--initial', '--json'], {
      onReady: (end) => (interrupt = end),
    })
    await expect.poll(() => cluster.node.watches.length).toBeGreaterThan(0)
    await quorate(['put', 'w/2', 'two'])
    await quorate(['del', 'w/1'])
    setTimeout(() => interrupt(), 200)
    const done = await watching
    expect(done).toMatchObject({ exitCode: 0, stderr: '' })
    expect(lines(done).map((line) => JSON.parse(line))).toMatchObject([
      { event: 'put', key: 'w/1' },
      { event: 'sync' },
      { event: 'put', key: 'w/2', value: 'two' },
      { event: 'delete', key: 'w/1' },
    ])
  })
})

describe('lease, lock and elect', () => {
  test('a lease is granted, kept, listed and revoked', async () => {
    const [id] = lines(await quorate(['lease', 'grant', '30s']))
    expect(id).toMatch(/^[0-9a-f]{16}$/)
    await quorate(['put', 'leased', 'v', '--lease', id!])
    expect(await quorate(['lease', 'keep-alive', id!])).toMatchObject({ exitCode: 0 })
    expect((await quorate(['lease', 'list'])).stdout.toString()).toContain(id!)
    expect(lines(await quorate(['lease', 'revoke', id!]))).toEqual(['revoked; 1 key deleted with it'])
    expect(await quorate(['lease', 'keep-alive', id!])).toMatchObject({ exitCode: 3 })
    expect(await quorate(['lease', 'revoke', 'none'])).toMatchObject({ exitCode: 2 })
  })

  test('lock runs a command while it is held, and exits as it did', async () => {
    const script = 'process.exit(/^job:\\d+$/.test(process.env.QUORATE_FENCE) ? 7 : 1)'
    expect(await quorate(['lock', 'job', '--', process.execPath, '-e', script])).toMatchObject({ exitCode: 7 })
    expect(cluster.node.locks.get('lock/job')!.holder).toBeUndefined()
    expect(await quorate(['lock', 'job', '--', '/does/not/exist'])).toMatchObject({ exitCode: 2 })
  })

  test('lock without a command holds until Ctrl-C; others who do not wait are turned away', async () => {
    let interrupt = nothing
    const holding = quorate(['lock', 'held'], { onReady: (end) => (interrupt = end) })
    await expect.poll(() => cluster.node.locks.get('lock/held')?.holder).toBeDefined()
    expect(await quorate(['lock', 'held', '--wait', '0s'])).toMatchObject({ exitCode: 1 })
    setTimeout(() => interrupt(), 100)
    expect(await holding).toMatchObject({ exitCode: 0, stdout: expect.objectContaining({}) })
    expect(cluster.node.locks.get('lock/held')!.holder).toBeUndefined()
  })

  test('a command ends when the lock under it is lost', async () => {
    const sleeping = quorate([
      'lock',
      'lost',
      '--ttl',
      '300ms',
      '--',
      process.execPath,
      '-e',
      'setTimeout(() => {}, 20000)',
    ])
    await expect.poll(() => cluster.node.locks.get('lock/lost')?.holder).toBeDefined()
    cluster.node.expireLease(cluster.node.locks.get('lock/lost')!.holder!.lease)
    expect(await sleeping).toMatchObject({ exitCode: 1, stderr: expect.stringMatching(/lock lost was lost/) })
  }, 15_000)

  test('elect leads with a value, and observers see it', async () => {
    let interrupt = nothing
    const leading = quorate(['elect', 'boss', '--value', 'me'], { onReady: (end) => (interrupt = end) })
    await expect.poll(() => cluster.node.locks.get('election/boss')?.holder).toBeDefined()
    let stop = nothing
    const observing = quorate(['elect', 'boss', '--observe', '--json'], { onReady: (end) => (stop = end) })
    await expect.poll(() => cluster.node.observations.length).toBeGreaterThan(0)
    setTimeout(() => stop(), 200)
    const [first] = lines(await observing)
    expect(JSON.parse(first!)).toMatchObject({ leader: { value: 'me' } })
    interrupt()
    expect(await leading).toMatchObject({ exitCode: 0 })
  })
})

test('help of each command teaches with examples', async () => {
  for (const name of ['get', 'put', 'del', 'add', 'txn', 'watch', 'lease', 'lock', 'elect', 'compact']) {
    const { stderr, exitCode } = await run([name, '--help'], { stdin: Readable.from([]) })
    expect(exitCode).toBe(0)
    expect(stderr).toMatch(/Examples?:\n {2}\S/)
  }
})
