// Every key of bytes finds its way into a request target and back, whatever stands between: the wire form of keys.
import { describe, expect, test } from 'vitest'
import { keyPath } from '../../src/client/key-path.ts'
import { Prng } from '../../src/lib/prng.ts'

/** What a node reads from the target. */
function decode(target: string): Buffer {
  if (target.startsWith('/v1/kv64/')) return Buffer.from(target.slice('/v1/kv64/'.length), 'base64url')
  expect(target.startsWith('/v1/kv/')).toBe(true)
  return Buffer.from(target.slice('/v1/kv/'.length), 'latin1')
}

/** What a URL parser on the way would make of it. */
const parsed = (target: string): string => new URL(`http://host${target}`).pathname

describe('H1: the request target of a key', () => {
  const odd = [
    '.',
    '..',
    'a/..',
    'a/../b',
    './a',
    'a//b',
    'a/',
    '/a',
    '/',
    'a b',
    'a+b',
    'a?b',
    'a#b',
    'a%2Fb',
    '%2e%2e',
    '%',
    '\\',
    'a;b',
    '~',
    'é',
    '😀',
    '\u0000',
    '\ufeff',
    '__proto__',
    'constructor',
    'x'.repeat(4_096),
    `${'a/'.repeat(2_000)}a`,
    'a...b',
    '.hidden',
    'trailing.',
  ]
  for (const key of odd) {
    test(`names exactly ${JSON.stringify(key.length > 20 ? `${key.slice(0, 20)}…` : key)}`, () => {
      const target = keyPath(key)
      expect(decode(target)).toEqual(Buffer.from(key, 'utf8'))
      expect(parsed(target)).toBe(target)
      expect(keyPath(Buffer.from(key, 'utf8'))).toBe(target)
    })
  }

  test('names every single byte, and survives URL parsers', () => {
    for (let byte = 0; byte < 256; byte++) {
      for (const key of [[byte], [byte, byte], [0x61, byte, 0x62]].map((bytes) => Uint8Array.from(bytes))) {
        const target = keyPath(key)
        expect(decode(target)).toEqual(Buffer.from(key))
        expect(parsed(target)).toBe(target)
        expect(target).toMatch(/^[!-~]+$/)
      }
    }
  })

  test('names random keys, each differently', () => {
    const seed = `keys ${process.env['SEED'] ?? Math.random().toString(36).slice(2)}`
    const prng = new Prng(seed)
    const alphabet = Buffer.from('ab./~-_%+é?#', 'latin1')
    const seen = new Map<string, string>()
    for (let round = 0; round < 5_000; round++) {
      const key = Buffer.from(Array.from({ length: prng.between(1, 12) }, () => alphabet[prng.below(alphabet.length)]!))
      const target = keyPath(key)
      expect(decode(target), `SEED=${seed}`).toEqual(key)
      expect(parsed(target), `SEED=${seed}`).toBe(target)
      expect(seen.get(target) ?? key.toString('hex'), `SEED=${seed}`).toBe(key.toString('hex'))
      seen.set(target, key.toString('hex'))
    }
  })

  test('stays readable for ordinary keys', () => {
    expect(keyPath('config/app-1/db.host')).toBe('/v1/kv/config/app-1/db.host')
    expect(keyPath('user:1')).toBe('/v1/kv64/dXNlcjox')
  })
})
