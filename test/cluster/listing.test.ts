// A listing of very many keys through curl, as one stream: the node neither gathers it in memory nor keeps others waiting.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { afterEach, describe, expect, it } from 'vitest'
import { Client, op } from '../../src/client/index.ts'
import { hasCurl } from '../support/curl.ts'
import { RealCluster, type RealNode } from '../support/real-cluster.ts'
import { IS_FULL, LONG_MS, mappedFiles, median, residentMiB, scaled, tell } from '../support/scale.ts'

const KEYS = scaled(50_000, 1_000_000)
const KEYS_A_WRITE = 125
const WRITERS = 16
const VALUE = 'v'.repeat(32)
/** Of the few keys of every run the young generation of the heap is the larger part: on Node.js 24 some 70 MiB, on 20 a few. */
const GROWTH_MAX_MIB = scaled(100, 50)
/** 300 MB: what a node with a million keys may take. Node.js 24 frees buffers later. */
const MEMORY_MAX_MIB = Number.parseInt(process.versions.node, 10) < 24 ? 286 : 400
const SLOWER_MAX = 3
/** Below this a ratio of latencies says more of the machine than of the node. */
const LATENCY_FLOOR_MS = 1
const SAMPLES = 500

let cluster: RealCluster
afterEach(() => cluster.close())

const keyOf = (at: number): string => `bulk/${String(at).padStart(8, '0')}`

async function fill(): Promise<void> {
  await using client = new Client({ endpoints: cluster.urls, timeoutMs: 60_000 })
  let next = 0
  const write = async (): Promise<void> => {
    while (next < KEYS) {
      const from = next
      next += KEYS_A_WRITE
      const steps = Array.from({ length: KEYS_A_WRITE }, (_, at) => op.put(keyOf(from + at), VALUE))
      await client
        .txn()
        .then(...steps)
        .commit()
    }
  }
  await Promise.all(Array.from({ length: WRITERS }, write))
}

/** Linearizable reads of one key, one after another, while the claim holds. */
async function readWhile(node: RealNode, isWanted: (count: number) => boolean): Promise<number[]> {
  const tookMs: number[] = []
  while (isWanted(tookMs.length)) {
    const startMs = performance.now()
    const answer = await node.http('GET', `/v1/kv/${keyOf(17)}`)
    expect(answer.status).toBe(200)
    tookMs.push(performance.now() - startMs)
  }
  return tookMs
}

/** Lists everything with curl; gives the number of lines and of those that are not the key that comes next. */
async function listing(node: RealNode): Promise<{ lines: number; strays: number }> {
  const url = `${node.url}/v1/kv?prefix=bulk/`
  const child = spawn('curl', ['--silent', '--show-error', '--fail', '-H', 'Accept: application/x-ndjson', url], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const ended = once(child, 'close')
  let [lines, strays, rest] = [0, 0, '']
  child.stdout.setEncoding('utf8')
  child.stdout.on('data', (chunk: string) => {
    const all = (rest + chunk).split('\n')
    rest = all.pop()!
    for (const line of all) if (!line.includes(`"key":"${keyOf(lines++)}"`)) strays++
  })
  expect(await ended).toEqual([0, null])
  return { lines, strays }
}

describe.skipIf(!hasCurl())('a listing of everything with curl', () => {
  it('holds the memory of the node and the latency of others within bounds', { timeout: LONG_MS }, async () => {
    cluster = await RealCluster.start()
    const startMs = performance.now()
    await fill()
    const filledMs = Math.round(performance.now() - startMs)
    const node = (await cluster.followers())[0]!
    await readWhile(node, (count) => count < SAMPLES)
    const quiet = median(await readWhile(node, (count) => count < SAMPLES))
    // The first one lets the heap's young generation grow to its size, which differs between releases of Node.js.
    await listing(node)
    const before = await residentMiB(node)
    let peak = before
    const listings = { areOn: true }
    const sampling = readWhile(node, () => listings.areOn)
    const watchingMemory = (async () => {
      while (listings.areOn) {
        peak = Math.max(peak, await residentMiB(node))
        await new Promise((resolve) => setTimeout(resolve, 20))
      }
    })()
    const listMs = performance.now()
    const rounds: { lines: number; strays: number }[] = []
    for (let round = 0; round < scaled(3, 2); round++) rounds.push(await listing(node))
    const tookMs = Math.round(performance.now() - listMs)
    listings.areOn = false
    await watchingMemory
    const samples = await sampling
    const busy = median(samples)
    tell(
      `${KEYS} keys, written in ${filledMs} ms, listed ${rounds.length} times in ${tookMs} ms; ${node.name} ${before} MiB, at most ${peak} MiB`,
    )
    tell(`reads: median ${quiet.toFixed(2)} ms, meanwhile ${busy.toFixed(2)} ms of ${samples.length}`)
    for (const { lines, strays } of rounds) expect([lines, strays]).toEqual([KEYS, 0])
    // All of the database was just read.
    expect((await mappedFiles(node)).filter((file) => file.includes('/state/'))).toEqual([])
    expect(peak - before).toBeLessThan(GROWTH_MAX_MIB)
    expect(peak).toBeLessThan(MEMORY_MAX_MIB)
    // Shared machines are noisy: a ratio of times is claimed only where the full numbers were asked for.
    if (IS_FULL) expect(busy).toBeLessThan(SLOWER_MAX * Math.max(quiet, LATENCY_FLOOR_MS))
  })
})
