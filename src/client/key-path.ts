// Keys as callers spell them, as commands hold them, and in request targets. Keys are bytes: a string stands for its UTF-8.
import { WIRE_LIMITS } from '../api/limits.ts'
import { asBuffer, keyFromBytes, keyToBytes } from '../lib/bytes.ts'
import type { KeyString } from '../lib/bytes.ts'
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

const ASCII = /^[\0-\x7f]*$/

/** A key as commands hold it, or a ClientError for what cannot be a key. */
export function keyString(key: Key): KeyString {
  // ASCII is its own UTF-8: nothing to convert for most keys.
  if (typeof key === 'string' && key !== '' && key.length <= WIRE_LIMITS.keyBytesMax && ASCII.test(key)) return key
  return keyFromBytes(keyBytes(key))
}

/** A bound of a range, which may be empty: below all keys. */
export const boundString = (bound: Key): KeyString => keyFromBytes(boundBytes(bound, 'the bound of a range'))

/** A string where the bytes are UTF-8, else the bytes: the spelling of keys in answers. */
export function keyOfString(key: KeyString): Key {
  if (ASCII.test(key)) return key
  const bytes = keyToBytes(key)
  const text = bytes.toString('utf8')
  return Buffer.from(text, 'utf8').equals(bytes) ? text : bytes
}

/** The name of a lock or an election in a request target. */
export const nameTarget = (name: Key): string =>
  [...keyBytes(name)].map((byte) => (isPlainByte(byte) ? String.fromCharCode(byte) : percent(byte))).join('')

/** Letters, digits, - _ and ~; a dot too could be folded away by a URL parser. */
const isPlainByte = (byte: number): boolean => /[A-Za-z0-9_~-]/.test(String.fromCharCode(byte))
const percent = (byte: number): string => `%${byte.toString(16).padStart(2, '0').toUpperCase()}`

function keyBytes(key: Key): Buffer {
  const bytes = boundBytes(key, 'the key')
  if (bytes.length === 0) throw refusal('KEY_REQUIRED', 'a key has at least one byte')
  return bytes
}

function boundBytes(key: Key, what: string): Buffer {
  let bytes: Buffer
  if (typeof key === 'string') {
    // Encoding would turn each lone surrogate into U+FFFD, and different keys into one.
    if (LONE_SURROGATE.test(key))
      throw refusal('BAD_REQUEST', `${what} is not well-formed Unicode (a lone surrogate); give its bytes instead`)
    bytes = Buffer.from(key, 'utf8')
  } else if (key instanceof Uint8Array) {
    bytes = asBuffer(key)
  } else {
    throw refusal('BAD_REQUEST', `a key is a string or a Uint8Array, not ${typeof key}`)
  }
  if (bytes.length > WIRE_LIMITS.keyBytesMax)
    throw refusal('KEY_TOO_LONG', `${what} has ${bytes.length} bytes; the limit is ${WIRE_LIMITS.keyBytesMax}`)
  return bytes
}
