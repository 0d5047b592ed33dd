// Writes that the client repeats through kill -9 of leaders are applied once: increments add up, and versions count the writes.
import { afterEach, describe, expect, it } from 'vitest'
import { Client, ClientError, type Transaction } from '../../src/client/index.ts'
import { RealCluster, until } from '../support/real-cluster.ts'
import { IS_FULL, LONG_MS, scaled, tell } from '../support/scale.ts'

/** Long enough for an election or two: what is in question is not how long a client tries. */
const TIMEOUT_MS = 30_000

interface Outcome {
  done: number
  /** Nobody knows whether these were applied. */
  unknown: number
  /** Runs of a transaction's function; those beyond one for each increment found that somebody was faster. */
  runs: number
}

const newOutcome = (): Outcome => ({ done: 0, unknown: 0, runs: 0 })

let cluster: RealCluster
afterEach(() => cluster.close())

/** Kills the leader and starts it again, at these numbers of finished increments. */
async function killLeaders(at: readonly number[], outcome: Outcome): Promise<void> {
  for (const count of at) {
    await until(`${count} increments are done`, () => outcome.done >= count)
    const leader = await cluster.leader()
    await leader.stop('SIGKILL')
    await cluster.leader(cluster.nodes.filter((node) => node !== leader))
    leader.start()
    await leader.ready()
  }
}

/** Repeats what was certainly not applied, until this many were, or may have been. */
async function repeat(count: number, outcome: Outcome, increment: () => Promise<unknown>): Promise<void> {
  for (let done = 0; done < count;) {
    try {
      await increment()
      outcome.done++
      done++
    } catch (error) {
      if (!(error instanceof ClientError)) throw error
      if (error.outcome === 'not-applied') continue
      outcome.unknown++
      done++
    }
  }
}

async function increment(tx: Transaction, outcome: Outcome): Promise<void> {
  outcome.runs++
  const entry = await tx.get('sum')
  tx.put('sum', String(Number(entry?.text() ?? 0) + 1))
}

/** Many clients, each on its own connections and in its own session. */
async function withClients(count: number, work: (client: Client) => Promise<void>): Promise<void> {
  const clients = Array.from({ length: count }, () => new Client({ endpoints: cluster.urls, timeoutMs: TIMEOUT_MS }))
  try {
    await Promise.all(clients.map(work))
  } finally {
    await Promise.all(clients.map((client) => client.close()))
  }
}

async function sum(key: string): Promise<{ value: number; version: number }> {
  await using client = new Client({ endpoints: cluster.urls })
  const entry = await client.get(key)
  return { value: Number(entry?.text() ?? 0), version: entry?.version ?? 0 }
}

/** Of as many increments as were done, each was applied once; one of unknown outcome once or never. */
async function expectExact(key: string, outcome: Outcome): Promise<void> {
  const { value, version } = await sum(key)
  expect(value).toBeGreaterThanOrEqual(outcome.done)
  expect(value).toBeLessThanOrEqual(outcome.done + outcome.unknown)
  expect(version).toBe(value)
}

describe('while leaders are killed', () => {
  it('A2: transactions of many clients add up, so do adds, and versions count puts', { timeout: LONG_MS }, async () => {
    cluster = await RealCluster.start()
    const [clients, each, adders, addsEach] = [scaled(20, 50), scaled(8, 20), 20, scaled(50, 500)]
    const total = clients * each
    const [putters, putsEach] = [scaled(10, 50), scaled(30, 200)]
    const [outcome, added, put] = [newOutcome(), newOutcome(), newOutcome()]
    const startMs = performance.now()
    const keys: string[] = []
    const puts = withClients(putters, (client) => {
      const key = `puts/${keys.length}`
      keys.push(key)
      return repeat(putsEach, put, () => client.put(key, 'a value that says nothing about how often it was put'))
    })
    const adds = withClients(adders, (client) => repeat(addsEach, added, () => client.add('counter')))
    const increments = withClients(clients, (client) =>
      repeat(each, outcome, () => client.transaction((tx) => increment(tx, outcome), { attempts: 1_000 })),
    )
    await killLeaders(IS_FULL ? [total / 5, (2 * total) / 5, (3 * total) / 5] : [total / 5, total / 2], outcome)
    await Promise.all([increments, adds, puts])
    const tookMs = Math.round(performance.now() - startMs)
    tell(`${total} increments by ${clients} clients in ${tookMs} ms, ${outcome.runs} runs, ${outcome.unknown} unknown`)
    tell(
      `${adders * addsEach} adds, ${added.unknown} unknown; ${putters * putsEach} puts by ${putters} clients, ${put.unknown} unknown`,
    )
    expect(outcome.done + outcome.unknown).toBe(total)
    expect(added.done + added.unknown).toBe(adders * addsEach)
    await expectExact('sum', outcome)
    await expectExact('counter', added)
    for (const node of cluster.nodes) {
      await using client = new Client({ endpoints: [node.url] })
      const versions = await Promise.all(keys.map(async (key) => (await client.get(key))?.version ?? 0))
      const count = versions.reduce((total, version) => total + version, 0)
      expect(Math.max(...versions)).toBeLessThanOrEqual(putsEach)
      expect(count).toBeGreaterThanOrEqual(put.done)
      expect(count).toBeLessThanOrEqual(put.done + put.unknown)
    }
  })
})
