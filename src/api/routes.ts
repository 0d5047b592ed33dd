// The routes: every path of the HTTP API with the methods it takes. Server, client and description are built from this table.

/** What stands before a key in a request target. */
export const KEY_PREFIX = '/v1/kv/'
export const KEY64_PREFIX = '/v1/kv64/'

/** What stands before the id of a lease, and what may follow it. */
export const LEASE_PREFIX = '/v1/leases/'
export const KEEP_ALIVE_SUFFIX = '/keepalive'

/** What stands before a name, which is bytes like a key. */
export const LOCK_PREFIX = '/v1/locks/'
export const ELECTION_PREFIX = '/v1/elections/'

/** The path that all key targets share inside the server, and that no other target has. The same for those below. */
export const KEY_ROUTE = '/v1/kv/_'
export const LEASE_ROUTE = '/v1/leases/_'
export const KEEP_ALIVE_ROUTE = '/v1/leases/_/keepalive'
export const LOCK_ROUTE = '/v1/locks/_'
export const ELECTION_ROUTE = '/v1/elections/_'

export const ROUTES = {
  [KEY_ROUTE]: ['GET', 'HEAD', 'PUT', 'POST', 'DELETE'],
  '/v1/kv': ['GET', 'HEAD', 'DELETE'],
  '/v1/txn': ['POST'],
  '/v1/batch': ['POST'],
  '/v1/watch': ['GET'],
  '/v1/leases': ['GET', 'HEAD', 'POST'],
  [LEASE_ROUTE]: ['GET', 'HEAD', 'DELETE'],
  [KEEP_ALIVE_ROUTE]: ['POST'],
  [LOCK_ROUTE]: ['GET', 'HEAD', 'POST', 'DELETE'],
  [ELECTION_ROUTE]: ['GET', 'HEAD', 'POST', 'DELETE'],
  '/v1/compact': ['POST'],
  '/v1/digest': ['GET', 'HEAD'],
  '/v1/status': ['GET', 'HEAD'],
  '/v1/cluster': ['GET', 'HEAD'],
  '/v1/leader/transfer': ['POST'],
  '/v1/openapi.json': ['GET', 'HEAD'],
  '/livez': ['GET', 'HEAD'],
  '/readyz': ['GET', 'HEAD'],
  '/version': ['GET', 'HEAD'],
  '/': ['GET', 'HEAD'],
} as const satisfies Record<string, readonly string[]>

export type RoutePath = keyof typeof ROUTES

/** The methods that some path takes, OPTIONS aside. */
export type RouteMethod = (typeof ROUTES)[RoutePath][number]

/** What `OPTIONS *` and CONNECT are told: every method that some path takes. */
export const ALLOW_ANYWHERE = 'GET, HEAD, PUT, POST, DELETE, OPTIONS'

/** The methods of a path as an `Allow` header names them; OPTIONS is answered everywhere. */
export const ALLOW: ReadonlyMap<string, string> = new Map(
  Object.entries(ROUTES).map(([path, methods]) => [path, [...methods, 'OPTIONS'].join(', ')]),
)
