// The description of the routes of keys and ranges, of transactions, batches and watches.
import { BATCH_MEDIA_TYPE } from '../api/batch-codec.ts'
import { WIRE_LIMITS } from '../api/limits.ts'
import { EVENT_STREAM, NDJSON } from './accept.ts'
import {
  BODY_PROBLEMS,
  bytes,
  conditions,
  digits,
  durations,
  fenced,
  flags,
  freshness,
  header,
  idempotencyKey,
  json,
  ok,
  past,
  problems,
  query,
  rangeParameters,
  READ_PROBLEMS,
  ref,
  required,
  text,
  timeout,
  WRITE_PROBLEMS,
} from './openapi-parts.ts'
import type { Json } from './openapi-parts.ts'

const prev = query('prev', 'Answer with the entry as it was before', flags)

export const keyOperations: Readonly<Record<string, Json>> = {
  get: {
    summary: 'The value of a key',
    parameters: [
      ...freshness,
      past,
      query('wait', 'The long poll: answer once the key has changed, or 204 after this time', durations),
      query('after', 'With wait: the revision after which a change counts; without it, now', digits),
      header('If-Match', '* or entity tags; 412 when none is current'),
      header('If-None-Match', '* or entity tags; 304 when one is current'),
    ],
    responses: {
      200: ok(
        'The bytes, with ETag, Quorate-Create-Revision, Quorate-Key-Version, and Quorate-Lease and Quorate-Ttl-Ms where it has one',
        bytes,
      ),
      204: ok('With wait: not changed in that time; Quorate-Revision says up to where'),
      304: ok('Not modified'),
      ...problems(404, 410, 412, ...READ_PROBLEMS),
    },
  },
  put: {
    summary: 'Create or replace a key',
    parameters: [
      ...conditions,
      prev,
      query('ttl', 'The key dies after this time', durations),
      query('lease', 'The key dies with this lease', { type: 'string' }),
      fenced,
      idempotencyKey,
      timeout,
    ],
    requestBody: { description: 'The value: the body as it is, of any content type', content: bytes },
    responses: {
      200: ok('Replaced; ETag is the new revision. The body is empty without prev', json(ref('PutAnswer'))),
      201: ok('Created', json(ref('PutAnswer'))),
      ...problems(404, 409, 412, ...WRITE_PROBLEMS, ...BODY_PROBLEMS),
    },
  },
  post: {
    summary: 'Add to a counter: a decimal 64-bit integer, from 0 when the key is absent',
    parameters: [
      required(query('add', 'What to add, maybe negative', { type: 'string', pattern: '^-?[0-9]{1,19}$' })),
      ...conditions,
      fenced,
      idempotencyKey,
      timeout,
    ],
    responses: {
      200: ok('The new value', json(ref('AddAnswer'))),
      ...problems(409, 412, ...WRITE_PROBLEMS),
    },
  },
  delete: {
    summary: 'Delete a key',
    parameters: [...conditions, prev, fenced, idempotencyKey, timeout],
    responses: {
      200: ok('How many keys were deleted: one or none', json(ref('DeleteAnswer'))),
      ...problems(412, ...WRITE_PROBLEMS),
    },
  },
}

export const rangeOperations: Readonly<Record<string, Json>> = {
  get: {
    summary: 'A page of the entries of a range, or all of them as lines',
    parameters: [
      ...rangeParameters,
      query('limit', `Items on a page, at most ${WIRE_LIMITS.pageEntriesMax}`, {
        ...digits,
        default: String(WIRE_LIMITS.pageEntriesDefault),
      }),
      query('cursor', 'Where the page before ended; with the parameters of that page', { type: 'string' }),
      query('keysOnly', 'Without values', flags),
      query('countOnly', 'How many there are in the whole range', flags),
      query('reverse', 'From the end of the range', flags),
      query('separator', 'Roll keys up below the next one of these behind the prefix', {
        type: 'string',
        minLength: 1,
      }),
      past,
      ...freshness,
      header('Accept', `${NDJSON} for the whole range as lines, without a limit`),
    ],
    responses: {
      200: ok('The page; or with the other media type an entry a line', {
        ...json(ref('EntryPage')),
        ...text(NDJSON),
      }),
      ...problems(410, ...READ_PROBLEMS),
    },
  },
  delete: {
    summary: 'Delete all keys of a range in one revision',
    parameters: [...rangeParameters, fenced, idempotencyKey, timeout],
    responses: {
      200: ok('How many there were', json(ref('DeleteAnswer'))),
      ...problems(412, ...WRITE_PROBLEMS),
    },
  },
}

export const txnOperation: Json = {
  summary: 'Compare and write atomically, in one revision',
  parameters: [fenced, idempotencyKey, timeout],
  requestBody: { required: true, content: json(ref('TxnRequest')) },
  responses: {
    200: ok('Which branch was taken and what came of it', json(ref('TxnAnswer'))),
    ...problems(404, 409, 412, ...WRITE_PROBLEMS, ...BODY_PROBLEMS),
  },
}

export const batchOperation: Json = {
  summary:
    'Many commands and reads in one request, each with an answer of its own; the binary encoding of the TypeScript client',
  parameters: [timeout],
  requestBody: { required: true, content: text(BATCH_MEDIA_TYPE) },
  responses: {
    200: ok('One answer for each command or read', text(BATCH_MEDIA_TYPE)),
    ...problems(400, 403, ...BODY_PROBLEMS, 500, 503),
  },
}

export const watchOperation: Json = {
  summary: 'The changes of a key or a range as they happen',
  parameters: [
    query('key', 'One key', { type: 'string', minLength: 1 }),
    query('key64', 'The same as base64url', { type: 'string', minLength: 1 }),
    ...rangeParameters,
    query('revision', 'Start with the events of this revision; without it, from now', digits),
    query('initial', 'First the entries that there are, then the event sync', flags),
    query('prev', 'Events carry the entry as it was before', flags),
    query('only', 'Events of one kind alone', { type: 'string', enum: ['put', 'delete'] }),
    timeout,
    header('Last-Event-ID', 'Go on behind this revision'),
    header('Accept', `${EVENT_STREAM} (default) or ${NDJSON}`),
  ],
  responses: {
    200: ok('Events: put, delete, sync, progress, compacted, lagging', { ...text(EVENT_STREAM), ...text(NDJSON) }),
    ...problems(410, ...READ_PROBLEMS),
  },
}
