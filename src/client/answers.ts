// Reads answers, strictly: what a node would not have sent (a proxy's error page, a login form) is a failure, never a value.
// What a success must carry is checked field by field; members that this release does not know are left alone.
import { ERRORS } from '../api/errors.ts'
import type { Outcome } from '../api/errors.ts'
import type { ClientErrorCode } from './client-error.ts'
import { isRetryableHere } from './client-error.ts'
import type { Sighting } from './endpoints.ts'
import { decodeText, GetResult, OCTET_STREAM } from './entry.ts'
import type { Entry } from './entry.ts'
import { entryOfJson, isCount, isObject } from './json.ts'
import type { JsonObject } from './json.ts'
import type { Key } from './key-path.ts'
import { isErrorCode } from './retry-policy.ts'
import type { FailureKind } from './retry-policy.ts'
import type { TransportResponse } from './transport.ts'

/** One attempt that did not succeed. */
export interface Failure {
  readonly kind: FailureKind
  readonly code: ClientErrorCode
  /** Of a change; for a read it is always `not-applied`. */
  readonly outcome: Outcome
  readonly retryable: boolean
  readonly message: string
  readonly status?: number | undefined
  readonly retryAfterMs?: number | undefined
  readonly details?: Readonly<Record<string, unknown>> | undefined
  readonly cause?: unknown
}

/** All of an answer but its body. */
type Head = Pick<TransportResponse, 'headers'>

/** Thrown by the parsers below; the call that made the attempt catches it. */
export class FailedAnswer extends Error {
  override readonly name = 'FailedAnswer'
  readonly failure: Failure

  constructor(failure: Failure) {
    super(failure.message)
    this.failure = failure
  }
}

/** The answer is not one that a node gives. A change may have been applied all the same. */
export function unexpected(response: TransportResponse, why: string): FailedAnswer {
  const type = header(response, 'content-type') ?? 'no content type'
  return new FailedAnswer({
    kind: 'unreadable',
    code: 'UNEXPECTED_ANSWER',
    outcome: 'unknown',
    retryable: isRetryableHere('UNEXPECTED_ANSWER'),
    message: `the answer is not one of a Quorate node: ${why} (status ${response.status}, ${type})`,
    status: response.status,
  })
}

// ------------------------------------------------------------------------------------------------------------- headers

export function header(response: Head, name: string): string | undefined {
  const value = response.headers[name]
  return typeof value === 'string' ? value : undefined
}

const DIGITS = /^\d{1,15}$/
const NAME = /^[A-Za-z0-9._-]{1,64}$/
const ETAG = /^"(\d{1,15})"$/

function numberHeader(response: Head, name: string): number | undefined {
  const text = header(response, name)
  return text !== undefined && DIGITS.test(text) ? Number(text) : undefined
}

/** Who answered and who leads; undefined unless a node answered. */
export function sighting(response: Head): Sighting | undefined {
  const name = header(response, 'quorate-node')
  const leaderName = header(response, 'quorate-leader')
  const term = numberHeader(response, 'quorate-term')
  if (name === undefined || !NAME.test(name) || term === undefined) return undefined
  if (leaderName !== undefined && !NAME.test(leaderName)) return undefined
  return { name, leaderName, term }
}

/** The revision of the state that the answer was read from. */
export const storeRevision = (response: Head): number | undefined => numberHeader(response, 'quorate-revision')

/** A required header that is a number. */
export function requiredNumber(response: TransportResponse, name: string): number {
  const value = numberHeader(response, name)
  if (value === undefined) throw unexpected(response, `the header ${name} is missing or no number`)
  return value
}

function requiredEtag(response: TransportResponse): number {
  const [, digits] = ETAG.exec(header(response, 'etag') ?? '') ?? []
  if (digits === undefined) throw unexpected(response, 'the header etag is missing or names no revision')
  return Number(digits)
}

// ---------------------------------------------------------------------------------------------------------- successes

export function parseGet(response: TransportResponse, key: Key): GetResult | undefined {
  if (response.status === 404) {
    const failure = problem(response)
    if (failure.code === 'KEY_NOT_FOUND') return undefined
    throw new FailedAnswer(failure)
  }
  expectStatus(response, 200)
  return new GetResult(
    {
      key,
      value: response.body,
      contentType: header(response, 'content-type') ?? OCTET_STREAM,
      revision: requiredEtag(response),
      createRevision: requiredNumber(response, 'quorate-create-revision'),
      version: requiredNumber(response, 'quorate-key-version'),
      lease: header(response, 'quorate-lease'),
      ttlMs: numberHeader(response, 'quorate-ttl-ms'),
    },
    {
      storeRevision: requiredNumber(response, 'quorate-revision'),
      stalenessMs: numberHeader(response, 'quorate-staleness-ms'),
    },
  )
}

export interface PutResult {
  /** The store's revision that this write made: the key's new `revision`. */
  readonly revision: number
  /** The key did not exist before. */
  readonly created: boolean
  /** With `prev: true`: what was replaced, undefined if nothing. */
  readonly previous: Entry | undefined
}

export function parsePut(response: TransportResponse, key: Key, wantsPrevious: boolean): PutResult {
  expectStatus(response, 200, 201)
  // A proxy's page may have any status; only a node knows the revision.
  requiredNumber(response, 'quorate-revision')
  const revision = requiredEtag(response)
  const created = response.status === 201
  if (!wantsPrevious) return { revision, created, previous: undefined }
  return { revision, created, previous: previousOf(response, jsonObject(response), key) }
}

export interface DeleteResult {
  /** The key existed. */
  readonly deleted: boolean
  /** The store's revision after the call. */
  readonly revision: number
  /** With `prev: true`: what was deleted, undefined if nothing. */
  readonly previous: Entry | undefined
}

export function parseDelete(response: TransportResponse, key: Key, wantsPrevious: boolean): DeleteResult {
  expectStatus(response, 200)
  const body = jsonObject(response)
  const deleted = body['deleted']
  const revision = body['revision']
  if ((deleted !== 0 && deleted !== 1) || !isCount(revision))
    throw unexpected(response, 'the body names no "deleted" and "revision"')
  return {
    deleted: deleted === 1,
    revision,
    previous: wantsPrevious ? previousOf(response, body, key) : undefined,
  }
}

function previousOf(response: TransportResponse, body: JsonObject, key: Key): Entry | undefined {
  const entry = body['prev']
  if (entry === null) return undefined
  if (!isObject(entry)) throw unexpected(response, 'the body has no "prev"')
  const previous = entryOfJson(entry, key)
  if (previous === undefined) throw unexpected(response, 'its "prev" is not an entry')
  return previous
}

// ----------------------------------------------------------------------------------------------------------- problems

/** What an error answer says. Where it is not problem+json it is no answer of ours. */
export function problem(response: TransportResponse): Failure {
  const type = header(response, 'content-type') ?? ''
  const body = /^application\/problem\+json(\s*;|$)/i.test(type) ? parseJson(response.body) : undefined
  if (!isObject(body)) return unexpected(response, 'no problem+json').failure
  const { code, outcome, retryable, detail, title } = body
  if (
    typeof code !== 'string' ||
    (outcome !== 'not-applied' && outcome !== 'unknown') ||
    typeof retryable !== 'boolean'
  )
    return unexpected(response, 'a problem without code, outcome or retryable').failure

  const details = Object.fromEntries(Object.entries(body).filter(([name]) => !COMMON_MEMBERS.has(name)))
  const isKnown = isErrorCode(code)
  return {
    kind: isKnown ? code : 'unknown-code',
    code: isKnown ? code : 'UNEXPECTED_ANSWER',
    outcome,
    retryable,
    message: problemText({ code, detail, title, isKnown }),
    status: response.status,
    retryAfterMs: isCount(details['retryAfterMs']) ? details['retryAfterMs'] : undefined,
    details: isKnown ? details : { ...details, code },
  }
}

const COMMON_MEMBERS = new Set(['type', 'title', 'status', 'detail', 'code', 'outcome', 'retryable'])

function problemText(from: { code: string; detail: unknown; title: unknown; isKnown: boolean }): string {
  const { code, detail, title, isKnown } = from
  if (typeof detail === 'string' && detail !== '') return isKnown ? detail : `${code}: ${detail}`
  if (typeof title === 'string' && title !== '') return isKnown ? title : `${code}: ${title}`
  return isErrorCode(code) ? ERRORS[code].title : code
}

// --------------------------------------------------------------------------------------------------------------- JSON

/** The JSON object that a successful answer must carry. */
export function jsonObject(response: TransportResponse): JsonObject {
  const type = header(response, 'content-type') ?? ''
  const body = /^application\/json(\s*;|$)/i.test(type) ? parseJson(response.body) : undefined
  if (!isObject(body)) throw unexpected(response, 'no JSON object')
  return body
}

/** Throws what the answer says if its status is none of these. */
export function expectStatus(response: TransportResponse, ...statuses: readonly number[]): void {
  if (statuses.includes(response.status)) return
  throw new FailedAnswer(problem(response))
}

export function parseJson(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(decodeText(bytes)) as unknown
  } catch {
    // Not UTF-8 or not JSON: either way there is nothing to be read, and callers say so.
    return undefined
  }
}
