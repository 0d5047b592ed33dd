// A load generator with the TypeScript client, as a process of its own: one Client, many concurrent callers, in a closed loop or
// open-loop at a fixed rate. The client gathers what its callers write in one turn of the event loop. Takes its options as JSON in
// its only argument, says when it begins after warming up, and prints one line of JSON; its own lateness and CPU time are part of it.
import { argv, cpuUsage, stdout } from 'node:process'
import { monitorEventLoopDelay, performance } from 'node:perf_hooks'
import { setTimeout as pause } from 'node:timers/promises'
import type * as Published from '../../../src/client/index.ts'
import { SecondsOfLoad, latenciesOf, newHistogram, record } from './latencies.ts'
import type { LoadResult } from './load-result.ts'
import { fillKeysOf, keyName, randomFrom } from './requests.ts'

export interface ClientLoadOptions {
  readonly endpoints: readonly string[]
  /**
   * `txn`: each call is one transaction of `batch` puts. `fill`: each key once, in transactions, from number `from` up to `keys`;
   * it ends by itself.
   */
  readonly kind: 'put' | 'get' | 'txn' | 'fill'
  readonly from: number
  /** Concurrent callers of the one client. With a rate: how many calls may be under way. */
  readonly callers: number
  readonly batch: number
  readonly seconds: number
  /** Whether calls that are not counted come first. Not where what they leave behind would be: on the disk. */
  readonly warmsUp: boolean
  readonly keys: number
  /** Keys are padded to this length. */
  readonly keyBytes: number
  readonly valueBytes: number
  /** Calls a second, from intended start times; 0: closed loop. */
  readonly rate: number
  readonly seed: number
}

/** As a program has it that installs the package: the compiler on the fly that runs this file gives every closure its name, each time. */
const { Client, op }: typeof Published = await import(new URL('../../../dist/client/index.js', import.meta.url).href)

const VALUES_PREPARED = 64
/** A new process compiles its hot paths first: half as long as the run, but no longer than this. */
const WARM_UP_MAX_MS = 2_000
/** Of an open loop, which has no callers of its own. */
const WARM_UP_CALLERS = 64
/** Above the client's own limit of time, after which a call has ended. */
const TIMEOUT_MS = 10_000
/** Filling goes as fast as the store takes it, and slower machines take their time: the client repeats as long. */
const FILL_TIMEOUT_MS = 60_000

const options = JSON.parse(argv[2] ?? '') as ClientLoadOptions
const random = randomFrom(options.seed)
const values = Array.from({ length: VALUES_PREPARED }, () =>
  Buffer.from(Array.from({ length: options.valueBytes }, () => Math.floor(random() * 256))),
)
const client = new Client({ endpoints: options.endpoints })
const latency = newHistogram()
const lateness = newHistogram()
const series = new SecondsOfLoad(TIMEOUT_MS)
const loopDelay = monitorEventLoopDelay({ resolution: 1 })
let operations = 0
let errors = 0
let firstError = ''
let lastSuccessMs = 0
let longestGapMs = 0

const anyKey = (): string => keyName(Math.floor(random() * options.keys)).padEnd(options.keyBytes, 'x')
const anyValue = (): Buffer => values[Math.floor(random() * VALUES_PREPARED)]!

/** One call; how many keys it put or read. */
async function perform(): Promise<number> {
  if (options.kind === 'put') {
    await client.put(anyKey(), anyValue())
    return 1
  }
  if (options.kind === 'get') {
    if ((await client.get(anyKey())) === undefined) throw new Error('a key is missing: fill first')
    return 1
  }
  const chosen = new Set<string>()
  while (chosen.size < options.batch) chosen.add(anyKey())
  await client
    .txn()
    .then(...[...chosen].map((key) => op.put(key, anyValue())))
    .commit()
  return options.batch
}

function fail(reason: string): void {
  errors++
  firstError ||= reason
}

async function timed(sinceMs: number, call = perform): Promise<void> {
  let count: number
  try {
    count = await call()
  } catch (error) {
    fail(String(error))
    return
  }
  operations += count
  const nowMs = performance.now()
  record(latency, nowMs - sinceMs)
  longestGapMs = Math.max(longestGapMs, nowMs - lastSuccessMs)
  lastSuccessMs = nowMs
  if (options.rate > 0) series.add(sinceMs - startMs, nowMs - sinceMs)
}

/** Each caller takes the next keys until there are none. */
async function fill(): Promise<void> {
  const step = fillKeysOf(options.valueBytes)
  let next = options.from
  const caller = async (): Promise<void> => {
    while (next < options.keys) {
      // One that is missing is enough to have failed.
      if (errors > 0) return
      const from = next
      next = Math.min(options.keys, from + step)
      const puts = Array.from({ length: next - from }, (_, at) => op.put(keyName(from + at), anyValue()))
      await timed(performance.now(), async () => {
        await client
          .txn()
          .then(...puts)
          .commit({ timeoutMs: FILL_TIMEOUT_MS })
        return puts.length
      })
    }
  }
  await Promise.all(Array.from({ length: options.callers }, caller))
}

/** Each caller calls again when it was answered. */
async function callUntil(untilMs: number, call: () => Promise<unknown>): Promise<void> {
  const caller = async (): Promise<void> => {
    while (performance.now() < untilMs) await call()
  }
  const callers = options.rate > 0 ? WARM_UP_CALLERS : options.callers
  await Promise.all(Array.from({ length: callers }, caller))
}

async function closedLoop(): Promise<void> {
  await callUntil(startMs + options.seconds * 1_000, () => timed(performance.now()))
}

/** Calls start when they are due; one that finds too many under way is an error, because the store does not keep up. */
async function openLoop(): Promise<void> {
  const total = Math.round(options.rate * options.seconds)
  const underWay = new Set<Promise<void>>()
  for (let started = 0; started < total;) {
    const nowMs = performance.now()
    for (; started < total; started++) {
      const dueMs = startMs + (started * 1_000) / options.rate
      if (dueMs > nowMs) break
      record(lateness, nowMs - dueMs)
      if (underWay.size >= options.callers) {
        fail(`${underWay.size} calls were under way`)
        continue
      }
      const call: Promise<void> = timed(dueMs).then(() => void underWay.delete(call))
      underWay.add(call)
    }
    await pause(1)
  }
  await Promise.all(underWay)
}

// Connecting, and the session of the first write, are not what is measured; neither is the first compilation.
if (options.warmsUp && options.kind !== 'fill') {
  await callUntil(performance.now() + Math.min(WARM_UP_MAX_MS, options.seconds * 500), perform)
}

// Whoever measures what the servers spend begins here.
stdout.write('{"started":true}\n')
loopDelay.enable()
const cpuBefore = cpuUsage()
const startMs = performance.now()
lastSuccessMs = startMs
if (options.kind === 'fill') await fill()
else if (options.rate > 0) await openLoop()
else await closedLoop()
const seconds = (performance.now() - startMs) / 1_000
const cpu = cpuUsage(cpuBefore)
loopDelay.disable()
await client.close()

const result: LoadResult = {
  operations,
  seconds,
  perSecond: operations / seconds,
  errors,
  firstError,
  latency: latenciesOf(latency),
  longestGap: Math.round(longestGapMs * 1_000),
  generatorCpu: cpu.user + cpu.system,
  // In a closed loop nothing is due; there the delay of the event loop says how busy the generator is.
  generatorLag:
    options.rate > 0
      ? latenciesOf(lateness)
      : { p99: Math.round(loopDelay.percentile(99) / 1_000), max: Math.round(loopDelay.max / 1_000) },
  series: series.finish(),
}
stdout.write(`${JSON.stringify(result)}\n`)
