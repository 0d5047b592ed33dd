// Request targets: which route one names, and which key, lease or name. A key is bytes, so its percent-encoding is decoded to
// bytes by hand: `decodeURIComponent` throws on what is not UTF-8 and URL parsers fold `.` and `..`, and both would merge or
// lose keys. Names of locks and elections are the same kind of bytes.
import { QuorateError } from '../api/errors.ts'
import { WIRE_LIMITS } from '../api/limits.ts'
import {
  ALLOW,
  ELECTION_PREFIX,
  ELECTION_ROUTE,
  KEEP_ALIVE_ROUTE,
  KEEP_ALIVE_SUFFIX,
  KEY64_PREFIX,
  KEY_PREFIX,
  KEY_ROUTE,
  LEASE_PREFIX,
  LEASE_ROUTE,
  LOCK_PREFIX,
  LOCK_ROUTE,
} from '../api/routes.ts'
import type { LeaseId } from '../api/commands.ts'
import { fromBase64url, keyFromBytes } from '../lib/bytes.ts'
import type { KeyString } from '../lib/bytes.ts'

const SLASH = 0x2f
const PERCENT = 0x25

/** A path that has no route. */
const NOWHERE = '/_'

/** `http://host:port` in front of the path: clients send it to proxies, and servers must take it too. */
const ABSOLUTE_FORM = /^[a-z][a-z0-9+.-]*:\/\/([^/?#]*)/i

/** The authority of a target in absolute form, or undefined. */
export const authorityOf = (target: string): string | undefined =>
  target.charCodeAt(0) === SLASH ? undefined : ABSOLUTE_FORM.exec(target)?.[1]

function originForm(target: string): string {
  if (target.charCodeAt(0) === SLASH) return target
  const absolute = ABSOLUTE_FORM.exec(target)
  if (absolute === null) return target
  const rest = target.slice(absolute[0].length)
  return rest.charCodeAt(0) === SLASH ? rest : `/${rest}`
}

/** The path to route by. The router sees nothing else of the target, so that no encoding in a key can confuse it. */
export function routeOf(target: string): string {
  const origin = originForm(target)
  if (origin.startsWith(KEY_PREFIX) || origin.startsWith(KEY64_PREFIX)) return KEY_ROUTE
  const path = pathOf(origin)
  if (path.startsWith(LOCK_PREFIX)) return LOCK_ROUTE
  if (path.startsWith(ELECTION_PREFIX)) return ELECTION_ROUTE
  if (path.startsWith(LEASE_PREFIX)) return path.endsWith(KEEP_ALIVE_SUFFIX) ? KEEP_ALIVE_ROUTE : LEASE_ROUTE
  return ALLOW.has(path) ? path : NOWHERE
}

function pathOf(origin: string): string {
  const question = origin.indexOf('?')
  return question === -1 ? origin : origin.slice(0, question)
}

/** What stands behind the first `?`, or undefined without one. */
export function queryOf(target: string): string | undefined {
  const question = target.indexOf('?')
  return question === -1 ? undefined : target.slice(question + 1)
}

/** The key that a target names, as bytes. Throws a QuorateError that says what is wrong with it. */
export function keyOf(target: string): KeyString {
  const origin = originForm(target)
  const question = origin.indexOf('?')
  const end = question === -1 ? origin.length : question
  const key = origin.startsWith(KEY64_PREFIX)
    ? decodeBase64url(origin.slice(KEY64_PREFIX.length, end))
    : decodePercent(origin.slice(KEY_PREFIX.length, end))
  if (key.length === 0) throw new QuorateError('KEY_REQUIRED', 'The path ends where the key should be.')
  if (key.length > WIRE_LIMITS.keyBytesMax)
    throw new QuorateError(
      'KEY_TOO_LONG',
      `The key has ${key.length} bytes; at most ${WIRE_LIMITS.keyBytesMax} are allowed.`,
    )
  return key
}

/** The name of the lock or election that a target names, as bytes. */
export function nameOf(target: string): KeyString {
  const path = pathOf(originForm(target))
  const prefix = path.startsWith(LOCK_PREFIX) ? LOCK_PREFIX : ELECTION_PREFIX
  const name = decodePercent(path.slice(prefix.length))
  if (name.length === 0) throw new QuorateError('BAD_REQUEST', 'The path ends where the name should be.')
  if (name.length > WIRE_LIMITS.lockNameBytesMax)
    throw new QuorateError(
      'BAD_REQUEST',
      `The name has ${name.length} bytes; at most ${WIRE_LIMITS.lockNameBytesMax} are allowed.`,
    )
  return name
}

/** A positive int64. */
const LEASE_ID = /^(?!0{16})[0-7][0-9a-f]{15}$/

export const isLeaseId = (text: string): text is LeaseId => LEASE_ID.test(text)

/** The lease that a target names. */
export function leaseOf(target: string): LeaseId {
  const path = pathOf(originForm(target)).slice(LEASE_PREFIX.length)
  const id = path.endsWith(KEEP_ALIVE_SUFFIX) ? path.slice(0, -KEEP_ALIVE_SUFFIX.length) : path
  if (!isLeaseId(id))
    throw new QuorateError('BAD_REQUEST', 'The id of a lease is 16 hexadecimal digits in lower case, a positive int64.')
  return id
}

function decodeBase64url(text: string): KeyString {
  const bytes = fromBase64url(text)
  if (bytes === undefined)
    throw new QuorateError(
      'BAD_REQUEST',
      'The key is not canonical base64url: letters, digits, - and _ only, no padding, no stray bits at the end.',
    )
  return keyFromBytes(bytes)
}

/** Node's parser refuses raw bytes above 0x7f; were one to pass, it would arrive as one code unit and stand for itself. */
function decodePercent(text: string): KeyString {
  let isPlain = true
  for (let i = 0; i < text.length && isPlain; i++) {
    const unit = text.charCodeAt(i)
    isPlain = unit !== PERCENT && unit <= 0xff
  }
  return isPlain ? text : decodeEscapes(text)
}

function decodeEscapes(text: string): KeyString {
  const bytes = Buffer.allocUnsafe(text.length)
  let length = 0
  for (let i = 0; i < text.length; i++) {
    let byte = text.charCodeAt(i)
    if (byte > 0xff) throw new QuorateError('BAD_REQUEST', 'The request target holds a character that is not a byte.')
    if (byte === PERCENT) {
      byte = hexDigit(text.charCodeAt(i + 1)) * 16 + hexDigit(text.charCodeAt(i + 2))
      if (Number.isNaN(byte))
        throw new QuorateError(
          'BAD_REQUEST',
          `At byte ${i} of the key or name, % is not followed by two hexadecimal digits.`,
        )
      i += 2
    }
    bytes[length++] = byte
  }
  return keyFromBytes(bytes.subarray(0, length))
}

function hexDigit(unit: number): number {
  if (unit >= 0x30 && unit <= 0x39) return unit - 0x30
  const letter = unit | 0x20
  return letter >= 0x61 && letter <= 0x66 ? letter - 0x57 : Number.NaN
}
