// A lock under kill -9 and SIGSTOP of its holders, keys with a time to live under kill -9 of the leader, and the commands that people
// use for them: quorate lock, elect and watch.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { Client } from '../../src/client/index.ts'
import { Prng } from '../../src/lib/prng.ts'
import { historyOf } from '../support/event-consumer.ts'
import { RealCluster, type RealNode, until } from '../support/real-cluster.ts'
import { LONG_MS, pauseFor, scaled, tell } from '../support/scale.ts'

const WORKER = fileURLToPath(new URL('../support/lock-worker.mjs', import.meta.url))
const BIN = fileURLToPath(new URL('../../dist/cli/quorate.cjs', import.meta.url))

let cluster: RealCluster
const children = new Set<ChildProcess>()
beforeAll(async () => {
  cluster = await RealCluster.start()
})
beforeEach(() => cluster.whole())
afterEach(() => Promise.all([...children].map(end)))
afterAll(() => cluster.close())

/** Kills a process that may be stopped, and waits for its end. */
async function end(child: ChildProcess): Promise<void> {
  children.delete(child)
  if (child.exitCode !== null || child.signalCode !== null) return
  const exited = once(child, 'exit')
  child.kill('SIGCONT')
  child.kill('SIGKILL')
  await exited
}

function run(args: readonly string[], onLine: (line: string) => void): ChildProcess {
  const env = { ...process.env, NO_COLOR: '1', QUORATE_ENDPOINTS: cluster.urls.join(',') }
  const child = spawn(process.execPath, [...args], { stdio: ['ignore', 'pipe', 'inherit'], env })
  createInterface({ input: child.stdout }).on('line', onLine)
  children.add(child)
  return child
}

const exitOf = async (child: ChildProcess): Promise<unknown> => {
  if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
  children.delete(child)
  return child.exitCode ?? child.signalCode
}

const PROCESSES = scaled(8, 20)
const LOCK_TTL_MS = 1_000
const LOCK_MS = scaled(8_000, 120_000)

/** Processes that pass the lock around, and what they said. */
class Crowd {
  readonly tokens: number[] = []
  readonly failures: string[] = []
  fenced = 0
  kills = 0
  stops = 0
  readonly #workers: ChildProcess[]

  constructor() {
    this.#workers = Array.from({ length: PROCESSES }, (_, at) => this.#start(at))
  }

  /** Does something unkind to whoever holds the lock. */
  async disturb(client: Client, prng: Prng): Promise<void> {
    const { holder } = await client.lockInfo('passed')
    const at = Number(/^w(\d+)\//.exec(holder?.owner ?? '')?.[1] ?? prng.below(PROCESSES))
    const worker = this.#workers[at]!
    if (prng.chance(1, 2)) {
      this.kills++
      await end(worker)
      this.#workers[at] = this.#start(at)
    } else {
      this.stops++
      worker.kill('SIGSTOP')
      await until('the stopped one is not the holder any longer', async () => {
        const now = (await client.lockInfo('passed')).holder
        return now !== undefined && now.token !== holder?.token
      })
      worker.kill('SIGCONT')
    }
  }

  async end(): Promise<void> {
    await Promise.all(this.#workers.map(end))
  }

  #start(at: number): ChildProcess {
    return run([WORKER, cluster.urls.join(','), 'passed', `w${at}`, `${LOCK_TTL_MS}`], (line) => {
      const said = JSON.parse(line) as { event: string; token: number; code?: string; message?: string }
      if (said.event === 'held') this.tokens.push(said.token)
      else if (said.event === 'fenced') this.fenced++
      else this.failures.push(`${said.code}: ${said.message}`)
    })
  }
}

interface Turn {
  readonly token: number
  readonly owner: string
  readonly at: number
}

function turnOf(line: string): Turn {
  const [, , token, owner, at] = line.split(' ')
  return { token: Number(token), owner: owner!, at: Number(at) }
}

/** What contradicts that one holder wrote after another, each its own numbers in order. */
function interleavings(turns: readonly Turn[]): string[] {
  const found: string[] = []
  for (const [index, { token, owner, at }] of turns.entries()) {
    const before = turns[index - 1]
    if (before === undefined || token > before.token) {
      if (at !== 0) found.push(`${owner} began token ${token} with write ${at}`)
    } else if (token < before.token)
      found.push(`${owner} wrote with ${token} after ${before.owner} with ${before.token}`)
    else if (owner !== before.owner) found.push(`${owner} and ${before.owner} both wrote with ${token}`)
    else if (at !== before.at + 1) found.push(`${owner} wrote ${at} after ${before.at}, with ${token}`)
  }
  return found
}

describe('a lock that is passed around', () => {
  it('never has two holders whose writes interleave, and its tokens only grow', { timeout: LONG_MS }, async () => {
    const seed = `${process.pid}`
    const prng = new Prng(seed)
    await using client = new Client({ endpoints: cluster.urls, timeoutMs: 30_000 })
    const first = (await client.put('start', '')).revision + 1
    const crowd = new Crowd()
    await until('it is passed around', () => crowd.tokens.length > PROCESSES)
    const endMs = performance.now() + LOCK_MS
    // At least until a holder that slept was refused when it woke: without one nothing was tried.
    while (performance.now() < endMs || crowd.fenced === 0) {
      await crowd.disturb(client, prng)
      const passed = crowd.tokens.length
      await until('it goes on', () => crowd.tokens.length > passed + 2)
    }
    await crowd.end()
    const last = await client.put('passed/log', '0 end 0')
    const turns = (await historyOf(cluster.nodes[0]!.url, `key=passed/log&revision=${first}`, last.revision)).map(
      turnOf,
    )
    turns.pop()
    const holders = new Set(turns.map(({ token }) => token)).size
    tell(
      `seed ${seed}: ${turns.length} writes by ${holders} holders; ${crowd.kills} killed, ${crowd.stops} stopped, ${crowd.fenced} refused by the fence`,
    )
    expect(interleavings(turns)).toEqual([])
    expect(new Set(crowd.tokens).size).toBe(crowd.tokens.length)
    expect(crowd.failures.filter((failure) => !/^(LEASE_NOT_FOUND|TIMEOUT|SESSION_EXPIRED)/.test(failure))).toEqual([])
    expect(crowd.stops).toBeGreaterThan(0)
  })
})

const TTL_MS = 3_000
/** An election, the time that a dead leader had counted and told nobody, a second for expiry itself, and a busy machine. */
const LATE_MS_MAX = 10_000

interface Life {
  readonly key: string
  readonly sentMs: number
  readonly acknowledgedMs: number
  /** When a read that found it was sent, and when an answer that missed it had come. */
  lastSeenMs: number
  missedMs: number | undefined
}

async function observe(node: RealNode, life: Life): Promise<void> {
  if (life.missedMs !== undefined) return
  const sentMs = performance.now()
  const answer = await node.http('GET', `/v1/kv/${life.key}`).catch(() => undefined)
  if (answer?.status === 200) life.lastSeenMs = sentMs
  else if (answer?.status === 404) life.missedMs = performance.now()
}

describe('keys with a time to live', () => {
  it('A7: go never early, and within a bound after, although the leader is killed', { timeout: LONG_MS }, async () => {
    await using client = new Client({ endpoints: cluster.urls, timeoutMs: 30_000 })
    const lives: Life[] = []
    for (let at = 0; at < scaled(40, 400); at++) {
      const [key, sentMs] = [`short/${at}`, performance.now()]
      await client.put(key, 'x', { ttlMs: TTL_MS })
      lives.push({ key, sentMs, acknowledgedMs: performance.now(), lastSeenMs: 0, missedMs: undefined })
      if (at % 10 === 9) await pauseFor(100)
    }
    const leader = await cluster.leader()
    await leader.stop('SIGKILL')
    const rest = cluster.nodes.filter((node) => node !== leader)
    await until('all are gone', async () => {
      await Promise.all(lives.map((life, at) => observe(rest[at % rest.length]!, life)))
      return lives.every(({ missedMs }) => missedMs !== undefined)
    })
    const early = lives.filter(({ sentMs, missedMs }) => missedMs! - sentMs < TTL_MS)
    const late = lives.map(({ acknowledgedMs, lastSeenMs }) => lastSeenMs - acknowledgedMs - TTL_MS)
    tell(`${lives.length} keys of ${TTL_MS} ms; the last was seen ${Math.round(Math.max(...late))} ms after its time`)
    expect(early).toEqual([])
    expect(Math.max(...late)).toBeLessThan(LATE_MS_MAX)
    leader.start()
    await leader.ready()
    for (const node of cluster.nodes)
      expect((await node.http('GET', '/v1/kv?prefix=short/&countOnly')).text).toContain('"count":0')
  })
})

describe('the commands', () => {
  it('quorate lock, elect and watch do what they say, over the death of whoever held and led', async () => {
    await using client = new Client({ endpoints: cluster.urls, timeoutMs: 30_000 })
    const changes: string[] = []
    const watching = run([BIN, 'watch', '--prefix', 'cli/', '--initial', '--json'], (line) => changes.push(line))
    await until('the watch has begun', () => changes.some((line) => line.includes('sync')))
    const script = `"$0" "$1" put cli/fenced "$QUORATE_LOCK_TOKEN" --fence "$QUORATE_FENCE"; exit 7`
    const lock = ['lock', 'nightly', '--ttl', '30s', '--']
    const holder = run([BIN, ...lock, 'sh', '-c', script, process.execPath, BIN], () => {})
    expect(await exitOf(holder)).toBe(7)
    const token = Number((await client.get('cli/fenced'))!.text())
    expect(token).toBeGreaterThan(0)
    expect((await client.lockInfo('nightly')).holder).toBeUndefined()
    const stale = run([BIN, 'put', 'cli/fenced', 'x', '--fence', `nightly:${token}`], () => {})
    expect(await exitOf(stale)).toBe(4)

    const leaders: string[] = []
    run([BIN, 'elect', 'chief', '--observe'], (line) => leaders.push(line))
    const told: string[] = []
    const candidate = (value: string, ttl: string) =>
      run([BIN, 'elect', 'chief', '--value', value, '--ttl', ttl], (line) => told.push(`${value}: ${line}`))
    // Whoever dies is waited for; a lease of whoever lives must not end because the machine is busy.
    const ann = candidate('ann', '1s')
    await until('ann leads', () => leaders.some((line) => line.endsWith('ann')))
    const bob = candidate('bob', '30s')
    await end(ann)
    await until('bob leads', () => leaders.some((line) => line.endsWith('bob')))
    // Observers may hear of it before bob does, and who is interrupted while it waits does not know what became of that.
    await until('bob knows', () => told.some((line) => line.startsWith('bob: leading')))
    bob.kill('SIGINT')
    expect(await exitOf(bob)).toBe(0)
    await until('nobody leads', () => leaders.at(-1) === 'nobody leads')

    await (await cluster.leader()).stop('SIGKILL')
    await client.put('cli/after', 'x')
    await until('the watch has heard of it', () => changes.some((line) => line.includes('cli/after')))
    watching.kill('SIGINT')
    expect(await exitOf(watching)).toBe(0)
    const events = changes.map((line) => JSON.parse(line) as { event: string; key?: string })
    expect(events.map(({ event, key }) => `${event} ${key ?? ''}`)).toEqual([
      'sync ',
      'put cli/fenced',
      'put cli/after',
    ])
  })
})
