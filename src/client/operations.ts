// The requests that a client makes, as plain data: where they go, what they say, how their answers are read.
import type { ClusterStatus, NodeStatus } from '../api/status.ts'
import { parseDelete, parseGet, parsePut } from './answers.ts'
import type { DeleteResult, Failure, PutResult } from './answers.ts'
import { parseCluster, parseStatus, parseTransfer, parseVersion } from './admin-answers.ts'
import type { VersionInfo } from './admin-answers.ts'
import { valueBytes } from './commands.ts'
import type { GetResult } from './entry.ts'
import { keyPath, nameTarget } from './key-path.ts'
import type { Key } from './key-path.ts'
import { checkConditions, checkFreshness, checkLifetime, leaseIdOf } from './option-checks.ts'
import type { DeleteOptions, FenceOption, GetOptions, PutOptions, ReadOptions } from './options.ts'
import type { OperationKind } from './retry-policy.ts'
import type { TransportRequest, TransportResponse } from './transport.ts'

export interface Operation<T> {
  /** For messages: `put`. */
  readonly name: string
  readonly kind: OperationKind
  readonly method: TransportRequest['method']
  readonly path: string
  /** Further parameters, without the `timeout` that each attempt adds. Names and values need no escaping. */
  readonly query: readonly string[]
  readonly headers: Readonly<Record<string, string>>
  /** Made for each attempt. */
  readonly body?: (() => Uint8Array) | undefined
  /** The node understands `timeout`. */
  readonly takesTimeout: boolean
  /** Throws a FailedAnswer. */
  readonly parse: (response: TransportResponse) => T
  /** Told of each attempt that failed. */
  readonly onFailure?: ((failure: Failure) => void) | undefined
}

const NO_HEADERS: Readonly<Record<string, string>> = {}

export function getOperation(key: Key, options: GetOptions): Operation<GetResult | undefined> {
  const query = freshness(options)
  if (options.revision !== undefined) query.push(`revision=${options.revision}`)
  return {
    name: 'get',
    kind: 'read',
    method: 'GET',
    path: keyPath(key),
    query,
    headers: NO_HEADERS,
    takesTimeout: true,
    parse: (response) => parseGet(response, key),
  }
}

/** How fresh a read must be, as parameters. */
export function freshness(options: ReadOptions): string[] {
  checkFreshness(options)
  const { consistency, minRevision, maxStaleMs } = options
  const query: string[] = []
  if (consistency === 'stale') query.push('consistency=stale')
  if (maxStaleMs !== undefined) query.push(`maxStale=${maxStaleMs}ms`)
  if (minRevision !== undefined) query.push(`minRevision=${minRevision}`)
  return query
}

export function putOperation(key: Key, value: string | Uint8Array, options: PutOptions): Operation<PutResult> {
  checkLifetime(options)
  const { contentType, prev = false, ttlMs, lease, fence } = options
  const headers: Record<string, string> = {}
  if (contentType !== undefined) headers['content-type'] = contentType
  const query = applyCondition(options, headers)
  if (prev) query.push('prev')
  if (ttlMs !== undefined) query.push(`ttl=${ttlMs}ms`)
  if (lease !== undefined) query.push(`lease=${leaseIdOf(lease)!}`)
  query.push(...fenceQuery(fence))
  const body = valueBytes(value)
  return {
    name: 'put',
    kind: 'write',
    method: 'PUT',
    path: keyPath(key),
    query,
    headers,
    body: () => body,
    takesTimeout: true,
    parse: (response) => parsePut(response, key, prev),
  }
}

export function deleteOperation(key: Key, options: DeleteOptions): Operation<DeleteResult> {
  const { prev = false, fence } = options
  const headers: Record<string, string> = {}
  const query = applyCondition(options, headers)
  if (prev) query.push('prev')
  query.push(...fenceQuery(fence))
  return {
    name: 'delete',
    kind: 'write',
    method: 'DELETE',
    path: keyPath(key),
    query,
    headers,
    takesTimeout: true,
    parse: (response) => parseDelete(response, key, prev),
  }
}

export const transferOperation = (to: string | undefined): Operation<void> => ({
  name: 'transferLeadership',
  kind: 'admin',
  method: 'POST',
  path: '/v1/leader/transfer',
  query: [],
  headers: { 'content-type': 'application/json' },
  body: () => Buffer.from(JSON.stringify(to === undefined ? {} : { to })),
  takesTimeout: false,
  parse: parseTransfer,
})

export const statusOperation = (): Operation<NodeStatus> => question('status', '/v1/status', parseStatus)
export const clusterOperation = (): Operation<ClusterStatus> => question('cluster', '/v1/cluster', parseCluster)
export const versionOperation = (): Operation<VersionInfo> => question('version', '/version', parseVersion)

const question = <T>(name: string, path: string, parse: (response: TransportResponse) => T): Operation<T> => ({
  name,
  kind: 'read',
  method: 'GET',
  path,
  query: [],
  headers: NO_HEADERS,
  takesTimeout: false,
  parse,
})

const fenceQuery = (fence: FenceOption | undefined): string[] =>
  fence === undefined ? [] : [`fence=${nameTarget(fence.name)}:${fence.token}`]

/** Adds the condition of a write to its headers, or gives it as a parameter. */
function applyCondition(options: PutOptions & DeleteOptions, headers: Record<string, string>): string[] {
  checkConditions(options)
  if (options.ifAbsent === true) headers['if-none-match'] = '*'
  if (options.ifExists === true) headers['if-match'] = '*'
  return options.ifRevision === undefined ? [] : [`cas=${options.ifRevision}`]
}
