// Who is measured against whom for throughput: each way of reaching each store, with the load generator that suits it best.
import { removeFolder, temporaryFolder } from '../cleanup.ts'
import { runClientLoad } from '../load/client-run.ts'
import { GO_LOAD_INSTALL, runGoLoad } from '../load/go-load.ts'
import type { LoadResult } from '../load/load-result.ts'
import { BENCH_KEYS, BENCH_VALUE_BYTES } from '../load/requests.ts'
import type { Dialect } from '../load/requests.ts'
import { assertFilled } from '../load/run-load.ts'
import { runWrk, WRK_INSTALL } from '../load/wrk.ts'
import { ceiling } from '../systems/ceiling.ts'
import { ETCD_INSTALL } from '../systems/etcd.ts'
import { NATS_INSTALL } from '../systems/nats.ts'
import type { RunningSystem, System } from '../systems/system.ts'
import { ZOOKEEPER_INSTALL } from '../systems/zookeeper.ts'
import { DEFAULTS, fillKeys } from './drivers.ts'
import type { BenchContext, FurtherStore } from './part.ts'

export type Kind = 'put' | 'get'

export interface Drive {
  readonly kind: Kind
  readonly clients: number
  readonly seconds: number
  readonly seed: number
  /** Called when the measurement itself begins, after what a generator needs to get ready. */
  readonly onStart?: () => void
}

/** Which way to which store. */
export type Way = 'http' | 'client' | 'client-txn' | 'grpc' | 'txn' | 'json' | 'nats' | 'zookeeper' | 'ceiling'

export interface Contender {
  readonly way: Way
  readonly name: string
  readonly system: RunningSystem
  readonly kinds: readonly Kind[]
  readonly clients: readonly number[]
  drive(this: void, drive: Drive): Promise<LoadResult>
}

export interface Field {
  readonly contenders: readonly Contender[]
  readonly systems: readonly RunningSystem[]
  /** What is missing, and how to get it. */
  readonly notes: readonly string[]
  stop(): Promise<void>
}

const BOTH: readonly Kind[] = ['put', 'get']
const SHORT_CLIENTS = [1, 256]
const FULL_CLIENTS = [1, 64, 256, 1_000]
/** What one client gathers grows with its callers; the steps between tell nothing new. */
const CALLERS = [1, 256, 1_000]
/** One count is enough where a column only sets the others in relation. */
const COLUMN_CLIENTS = [256]
/** Transactions are large; more of them under way only wait. The better of the two counts. */
const TXN_CLIENTS = [16, 64]
const TXN_PUTS = 128
/** Of the further stores; NATS has no transactions, so that its keys go in one by one. */
const FILLERS = 64

const txnClients = ({ isShort }: BenchContext): readonly number[] => (isShort ? TXN_CLIENTS.slice(0, 1) : TXN_CLIENTS)

/** Starts the stores with fresh data below one folder each, and fills them. */
export async function startField(context: BenchContext): Promise<Field> {
  const systems: RunningSystem[] = []
  const requests = temporaryFolder('requests')
  const stop = async (): Promise<void> => {
    await Promise.all(systems.map((system) => system.stop()))
    removeFolder(requests)
  }
  const start = async (system: System, nodes: 1 | 3): Promise<RunningSystem> => {
    const running = await system.start(temporaryFolder(system.name.toLowerCase()), { nodes })
    systems.push(running)
    return running
  }
  try {
    const contenders = [...ours(context, await start(context.quorate, 3), requests)]
    if (context.etcd !== undefined) contenders.push(...theirs(context, await start(context.etcd, 3), requests))
    for (const { system, way } of contenders.filter(({ way }) => way === 'client' || way === 'json')) {
      context.progress(`filling ${BENCH_KEYS} keys of ${way === 'json' ? 'etcd' : 'Quorate'}`)
      await fillKeys(context, system, way === 'json' ? 'etcd' : 'quorate', DEFAULTS)
    }
    for (const way of ['nats', 'zookeeper'] as const) {
      const store = context[way]
      if (store !== undefined) contenders.push(await further(way, store, await start(store.system, 3)))
    }
    if (context.hasWrk) contenders.push(...overHttp('ceiling', await start(ceiling, 1), requests, context))
    const wanted = contenders.filter(({ clients }) => clients.length > 0)
    return { contenders: wanted, systems, notes: absences(context), stop }
  } catch (error) {
    await stop()
    throw error
  }
}

function ours(context: BenchContext, system: RunningSystem, folder: string): Contender[] {
  const client: Contender = {
    way: 'client',
    name: 'Quorate, TypeScript client',
    system,
    kinds: BOTH,
    clients: context.isShort ? SHORT_CLIENTS.slice(1) : CALLERS,
    drive: ({ kind, clients, seconds, seed, onStart }) =>
      runClientLoad({ endpoints: system.urls, kind, callers: clients, seconds, seed }, onStart),
  }
  const transactions: Contender = {
    way: 'client-txn',
    name: `Quorate, TypeScript client, transactions of ${TXN_PUTS} puts`,
    system,
    kinds: ['put'],
    clients: txnClients(context),
    drive: ({ clients, seconds, seed, onStart }) =>
      runClientLoad({ endpoints: system.urls, kind: 'txn', batch: TXN_PUTS, callers: clients, seconds, seed }, onStart),
  }
  return [...overHttp('http', system, folder, context), client, transactions]
}

function theirs(context: BenchContext, system: RunningSystem, folder: string): Contender[] {
  const { etcdLoad } = context
  const json = overHttp('json', system, folder, context)
  if (etcdLoad === undefined) return json
  const endpoints = [system.urls[0]!]
  const common = { endpoints, keys: BENCH_KEYS, valueBytes: BENCH_VALUE_BYTES }
  return [
    {
      way: 'grpc',
      name: 'etcd, Go client',
      system,
      kinds: BOTH,
      clients: context.isShort ? SHORT_CLIENTS : FULL_CLIENTS,
      drive: ({ kind, clients, seconds, seed, onStart }) => {
        onStart?.()
        return runGoLoad(etcdLoad, { ...common, op: kind, clients, seconds, seed })
      },
    },
    {
      way: 'txn',
      name: `etcd, Go client, transactions of ${TXN_PUTS} puts`,
      system,
      kinds: ['put'],
      clients: txnClients(context),
      drive: ({ clients, seconds, seed, onStart }) => {
        onStart?.()
        return runGoLoad(etcdLoad, { ...common, op: 'txn', batch: TXN_PUTS, clients, seconds, seed })
      },
    },
    ...json,
  ]
}

/** Filled here, because what a generator needs in its store begins with the first key: a bucket, or the nodes above the keys. */
async function further(
  way: 'nats' | 'zookeeper',
  { system: store, load }: FurtherStore,
  system: RunningSystem,
): Promise<Contender> {
  const common = { endpoints: system.urls, keys: BENCH_KEYS, valueBytes: BENCH_VALUE_BYTES }
  assertFilled(await runGoLoad(load, { ...common, op: 'fill', clients: FILLERS }))
  return {
    way,
    name: `${store.name}, Go client`,
    system,
    kinds: BOTH,
    clients: COLUMN_CLIENTS,
    drive: ({ kind, clients, seconds, seed, onStart }) => {
      onStart?.()
      return runGoLoad(load, { ...common, op: kind, clients, seconds, seed })
    },
  }
}

const HTTP_NAMES = { http: 'Quorate, HTTP', json: 'etcd, JSON over HTTP', ceiling: 'ceiling, HTTP' } as const

function overHttp(
  way: keyof typeof HTTP_NAMES,
  system: RunningSystem,
  folder: string,
  context: BenchContext,
): Contender[] {
  const dialect: Dialect = way === 'json' ? 'etcd' : 'quorate'
  const common = { folder, url: system.urls[0]!, dialect, keys: BENCH_KEYS, valueBytes: BENCH_VALUE_BYTES }
  const short = way === 'http' ? SHORT_CLIENTS : way === 'ceiling' ? SHORT_CLIENTS.slice(1) : []
  const full = way === 'http' ? FULL_CLIENTS : COLUMN_CLIENTS
  return [
    {
      way,
      name: HTTP_NAMES[way],
      system,
      kinds: BOTH,
      clients: context.hasWrk ? (context.isShort ? short : full) : [],
      drive: ({ kind, clients, seconds, seed, onStart }) => {
        onStart?.()
        return runWrk({ ...common, kind, connections: clients, seconds, seed })
      },
    },
  ]
}

function absences(context: BenchContext): string[] {
  const notes: string[] = []
  if (!context.hasWrk)
    notes.push(`wrk is not installed (Debian: ${WRK_INSTALL}): nothing was measured over plain HTTP.`)
  if (context.etcd === undefined)
    notes.push(`etcd is not installed (Debian: ${ETCD_INSTALL}): Quorate was measured alone.`)
  else if (context.etcdLoad === undefined) {
    notes.push(
      `the Go client of etcd could not be built (Debian: ${GO_LOAD_INSTALL.etcd}): etcd was measured over JSON alone.`,
    )
  }
  if (context.nats === undefined && !context.isShort) {
    notes.push(`NATS is left out (Debian: ${NATS_INSTALL}; ${GO_LOAD_INSTALL.nats}).`)
  }
  if (context.zookeeper === undefined && !context.isShort) {
    notes.push(`ZooKeeper is left out (Debian: ${ZOOKEEPER_INSTALL}; ${GO_LOAD_INSTALL.zookeeper}).`)
  }
  return notes
}
