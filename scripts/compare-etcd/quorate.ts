// A cluster of three real nodes, as a store under comparison: plain HTTP, each operation through another node.
import { unreachable } from '../../src/lib/assert.ts'
import { RealCluster } from '../../test/support/real-cluster.ts'
import type { Answer, Comparison, Entry, Event, Operation, Range, Step, Store } from './operations.ts'

interface JsonEntry {
  readonly key: string
  readonly value?: string
  readonly createRevision?: number
  readonly modRevision?: number
  readonly version?: number
  readonly lease?: string
}
interface JsonRange {
  readonly entries?: readonly JsonEntry[]
  readonly count?: number
  readonly more?: boolean
}
type JsonResult =
  | { readonly put: object }
  | { readonly delete: { readonly deleted: number } }
  | { readonly get: JsonRange }
  | { readonly txn: JsonTxn }
interface JsonTxn {
  readonly succeeded: boolean
  readonly results: readonly JsonResult[]
}
interface JsonEvent extends JsonEntry {
  readonly event: 'put' | 'delete' | 'progress' | 'compacted' | 'sync' | 'lagging'
  readonly revision: number
  readonly prev?: JsonEntry | null
}

/** etcd's listing has no limit unless it is given one. */
const LIMIT_MAX = 1_000
const leaseId = (lease: number): string => lease.toString(16).padStart(16, '0')

export async function startQuorate(): Promise<Store> {
  const cluster = await RealCluster.start()
  return new Quorate(
    cluster.nodes.map((node) => node.url),
    () => cluster.close(),
  )
}

class Quorate implements Store {
  readonly #urls: readonly string[]
  readonly #stop: () => Promise<void>
  #turn = 0
  #revision = 1

  constructor(urls: readonly string[], stop: () => Promise<void>) {
    this.#urls = urls
    this.#stop = stop
  }

  async perform(operation: Operation): Promise<Answer> {
    switch (operation.op) {
      case 'put': {
        const lease = operation.lease === 0 ? '' : `?lease=${leaseId(operation.lease)}`
        return await this.#ask('PUT', `/v1/kv/${encodeURIComponent(operation.key)}${lease}`, operation.value)
      }
      case 'delete':
        return await this.#ask('DELETE', `/v1/kv?${query(operation.range)}`, undefined, pickDeleted)
      case 'get':
        return await this.#get(operation)
      case 'txn':
        return await this.#ask('POST', '/v1/txn', JSON.stringify(txn(operation)), pickTxn)
      case 'grant': {
        const body = { id: leaseId(operation.lease), ttl: `${operation.ttl}s` }
        return await this.#ask('POST', '/v1/leases', JSON.stringify(body))
      }
      case 'revoke':
        return await this.#ask('DELETE', `/v1/leases/${leaseId(operation.lease)}`)
      case 'lease-keys':
        return await this.#ask('GET', `/v1/leases/${leaseId(operation.lease)}`, undefined, (body) => ({
          keys: [...(body as { keys: string[] }).keys].sort(),
        }))
      case 'compact':
        return await this.#ask('POST', '/v1/compact', JSON.stringify({ revision: operation.revision }))
      case 'watch':
        return await this.#watch(operation)
      default:
        return unreachable(operation)
    }
  }

  close(): Promise<void> {
    return this.#stop()
  }

  get #url(): string {
    return this.#urls[this.#turn++ % this.#urls.length]!
  }

  async #ask(
    method: string,
    path: string,
    body?: string,
    pick: (document: unknown) => object = () => ({}),
  ): Promise<Answer> {
    const json = method === 'POST' ? { 'content-type': 'application/json' } : undefined
    const request = body === undefined ? { method } : { method, body, ...(json === undefined ? {} : { headers: json }) }
    const answer = await fetch(this.#url + path, request)
    const document: unknown = await answer.text().then((text) => (text.startsWith('{') ? JSON.parse(text) : undefined))
    if (!answer.ok) return refusal(`${method} ${path} ${body ?? ''}`, document as { code: string; detail: string })
    this.#revision = Number(answer.headers.get('quorate-revision'))
    return { revision: this.#revision, ...pick(document) }
  }

  /** etcd's count is that of the whole range whatever the limit. */
  async #get(step: Extract<Step, { op: 'get' }>): Promise<Answer> {
    const past = step.revision === 0 ? '' : `&revision=${step.revision}`
    const path = `/v1/kv?${query(step.range)}${past}`
    const counted = await this.#ask('GET', `${path}&countOnly`, undefined, (body) => ({
      count: (body as JsonRange).count,
    }))
    if ('error' in counted) return counted
    if (step.countOnly) return { entries: [], more: false, ...counted }
    const limit = step.limit === 0 ? LIMIT_MAX : step.limit
    const listed = await this.#ask(
      'GET',
      `${path}&limit=${limit}${step.reverse ? '&reverse' : ''}`,
      undefined,
      (body) => ({
        entries: ((body as JsonRange).entries ?? []).map(entryOf),
        more: (body as JsonRange).more === true,
      }),
    )
    return 'error' in listed ? listed : { ...listed, count: counted.count! }
  }

  async #watch(operation: Extract<Operation, { op: 'watch' }>): Promise<Answer> {
    const abort = new AbortController()
    const path = `/v1/watch?${query(operation.range)}&revision=${operation.revision}${operation.prev ? '&prev' : ''}`
    const answer = await fetch(this.#url + path, {
      headers: { accept: 'application/x-ndjson' },
      signal: abort.signal,
    })
    if (!answer.ok) return refusal(path, (await answer.json()) as { code: string; detail: string })
    const events: Event[] = []
    let rest = ''
    const silence = setTimeout(() => abort.abort(), 150)
    try {
      for await (const chunk of answer.body!) {
        rest += Buffer.from(chunk).toString()
        for (let end = rest.indexOf('\n'); end >= 0; end = rest.indexOf('\n')) {
          const event = JSON.parse(rest.slice(0, end)) as JsonEvent
          rest = rest.slice(end + 1)
          if (event.event === 'compacted') return { error: 'compacted' }
          if (event.event === 'put' || event.event === 'delete') events.push(eventOf(event, event.event))
          silence.refresh()
        }
      }
    } catch (error) {
      if (!abort.signal.aborted) throw error
    } finally {
      clearTimeout(silence)
      abort.abort()
    }
    return { revision: this.#revision, events }
  }
}

function refusal(what: string, problem: { code: string; detail: string }): Answer {
  if (problem.code === 'COMPACTED') return { error: 'compacted' }
  if (problem.code === 'LEASE_NOT_FOUND') return { error: 'lease-not-found' }
  if (problem.code === 'CONFLICT') return { error: 'lease-exists' }
  if (problem.code === 'BAD_PARAMETER' || /future|not reached/i.test(problem.detail)) return { error: 'future' }
  if (problem.code === 'BAD_REQUEST' && /twice/.test(problem.detail)) return { error: 'duplicate-key' }
  throw new Error(`quorate: ${what}: ${JSON.stringify(problem)}`)
}

function query({ from, to }: Range): string {
  const end = to ?? `${from}\0`
  return `from64=${base64url(from)}&to64=${base64url(end)}`
}

const base64url = (text: string): string => Buffer.from(text).toString('base64url')

const jsonRange = ({ from, to }: Range): object => (to === undefined ? { key: from } : { from, to })

function txn(step: Extract<Step, { op: 'txn' }>): object {
  const branches = [
    ['then', step.success],
    ['else', step.failure],
  ] as const
  return {
    if: step.compares.map(compare),
    ...Object.fromEntries(branches.map(([name, steps]) => [name, steps.map(operation)])),
  }
}

function compare({ range, target, operator, operand }: Comparison): object {
  const value = target === 'value' ? operand : target === 'lease' ? leaseId(Number(operand)) : Number(operand)
  const shown = target === 'lease' && operand === '0' ? '' : value
  return { ...jsonRange(range), [target]: operator === '=' ? shown : { [operator]: shown } }
}

function operation(step: Step): object {
  switch (step.op) {
    case 'put': {
      const lease = step.lease === 0 ? {} : { lease: leaseId(step.lease) }
      return { put: { key: step.key, value: step.value, ...lease } }
    }
    case 'delete':
      return { delete: jsonRange(step.range) }
    case 'get': {
      const limit = step.limit === 0 ? {} : { limit: step.limit }
      const flags = { ...(step.reverse ? { reverse: true } : {}), ...(step.countOnly ? { countOnly: true } : {}) }
      return { get: { ...jsonRange(step.range), ...limit, ...flags } }
    }
    case 'txn':
      return { txn: txn(step) }
    default:
      return unreachable(step)
  }
}

const entryOf = (entry: JsonEntry): Entry => ({
  key: entry.key,
  value: entry.value ?? '',
  createRevision: entry.createRevision ?? 0,
  modRevision: entry.modRevision ?? 0,
  version: entry.version ?? 0,
  lease: entry.lease === undefined ? 0 : Number.parseInt(entry.lease, 16),
})

function eventOf(event: JsonEvent, kind: 'put' | 'delete'): Event {
  const prev = event.prev === undefined || event.prev === null ? null : entryOf(event.prev)
  return { kind, entry: entryOf({ ...event, modRevision: event.modRevision ?? event.revision }), prev }
}

const pickDeleted = (document: unknown): object => ({ deleted: (document as { deleted: number }).deleted })

const pickTxn = (document: unknown): object => txnResult(document as JsonTxn)

function txnResult({ succeeded, results }: JsonTxn): object {
  return {
    succeeded,
    results: results.map((result) => {
      if ('get' in result) {
        const { entries = [], count = 0, more = false } = result.get
        return { entries: entries.map(entryOf), more, ...(more ? {} : { count }) }
      }
      if ('delete' in result) return { deleted: result.delete.deleted }
      return 'txn' in result ? txnResult(result.txn) : {}
    }),
  }
}
