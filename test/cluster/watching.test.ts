// A crowd of watchers on one node while that node is killed: each resumes elsewhere by the id of its last event, and has every
// event once and in order. What the crowd costs the node in memory is bounded.
import { afterEach, describe, expect, it } from 'vitest'
import { Client, op, type PutResult, type TxnStep } from '../../src/client/index.ts'
import { EventConsumer, historyOf } from '../support/event-consumer.ts'
import { RealCluster, type RealNode, until } from '../support/real-cluster.ts'
import { IS_FULL, LONG_MS, pauseFor, residentMiB, scaled, tell } from '../support/scale.ts'

const WATCHERS = scaled(300, 1_000)
const WRITES = scaled(120, 1_200)
/** Twenty a second. */
const WRITE_EVERY_MS = 50
/** What a node may grow by under the crowd: sockets and what is queued on them, not a copy of the events for each. MiB. */
const GROWTH_MAX_MIB = 100

let cluster: RealCluster
let watchers: EventConsumer[] = []
afterEach(async () => {
  for (const watcher of watchers) watcher.stop()
  watchers = []
  await cluster.close()
})

/** Where two lists begin to differ. */
function difference(heard: readonly string[], expected: readonly string[]): string | undefined {
  const at = Array.from({ length: Math.max(heard.length, expected.length) }).findIndex(
    (_, i) => heard[i] !== expected[i],
  )
  return at === -1 ? undefined : `event ${at} of ${expected.length}: ${heard[at]} instead of ${expected[at]}`
}

/** Named apart from a promise's `then`, which takes other things. */
const together = (client: Client, steps: readonly TxnStep<PutResult>[]) => {
  const txn = client.txn()
  return txn.then(...steps).commit({ timeoutMs: 30_000 })
}

/** Every fourth write is a transaction whose three events share a revision, every tenth a deletion. Gives the last revision. */
async function writeSteadily(client: Client, onWrite: (at: number) => void): Promise<number> {
  const startMs = performance.now()
  let last = 0
  for (let at = 0; at < WRITES; at++) {
    await pauseFor(Math.max(0, startMs + at * WRITE_EVERY_MS - performance.now()))
    onWrite(at)
    const key = (offset: number): string => `crowd/${(at + offset) % 50}`
    const put = (offset: number) => op.put(key(offset), `${at}`)
    if (at % 4 === 3) last = (await together(client, [put(0), put(1), put(2)])).revision
    else if (at % 10 === 9) await client.delete(key(-5), { timeoutMs: 30_000 })
    else last = (await client.put(key(0), `${at}`, { timeoutMs: 30_000 })).revision
  }
  return last
}

async function memory(): Promise<string> {
  const all = await Promise.all(cluster.nodes.map(async (node) => `${node.name} ${await residentMiB(node)}`))
  return `${all.join(', ')} MiB`
}

async function restart(node: RealNode): Promise<void> {
  await node.stop('SIGKILL')
  await cluster.leader(cluster.nodes.filter((other) => other !== node))
  node.start()
  await node.ready()
}

describe('a crowd of watchers', () => {
  it('W1: each has every event once and in order, although its node is killed', { timeout: LONG_MS }, async () => {
    cluster = await RealCluster.start()
    const leader = await cluster.leader()
    const victim = IS_FULL ? leader : (await cluster.followers())[0]!
    await using client = new Client({ endpoints: cluster.urls })
    const first = (await client.put('crowd/first', 'before anybody watches')).revision + 1
    const before = await residentMiB(victim)
    tell(`before: ${await memory()}`)
    const order = [victim, ...cluster.nodes.filter((node) => node !== victim)].map((node) => node.url)
    // All begin on the victim; their second choices differ.
    const choices = [order, [order[0]!, order[2]!, order[1]!]]
    const query = `prefix=crowd/&revision=${first}`
    watchers = Array.from({ length: WATCHERS }, (_, at) => new EventConsumer(choices[at % 2]!, query, 0))
    await until('all watch', () => watchers.every((watcher) => watcher.isOpen))
    let [grown, restarted]: [number, Promise<void>[]] = [0, []]
    const last = await writeSteadily(client, (at) => {
      if (at === Math.floor(WRITES / 3)) restarted.push(residentMiB(victim).then((now) => void (grown = now - before)))
      if (at === Math.floor(WRITES / 3) + 2) restarted.push(restart(victim))
    })
    await Promise.all(restarted)
    const history = await historyOf(victim.url, query, last)
    await until('all have heard all', () => watchers.every(({ heard }) => heard.length >= history.length))
    tell(
      `${WATCHERS} watchers, ${history.length} events each; ${victim.name} had grown by ${grown} MiB when it was killed`,
    )
    tell(`after: ${await memory()}`)
    for (const watcher of watchers) expect(difference(watcher.heard, history)).toBeUndefined()
    expect(watchers.flatMap(({ endings }) => endings).filter((ending) => !ending.startsWith('status 503'))).toEqual([])
    expect(watchers.every(({ connections }) => connections >= 2)).toBe(true)
    expect(new Set(history).size).toBe(history.length)
    expect(grown).toBeLessThan(GROWTH_MAX_MIB)
    for (const node of cluster.nodes) expect(await residentMiB(node)).toBeLessThan(before + GROWTH_MAX_MIB)
  })
})
