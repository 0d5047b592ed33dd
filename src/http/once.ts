// Idempotency-Key: what makes a repeated write of plain HTTP known as such. The fingerprint covers all that makes the request
// what it is, so that the same key with another request is refused instead of answered with the wrong result.
import type { FastifyRequest } from 'fastify'
import type { Once } from '../api/commands.ts'
import { QuorateError } from '../api/errors.ts'
import { WIRE_LIMITS } from '../api/limits.ts'
import { EMPTY_BYTES } from '../lib/bytes.ts'
import { Hasher64, hashToHex } from '../lib/hash.ts'

const KEY = new RegExp(`^[\\x21-\\x7e]{1,${WIRE_LIMITS.idempotencyKeyBytesMax}}$`)

type RequestHeaders = FastifyRequest['raw']['headers']

const keyIn = (headers: RequestHeaders): string | undefined => {
  const key = headers['idempotency-key']
  return Array.isArray(key) ? key.join(', ') : key
}

/** Refuses a malformed key before the body is asked for. A repeated header arrives as a list, which is malformed. */
export function checkIdempotencyKey(headers: RequestHeaders): void {
  const key = keyIn(headers)
  if (key !== undefined && !KEY.test(key))
    throw new QuorateError(
      'BAD_REQUEST',
      `Idempotency-Key must be one value of 1 to ${WIRE_LIMITS.idempotencyKeyBytesMax} visible ASCII characters.`,
    )
}

/** For writes that it means nothing to: a header that is ignored is a promise broken. */
export function refuseIdempotencyKey(headers: RequestHeaders): void {
  if (keyIn(headers) !== undefined)
    throw new QuorateError('BAD_REQUEST', 'Idempotency-Key is not supported here; it is refused rather than ignored.')
}

/** An object to spread into the command: empty without the header. */
export function onceOf(
  request: FastifyRequest,
  body: Uint8Array = EMPTY_BYTES,
  contentType = '',
): { readonly once?: Once } {
  const { headers } = request.raw
  const key = keyIn(headers)
  if (key === undefined) return {}
  const hasher = new Hasher64()
    .latin1(request.method)
    .latin1(request.originalUrl)
    .latin1(headers['if-match'] ?? '')
    .latin1(headers['if-none-match'] ?? '')
    .latin1(contentType)
    .bytes(body)
  return { once: { kind: 'key', key, fingerprint: hashToHex(hasher.finish()) } }
}
