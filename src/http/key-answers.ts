// What the routes of one key answer: the value with its metadata, or what became of a write.
import type { CommandResult, KeyEntry } from '../api/commands.ts'
import type { QuorateError } from '../api/errors.ts'
import { asBuffer } from '../lib/bytes.ts'
import type { ReadAnswer } from '../node/facade.ts'
import { unexpected } from './commands.ts'
import { entityTag, readVerdict } from './conditions.ts'
import { isRefusal } from './edge.ts'
import type { Answering, Asked, Edge, FlatHeaders } from './edge.ts'
import { entryOrNull } from './entry-json.ts'
import { HTTP_LIMITS } from './limits.ts'
import { problem } from './problems.ts'
import { stalenessHeaders } from './read-options.ts'
import { refusePrecondition } from './refusals.ts'

export const OCTET_STREAM = 'application/octet-stream'

const KEY_NOT_FOUND = problem('KEY_NOT_FOUND', 'The key does not exist.')

export function answerWrite(
  edge: Edge,
  reply: Answering,
  result: CommandResult,
  wantsPrevious: boolean,
  extra: FlatHeaders,
): void {
  if (result.kind === 'put') {
    const status = result.isCreated ? 201 : 200
    const etag = entityTag(result.revision)
    if (wantsPrevious) {
      const document = { prev: entryOrNull(result.previous) }
      edge.json(reply, status, document, result.revision, ['ETag', etag, ...extra])
      return
    }
    const headers = edge.head(result.revision)
    headers.push('ETag', etag, 'Cache-Control', 'no-store')
    if (extra.length > 0) headers.push(...extra)
    edge.finish(reply, status, headers, '')
  } else if (result.kind === 'deleted') {
    const answer = { deleted: result.count, revision: result.revision }
    const document = wantsPrevious ? { ...answer, prev: entryOrNull(result.previous) } : answer
    edge.json(reply, 200, document, result.revision, extra)
  } else if (result.kind === 'added') {
    const document = { value: String(result.value), revision: result.revision }
    edge.json(reply, 200, document, result.revision, extra)
  } else throw unexpected(result, 'write of one key')
}

/** `isNow`: not of the past, so that the entry's lease may be asked how long it lasts. */
export function answerRead(
  edge: Edge,
  request: Asked,
  reply: Answering,
  outcome: ReadAnswer | QuorateError,
  isNow: boolean,
): void {
  if (isRefusal(outcome)) throw outcome
  const { entry, revision, stalenessMs } = outcome
  if (entry === undefined) {
    edge.problem(reply, KEY_NOT_FOUND, revision, stalenessHeaders(stalenessMs))
    return
  }
  const verdict = readVerdict(request.raw.headers, entry.modRevision)
  if (verdict === 'precondition-failed') {
    refusePrecondition(edge, reply, entry.modRevision, revision)
    return
  }
  const headers = edge.head(revision)
  if (stalenessMs !== undefined) headers.push(...stalenessHeaders(stalenessMs))
  pushMetadata(edge, headers, entry, isNow)
  if (verdict === 'not-modified') {
    edge.finish(reply, 304, headers, undefined)
    return
  }
  headers.push(
    'Content-Type',
    entry.contentType === '' ? OCTET_STREAM : entry.contentType,
    'X-Content-Type-Options',
    'nosniff',
    'Content-Security-Policy',
    'sandbox',
  )
  edge.finish(reply, 200, headers, inline(entry.value))
}

function pushMetadata(edge: Edge, headers: FlatHeaders, entry: KeyEntry, isNow: boolean): void {
  headers.push(
    'ETag',
    entityTag(entry.modRevision),
    'Cache-Control',
    'no-cache',
    'Quorate-Create-Revision',
    String(entry.createRevision),
    'Quorate-Key-Version',
    String(entry.version),
  )
  if (entry.lease === '') return
  headers.push('Quorate-Lease', entry.lease)
  const ttlMs = isNow ? edge.node.leaseTtlMs(entry.lease) : undefined
  if (ttlMs !== undefined) headers.push('Quorate-Ttl-Ms', String(ttlMs))
}

/** A small value joins the headers in one string and so in one write; copying it costs less than a second write. */
function inline(value: Uint8Array): string | Uint8Array {
  return value.length <= HTTP_LIMITS.inlineValueBytesMax ? asBuffer(value).toString('latin1') : value
}
