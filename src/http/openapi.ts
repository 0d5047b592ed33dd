// The description of this API in OpenAPI 3.1, put together from the same route table, schemas, limits and error table that the
// server runs on, so that it cannot fall behind them. It describes what exists.
import { WIRE_LIMITS } from '../api/limits.ts'
import { ELECTION_ROUTE, KEEP_ALIVE_ROUTE, KEY_ROUTE, LEASE_ROUTE, LOCK_ROUTE, ROUTES } from '../api/routes.ts'
import type { RoutePath } from '../api/routes.ts'
import * as schemas from '../api/schemas.ts'
import { batchOperation, keyOperations, rangeOperations, txnOperation, watchOperation } from './openapi-keys.ts'
import { inPath } from './openapi-parts.ts'
import type { Json } from './openapi-parts.ts'
import {
  compactOperation,
  electionOperations,
  health,
  leaseOperations,
  lockOperations,
  page,
  transferOperation,
} from './openapi-side.ts'

/** Each route's operations by method; HEAD is GET without the body. */
const OPERATIONS: Readonly<Record<RoutePath, Readonly<Record<string, Json>>>> = {
  [KEY_ROUTE]: keyOperations,
  '/v1/kv': rangeOperations,
  '/v1/txn': { post: txnOperation },
  '/v1/batch': { post: batchOperation },
  '/v1/watch': { get: watchOperation },
  '/v1/leases': { get: leaseOperations.list, post: leaseOperations.grant },
  [LEASE_ROUTE]: { get: leaseOperations.get, delete: leaseOperations.revoke },
  [KEEP_ALIVE_ROUTE]: { post: leaseOperations.keepAlive },
  [LOCK_ROUTE]: lockOperations,
  [ELECTION_ROUTE]: electionOperations,
  '/v1/compact': { post: compactOperation },
  '/v1/digest': { get: page('The digest of the state, to compare nodes by', 'DigestAnswer') },
  '/v1/status': { get: page('This node', 'StatusAnswer') },
  '/v1/cluster': { get: page('The members of the cluster, as the leader knows them', 'ClusterAnswer') },
  '/v1/leader/transfer': { post: transferOperation },
  '/v1/openapi.json': { get: page('This description', undefined) },
  '/livez': { get: health('Whether the process is alive; does not depend on a quorum') },
  '/readyz': { get: health('Whether to send requests here: there is a leader, a caught-up state, a writable disk') },
  '/version': { get: page('The versions of Quorate, of Node.js and of this API', 'VersionAnswer') },
  '/': { get: page('What there is', 'RootAnswer') },
}

const lease = inPath('id', '16 hexadecimal digits in lower case')
const name = inPath(
  'name',
  `1 to ${WIRE_LIMITS.lockNameBytesMax} bytes, percent-encoded; slashes may stand as they are`,
)

/** The paths that routes are known by outside, with what stands in them. */
const OUTSIDE: Partial<Record<RoutePath, readonly { readonly path: string; readonly parameter: Json }[]>> = {
  [KEY_ROUTE]: [
    {
      path: '/v1/kv/{key}',
      parameter: inPath('key', `1 to ${WIRE_LIMITS.keyBytesMax} bytes, percent-encoded; slashes may stand as they are`),
    },
    {
      path: '/v1/kv64/{key64}',
      parameter: inPath('key64', 'The same resource, the key in canonical base64url'),
    },
  ],
  [LEASE_ROUTE]: [{ path: '/v1/leases/{id}', parameter: lease }],
  [KEEP_ALIVE_ROUTE]: [{ path: '/v1/leases/{id}/keepalive', parameter: lease }],
  [LOCK_ROUTE]: [{ path: '/v1/locks/{name}', parameter: name }],
  [ELECTION_ROUTE]: [{ path: '/v1/elections/{name}', parameter: name }],
}

function pathItem(route: RoutePath): Json {
  const operations = OPERATIONS[route]
  const methods: readonly string[] = ROUTES[route]
  const get = operations['get']
  return methods.includes('HEAD') && get !== undefined
    ? { ...operations, head: { ...get, summary: `${String(get['summary'])}, without the body` } }
    : operations
}

function paths(): Json {
  const all = (Object.keys(ROUTES) as RoutePath[]).flatMap((route): [string, Json][] => {
    const outside = OUTSIDE[route]
    if (outside === undefined) return [[route, pathItem(route)]]
    return outside.map(({ path, parameter }) => [path, { parameters: [parameter], ...pathItem(route) }])
  })
  return Object.fromEntries(all)
}

/** The document as the server sends it. */
export function openApiText(release: string): string {
  return JSON.stringify({
    openapi: '3.1.0',
    info: {
      title: 'Quorate',
      version: release,
      license: { name: 'MIT', identifier: 'MIT' },
      description:
        'A replicated key-value store. Every answer carries Quorate-Revision, Quorate-Term, Quorate-Node and, ' +
        'while there is a leader, Quorate-Leader. Every error is a problem document.',
    },
    paths: paths(),
    components: { schemas },
  })
}
