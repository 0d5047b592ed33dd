// A real etcd (Debian's, one node on loopback, fresh data) through its JSON gateway, as a store under comparison.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { unreachable } from '../../src/lib/assert.ts'
import type { Answer, Comparison, Entry, Event, Operation, Range, Step, Store } from './operations.ts'

const base64 = (text: string): string => Buffer.from(text).toString('base64')
const SILENCE_MS = 150

const text = (encoded: string | undefined): string => Buffer.from(encoded ?? '', 'base64').toString()

/** What etcd's JSON says; numbers are strings, and zero values are left out. */
interface Kv {
  readonly key: string
  readonly value?: string
  readonly create_revision?: string
  readonly mod_revision?: string
  readonly version?: string
  readonly lease?: string
}
interface RangeResponse {
  readonly kvs?: readonly Kv[]
  readonly count?: string
  readonly more?: boolean
}
interface TxnResponse {
  readonly succeeded?: boolean
  readonly responses?: readonly {
    readonly response_put?: object
    readonly response_range?: RangeResponse
    readonly response_delete_range?: { readonly deleted?: string }
    readonly response_txn?: TxnResponse
  }[]
}
type Response = RangeResponse &
  TxnResponse & {
    readonly error?: string
    readonly message?: string
    readonly header?: { readonly revision?: string }
    readonly deleted?: string
    readonly keys?: readonly string[]
  }
interface WatchLine {
  readonly result?: {
    readonly header?: { readonly revision?: string }
    readonly created?: boolean
    readonly compact_revision?: string
    readonly events?: readonly { readonly type?: 'DELETE'; readonly kv: Kv; readonly prev_kv?: Kv }[]
  }
}

const ERRORS: readonly (readonly [RegExp, Extract<Answer, { error: string }>['error']])[] = [
  [/has been compacted/, 'compacted'],
  [/future revision/, 'future'],
  [/lease not found/, 'lease-not-found'],
  [/lease already exists/, 'lease-exists'],
  [/duplicate key/, 'duplicate-key'],
]

export async function startEtcd(clientPort: number, peerPort: number): Promise<Store> {
  const directory = await mkdtemp(join(tmpdir(), 'compare-etcd-'))
  const url = `http://127.0.0.1:${clientPort}`
  const args = ['--data-dir', directory, '--listen-client-urls', url, '--advertise-client-urls', url]
  const peer = `http://127.0.0.1:${peerPort}`
  args.push('--listen-peer-urls', peer, '--initial-advertise-peer-urls', peer, '--initial-cluster', `default=${peer}`)
  const child = spawn('etcd', args, { stdio: 'ignore' })
  const store = new Etcd(url, async () => {
    child.kill()
    await once(child, 'exit')
    await rm(directory, { recursive: true, force: true })
  })
  for (let attempt = 0; ; attempt++) {
    try {
      await store.perform({
        op: 'get',
        range: { from: 'a', to: undefined },
        limit: 0,
        reverse: false,
        countOnly: true,
        revision: 0,
      })
      return store
    } catch (error) {
      if (attempt === 100) throw error
      await pause(100)
    }
  }
}

class Etcd implements Store {
  readonly #url: string
  readonly #stop: () => Promise<void>
  #revision = 1

  constructor(url: string, stop: () => Promise<void>) {
    this.#url = url
    this.#stop = stop
  }

  async perform(operation: Operation): Promise<Answer> {
    switch (operation.op) {
      case 'put':
        return await this.#ask('kv/put', put(operation), () => ({}))
      case 'delete':
        return await this.#ask('kv/deleterange', rangeOf(operation.range), deleted)
      case 'get':
        return await this.#ask('kv/range', get(operation), range)
      case 'txn':
        return await this.#ask('kv/txn', txn(operation), txnResult)
      case 'grant':
        return await this.#ask('lease/grant', { ID: String(operation.lease), TTL: String(operation.ttl) }, () => ({}))
      case 'revoke':
        return await this.#ask('lease/revoke', { ID: String(operation.lease) }, () => ({}))
      case 'lease-keys':
        return await this.#leaseKeys(operation.lease)
      case 'compact':
        return await this.#ask('kv/compaction', { revision: String(operation.revision) }, () => ({}))
      case 'watch':
        return await this.#watch(operation)
      default:
        return unreachable(operation)
    }
  }

  close(): Promise<void> {
    return this.#stop()
  }

  async #ask(path: string, body: object, read: (response: Response) => object): Promise<Answer> {
    const answer = await fetch(`${this.#url}/v3/${path}`, { method: 'POST', body: JSON.stringify(body) })
    const response = (await answer.json()) as Response
    if (!answer.ok) {
      const message = response.error ?? response.message ?? ''
      const known = ERRORS.find(([pattern]) => pattern.test(message))
      if (known === undefined) throw new Error(`etcd: ${path} ${JSON.stringify(body)}: ${message}`)
      return { error: known[1] }
    }
    this.#revision = Number(response.header?.revision ?? this.#revision)
    return { revision: this.#revision, ...read(response) }
  }

  async #leaseKeys(lease: number): Promise<Answer> {
    const body = { ID: String(lease), keys: true }
    const answer = await fetch(`${this.#url}/v3/lease/timetolive`, { method: 'POST', body: JSON.stringify(body) })
    const response = (await answer.json()) as Response & { readonly grantedTTL?: string }
    if (!answer.ok || response.grantedTTL === undefined) return { error: 'lease-not-found' }
    return { revision: this.#revision, keys: (response.keys ?? []).map(text).sort() }
  }

  /**
   * The events from a revision up to the present. etcd's gauge of watchers that are behind says when it has sent them all; what
   * is then still on its way comes before a short silence.
   */
  async #watch(operation: Extract<Operation, { op: 'watch' }>): Promise<Answer> {
    const { range: watched, revision, prev } = operation
    const abort = new AbortController()
    const create = { ...rangeOf(watched), start_revision: String(revision), prev_kv: prev }
    const body = JSON.stringify({ create_request: create })
    const answer = await fetch(`${this.#url}/v3/watch`, { method: 'POST', body, signal: abort.signal })
    const events: Event[] = []
    let rest = ''
    let silence: NodeJS.Timeout | undefined
    const listenForSilence = async (): Promise<void> => {
      await this.#allSent(abort.signal)
      silence = setTimeout(() => abort.abort(), SILENCE_MS)
    }
    const listening = listenForSilence()
    try {
      for await (const chunk of answer.body!) {
        rest += Buffer.from(chunk).toString()
        for (let end = rest.indexOf('\n'); end >= 0; end = rest.indexOf('\n')) {
          const { result } = JSON.parse(rest.slice(0, end)) as WatchLine
          rest = rest.slice(end + 1)
          if (Number(result?.compact_revision ?? 0) > 0) return { error: 'compacted' }
          for (const event of result?.events ?? []) events.push(eventOf(event))
          silence?.refresh()
        }
      }
    } catch (error) {
      if (!abort.signal.aborted) throw error
    } finally {
      abort.abort()
      await listening
      clearTimeout(silence)
    }
    return { revision: this.#revision, events }
  }

  async #allSent(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const metrics = await (await fetch(`${this.#url}/metrics`)).text()
      const behind = /^etcd_debugging_mvcc_slow_watcher_total (\S+)$/m.exec(metrics)?.[1]
      if (behind === undefined) throw new Error('etcd: no gauge of watchers that are behind')
      if (Number(behind) === 0) return
      await pause(10)
    }
  }
}

const rangeOf = ({ from, to }: Range): object => ({
  key: base64(from),
  ...(to === undefined ? {} : { range_end: base64(to) }),
})

const put = (step: Extract<Step, { op: 'put' }>): object => ({
  key: base64(step.key),
  value: base64(step.value),
  lease: String(step.lease),
})

const get = (step: Extract<Step, { op: 'get' }>): object => ({
  ...rangeOf(step.range),
  limit: String(step.limit),
  revision: String(step.revision),
  count_only: step.countOnly,
  ...(step.reverse ? { sort_order: 'DESCEND', sort_target: 'KEY' } : {}),
})

function txn(step: Extract<Step, { op: 'txn' }>): object {
  return { compare: step.compares.map(compare), success: step.success.map(request), failure: step.failure.map(request) }
}

function request(step: Step): object {
  switch (step.op) {
    case 'put':
      return { request_put: put(step) }
    case 'delete':
      return { request_delete_range: rangeOf(step.range) }
    case 'get':
      return { request_range: get(step) }
    case 'txn':
      return { request_txn: txn(step) }
    default:
      return unreachable(step)
  }
}

const TARGETS = {
  version: ['VERSION', 'version'],
  createRevision: ['CREATE', 'create_revision'],
  modRevision: ['MOD', 'mod_revision'],
  value: ['VALUE', 'value'],
  lease: ['LEASE', 'lease'],
} as const

function compare({ range: compared, target, operator, operand }: Comparison): object {
  const [name, field] = TARGETS[target]
  return {
    ...rangeOf(compared),
    target: name,
    result: { '=': 'EQUAL', '!=': 'NOT_EQUAL', '<': 'LESS', '>': 'GREATER' }[operator],
    [field]: target === 'value' ? base64(operand) : operand,
  }
}

const entryOf = (kv: Kv): Entry => ({
  key: text(kv.key),
  value: text(kv.value),
  createRevision: Number(kv.create_revision ?? 0),
  modRevision: Number(kv.mod_revision ?? 0),
  version: Number(kv.version ?? 0),
  lease: Number(kv.lease ?? 0),
})

type EtcdEvent = { readonly type?: 'DELETE'; readonly kv: Kv; readonly prev_kv?: Kv }

const eventOf = (event: EtcdEvent): Event => ({
  kind: event.type === 'DELETE' ? 'delete' : 'put',
  entry: entryOf(event.kv),
  prev: event.prev_kv === undefined ? null : entryOf(event.prev_kv),
})

const deleted = (response: { readonly deleted?: string }): object => ({ deleted: Number(response.deleted ?? 0) })

const range = (response: RangeResponse): { entries: Entry[]; count: number; more: boolean } => ({
  entries: (response.kvs ?? []).map(entryOf),
  count: Number(response.count ?? 0),
  more: response.more === true,
})

/** Of a page, Quorate counts what is on it, etcd what is in the range. */
function page(response: RangeResponse): object {
  const { entries, count, more } = range(response)
  return more ? { entries, more } : { entries, more, count }
}

const txnResult = (response: TxnResponse): object => ({
  succeeded: response.succeeded === true,
  results: (response.responses ?? []).map((each) => {
    if (each.response_range !== undefined) return page(each.response_range)
    if (each.response_delete_range !== undefined) return deleted(each.response_delete_range)
    return each.response_txn === undefined ? {} : txnResult(each.response_txn)
  }),
})
