// The description of this API in OpenAPI 3.1, put together from the same route table, schemas, limits and error table that the
// server runs on, so that it cannot fall behind them. It describes what exists.
import { ERRORS } from '../api/errors.ts'
import { WIRE_LIMITS } from '../api/limits.ts'
import { KEY_ROUTE, ROUTES } from '../api/routes.ts'
import type { RoutePath } from '../api/routes.ts'
import * as schemas from '../api/schemas.ts'

type Json = Readonly<Record<string, unknown>>

const KEY_PATH = '/v1/kv/{key}'
const KEY64_PATH = '/v1/kv64/{key64}'

const ref = (name: keyof typeof schemas): Json => ({ $ref: `#/components/schemas/${name}` })
const json = (schema: Json): Json => ({ 'application/json': { schema } })
const bytes: Json = { '*/*': { schema: { type: 'string', format: 'binary', maxLength: WIRE_LIMITS.valueBytesMax } } }

const query = (name: string, description: string, schema: Json): Json => ({ name, in: 'query', description, schema })
const header = (name: string, description: string): Json => ({
  name,
  in: 'header',
  description,
  schema: { type: 'string' },
})

const digits: Json = { type: 'string', pattern: '^[0-9]{1,15}$' }
const durations: Json = { type: 'string', pattern: '^[0-9]{1,15}(ms|s|m|h|d)?$', examples: ['500ms', '2s'] }
const flags: Json = { type: 'string', enum: ['', 'true', 'false'] }

const timeout = query('timeout', 'How long to wait, at most 60s', { ...durations, default: '5s' })

const readParameters: readonly Json[] = [
  query('consistency', 'linearizable: the latest value. stale: this node’s, maybe behind', {
    type: 'string',
    enum: ['linearizable', 'stale'],
    default: 'linearizable',
  }),
  query('maxStale', 'Implies stale; what is older than this is refused with 503 TOO_STALE', durations),
  query('minRevision', 'Wait until this node has applied this revision', digits),
  timeout,
  header('If-Match', '* or entity tags; 412 when none is current'),
  header('If-None-Match', '* or entity tags; 304 when one is current'),
]

const writeParameters: readonly Json[] = [
  header('If-Match', 'One entity tag, which must be current, or *: the key must exist'),
  header('If-None-Match', '*: the key must not exist'),
  query('cas', 'The modRevision that must be current; 0: the key must not exist', digits),
  query('prev', 'Answer with the entry as it was before', flags),
  timeout,
]

const problems = (...statuses: number[]): Record<string, Json> =>
  Object.fromEntries(
    statuses.map((status) => [
      String(status),
      {
        description: Object.entries(ERRORS)
          .filter(([, row]) => row.status === status)
          .map(([code, row]) => `${code}: ${row.title}`)
          .join('. '),
        content: { 'application/problem+json': { schema: ref('Problem') } },
      },
    ]),
  )

const ok = (description: string, content?: Json): Json =>
  content === undefined ? { description } : { description, content }

const WRITE_PROBLEMS = [400, 403, 412, 429, 500, 503, 504, 507]

const getKey: Json = {
  summary: 'The value of a key',
  parameters: readParameters,
  responses: {
    200: ok('The bytes, with ETag, Quorate-Create-Revision and Quorate-Key-Version', bytes),
    304: ok('Not modified'),
    ...problems(400, 403, 404, 412, 429, 500, 503, 504),
  },
}

const putKey: Json = {
  summary: 'Create or replace a key',
  parameters: writeParameters,
  requestBody: { description: 'The value: the body as it is, of any content type', content: bytes },
  responses: {
    200: ok('Replaced; ETag is the new revision. The body is empty without prev', json(ref('PutAnswer'))),
    201: ok('Created', json(ref('PutAnswer'))),
    ...problems(...WRITE_PROBLEMS, 408, 413, 415),
  },
}

const deleteKey: Json = {
  summary: 'Delete a key',
  parameters: writeParameters,
  responses: {
    200: ok('How many keys were deleted: one or none', json(ref('DeleteAnswer'))),
    ...problems(...WRITE_PROBLEMS),
  },
}

const page = (summary: string, answer: keyof typeof schemas | undefined, extra: Json = {}): Json => ({
  summary,
  responses: {
    200: ok(summary, json(answer === undefined ? { type: 'object' } : ref(answer))),
    ...problems(400, 403, 500, 503),
    ...extra,
  },
})

const health = (summary: string): Json => ({
  summary,
  parameters: [query('verbose', 'Name all checks, not only those that fail', flags)],
  responses: {
    200: ok('Every check holds', json(ref('HealthAnswer'))),
    503: ok('A check fails', json(ref('HealthAnswer'))),
    ...problems(400, 403),
  },
})

/** Each route's operations by method; HEAD is GET without the body. */
const OPERATIONS: Readonly<Record<RoutePath, Readonly<Record<string, Json>>>> = {
  [KEY_ROUTE]: { get: getKey, put: putKey, delete: deleteKey },
  '/v1/status': { get: page('This node', 'StatusAnswer') },
  '/v1/cluster': { get: page('The members of the cluster, as the leader knows them', 'ClusterAnswer') },
  '/v1/leader/transfer': {
    post: {
      summary: 'Hand leadership to the named voter, or to the most up to date one',
      requestBody: { content: json(ref('TransferRequest')) },
      responses: { 204: ok('Handed over'), ...problems(400, 403, 404, 408, 409, 413, 415, 500, 503, 504) },
    },
  },
  '/v1/openapi.json': { get: page('This description', undefined) },
  '/livez': { get: health('Whether the process is alive; does not depend on a quorum') },
  '/readyz': { get: health('Whether to send requests here: there is a leader, a caught-up state, a writable disk') },
  '/version': { get: page('The versions of Quorate, of Node.js and of this API', 'VersionAnswer') },
  '/': { get: page('What there is', 'RootAnswer') },
}

function pathItem(route: RoutePath): Json {
  const operations = OPERATIONS[route]
  const methods: readonly string[] = ROUTES[route]
  const get = operations['get']
  return methods.includes('HEAD') && get !== undefined
    ? { ...operations, head: { ...get, summary: `${String(get['summary'])}, without the body` } }
    : operations
}

function keyPathItem(name: string, description: string): Json {
  const schema = { type: 'string', minLength: 1 }
  return { parameters: [{ name, in: 'path', required: true, description, schema }], ...pathItem(KEY_ROUTE) }
}

function paths(): Json {
  const others = (Object.keys(ROUTES) as RoutePath[]).filter((route) => route !== KEY_ROUTE)
  return {
    [KEY_PATH]: keyPathItem(
      'key',
      `1 to ${WIRE_LIMITS.keyBytesMax} bytes, percent-encoded; slashes may stand as they are`,
    ),
    [KEY64_PATH]: keyPathItem('key64', 'The same resource, the key in canonical base64url'),
    ...Object.fromEntries(others.map((route) => [route, pathItem(route)])),
  }
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
