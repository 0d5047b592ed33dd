// The description of the routes beside the keys: leases, locks, elections, maintenance and the node itself.
import { WIRE_LIMITS } from '../api/limits.ts'
import type * as schemas from '../api/schemas.ts'
import { EVENT_STREAM, NDJSON } from './accept.ts'
import {
  BODY_PROBLEMS,
  digits,
  flags,
  freshness,
  idempotencyKey,
  json,
  ok,
  problems,
  query,
  READ_PROBLEMS,
  ref,
  required,
  text,
  timeout,
  tokenParameter,
  WRITE_PROBLEMS,
} from './openapi-parts.ts'
import type { Json } from './openapi-parts.ts'

type SchemaName = keyof typeof schemas

const read = (summary: string, answer: SchemaName, ...others: number[]): Json => ({
  summary,
  parameters: freshness,
  responses: { 200: ok(summary, json(ref(answer))), ...problems(...others, ...READ_PROBLEMS) },
})

interface WriteParts {
  readonly summary: string
  readonly request?: SchemaName
  readonly answer: SchemaName
  readonly status?: number
  readonly parameters?: readonly Json[]
  readonly refusals?: readonly number[]
}

const write = ({ summary, request, answer, status = 200, parameters = [], refusals = [] }: WriteParts): Json => ({
  summary,
  parameters: [...parameters, idempotencyKey, timeout],
  ...(request === undefined ? {} : { requestBody: { required: true, content: json(ref(request)) } }),
  responses: {
    [status]: ok(summary, json(ref(answer))),
    ...problems(...refusals, ...WRITE_PROBLEMS, ...BODY_PROBLEMS),
  },
})

export const leaseOperations = {
  list: {
    ...read('A page of all leases, by id', 'LeasesAnswer'),
    parameters: [
      query('limit', `Leases on a page, at most ${WIRE_LIMITS.pageEntriesMax}, which it is without`, digits),
      query('cursor', 'Where the page before ended', { type: 'string' }),
      ...freshness,
    ],
  },
  grant: write({
    summary: 'Grant a lease',
    request: 'LeaseRequest',
    answer: 'LeaseAnswer',
    status: 201,
    refusals: [409],
  }),
  get: read('The lease and its keys', 'LeaseInfoAnswer', 404),
  keepAlive: write({ summary: 'Begin its time to live anew', answer: 'KeepAliveAnswer', refusals: [404] }),
  revoke: write({ summary: 'Delete the lease and its keys, in one revision', answer: 'RevokeAnswer', refusals: [404] }),
}

export const lockOperations: Readonly<Record<string, Json>> = {
  get: read('Who holds the lock and who waits for it', 'LockInfoAnswer'),
  post: write({
    summary: 'Queue for the lock; first come, first served',
    request: 'LockRequest',
    answer: 'LockAnswer',
    refusals: [423],
  }),
  delete: write({
    summary: 'Release the lock, or leave the queue',
    answer: 'UnlockAnswer',
    parameters: [required(tokenParameter)],
    refusals: [404],
  }),
}

const observe = query('watch', 'Each new leader and each proclaimed value as an event', flags)

export const electionOperations: Readonly<Record<string, Json>> = {
  get: {
    summary: 'The elected leader; with watch, each one as it comes',
    parameters: [...freshness, observe],
    responses: {
      200: ok('The leader, or null', { ...json(ref('ElectionInfoAnswer')), ...text(EVENT_STREAM), ...text(NDJSON) }),
      ...problems(...READ_PROBLEMS),
    },
  },
  post: write({
    summary: 'Campaign; with token, proclaim another value',
    request: 'ElectionRequest',
    answer: 'ElectionAnswer',
    parameters: [tokenParameter],
    refusals: [404, 423],
  }),
  delete: write({
    summary: 'Resign, or stop campaigning',
    answer: 'UnlockAnswer',
    parameters: [required(tokenParameter)],
    refusals: [404],
  }),
}

export const compactOperation: Json = write({
  summary: 'Forget the history below a revision',
  request: 'CompactRequest',
  answer: 'CompactAnswer',
})

export const transferOperation: Json = {
  summary: 'Hand leadership to the named voter, or to the most up to date one',
  requestBody: { content: json(ref('TransferRequest')) },
  responses: { 204: ok('Handed over'), ...problems(400, 403, 404, 409, ...BODY_PROBLEMS, 500, 503, 504) },
}

/** A page without parameters. */
export const page = (summary: string, answer: SchemaName | undefined): Json => ({
  summary,
  responses: {
    200: ok(summary, json(answer === undefined ? { type: 'object' } : ref(answer))),
    ...problems(400, 403, 500, 503),
  },
})

export const health = (summary: string): Json => ({
  summary,
  parameters: [query('verbose', 'Name all checks, not only those that fail', flags)],
  responses: {
    200: ok('Every check holds', json(ref('HealthAnswer'))),
    503: ok('A check fails', json(ref('HealthAnswer'))),
    ...problems(400, 403),
  },
})
