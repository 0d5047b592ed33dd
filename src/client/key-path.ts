// A key's place in the request target. Keys are bytes: a string stands for its UTF-8.
import { WIRE_LIMITS } from '../api/limits.ts'
import { asBuffer } from '../lib/bytes.ts'
import { refusal } from './client-error.ts'

/** A string stands for its UTF-8 bytes; anything else is spelled as bytes. */
export type Key = string | Uint8Array

/**
 * Keys that every proxy and every URL parser leaves alone: no empty segment, no segment of dots, nothing to be escaped.
 * All others go to /v1/kv64/, which names the same resource in base64url.
 */
const PLAIN_SEGMENT = String.raw`[A-Za-z0-9_~-]+(?:\.[A-Za-z0-9_~-]+)*`
const PLAIN_KEY = new RegExp(`^${PLAIN_SEGMENT}(?:/${PLAIN_SEGMENT})*$`)

export const LONE_SURROGATE = /\p{Surrogate}/u

/** The request target of a key, or a ClientError for what cannot be a key. */
export function keyPath(key: Key): string {
  if (typeof key === 'string' && key.length <= WIRE_LIMITS.keyBytesMax && PLAIN_KEY.test(key)) return `/v1/kv/${key}`
  const bytes = keyBytes(key)
  const latin1 = bytes.toString('latin1')
  return PLAIN_KEY.test(latin1) ? `/v1/kv/${latin1}` : `/v1/kv64/${bytes.toString('base64url')}`
}

function keyBytes(key: Key): Buffer {
  let bytes: Buffer
  if (typeof key === 'string') {
    // Encoding would turn each lone surrogate into U+FFFD, and different keys into one.
    if (LONE_SURROGATE.test(key))
      throw refusal('BAD_REQUEST', 'the key is not well-formed Unicode (a lone surrogate); give its bytes instead')
    bytes = Buffer.from(key, 'utf8')
  } else if (key instanceof Uint8Array) {
    bytes = asBuffer(key)
  } else {
    throw refusal('BAD_REQUEST', `a key is a string or a Uint8Array, not ${typeof key}`)
  }
  if (bytes.length === 0) throw refusal('KEY_REQUIRED', 'a key has at least one byte')
  if (bytes.length > WIRE_LIMITS.keyBytesMax)
    throw refusal('KEY_TOO_LONG', `the key has ${bytes.length} bytes; the limit is ${WIRE_LIMITS.keyBytesMax}`)
  return bytes
}
