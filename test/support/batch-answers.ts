// What a node answers to a batch of reads, for servers and transports that only pretend to be one.
import { BATCH_MEDIA_TYPE, decodeBatchRequest, encodeBatchResponse } from '../../src/api/batch-codec.ts'
import type { BatchItem } from '../../src/api/batch-codec.ts'
import type { BatchReadAnswer } from '../../src/api/batch-reads.ts'

export const BATCH_TYPE = { 'content-type': BATCH_MEDIA_TYPE }

export const readsOf = (body: Uint8Array | undefined): readonly BatchItem[] =>
  decodeBatchRequest(body ?? new Uint8Array()).filter(({ op }) => op === 'read')

/** Every key is there, and holds this. */
export function foundEverywhere(
  body: Uint8Array | undefined,
  value: Uint8Array = Buffer.from('hello'),
  contentType = 'text/plain',
): Buffer {
  const entry = { value, contentType, createRevision: 7, modRevision: 17, version: 3, lease: '' }
  const found: BatchReadAnswer = { kind: 'read', revision: 42, stalenessMs: undefined, entry, ttlMs: undefined }
  return encodeBatchResponse(readsOf(body).map(() => found))
}
