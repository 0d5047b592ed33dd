// The routes: every path of the HTTP API with the methods it takes. Server, client and description are built from this table.

/** What stands before a key in a request target. */
export const KEY_PREFIX = '/v1/kv/'
export const KEY64_PREFIX = '/v1/kv64/'

/** The path that all key targets share inside the server, and that no other target has. */
export const KEY_ROUTE = '/v1/kv/_'

export const ROUTES = {
  [KEY_ROUTE]: ['GET', 'HEAD', 'PUT', 'DELETE'],
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

/** What `OPTIONS *` and CONNECT are told: every method that some path takes. */
export const ALLOW_ANYWHERE = 'GET, HEAD, PUT, POST, DELETE, OPTIONS'

/** The methods of a path as an `Allow` header names them; OPTIONS is answered everywhere. */
export const ALLOW: ReadonlyMap<string, string> = new Map(
  Object.entries(ROUTES).map(([path, methods]) => [path, [...methods, 'OPTIONS'].join(', ')]),
)
