// Request targets: every byte of a key survives, nothing is folded, and what is not well-formed is refused.
import { describe, expect, it } from 'vitest'
import { QuorateError } from '../../src/api/errors.ts'
import { ELECTION_ROUTE, KEEP_ALIVE_ROUTE, KEY_ROUTE, LEASE_ROUTE, LOCK_ROUTE } from '../../src/api/routes.ts'
import { authorityOf, keyOf, queryOf, routeOf } from '../../src/http/target.ts'

const codeOf = (target: string): string => {
  try {
    keyOf(target)
  } catch (error) {
    if (error instanceof QuorateError) return error.code
    throw error
  }
  throw new Error(`${target} was accepted`)
}

const everyByte = Array.from({ length: 256 }, (_, byte) => byte)

describe('the key of a target', () => {
  it('H1: has every byte that can be percent-encoded, in either case of the digits', () => {
    for (const byte of everyByte) {
      const hex = byte.toString(16).padStart(2, '0')
      expect(keyOf(`/v1/kv/%${hex}`)).toBe(String.fromCharCode(byte))
      expect(keyOf(`/v1/kv/%${hex.toUpperCase()}?x`)).toBe(String.fromCharCode(byte))
    }
  })

  it('H1: keeps dots, slashes and pluses as they are', () => {
    for (const key of ['.', '..', 'a//b', 'a/', '/', 'x/../y', 'a+b', '__proto__', 'constructor', '*', '~'])
      expect(keyOf(`/v1/kv/${key}`)).toBe(key)
    expect(keyOf('/v1/kv/%2e%2E')).toBe('..')
    expect(keyOf('/v1/kv/a%2Fb')).toBe('a/b')
    expect(keyOf('/v1/kv/%252F')).toBe('%2F')
  })

  it('H2: does not mistake bytes for UTF-8: two invalid sequences stay two keys', () => {
    expect(keyOf('/v1/kv/%ff')).not.toBe(keyOf('/v1/kv/%fe'))
    expect(keyOf('/v1/kv/%ff%fe')).toBe('\xff\xfe')
    expect(keyOf('/v1/kv/\xc3\xa9')).toBe(keyOf('/v1/kv/%c3%a9'))
  })

  it('ends at the first question mark', () => {
    expect(keyOf('/v1/kv/a?b?c')).toBe('a')
    expect(queryOf('/v1/kv/a?b?c')).toBe('b?c')
    expect(keyOf('/v1/kv/a%3Fb')).toBe('a?b')
    expect(queryOf('/v1/kv/a')).toBeUndefined()
  })

  it('is refused when an escape is cut short or not hexadecimal', () => {
    for (const bad of ['%', '%2', '%zz', '%2g', 'a%', '%%41', '%-1', '% 1', '%0x'])
      expect(codeOf(`/v1/kv/${bad}`)).toBe('BAD_REQUEST')
    expect(codeOf('/v1/kv/\u20ac')).toBe('BAD_REQUEST')
    expect(codeOf('/v1/kv/%41\u20ac')).toBe('BAD_REQUEST')
  })

  it('is required, and has at most 4,096 bytes once decoded', () => {
    expect(codeOf('/v1/kv/')).toBe('KEY_REQUIRED')
    expect(codeOf('/v1/kv/?a')).toBe('KEY_REQUIRED')
    expect(codeOf('/v1/kv64/')).toBe('KEY_REQUIRED')
    expect(keyOf(`/v1/kv/${'%00'.repeat(4_096)}`)).toHaveLength(4_096)
    expect(codeOf(`/v1/kv/${'%00'.repeat(4_097)}`)).toBe('KEY_TOO_LONG')
    expect(codeOf(`/v1/kv/${'a'.repeat(4_097)}`)).toBe('KEY_TOO_LONG')
    expect(codeOf(`/v1/kv64/${Buffer.alloc(4_097).toString('base64url')}`)).toBe('KEY_TOO_LONG')
  })

  it('is the same in base64url, which must be canonical', () => {
    const bytes = Buffer.from(everyByte)
    expect(keyOf(`/v1/kv64/${bytes.toString('base64url')}`)).toBe(bytes.toString('latin1'))
    for (const bad of ['YQ==', 'YR', 'Y', 'a+b_', 'a/b_', '%59%51', 'YQ\n', 'Y Q'])
      expect(codeOf(`/v1/kv64/${bad}`)).toBe('BAD_REQUEST')
  })

  it('H4: is found behind the authority of an absolute target', () => {
    expect(keyOf('http://h:1/v1/kv/a%00')).toBe('a\0')
    expect(keyOf('HTTP://h/v1/kv64/YQ?cas=1')).toBe('a')
    expect(authorityOf('http://h:1/v1/kv/a')).toBe('h:1')
    expect(authorityOf('/v1/kv/http://h')).toBeUndefined()
  })
})

describe('the route of a target', () => {
  it('is one for all keys, whatever they look like', () => {
    for (const key of ['', 'a', '%', '..', '%zz', '_', '?x'])
      for (const prefix of ['/v1/kv/', '/v1/kv64/', 'http://h/v1/kv/']) expect(routeOf(prefix + key)).toBe(KEY_ROUTE)
  })

  it('is the path itself for paths that exist, and nowhere for all others', () => {
    expect(routeOf('/v1/status?x')).toBe('/v1/status')
    expect(routeOf('http://h')).toBe('/')
    expect(routeOf('/')).toBe('/')
    expect(routeOf('/v1/kv?prefix=a')).toBe('/v1/kv')
    for (const path of ['/v1/leases/', '/v1/leases/x', 'http://h/v1/leases/a/b'])
      expect(routeOf(path)).toBe(LEASE_ROUTE)
    expect(routeOf('/v1/leases/_/keepalive?x')).toBe(KEEP_ALIVE_ROUTE)
    for (const name of ['', 'a', 'a/b', '_', '%zz', '..'])
      expect([routeOf(`/v1/locks/${name}`), routeOf(`/v1/elections/${name}`)]).toEqual([LOCK_ROUTE, ELECTION_ROUTE])
    for (const path of ['/v1/kv-', '/v1/status/', '/V1/status', '/v1/%73tatus', '/_', '*', '', '/%zz', '/__proto__'])
      expect(routeOf(path)).toBe('/_')
  })
})
